//! Adam.

use num_traits::Float;
use serde::{Deserialize, Serialize};

use crate::OptimError;
use crate::error::{check_len, check_range};
use crate::vector::from_f64;

/// Adam's constants.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamParams {
    /// `β₁`, the decay of the first moment.
    pub beta1: f64,
    /// `β₂`, the decay of the second moment.
    pub beta2: f64,
    /// `ε`, added to the denominator after the bias correction, as PyTorch does.
    pub eps: f64,
}

impl Default for AdamParams {
    /// Kingma and Ba's constants, and PyTorch's defaults. Stable-Baselines3 uses `eps = 1e-5` for PPO.
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8 }
    }
}

/// Adam, equal to PyTorch's `torch.optim.Adam` without weight decay:
///
/// ```text
/// t ← t + 1
/// m ← m + (1 − β₁)(g − m)
/// v ← β₂ v + (1 − β₂) g²
/// θ ← θ − (lr / (1 − β₁ᵗ)) · m / (√v / √(1 − β₂ᵗ) + ε)
/// ```
///
/// The whole state is public and serialisable, so that a run can resume to the bit.
///
/// # Source
///
/// Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1.
///
/// # Example
///
/// The first step has length `lr` whatever the gradient, up to `ε`:
///
/// ```
/// use rl_optim::{Adam, AdamParams};
///
/// let mut adam = Adam::new(2, AdamParams::default());
/// let mut theta = [1.0, 1.0];
/// adam.step(&mut theta, &[20.0, -0.5], 0.1)?;
/// assert!((theta[0] - 0.9_f64).abs() < 1e-7 && (theta[1] - 1.1).abs() < 1e-7);
/// # Ok::<(), rl_optim::OptimError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adam<F> {
    /// The constants.
    pub params: AdamParams,
    /// `m`, the running mean of the gradient.
    pub m: Vec<F>,
    /// `v`, the running mean of its squares.
    pub v: Vec<F>,
    /// `t`, the number of steps taken.
    pub t: u64,
}

impl<F: Float> Adam<F> {
    /// Adam for `n_params` parameters, before its first step.
    #[must_use]
    pub fn new(n_params: usize, params: AdamParams) -> Self {
        Self { params, m: vec![F::zero(); n_params], v: vec![F::zero(); n_params], t: 0 }
    }

    /// Moves `theta` one step against `grad`, with the learning rate `lr`.
    ///
    /// # Shapes
    ///
    /// `theta` and `grad` are `[P]`, as `m` and `v` are.
    ///
    /// # Errors
    ///
    /// [`OptimError::DimensionMismatch`] where a length differs, and [`OptimError::InvalidParameter`] where a constant is
    /// outside its range; nothing has changed then.
    pub fn step(&mut self, theta: &mut [F], grad: &[F], lr: f64) -> Result<(), OptimError> {
        self.step_scaled(theta, grad, 1.0, lr)
    }

    /// The same with the gradient `scale · grad`: clipping ([`clip_scale`](crate::clip_scale)) without a pass of its own.
    ///
    /// # Shapes
    ///
    /// As in [`step`](Self::step).
    ///
    /// # Errors
    ///
    /// As in [`step`](Self::step).
    ///
    /// # Example
    ///
    /// ```
    /// use rl_optim::{Adam, AdamParams};
    ///
    /// let (mut a, mut b) = (Adam::new(1, AdamParams::default()), Adam::new(1, AdamParams::default()));
    /// let (mut x, mut y) = ([1.0_f32], [1.0_f32]);
    /// a.step_scaled(&mut x, &[3.0], 0.5, 0.1)?;
    /// b.step(&mut y, &[1.5], 0.1)?;
    /// assert_eq!((x, a), (y, b));
    /// # Ok::<(), rl_optim::OptimError>(())
    /// ```
    pub fn step_scaled(
        &mut self,
        theta: &mut [F],
        grad: &[F],
        scale: f64,
        lr: f64,
    ) -> Result<(), OptimError> {
        let AdamParams { beta1, beta2, eps } = self.params;
        let n = theta.len();
        check_len("grad", grad.len(), n)?;
        check_len("m", self.m.len(), n)?;
        check_len("v", self.v.len(), n)?;
        check_range("beta1", beta1, "a number from 0 to below 1", (0.0..1.0).contains(&beta1))?;
        check_range("beta2", beta2, "a number from 0 to below 1", (0.0..1.0).contains(&beta2))?;
        check_range("eps", eps, "a number of at least 0", eps >= 0.0)?;

        self.t += 1;
        let t = self.t as f64;
        let step_size = lr / (1.0 - beta1.powf(t));
        let root_correction = (1.0 - beta2.powf(t)).sqrt();
        let constants = Constants {
            scale: from_f64(scale),
            new1: from_f64(1.0 - beta1),
            beta2: from_f64(beta2),
            new2: from_f64(1.0 - beta2),
            inv_root_correction: from_f64(1.0 / root_correction),
            eps: from_f64(eps),
            step_size: from_f64(step_size),
        };
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || update(theta, grad, &mut self.m, &mut self.v, &constants),
        );
        Ok(())
    }
}

/// What is the same for every parameter of a step, in the parameters' precision.
struct Constants<F> {
    scale: F,
    new1: F,
    beta2: F,
    new2: F,
    inv_root_correction: F,
    eps: F,
    step_size: F,
}

// Element-wise over four slices of one length, without branches: compilers make vector code of it.
#[inline(always)]
fn update<F: Float>(theta: &mut [F], grad: &[F], m: &mut [F], v: &mut [F], c: &Constants<F>) {
    for (((theta, &grad), m), v) in theta.iter_mut().zip(grad).zip(m).zip(v) {
        let g = c.scale * grad;
        *m = *m + c.new1 * (g - *m);
        *v = c.beta2 * *v + c.new2 * g * g;
        *theta = *theta - c.step_size * *m / (v.sqrt() * c.inv_root_correction + c.eps);
    }
}
