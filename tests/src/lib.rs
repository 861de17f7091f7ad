//! What the integration tests share: golden numbers in the scalar type under test.

use rl_nn::Real;

/// Rounds a golden array to the scalar type under test.
pub fn narrow<F: Real>(x: &[f64]) -> Vec<F> {
    x.iter().map(|&x| F::narrow(x)).collect()
}

/// Rounds a golden matrix to the scalar type under test, flattened.
pub fn narrow_rows<F: Real>(x: &[Vec<f64>]) -> Vec<F> {
    x.iter().flatten().map(|&x| F::narrow(x)).collect()
}
