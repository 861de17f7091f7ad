//! Values that change as training proceeds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::OptimError;

/// A value as a function of the training progress that remains (1 at the start, 0 at the end).
///
/// # Source
///
/// Stable-Baselines3's schedules, and rl-baselines3-zoo's way to write them: a number is constant, `"lin_0.001"` falls
/// linearly from 0.001 to 0.
///
/// # Example
///
/// ```
/// use rl_optim::Schedule;
///
/// let schedule: Schedule = "lin_0.001".parse()?;
/// assert_eq!(schedule, Schedule::Linear(0.001));
/// assert_eq!((schedule.at(1.0), schedule.at(0.5), schedule.at(0.0)), (0.001, 0.0005, 0.0));
/// assert_eq!(schedule.to_string(), "lin_0.001");
/// assert!("exp_0.001".parse::<Schedule>().is_err());
/// # Ok::<(), rl_optim::OptimError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Schedule {
    /// Always this value.
    Constant(f64),
    /// This value times the progress that remains.
    Linear(f64),
}

impl Schedule {
    /// The value where `progress_remaining` (1 at the start, 0 at the end) is left.
    ///
    /// Progress outside `[0, 1]` counts as its nearer end: the last rollout may overshoot the budget, and a negative
    /// learning rate would climb (Stable-Baselines3 does not clamp).
    #[must_use]
    pub fn at(&self, progress_remaining: f64) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Linear(initial) => initial * progress_remaining.clamp(0.0, 1.0),
        }
    }

    /// The value at the start, which is the largest in magnitude.
    #[must_use]
    pub fn initial(&self) -> f64 {
        match self {
            Self::Constant(value) | Self::Linear(value) => *value,
        }
    }
}

impl From<f64> for Schedule {
    fn from(value: f64) -> Self {
        Self::Constant(value)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(value) => write!(f, "{value}"),
            Self::Linear(initial) => write!(f, "lin_{initial}"),
        }
    }
}

impl FromStr for Schedule {
    type Err = OptimError;

    fn from_str(s: &str) -> Result<Self, OptimError> {
        let number = |s: &str| s.parse().ok().filter(|x: &f64| x.is_finite());
        match s.strip_prefix("lin_") {
            Some(initial) => number(initial).map(Self::Linear),
            None => number(s).map(Self::Constant),
        }
        .ok_or_else(|| OptimError::InvalidSchedule { got: s.to_owned() })
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Constant(value) => serializer.serialize_f64(*value),
            Self::Linear(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = Schedule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a string such as \"lin_0.001\"")
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Schedule, E> {
        Ok(Schedule::Constant(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Schedule, E> {
        Ok(Schedule::Constant(value as f64))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Schedule, E> {
        Ok(Schedule::Constant(value as f64))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Schedule, E> {
        value.parse().map_err(E::custom)
    }
}
