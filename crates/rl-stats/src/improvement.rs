//! Whether one algorithm beats another.

use std::cmp::Ordering;

use rand::{Rng, RngCore};

use crate::aggregate::sorted;
use crate::bootstrap::percentile_interval;
use crate::error::check_runs;
use crate::{Interval, Scores, StatsError};

/// The probability `P(X > Y) + ½ P(X = Y)` that a run of `x` beats one of `y`; NaN where either is empty or holds NaN.
///
/// # Source
///
/// Agarwal et al., 2021, section 4.3: the Mann-Whitney statistic `U / nm`.
///
/// # Example
///
/// Of the four pairs, 3 beats 1 and 2, 2 beats 1 and ties with 2: `(3 + ½) / 4`.
///
/// ```
/// assert_eq!(rl_stats::probability_of_improvement(&[3.0, 2.0], &[1.0, 2.0]), 0.875);
/// ```
#[must_use]
pub fn probability_of_improvement(x: &[f64], y: &[f64]) -> f64 {
    let pairs = x.iter().flat_map(|x| y.iter().map(move |y| wins(*x, *y)));
    pairs.sum::<f64>() / (x.len() * y.len()) as f64
}

fn wins(x: f64, y: f64) -> f64 {
    match x.partial_cmp(&y) {
        Some(Ordering::Greater) => 1.0,
        Some(Ordering::Equal) => 0.5,
        Some(Ordering::Less) => 0.0,
        None => f64::NAN,
    }
}

/// The percentile bootstrap interval of [`probability_of_improvement`], resampling `x` and `y` independently.
///
/// # Source
///
/// Agarwal et al., 2021, section 4.3.
///
/// # Errors
///
/// [`StatsError`] as in [`bootstrap_interval`](crate::bootstrap_interval), for `x` and `y` alike.
///
/// # Example
///
/// ```
/// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
///
/// let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
/// let (x, y) = ([9.0, 8.0, 7.0, 9.5, 8.5], [1.0, 2.0, 3.0, 1.5, 2.5]);
/// let interval = rl_stats::probability_of_improvement_interval(&x, &y, 0.95, 1000, &mut rng)?;
/// assert_eq!((interval.low, interval.high), (1.0, 1.0));
/// # Ok::<(), rl_stats::StatsError>(())
/// ```
pub fn probability_of_improvement_interval(
    x: &[f64],
    y: &[f64],
    confidence: f64,
    resamples: usize,
    rng: &mut impl RngCore,
) -> Result<Interval, StatsError> {
    let (x, y) = (Scores::new(&[x])?, Scores::new(&[y])?);
    mean_probability_of_improvement_interval(&x, &y, confidence, resamples, rng)
}

/// The [`probability_of_improvement`] averaged over tasks, in each of which the runs of `x` are set against those of `y`.
///
/// # Source
///
/// Agarwal et al., 2021, section 4.3; rliable's `probability_of_improvement`.
///
/// # Errors
///
/// [`StatsError::Count`] where the two have different numbers of tasks.
///
/// # Example
///
/// ```
/// let x = rl_stats::Scores::new(&[[3.0, 2.0], [0.0, 0.0]])?;
/// let y = rl_stats::Scores::new(&[[1.0, 2.0], [5.0, 6.0]])?;
/// assert_eq!(rl_stats::mean_probability_of_improvement(&x, &y)?, (0.875 + 0.0) / 2.0);
/// # Ok::<(), rl_stats::StatsError>(())
/// ```
pub fn mean_probability_of_improvement(x: &Scores, y: &Scores) -> Result<f64, StatsError> {
    check_tasks(x, y)?;
    let of_tasks = x.tasks().zip(y.tasks()).map(|(x, y)| probability_of_improvement(x, y));
    Ok(of_tasks.sum::<f64>() / x.n_tasks() as f64)
}

/// The stratified percentile bootstrap interval of [`mean_probability_of_improvement`], resampling `x` and `y` independently
/// within every task.
///
/// # Source
///
/// Agarwal et al., 2021, section 4.3; rliable's `get_interval_estimates` over pairs of matrices.
///
/// # Errors
///
/// [`StatsError`] where the two have different numbers of tasks, either has fewer than [`MIN_RUNS`](crate::MIN_RUNS) runs,
/// there are no resamples, or `confidence` is not between 0 and 1.
pub fn mean_probability_of_improvement_interval(
    x: &Scores,
    y: &Scores,
    confidence: f64,
    resamples: usize,
    rng: &mut impl RngCore,
) -> Result<Interval, StatsError> {
    check_tasks(x, y)?;
    check_runs(x.n_runs().min(y.n_runs()))?;
    let mut tasks: Vec<Levels> = x.tasks().zip(y.tasks()).map(|(x, y)| Levels::new(x, y)).collect();
    percentile_interval(confidence, resamples, || {
        let of_tasks = tasks.iter_mut().map(|levels| levels.resampled(rng));
        of_tasks.sum::<f64>() / x.n_tasks() as f64
    })
}

fn check_tasks(x: &Scores, y: &Scores) -> Result<(), StatsError> {
    let (got, expected) = (y.n_tasks(), x.n_tasks());
    if got == expected { Ok(()) } else { Err(StatsError::Count { what: "tasks", got, expected }) }
}

/// Two samples as levels, their values' places among all different values, so that a resample is compared in a time that grows
/// with the runs and not with the pairs.
struct Levels {
    x: Vec<usize>,
    y: Vec<usize>,
    /// How many of a resample are at each level, of `x` and of `y`.
    counts: Vec<(usize, usize)>,
}

impl Levels {
    fn new(x: &[f64], y: &[f64]) -> Self {
        let mut values = sorted(&[x, y].concat());
        // Partial equality: −0 and 0 are a tie.
        values.dedup();
        let level = |v: &f64| values.partition_point(|w| w < v);
        let (x, y) = (x.iter().map(level).collect(), y.iter().map(level).collect());
        Levels { x, y, counts: vec![(0, 0); values.len()] }
    }

    /// The probability of improvement of one resample.
    fn resampled(&mut self, rng: &mut impl RngCore) -> f64 {
        self.counts.fill((0, 0));
        for _ in 0..self.x.len() {
            self.counts[self.x[rng.random_range(0..self.x.len())]].0 += 1;
        }
        for _ in 0..self.y.len() {
            self.counts[self.y[rng.random_range(0..self.y.len())]].1 += 1;
        }
        self.probability()
    }

    fn probability(&self) -> f64 {
        // Twice the pairs won, a tie being half of one.
        let (mut below, mut wins) = (0, 0);
        for (x, y) in &self.counts {
            wins += x * (2 * below + y);
            below += y;
        }
        wins as f64 / (2 * self.x.len() * self.y.len()) as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};

    use super::*;

    #[test]
    fn nothing_and_not_a_number_show() {
        assert!(probability_of_improvement(&[], &[1.0]).is_nan());
        assert!(probability_of_improvement(&[f64::NAN], &[1.0]).is_nan());
    }

    #[test]
    fn the_interval_holds_the_estimate() {
        let (x, y) = ([1.0, 3.0, 5.0, 7.0, 4.0], [2.0, 3.0, 4.0, 3.5, 3.0, 1.0]);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
        let Interval { low, high } =
            probability_of_improvement_interval(&x, &y, 0.95, 2000, &mut rng).unwrap();
        let estimate = probability_of_improvement(&x, &y);
        assert!(low < estimate && estimate < high && low >= 0.0 && high <= 1.0);
        let empty = probability_of_improvement_interval(&x, &[], 0.95, 10, &mut rng);
        assert_eq!(empty, Err(StatsError::NoSamples));
        let few = probability_of_improvement_interval(&x, &y[..4], 0.95, 10, &mut rng);
        assert_eq!(few, Err(StatsError::TooFewRuns { got: 4 }));
        let two = Scores::new(&[x, x]).unwrap();
        let other = mean_probability_of_improvement(&two, &Scores::new(&[y]).unwrap());
        assert_eq!(other, Err(StatsError::Count { what: "tasks", got: 1, expected: 2 }));
    }

    /// A run that failed counts as −∞: it loses against all that ended, and ties with others that failed.
    #[test]
    fn what_failed_loses() {
        let failed = f64::NEG_INFINITY;
        let p = probability_of_improvement(&[failed, 1.0], &[failed, -1000.0]);
        assert!((p - 2.5 / 4.0).abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn one_side_or_the_other(
            x in prop::collection::vec((0..6).prop_map(f64::from), 1..9),
            y in prop::collection::vec((0..6).prop_map(f64::from), 1..9),
        ) {
            let sum = probability_of_improvement(&x, &y) + probability_of_improvement(&y, &x);
            prop_assert!((sum - 1.0).abs() < 1e-12);
            prop_assert!((probability_of_improvement(&x, &x) - 0.5).abs() < 1e-12);
            // Without resampling, levels give what pairs give.
            let mut levels = Levels::new(&x, &y);
            levels.counts.fill((0, 0));
            levels.x.iter().for_each(|&l| levels.counts[l].0 += 1);
            levels.y.iter().for_each(|&l| levels.counts[l].1 += 1);
            prop_assert!((levels.probability() - probability_of_improvement(&x, &y)).abs() < 1e-12);
        }
    }
}
