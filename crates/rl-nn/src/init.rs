//! Weight initialisation from a seeded generator.

use rand::RngCore;
use rand_distr::{Distribution, StandardNormal};

use crate::Real;

/// Fills a `[rows, cols]` matrix with a random (semi-)orthogonal one, scaled by `gain`.
///
/// The columns of a tall matrix (rows of a wide one) are an orthonormal set: modified Gram-Schmidt, run twice, on independent normal vectors in
/// `f64`. With normal entries and positive diagonal of R this is the Haar distribution.
///
/// # Source
///
/// Saxe, McClelland & Ganguli (2014); the distribution of PyTorch's `orthogonal_`.
///
/// # Shapes
///
/// `w` is row-major `[rows, cols]`.
pub fn orthogonal<F: Real>(w: &mut [F], rows: usize, cols: usize, gain: f64, rng: &mut dyn RngCore) {
    debug_assert_eq!(w.len(), rows * cols);
    let (count, len) = (rows.min(cols), rows.max(cols));
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(count);
    for _ in 0..count {
        let mut v: Vec<f64> = (0..len).map(|_| StandardNormal.sample(rng)).collect();
        for _ in 0..2 {
            for u in &vectors {
                let along: f64 = u.iter().zip(&v).map(|(u, v)| u * v).sum();
                v.iter_mut().zip(u).for_each(|(v, u)| *v -= along * u);
            }
        }
        let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt();
        v.iter_mut().for_each(|v| *v /= norm);
        vectors.push(v);
    }
    for (k, w) in w.iter_mut().enumerate() {
        let (r, c) = (k / cols, k % cols);
        *w = F::narrow(gain * if rows >= cols { vectors[c][r] } else { vectors[r][c] });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn products_are_the_scaled_identity() {
        let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(1);
        for (rows, cols) in [(64, 4), (4, 64), (64, 64), (1, 7), (2, 1)] {
            let mut w = vec![0.0_f64; rows * cols];
            orthogonal(&mut w, rows, cols, 3.0, &mut rng);
            let (count, len) = (rows.min(cols), rows.max(cols));
            let at = |i: usize, k: usize| {
                if rows >= cols { w[k * cols + i] } else { w[i * cols + k] }
            };
            for i in 0..count {
                for j in 0..count {
                    let dot: f64 = (0..len).map(|k| at(i, k) * at(j, k)).sum();
                    let expected = if i == j { 9.0 } else { 0.0 };
                    assert!((dot - expected).abs() < 1e-12, "{rows}x{cols}: ⟨{i},{j}⟩ = {dot}");
                }
            }
        }
    }
}
