//! Two algorithms on the same seeds.

use rand::RngCore;

use crate::error::{StatsError, check_confidence, check_runs, check_samples};
use crate::special::{student_cdf, student_quantile};
use crate::{Interval, bootstrap_interval, mean};

/// The differences `xᵢ − yᵢ` of runs that share a seed; what a seed makes easy or hard for both cancels in them.
///
/// # Errors
///
/// [`StatsError`] where there is no pair, the two are not equally many, or a difference is NaN (as of two failed runs at −∞).
///
/// # Example
///
/// ```
/// assert_eq!(rl_stats::paired_differences(&[5.0, 2.0], &[1.0, 3.0])?, [4.0, -1.0]);
/// # Ok::<(), rl_stats::StatsError>(())
/// ```
pub fn paired_differences(x: &[f64], y: &[f64]) -> Result<Vec<f64>, StatsError> {
    if x.len() != y.len() {
        return Err(StatsError::Count { what: "partners", got: y.len(), expected: x.len() });
    }
    let differences: Vec<f64> = x.iter().zip(y).map(|(x, y)| x - y).collect();
    check_samples(&differences)?;
    Ok(differences)
}

/// The percentile bootstrap interval of a statistic (such as [`mean`] or [`iqm`](crate::iqm)) of the paired differences,
/// resampling pairs.
///
/// # Source
///
/// Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3, on the differences.
///
/// # Errors
///
/// [`StatsError`] as in [`paired_differences`] and [`bootstrap_interval`].
pub fn paired_interval(
    statistic: impl Fn(&[f64]) -> f64,
    x: &[f64],
    y: &[f64],
    confidence: f64,
    resamples: usize,
    rng: &mut impl RngCore,
) -> Result<Interval, StatsError> {
    bootstrap_interval(statistic, &paired_differences(x, y)?, confidence, resamples, rng)
}

/// What a paired t-test says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedT {
    /// `t = mean / (s / √n)`, with `s` the n − 1 standard deviation of the differences.
    pub t: f64,
    /// `n − 1`.
    pub degrees_of_freedom: usize,
    /// The two-sided p-value: how probably `|t|` is at least as large where the differences have mean 0 and are normal.
    pub p_value: f64,
}

/// Student's t-test of whether the paired differences have mean 0.
///
/// It takes differences as normal, or so many that their mean is; with a few collapsed seeds among few,
/// [`wilcoxon_signed_rank`](crate::wilcoxon_signed_rank) is the safer one.
///
/// # Source
///
/// SciPy's `ttest_rel`.
///
/// # Errors
///
/// [`StatsError`] as in [`paired_differences`], where there is only one pair, and [`StatsError::NoVariation`] where all
/// differences are equal.
///
/// # Example
///
/// Differences 1, 2 and 3: mean 2, standard deviation 1.
///
/// ```
/// let test = rl_stats::paired_t_test(&[2.0, 4.0, 6.0], &[1.0, 2.0, 3.0])?;
/// assert!((test.t - 2.0 * 3.0_f64.sqrt()).abs() < 1e-12 && test.degrees_of_freedom == 2);
/// # Ok::<(), rl_stats::StatsError>(())
/// ```
pub fn paired_t_test(x: &[f64], y: &[f64]) -> Result<PairedT, StatsError> {
    let differences = paired_differences(x, y)?;
    let (mean, standard_error) = moments(&differences)?;
    let t = mean / standard_error;
    let df = differences.len() - 1;
    Ok(PairedT { t, degrees_of_freedom: df, p_value: 2.0 * student_cdf(-t.abs(), df as f64) })
}

/// Student's t interval of the mean paired difference, `mean ± t_{n−1} s / √n`.
///
/// # Source
///
/// SciPy's `ttest_rel(…).confidence_interval`.
///
/// # Errors
///
/// [`StatsError`] as in [`paired_t_test`], where there are fewer than [`MIN_RUNS`](crate::MIN_RUNS) pairs, or `confidence`
/// is not between 0 and 1.
pub fn paired_t_interval(x: &[f64], y: &[f64], confidence: f64) -> Result<Interval, StatsError> {
    let differences = paired_differences(x, y)?;
    check_runs(differences.len())?;
    check_confidence(confidence)?;
    let (mean, standard_error) = moments(&differences)?;
    let half = student_quantile(0.5 + 0.5 * confidence, (differences.len() - 1) as f64) * standard_error;
    Ok(Interval { low: mean - half, high: mean + half })
}

/// The mean of the differences and its standard error.
fn moments(differences: &[f64]) -> Result<(f64, f64), StatsError> {
    let n = differences.len();
    if n < 2 {
        return Err(StatsError::Count { what: "pairs", got: n, expected: 2 });
    }
    let mean = mean(differences);
    let squares: f64 = differences.iter().map(|d| (d - mean).powi(2)).sum();
    if squares <= 0.0 {
        return Err(StatsError::NoVariation { all: mean });
    }
    Ok((mean, (squares / (n - 1) as f64 / n as f64).sqrt()))
}

#[cfg(test)]
mod tests {
    use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};

    use super::*;

    #[test]
    fn what_seeds_share_cancels() {
        let hard: Vec<f64> = (0..8).map(|i| f64::from(i * i) * 10.0).collect();
        let better: Vec<f64> = hard.iter().enumerate().map(|(i, h)| h + 1.0 + 0.1 * i as f64).collect();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
        let interval = paired_interval(mean, &better, &hard, 0.95, 2000, &mut rng).unwrap();
        assert!(interval.low > 1.0 && interval.high < 1.7, "{interval:?}");
        let t = paired_t_interval(&better, &hard, 0.95).unwrap();
        assert!(t.low > 1.0 && t.high < 1.7, "{t:?}");
        assert!(paired_t_test(&better, &hard).unwrap().p_value < 1e-4);
    }

    #[test]
    fn what_makes_no_test_is_an_error() {
        let unpaired = paired_t_test(&[1.0, 2.0], &[1.0]);
        assert_eq!(unpaired, Err(StatsError::Count { what: "partners", got: 1, expected: 2 }));
        assert_eq!(paired_t_test(&[2.0; 3], &[1.0; 3]), Err(StatsError::NoVariation { all: 1.0 }));
        assert_eq!(
            paired_t_interval(&[1.0, 2.0, 3.0, 4.0], &[0.0; 4], 0.95),
            Err(StatsError::TooFewRuns { got: 4 })
        );
        let failed = [f64::NEG_INFINITY, 1.0];
        assert_eq!(paired_differences(&failed, &failed), Err(StatsError::NotANumber { index: 0 }));
    }
}
