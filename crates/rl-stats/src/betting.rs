//! Intervals of the mean of bounded scores that stay valid when one stops adding runs as soon as they are narrow enough.

use crate::Interval;
use crate::error::{StatsError, check_confidence, check_runs, check_samples};

/// Bets stake at most this share of what would ruin them.
const CAUTION: f64 = 0.5;

/// The interval of the mean of independent scores between `low` and `high`, after these runs, in their order: the intervals after
/// every number of runs hold the mean at once with the given confidence, so one may stop at any, for whatever reason.
///
/// In units of `[0, 1]`, a gambler who suspects the mean to be above `m` bets a share `λᵢ` on every run, at odds that are fair if
/// `m` is the mean, and so does one who suspects it to be below:
/// `K⁺(m) = Π (1 + min(λᵢ, c/m) (xᵢ − m))`, `K⁻(m) = Π (1 − min(λᵢ, c/(1 − m)) (xᵢ − m))`. The interval holds every `m` against
/// which neither has multiplied the stake by `2/α`, which happens to the true mean with probability at most `α`.
/// `λᵢ = √(2 ln(2/α) / (σ̂²ᵢ₋₁ i ln(i + 1)))` depends on earlier runs alone; `c = ½`.
///
/// # Source
///
/// Waudby-Smith and Ramdas, "Estimating Means of Bounded Random Variables by Betting", 2024, theorem 3 (the hedged capital process,
/// equally split) and equations (25) and (26) for the bets.
///
/// # Units
///
/// Those of the scores.
///
/// # Errors
///
/// [`StatsError`] where there are fewer than [`MIN_RUNS`](crate::MIN_RUNS) scores, one is NaN or not between `low` and `high`,
/// `high` is not above `low`, or `confidence` is not between 0 and 1.
///
/// # Example
///
/// ```
/// let scores = [0.9; 100];
/// let interval = rl_stats::mean_confidence_sequence(&scores, 0.0, 1.0, 0.95)?;
/// assert!(0.83 < interval.low && interval.low < 0.9 && 0.9 < interval.high);
/// # Ok::<(), rl_stats::StatsError>(())
/// ```
pub fn mean_confidence_sequence(
    scores: &[f64],
    low: f64,
    high: f64,
    confidence: f64,
) -> Result<Interval, StatsError> {
    check_samples(scores)?;
    check_runs(scores.len())?;
    check_confidence(confidence)?;
    let range = high - low;
    if !(range > 0.0 && range.is_finite()) {
        let allowed = "a finite number above 0";
        return Err(StatsError::Parameter { name: "high − low", got: range, allowed });
    }
    if let Some(index) = scores.iter().position(|x| !(low..=high).contains(x)) {
        return Err(StatsError::OutOfBounds { index, got: scores[index], low, high });
    }
    let up: Vec<f64> = scores.iter().map(|x| ((x - low) / range).clamp(0.0, 1.0)).collect();
    let down: Vec<f64> = up.iter().map(|x| 1.0 - x).collect();
    // The second gambler's bets are the first one's on the mirrored scores, whose variances are the same.
    let bets = bets(&up, 1.0 - confidence);
    let limit = (2.0 / (1.0 - confidence)).ln();
    Ok(Interval {
        low: low + range * lower_end(&up, &bets, limit),
        high: high - range * lower_end(&down, &bets, limit),
    })
}

/// What is bet on every run, from the runs before it.
fn bets(xs: &[f64], alpha: f64) -> Vec<f64> {
    // As if half a run of ½ with variance ¼ had come first.
    let (mut sum, mut squares) = (0.5, 0.25);
    let mut bets = Vec::with_capacity(xs.len());
    for (i, x) in xs.iter().enumerate() {
        let t = (i + 1) as f64;
        let variance = squares / t;
        bets.push((2.0 * (2.0 / alpha).ln() / (variance * t * (t + 1.0).ln())).sqrt());
        sum += x;
        squares += (x - sum / (t + 1.0)).powi(2);
    }
    bets
}

/// The least `m` in `[0, 1]` against which the gain stays below the limit; it falls with `m`.
fn lower_end(xs: &[f64], bets: &[f64], limit: f64) -> f64 {
    let log_gain = |m: f64| {
        let gains = xs.iter().zip(bets).map(|(x, bet)| (bet.min(CAUTION / m) * (x - m)).ln_1p());
        gains.sum::<f64>()
    };
    let (mut out, mut within) = (0.0, 1.0);
    if log_gain(out) < limit {
        return 0.0;
    }
    // 60 halvings of [0, 1] reach the last bit; the refused side is the safe one.
    for _ in 0..60 {
        let middle = 0.5 * (out + within);
        if log_gain(middle) < limit {
            within = middle;
        } else {
            out = middle;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mean;

    #[test]
    fn more_runs_narrow_it() {
        let xs: Vec<f64> = (0..2000).map(|i| f64::from(i * 7919 % 100) / 100.0).collect();
        let interval = |n| mean_confidence_sequence(&xs[..n], 0.0, 1.0, 0.95).unwrap();
        let width = |n| interval(n).high - interval(n).low;
        assert!(width(50) < 1.0 && width(500) < 0.5 * width(50) && width(2000) < 0.6 * width(500));
        for n in [5, 50, 500, 2000] {
            assert!(interval(n).low < mean(&xs[..n]) && mean(&xs[..n]) < interval(n).high);
        }
        assert!(width(2000) < 0.1, "{}", width(2000));
    }

    #[test]
    fn units_and_sides_do_not_matter() {
        let xs = [0.1, 0.9, 0.4, 0.6, 0.3, 0.8, 0.75, 0.2];
        let unit = mean_confidence_sequence(&xs, 0.0, 1.0, 0.9).unwrap();
        let scaled = mean_confidence_sequence(&xs.map(|x| 500.0 * x - 250.0), -250.0, 250.0, 0.9).unwrap();
        assert!((scaled.low - (500.0 * unit.low - 250.0)).abs() < 1e-9);
        let mirrored = mean_confidence_sequence(&xs.map(|x| -x), -1.0, 0.0, 0.9).unwrap();
        assert!((mirrored.low + unit.high).abs() < 1e-12 && (mirrored.high + unit.low).abs() < 1e-12);
    }

    #[test]
    fn what_is_not_bounded_is_refused() {
        let refuse = |xs: &[f64], low, high| mean_confidence_sequence(xs, low, high, 0.95).unwrap_err();
        assert_eq!(refuse(&[0.5; 4], 0.0, 1.0), StatsError::TooFewRuns { got: 4 });
        let outside = [0.5, 0.5, 0.5, 0.5, 2.0];
        let expected = StatsError::OutOfBounds { index: 4, got: 2.0, low: 0.0, high: 1.0 };
        assert_eq!(refuse(&outside, 0.0, 1.0), expected);
        assert!(matches!(refuse(&[0.5; 5], 1.0, 1.0), StatsError::Parameter { .. }));
        assert!(matches!(refuse(&[0.5; 5], f64::NEG_INFINITY, 1.0), StatsError::Parameter { .. }));
    }
}
