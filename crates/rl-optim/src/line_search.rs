//! The backtracking line search of a trust region.

use serde::{Deserialize, Serialize};

use crate::OptimError;
use crate::error::check_range;

/// Which step [`backtracking_line_search`] accepts, and which it tries.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LineSearchParams {
    /// The trust region: a step is accepted only if its KL divergence is at most this.
    pub max_kl: f64,
    /// Each trial is this fraction of the one before, between 0 and 1.
    pub backtrack_coeff: f64,
    /// The most trials, the full step included.
    pub backtrack_iters: usize,
    /// A step must improve by at least this share of what the linear model promises for it; 0 takes any improvement.
    pub accept_ratio: f64,
}

impl Default for LineSearchParams {
    /// 0.01, 0.8 and 10 as in Spinning Up's TRPO (`delta`, `backtrack_coeff`, `backtrack_iters`) and in sb3-contrib's, which
    /// both take any improvement.
    fn default() -> Self {
        Self { max_kl: 0.01, backtrack_coeff: 0.8, backtrack_iters: 10, accept_ratio: 0.0 }
    }
}

/// What a step would do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The objective after the step minus before.
    pub improvement: f64,
    /// The KL divergence between before and after.
    pub kl: f64,
}

/// A trial, and how it was judged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The fraction of the full step.
    pub fraction: f64,
    /// The improvement measured.
    pub improvement: f64,
    /// The improvement the linear model promises for this fraction.
    pub expected_improvement: f64,
    /// The KL divergence measured.
    pub kl: f64,
    /// Whether the KL divergence is within the trust region.
    pub kl_ok: bool,
    /// Whether the improvement is positive, and enough.
    pub improvement_ok: bool,
}

/// The step that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// The index of the trial; 0 is the full step.
    pub index: usize,
    /// The fraction of the full step, `backtrack_coeff^index`.
    pub fraction: f64,
    /// The improvement measured.
    pub improvement: f64,
    /// The KL divergence measured.
    pub kl: f64,
}

/// What [`backtracking_line_search`] did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LineSearchInfo {
    /// The accepted step, or none where no trial passed.
    pub accepted: Option<Accepted>,
    /// The number of trials that were rejected.
    pub backtracks: usize,
    /// Every trial, in order.
    pub trials: Vec<Verdict>,
}

/// Tries the fractions `1, c, c², …` of a step until one is inside the trust region and improves the objective enough.
///
/// ```text
/// accept the first k with   KL_k ≤ max_kl   and   ΔL_k > 0   and   ΔL_k ≥ accept_ratio · cᵏ · gᵀs
/// ```
///
/// `trial` evaluates a fraction of the full step `s`, and `expected_improvement` is `gᵀs`, the linear model's promise for
/// it. A number that is not finite is never accepted. No accepted step is an outcome, after which the caller restores
/// the parameters.
///
/// # Source
///
/// Schulman et al., "Trust Region Policy Optimization", 2015, appendix C; the ratio test is Armijo's (Nocedal and Wright,
/// "Numerical Optimization", 2nd edition, 2006, eq. 3.4).
///
/// # Errors
///
/// [`OptimError::InvalidParameter`] where a parameter is outside its range, and whatever `trial` returns.
///
/// # Example
///
/// The full step leaves the trust region, half of it does not:
///
/// ```
/// use rl_optim::{LineSearchParams, OptimError, Trial, backtracking_line_search};
///
/// let params = LineSearchParams { max_kl: 0.3, backtrack_coeff: 0.5, ..Default::default() };
/// let info = backtracking_line_search(&params, 1.0, |fraction| {
///     Ok::<_, OptimError>(Trial { improvement: 0.9 * fraction, kl: fraction * fraction })
/// })?;
/// let accepted = info.accepted.expect("half of the step passes");
/// assert_eq!((accepted.index, accepted.fraction, accepted.kl), (1, 0.5, 0.25));
/// assert!(!info.trials[0].kl_ok && info.trials[0].improvement_ok);
/// # Ok::<(), OptimError>(())
/// ```
pub fn backtracking_line_search<E: From<OptimError>>(
    params: &LineSearchParams,
    expected_improvement: f64,
    mut trial: impl FnMut(f64) -> Result<Trial, E>,
) -> Result<LineSearchInfo, E> {
    let &LineSearchParams { max_kl, backtrack_coeff, backtrack_iters, accept_ratio } = params;
    check_range("max_kl", max_kl, "a positive number", max_kl > 0.0)?;
    let shrinks = backtrack_coeff > 0.0 && backtrack_coeff < 1.0;
    check_range("backtrack_coeff", backtrack_coeff, "a number between 0 and 1", shrinks)?;
    check_range("accept_ratio", accept_ratio, "a number from 0 to 1", (0.0..=1.0).contains(&accept_ratio))?;

    let mut trials = Vec::with_capacity(backtrack_iters.min(64));
    let mut fraction = 1.0;
    for index in 0..backtrack_iters {
        let Trial { improvement, kl } = trial(fraction)?;
        let expected_improvement = fraction * expected_improvement;
        // Comparisons with NaN are false: written so that false means rejected.
        let kl_ok = kl.is_finite() && kl <= max_kl;
        let enough = improvement >= accept_ratio * expected_improvement;
        let improvement_ok = improvement.is_finite() && improvement > 0.0 && enough;
        trials.push(Verdict { fraction, improvement, expected_improvement, kl, kl_ok, improvement_ok });
        if kl_ok && improvement_ok {
            let accepted = Accepted { index, fraction, improvement, kl };
            return Ok(LineSearchInfo { accepted: Some(accepted), backtracks: index, trials });
        }
        fraction *= backtrack_coeff;
    }
    Ok(LineSearchInfo { accepted: None, backtracks: trials.len(), trials })
}
