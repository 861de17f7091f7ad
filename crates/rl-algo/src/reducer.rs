//! The one place where a batch becomes a mean.

use rl_nn::Real;

/// Sums over a batch. All rows are local today; a batch spread over processes would be summed here and nowhere else.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reducer;

impl Reducer {
    /// `Σ_b x_b / B`, accumulated in `f64`; NaN for no row.
    pub fn mean<F: Real>(&self, x: &[F]) -> f64 {
        // Side by side, for an addition takes longer than the time until the next could begin.
        let (chunks, rest) = x.as_chunks::<8>();
        let mut partial = [0.0; 8];
        for chunk in chunks {
            partial.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += x.widen());
        }
        partial.into_iter().chain(rest.iter().map(|x| x.widen())).sum::<f64>() / x.len() as f64
    }

    /// `max_b x_b`; NaN if any is.
    pub fn max<F: Real>(&self, x: &[F]) -> f64 {
        x.iter().fold(f64::NEG_INFINITY, |m, x| if x.widen() > m || x.is_nan() { x.widen() } else { m })
    }

    /// Adds up each process's part of a vector.
    pub fn sum<F: Real>(&self, _x: &mut [F]) {}
}
