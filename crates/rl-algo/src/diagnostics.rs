//! What an update did to the policy, measured the same way for every algorithm.

use rl_kernels::elementary;
use rl_nn::{DistParams, Evaluation, NnError, PolicyModel, Real, Shards};

use crate::{PolicyBatch, Reducer};

/// The change of a policy over an update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolicyChange {
    /// Mean over states of KL(old‖new).
    pub kl_mean: f64,
    /// The largest KL(old‖new) over states.
    pub kl_max: f64,
    /// Mean entropy of the new policy.
    pub entropy: f64,
    /// `mean((π_new/π_old − 1) A)`.
    pub surrogate_gain: f64,
}

impl PolicyChange {
    /// What of it is not a finite number, if anything is.
    pub fn non_finite(&self) -> Option<&'static str> {
        let values = [
            (self.kl_mean, "mean KL divergence"),
            (self.kl_max, "largest KL divergence"),
            (self.entropy, "entropy"),
            (self.surrogate_gain, "surrogate gain"),
        ];
        values.into_iter().find(|(value, _)| !value.is_finite()).map(|(_, what)| what)
    }
}

/// Compares the policy at `theta` with the one that collected the batch, on all its states.
///
/// # Errors
///
/// [`NnError::Shape`] when policy and batch do not fit.
pub fn policy_change(
    reducer: Reducer,
    policy: &PolicyModel<f32>,
    theta: &[f32],
    batch: &PolicyBatch<'_, f32>,
    old: DistParams<'_, f32>,
    shards: &mut Shards<f32>,
) -> Result<PolicyChange, NnError> {
    let rows = batch.observations.rows();
    let mut y = vec![0.0; rows * policy.network.n_outputs()];
    shards.forward(&*policy.network, policy.split(theta)?.0, &batch.observations, &mut y)?;
    policy.mask(&batch.observations, &mut y)?;
    let new = policy.params(&y, theta)?;
    let mut x = vec![0.0; rows];
    policy.distribution.kl(old, new, &mut x)?;
    let (kl_mean, kl_max) = (reducer.mean(&x), reducer.max(&x));
    let mut log_ratios = vec![0.0; rows];
    let evaluation = Evaluation { log_prob: &mut log_ratios, entropy: &mut x, score: None };
    policy.distribution.evaluate(new, batch.actions, evaluation)?;
    let entropy = reducer.mean(&x);
    log_ratios.iter_mut().zip(batch.old_log_probs).for_each(|(log_ratio, old)| *log_ratio -= old);
    x.copy_from_slice(&log_ratios);
    f32::exp_remainder_in_place(&mut x);
    for ((x, log_ratio), advantage) in x.iter_mut().zip(&log_ratios).zip(batch.advantages) {
        // r − 1, as (r − 1 − log r) + log r where r is near 1, for neither sum cancels there.
        let ratio_minus_1 = if log_ratio.abs() < 1.0 {
            *x + log_ratio
        } else {
            elementary::exp_m1(f64::from(*log_ratio)) as f32
        };
        *x = ratio_minus_1 * advantage;
    }
    Ok(PolicyChange { kl_mean, kl_max, entropy, surrogate_gain: reducer.mean(&x) })
}
