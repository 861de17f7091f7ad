//! How many runs score how much.

use rand::RngCore;

use crate::aggregate::quantile_of_sorted;
use crate::error::{check_confidence, check_runs};
use crate::{Interval, Scores, StatsError};

/// The performance profile `F̂(τ) = #{x > τ} / #x` at every `τ`: the share of all runs of all tasks that score more.
///
/// # Source
///
/// Agarwal et al., 2021, section 4.2, the run-score distribution; rliable's `run_score_deviation`.
///
/// # Shapes
///
/// As many shares as there are `taus`.
///
/// # Example
///
/// ```
/// let scores = rl_stats::Scores::new(&[[0.0, 1.0, 2.0, 3.0]])?;
/// assert_eq!(rl_stats::performance_profile(&scores, &[-1.0, 1.0, 2.5]), [1.0, 0.5, 0.25]);
/// # Ok::<(), rl_stats::StatsError>(())
/// ```
#[must_use]
pub fn performance_profile(scores: &Scores, taus: &[f64]) -> Vec<f64> {
    let xs = scores.pooled();
    let share = |tau: &f64| xs.iter().filter(|x| *x > tau).count() as f64 / xs.len() as f64;
    taus.iter().map(share).collect()
}

/// The stratified percentile bootstrap interval of the [`performance_profile`] at every `τ`, each for itself: at each of them
/// the interval holds the truth with `confidence`, not at all of them at once.
///
/// # Source
///
/// Agarwal et al., 2021, section 4.2; rliable's `create_performance_profile`.
///
/// # Shapes
///
/// As many intervals as there are `taus`.
///
/// # Errors
///
/// [`StatsError`] as in [`stratified_interval`](crate::stratified_interval).
pub fn performance_profile_bands(
    scores: &Scores,
    taus: &[f64],
    confidence: f64,
    resamples: usize,
    rng: &mut impl RngCore,
) -> Result<Vec<Interval>, StatsError> {
    check_runs(scores.n_runs())?;
    check_confidence(confidence)?;
    if resamples == 0 {
        return Err(StatsError::NoResamples);
    }
    let mut shares: Vec<Vec<f64>> = vec![Vec::with_capacity(resamples); taus.len()];
    let mut resample = scores.clone();
    for _ in 0..resamples {
        scores.resample(&mut resample, rng);
        for (shares, share) in shares.iter_mut().zip(performance_profile(&resample, taus)) {
            shares.push(share);
        }
    }
    let tail = (1.0 - confidence) / 2.0;
    let interval = |mut shares: Vec<f64>| {
        shares.sort_by(f64::total_cmp);
        Interval { low: quantile_of_sorted(&shares, tail), high: quantile_of_sorted(&shares, 1.0 - tail) }
    };
    Ok(shares.into_iter().map(interval).collect())
}

#[cfg(test)]
mod tests {
    use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};

    use super::*;

    #[test]
    fn a_profile_falls_and_its_bands_hold_it() {
        let scores = Scores::new(&[[0.1, 0.5, 0.5, 0.9, 1.2, 0.3], [0.0, 0.2, 0.7, 0.7, 0.8, 1.0]]).unwrap();
        let taus: Vec<f64> = (0..=13).map(|i| f64::from(i) / 10.0).collect();
        let profile = performance_profile(&scores, &taus);
        assert!(profile.windows(2).all(|w| w[1] <= w[0]));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
        let bands = performance_profile_bands(&scores, &taus, 0.95, 1000, &mut rng).unwrap();
        for (share, band) in profile.iter().zip(&bands) {
            assert!(band.low <= *share && *share <= band.high, "{share} {band:?}");
        }
        // A profile is the share of the whole where every run agrees, without doubt at either end.
        assert_eq!((bands[13].low, bands[13].high), (0.0, 0.0));
        let few = Scores::new(&[[1.0; 4]]).unwrap();
        let refused = performance_profile_bands(&few, &taus, 0.95, 10, &mut rng);
        assert_eq!(refused, Err(StatsError::TooFewRuns { got: 4 }));
    }
}
