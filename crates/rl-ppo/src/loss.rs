//! The loss of a minibatch and its gradient, in closed form.
//!
//! ```text
//! loss = −mean min(r A, clip(r, 1−ε, 1+ε) A) − c_H mean H + c_V mean (V − R)²        r = π_θ(a|s) / π_old(a|s)
//! ```

use rl_algo::{LinearizedPolicy, PolicyBatch, Reducer};
use rl_nn::{
    APART, Actions, ActionsRef, DistGrad, DistParams, Distribution, Evaluation, Network, NnError,
    PolicyModel, Real, Shards, States, gather,
};

/// The settings of the loss at one point of training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossConfig {
    /// ε
    pub clip_range: f64,
    /// The clip range of the value, if it is clipped.
    pub clip_range_vf: Option<f64>,
    /// c_H
    pub ent_coef: f64,
    /// c_V
    pub vf_coef: f64,
    /// Whether the minibatch's advantages are normalised.
    pub normalize_advantage: bool,
}

/// Some rows of a batch.
///
/// # Shapes
///
/// `rows` `[B]`; `returns` and `old_values` have a number for every row of the whole batch.
#[derive(Clone, Copy, Debug)]
pub struct Minibatch<'a, F> {
    /// States, actions, advantages and old log-probabilities of the whole batch.
    pub policy: PolicyBatch<'a, F>,
    /// The critic's targets.
    pub returns: &'a [F],
    /// The critic's values before the update.
    pub old_values: &'a [F],
    /// The minibatch's rows.
    pub rows: &'a [usize],
}

/// The policy's part of the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PolicyLoss {
    /// `−mean min(r A, clip(r) A)`
    pub policy_loss: f64,
    /// `mean H`
    pub entropy: f64,
    /// The share of rows with `|r − 1| > ε`.
    pub clip_fraction: f64,
    /// `mean((r − 1) − log r)`, the estimator k3 of KL(old‖new) (Schulman 2020, "Approximating KL divergence").
    pub approx_kl: f64,
}

/// The critic's part of the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CriticLoss {
    /// `mean (V − R)²`, the larger of the clipped and the unclipped where values are clipped.
    pub value_loss: f64,
}

/// Memory reused from minibatch to minibatch.
// Lengths and pointers change all the time: two threads must not have theirs in one cache line.
#[repr(align(128))]
pub struct Scratch<F> {
    /// For the network.
    pub shards: Shards<F>,
    pub(crate) observations: Vec<F>,
    pub(crate) masks: Vec<bool>,
    pub(crate) actions: Actions<F>,
    pub(crate) advantages: Vec<F>,
    pub(crate) old_log_probs: Vec<F>,
    pub(crate) returns: Vec<F>,
    pub(crate) old_values: Vec<F>,
    pub(crate) dy: Vec<F>,
    pub(crate) dglobals: Vec<F>,
    pub(crate) terms: Terms<F>,
}

/// Terms of the policy's loss, a number a row each; scores have more.
pub(crate) struct Terms<F> {
    log_ratio: Vec<F>,
    entropy: Vec<F>,
    weight: Vec<F>,
    scores: Vec<F>,
}

impl<F: Default> Default for Scratch<F> {
    /// Without contents, but with room, so that the arrays of two threads do not lie end to end ([`APART`]).
    fn default() -> Self {
        let room = || Vec::with_capacity(APART / size_of::<F>());
        Scratch {
            shards: Shards::default(),
            observations: room(),
            masks: Vec::new(),
            actions: Actions::default(),
            advantages: room(),
            old_log_probs: room(),
            returns: room(),
            old_values: room(),
            dy: room(),
            dglobals: room(),
            terms: Terms { log_ratio: room(), entropy: room(), weight: room(), scores: room() },
        }
    }
}

/// Actions with what the policy's loss needs of them.
///
/// # Shapes
///
/// Actions `[B, A]`, the others `[B]`.
#[derive(Clone, Copy)]
pub(crate) struct Samples<'a, F> {
    pub(crate) actions: ActionsRef<'a, F>,
    pub(crate) advantages: &'a [F],
    pub(crate) old_log_probs: &'a [F],
}

/// The policy's loss on samples, and its gradient with respect to the distribution's parameters: written to `dy` and `dglobals`. The rows are `B` of the
/// `n` of a minibatch, and give their part of its means.
#[allow(
    clippy::too_many_arguments,
    reason = "everything the loss is a function of is visible in its signature"
)]
pub(crate) fn clipped_surrogate<F: Real>(
    reducer: Reducer,
    distribution: &dyn Distribution<F>,
    pi: DistParams<'_, F>,
    samples: Samples<'_, F>,
    n: usize,
    config: &LossConfig,
    (dy, dglobals): (&mut Vec<F>, &mut Vec<F>),
    terms: &mut Terms<F>,
) -> Result<PolicyLoss, NnError> {
    let Terms { log_ratio, entropy, weight, scores } = terms;
    let (rows, inv_n) = (samples.advantages.len(), F::narrow(1.0 / n as f64));
    log_ratio.resize(rows, F::zero());
    entropy.resize(rows, F::zero());
    dy.resize(pi.y.len(), F::zero());
    scores.resize(rows * distribution.n_scores(), F::zero());
    let score = Some(DistGrad { y: dy, globals: scores });
    distribution.evaluate(pi, samples.actions, Evaluation { log_prob: log_ratio, entropy, score })?;

    // r = π_θ(a|s) / π_old(a|s), and of every row the estimate (r − 1) − log r of the divergence
    log_ratio.iter_mut().zip(samples.old_log_probs).for_each(|(log_ratio, &old)| *log_ratio -= old);
    weight.clone_from(log_ratio);
    F::exp_in_place(weight);
    F::exp_remainder_in_place(log_ratio);
    let approx_kl = reducer.mean(log_ratio);

    // min(r A, clip(r, 1−ε, 1+ε) A), and its derivative by log π: r A, or 0 where it is cut
    let (low, high) = (F::narrow(1.0 - config.clip_range), F::narrow(1.0 + config.clip_range));
    let (objective, mut n_clipped) = (log_ratio, 0);
    for ((weight, objective), &advantage) in weight.iter_mut().zip(&mut *objective).zip(samples.advantages) {
        let ratio = *weight;
        let clipped = if ratio < low {
            low
        } else if ratio > high {
            high
        } else {
            ratio
        };
        n_clipped += u32::from(ratio < low || ratio > high);
        let (free, bounded) = (ratio * advantage, clipped * advantage);
        // NaN takes the branch that shows it.
        let is_cut = bounded < free;
        *objective = if is_cut { bounded } else { free };
        *weight = if is_cut { F::zero() } else { -free * inv_n };
    }
    let losses = PolicyLoss {
        policy_loss: -reducer.mean(objective),
        entropy: reducer.mean(entropy),
        clip_fraction: f64::from(n_clipped) / rows as f64,
        approx_kl,
    };

    // Σ_b w_b ∇ log π(a_b) − c_H/n Σ_b ∇H_b
    for (dy, &weight) in dy.chunks_exact_mut(distribution.n_outputs()).zip(&*weight) {
        dy.iter_mut().for_each(|score| *score *= weight);
    }
    dglobals.clear();
    dglobals.resize(pi.globals.len(), F::zero());
    distribution.add_scores(pi, scores, weight, dglobals)?;
    if config.ent_coef > 0.0 {
        let weight = F::narrow(-config.ent_coef / n as f64);
        distribution.entropy_grad(pi, weight, DistGrad { y: dy, globals: dglobals })?;
    }
    Ok(losses)
}

/// The policy's loss on a minibatch; its gradient is written to `grad`.
///
/// # Source
///
/// Schulman et al. (2017), equation 7, and the entropy bonus of equation 9.
///
/// # Shapes
///
/// `theta` and `grad` `[policy.n_params()]`.
///
/// # Errors
///
/// [`NnError::Shape`] when policy, θ and minibatch do not fit.
///
/// # Panics
///
/// If a row lies outside the batch.
pub fn policy_loss<F: Real>(
    reducer: Reducer,
    policy: &PolicyModel<F>,
    theta: &[F],
    batch: &Minibatch<'_, F>,
    config: &LossConfig,
    grad: &mut [F],
    scratch: &mut Scratch<F>,
) -> Result<PolicyLoss, NnError> {
    scratch.gather_states(batch, batch.rows);
    scratch.gather_samples(batch, batch.rows, policy.distribution.action_len())?;
    let Scratch {
        shards, observations, masks, actions, advantages, old_log_probs, dy, dglobals, terms, ..
    } = scratch;
    if config.normalize_advantage && batch.rows.len() > 1 {
        rl_gae::normalize(advantages);
    }
    let samples = Samples { actions: actions.as_ref(), advantages, old_log_probs };
    let states = batch.states(observations, masks)?;
    let mut pi = LinearizedPolicy::new(policy, theta, states, shards)?;
    let (n, gradient) = (batch.rows.len(), (&mut *dy, &mut *dglobals));
    let distribution = &*policy.distribution;
    let losses = clipped_surrogate(reducer, distribution, pi.params(), samples, n, config, gradient, terms)?;
    pi.pull_back(dy, dglobals, grad)?;
    reducer.sum(grad);
    Ok(losses)
}

impl<F: Real> Minibatch<'_, F> {
    /// Gathered states as the batch's own are, masked or not.
    pub(crate) fn states<'s>(
        &self,
        observations: &'s [F],
        masks: &'s [bool],
    ) -> Result<States<'s, F>, NnError> {
        let masked = self.policy.observations.masks().is_some();
        States::new(observations, self.policy.observations.width())?.with_masks(masked.then_some(masks))
    }
}

impl<F: Real> Scratch<F> {
    /// Gathers the states of some rows.
    pub(crate) fn gather_states(&mut self, batch: &Minibatch<'_, F>, rows: &[usize]) {
        let states = batch.policy.observations;
        gather(states.obs(), states.width(), rows, &mut self.observations);
        if let Some(masks) = states.masks() {
            gather(masks, states.mask_width(), rows, &mut self.masks);
        }
    }

    /// Gathers their actions, advantages and old log-probabilities.
    pub(crate) fn gather_samples(
        &mut self,
        batch: &Minibatch<'_, F>,
        rows: &[usize],
        action_len: usize,
    ) -> Result<(), NnError> {
        let n = batch.policy.observations.rows();
        NnError::check("the advantages", batch.policy.advantages.len(), n)?;
        NnError::check("the old log-probabilities", batch.policy.old_log_probs.len(), n)?;
        self.actions.gather(batch.policy.actions, action_len, rows);
        gather(batch.policy.advantages, 1, rows, &mut self.advantages);
        gather(batch.policy.old_log_probs, 1, rows, &mut self.old_log_probs);
        Ok(())
    }

    /// Gathers their returns and old values.
    pub(crate) fn gather_targets(&mut self, batch: &Minibatch<'_, F>, rows: &[usize]) -> Result<(), NnError> {
        let n = batch.policy.observations.rows();
        NnError::check("the returns", batch.returns.len(), n)?;
        NnError::check("the old values", batch.old_values.len(), n)?;
        gather(batch.returns, 1, rows, &mut self.returns);
        gather(batch.old_values, 1, rows, &mut self.old_values);
        Ok(())
    }
}

/// `mean (V − R)²` of values, clipped or not, and the gradient of `c_V` times it with respect to them: passed to `push` one after another. The rows are
/// some of the `n` of a minibatch, and give their part of the gradient of its mean.
pub(crate) fn squared_error<F: Real>(
    values: impl ExactSizeIterator<Item = F>,
    returns: &[F],
    old_values: &[F],
    n: usize,
    config: &LossConfig,
    mut push: impl FnMut(F),
) -> CriticLoss {
    let (mut loss, rows) = (CriticLoss::default(), values.len() as f64);
    let scale = F::narrow(2.0 * config.vf_coef / n as f64);
    for ((v, &target), &old) in values.zip(returns).zip(old_values) {
        let (mut error, mut slope) = (v - target, F::one());
        if let Some(range) = config.clip_range_vf {
            let range = F::narrow(range);
            let moved = v - old;
            let clipped = if moved > range {
                range
            } else if moved < -range {
                -range
            } else {
                moved
            };
            let clipped_error = old + clipped - target;
            if clipped_error * clipped_error > error * error {
                // The clipped value does not depend on θ once it is cut.
                slope = if moved.abs() > range { F::zero() } else { F::one() };
                error = clipped_error;
            }
        }
        loss.value_loss += (error * error).widen();
        push(scale * error * slope);
    }
    loss.value_loss /= rows;
    loss
}

/// The critic's loss on a minibatch; the gradient of `c_V` times it is written to `grad`.
///
/// With `clip_range_vf`, `mean max((V − R)², (V_clip − R)²)` with `V_clip = V_old + clip(V − V_old, ±ε_V)`, as in OpenAI's
/// baselines; Stable-Baselines3 uses the clipped term alone.
///
/// # Shapes
///
/// `theta` and `grad` `[critic.n_params()]`.
///
/// # Errors
///
/// [`NnError::Shape`] when critic, θ and minibatch do not fit.
///
/// # Panics
///
/// If a row lies outside the batch.
pub fn critic_loss<F: Real>(
    reducer: Reducer,
    critic: &dyn Network<F>,
    theta: &[F],
    batch: &Minibatch<'_, F>,
    config: &LossConfig,
    grad: &mut [F],
    scratch: &mut Scratch<F>,
) -> Result<CriticLoss, NnError> {
    scratch.gather_states(batch, batch.rows);
    scratch.gather_targets(batch, batch.rows)?;
    let Scratch { shards, observations, returns, old_values, dy, .. } = scratch;
    let states = States::new(observations, batch.policy.observations.width())?;
    let mut value = shards.linearize(critic, theta, states)?;
    dy.clear();
    let values = value.output().iter().copied();
    let loss = squared_error(values, returns, old_values, batch.rows.len(), config, |dv| dy.push(dv));
    value.vjp(dy, grad)?;
    reducer.sum(grad);
    Ok(loss)
}
