//! Linear operators: a matrix known only by what it does to a vector.

use rl_kernels::Real;

use crate::OptimError;
use crate::error::check_len;
use crate::vector::{axpy, dot};

/// A square matrix `A`, known by its products.
///
/// # Example
///
/// ```
/// use rl_optim::{LinearOperator, OptimError};
///
/// /// A diagonal matrix.
/// struct Diagonal(Vec<f64>);
///
/// impl LinearOperator<f64> for Diagonal {
///     fn dim(&self) -> usize {
///         self.0.len()
///     }
///     fn apply(&mut self, v: &[f64], out: &mut [f64]) -> Result<(), OptimError> {
///         for ((out, v), d) in out.iter_mut().zip(v).zip(&self.0) {
///             *out = d * v;
///         }
///         Ok(())
///     }
/// }
///
/// let mut out = [0.0; 2];
/// Diagonal(vec![2.0, 3.0]).apply(&[1.0, 10.0], &mut out)?;
/// assert_eq!(out, [2.0, 30.0]);
/// # Ok::<(), OptimError>(())
/// ```
pub trait LinearOperator<F> {
    /// The number of rows and columns.
    fn dim(&self) -> usize;

    /// Writes `out = A v`; whatever `out` held before is gone.
    ///
    /// # Shapes
    ///
    /// `v` and `out` are `[dim]`.
    ///
    /// # Errors
    ///
    /// Whatever keeps the product from being computed; a user's own error goes through [`OptimError::operator`].
    fn apply(&mut self, v: &[F], out: &mut [F]) -> Result<(), OptimError>;
}

/// A closure `(v, out)` as a [`LinearOperator`]: for operators of a user's own, and the reference in tests. The algorithms here have operators with
/// workspaces of their own instead ([`crate::GaussNewton`], the Fisher operator).
///
/// # Example
///
/// ```
/// use rl_optim::{FnOperator, LinearOperator};
///
/// // [[2, 1], [1, 3]]
/// let mut a = FnOperator::new(2, |v: &[f64], out: &mut [f64]| {
///     out[0] = 2.0 * v[0] + v[1];
///     out[1] = v[0] + 3.0 * v[1];
///     Ok(())
/// });
/// let mut out = [0.0; 2];
/// a.apply(&[1.0, 1.0], &mut out)?;
/// assert_eq!(out, [3.0, 4.0]);
/// # Ok::<(), rl_optim::OptimError>(())
/// ```
#[derive(Debug, Clone)]
pub struct FnOperator<A> {
    dim: usize,
    apply: A,
}

impl<A> FnOperator<A> {
    /// The operator of `dim` rows and columns that `apply` computes.
    pub fn new(dim: usize, apply: A) -> Self {
        Self { dim, apply }
    }
}

impl<F, A: FnMut(&[F], &mut [F]) -> Result<(), OptimError>> LinearOperator<F> for FnOperator<A> {
    fn dim(&self) -> usize {
        self.dim
    }

    fn apply(&mut self, v: &[F], out: &mut [F]) -> Result<(), OptimError> {
        check_len("v", v.len(), self.dim)?;
        check_len("out", out.len(), self.dim)?;
        (self.apply)(v, out)
    }
}

/// The damped operator `A + λI`: `v ↦ Av + λv`.
///
/// Damping keeps a system with a (nearly) singular positive semi-definite `A` solvable, and bounds its solution by
/// `‖b‖ / λ`.
///
/// # Source
///
/// Martens, "Deep learning via Hessian-free optimization", 2010, section 4.1; TRPO's `cg_damping`.
///
/// # Example
///
/// ```
/// use rl_optim::{Damped, FnOperator, LinearOperator};
///
/// let mut twice = FnOperator::new(1, |v: &[f64], out: &mut [f64]| {
///     out[0] = 2.0 * v[0];
///     Ok(())
/// });
/// let mut out = [0.0];
/// Damped { operator: &mut twice, damping: 0.5 }.apply(&[4.0], &mut out)?;
/// assert_eq!(out, [10.0]);
/// # Ok::<(), rl_optim::OptimError>(())
/// ```
pub struct Damped<'a, F> {
    /// `A`.
    pub operator: &'a mut (dyn LinearOperator<F> + 'a),
    /// `λ`.
    pub damping: f64,
}

impl<F> std::fmt::Debug for Damped<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Damped").field("damping", &self.damping).finish_non_exhaustive()
    }
}

impl<F: Real> LinearOperator<F> for Damped<'_, F> {
    fn dim(&self) -> usize {
        self.operator.dim()
    }

    fn apply(&mut self, v: &[F], out: &mut [F]) -> Result<(), OptimError> {
        self.operator.apply(v, out)?;
        axpy(self.damping, v, out);
        Ok(())
    }
}

/// The quadratic form `vᵀAv`; `av` receives `Av`.
///
/// # Shapes
///
/// `v` and `av` are `[dim]`.
///
/// # Errors
///
/// [`OptimError::DimensionMismatch`], and whatever the operator returns.
///
/// # Example
///
/// ```
/// use rl_optim::{FnOperator, quadratic_form};
///
/// let mut twice = FnOperator::new(2, |v: &[f64], out: &mut [f64]| {
///     out.copy_from_slice(&[2.0 * v[0], 2.0 * v[1]]);
///     Ok(())
/// });
/// assert_eq!(quadratic_form(&mut twice, &[3.0, 4.0], &mut [0.0; 2])?, 50.0);
/// # Ok::<(), rl_optim::OptimError>(())
/// ```
pub fn quadratic_form<F: Real>(
    operator: &mut dyn LinearOperator<F>,
    v: &[F],
    av: &mut [F],
) -> Result<f64, OptimError> {
    check_len("v", v.len(), operator.dim())?;
    check_len("av", av.len(), operator.dim())?;
    operator.apply(v, av)?;
    Ok(dot(v, av))
}
