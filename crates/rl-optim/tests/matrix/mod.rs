//! Small dense matrices to test with.

use std::ops::Range;

use proptest::prelude::*;
use rl_optim::{Jacobian, LinearOperator, OptimError};

/// A square matrix, row-major.
#[derive(Debug, Clone)]
pub(crate) struct Matrix {
    pub(crate) n: usize,
    pub(crate) a: Vec<f64>,
}

impl LinearOperator<f64> for Matrix {
    fn dim(&self) -> usize {
        self.n
    }

    fn apply(&mut self, v: &[f64], out: &mut [f64]) -> Result<(), OptimError> {
        for (out, row) in out.iter_mut().zip(self.a.chunks_exact(self.n)) {
            *out = row.iter().zip(v).map(|(a, v)| a * v).sum();
        }
        Ok(())
    }
}

/// A dense Jacobian, row-major.
#[derive(Debug, Clone)]
pub(crate) struct Dense {
    n_params: usize,
    a: Vec<f64>,
}

impl Jacobian<f64> for Dense {
    fn n_params(&self) -> usize {
        self.n_params
    }

    fn n_outputs(&self) -> usize {
        self.a.len() / self.n_params
    }

    fn jvp(&mut self, v: &[f64], dy: &mut [f64]) -> Result<(), OptimError> {
        for (dy, row) in dy.iter_mut().zip(self.a.chunks_exact(self.n_params)) {
            *dy = row.iter().zip(v).map(|(a, v)| a * v).sum();
        }
        Ok(())
    }

    fn vjp(&mut self, dy: &[f64], grad: &mut [f64]) -> Result<(), OptimError> {
        grad.fill(0.0);
        for (dy, row) in dy.iter().zip(self.a.chunks_exact(self.n_params)) {
            for (grad, a) in grad.iter_mut().zip(row) {
                *grad += a * dy;
            }
        }
        Ok(())
    }
}

/// A symmetric positive definite matrix `BᵀB + I`, and a vector.
pub(crate) fn spd(sizes: Range<usize>) -> impl Strategy<Value = (Matrix, Vec<f64>)> {
    let floats = |n| prop::collection::vec(-1.0..1.0_f64, n);
    sizes.prop_flat_map(move |n| {
        (floats(n * n), floats(n)).prop_map(move |(b, v)| {
            let element = |i, j| {
                let product: f64 = (0..n).map(|k| b[k * n + i] * b[k * n + j]).sum();
                product + f64::from(i == j)
            };
            let a = (0..n * n).map(|ij| element(ij / n, ij % n)).collect();
            (Matrix { n, a }, v)
        })
    })
}

/// A Jacobian of four outputs, and a vector of parameters.
pub(crate) fn jacobian() -> impl Strategy<Value = (Dense, Vec<f64>)> {
    let floats = |n| prop::collection::vec(-1.0..1.0_f64, n);
    (1..7_usize).prop_flat_map(move |n_params| {
        (floats(4 * n_params), floats(n_params)).prop_map(move |(a, v)| (Dense { n_params, a }, v))
    })
}
