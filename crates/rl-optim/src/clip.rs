//! Clipping a gradient by its norm.

use rl_kernels::Real;

use crate::vector::{norm, scale};

/// Scales a gradient down to `max_norm` where it is longer, and returns its norm before: PyTorch's `clip_grad_norm_`.
///
/// ```text
/// g ← g · min(1, max_norm / (‖g‖ + 1e-6))
/// ```
///
/// A norm that is not finite stays visible: in what is returned, and as NaN in the gradient.
///
/// # Source
///
/// Pascanu et al., "On the difficulty of training recurrent neural networks", 2013, algorithm 1; the constant is
/// PyTorch's. The norm is accumulated in f64.
///
/// # Example
///
/// ```
/// let mut gradient = [3.0, 4.0];
/// assert_eq!(rl_optim::clip_grad_norm(&mut gradient, 1.0), 5.0);
/// assert!((gradient[0] - 0.6_f64).abs() < 1e-6 && (gradient[1] - 0.8).abs() < 1e-6);
/// assert_eq!(rl_optim::clip_grad_norm(&mut [0.3, 0.4], 1.0), 0.5);
/// ```
pub fn clip_grad_norm<F: Real>(grad: &mut [F], max_norm: f64) -> f64 {
    let norm = norm(grad);
    let factor = clip_scale(norm, max_norm);
    if factor < 1.0 || factor.is_nan() {
        scale(factor, grad);
    }
    norm
}

/// The factor of [`clip_grad_norm`] for a gradient of this norm, `min(1, max_norm / (norm + 1e-6))`.
///
/// # Example
///
/// ```
/// assert_eq!(rl_optim::clip_scale(0.5, 1.0), 1.0);
/// assert!((rl_optim::clip_scale(5.0, 1.0) - 0.2).abs() < 1e-7);
/// assert_eq!(rl_optim::clip_scale(1e-6, 1e-6), 0.5);
/// ```
#[must_use]
pub fn clip_scale(norm: f64, max_norm: f64) -> f64 {
    let factor = max_norm / (norm + 1e-6);
    // Not `min`, which would turn NaN into 1.
    if factor > 1.0 { 1.0 } else { factor }
}
