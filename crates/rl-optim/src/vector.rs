//! Vectors as slices: products and sums in f64, in an order that depends on the length alone.
//!
//! Where two slices differ in length, what the longer one has more is ignored.

use rl_kernels::Real;
pub use rl_kernels::{dot, sum_of_squares};

/// The Euclidean norm `‖a‖ = √(aᵀa)`, accumulated in f64.
///
/// # Example
///
/// ```
/// assert_eq!(rl_optim::vector::norm(&[3.0, 4.0]), 5.0);
/// ```
#[must_use]
pub fn norm<F: Real>(a: &[F]) -> f64 {
    sum_of_squares(a).sqrt()
}

/// Adds a multiple in place: `y ← y + αx`, in the vectors' own precision.
///
/// # Example
///
/// ```
/// let mut y = [1.0, 1.0];
/// rl_optim::vector::axpy(2.0, &[3.0, 4.0], &mut y);
/// assert_eq!(y, [7.0, 9.0]);
/// ```
pub fn axpy<F: Real>(alpha: f64, x: &[F], y: &mut [F]) {
    let alpha = F::narrow(alpha);
    for (y, &x) in y.iter_mut().zip(x) {
        *y += alpha * x;
    }
}

/// Scales in place: `x ← αx`, in the vector's own precision.
///
/// # Example
///
/// ```
/// let mut x = [1.0, -2.0];
/// rl_optim::vector::scale(0.5, &mut x);
/// assert_eq!(x, [0.5, -1.0]);
/// ```
pub fn scale<F: Real>(alpha: f64, x: &mut [F]) {
    let alpha = F::narrow(alpha);
    for x in x {
        *x *= alpha;
    }
}
