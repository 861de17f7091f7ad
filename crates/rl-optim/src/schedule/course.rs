//! Which values a schedule takes.

use super::{Curve, Schedule};

/// How finely a function of one's own is looked at.
const SAMPLES: u32 = 1000;

/// A value that a schedule takes, or comes as near to as one likes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// When: the share of training that is done.
    pub done: f64,
    /// The value.
    pub value: f64,
    /// Whether it is taken between the very start and the very end. No update is made at the start, for the rollout it learns from counts as done; the last one is made
    /// at the end, where `lin_0.001` is 0.
    pub taken: bool,
}

impl Schedule {
    /// The values between which the whole course lies, each with its moment: what bounds are checked on. A function of one's own is looked at in a
    /// thousand and one places.
    ///
    /// ```
    /// use rl_optim::Schedule;
    /// let course = "lin_0.5_0.1".parse::<Schedule>()?.course();
    /// assert_eq!(course.iter().map(|moment| moment.value).collect::<Vec<_>>(), [0.5, 0.1]);
    /// # Ok::<(), rl_optim::OptimError>(())
    /// ```
    #[must_use]
    pub fn course(&self) -> Vec<Moment> {
        let ends = |from: f64, to: f64| {
            let taken = from.to_bits() == to.to_bits();
            vec![Moment { done: 0.0, value: from, taken }, Moment { done: 1.0, value: to, taken }]
        };
        match self {
            Self::Constant(value) => vec![Moment { done: 0.0, value: *value, taken: true }],
            Self::Linear(initial) => ends(*initial, 0.0 * initial),
            Self::Between { curve: Curve::Linear | Curve::Cosine | Curve::Exponential, from, to } => {
                ends(*from, *to)
            }
            Self::Steps { first, then } => {
                let first = Moment { done: 0.0, value: *first, taken: true };
                let then = then.iter().map(|&(done, value)| Moment { done, value, taken: true });
                std::iter::once(first).chain(then).collect()
            }
            Self::Piecewise(points) => {
                // The ends' values are taken inside where a level piece has them.
                let level = |i: usize| {
                    points
                        .get(i..i + 2)
                        .is_some_and(|p| p[0].0 < p[1].0 && p[0].1.to_bits() == p[1].1.to_bits())
                };
                let moment = |(i, &(done, value)): (usize, &(f64, f64))| Moment {
                    done,
                    value,
                    taken: (done > 0.0 && done < 1.0) || level(i) || i.checked_sub(1).is_some_and(level),
                };
                points.iter().enumerate().map(moment).collect()
            }
            Self::WarmUp { share, then } => {
                let rest = then.course().into_iter().map(|moment| Moment {
                    done: share + (1.0 - share) * moment.done,
                    taken: moment.taken || moment.done <= 0.0,
                    ..moment
                });
                std::iter::once(Moment { done: 0.0, value: 0.0, taken: false }).chain(rest).collect()
            }
            Self::Custom(_) => (0..=SAMPLES)
                .map(|i| {
                    let done = f64::from(i) / f64::from(SAMPLES);
                    Moment { done, value: self.at(1.0 - done), taken: i > 0 && i < SAMPLES }
                })
                .collect(),
        }
    }
}
