//! One affine layer.

use std::ops::Range;

use crate::{Activation, Buffer, Init, MatRef, Real, States};

/// Below this many rows or columns a weight gradient is taken another way.
const NARROW: usize = 16;

/// Where a layer's parameters lie.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) n_in: usize,
    pub(super) n_out: usize,
    pub(super) weight: Range<usize>,
    pub(super) bias: Range<usize>,
}

impl Layer {
    pub(super) fn weights<'a, F>(&self, theta: &'a [F]) -> MatRef<'a, F> {
        MatRef::new(&theta[self.weight.clone()], self.n_out, self.n_in)
    }

    /// `Y = σ(W X + b)`, or without σ, for feature-major `X` `[n_in, rows]` and `Y` `[n_out, rows]`.
    pub(super) fn forward<F: Real>(
        &self,
        theta: &[F],
        x: &[F],
        rows: usize,
        activation: Option<Activation>,
        y: &mut [F],
        slopes: Option<&mut [F]>,
    ) {
        let (w, x) = (self.weights(theta), MatRef::new(x, self.n_in, rows));
        let bias = Init::RowBias(&theta[self.bias.clone()]);
        match activation {
            Some(activation) => activation.of_product(y, w, x, bias, slopes),
            None => F::matmul(y, w, x, bias),
        }
    }

    /// Whether its weight gradient is a product with the row-major input, and not of dot products.
    pub(super) fn wants_row_major_input(&self) -> bool {
        self.n_in.min(self.n_out) >= NARROW
    }

    /// `dW = dY Xᵀ` and `db = Σ dY` of the first layer, from row-major `dY` `[rows, n_out]` and `X` `[rows, n_in]`.
    pub(super) fn first_gradient<F: Real>(
        &self,
        x: &States<'_, F>,
        dy: &[F],
        grad: &mut [F],
        scratch: &mut Buffer<F>,
    ) {
        let rows = x.rows();
        let dy = MatRef::new(dy, rows, self.n_out);
        let x = MatRef::new(x.obs(), rows, self.n_in);
        let dw = &mut grad[self.weight.clone()];
        if self.n_in >= NARROW {
            F::matmul(dw, dy.t(), x, Init::Zero);
        } else {
            // The transpose: its rows are long.
            let dw_t = scratch.take(self.n_in * self.n_out);
            F::matmul(dw_t, x.t(), dy, Init::Zero);
            F::transpose(dw_t, self.n_in, self.n_out, dw);
        }
        F::matmul(&mut grad[self.bias.clone()], MatRef::filled(&F::one(), 1, rows), dy, Init::Zero);
    }
}
