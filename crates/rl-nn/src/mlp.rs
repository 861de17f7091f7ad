//! A multi-layer perceptron with hand-derived products.

use std::ops::Range;

use candle_core::Tensor;
use candle_nn::Module;
use rand::RngCore;

use crate::network::{Input, Network, Workspace};
use crate::{Layout, MatMut, MatRef, NnError, Real, kernels, matmul, orthogonal};

/// The function between two layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `tanh(x)`
    Tanh,
    /// `max(0, x)`
    Relu,
}

impl Activation {
    fn apply<F: Real>(self, x: &mut [F]) {
        match self {
            Activation::Tanh => F::tanh_in_place(x),
            Activation::Relu => {
                for x in x {
                    // Not `max`, which would turn a NaN into 0.
                    *x = if *x < F::zero() { F::zero() } else { *x };
                }
            }
        }
    }

    /// `g ← g ⊙ σ'(x)`, with `a = σ(x)` given instead of `x`.
    fn mul_derivative<F: Real>(self, g: &mut [F], a: &[F]) {
        match self {
            Activation::Tanh => kernels::mul_tanh_derivative(g, a),
            Activation::Relu => {
                for (g, &a) in g.iter_mut().zip(a) {
                    *g = if a > F::zero() { *g } else { F::zero() };
                }
            }
        }
    }
}

/// `y = W_L σ(… σ(W_1 x + b_1) …) + b_L`.
///
/// θ holds, layer after layer, `{l}.weight` `[out, in]` row-major and `{l}.bias` `[out]`: PyTorch's order.
#[derive(Clone, Debug)]
pub struct Mlp {
    sizes: Vec<usize>,
    activation: Activation,
    layout: Layout,
    layers: Vec<Layer>,
}

#[derive(Clone, Debug)]
struct Layer {
    n_in: usize,
    n_out: usize,
    weight: Range<usize>,
    bias: Range<usize>,
}

impl Mlp {
    /// A perceptron with layers of `sizes` `[n_inputs, hidden…, n_outputs]`; the last layer is linear.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for fewer than two sizes or a size of 0.
    pub fn new(sizes: &[usize], activation: Activation) -> Result<Self, NnError> {
        if sizes.len() < 2 {
            return Err(NnError::Shape { what: "the list of layer sizes", got: sizes.len(), expected: 2 });
        }
        if sizes.contains(&0) {
            return Err(NnError::Shape { what: "a layer", got: 0, expected: 1 });
        }
        let mut layout = Layout::new();
        let layers = sizes.windows(2).enumerate().map(|(l, io)| Layer {
            n_in: io[0],
            n_out: io[1],
            weight: layout.push(format!("{l}.weight"), &[io[1], io[0]]),
            bias: layout.push(format!("{l}.bias"), &[io[1]]),
        });
        let layers = layers.collect();
        Ok(Mlp { sizes: sizes.to_vec(), activation, layout, layers })
    }

    /// The layer sizes `[n_inputs, hidden…, n_outputs]`.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// The activation of the hidden layers.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// Draws θ: orthogonal weights with gain √2 in the hidden layers and `output_gain` in the last, biases 0.
    ///
    /// # Source
    ///
    /// Stable-Baselines3's `ortho_init`: `output_gain` 0.01 for a policy, 1 for a value function.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when `theta` does not have `n_params` elements.
    pub fn init_orthogonal<F: Real>(
        &self,
        theta: &mut [F],
        output_gain: f64,
        rng: &mut dyn RngCore,
    ) -> Result<(), NnError> {
        NnError::check("theta", theta.len(), self.layout.n_params())?;
        for (l, layer) in self.layers.iter().enumerate() {
            let gain = if l + 1 == self.layers.len() { output_gain } else { std::f64::consts::SQRT_2 };
            orthogonal(&mut theta[layer.weight.clone()], layer.n_out, layer.n_in, gain, rng);
            theta[layer.bias.clone()].fill(F::zero());
        }
        Ok(())
    }

    /// Draws θ uniformly in ±1/√n_in, weights and biases.
    ///
    /// # Source
    ///
    /// PyTorch's default for `Linear`.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when `theta` does not have `n_params` elements.
    pub fn init_uniform<F: Real>(&self, theta: &mut [F], rng: &mut dyn RngCore) -> Result<(), NnError> {
        use rand::Rng;
        NnError::check("theta", theta.len(), self.layout.n_params())?;
        for layer in &self.layers {
            let bound = 1.0 / (layer.n_in as f64).sqrt();
            for x in &mut theta[layer.weight.start..layer.bias.end] {
                *x = F::narrow(rng.random_range(-bound..bound));
            }
        }
        Ok(())
    }

    fn check<F>(&self, theta: &[F], x: &Input<'_, F>) -> Result<(), NnError> {
        NnError::check("theta", theta.len(), self.layout.n_params())?;
        NnError::check("an input row", x.width, self.sizes[0])
    }

    /// Widths of the hidden layers.
    fn hidden(&self) -> &[usize] {
        &self.sizes[1..self.sizes.len() - 1]
    }
}

/// `y = x Wᵀ + b`
fn affine<F: Real>(layer: &Layer, theta: &[F], x: &[F], y: &mut [F]) {
    let rows = y.len() / layer.n_out;
    let w = MatRef::new(&theta[layer.weight.clone()], layer.n_out, layer.n_in);
    matmul(MatMut::new(y, rows, layer.n_out), MatRef::new(x, rows, layer.n_in), w.t(), false);
    kernels::add_bias(y, &theta[layer.bias.clone()]);
}

/// The first `len` elements of a buffer that grows on demand; their contents are unspecified.
fn take<F: Real>(buffer: &mut Vec<F>, len: usize) -> &mut [F] {
    if buffer.len() < len {
        buffer.resize(len, F::zero());
    }
    &mut buffer[..len]
}

impl<F: Real> Network<F> for Mlp {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn n_inputs(&self) -> usize {
        self.sizes[0]
    }

    fn n_outputs(&self) -> usize {
        self.sizes[self.sizes.len() - 1]
    }

    fn forward(&self, theta: &[F], x: Input<'_, F>, y: &mut [F], ws: &mut Workspace<F>) -> Result<(), NnError> {
        self.check(theta, &x)?;
        NnError::check("the output", y.len(), x.rows() * Network::<F>::n_outputs(self))?;
        let [front, back] = &mut ws.scratch;
        let (mut input, mut other) = (front, back);
        let (last, hidden) = self.layers.split_last().expect("an Mlp has a layer");
        for (l, layer) in hidden.iter().enumerate() {
            let out = take(other, x.rows() * layer.n_out);
            affine(layer, theta, if l == 0 { x.data } else { &input[..x.rows() * layer.n_in] }, out);
            self.activation.apply(out);
            std::mem::swap(&mut input, &mut other);
        }
        affine(last, theta, if hidden.is_empty() { x.data } else { &input[..x.rows() * last.n_in] }, y);
        Ok(())
    }

    fn record(&self, theta: &[F], x: Input<'_, F>, ws: &mut Workspace<F>) -> Result<(), NnError> {
        self.check(theta, &x)?;
        let rows = x.rows();
        ws.output.resize(rows * Network::<F>::n_outputs(self), F::zero());
        let mut rest = take(&mut ws.activations, rows * self.hidden().iter().sum::<usize>());
        let mut input = x.data;
        let (last, hidden) = self.layers.split_last().expect("an Mlp has a layer");
        for layer in hidden {
            let (out, tail) = std::mem::take(&mut rest).split_at_mut(rows * layer.n_out);
            affine(layer, theta, input, out);
            self.activation.apply(out);
            (input, rest) = (out, tail);
        }
        affine(last, theta, input, &mut ws.output);
        Ok(())
    }

    fn vjp(
        &self,
        theta: &[F],
        x: Input<'_, F>,
        ws: &mut Workspace<F>,
        dy: &[F],
        grad: &mut [F],
    ) -> Result<(), NnError> {
        let rows = x.rows();
        let [front, back] = &mut ws.scratch;
        let (mut g, mut other) = (front, back);
        let mut end = rows * self.hidden().iter().sum::<usize>();
        for (l, layer) in self.layers.iter().enumerate().rev() {
            let start = if l == 0 { end } else { end - rows * layer.n_in };
            let a = if l == 0 { x.data } else { &ws.activations[start..end] };
            let dy = if l + 1 == self.layers.len() { dy } else { &g[..rows * layer.n_out] };
            let dy_mat = MatRef::new(dy, rows, layer.n_out);
            let dw = MatMut::new(&mut grad[layer.weight.clone()], layer.n_out, layer.n_in);
            matmul(dw, dy_mat.t(), MatRef::new(a, rows, layer.n_in), true);
            kernels::add_column_sums(&mut grad[layer.bias.clone()], dy);
            if l > 0 {
                let dx = take(other, rows * layer.n_in);
                let w = MatRef::new(&theta[layer.weight.clone()], layer.n_out, layer.n_in);
                matmul(MatMut::new(dx, rows, layer.n_in), dy_mat, w, false);
                self.activation.mul_derivative(dx, a);
            }
            std::mem::swap(&mut g, &mut other);
            end = start;
        }
        Ok(())
    }

    fn jvp(
        &self,
        theta: &[F],
        x: Input<'_, F>,
        ws: &mut Workspace<F>,
        v: &[F],
        dy: &mut [F],
    ) -> Result<(), NnError> {
        let rows = x.rows();
        let [front, back] = &mut ws.scratch;
        let (mut tangent, mut other) = (front, back);
        let mut start = 0;
        let mut a = x.data;
        for (l, layer) in self.layers.iter().enumerate() {
            let last = l + 1 == self.layers.len();
            let out = if last { &mut *dy } else { take(other, rows * layer.n_out) };
            // a V + v_b, then + ȧ W
            affine(layer, v, a, out);
            if l > 0 {
                let a_dot = MatRef::new(&tangent[..rows * layer.n_in], rows, layer.n_in);
                let w = MatRef::new(&theta[layer.weight.clone()], layer.n_out, layer.n_in);
                matmul(MatMut::new(out, rows, layer.n_out), a_dot, w.t(), true);
            }
            if !last {
                a = &ws.activations[start..start + rows * layer.n_out];
                start += rows * layer.n_out;
                self.activation.mul_derivative(out, a);
            }
            std::mem::swap(&mut tangent, &mut other);
        }
        Ok(())
    }

    fn forward_tensor(&self, theta: &Tensor, x: &Tensor) -> Result<Tensor, NnError> {
        let mut h = x.clone();
        for (l, layer) in self.layers.iter().enumerate() {
            let weight = theta.narrow(0, layer.weight.start, layer.weight.len())?;
            let weight = weight.reshape((layer.n_out, layer.n_in))?;
            let bias = theta.narrow(0, layer.bias.start, layer.bias.len())?;
            h = candle_nn::Linear::new(weight, Some(bias)).forward(&h)?;
            if l + 1 < self.layers.len() {
                h = match self.activation {
                    Activation::Tanh => h.tanh()?,
                    Activation::Relu => h.relu()?,
                };
            }
        }
        Ok(h)
    }
}
