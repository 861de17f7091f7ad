//! The Gauss-Newton operator, of which a policy's Fisher matrix is one.

use rl_kernels::Real;

use crate::error::check_len;
use crate::{LinearOperator, OptimError};

/// The Jacobian `J = ∂y/∂θ` of some outputs with respect to the parameters, at a fixed point, known by its products.
///
/// # Shapes
///
/// `J` is `[n_outputs, n_params]`. For a network on a batch, `n_outputs` is rows times columns of what it returns.
pub trait Jacobian<F> {
    /// The number of parameters `P`.
    fn n_params(&self) -> usize;

    /// The number of outputs, over the whole batch.
    fn n_outputs(&self) -> usize;

    /// Writes the forward product `dy = J v`; whatever `dy` held before is gone.
    ///
    /// # Shapes
    ///
    /// `v` is `[n_params]`, `dy` `[n_outputs]`.
    ///
    /// # Errors
    ///
    /// Whatever keeps the product from being computed; a user's own error goes through [`OptimError::operator`].
    fn jvp(&mut self, v: &[F], dy: &mut [F]) -> Result<(), OptimError>;

    /// Writes the backward product `grad = Jᵀ dy`; whatever `grad` held before is gone.
    ///
    /// # Shapes
    ///
    /// `dy` is `[n_outputs]`, `grad` `[n_params]`.
    ///
    /// # Errors
    ///
    /// Whatever keeps the product from being computed; a user's own error goes through [`OptimError::operator`].
    fn vjp(&mut self, dy: &[F], grad: &mut [F]) -> Result<(), OptimError>;
}

/// The Gauss-Newton operator `v ↦ Jᵀ M J v`, with `M` a metric on the outputs.
///
/// With `M` the Fisher metric of a distribution in its parameters `y` (and the mean over states in it), this is the
/// Fisher matrix of the policy: exact, and positive semi-definite where `M` is.
///
/// # Source
///
/// Schraudolph, "Fast Curvature Matrix-Vector Products for Second-Order Gradient Descent", 2002, section 3; Pascanu and
/// Bengio, "Revisiting Natural Gradient for Deep Networks", 2014, section 4.
///
/// # Example
///
/// `y = (θ₀, 2θ₀)` with the metric `diag(1, 3)`: `JᵀMJ = 1·1 + 2·3·2 = 13`.
///
/// ```
/// use rl_optim::{GaussNewton, Jacobian, LinearOperator, OptimError};
///
/// struct Twice;
/// impl Jacobian<f64> for Twice {
///     fn n_params(&self) -> usize {
///         1
///     }
///     fn n_outputs(&self) -> usize {
///         2
///     }
///     fn jvp(&mut self, v: &[f64], dy: &mut [f64]) -> Result<(), OptimError> {
///         dy.copy_from_slice(&[v[0], 2.0 * v[0]]);
///         Ok(())
///     }
///     fn vjp(&mut self, dy: &[f64], grad: &mut [f64]) -> Result<(), OptimError> {
///         grad[0] = dy[0] + 2.0 * dy[1];
///         Ok(())
///     }
/// }
///
/// let mut jacobian = Twice;
/// let mut fisher = GaussNewton::new(&mut jacobian, |dy: &mut [f64]| {
///     dy[1] *= 3.0;
///     Ok(())
/// });
/// let mut out = [0.0];
/// fisher.apply(&[1.0], &mut out)?;
/// assert_eq!(out, [13.0]);
/// # Ok::<(), OptimError>(())
/// ```
#[derive(Debug)]
pub struct GaussNewton<'a, F, J: ?Sized, M> {
    jacobian: &'a mut J,
    metric: M,
    dy: Vec<F>,
}

impl<'a, F: Real, J: Jacobian<F> + ?Sized, M: FnMut(&mut [F]) -> Result<(), OptimError>>
    GaussNewton<'a, F, J, M>
{
    /// The operator of this Jacobian and of this metric, which turns `dy` into `M dy` in place, or fails.
    pub fn new(jacobian: &'a mut J, metric: M) -> Self {
        Self::with_buffer(jacobian, metric, Vec::new())
    }

    /// The same, with a buffer to reuse; [`into_buffer`](Self::into_buffer) gives it back.
    pub fn with_buffer(jacobian: &'a mut J, metric: M, mut buffer: Vec<F>) -> Self {
        buffer.clear();
        buffer.resize(jacobian.n_outputs(), F::narrow(0.0));
        Self { jacobian, metric, dy: buffer }
    }

    /// Gives the buffer back.
    pub fn into_buffer(self) -> Vec<F> {
        self.dy
    }
}

impl<F: Real, J: Jacobian<F> + ?Sized, M: FnMut(&mut [F]) -> Result<(), OptimError>> LinearOperator<F>
    for GaussNewton<'_, F, J, M>
{
    fn dim(&self) -> usize {
        self.jacobian.n_params()
    }

    fn apply(&mut self, v: &[F], out: &mut [F]) -> Result<(), OptimError> {
        check_len("v", v.len(), self.jacobian.n_params())?;
        check_len("out", out.len(), self.jacobian.n_params())?;
        self.jacobian.jvp(v, &mut self.dy)?;
        (self.metric)(&mut self.dy)?;
        self.jacobian.vjp(&self.dy, out)
    }
}
