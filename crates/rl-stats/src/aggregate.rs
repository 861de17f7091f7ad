//! One number for many scores.

/// The mean `Σ xᵢ / n`; NaN where there are no scores.
///
/// # Example
///
/// ```
/// assert_eq!(rl_stats::mean(&[1.0, 2.0, 6.0]), 3.0);
/// assert!(rl_stats::mean(&[]).is_nan());
/// ```
#[must_use]
pub fn mean(xs: &[f64]) -> f64 {
    xs.iter().sum::<f64>() / xs.len() as f64
}

/// The standard deviation `√(Σ (xᵢ − mean)² / n)`; NaN where there are no scores, 0 where there is one.
///
/// # Source
///
/// NumPy's `std` with its default `ddof = 0`, which is what Stable-Baselines3's `evaluate_policy` reports.
///
/// # Example
///
/// Squared deviations 4, 1 and 9:
///
/// ```
/// assert_eq!(rl_stats::std(&[1.0, 2.0, 6.0]), (14.0_f64 / 3.0).sqrt());
/// assert_eq!(rl_stats::std(&[5.0]), 0.0);
/// ```
#[must_use]
pub fn std(xs: &[f64]) -> f64 {
    let mean = mean(xs);
    (xs.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / xs.len() as f64).sqrt()
}

/// The interquartile mean: the mean without the lowest and the highest quarter; NaN where there are no scores.
///
/// Each end loses `⌊n/4⌋` scores, so with fewer than four scores it is the mean.
///
/// # Source
///
/// Agarwal et al., 2021, section 4.3; rliable's `aggregate_iqm`, which is SciPy's `trim_mean` with 25 %.
///
/// # Example
///
/// An outlier does not move it:
///
/// ```
/// assert_eq!(rl_stats::iqm(&[4.0, 1.0, 2.0, 3.0, 1000.0]), 3.0);
/// assert_eq!(rl_stats::iqm(&[1.0, 2.0, 6.0]), 3.0);
/// ```
#[must_use]
pub fn iqm(xs: &[f64]) -> f64 {
    let sorted = sorted(xs);
    let cut = xs.len() / 4;
    mean(&sorted[cut..xs.len() - cut])
}

/// The median: the middle score, or the mean of the two in the middle; NaN where there are no scores.
///
/// # Example
///
/// ```
/// assert_eq!(rl_stats::median(&[7.0, 1.0, 2.0]), 2.0);
/// assert_eq!(rl_stats::median(&[7.0, 1.0, 2.0, 4.0]), 3.0);
/// ```
#[must_use]
pub fn median(xs: &[f64]) -> f64 {
    quantile(xs, 0.5)
}

/// The optimality gap `γ − Σ min(xᵢ, γ) / n`: by how much the scores fall short of `γ` on average, where none makes up for
/// another by exceeding it; NaN where there are no scores or one is NaN.
///
/// # Source
///
/// Agarwal et al., 2021, section 4.3; rliable's `aggregate_optimality_gap`.
///
/// # Units
///
/// Those of the scores; with normalised scores γ = 1 is the usual choice.
///
/// # Example
///
/// The score 3 counts as 1, so the mean is (0.5 + 1) / 2:
///
/// ```
/// assert_eq!(rl_stats::optimality_gap(&[0.5, 3.0], 1.0), 0.25);
/// ```
#[must_use]
pub fn optimality_gap(xs: &[f64], gamma: f64) -> f64 {
    // Not `f64::min`, which would hide a NaN.
    let clipped = xs.iter().map(|&x| if x > gamma { gamma } else { x });
    gamma - clipped.sum::<f64>() / xs.len() as f64
}

/// The quantile `q` (0 the least, ½ the median, 1 the greatest), linear between scores; NaN where there are none or `q`
/// is outside `[0, 1]`.
///
/// # Source
///
/// Hyndman and Fan, "Sample Quantiles in Statistical Packages", 1996, definition 7; NumPy's default.
///
/// # Example
///
/// ```
/// assert_eq!(rl_stats::quantile(&[3.0, 1.0, 2.0], 0.5), 2.0);
/// assert_eq!(rl_stats::quantile(&[10.0, 20.0], 0.25), 12.5);
/// ```
#[must_use]
pub fn quantile(xs: &[f64], q: f64) -> f64 {
    quantile_of_sorted(&sorted(xs), q)
}

pub(crate) fn quantile_of_sorted(sorted: &[f64], q: f64) -> f64 {
    if sorted.is_empty() || !(0.0..=1.0).contains(&q) {
        return f64::NAN;
    }
    let position = q * (sorted.len() - 1) as f64;
    let below = position.floor();
    let low = sorted[below as usize];
    let high = sorted[position.ceil() as usize];
    low + (position - below) * (high - low)
}

pub(crate) fn sorted(xs: &[f64]) -> Vec<f64> {
    let mut sorted = xs.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn iqm_of_few() {
        let close = |a: f64, b: f64| (a - b).abs() < 1e-15;
        assert!(iqm(&[]).is_nan());
        assert!(close(iqm(&[7.0]), 7.0));
        assert!(close(iqm(&[1.0, 3.0]), 2.0));
        // Four scores lose one at each end, seven too, eight two.
        assert!(close(iqm(&[0.0, 2.0, 4.0, 100.0]), 3.0));
        assert!(close(iqm(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 100.0]), 3.0));
        assert!(close(iqm(&[0.0, 0.0, 1.0, 2.0, 3.0, 6.0, 100.0, 100.0]), 3.0));
    }

    #[test]
    fn a_score_that_is_not_a_number_shows() {
        assert!(mean(&[1.0, f64::NAN]).is_nan());
        assert!(std(&[1.0, f64::NAN]).is_nan());
        assert!(iqm(&[1.0, f64::NAN]).is_nan());
        assert!(quantile(&[1.0], f64::NAN).is_nan());
        assert!(median(&[1.0, f64::NAN, f64::NAN]).is_nan());
        assert!(optimality_gap(&[1.0, f64::NAN], 1.0).is_nan());
    }

    proptest! {
        #[test]
        fn aggregates_lie_between_the_extremes(xs in prop::collection::vec(-100.0..100.0_f64, 1..30), q in 0.0..=1.0) {
            let (low, high) = (quantile(&xs, 0.0), quantile(&xs, 1.0));
            for x in [mean(&xs), iqm(&xs), quantile(&xs, q)] {
                prop_assert!(low - 1e-9 <= x && x <= high + 1e-9);
            }
        }
    }
}
