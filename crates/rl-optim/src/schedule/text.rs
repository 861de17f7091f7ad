//! Schedules as people and files write them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::{Curve, Schedule};
use crate::OptimError;

/// Why a schedule of one's own is in no file.
const UNSAVABLE: &str = "a schedule that is a function (Schedule::custom) cannot be saved; give a number or a schedule that can be written, such as \
                         \"lin_0.001\"";

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let points = |f: &mut fmt::Formatter<'_>, points: &[(f64, f64)]| {
            points.iter().try_for_each(|(at, value)| write!(f, "_{at}:{value}"))
        };
        match self {
            Self::Constant(value) => write!(f, "{value}"),
            Self::Linear(initial) => write!(f, "lin_{initial}"),
            Self::Between { curve, from, to } => {
                let name = match curve {
                    Curve::Linear => "lin",
                    Curve::Cosine => "cos",
                    Curve::Exponential => "exp",
                };
                write!(f, "{name}_{from}_{to}")
            }
            Self::Steps { first, then } => {
                write!(f, "steps_{first}")?;
                points(f, then)
            }
            Self::Piecewise(through) => {
                f.write_str("piecewise")?;
                points(f, through)
            }
            Self::WarmUp { share, then } => write!(f, "warmup_{share}_{then}"),
            Self::Custom(_) => f.write_str("custom"),
        }
    }
}

impl FromStr for Schedule {
    type Err = OptimError;

    fn from_str(text: &str) -> Result<Self, OptimError> {
        parse(text).map_err(|why| OptimError::InvalidSchedule { got: text.to_owned(), why })
    }
}

/// The schedule, or what is wrong with its text.
fn parse(text: &str) -> Result<Schedule, String> {
    let Some((name, rest)) = text.split_once('_') else { return number(text).map(Schedule::Constant) };
    match name {
        "lin" if !rest.contains('_') => number(rest).map(Schedule::Linear),
        "lin" => between(Curve::Linear, rest),
        "cos" => between(Curve::Cosine, rest),
        "exp" => between(Curve::Exponential, rest),
        "steps" => {
            let (first, then) = rest.split_once('_').ok_or("steps begin as steps_0.001_0.5:0.0001")?;
            let (first, then) = (number(first)?, points(then)?);
            if !then.iter().all(|(at, _)| (0.0..1.0).contains(at) && *at > 0.0) {
                return Err("a step comes between 0 and 1".to_owned());
            }
            Ok(Schedule::Steps { first, then })
        }
        "piecewise" => {
            let points = points(rest)?;
            let ends = [points.first(), points.last()].map(|end| end.map_or(f64::NAN, |(at, _)| *at));
            // Written as they are, 0 and 1 are exact.
            if ends.map(f64::to_bits) != [0.0_f64, 1.0].map(f64::to_bits) {
                return Err("the first point is at 0 and the last at 1".to_owned());
            }
            Ok(Schedule::Piecewise(points))
        }
        "warmup" => {
            let (share, then) = rest.split_once('_').ok_or("a warm-up is followed by a schedule")?;
            if then.starts_with("warmup") {
                return Err("one warm-up is enough".to_owned());
            }
            let share = number(share)?;
            if !(share > 0.0 && share < 1.0) {
                return Err(format!("a warm-up takes a share of training between 0 and 1, not {share}"));
            }
            Ok(Schedule::WarmUp { share, then: Box::new(parse(then)?) })
        }
        _ => Err(format!(
            "{name:?} is no kind of schedule; there are lin, cos, exp, steps, piecewise and warmup"
        )),
    }
}

fn number(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|x: &f64| x.is_finite());
    number.ok_or_else(|| format!("{text:?} is not a number"))
}

/// `0.001_0.0001`; without the second, it is 0.
fn between(curve: Curve, text: &str) -> Result<Schedule, String> {
    let (from, to) = match text.split_once('_') {
        Some((from, to)) => (number(from)?, number(to)?),
        None => (number(text)?, 0.0),
    };
    if curve == Curve::Exponential && !(from > 0.0 && to > 0.0) {
        return Err(
            "an exponential schedule goes from one positive number to another, such as exp_0.001_0.00001"
                .to_owned(),
        );
    }
    Ok(Schedule::Between { curve, from, to })
}

/// `0.5:0.0003_0.8:0.0001`, in order.
fn points(text: &str) -> Result<Vec<(f64, f64)>, String> {
    let point = |point: &str| {
        let (at, value) =
            point.split_once(':').ok_or_else(|| format!("{point:?} is no point such as 0.5:0.0001"))?;
        Ok((number(at)?, number(value)?))
    };
    let points = text.split('_').map(point).collect::<Result<Vec<(f64, f64)>, String>>()?;
    match points.windows(2).find(|pair| pair[0].0 > pair[1].0) {
        Some(pair) => Err(format!("its times must rise, and {} follows {}", pair[1].0, pair[0].0)),
        None => Ok(points),
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Constant(value) => serializer.serialize_f64(*value),
            _ if self.is_custom() => Err(ser::Error::custom(UNSAVABLE)),
            _ => serializer.collect_str(self),
        }
    }
}

impl Schedule {
    /// Whether any part of it is a function of one's own, which cannot be saved.
    #[must_use]
    pub fn is_custom(&self) -> bool {
        match self {
            Self::Custom(_) => true,
            Self::WarmUp { then, .. } => then.is_custom(),
            _ => false,
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
