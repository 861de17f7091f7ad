//! The loss of a minibatch and its gradient, in closed form.
//!
//! ```text
//! loss = −mean min(r A, clip(r, 1−ε, 1+ε) A) − c_H mean H + c_V mean (V − R)²        r = π_θ(a|s) / π_old(a|s)
//! ```

use rl_algo::{LinearizedPolicy, Reducer};
use rl_nn::{Actions, ActionsRef, DistGrad, Input, Network, NnError, Pair, PolicyModel, Real, Shards};
use rl_optim::vector;

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

/// The rows of a minibatch.
///
/// # Shapes
///
/// `observations` `[B, O]`, `actions` `[B, A]`, the others `[B]`.
#[derive(Clone, Debug)]
pub struct Minibatch<F> {
    /// States.
    pub observations: Vec<F>,
    /// Actions.
    pub actions: Actions<F>,
    /// `log π_old(a|s)`
    pub old_log_probs: Vec<F>,
    /// Advantages.
    pub advantages: Vec<F>,
    /// The critic's targets.
    pub returns: Vec<F>,
    /// The critic's values before the update.
    pub old_values: Vec<F>,
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
#[derive(Default)]
pub struct Scratch<F> {
    /// For the network.
    pub shards: Shards<F>,
    weights: Vec<F>,
    log_ratios: Vec<F>,
    advantages: Vec<F>,
    dy: Vec<F>,
    dglobals: Vec<F>,
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
pub fn policy_loss<F: Real>(
    reducer: Reducer,
    policy: &PolicyModel<F>,
    theta: &[F],
    batch: &Minibatch<F>,
    config: &LossConfig,
    grad: &mut [F],
    scratch: &mut Scratch<F>,
) -> Result<PolicyLoss, NnError> {
    let Scratch { shards, weights, log_ratios, advantages, dy, dglobals } = scratch;
    let rows = batch.advantages.len();
    NnError::check("the old log-probabilities", batch.old_log_probs.len(), rows)?;
    advantages.clone_from(&batch.advantages);
    if config.normalize_advantage && rows > 1 {
        rl_gae::normalize(advantages);
    }
    let distribution = &*policy.distribution;
    let observations = Input::new(&batch.observations, policy.network.n_inputs())?;
    let mut pi = LinearizedPolicy::new(policy, theta, observations, shards)?;

    weights.resize(rows, F::zero());
    log_ratios.resize(rows, F::zero());
    distribution.log_prob_and_entropy(pi.params(), batch.actions.as_ref(), log_ratios, weights)?;
    let mut losses = PolicyLoss { entropy: reducer.mean(weights), ..PolicyLoss::default() };
    log_ratios.iter_mut().zip(&batch.old_log_probs).for_each(|(w, &old)| *w -= old);
    weights.clone_from(log_ratios);
    F::exp_in_place(weights);
    let (low, high) = (F::narrow(1.0 - config.clip_range), F::narrow(1.0 + config.clip_range));
    let n = rows as f64;
    let inv_n = F::narrow(1.0 / n);
    for ((w, log_ratio), &advantage) in weights.iter_mut().zip(&*log_ratios).zip(&*advantages) {
        let ratio = *w;
        let clipped = if ratio < low {
            low
        } else if ratio > high {
            high
        } else {
            ratio
        };
        let (free, bounded) = (ratio * advantage, clipped * advantage);
        losses.approx_kl += ratio.widen() - 1.0 - log_ratio.widen();
        losses.clip_fraction += if ratio < low || ratio > high { 1.0 } else { 0.0 };
        // Where the clipped term is the smaller one the loss is constant in θ. NaN takes the first branch and shows.
        let cut = bounded < free;
        losses.policy_loss -= if cut { bounded.widen() } else { free.widen() };
        *w = if cut { F::zero() } else { -free * inv_n };
    }
    for sum in [&mut losses.approx_kl, &mut losses.clip_fraction, &mut losses.policy_loss] {
        *sum /= n;
    }

    dy.clear();
    dy.resize(pi.params().y.len(), F::zero());
    dglobals.clear();
    dglobals.resize(distribution.n_globals(), F::zero());
    let actions: ActionsRef<'_, F> = batch.actions.as_ref();
    distribution.log_prob_grad(pi.params(), actions, weights, DistGrad { y: dy, globals: dglobals })?;
    if config.ent_coef > 0.0 {
        let weight = F::narrow(-config.ent_coef / n);
        distribution.entropy_grad(pi.params(), weight, DistGrad { y: dy, globals: dglobals })?;
    }
    pi.pull_back(dy, dglobals, grad)?;
    reducer.sum(grad);
    Ok(losses)
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
pub fn critic_loss<F: Real>(
    reducer: Reducer,
    critic: &dyn Network<F>,
    theta: &[F],
    batch: &Minibatch<F>,
    config: &LossConfig,
    grad: &mut [F],
    scratch: &mut Scratch<F>,
) -> Result<CriticLoss, NnError> {
    let Scratch { shards, dy, .. } = scratch;
    let n = batch.returns.len() as f64;
    let mut value = shards.linearize(critic, theta, Input::new(&batch.observations, critic.n_inputs())?)?;
    NnError::check("the returns", batch.returns.len(), value.output().len())?;
    NnError::check("the old values", batch.old_values.len(), value.output().len())?;
    let mut loss = CriticLoss::default();
    let scale = F::narrow(2.0 * config.vf_coef / n);
    dy.clear();
    for ((&v, &target), &old) in value.output().iter().zip(&batch.returns).zip(&batch.old_values) {
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
        dy.push(scale * error * slope);
    }
    loss.value_loss /= n;
    value.vjp(dy, grad)?;
    reducer.sum(grad);
    Ok(loss)
}

/// The loss of a minibatch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MinibatchLoss {
    /// The policy's part.
    pub policy: PolicyLoss,
    /// The critic's part.
    pub critic: CriticLoss,
    /// The norm of the whole gradient.
    pub grad_norm: f64,
}

/// Both parts of the loss, side by side; `grad` receives `[policy | critic]`.
///
/// # Shapes
///
/// `theta` and `grad` `[policy.n_params() + critic.n_params()]`.
///
/// # Errors
///
/// [`NnError::Shape`] when models, θ and minibatch do not fit.
#[allow(clippy::too_many_arguments, reason = "everything the loss touches is visible in its signature")]
pub fn minibatch_loss<F: Real>(
    pair: &mut Pair<'_>,
    reducer: Reducer,
    policy: &PolicyModel<F>,
    critic: &dyn Network<F>,
    theta: &[F],
    batch: &Minibatch<F>,
    config: &LossConfig,
    grad: &mut [F],
    scratch: &mut [Scratch<F>; 2],
) -> Result<MinibatchLoss, NnError> {
    NnError::check("theta", theta.len(), policy.n_params() + critic.n_params())?;
    NnError::check("the gradient", grad.len(), theta.len())?;
    let (policy_theta, critic_theta) = theta.split_at(policy.n_params());
    let (policy_grad, critic_grad) = grad.split_at_mut(policy.n_params());
    let [policy_scratch, critic_scratch] = scratch;
    let (policy, critic) = pair.join(
        || {
            let loss =
                policy_loss(reducer, policy, policy_theta, batch, config, policy_grad, policy_scratch)?;
            Ok::<_, NnError>((loss, vector::dot(policy_grad, policy_grad)))
        },
        || {
            let loss =
                critic_loss(reducer, critic, critic_theta, batch, config, critic_grad, critic_scratch)?;
            Ok::<_, NnError>((loss, vector::dot(critic_grad, critic_grad)))
        },
    );
    let ((policy, policy_square), (critic, critic_square)) = (policy?, critic?);
    Ok(MinibatchLoss { policy, critic, grad_norm: (policy_square + critic_square).sqrt() })
}
