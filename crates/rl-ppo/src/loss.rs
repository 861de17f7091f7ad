//! The policy's loss on a minibatch and its gradient, in closed form.
//!
//! ```text
//! loss = −mean objective(r, A) + β mean KL(π_old ‖ π_θ) − c_H mean H + c_V mean (V − R)²        r = π_θ(a|s) / π_old(a|s)
//! ```
//!
//! The gradient is `Σ_b w_b ∇ log π(a_b) + β/n Σ_b ∇KL_b − c_H/n Σ_b ∇H_b` with respect to the distribution's parameters, pulled back through the network
//! with one product; `w_b` comes from the [`Objective`].

use rl_algo::{LinearizedPolicy, PolicyBatch, Reducer};
use rl_nn::{
    APART, Actions, ActionsRef, DistGrad, DistParams, Distribution, Evaluation, NnError, PolicyModel, Real,
    Shards, States, gather,
};

use crate::objective::{Objective, Rows};
use crate::value::ValueClip;

/// How the divergence of the new policy from the old one is measured on a minibatch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KlEstimator {
    /// `mean(−log r)` on the actions taken: unbiased, of either sign.
    K1,
    /// `mean((r − 1) − log r)` on the actions taken: unbiased, never negative (Schulman 2020, "Approximating KL divergence").
    #[default]
    K3,
    /// `mean KL(π_old ‖ π_θ)` over the states, in closed form.
    Exact,
}

/// The settings of the loss at one point of training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossConfig {
    /// What the policy is to make large.
    pub objective: Objective,
    /// β, the weight of KL(old‖new); 0 for none.
    pub kl_coef: f64,
    /// c_H
    pub ent_coef: f64,
    /// c_V
    pub vf_coef: f64,
    /// How values are clipped, if they are.
    pub value_clip: Option<ValueClip>,
    /// Whether the minibatch's advantages are normalised.
    pub normalize_advantage: bool,
    /// How [`PolicyLoss::approx_kl`] is measured.
    pub kl_estimator: KlEstimator,
    /// Whether [`PolicyLoss::kl`] is wanted where neither loss nor estimator needs it.
    pub exact_kl: bool,
}

impl LossConfig {
    /// Whether the old distribution is compared with the new one.
    pub fn compares(&self) -> bool {
        self.exact_kl || self.kl_coef > 0.0 || self.kl_estimator == KlEstimator::Exact
    }
}

/// Some rows of a batch.
///
/// # Shapes
///
/// `rows` `[B]`; everything else has a row for every row of the whole batch.
#[derive(Clone, Copy, Debug)]
pub struct Minibatch<'a, F> {
    /// States, actions, advantages and old log-probabilities of the whole batch.
    pub policy: PolicyBatch<'a, F>,
    /// The parameters of the old distributions; read only where [`LossConfig::compares`].
    pub old: DistParams<'a, F>,
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
    /// The mean of the negative objective.
    pub policy_loss: f64,
    /// `mean H`
    pub entropy: f64,
    /// The share of rows whose ratio lies outside the clip range.
    pub clip_fraction: f64,
    /// The divergence as [`KlEstimator`] says.
    pub approx_kl: f64,
    /// `mean KL(π_old ‖ π_θ)` where it was computed ([`LossConfig::compares`]), 0 elsewhere.
    pub kl: f64,
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
    pub(crate) old_outputs: Vec<F>,
    pub(crate) returns: Vec<F>,
    pub(crate) old_values: Vec<F>,
    pub(crate) dy: Vec<F>,
    pub(crate) terms: Terms<F>,
}

/// Terms of the policy's loss, a number a row each, and its gradient.
pub(crate) struct Terms<F> {
    log_prob: Vec<F>,
    log_ratio: Vec<F>,
    ratio: Vec<F>,
    kl: Vec<F>,
    entropy: Vec<F>,
    objective: Vec<F>,
    weight: Vec<F>,
    /// What the scores have for the free parameters, `n_scores` a row.
    scores: Vec<F>,
    /// The gradient with respect to the distribution's parameters: first the scores of every row, then the loss's.
    pub(crate) dy: Vec<F>,
    pub(crate) dglobals: Vec<F>,
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
            old_outputs: room(),
            returns: room(),
            old_values: room(),
            dy: room(),
            terms: Terms {
                log_prob: room(),
                log_ratio: room(),
                ratio: room(),
                kl: room(),
                entropy: room(),
                objective: room(),
                weight: room(),
                scores: room(),
                dy: room(),
                dglobals: room(),
            },
        }
    }
}

/// Actions with what the policy's loss needs of them.
///
/// # Shapes
///
/// Actions `[B, A]`, the old distributions' outputs `[B, D]`, the others `[B]`.
#[derive(Clone, Copy)]
pub(crate) struct Samples<'a, F> {
    pub(crate) actions: ActionsRef<'a, F>,
    pub(crate) advantages: &'a [F],
    pub(crate) old_log_probs: &'a [F],
    pub(crate) old: DistParams<'a, F>,
}

/// The policy's loss on a minibatch; its gradient is written to `grad`.
///
/// # Source
///
/// Schulman et al. (2017): equation 7 (clipped), equation 8 (penalty), and the entropy bonus of equation 9.
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
    scratch.gather_samples(batch, batch.rows, policy, config)?;
    if config.normalize_advantage && batch.rows.len() > 1 {
        rl_gae::normalize(&mut scratch.advantages);
    }
    let Scratch {
        shards, observations, masks, actions, advantages, old_log_probs, old_outputs, terms, ..
    } = scratch;
    let old = DistParams { y: old_outputs, globals: batch.old.globals };
    let samples = Samples { actions: actions.as_ref(), advantages, old_log_probs, old };
    let states = batch.states(observations, masks)?;
    let mut pi = LinearizedPolicy::new(policy, theta, states, shards)?;
    let n = batch.rows.len();
    let loss = surrogate(reducer, &*policy.distribution, pi.params(), samples, n, config, terms)?;
    pi.pull_back(&terms.dy, &terms.dglobals, grad)?;
    reducer.sum(grad);
    Ok(loss)
}

/// The policy's loss on samples, and its gradient with respect to the distribution's parameters: left in `terms`. The rows are `B` of the `n` of a minibatch,
/// and give their part of its means.
pub(crate) fn surrogate<F: Real>(
    reducer: Reducer,
    distribution: &dyn Distribution<F>,
    pi: DistParams<'_, F>,
    samples: Samples<'_, F>,
    n: usize,
    config: &LossConfig,
    terms: &mut Terms<F>,
) -> Result<PolicyLoss, NnError> {
    let (rows, inv_n) = (samples.advantages.len(), F::narrow(1.0 / n as f64));
    terms.resize(rows, pi, distribution);
    let Terms { log_prob, log_ratio, ratio, kl, entropy, objective, weight, scores, dy, dglobals } = terms;

    // log π(a|s), H and ∇ log π(a|s) of every row
    let score = Some(DistGrad { y: dy, globals: scores });
    distribution.evaluate(pi, samples.actions, Evaluation { log_prob, entropy, score })?;

    // r = π_θ(a|s) / π_old(a|s)
    for ((log_ratio, &new), &old) in log_ratio.iter_mut().zip(&*log_prob).zip(samples.old_log_probs) {
        *log_ratio = new - old;
    }
    ratio.copy_from_slice(log_ratio);
    F::exp_in_place(ratio);

    // KL(π_old ‖ π_θ)
    let mut exact = 0.0;
    if config.compares() {
        distribution.kl(samples.old, pi, kl)?;
        exact = reducer.mean(kl);
    }
    let approx_kl = match config.kl_estimator {
        KlEstimator::K1 => -reducer.mean(log_ratio),
        KlEstimator::K3 => {
            F::exp_remainder_in_place(log_ratio);
            reducer.mean(log_ratio)
        }
        KlEstimator::Exact => exact,
    };

    let advantage = samples.advantages;
    let n_clipped = config.objective.evaluate(Rows { log_prob, ratio, advantage, objective, weight }, inv_n);

    // Σ_b w_b ∇ log π(a_b) + β/n Σ_b ∇KL_b − c_H/n Σ_b ∇H_b
    for (dy, &weight) in dy.chunks_exact_mut(distribution.n_outputs()).zip(&*weight) {
        dy.iter_mut().for_each(|score| *score *= weight);
    }
    distribution.add_scores(pi, scores, weight, dglobals)?;
    if config.kl_coef > 0.0 {
        let beta = F::narrow(config.kl_coef / n as f64);
        distribution.kl_grad(samples.old, pi, beta, DistGrad { y: dy, globals: dglobals })?;
    }
    if config.ent_coef > 0.0 {
        let weight = F::narrow(-config.ent_coef / n as f64);
        distribution.entropy_grad(pi, weight, DistGrad { y: dy, globals: dglobals })?;
    }
    Ok(PolicyLoss {
        policy_loss: -reducer.mean(objective),
        entropy: reducer.mean(entropy),
        clip_fraction: f64::from(n_clipped) / rows as f64,
        approx_kl,
        kl: exact,
    })
}

impl<F: Real> Terms<F> {
    /// Makes room for so many rows; the gradient of the free parameters is 0.
    fn resize(&mut self, rows: usize, pi: DistParams<'_, F>, distribution: &dyn Distribution<F>) {
        let Terms { log_prob, log_ratio, ratio, kl, entropy, objective, weight, .. } = self;
        for term in [log_prob, log_ratio, ratio, kl, entropy, objective, weight] {
            term.resize(rows, F::zero());
        }
        self.scores.resize(rows * distribution.n_scores(), F::zero());
        self.dy.resize(pi.y.len(), F::zero());
        self.dglobals.clear();
        self.dglobals.resize(pi.globals.len(), F::zero());
    }
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

    /// Gathers their actions, advantages and old log-probabilities, and what the old distributions' parameters are where they are compared with.
    pub(crate) fn gather_samples(
        &mut self,
        batch: &Minibatch<'_, F>,
        rows: &[usize],
        policy: &PolicyModel<F>,
        config: &LossConfig,
    ) -> Result<(), NnError> {
        let n = batch.policy.observations.rows();
        NnError::check("the advantages", batch.policy.advantages.len(), n)?;
        NnError::check("the old log-probabilities", batch.policy.old_log_probs.len(), n)?;
        self.actions.gather(batch.policy.actions, policy.distribution.action_len(), rows);
        gather(batch.policy.advantages, 1, rows, &mut self.advantages);
        gather(batch.policy.old_log_probs, 1, rows, &mut self.old_log_probs);
        if config.compares() {
            let width = policy.distribution.n_outputs();
            NnError::check("the old distribution parameters", batch.old.y.len(), n * width)?;
            gather(batch.old.y, width, rows, &mut self.old_outputs);
        }
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
