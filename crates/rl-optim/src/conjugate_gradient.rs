//! The conjugate gradient method.

use rl_kernels::Real;
use serde::{Deserialize, Serialize};

use crate::error::{check_len, check_range};
use crate::vector::{axpy, dot, norm};
use crate::{LinearOperator, OptimError};

/// When [`conjugate_gradient`] stops: after so many iterations, or once `‖r‖ < atol` and `‖r‖ < rtol · ‖b‖`.
///
/// Both must hold, so that neither a small nor a large right-hand side is called solved too early: `atol` alone is met at once by a `b` shorter
/// than it, `rtol` alone is more than anybody needs of a long one. One of them is switched off by `f64::INFINITY`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CgParams {
    /// The most iterations, each of which costs one product.
    pub max_iters: usize,
    /// What the residual's norm `‖r‖` must be below, tested after each iteration.
    pub atol: f64,
    /// What share of `‖b‖` it must be below as well.
    pub rtol: f64,
}

impl Default for CgParams {
    /// 10 iterations and `atol` 1e-5, as in Schulman et al., "Trust Region Policy Optimization", 2015, appendix C.1, and OpenAI Baselines' `cg`
    /// (which tests `‖r‖² < 1e-10`). `rtol` 0.01 is ours, and counts for right-hand sides shorter than 1e-3 only.
    fn default() -> Self {
        Self { max_iters: 10, atol: 1e-5, rtol: 1e-2 }
    }
}

/// Why [`conjugate_gradient`] stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CgStop {
    /// The residual is below both tolerances, or the right-hand side is zero.
    Converged,
    /// All iterations were used; what a truncated solve is meant to do.
    MaxIters,
    /// A direction with `pᵀAp ≤ 0`: the operator is not positive definite. `x` is that of the iteration before.
    NonPositiveCurvature,
    /// A number that is not finite. `x` is that of the iteration before.
    NonFinite,
}

/// What [`conjugate_gradient`] did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CgInfo {
    /// The iterations that moved `x`.
    pub iters: usize,
    /// `‖r‖` as the recurrence has it; the true `‖b − Ax‖` drifts from it by rounding.
    pub residual_norm: f64,
    /// `‖b‖`.
    pub rhs_norm: f64,
    /// `xᵀAx = xᵀ(b − r)`, with `r` as the recurrence has it: no product of its own.
    pub quadratic_form: f64,
    /// Why it stopped.
    pub stop: CgStop,
}

/// The vectors [`conjugate_gradient`] works in, allocated on first use and reused.
#[derive(Debug, Clone, Default)]
pub struct CgWorkspace<F> {
    r: Vec<F>,
    p: Vec<F>,
    ap: Vec<F>,
}

impl<F> CgWorkspace<F> {
    /// An empty workspace, for systems of any size.
    #[must_use]
    pub fn new() -> Self {
        Self { r: Vec::new(), p: Vec::new(), ap: Vec::new() }
    }
}

/// Solves `Ax = b` for a symmetric positive definite `A`, from `x = 0`.
///
/// ```text
/// r = p = b
/// repeat   α = rᵀr / pᵀAp,   x ← x + αp,   r' = r − αAp,   p ← r' + (r'ᵀr' / rᵀr) p
/// ```
///
/// Stopped early it still returns a useful `x`: the minimiser of `½xᵀAx − bᵀx` over the directions seen so far. Where the
/// operator turns out not to be positive definite, or a number is not finite, it stops with the last good `x` and says
/// so in [`CgInfo::stop`]; at the first iteration that `x` is 0.
///
/// # Source
///
/// Hestenes and Stiefel, "Methods of Conjugate Gradients for Solving Linear Systems", 1952, eq. 3:1; Nocedal and
/// Wright, "Numerical Optimization", 2nd edition, 2006, algorithm 5.2.
///
/// # Shapes
///
/// `b` and `x` are `[dim]`; what `x` held before is gone.
///
/// # Errors
///
/// [`OptimError::DimensionMismatch`], [`OptimError::InvalidParameter`] for a tolerance that is negative or NaN, and
/// whatever the operator returns.
///
/// # Example
///
/// `[[4, 1], [1, 3]] x = (1, 2)` has the solution `(1/11, 7/11)`, found in two iterations:
///
/// ```
/// use rl_optim::{CgParams, CgStop, CgWorkspace, FnOperator, conjugate_gradient};
///
/// let mut a = FnOperator::new(2, |v: &[f64], out: &mut [f64]| {
///     out[0] = 4.0 * v[0] + v[1];
///     out[1] = v[0] + 3.0 * v[1];
///     Ok(())
/// });
/// let mut x = [0.0; 2];
/// let info = conjugate_gradient(&mut a, &[1.0, 2.0], &mut x, &CgParams::default(), &mut CgWorkspace::new())?;
/// assert_eq!((info.iters, info.stop), (2, CgStop::Converged));
/// assert!((x[0] - 1.0 / 11.0).abs() < 1e-12 && (x[1] - 7.0 / 11.0).abs() < 1e-12);
/// # Ok::<(), rl_optim::OptimError>(())
/// ```
pub fn conjugate_gradient<F: Real>(
    a: &mut dyn LinearOperator<F>,
    b: &[F],
    x: &mut [F],
    params: &CgParams,
    ws: &mut CgWorkspace<F>,
) -> Result<CgInfo, OptimError> {
    check_len("b", b.len(), a.dim())?;
    check_len("x", x.len(), a.dim())?;
    check_range("atol", params.atol, "a number of at least 0", params.atol >= 0.0)?;
    check_range("rtol", params.rtol, "a number of at least 0", params.rtol >= 0.0)?;

    x.fill(F::zero());
    let CgWorkspace { r, p, ap } = ws;
    b.clone_into(r);
    b.clone_into(p);
    ap.clear();
    ap.resize(b.len(), F::zero());

    let mut rr = dot(r, r);
    let rhs_norm = rr.sqrt();
    let tolerance = params.atol.min(params.rtol * rhs_norm);
    let info = |iters, rr: f64, x: &[F], r: &[F], stop| {
        let quadratic_form = dot(x, b) - dot(x, r);
        Ok(CgInfo { iters, residual_norm: rr.sqrt(), rhs_norm, quadratic_form, stop })
    };
    if rr <= 0.0 {
        return info(0, rr, x, r, CgStop::Converged);
    }
    if !rr.is_finite() {
        return info(0, rr, x, r, CgStop::NonFinite);
    }
    for iters in 0..params.max_iters {
        a.apply(p, ap)?;
        let curvature = dot(p, ap);
        if curvature <= 0.0 {
            return info(iters, rr, x, r, CgStop::NonPositiveCurvature);
        }
        let alpha = rr / curvature;
        // The new r, in place of Ap: the old one stays until the new one is known to be finite.
        let minus_alpha = F::narrow(-alpha);
        for (ap, &r) in ap.iter_mut().zip(r.iter()) {
            *ap = r + minus_alpha * *ap;
        }
        let rr_new = dot(ap, ap);
        // Everything that could spoil x is known before x moves.
        if !(curvature.is_finite() && rr_new.is_finite() && stays_finite(alpha, p, x)) {
            return info(iters, rr, x, r, CgStop::NonFinite);
        }
        axpy(alpha, p, x);
        std::mem::swap(r, ap);
        if rr_new < tolerance * tolerance || rr_new <= 0.0 {
            return info(iters + 1, rr_new, x, r, CgStop::Converged);
        }
        let beta = F::narrow(rr_new / rr);
        for (p, &r) in p.iter_mut().zip(r.iter()) {
            *p = r + beta * *p;
        }
        rr = rr_new;
    }
    info(params.max_iters, rr, x, r, CgStop::MaxIters)
}

/// Whether `x + αp` is finite, by the bound `‖x‖ + |α|‖p‖` on its elements.
fn stays_finite<F: Real>(alpha: f64, p: &[F], x: &[F]) -> bool {
    norm(x) + alpha.abs() * norm(p) <= F::max_value().widen() && alpha.abs() <= F::max_value().widen()
}
