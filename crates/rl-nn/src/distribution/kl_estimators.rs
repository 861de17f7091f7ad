//! Monte-Carlo estimators of the KL divergence.

use rl_kernels::elementary::exp_m1;

use super::{DistParams, Distribution, Noise, SampleRng};
use crate::{NnError, Real};

/// `k1 = −log r` of every sample, `r = π_new(a) / π_old(a)`, `a ~ π_old`, averaged: unbiased, and of either sign.
///
/// # Source
///
/// Schulman (2020), "Approximating KL divergence".
///
/// ```
/// let log_ratios = [0.1, -0.3];
/// assert!((rl_nn::distribution::k1(&log_ratios) - 0.1).abs() < 1e-15);
/// ```
pub fn k1<F: Real>(log_ratios: &[F]) -> f64 {
    -rl_kernels::sum(log_ratios, |x| x) / log_ratios.len() as f64
}

/// `k3 = (r − 1) − log r` of every sample, averaged: unbiased, never negative, and of a smaller variance than [`k1`] where the two policies are
/// close.
///
/// # Source
///
/// As [`k1`].
pub fn k3<F: Real>(log_ratios: &[F]) -> f64 {
    let terms = log_ratios.iter().map(|log_ratio| exp_m1(log_ratio.widen()) - log_ratio.widen());
    terms.sum::<f64>() / log_ratios.len() as f64
}

/// `out[b] = (1/M) Σ_j log(π_old(a_j|s_b) / π_new(a_j|s_b))` with `M` actions `a_j ~ π_old(·|s_b)` of every state, drawn from that state's
/// generator: an estimate of every state's KL(old‖new) where no closed form is at hand, with a standard error that falls as `1/√M`.
///
/// # Source
///
/// The Monte-Carlo estimate of Schulman et al. (2015), section 5, with actions sampled at every state.
///
/// # Shapes
///
/// `out` and `rngs` `[rows]`.
///
/// # Errors
///
/// [`NnError::Shape`] for slices that do not fit.
pub fn sampled_kl<F: Real>(
    distribution: &dyn Distribution<F>,
    old: DistParams<'_, F>,
    new: DistParams<'_, F>,
    m: usize,
    rngs: Vec<SampleRng>,
    out: &mut [f64],
) -> Result<(), NnError> {
    NnError::check("the divergences", out.len(), rngs.len())?;
    let rows = out.len();
    let (mut noise, mut actions) = (Noise::new(rngs), distribution.new_actions());
    let (mut log_old, mut log_new) = (vec![F::zero(); rows], vec![F::zero(); rows]);
    out.fill(0.0);
    for _ in 0..m {
        // Noise that outlives a step would make the draws dependent.
        noise.begin();
        actions.clear();
        distribution.sample(old, &mut noise, &mut actions, &mut log_old)?;
        distribution.log_prob(new, actions.as_ref(), &mut log_new)?;
        for (out, (old, new)) in out.iter_mut().zip(log_old.iter().zip(&log_new)) {
            *out += (old.widen() - new.widen()) / m as f64;
        }
    }
    Ok(())
}
