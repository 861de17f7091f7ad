//! One number for a learning curve.

use crate::error::{StatsError, check_samples};

/// The normalised area under a learning curve, `∫ y dx / (x_last − x_first)` by the trapezoid rule: the mean score over the
/// training, which rewards learning early as well as ending high.
///
/// # Source
///
/// The rule of SciPy's `trapezoid`; the division makes it a score, comparable over budgets.
///
/// # Units
///
/// Those of `values`; `steps` may be steps or seconds.
///
/// # Errors
///
/// [`StatsError`] where there are fewer than two points, more steps than values or fewer, steps that do not increase, or NaN.
///
/// # Example
///
/// Up from 0 to 10 in the first half, then level: the means of the halves are 5 and 10.
///
/// ```
/// assert_eq!(rl_stats::area_under_curve(&[0.0, 100.0, 200.0], &[0.0, 10.0, 10.0])?, 7.5);
/// # Ok::<(), rl_stats::StatsError>(())
/// ```
pub fn area_under_curve(steps: &[f64], values: &[f64]) -> Result<f64, StatsError> {
    check_samples(steps)?;
    check_samples(values)?;
    let n = steps.len();
    if values.len() != n {
        return Err(StatsError::Count { what: "values of the curve", got: values.len(), expected: n });
    }
    if n < 2 {
        return Err(StatsError::Count { what: "points of the curve", got: n, expected: 2 });
    }
    if let Some(i) = (1..n).find(|&i| steps[i] <= steps[i - 1]) {
        return Err(StatsError::NotIncreasing { index: i });
    }
    let pieces = (1..n).map(|i| 0.5 * (values[i] + values[i - 1]) * (steps[i] - steps[i - 1]));
    Ok(pieces.sum::<f64>() / (steps[n - 1] - steps[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_curve_is_refused() {
        assert_eq!(area_under_curve(&[], &[]), Err(StatsError::NoSamples));
        let one = area_under_curve(&[1.0], &[1.0]);
        assert_eq!(one, Err(StatsError::Count { what: "points of the curve", got: 1, expected: 2 }));
        let more = area_under_curve(&[1.0, 2.0], &[1.0]);
        assert_eq!(more, Err(StatsError::Count { what: "values of the curve", got: 1, expected: 2 }));
        let back = area_under_curve(&[1.0, 2.0, 2.0], &[1.0; 3]);
        assert_eq!(back, Err(StatsError::NotIncreasing { index: 2 }));
        assert_eq!(area_under_curve(&[1.0, 2.0], &[1.0, f64::NAN]), Err(StatsError::NotANumber { index: 1 }));
    }
}
