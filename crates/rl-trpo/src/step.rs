//! One trust-region step.
//!
//! ```text
//! maximise  L(θ) = mean_b[ π_θ(a|s) / π_old(a|s) · A ]   subject to  mean_s KL(π_old ‖ π_θ) ≤ δ
//!
//! 1. linearise the policy at θ_old on all states
//! 2. g  = ∇L(θ_old)
//! 3. x ≈ (F + λI)⁻¹ g              by conjugate gradient, F = mean_s JᵀMJ
//! 4. β  = √(2δ / xᵀ(F + λI)x)
//! 5. θ  = θ_old + cᵏ β x           for the first k with KL ≤ δ and enough improvement
//! ```

use rl_algo::{AlgoError, LinearizedPolicy, Outcome, PolicyBatch, Reducer};
use rl_nn::{DistGrad, DistParams, NnError, PolicyModel, Real, Shards};
use rl_optim::vector::{axpy, dot, norm};
use rl_optim::{
    CgInfo, CgWorkspace, Damped, LineSearchInfo, Trial, backtracking_line_search, conjugate_gradient,
};

use crate::{KlReduction, TrpoConfig};

/// Below this norm the gradient counts as zero and no step is tried.
const MIN_GRAD_NORM: f64 = 1e-8;

/// What a trust-region step did.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyStep {
    /// Whether the parameters moved.
    pub outcome: Outcome,
    /// ‖θ − θ_old‖; 0 when rejected.
    pub step_size: f64,
    /// `L(θ) − L(θ_old)`; 0 when rejected.
    pub improvement: f64,
    /// The improvement that the linear model promised for the accepted step, `cᵏ β gᵀx`; for the full one when rejected.
    pub expected_improvement: f64,
    /// Mean KL(old‖new); 0 when rejected.
    pub kl: f64,
    /// The largest KL(old‖new) over states; 0 when rejected.
    pub kl_max: f64,
    /// Mean entropy of the resulting policy.
    pub entropy: f64,
    /// ‖g‖
    pub grad_norm: f64,
    /// What conjugate gradient did; `None` when it did not run.
    pub cg: Option<CgInfo>,
    /// What the line search did; `None` when it did not run.
    pub line_search: Option<LineSearchInfo>,
}

impl PolicyStep {
    fn rejected(reason: &str, grad_norm: f64, entropy: f64) -> Self {
        PolicyStep::refused(Outcome::Rejected(reason.to_owned()), grad_norm, entropy)
    }

    pub(crate) fn refused(outcome: Outcome, grad_norm: f64, entropy: f64) -> Self {
        PolicyStep {
            outcome,
            step_size: 0.0,
            improvement: 0.0,
            expected_improvement: 0.0,
            kl: 0.0,
            kl_max: 0.0,
            entropy,
            grad_norm,
            cg: None,
            line_search: None,
        }
    }
}

/// Takes one trust-region step from `theta`, which must be the policy that collected the batch.
///
/// Advantages are used as they come; [`crate::Trpo`] normalises them first.
///
/// # Source
///
/// Schulman et al. (2015), section 6 and appendix C; step numbers are the pseudocode's above. The curvature in β includes
/// the damping, as in OpenAI's baselines, Spinning Up and sb3-contrib.
///
/// # Shapes
///
/// `theta` `[policy.n_params()]`; the batch's as [`PolicyBatch`] says.
///
/// # Errors
///
/// [`AlgoError::Nn`] when policy, θ and batch do not fit. Non-finite numbers are a rejection, not an error.
pub fn policy_step<F: Real>(
    reducer: Reducer,
    policy: &PolicyModel<F>,
    theta: &mut [F],
    batch: &PolicyBatch<'_, F>,
    config: &TrpoConfig,
    shards: &mut Shards<F>,
) -> Result<PolicyStep, AlgoError> {
    let theta_old = theta.to_vec();
    let objective = Objective { reducer, policy, batch, kl_scale: kl_scale(policy, config) };

    // 1, 2
    let mut pi = LinearizedPolicy::new(policy, &theta_old, batch.observations, shards)?;
    let y_old = pi.params().y.to_vec();
    let old = policy.params(&y_old, &theta_old)?;
    let (surrogate_old, g) = objective.gradient(&mut pi)?;
    let (grad_norm, entropy) = (norm(&g), objective.entropy(old)?);
    if !(surrogate_old.is_finite() && grad_norm.is_finite()) {
        return Ok(PolicyStep::refused(Outcome::NonFinite("the policy gradient".into()), grad_norm, entropy));
    }
    if grad_norm < MIN_GRAD_NORM {
        return Ok(PolicyStep::rejected("the policy gradient is zero", grad_norm, entropy));
    }

    // 3, and xᵀ(F + λI)x
    let mut x = vec![F::zero(); g.len()];
    let mut fisher = pi.fisher(objective.kl_scale);
    let mut damped = Damped { operator: &mut fisher, damping: config.cg_damping };
    let cg = conjugate_gradient(&mut damped, &g, &mut x, &config.cg(), &mut CgWorkspace::new())?;

    // 4
    let curvature = cg.quadratic_form;
    if !curvature.is_finite() {
        let refused =
            PolicyStep::refused(Outcome::NonFinite("a Fisher-vector product".into()), grad_norm, entropy);
        return Ok(PolicyStep { cg: Some(cg), ..refused });
    }
    if curvature <= 0.0 {
        let rejected =
            PolicyStep::rejected("the curvature along the step is not positive", grad_norm, entropy);
        return Ok(PolicyStep { cg: Some(cg), ..rejected });
    }
    let beta = (2.0 * config.max_kl / curvature).sqrt();
    let expected = beta * dot(&g, &x);

    // 5
    let mut candidate = Candidate { y: vec![F::zero(); y_old.len()], kl_max: 0.0, entropy };
    let mut trial = theta_old.clone();
    let search = backtracking_line_search(&config.line_search(), expected, |fraction| {
        trial.copy_from_slice(&theta_old);
        axpy(fraction * beta, &x, &mut trial);
        objective.try_step(&trial, old, surrogate_old, &mut candidate, shards)
    })?;
    let Some(accepted) = search.accepted else {
        let rejected = PolicyStep::rejected("no step of the line search was accepted", grad_norm, entropy);
        return Ok(PolicyStep {
            cg: Some(cg),
            line_search: Some(search),
            expected_improvement: expected,
            ..rejected
        });
    };
    if !candidate.entropy.is_finite() {
        let refused =
            PolicyStep::refused(Outcome::NonFinite("the new policy's entropy".into()), grad_norm, entropy);
        return Ok(PolicyStep { cg: Some(cg), line_search: Some(search), ..refused });
    }
    theta.copy_from_slice(&trial);
    Ok(PolicyStep {
        outcome: Outcome::Applied,
        step_size: accepted.fraction * beta * norm(&x),
        improvement: accepted.improvement,
        expected_improvement: accepted.fraction * expected,
        kl: accepted.kl,
        kl_max: candidate.kl_max,
        entropy: candidate.entropy,
        grad_norm,
        cg: Some(cg),
        line_search: Some(search),
    })
}

/// 1 for the joint divergence, `1/d` for sb3-contrib's mean over action dimensions.
fn kl_scale<F: Real>(policy: &PolicyModel<F>, config: &TrpoConfig) -> f64 {
    match config.kl_reduction {
        KlReduction::Sum => 1.0,
        KlReduction::MeanPerDim => 1.0 / policy.distribution.action_len() as f64,
    }
}

/// The surrogate objective and the divergence on one batch.
struct Objective<'a, F: Real> {
    reducer: Reducer,
    policy: &'a PolicyModel<F>,
    batch: &'a PolicyBatch<'a, F>,
    kl_scale: f64,
}

/// The memory of a trial, and what the last one found beside its verdict.
struct Candidate<F> {
    y: Vec<F>,
    kl_max: f64,
    entropy: f64,
}

impl<F: Real> Objective<'_, F> {
    /// `L` and `∇L` at the linearised policy: `∇L = Jᵀ (1/B) Σ_b (π/π_old) A ∇log π(a_b|s_b)`.
    fn gradient(&self, pi: &mut LinearizedPolicy<'_, F>) -> Result<(f64, Vec<F>), NnError> {
        let distribution = &self.policy.distribution;
        let rows = self.batch.observations.rows();
        let mut ratio_adv = vec![F::zero(); rows];
        distribution.log_prob(pi.params(), self.batch.actions, &mut ratio_adv)?;
        self.ratio_times_advantage(&mut ratio_adv)?;
        let surrogate = self.reducer.mean(&ratio_adv);

        let weight = F::narrow(1.0 / rows as f64);
        ratio_adv.iter_mut().for_each(|w| *w *= weight);
        let mut dy = vec![F::zero(); pi.params().y.len()];
        let mut dglobals = vec![F::zero(); distribution.n_globals()];
        let grad = DistGrad { y: &mut dy, globals: &mut dglobals };
        distribution.log_prob_grad(pi.params(), self.batch.actions, &ratio_adv, grad)?;
        let mut g = vec![F::zero(); self.policy.n_params()];
        pi.pull_back(&dy, &dglobals, &mut g)?;
        self.reducer.sum(&mut g);
        Ok((surrogate, g))
    }

    /// Turns log-probabilities into `(π/π_old) A`, in place.
    fn ratio_times_advantage(&self, log_probs: &mut [F]) -> Result<(), NnError> {
        NnError::check("the advantages", self.batch.advantages.len(), log_probs.len())?;
        NnError::check("the old log-probabilities", self.batch.old_log_probs.len(), log_probs.len())?;
        log_probs.iter_mut().zip(self.batch.old_log_probs).for_each(|(x, &old)| *x -= old);
        F::exp_in_place(log_probs);
        log_probs.iter_mut().zip(self.batch.advantages).for_each(|(x, &advantage)| *x *= advantage);
        Ok(())
    }

    fn entropy(&self, params: DistParams<'_, F>) -> Result<f64, NnError> {
        let mut h = vec![F::zero(); self.batch.observations.rows()];
        self.policy.distribution.entropy(params, &mut h)?;
        Ok(self.reducer.mean(&h))
    }

    /// What `theta` would improve and how far it would go: a forward pass.
    fn try_step(
        &self,
        theta: &[F],
        old: DistParams<'_, F>,
        surrogate_old: f64,
        candidate: &mut Candidate<F>,
        shards: &mut Shards<F>,
    ) -> Result<Trial, AlgoError> {
        let (network, distribution) = (&*self.policy.network, &self.policy.distribution);
        shards.forward(network, self.policy.split(theta)?.0, &self.batch.observations, &mut candidate.y)?;
        self.policy.mask(&self.batch.observations, &mut candidate.y)?;
        let new = self.policy.params(&candidate.y, theta)?;
        let mut x = vec![F::zero(); self.batch.observations.rows()];
        distribution.kl(old, new, &mut x)?;
        let kl = self.kl_scale * self.reducer.mean(&x);
        candidate.kl_max = self.kl_scale * self.reducer.max(&x);
        distribution.log_prob(new, self.batch.actions, &mut x)?;
        self.ratio_times_advantage(&mut x)?;
        candidate.entropy = self.entropy(new)?;
        Ok(Trial { improvement: self.reducer.mean(&x) - surrogate_old, kl })
    }
}
