//! Wilcoxon's signed-rank test of paired differences.

use crate::error::StatsError;
use crate::paired::paired_differences;
use crate::special::normal_cdf;

/// The most differences for which the test is exact.
const EXACT: usize = 50;

/// What Wilcoxon's signed-rank test says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wilcoxon {
    /// The lesser of the sums of ranks of positive and of negative differences.
    pub statistic: f64,
    /// The differences that are not 0.
    pub pairs: usize,
    /// The two-sided p-value.
    pub p_value: f64,
    /// Whether it is exact, and not from the normal approximation.
    pub exact: bool,
}

/// Wilcoxon's signed-rank test of whether paired differences are symmetric about 0.
///
/// Differences of 0 are dropped, the others ranked by size, equal ones sharing their mean rank. Up to 50 differences the p-value
/// is exact, given the ranks: the distribution of the rank sum over all signs. Beyond, it is normal with mean
/// `n(n + 1)/4` and variance `n(n + 1)(2n + 1)/24 − Σ(t³ − t)/48` over groups of `t` equal sizes, without correction for
/// continuity.
///
/// Five pairs cannot give a p-value below 2/2⁵ = 0.0625; six are the least for 5 %.
///
/// # Source
///
/// Wilcoxon, "Individual Comparisons by Ranking Methods", 1945; SciPy's `wilcoxon` (which turns to the normal approximation
/// from 14 on where sizes are equal or 0; the exact distribution stands here).
///
/// # Errors
///
/// [`StatsError`] as in [`paired_differences`], and [`StatsError::NoVariation`] where all differences are 0.
///
/// # Example
///
/// All five differences positive: one of 2⁵ signs, on either side.
///
/// ```
/// let test = rl_stats::wilcoxon_signed_rank(&[1.0, 2.0, 3.0, 4.0, 5.0], &[0.0; 5])?;
/// assert!(test.exact && test.statistic == 0.0);
/// assert!((test.p_value - 2.0 / 32.0).abs() < 1e-15);
/// # Ok::<(), rl_stats::StatsError>(())
/// ```
pub fn wilcoxon_signed_rank(x: &[f64], y: &[f64]) -> Result<Wilcoxon, StatsError> {
    let mut differences = paired_differences(x, y)?;
    // Not `!=`: a difference is a number here.
    differences.retain(|d| d.abs() > 0.0);
    let n = differences.len();
    if n == 0 {
        return Err(StatsError::NoVariation { all: 0.0 });
    }
    differences.sort_by(|a, b| a.abs().total_cmp(&b.abs()));

    // Twice the ranks, which are whole numbers: a group in places `first` to `first + t − 1`, from 1, has the mean rank
    // `first + (t − 1)/2`.
    let (mut ranks, mut ties) = (Vec::with_capacity(n), 0.0);
    for group in differences.chunk_by(|a, b| a.abs().total_cmp(&b.abs()).is_eq()) {
        let (first, t) = (ranks.len() + 1, group.len());
        ranks.extend(std::iter::repeat_n(2 * first + t - 1, t));
        ties += (t as f64).powi(3) - t as f64;
    }
    let positive: usize = differences.iter().zip(&ranks).filter(|(d, _)| **d > 0.0).map(|(_, r)| r).sum();
    let least = positive.min(n * (n + 1) - positive);
    let exact = n <= EXACT;
    let p_value = if exact { exact_p(&ranks, least) } else { normal_p(n as f64, least as f64 / 2.0, ties) };
    Ok(Wilcoxon { statistic: least as f64 / 2.0, pairs: n, p_value, exact })
}

/// Twice the probability that a sum of ranks with random signs is at most `least`, at most 1.
fn exact_p(ranks: &[usize], least: usize) -> f64 {
    // `share[s]`: the probability that the ranks so far sum to `s`; sums above `least` cannot come back.
    let mut share = vec![0.0; least + 1];
    share[0] = 1.0;
    for &rank in ranks {
        for s in (0..=least).rev() {
            let with = if s >= rank { share[s - rank] } else { 0.0 };
            share[s] = 0.5 * (share[s] + with);
        }
    }
    (2.0 * share.iter().sum::<f64>()).min(1.0)
}

fn normal_p(n: f64, least: f64, ties: f64) -> f64 {
    let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - ties / 48.0;
    2.0 * normal_cdf((least - n * (n + 1.0) / 4.0) / variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twice the number of signs, of all 2ⁿ, that sum to at most the statistic, for ranks with ties.
    #[test]
    fn exact_is_what_counting_gives() {
        let d = [1.0, -2.0, 2.0, 2.0, 3.0, -4.0, 5.0, 5.0, 6.0];
        let ranks = [1.0, 3.0, 3.0, 3.0, 5.0, 6.0, 7.5, 7.5, 9.0];
        let least: f64 = 3.0 + 6.0;
        let sum = |signs: u32| (0..9).filter(|i| signs >> i & 1 == 1).map(|i| ranks[i]).sum::<f64>();
        let count = (0..512).filter(|&signs| sum(signs) <= least).count();
        let test = wilcoxon_signed_rank(&d, &[0.0; 9]).unwrap();
        assert!((test.statistic - least).abs() < 1e-12);
        assert!((test.p_value - 2.0 * count as f64 / 512.0).abs() < 1e-12);
    }

    #[test]
    fn both_methods_agree_where_they_meet() {
        let d: Vec<f64> = (1..=50).map(|i| f64::from(i) * if i % 3 == 0 { -1.0 } else { 1.0 }).collect();
        let zeros = vec![0.0; 50];
        let test = wilcoxon_signed_rank(&d, &zeros).unwrap();
        assert!(test.exact);
        let normal = normal_p(50.0, test.statistic, 0.0);
        assert!((test.p_value - normal).abs() < 0.03 * normal, "{} {normal}", test.p_value);
        let swapped = wilcoxon_signed_rank(&zeros, &d).unwrap();
        assert_eq!(swapped, test);
    }

    #[test]
    fn nothing_but_zeros_is_an_error() {
        assert_eq!(wilcoxon_signed_rank(&[1.0; 7], &[1.0; 7]), Err(StatsError::NoVariation { all: 0.0 }));
    }
}
