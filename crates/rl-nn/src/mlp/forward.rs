//! Forward passes.

use super::Mlp;
use super::memory::Memory;
use crate::{Init, MatRef, NnError, Real, States, Workspace};

/// Up to this many rows the weights are transposed for a forward pass, and not the activations,
const FEW_ROWS: usize = 16;
/// in networks of up to this many parameters.
const FEW_PARAMS: usize = 1 << 16;

impl Mlp {
    pub(super) fn run_forward<F: Real>(
        &self,
        theta: &[F],
        x: &States<'_, F>,
        y: &mut [F],
        ws: &mut Workspace<F>,
    ) -> Result<(), NnError> {
        crate::network::check(self, theta, x)?;
        NnError::check("the output", y.len(), x.rows() * self.shape.n_outputs)?;
        let (_, memory) = ws.parts::<Memory<F>>();
        if x.rows() <= FEW_ROWS && theta.len() <= FEW_PARAMS {
            self.transpose_weights(theta, memory);
            self.forward_few_rows(theta, x, y, memory);
        } else {
            self.forward_many_rows(theta, x, y, memory);
        }
        Ok(())
    }

    /// Unless they have been since the parameters were prepared. The pass over many rows leaves them alone, so that one over few may follow.
    fn transpose_weights<F: Real>(&self, theta: &[F], memory: &mut Memory<F>) {
        if std::mem::replace(&mut memory.has_weights, true) {
            return;
        }
        let n_weights = self.layers.iter().map(|layer| layer.weight.len()).sum();
        let mut w_t = memory.transposed.take(n_weights);
        for layer in &self.layers {
            let (weights, rest) = w_t.split_at_mut(layer.weight.len());
            F::transpose(&theta[layer.weight.clone()], layer.n_out, layer.n_in, weights);
            w_t = rest;
        }
    }

    /// The features are the vector lanes, for batches that do not fill a vector: `Y = X Wᵀ + b`, row-major.
    fn forward_few_rows<F: Real>(&self, theta: &[F], x: &States<'_, F>, y: &mut [F], memory: &mut Memory<F>) {
        let rows = x.rows();
        let mut w_t = &*memory.transposed.take(self.layers.iter().map(|layer| layer.weight.len()).sum());
        let [front, back] = &mut memory.scratch;
        let (mut input, mut other) = (front, back);
        input.take(x.obs().len()).copy_from_slice(x.obs());
        for (l, layer) in self.layers.iter().enumerate() {
            let (weights, rest) = w_t.split_at(layer.weight.len());
            let x = MatRef::new(input.take(rows * layer.n_in), rows, layer.n_in);
            let w = MatRef::new(weights, layer.n_in, layer.n_out);
            let bias = Init::ColumnBias(&theta[layer.bias.clone()]);
            let last = l + 1 == self.layers.len();
            let out = if last { &mut *y } else { other.take(rows * layer.n_out) };
            match self.activation_of(l) {
                Some(activation) => activation.of_product(out, x, w, bias, None),
                None => F::matmul(out, x, w, bias),
            }
            std::mem::swap(&mut input, &mut other);
            w_t = rest;
        }
    }

    /// The rows are the vector lanes: activations lie feature-major.
    fn forward_many_rows<F: Real>(
        &self,
        theta: &[F],
        x: &States<'_, F>,
        y: &mut [F],
        memory: &mut Memory<F>,
    ) {
        let rows = x.rows();
        let [front, back] = &mut memory.scratch;
        let (mut input, mut other) = (front, back);
        F::transpose(x.obs(), rows, x.width(), input.take(rows * x.width()));
        for (l, layer) in self.layers.iter().enumerate() {
            let out = other.take(rows * layer.n_out);
            layer.forward(theta, input.take(rows * layer.n_in), rows, self.activation_of(l), out, None);
            std::mem::swap(&mut input, &mut other);
        }
        F::transpose(input.take(y.len()), self.shape.n_outputs, rows, y);
    }
}
