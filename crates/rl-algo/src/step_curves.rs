//! What lies along the way of an update: the surrogate objective and the divergence between the old policy and the new one, and beyond.

use rl_nn::{DistGrad, NnError, PolicyModel, Shards};
use rl_optim::LinearOperator;

use crate::{AlgoError, LinearizedPolicy, PolicyBatch, PolicyChange, Reducer, policy_change};

/// The policy of an update seen along the straight line `θ(t) = θ_old + t (θ_new − θ_old)`.
#[derive(Clone, Debug, PartialEq)]
pub struct StepCurves {
    /// Every `t` asked for, and how the policy there differs from the old one.
    pub points: Vec<(f64, PolicyChange)>,
    /// `gᵀd`, with `g` the gradient of the surrogate at θ_old and `d = θ_new − θ_old`: the linear model of the gain is `t gᵀd`.
    pub slope: f64,
    /// `dᵀFd`, with `F` the Fisher matrix at θ_old: the quadratic model of the mean divergence is `½ t² dᵀFd`.
    pub curvature: f64,
    /// `‖d‖`.
    pub step_size: f64,
}

/// Evaluates objective and divergence at points between `theta_old`, which collected the batch, and `theta_new`. At `t = 1` the policy is the new one to the bit.
///
/// # Source
///
/// The models are those of Schulman et al. (2015), appendix C: the surrogate to first order, the divergence to second.
///
/// # Shapes
///
/// Both θ `[policy.n_params()]`; the batch's as [`PolicyBatch`] says.
///
/// # Units
///
/// The gain in those of the advantages, divergence and entropy in nats.
///
/// # Errors
///
/// [`AlgoError::Nn`] when policy, θ and batch do not fit.
pub fn step_curves(
    reducer: Reducer,
    policy: &PolicyModel<f32>,
    (theta_old, theta_new): (&[f32], &[f32]),
    batch: &PolicyBatch<'_, f32>,
    fractions: &[f64],
    shards: &mut Shards<f32>,
) -> Result<StepCurves, AlgoError> {
    NnError::check("the new parameters", theta_new.len(), theta_old.len())?;
    let step: Vec<f32> = theta_new.iter().zip(theta_old).map(|(new, old)| new - old).collect();
    let mut pi = LinearizedPolicy::new(policy, theta_old, batch.observations, shards)?;
    let g = surrogate_gradient(reducer, &mut pi, policy, batch)?;
    let mut fisher_step = vec![0.0; step.len()];
    pi.fisher(1.0).apply(&step, &mut fisher_step)?;
    let y_old = pi.params().y.to_vec();
    let old = policy.params(&y_old, theta_old)?;

    let mut theta = theta_old.to_vec();
    let mut points = Vec::with_capacity(fractions.len());
    for &fraction in fractions {
        at(fraction, theta_old, theta_new, &mut theta);
        points.push((fraction, policy_change(reducer, policy, &theta, batch, old, shards)?));
    }
    Ok(StepCurves {
        points,
        slope: dot(&g, &step),
        curvature: dot(&step, &fisher_step),
        step_size: dot(&step, &step).sqrt(),
    })
}

/// `θ(t)`, rounded once; the ends are themselves.
fn at(fraction: f64, theta_old: &[f32], theta_new: &[f32], theta: &mut [f32]) {
    for ((x, &old), &new) in theta.iter_mut().zip(theta_old).zip(theta_new) {
        let (old, new) = (f64::from(old), f64::from(new));
        *x = (old + fraction * (new - old)) as f32;
    }
}

/// `∇L(θ_old) = Jᵀ (1/B) Σ_b (π/π_old) A ∇log π(a_b|s_b)`.
fn surrogate_gradient(
    reducer: Reducer,
    pi: &mut LinearizedPolicy<'_, f32>,
    policy: &PolicyModel<f32>,
    batch: &PolicyBatch<'_, f32>,
) -> Result<Vec<f32>, NnError> {
    let (distribution, rows) = (&policy.distribution, batch.observations.rows());
    NnError::check("the advantages", batch.advantages.len(), rows)?;
    let mut weights = vec![0.0; rows];
    distribution.log_prob(pi.params(), batch.actions, &mut weights)?;
    weights.iter_mut().zip(batch.old_log_probs).for_each(|(log_prob, old)| *log_prob -= old);
    <f32 as rl_nn::Real>::exp_in_place(&mut weights);
    let each = 1.0 / rows as f32;
    weights.iter_mut().zip(batch.advantages).for_each(|(weight, advantage)| *weight *= advantage * each);
    let mut dy = vec![0.0; pi.params().y.len()];
    let mut dglobals = vec![0.0; distribution.n_globals()];
    let grad = DistGrad { y: &mut dy, globals: &mut dglobals };
    distribution.log_prob_grad(pi.params(), batch.actions, &weights, grad)?;
    let mut g = vec![0.0; policy.n_params()];
    pi.pull_back(&dy, &dglobals, &mut g)?;
    reducer.sum(&mut g);
    Ok(g)
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    rl_optim::vector::dot(a, b)
}
