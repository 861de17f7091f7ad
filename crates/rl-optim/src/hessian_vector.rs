//! Hessian-vector products from gradients alone.

use rl_kernels::Real;

use crate::error::check_len;
use crate::vector::norm;
use crate::{LinearOperator, OptimError};

/// The Hessian `H` of any objective at `θ`, from its gradient by central differences:
///
/// ```text
/// H v ≈ (∇f(θ + h v) − ∇f(θ − h v)) / 2h        h = s / ‖v‖        s = (ε (1 + ‖θ‖))^⅓
/// ```
///
/// The distance `s` of the two points from `θ` balances the two errors: rounding of `θ ± hv` and of the gradients, about
/// `ε (1 + ‖θ‖) / s`, and the third derivative left out, about `s² / 6` for an objective whose derivatives are of order
/// one; `ε` is the precision of `F`. So a relative error near 1e-10 is to be expected in f64 and near 1e-4 in f32: a check
/// and a fallback, where [`GaussNewton`](crate::GaussNewton) is exact. [`with_step`](Self::with_step) sets another `s`.
///
/// # Source
///
/// Nocedal and Wright, "Numerical Optimization", 2nd edition, 2006, eq. 8.20 (there by forward differences) and the
/// analysis of central differences after eq. 8.7.
///
/// # Example
///
/// `f(x, y) = x² + 3xy + 2y²` has the gradient `(2x + 3y, 3x + 4y)` and the Hessian `[[2, 3], [3, 4]]`:
///
/// ```
/// use rl_optim::{HessianVectorProduct, LinearOperator};
///
/// let gradient = |p: &[f64], g: &mut [f64]| {
///     g[0] = 2.0 * p[0] + 3.0 * p[1];
///     g[1] = 3.0 * p[0] + 4.0 * p[1];
///     Ok(())
/// };
/// let mut hessian = HessianVectorProduct::new(&[1.0, 2.0], gradient);
/// let mut column = [0.0; 2];
/// hessian.apply(&[1.0, 0.0], &mut column)?;
/// assert!((column[0] - 2.0_f64).abs() < 1e-9 && (column[1] - 3.0).abs() < 1e-9);
/// # Ok::<(), rl_optim::OptimError>(())
/// ```
#[derive(Debug, Clone)]
pub struct HessianVectorProduct<'a, F, G> {
    theta: &'a [F],
    gradient: G,
    step: f64,
    shifted: Vec<F>,
    behind: Vec<F>,
}

impl<'a, F, G> HessianVectorProduct<'a, F, G>
where
    F: Real,
    G: FnMut(&[F], &mut [F]) -> Result<(), OptimError>,
{
    /// The Hessian at `theta` of the objective whose gradient `gradient(theta, grad)` writes.
    pub fn new(theta: &'a [F], gradient: G) -> Self {
        let zeros = vec![F::zero(); theta.len()];
        let step = rl_kernels::elementary::pow(F::epsilon().widen() * (1.0 + norm(theta)), 1.0 / 3.0);
        Self { theta, gradient, step, shifted: zeros.clone(), behind: zeros }
    }

    /// The same with `s`, the distance of the two points from `θ`, set by hand; it must be positive and finite.
    ///
    /// # Errors
    ///
    /// [`OptimError::InvalidParameter`] where it is not.
    pub fn with_step(self, step: f64) -> Result<Self, OptimError> {
        let holds = step.is_finite() && step > 0.0;
        crate::error::check_range("step", step, "a positive number", holds)?;
        Ok(Self { step, ..self })
    }

    fn gradient_at(&mut self, h: f64, v: &[F], grad: &mut [F]) -> Result<(), OptimError> {
        for ((shifted, &theta), &v) in self.shifted.iter_mut().zip(self.theta).zip(v) {
            *shifted = F::narrow(theta.widen() + h * v.widen());
        }
        (self.gradient)(&self.shifted, grad)
    }
}

impl<F, G> LinearOperator<F> for HessianVectorProduct<'_, F, G>
where
    F: Real,
    G: FnMut(&[F], &mut [F]) -> Result<(), OptimError>,
{
    fn dim(&self) -> usize {
        self.theta.len()
    }

    fn apply(&mut self, v: &[F], out: &mut [F]) -> Result<(), OptimError> {
        check_len("v", v.len(), self.dim())?;
        check_len("out", out.len(), self.dim())?;
        let length = norm(v);
        if length <= 0.0 {
            out.fill(F::zero());
            return Ok(());
        }
        let h = self.step / length;
        self.gradient_at(h, v, out)?;
        let mut behind = std::mem::take(&mut self.behind);
        let result = self.gradient_at(-h, v, &mut behind);
        self.behind = behind;
        result?;
        for (out, &behind) in out.iter_mut().zip(&self.behind) {
            *out = F::narrow((out.widen() - behind.widen()) / (2.0 * h));
        }
        Ok(())
    }
}
