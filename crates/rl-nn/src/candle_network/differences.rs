//! Tangents of a module that has none of its own.

use rl_kernels::sum_of_squares;

use super::CandleNetwork;
use crate::{NnError, Real, States};

impl CandleNetwork {
    /// `(f(θ + h v, x + h ẋ) − f(θ − h v, x − h ẋ)) / 2h` in `f64`. The step is the cube root of the precision in units of the point's length by the
    /// direction's, which balances the difference's two errors.
    pub(super) fn differences<F: Real>(
        &self,
        theta: &[F],
        x: &States<'_, F>,
        v: &[F],
        dx: Option<&[F]>,
        dy: &mut [F],
    ) -> Result<(), NnError> {
        let rows = x.rows();
        let length = |a: &[F], b: &[F]| (sum_of_squares(a) + sum_of_squares(b)).sqrt();
        // The rows' tangents are as many directions: their length is that of one.
        let per_row = 1.0 / (rows.max(1) as f64).sqrt();
        let direction = length(v, &[]).max(length(dx.unwrap_or(&[]), &[]) * per_row);
        if direction == 0.0 {
            dy.fill(F::zero());
            return Ok(());
        }
        let h = 6e-6 * (1.0 + length(theta, &[]).max(length(x.obs(), &[]) * per_row)) / direction;
        let at = |h: f64| -> Result<Vec<f64>, NnError> {
            let moved = |a: &[F], b: &[F]| -> Vec<f64> {
                a.iter().zip(b).map(|(a, b)| a.widen() + h * b.widen()).collect()
            };
            let x: Vec<f64> = match dx {
                Some(dx) => moved(x.obs(), dx),
                None => x.obs().iter().map(|x| x.widen()).collect(),
            };
            let y = self.run::<f64>(self.upload(&moved(theta, v))?, &self.inputs(&x)?, rows)?;
            Ok(y.flatten_all()?.to_vec1()?)
        };
        for (dy, (plus, minus)) in dy.iter_mut().zip(at(h)?.into_iter().zip(at(-h)?)) {
            *dy = F::narrow((plus - minus) / (2.0 * h));
        }
        Ok(())
    }
}
