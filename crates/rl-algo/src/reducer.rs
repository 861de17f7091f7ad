//! The one place where a batch becomes a mean.

use rl_nn::Real;

/// Sums over a batch. All rows are local today; a batch spread over processes would be summed here and nowhere else.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reducer;

impl Reducer {
    /// `Σ_b x_b / B`, accumulated in `f64`; NaN for no row.
    pub fn mean<F: Real>(&self, x: &[F]) -> f64 {
        rl_kernels::sum(x, |x| x) / x.len() as f64
    }

    /// `max_b x_b`; NaN if any is.
    pub fn max<F: Real>(&self, x: &[F]) -> f64 {
        rl_kernels::max(x)
    }

    /// Adds up each process's part of a vector.
    pub fn sum<F: Real>(&self, _x: &mut [F]) {}
}
