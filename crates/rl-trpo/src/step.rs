//! One step of the natural gradient within a trust region.
//!
//! ```text
//! maximise  L(θ) = mean_b[ π_θ(a|s) / π_old(a|s) · A + c H(π_θ(·|s)) ]   subject to  mean_s KL(π_old ‖ π_θ) ≤ δ
//!                                                                       or KL(π_θ ‖ π_old), as the settings say
//!
//! 1. linearise the policy at θ_old on all states
//! 2. g = ∇L(θ_old)
//! 3. x ≈ (F + λI)⁻¹ g               by conjugate gradient, F = mean_s JᵀMJ
//! 4. β = √(2δ / xᵀ(F + λI)x)        the full step is βx
//! 5. θ = θ_old + α βx               α = cᵏ for the first k with KL ≤ δ and enough improvement;
//!                                   α = 1 without a line search
//! ```

use rl_algo::{AlgoError, LinearizedPolicy, Outcome, PolicyBatch, Reducer};
use rl_nn::{PolicyModel, Real, Shards};
use rl_optim::vector::{axpy, dot, norm};
use rl_optim::{
    Accepted, CgInfo, CgParams, CgStop, CgWorkspace, Damped, LineSearchInfo, LineSearchParams, Trial,
    backtracking_line_search, conjugate_gradient,
};

use crate::objective::{Candidate, Objective, Old, SomeStates};
use crate::{KlDirection, KlReduction};

/// What a step depends on beside the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepConfig {
    /// δ, the radius of the trust region, in nats; 0 for a step of length 0.
    pub max_kl: f64,
    /// Which divergence that is.
    pub kl_direction: KlDirection,
    /// How it becomes one number.
    pub kl_reduction: KlReduction,
    /// c, the weight of the entropy bonus.
    pub ent_coef: f64,
    /// When conjugate gradient stops.
    pub cg: CgParams,
    /// λ of `F + λI`.
    pub damping: f64,
    /// The share of the batch's states that F is the mean over, from above 0 to 1.
    pub fisher_fraction: f64,
    /// How far along the direction to go.
    pub search: Search,
}

/// How far along its direction a step goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Search {
    /// The first of the fractions 1, c, c², … that is within the trust region and improves the objective: TRPO.
    Backtracking {
        /// Each trial is this fraction c of the one before.
        coeff: f64,
        /// The most trials, the full step included.
        iters: usize,
        /// The share of the linear model's promise that a step must keep; 0 takes any improvement.
        accept_ratio: f64,
    },
    /// All of it, wherever it leads as long as that is finite: the natural policy gradient.
    FullStep,
}

/// What a trust-region step did.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyStep {
    /// Whether the parameters moved.
    pub outcome: Outcome,
    /// ‖θ − θ_old‖; 0 when rejected, and where the trust region has no size.
    pub step_size: f64,
    /// `L(θ) − L(θ_old)`; 0 when rejected.
    pub improvement: f64,
    /// The improvement that the linear model promised for the accepted step, `α β gᵀx`; for the full one when rejected.
    pub expected_improvement: f64,
    /// The mean divergence that the trust region bounds, as its direction and reduction have it; 0 when rejected.
    pub constraint_kl: f64,
    /// The mean over states of KL(π_old ‖ π), summed over action dimensions, whatever the trust region bounds; 0 when rejected.
    pub kl: f64,
    /// The largest of these over states; 0 when rejected.
    pub kl_max: f64,
    /// Mean entropy of the resulting policy.
    pub entropy: f64,
    /// Mean entropy of the policy before.
    pub old_entropy: f64,
    /// ‖g‖
    pub grad_norm: f64,
    /// What conjugate gradient did; `None` when it did not run.
    pub cg: Option<CgInfo>,
    /// What the line search did; `None` when there was none.
    pub line_search: Option<LineSearchInfo>,
}

impl PolicyStep {
    /// Before anything is known.
    fn unmoved() -> Self {
        PolicyStep {
            outcome: Outcome::Applied,
            step_size: 0.0,
            improvement: 0.0,
            expected_improvement: 0.0,
            constraint_kl: 0.0,
            kl: 0.0,
            kl_max: 0.0,
            entropy: f64::NAN,
            old_entropy: f64::NAN,
            grad_norm: f64::NAN,
            cg: None,
            line_search: None,
        }
    }

    /// The same once somebody has put the parameters back: what it found on the way stays.
    pub(crate) fn undone(self, outcome: Outcome) -> Self {
        let full = self.line_search.as_ref().and_then(|search| search.trials.first());
        PolicyStep {
            outcome,
            step_size: 0.0,
            improvement: 0.0,
            expected_improvement: full.map_or(self.expected_improvement, |full| full.expected_improvement),
            constraint_kl: 0.0,
            kl: 0.0,
            kl_max: 0.0,
            entropy: self.old_entropy,
            ..self
        }
    }
}

/// Takes one trust-region step from `theta`, which must be the policy that collected the batch.
///
/// Advantages are used as they come; [`crate::Trpo`] normalises them first.
///
/// # Source
///
/// Schulman et al. (2015), section 6 and appendix C, and with [`Search::FullStep`] Kakade (2001), its learning rate chosen by the radius as
/// Rajeswaran et al. (2017), equation 5, do; step numbers are the pseudocode's above. The curvature in β includes the damping, as in OpenAI's
/// baselines, Spinning Up and sb3-contrib.
///
/// # Shapes
///
/// `theta` `[policy.n_params()]`; the batch's as [`PolicyBatch`] says.
///
/// # Errors
///
/// [`AlgoError::Nn`] when policy, θ and batch do not fit, [`AlgoError::Optim`] for settings out of range. Non-finite numbers are a rejection, not
/// an error.
pub fn policy_step<F: Real>(
    reducer: Reducer,
    policy: &PolicyModel<F>,
    theta: &mut [F],
    batch: &PolicyBatch<'_, F>,
    config: &StepConfig,
    shards: &mut Shards<F>,
) -> Result<PolicyStep, AlgoError> {
    let &StepConfig { kl_direction, kl_reduction, ent_coef, .. } = config;
    let objective = Objective { reducer, policy, batch, ent_coef, kl_direction, kl_reduction };
    let mut told = PolicyStep::unmoved();
    match ascend(&objective, theta, config, &mut told, shards) {
        Ok(to) => theta.copy_from_slice(&to),
        Err(Rejection::Refused(outcome)) => told.outcome = outcome,
        Err(Rejection::Failed(error)) => return Err(error),
    }
    Ok(told)
}

/// Where the step leads; what it finds on the way is told as soon as it is known.
fn ascend<F: Real>(
    objective: &Objective<'_, F>,
    theta_old: &[F],
    config: &StepConfig,
    told: &mut PolicyStep,
    shards: &mut Shards<F>,
) -> Result<Vec<F>, Rejection> {
    let &Objective { policy, batch, .. } = objective;

    // 1, 2
    let mut pi = LinearizedPolicy::new(policy, theta_old, batch.observations, shards)?;
    let y_old = pi.params().y.to_vec();
    let (l_old, g) = objective.gradient(&mut pi)?;
    let old = Old { params: policy.params(&y_old, theta_old)?, objective: l_old };
    (told.grad_norm, told.old_entropy) = (norm(&g), objective.entropy(old.params)?);
    told.entropy = told.old_entropy;
    check_finite(l_old, told.grad_norm)?;
    if config.max_kl <= 0.0 {
        // Where a schedule ends: a region without size holds the old policy, and nothing else.
        return Ok(theta_old.to_vec());
    }
    if told.grad_norm <= 0.0 {
        return Err(rejected("the policy gradient is zero"));
    }

    // 3
    let some = (config.fisher_fraction < 1.0).then(|| SomeStates::of(batch, config.fisher_fraction));
    if let Some(some) = &some {
        drop(pi);
        pi = LinearizedPolicy::new(policy, theta_old, some.states(batch)?, shards)?;
    }
    let mut x = vec![F::zero(); g.len()];
    let mut fisher = pi.fisher(objective.kl_scale());
    let mut damped = Damped { operator: &mut fisher, damping: config.damping };
    let cg = conjugate_gradient(&mut damped, &g, &mut x, &config.cg, &mut CgWorkspace::new())?;
    told.cg = Some(cg);
    if cg.stop == CgStop::NonFinite {
        return Err(non_finite("a Fisher-vector product"));
    }

    // 4
    let beta = (2.0 * config.max_kl / positive(cg.quadratic_form)?).sqrt();
    told.expected_improvement = beta * dot(&g, &x);

    // 5
    let mut theta = theta_old.to_vec();
    let mut candidate =
        Candidate { y: vec![F::zero(); y_old.len()], divergence: (0.0, 0.0), entropy: told.entropy };
    let accepted = search(config, told, |alpha| {
        theta.copy_from_slice(theta_old);
        axpy(alpha * beta, &x, &mut theta);
        objective.try_step(&theta, old, &mut candidate, shards)
    })?;
    check_entropy(candidate.entropy)?;
    (told.step_size, told.improvement) = (accepted.fraction * beta * norm(&x), accepted.improvement);
    told.expected_improvement *= accepted.fraction;
    (told.constraint_kl, told.entropy) = (accepted.kl, candidate.entropy);
    (told.kl, told.kl_max) = objective.divergence(&theta, old, &candidate)?;
    Ok(theta)
}

/// The step's fraction that is taken.
fn search(
    config: &StepConfig,
    told: &mut PolicyStep,
    mut trial: impl FnMut(f64) -> Result<Trial, AlgoError>,
) -> Result<Accepted, Rejection> {
    let max_kl = config.max_kl;
    match config.search {
        Search::FullStep => {
            let Trial { improvement, kl } = trial(1.0)?;
            if !(improvement.is_finite() && kl.is_finite()) {
                return Err(non_finite("the divergence or the objective after the step"));
            }
            Ok(Accepted { index: 0, fraction: 1.0, improvement, kl })
        }
        Search::Backtracking { coeff: backtrack_coeff, iters: backtrack_iters, accept_ratio } => {
            let params = LineSearchParams { max_kl, backtrack_coeff, backtrack_iters, accept_ratio };
            let search = backtracking_line_search(&params, told.expected_improvement, trial)?;
            let accepted = search.accepted;
            told.line_search = Some(search);
            accepted.ok_or_else(|| rejected("no step of the line search was accepted"))
        }
    }
}

/// Why there is no step.
enum Rejection {
    /// What the method may run into.
    Refused(Outcome),
    /// What it cannot work with.
    Failed(AlgoError),
}

impl<E: Into<AlgoError>> From<E> for Rejection {
    fn from(error: E) -> Self {
        Rejection::Failed(error.into())
    }
}

fn rejected(reason: &str) -> Rejection {
    Rejection::Refused(Outcome::Rejected(reason.to_owned()))
}

fn non_finite(what: &str) -> Rejection {
    Rejection::Refused(Outcome::NonFinite(what.to_owned()))
}

fn check_finite(objective: f64, grad_norm: f64) -> Result<(), Rejection> {
    let is_finite = objective.is_finite() && grad_norm.is_finite();
    if is_finite { Ok(()) } else { Err(non_finite("the policy gradient")) }
}

/// The curvature along the step, from which the step's length follows.
fn positive(curvature: f64) -> Result<f64, Rejection> {
    match curvature {
        _ if !curvature.is_finite() => Err(non_finite("a Fisher-vector product")),
        _ if curvature <= 0.0 => Err(rejected("the curvature along the step is not positive")),
        _ => Ok(curvature),
    }
}

fn check_entropy(entropy: f64) -> Result<(), Rejection> {
    if entropy.is_finite() { Ok(()) } else { Err(non_finite("the new policy's entropy")) }
}
