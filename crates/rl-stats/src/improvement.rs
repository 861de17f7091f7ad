//! Whether one algorithm beats another.

use std::cmp::Ordering;

use rand::RngCore;

use crate::bootstrap::{check_samples, draw, percentile_interval};
use crate::{Interval, StatsError};

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
/// let (x, y) = ([9.0, 8.0, 7.0], [1.0, 2.0, 3.0]);
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
    check_samples(x)?;
    check_samples(y)?;
    let (mut x_drawn, mut y_drawn) = (vec![0.0; x.len()], vec![0.0; y.len()]);
    percentile_interval(confidence, resamples, || {
        draw(x, &mut x_drawn, rng);
        draw(y, &mut y_drawn, rng);
        probability_of_improvement(&x_drawn, &y_drawn)
    })
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
        let (x, y) = ([1.0, 3.0, 5.0, 7.0], [2.0, 3.0, 4.0]);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
        let Interval { low, high } =
            probability_of_improvement_interval(&x, &y, 0.95, 2000, &mut rng).unwrap();
        let estimate = probability_of_improvement(&x, &y);
        assert!(low < estimate && estimate < high && low >= 0.0 && high <= 1.0);
        let empty = probability_of_improvement_interval(&x, &[], 0.95, 10, &mut rng);
        assert_eq!(empty, Err(StatsError::NoSamples));
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
        }
    }
}
