//! The loss of a minibatch and its gradient, in closed form.
//!
//! ```text
//! loss = −mean min(r A, clip(r, 1−ε, 1+ε) A) − c_H mean H + c_V mean (V − R)²        r = π_θ(a|s) / π_old(a|s)
//! ```

use rl_algo::{LinearizedPolicy, PolicyBatch, Reducer};
use rl_nn::{
    APART, Actions, DistGrad, Evaluation, Network, NnError, PolicyModel, Real, Shards, States, gather,
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
    observations: Vec<F>,
    actions: Actions<F>,
    targets: Vec<F>,
    old: Vec<F>,
    weights: Vec<F>,
    terms: Vec<F>,
    dy: Vec<F>,
    dglobals: Vec<F>,
    scores: Vec<F>,
}

impl<F: Default> Default for Scratch<F> {
    /// Without contents, but with room, so that the arrays of two threads do not lie end to end ([`APART`]).
    fn default() -> Self {
        let room = || Vec::with_capacity(APART / size_of::<F>());
        Scratch {
            shards: Shards::default(),
            observations: room(),
            actions: Actions::default(),
            targets: room(),
            old: room(),
            weights: room(),
            terms: room(),
            dy: room(),
            dglobals: room(),
            scores: room(),
        }
    }
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
    let Scratch { shards, observations, actions, targets: advantages, old: old_log_probs, .. } = scratch;
    let Scratch { weights, terms, dy, dglobals, scores, .. } = scratch;
    let (PolicyBatch { observations: states, .. }, distribution) = (batch.policy, &*policy.distribution);
    let rows = batch.rows.len();
    NnError::check("the advantages", batch.policy.advantages.len(), states.rows())?;
    NnError::check("the old log-probabilities", batch.policy.old_log_probs.len(), states.rows())?;
    gather(states.obs(), states.width(), batch.rows, observations);
    actions.gather(batch.policy.actions, distribution.action_len(), batch.rows);
    gather(batch.policy.advantages, 1, batch.rows, advantages);
    gather(batch.policy.old_log_probs, 1, batch.rows, old_log_probs);
    if config.normalize_advantage && rows > 1 {
        rl_gae::normalize(advantages);
    }
    let mut pi = LinearizedPolicy::new(policy, theta, States::new(observations, states.width())?, shards)?;

    weights.resize(rows, F::zero());
    terms.resize(rows, F::zero());
    dy.resize(pi.params().y.len(), F::zero());
    scores.resize(rows * distribution.n_globals(), F::zero());
    let score = Some(DistGrad { y: dy, globals: scores });
    let evaluation = Evaluation { log_prob: terms, entropy: weights, score };
    distribution.evaluate(pi.params(), actions.as_ref(), evaluation)?;
    let entropy = reducer.mean(weights);
    terms.iter_mut().zip(&*old_log_probs).for_each(|(log_ratio, &old)| *log_ratio -= old);
    weights.clone_from(terms);
    F::exp_in_place(weights);
    F::exp_remainder_in_place(terms);
    let approx_kl = reducer.mean(terms);
    let (low, high) = (F::narrow(1.0 - config.clip_range), F::narrow(1.0 + config.clip_range));
    let n = rows as f64;
    let (inv_n, mut n_clipped) = (F::narrow(1.0 / n), 0);
    for ((w, objective), &advantage) in weights.iter_mut().zip(&mut *terms).zip(&*advantages) {
        let ratio = *w;
        let clipped = if ratio < low {
            low
        } else if ratio > high {
            high
        } else {
            ratio
        };
        n_clipped += u32::from(ratio < low || ratio > high);
        let (free, bounded) = (ratio * advantage, clipped * advantage);
        // Where the clipped term is the smaller one the loss is constant in θ. NaN takes the first branch and shows.
        let cut = bounded < free;
        *objective = if cut { bounded } else { free };
        *w = if cut { F::zero() } else { -free * inv_n };
    }
    let clip_fraction = f64::from(n_clipped) / n;
    let losses = PolicyLoss { policy_loss: -reducer.mean(terms), entropy, clip_fraction, approx_kl };

    // Σ_b w_b ∇ log π(a_b)
    for (dy, &w) in dy.chunks_exact_mut(distribution.n_outputs()).zip(&*weights) {
        dy.iter_mut().for_each(|score| *score *= w);
    }
    dglobals.clear();
    for i in 0..distribution.n_globals() {
        let of_rows = scores.iter().skip(i).step_by(distribution.n_globals()).zip(&*weights);
        dglobals.push(F::narrow(of_rows.map(|(&score, &w)| (w * score).widen()).sum()));
    }
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
    let Scratch { shards, observations, targets: returns, old: old_values, dy, .. } = scratch;
    let (states, n) = (batch.policy.observations, batch.rows.len() as f64);
    NnError::check("the returns", batch.returns.len(), states.rows())?;
    NnError::check("the old values", batch.old_values.len(), states.rows())?;
    gather(states.obs(), states.width(), batch.rows, observations);
    gather(batch.returns, 1, batch.rows, returns);
    gather(batch.old_values, 1, batch.rows, old_values);
    let mut value = shards.linearize(critic, theta, States::new(observations, states.width())?)?;
    let mut loss = CriticLoss::default();
    let scale = F::narrow(2.0 * config.vf_coef / n);
    dy.clear();
    for ((&v, &target), &old) in value.output().iter().zip(&*returns).zip(&*old_values) {
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
