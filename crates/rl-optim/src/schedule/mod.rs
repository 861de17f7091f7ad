//! Values that change as training proceeds.

mod course;
mod text;

use std::fmt;
use std::sync::Arc;

use rl_kernels::elementary;

pub use course::Moment;

/// A value as a function of training's progress: `t` is the share of training that is done, `p = 1 − t` the share that remains.
///
/// | written | value at `t` | |
/// |-|-|-|
/// | `0.001` | 0.001 | constant |
/// | `lin_0.001` | `0.001 p` | falls linearly to 0 |
/// | `lin_0.001_0.0001` | `0.0001 + (0.001 − 0.0001) p` | linearly to any end |
/// | `cos_0.001_0` | `0 + (0.001 − 0) (1 + cos πt) / 2` | half a cosine wave |
/// | `exp_0.001_0.00001` | `0.001 (0.00001 / 0.001)ᵗ` | by the same factor at every step |
/// | `steps_0.001_0.5:0.0003_0.8:0.0001` | 0.001, from `t = 0.5` on 0.0003, from 0.8 on 0.0001 | constant pieces |
/// | `piecewise_0:0.001_0.3:0.001_1:0` | straight lines through these points | linear pieces |
/// | `warmup_0.1_cos_0.001_0` | `t / 0.1` times the first value, then the whole other schedule over the rest | warm-up before any other |
///
/// In a configuration file a constant is a number, the others are strings. [`Schedule::custom`] is any function, which no file can hold.
///
/// # Source
///
/// Stable-Baselines3's schedules and rl-baselines3-zoo's way to write them (`lin_0.001`). Half a cosine wave: Loshchilov and Hutter 2017, "SGDR",
/// equation 5 without restarts. Linear pieces are OpenAI baselines' `PiecewiseSchedule`. Warm-up: Goyal et al. 2017, "Accurate, large minibatch SGD",
/// section 2.2.
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
///
/// let warm: Schedule = "warmup_0.5_lin_1_0.5".parse()?;
/// assert_eq!([1.0, 0.75, 0.5, 0.25, 0.0].map(|remaining| warm.at(remaining)), [0.0, 0.5, 1.0, 0.75, 0.5]);
/// assert!("exp_0.001".parse::<Schedule>().is_err());
/// # Ok::<(), rl_optim::OptimError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// Always this value.
    Constant(f64),
    /// This value times the progress that remains.
    Linear(f64),
    /// From one value to another.
    Between {
        /// Along which curve.
        curve: Curve,
        /// The value at the start.
        from: f64,
        /// The value at the end.
        to: f64,
    },
    /// Constant pieces.
    Steps {
        /// The value at the start.
        first: f64,
        /// Moments, in order and between 0 and 1, with the value from each on.
        then: Vec<(f64, f64)>,
    },
    /// Straight lines through points: moments, in order from 0 to 1, with their values. Two points at one moment are a jump.
    Piecewise(Vec<(f64, f64)>),
    /// A rise from 0 before another schedule.
    WarmUp {
        /// The share of training that it takes, between 0 and 1.
        share: f64,
        /// What follows, its whole course over the rest of training.
        then: Box<Schedule>,
    },
    /// A function of one's own: [`Schedule::custom`].
    Custom(CustomSchedule),
}

/// How a value goes from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// Along a line.
    Linear,
    /// Along half a cosine wave, level at both ends.
    Cosine,
    /// By the same factor at every step; both values are positive.
    Exponential,
}

/// A function of the progress that remains; equal only to its own clones.
#[derive(Clone)]
pub struct CustomSchedule(Arc<dyn Fn(f64) -> f64 + Send + Sync>);

impl fmt::Debug for CustomSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomSchedule")
    }
}

impl PartialEq for CustomSchedule {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Schedule {
    /// A schedule that is a function of the progress that remains, 1 at the start and 0 at the end.
    ///
    /// It cannot be written down: serialising it is an error, as is every way to save, compare or resume a run by its settings. Whoever continues
    /// training from a checkpoint gives the same function again.
    ///
    /// ```
    /// use rl_optim::Schedule;
    /// let square = Schedule::custom(|remaining| 1e-3 * remaining * remaining);
    /// assert_eq!(square.at(0.5), 2.5e-4);
    /// assert!(serde_json::to_string(&square).unwrap_err().to_string().contains("cannot be saved"));
    /// ```
    pub fn custom(f: impl Fn(f64) -> f64 + Send + Sync + 'static) -> Self {
        Schedule::Custom(CustomSchedule(Arc::new(f)))
    }

    /// The value where `progress_remaining` (1 at the start, 0 at the end) is left.
    ///
    /// Progress outside `[0, 1]` counts as its nearer end: the last rollout may overshoot the budget, and a negative
    /// learning rate would climb (Stable-Baselines3 does not clamp). A step or a jump counts from its moment on, however the subtraction
    /// `1 − t` was rounded.
    #[must_use]
    pub fn at(&self, progress_remaining: f64) -> f64 {
        let p = progress_remaining.clamp(0.0, 1.0);
        match self {
            Self::Constant(value) => *value,
            Self::Linear(initial) => initial * p,
            Self::Between { curve, from, to } => between(*curve, *from, *to, p),
            Self::Steps { first, then } => then
                .iter()
                .rev()
                .find(|(from, _)| is_reached(*from, 1.0 - p))
                .map_or(*first, |(_, value)| *value),
            Self::Piecewise(points) => on_lines(points, 1.0 - p),
            Self::WarmUp { share, then } => {
                let t = 1.0 - p;
                if t < *share { t / share * then.at(1.0) } else { then.at(p / (1.0 - share)) }
            }
            Self::Custom(CustomSchedule(f)) => f(p),
        }
    }

    /// The value at the start.
    #[must_use]
    pub fn initial(&self) -> f64 {
        self.at(1.0)
    }

    /// The value, if it is the same throughout.
    #[must_use]
    pub fn constant(&self) -> Option<f64> {
        if let Self::Constant(value) = self { Some(*value) } else { None }
    }
}

fn between(curve: Curve, from: f64, to: f64, p: f64) -> f64 {
    match curve {
        Curve::Linear => to + (from - to) * p,
        Curve::Cosine => to + (from - to) * (0.5 * (1.0 + elementary::cos(std::f64::consts::PI * (1.0 - p)))),
        Curve::Exponential => from * elementary::exp((1.0 - p) * elementary::ln(to / from)),
    }
}

/// Whether a moment has come at `t`, which lost its last bits where it was formed: 1 − (1 − 0.1) is less than 0.1. The allowance is less than a step of any
/// run of up to 10¹² steps.
fn is_reached(moment: f64, t: f64) -> bool {
    moment <= t + 1e-12
}

/// The value at `t` on straight lines through points in order; at a jump the later one.
fn on_lines(points: &[(f64, f64)], t: f64) -> f64 {
    let after = points.iter().position(|(at, _)| !is_reached(*at, t)).unwrap_or(points.len());
    match (after.checked_sub(1).and_then(|i| points.get(i)), points.get(after)) {
        (Some((t0, y0)), Some((t1, y1))) => y0 + (y1 - y0) * ((t - t0) / (t1 - t0)),
        (Some((_, y)), None) | (None, Some((_, y))) => *y,
        (None, None) => f64::NAN,
    }
}

impl From<f64> for Schedule {
    fn from(value: f64) -> Self {
        Self::Constant(value)
    }
}
