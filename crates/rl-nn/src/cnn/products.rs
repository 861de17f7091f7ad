//! The recorded pass and the products with the Jacobians.

use super::Cnn;
use super::layer::{channels_first, pixels_first};
use super::memory::Memory;
use crate::{Init, MatRef, Network, NnError, Real, States};

impl Cnn {
    /// Lays the kernels out as the products want them.
    pub(super) fn lay_out_kernels<F: Real>(&self, theta: &[F], memory: &mut Memory<F>) {
        memory.kernels.resize_with(self.layers.len(), Default::default);
        memory.columns.resize_with(self.layers.len(), Default::default);
        for ((layer, kernels), columns) in
            self.layers.iter().zip(&mut memory.kernels).zip(&mut memory.columns)
        {
            let kernels = kernels.take(layer.weight.len());
            layer.rows_of_kernels(&theta[layer.weight.clone()], kernels);
            F::transpose(kernels, layer.c_out, layer.patch_len(), columns.take(layer.weight.len()));
        }
    }

    /// Runs the convolutions; what the products need of them, and the linear layer's input, is left in memory.
    pub(super) fn convolve<F: Real>(&self, theta: &[F], x: &States<'_, F>, memory: &mut Memory<F>) {
        let rows = x.rows();
        let keeps_slopes = !self.spec.activation.slope_follows_from_value();
        let Memory { input, values, slopes, flat, columns, patches, .. } = memory;
        values.resize_with(self.layers.len(), Default::default);
        slopes.resize_with(self.layers.len(), Default::default);
        self.take_in(x.obs(), input.take(x.obs().len()));
        for (l, layer) in self.layers.iter().enumerate() {
            let (before, rest) = values.split_at_mut(l);
            let n_in = rows * layer.n_in;
            let images = &*before.last_mut().unwrap_or(&mut *input).take(n_in);
            let out = rest[0].take(rows * layer.n_out());
            let mut slopes = keeps_slopes.then(|| slopes[l].take(rows * layer.n_out()));
            let len = layer.patch_len();
            let columns = MatRef::new(columns[l].take(layer.weight.len()), len, layer.c_out);
            let patches = patches.take(layer.block_len());
            for block in layer.blocks(rows) {
                let patches = &mut patches[..block.len() * len];
                layer.gather(images, block.clone(), patches);
                let patches = MatRef::new(patches, block.len(), len);
                let place = block.start * layer.c_out..block.end * layer.c_out;
                let slopes = slopes.as_mut().map(|slopes| &mut slopes[place.clone()]);
                let bias = Init::ColumnBias(&theta[layer.bias.clone()]);
                self.spec.activation.of_product(&mut out[place], patches, columns, bias, slopes);
            }
        }
        if let (Some(layer), Some(values)) = (self.layers.last(), values.last_mut()) {
            let n = rows * layer.n_out();
            flat.resize(n, F::zero());
            channels_first(values.take(n), layer.c_out, layer.n_places, flat);
        }
    }

    pub(super) fn run_vjp<F: Real>(
        &self,
        theta: &[F],
        rows: usize,
        memory: &mut Memory<F>,
        dy: &[F],
        grad: &mut [F],
        dx: Option<&mut [F]>,
    ) -> Result<(), NnError> {
        let keeps_slopes = !self.spec.activation.slope_follows_from_value();
        let Memory { input, values, slopes, flat, linear, kernels, patches, scratch, weights, .. } = memory;
        let [front, back] = scratch;
        let (mut at, mut next) = (front, back);
        let range = self.linear_theta.clone();
        let (x, d_flat) = (States::new(flat, self.n_flat())?, next.take(flat.len()));
        self.linear.vjp(&theta[range.clone()], &x, linear, dy, &mut grad[range], Some(&mut *d_flat))?;
        if let Some(layer) = self.layers.last() {
            pixels_first(d_flat, layer.c_out, layer.n_places, at.take(d_flat.len()));
        }
        for (l, layer) in self.layers.iter().enumerate().rev() {
            let (before, rest) = values.split_at_mut(l);
            let (n_in, n_out, len) = (rows * layer.n_in, rows * layer.n_out(), layer.patch_len());
            let images = &*before.last_mut().unwrap_or(&mut *input).take(n_in);
            let g = at.take(n_out);
            let kept = if keeps_slopes { slopes[l].take(n_out) } else { rest[0].take(n_out) };
            self.spec.activation.times_slope(g, kept);
            let g = &*g;
            let n = rows * layer.n_places;
            let (all, db) = (MatRef::new(g, n, layer.c_out), &mut grad[layer.bias.clone()]);
            F::matmul(db, MatRef::filled(&F::one(), 1, n), all, Init::Zero);

            let wants_input = l > 0 || dx.is_some();
            let d_images = next.take(if wants_input { n_in } else { 0 });
            d_images.fill(F::zero());
            let d_kernels = weights[0].take(layer.weight.len());
            d_kernels.fill(F::zero());
            let patches = patches.take(layer.block_len());
            let kernels = MatRef::new(kernels[l].take(layer.weight.len()), layer.c_out, len);
            for block in layer.blocks(rows) {
                let patches = &mut patches[..block.len() * len];
                let g = &g[block.start * layer.c_out..block.end * layer.c_out];
                let g = MatRef::new(g, block.len(), layer.c_out);
                // dK += Gᵀ P: the chain of every element goes on from block to block.
                layer.gather(images, block.clone(), patches);
                F::matmul(d_kernels, g.t(), MatRef::new(patches, block.len(), len), Init::Accumulate);
                if wants_input {
                    F::matmul(patches, g, kernels, Init::Zero);
                    layer.scatter(patches, block, d_images);
                }
            }
            layer.kernels_of_rows(d_kernels, &mut grad[layer.weight.clone()]);
            std::mem::swap(&mut at, &mut next);
        }
        if let Some(dx) = dx {
            let [channels, height, width] = self.spec.image;
            channels_first(at.take(dx.len()), channels, height * width, dx);
            self.scale(dx);
        }
        Ok(())
    }

    pub(super) fn run_jvp<F: Real>(
        &self,
        theta: &[F],
        rows: usize,
        memory: &mut Memory<F>,
        v: &[F],
        dx: Option<&[F]>,
        dy: &mut [F],
    ) -> Result<(), NnError> {
        let keeps_slopes = !self.spec.activation.slope_follows_from_value();
        let Memory { input, values, slopes, flat, linear, columns, patches, scratch, weights, .. } = memory;
        let [front, back] = scratch;
        let (mut at, mut next) = (front, back);
        if let Some(dx) = dx {
            self.take_in(dx, at.take(dx.len()));
        }
        let [v_kernels, v_columns] = weights;
        for (l, layer) in self.layers.iter().enumerate() {
            let (before, rest) = values.split_at_mut(l);
            let (n_in, n_out, len) = (rows * layer.n_in, rows * layer.n_out(), layer.patch_len());
            let images = &*before.last_mut().unwrap_or(&mut *input).take(n_in);
            let moves = l > 0 || dx.is_some();
            let d_images = &*at.take(if moves { n_in } else { 0 });
            let out = next.take(n_out);
            let kept = if keeps_slopes { slopes[l].take(n_out) } else { rest[0].take(n_out) };
            let v_kernels = v_kernels.take(layer.weight.len());
            layer.rows_of_kernels(&v[layer.weight.clone()], v_kernels);
            let v_columns = v_columns.take(layer.weight.len());
            F::transpose(v_kernels, layer.c_out, len, v_columns);
            let v_columns = MatRef::new(v_columns, len, layer.c_out);
            let columns = MatRef::new(columns[l].take(layer.weight.len()), len, layer.c_out);
            let patches = patches.take(layer.block_len());
            // P V + v_b, then + Ṗ K
            for block in layer.blocks(rows) {
                let patches = &mut patches[..block.len() * len];
                let out = &mut out[block.start * layer.c_out..block.end * layer.c_out];
                layer.gather(images, block.clone(), patches);
                let bias = Init::ColumnBias(&v[layer.bias.clone()]);
                F::matmul(out, MatRef::new(patches, block.len(), len), v_columns, bias);
                if moves {
                    layer.gather(d_images, block.clone(), patches);
                    F::matmul(out, MatRef::new(patches, block.len(), len), columns, Init::Accumulate);
                }
            }
            self.spec.activation.times_slope(out, kept);
            std::mem::swap(&mut at, &mut next);
        }
        if let Some(layer) = self.layers.last() {
            channels_first(at.take(flat.len()), layer.c_out, layer.n_places, next.take(flat.len()));
        }
        let range = self.linear_theta.clone();
        let x = States::new(flat, self.n_flat())?;
        let d_flat = Some(&*next.take(flat.len()));
        self.linear.jvp(&theta[range.clone()], &x, linear, &v[range], d_flat, dy)
    }

    /// Inputs of the linear layer.
    pub(super) fn n_flat(&self) -> usize {
        self.linear.sizes()[0]
    }

    /// Images from `[channels, height, width]` to pixel by pixel, scaled.
    fn take_in<F: Real>(&self, from: &[F], to: &mut [F]) {
        let [channels, height, width] = self.spec.image;
        pixels_first(from, channels, height * width, to);
        self.scale(to);
    }

    fn scale<F: Real>(&self, x: &mut [F]) {
        if let Some(scale) = self.spec.scale {
            let scale = F::narrow(scale);
            x.iter_mut().for_each(|x| *x *= scale);
        }
    }
}
