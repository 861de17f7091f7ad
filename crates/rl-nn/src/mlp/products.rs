//! The recorded pass and the products with the Jacobians.

use super::Mlp;
use super::memory::Memory;
use crate::{Init, MatRef, Real, States};

impl Mlp {
    /// Elements of all values that are kept, a row.
    fn n_kept(&self) -> usize {
        let inner: usize = self.layers.iter().map(|layer| layer.n_in).sum();
        inner + if self.activated_output { self.shape.n_outputs } else { 0 }
    }

    /// Keeps the feature-major input and hidden activations, and those that the products want row-major.
    pub(super) fn run_record<F: Real>(
        &self,
        theta: &[F],
        x: &States<'_, F>,
        output: &mut Vec<F>,
        memory: &mut Memory<F>,
    ) {
        let (rows, n_outputs) = (x.rows(), self.shape.n_outputs);
        output.resize(rows * n_outputs, F::zero());
        memory.has_weights = false;
        let keeps_slopes = !self.activation.slope_follows_from_value();
        let mut values = memory.values.take(rows * self.n_kept());
        let mut transposed = memory.transposed.take(rows * self.n_kept());
        let mut slopes = memory.slopes.take(if keeps_slopes { rows * self.n_kept() } else { 0 });
        F::transpose(x.obs(), rows, x.width(), &mut values[..rows * x.width()]);
        for (l, layer) in self.layers.iter().enumerate() {
            let (input, rest) = values.split_at_mut(rows * layer.n_in);
            let last = l + 1 == self.layers.len();
            let activation = self.activation_of(l);
            if last && activation.is_none() {
                let y = memory.scratch[0].take(rows * n_outputs);
                layer.forward(theta, input, rows, None, y, None);
                F::transpose(y, n_outputs, rows, output);
                break;
            }
            let out = &mut rest[..rows * layer.n_out];
            if keeps_slopes {
                slopes = &mut slopes[rows * layer.n_in..];
            }
            let kept =
                keeps_slopes.then_some(&mut slopes[..]).map(|slopes| &mut slopes[..rows * layer.n_out]);
            layer.forward(theta, input, rows, activation, out, kept);
            transposed = &mut transposed[rows * layer.n_in..];
            // The first hidden layer's for its own derivative.
            if !last && (l == 0 || self.layers[l + 1].wants_row_major_input()) {
                F::transpose(out, layer.n_out, rows, &mut transposed[..rows * layer.n_out]);
            }
            if l == 0 && keeps_slopes {
                let first = memory.first_slopes.take(rows * layer.n_out);
                F::transpose(&slopes[..rows * layer.n_out], layer.n_out, rows, first);
            }
            if last {
                F::transpose(out, n_outputs, rows, output);
            }
            values = rest;
        }
    }

    /// Gradients are feature-major until they reach the first layer, which takes them row-major.
    pub(super) fn run_vjp<F: Real>(
        &self,
        theta: &[F],
        x: &States<'_, F>,
        memory: &mut Memory<F>,
        dy: &[F],
        grad: &mut [F],
        dx: Option<&mut [F]>,
    ) {
        let (rows, n_outputs) = (x.rows(), self.shape.n_outputs);
        let keeps_slopes = !self.activation.slope_follows_from_value();
        let values = &*memory.values.take(rows * self.n_kept());
        let transposed = &*memory.transposed.take(rows * self.n_kept());
        let slopes = &*memory.slopes.take(if keeps_slopes { rows * self.n_kept() } else { 0 });
        let kept = if keeps_slopes { slopes } else { values };
        let first = &self.layers[0];
        let first_slopes = &*memory.first_slopes.take(if keeps_slopes { rows * first.n_out } else { 0 });
        let [front, back] = &mut memory.scratch;
        let (mut g, mut other) = (front, back);
        let mut end = rows * self.layers.iter().map(|layer| layer.n_in).sum::<usize>();

        // The gradient of the last layer before its activation: feature-major, or row-major where it is the first one too.
        let single = self.layers.len() == 1;
        if single {
            let g = g.take(rows * n_outputs);
            g.copy_from_slice(dy);
            if self.activated_output {
                let row_major = other.take(rows * n_outputs);
                F::transpose(&kept[end..], n_outputs, rows, row_major);
                self.activation.times_slope(g, row_major);
            }
        } else {
            let g = g.take(rows * n_outputs);
            F::transpose(dy, rows, n_outputs, g);
            if self.activated_output {
                self.activation.times_slope(g, &kept[end..]);
            }
        }
        for (l, layer) in self.layers.iter().enumerate().skip(1).rev() {
            let start = end - rows * layer.n_in;
            let dy = &*g.take(rows * layer.n_out);
            let dw = &mut grad[layer.weight.clone()];
            if layer.wants_row_major_input() {
                // dW = dY Xᵀ
                let x_t = MatRef::new(&transposed[start..end], rows, layer.n_in);
                F::matmul(dw, MatRef::new(dy, layer.n_out, rows), x_t, Init::Zero);
            } else {
                F::matmul_nt(dw, dy, &values[start..end], rows);
            }
            F::row_sums(&mut grad[layer.bias.clone()], dy);
            // dX = Wᵀ dY, then through the activation
            let (w, dy) = (layer.weights(theta), MatRef::new(dy, layer.n_out, rows));
            let dx = other.take(rows * layer.n_in);
            if l > 1 {
                self.activation.slope_times_product(dx, w.t(), dy, Init::Zero, &kept[start..end]);
            } else {
                let kept = if keeps_slopes { first_slopes } else { &transposed[start..end] };
                self.activation.slope_times_product(dx, dy.t(), w, Init::Zero, kept);
            }
            std::mem::swap(&mut g, &mut other);
            end = start;
        }
        let g = g.take(rows * first.n_out);
        first.first_gradient(x, g, grad, other);
        if let Some(dx) = dx {
            F::matmul(dx, MatRef::new(g, rows, first.n_out), first.weights(theta), Init::Zero);
        }
    }

    pub(super) fn run_jvp<F: Real>(
        &self,
        theta: &[F],
        x: &States<'_, F>,
        memory: &mut Memory<F>,
        v: &[F],
        dx: Option<&[F]>,
        dy: &mut [F],
    ) {
        let rows = x.rows();
        let keeps_slopes = !self.activation.slope_follows_from_value();
        let values = &*memory.values.take(rows * self.n_kept());
        let slopes = &*memory.slopes.take(if keeps_slopes { rows * self.n_kept() } else { 0 });
        let kept = if keeps_slopes { slopes } else { values };
        let [front, back] = &mut memory.scratch;
        let (mut tangent, mut other) = (front, back);
        if let Some(dx) = dx {
            F::transpose(dx, rows, x.width(), tangent.take(dx.len()));
        }
        let mut start = 0;
        for (l, layer) in self.layers.iter().enumerate() {
            let end = start + rows * layer.n_in;
            let out = other.take(rows * layer.n_out);
            let tangent_of_product = |out: &mut [F], a, b, init| match self.activation_of(l) {
                Some(activation) => {
                    let kept = &kept[end..end + rows * layer.n_out];
                    activation.slope_times_product(out, a, b, init, kept);
                }
                None => F::matmul(out, a, b, init),
            };
            // V X + v_b, then + W Ẋ
            let x = MatRef::new(&values[start..end], layer.n_in, rows);
            let bias = Init::RowBias(&v[layer.bias.clone()]);
            if l == 0 && dx.is_none() {
                tangent_of_product(out, layer.weights(v), x, bias);
            } else {
                let x_dot = MatRef::new(tangent.take(rows * layer.n_in), layer.n_in, rows);
                F::matmul(out, layer.weights(v), x, bias);
                tangent_of_product(out, layer.weights(theta), x_dot, Init::Accumulate);
            }
            std::mem::swap(&mut tangent, &mut other);
            start = end;
        }
        F::transpose(tangent.take(dy.len()), self.shape.n_outputs, rows, dy);
    }
}
