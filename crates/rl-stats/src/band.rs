//! Intervals of the interquartile mean that stay valid when one stops adding runs as soon as they are narrow enough.

use std::f64::consts::PI;

use crate::Interval;
use crate::aggregate::sorted;
use crate::error::{StatsError, check_confidence, check_runs, check_samples};

/// The half-width `√(ln(2/α) / 2n)` of the band around the empirical distribution of `n` independent runs that holds the whole
/// true distribution function with probability at least `1 − α`, whatever the distribution.
///
/// # Source
///
/// Dvoretzky, Kiefer and Wolfowitz, 1956, with the constant of Massart, "The Tight Constant in the
/// Dvoretzky-Kiefer-Wolfowitz Inequality", 1990.
///
/// # Errors
///
/// [`StatsError`] where there are no runs or `alpha` is not between 0 and 1.
///
/// # Example
///
/// ```
/// let half_width = rl_stats::dkw_half_width(100, 0.05)?;
/// assert!((half_width - 0.135_81).abs() < 1e-5);
/// # Ok::<(), rl_stats::StatsError>(())
/// ```
pub fn dkw_half_width(n: usize, alpha: f64) -> Result<f64, StatsError> {
    check_confidence(1.0 - alpha)?;
    if n == 0 {
        return Err(StatsError::NoSamples);
    }
    Ok(((2.0 / alpha).ln() / (2.0 * n as f64)).sqrt())
}

/// The share `α_k = 6α / (π² k²)` of the error probability that the `k`-th look may use, `k` from 1; over all looks they add up
/// to `α`, so that all intervals hold at once.
///
/// # Source
///
/// The union bound over looks, as in Howard and Ramdas, "Sequential Estimation of Quantiles with Applications to A/B Testing
/// and Best-Arm Identification", 2022, section 3, whose stitching spends it over doubling epochs; here a look is an epoch, and
/// between looks nobody looks. Looks at growing numbers of runs (each 1.5 times the last, say) keep `k` small.
///
/// # Errors
///
/// [`StatsError`] where `alpha` is not between 0 and 1, or `look` is 0.
///
/// # Example
///
/// ```
/// let first = rl_stats::look_alpha(0.05, 1)?;
/// assert!((first - 0.030_396).abs() < 1e-6);
/// assert_eq!(rl_stats::look_alpha(0.05, 2)?, first / 4.0);
/// # Ok::<(), rl_stats::StatsError>(())
/// ```
pub fn look_alpha(alpha: f64, look: u32) -> Result<f64, StatsError> {
    check_confidence(1.0 - alpha)?;
    if look == 0 {
        return Err(StatsError::Parameter { name: "look", got: 0.0, allowed: "an integer from 1 up" });
    }
    Ok(6.0 * alpha / (PI * PI) / f64::from(look).powi(2))
}

/// The least and the greatest trimmed mean `∫_γ^{1−γ} F⁻¹(u) du / (1 − 2γ)` of any distribution within a band of half-width `ε`
/// around the empirical one: the means of `F̂⁻¹(u − ε)` and of `F̂⁻¹(u + ε)` over the same `u`.
///
/// Where the trimmed region leaves `[0, 1]` (`ε > γ`), the bounds that scores cannot exceed stand in, `support = (low, high)`;
/// without them that end is infinite. For the interquartile mean, `γ = ¼`, a half-width below ¼ needs no such bounds.
///
/// # Source
///
/// The functional is monotone in `F`, so its extremes over the band are at the band's edges; as Anderson, "Confidence Limits
/// for the Expected Value of an Arbitrary Bounded Random Variable", 1969, does for the mean (`γ = 0`).
///
/// # Units
///
/// Those of the scores.
///
/// # Errors
///
/// [`StatsError`] where there are no scores, one is NaN or outside of `support`, `half_width` is not in `[0, 1]`, or `trim` not in
/// `[0, ½)`.
///
/// # Example
///
/// Of the scores 1 to 8 the middle half is 3 to 6; shifted by one eighth, 2 to 5 and 4 to 7:
///
/// ```
/// let scores = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
/// let bounds = rl_stats::trimmed_mean_bounds(&scores, 0.125, 0.25, None)?;
/// assert_eq!((bounds.low, bounds.high), (3.5, 5.5));
/// # Ok::<(), rl_stats::StatsError>(())
/// ```
pub fn trimmed_mean_bounds(
    scores: &[f64],
    half_width: f64,
    trim: f64,
    support: Option<(f64, f64)>,
) -> Result<Interval, StatsError> {
    check_samples(scores)?;
    if !(0.0..=1.0).contains(&half_width) {
        let allowed = "a number from 0 to 1";
        return Err(StatsError::Parameter { name: "half_width", got: half_width, allowed });
    }
    if !(0.0..0.5).contains(&trim) {
        return Err(StatsError::Parameter {
            name: "trim",
            got: trim,
            allowed: "a number from 0 to below 0.5",
        });
    }
    let (low, high) = support.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
    if let Some(index) = scores.iter().position(|x| !(low..=high).contains(x)) {
        return Err(StatsError::OutOfBounds { index, got: scores[index], low, high });
    }
    let sorted = sorted(scores);
    // The mean quantile from `from` on over a range of 1 − 2γ; outside of [0, 1] a quantile is a bound.
    let span = 1.0 - 2.0 * trim;
    let pieces = |from: f64| {
        let (to, n) = (from + span, sorted.len() as f64);
        let share = |i: usize| to.min((i + 1) as f64 / n) - from.max(i as f64 / n);
        let within = sorted.iter().enumerate().map(|(i, &x)| (share(i), x)).collect::<Vec<_>>();
        [vec![(-from, low)], within, vec![(to - 1.0, high)]].concat()
    };
    Ok(Interval {
        low: weighted_mean(&pieces(trim - half_width), span, f64::NEG_INFINITY),
        high: weighted_mean(&pieces(trim + half_width), span, f64::INFINITY),
    })
}

/// `Σ w x / total` over the pieces of positive weight, exact where all their values agree; `worst` where one of them is that.
fn weighted_mean(pieces: &[(f64, f64)], total: f64, worst: f64) -> f64 {
    // What is left of a difference of equal shares is no weight.
    let weighed: Vec<(f64, f64)> = pieces.iter().copied().filter(|(w, _)| *w > 1e-12).collect();
    if weighed.iter().any(|(_, x)| x.is_infinite() && x.is_sign_negative() == worst.is_sign_negative()) {
        return worst;
    }
    let Some((_, first)) = weighed.first().copied().filter(|(_, x)| x.is_finite()) else {
        return -worst;
    };
    first + weighed.iter().map(|(w, x)| w * (x - first)).sum::<f64>() / total
}

/// Intervals of the interquartile mean at any number of looks at a growing set of runs, which all hold the truth at once with the
/// given confidence: so one may stop after any of them, for whatever reason.
///
/// The truth is the interquartile mean of the distribution that runs are drawn from. Each look takes the band of
/// [`dkw_half_width`] with its [`look_alpha`], and the extremes of [`trimmed_mean_bounds`] within. The price of validity under any
/// stopping and for any distribution is width: two to three times that of one bootstrap interval of as many runs (see
/// `docs/statistics.md` for how many runs a width takes). A share of collapsed runs below what is trimmed costs nothing once the
/// band's half-width is below ¼ less that share.
///
/// # Source
///
/// [`look_alpha`], [`trimmed_mean_bounds`].
///
/// # Example
///
/// Nineteen of twenty runs solve a task, one collapses. After 60 runs the interval is the solved runs' score alone:
///
/// ```
/// let runs: Vec<f64> = (0..60).map(|i| if i % 20 == 7 { 9.0 } else { 500.0 }).collect();
/// let mut iqm = rl_stats::SequentialIqm::new(0.95, None)?;
/// let first = iqm.look(&runs[..60])?;
/// assert_eq!((first.low, first.high), (500.0, 500.0));
/// # Ok::<(), rl_stats::StatsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct SequentialIqm {
    alpha: f64,
    support: Option<(f64, f64)>,
    looks: u32,
    runs: usize,
}

impl SequentialIqm {
    /// No look yet. `support` is what scores cannot exceed, where that is known.
    ///
    /// # Errors
    ///
    /// [`StatsError`] where `confidence` is not between 0 and 1.
    pub fn new(confidence: f64, support: Option<(f64, f64)>) -> Result<Self, StatsError> {
        check_confidence(confidence)?;
        Ok(SequentialIqm { alpha: 1.0 - confidence, support, looks: 0, runs: 0 })
    }

    /// The interval at the next look, at all runs so far. Its ends are infinite where so few runs say nothing.
    ///
    /// When to look must not depend on the scores: after fixed numbers of runs.
    ///
    /// # Errors
    ///
    /// [`StatsError`] as in [`trimmed_mean_bounds`], where there are fewer than [`MIN_RUNS`](crate::MIN_RUNS) runs, or fewer than at
    /// the last look; such a look does not count.
    pub fn look(&mut self, scores: &[f64]) -> Result<Interval, StatsError> {
        check_runs(scores.len())?;
        if scores.len() < self.runs {
            return Err(StatsError::Count { what: "runs", got: scores.len(), expected: self.runs });
        }
        let alpha = look_alpha(self.alpha, self.looks + 1)?;
        let half_width = dkw_half_width(scores.len(), alpha)?.min(1.0);
        let interval = trimmed_mean_bounds(scores, half_width, 0.25, self.support)?;
        (self.looks, self.runs) = (self.looks + 1, scores.len());
        Ok(interval)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mean;

    #[test]
    fn looks_share_the_error() {
        let spent: f64 = (1..100_000).map(|k| look_alpha(0.05, k).unwrap()).sum();
        assert!(spent <= 0.05 && spent > 0.049_99, "{spent}");
        assert!(look_alpha(0.05, 0).is_err() && look_alpha(1.0, 1).is_err());
        assert!(dkw_half_width(0, 0.05).is_err());
    }

    #[test]
    fn a_wide_band_needs_bounds() {
        let scores = [0.2, 0.4, 0.6, 0.8];
        let open = trimmed_mean_bounds(&scores, 0.3, 0.25, None).unwrap();
        assert_eq!((open.low, open.high), (f64::NEG_INFINITY, f64::INFINITY));
        let closed = trimmed_mean_bounds(&scores, 0.5, 0.25, Some((0.0, 1.0))).unwrap();
        // The lower half of u is 0 and the rest the least score: (¼·0 + ¼·0.2)/½.
        assert!((closed.low - 0.1).abs() < 1e-12 && (closed.high - 0.9).abs() < 1e-12, "{closed:?}");
        let outside = trimmed_mean_bounds(&scores, 0.3, 0.25, Some((0.0, 0.5)));
        assert_eq!(outside, Err(StatsError::OutOfBounds { index: 2, got: 0.6, low: 0.0, high: 0.5 }));
    }

    /// Failed runs at −∞ cost nothing while they are trimmed away, and everything when they are not.
    #[test]
    fn what_is_trimmed_may_be_infinite() {
        let scores: Vec<f64> = (0..10).map(|i| if i == 3 { f64::NEG_INFINITY } else { 1.0 }).collect();
        let bounds = |eps| trimmed_mean_bounds(&scores, eps, 0.25, None).unwrap();
        assert_eq!(bounds(0.1), Interval { low: 1.0, high: 1.0 });
        assert_eq!(bounds(0.2), Interval { low: f64::NEG_INFINITY, high: 1.0 });
    }

    #[test]
    fn what_is_no_look_is_refused() {
        let mut iqm = SequentialIqm::new(0.95, None).unwrap();
        assert_eq!(iqm.look(&[1.0; 4]), Err(StatsError::TooFewRuns { got: 4 }));
        iqm.look(&[1.0; 8]).unwrap();
        assert_eq!(iqm.look(&[1.0; 7]), Err(StatsError::Count { what: "runs", got: 7, expected: 8 }));
        assert!(SequentialIqm::new(1.0, None).is_err());
    }

    proptest! {
        /// Without trimming and without a band it is the mean; a band only widens.
        #[test]
        fn bounds_hold_the_estimate(xs in prop::collection::vec(0.0..1.0_f64, 1..40), eps in 0.0..0.5_f64) {
            let exact = trimmed_mean_bounds(&xs, 0.0, 0.0, None).unwrap();
            prop_assert!((exact.low - mean(&xs)).abs() < 1e-9 && (exact.high - mean(&xs)).abs() < 1e-9);
            let point = trimmed_mean_bounds(&xs, 0.0, 0.25, None).unwrap();
            let wide = trimmed_mean_bounds(&xs, eps, 0.25, Some((0.0, 1.0))).unwrap();
            prop_assert!(wide.low <= point.low + 1e-12 && point.high <= wide.high + 1e-12);
            prop_assert!(wide.low >= -1e-12 && wide.high <= 1.0 + 1e-12);
        }
    }
}
