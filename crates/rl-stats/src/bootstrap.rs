//! Confidence intervals by resampling.

use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};

use crate::aggregate::quantile_of_sorted;

/// What an interval cannot be computed from.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StatsError {
    /// There are no scores.
    #[error("no scores to resample")]
    NoSamples,
    /// There are no resamples.
    #[error("resamples is 0, expected at least 1")]
    NoResamples,
    /// A score that is not a number.
    #[error("score {index} is not a number")]
    NotANumber {
        /// The index of the score.
        index: usize,
    },
    /// A confidence that is no probability.
    #[error("confidence is {got}, expected a number between 0 and 1")]
    Confidence {
        /// Its value.
        got: f64,
    },
}

/// A confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// The percentile bootstrap interval of a statistic: the middle `confidence` of its values on `resamples` resamples, each
/// of which draws as many scores as there are, with replacement.
///
/// With very few scores it is narrower than it should be: of three scores there are only ten different resamples.
///
/// # Source
///
/// Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3; Agarwal et al., 2021, section 4.1 (for
/// one task, where their stratified bootstrap is this one).
///
/// # Errors
///
/// [`StatsError`] where there are no scores or resamples, a score is NaN, or `confidence` is not between 0 and 1.
///
/// # Example
///
/// ```
/// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
///
/// let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
/// let scores = [480.0, 500.0, 500.0, 490.0, 500.0];
/// let interval = rl_stats::bootstrap_interval(rl_stats::iqm, &scores, 0.95, 2000, &mut rng)?;
/// assert!(480.0 <= interval.low && interval.low < rl_stats::iqm(&scores) && interval.high <= 500.0);
/// # Ok::<(), rl_stats::StatsError>(())
/// ```
pub fn bootstrap_interval(
    statistic: impl Fn(&[f64]) -> f64,
    samples: &[f64],
    confidence: f64,
    resamples: usize,
    rng: &mut impl RngCore,
) -> Result<Interval, StatsError> {
    check_samples(samples)?;
    let mut resample = vec![0.0; samples.len()];
    percentile_interval(confidence, resamples, || {
        draw(samples, &mut resample, rng);
        statistic(&resample)
    })
}

/// The middle `confidence` of `resamples` values of `statistic`.
pub(crate) fn percentile_interval(
    confidence: f64,
    resamples: usize,
    mut statistic: impl FnMut() -> f64,
) -> Result<Interval, StatsError> {
    if !(confidence > 0.0 && confidence < 1.0) {
        return Err(StatsError::Confidence { got: confidence });
    }
    if resamples == 0 {
        return Err(StatsError::NoResamples);
    }
    let mut values: Vec<f64> = (0..resamples).map(|_| statistic()).collect();
    values.sort_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    Ok(Interval { low: quantile_of_sorted(&values, tail), high: quantile_of_sorted(&values, 1.0 - tail) })
}

pub(crate) fn check_samples(samples: &[f64]) -> Result<(), StatsError> {
    if samples.is_empty() {
        return Err(StatsError::NoSamples);
    }
    match samples.iter().position(|x| x.is_nan()) {
        Some(index) => Err(StatsError::NotANumber { index }),
        None => Ok(()),
    }
}

pub(crate) fn draw(samples: &[f64], resample: &mut [f64], rng: &mut impl RngCore) {
    for x in resample {
        *x = samples[rng.random_range(0..samples.len())];
    }
}

#[cfg(test)]
mod tests {
    use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};

    use super::*;
    use crate::{mean, std};

    fn rng(seed: u64) -> Xoshiro256PlusPlus {
        Xoshiro256PlusPlus::seed_from_u64(seed)
    }

    #[test]
    fn equal_scores_leave_no_doubt() {
        let interval = bootstrap_interval(mean, &[2.0; 5], 0.95, 100, &mut rng(0)).unwrap();
        assert!((interval.low - 2.0).abs() < 1e-15 && (interval.high - 2.0).abs() < 1e-15);
    }

    /// The mean of `n` scores 0 and 1, half each, resampled: binomial, so its 95 % interval is known.
    #[test]
    fn the_interval_of_a_mean_is_the_binomials() {
        let scores: Vec<f64> = (0..100).map(|i| f64::from(i % 2)).collect();
        let interval = bootstrap_interval(mean, &scores, 0.95, 20_000, &mut rng(0)).unwrap();
        // Binomial(100, 1/2): 2.5 % at 40 and 97.5 % at 60.
        assert!((interval.low - 0.40).abs() < 0.011, "{interval:?}");
        assert!((interval.high - 0.60).abs() < 0.011, "{interval:?}");
    }

    #[test]
    fn the_seed_decides() {
        let scores = [1.0, 2.0, 4.0, 8.0, 16.0];
        let interval = |seed| bootstrap_interval(std, &scores, 0.9, 50, &mut rng(seed)).unwrap();
        assert_eq!(interval(1), interval(1));
        assert_ne!(interval(1), interval(2));
    }

    #[test]
    fn what_makes_no_interval_is_an_error() {
        let interval = |xs: &[f64], confidence, n| bootstrap_interval(mean, xs, confidence, n, &mut rng(0));
        assert_eq!(interval(&[], 0.95, 10), Err(StatsError::NoSamples));
        assert_eq!(interval(&[1.0], 0.95, 0), Err(StatsError::NoResamples));
        assert_eq!(interval(&[1.0, f64::NAN], 0.95, 10), Err(StatsError::NotANumber { index: 1 }));
        assert_eq!(interval(&[1.0], 95.0, 10), Err(StatsError::Confidence { got: 95.0 }));
        assert!(interval(&[1.0], f64::NAN, 10).is_err());
    }
}
