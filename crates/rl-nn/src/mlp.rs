//! A multi-layer perceptron with hand-derived products.

use std::ops::Range;

use candle_core::Tensor;
use candle_nn::Module;
use rand::RngCore;

use crate::network::{Input, Network, Workspace};
use crate::{Buffer, Finish, Init, Layout, MatRef, NnError, Real, orthogonal};

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
    /// `y ← σ(init + A B)`
    fn of_product<F: Real>(self, y: &mut [F], a: MatRef<'_, F>, b: MatRef<'_, F>, init: Init<'_, F>) {
        match self {
            Activation::Tanh => F::matmul_finish(y, a, b, init, Finish::Tanh),
            Activation::Relu => {
                F::matmul(y, a, b, init);
                for y in y {
                    // Not `max`, which would turn a NaN into 0.
                    *y = if *y < F::zero() { F::zero() } else { *y };
                }
            }
        }
    }

    /// `g ← (init + A B) ⊙ σ'(x)`, with `values = σ(x)` given instead of `x`.
    fn derivative_of_product<F: Real>(
        self,
        g: &mut [F],
        a: MatRef<'_, F>,
        b: MatRef<'_, F>,
        init: Init<'_, F>,
        values: &[F],
    ) {
        match self {
            Activation::Tanh => F::matmul_finish(g, a, b, init, Finish::TanhDerivative(values)),
            Activation::Relu => {
                F::matmul(g, a, b, init);
                for (g, &y) in g.iter_mut().zip(values) {
                    *g = if y > F::zero() { *g } else { F::zero() };
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

    /// Elements a row of the input and all hidden layers.
    fn n_inner(&self) -> usize {
        self.layers.iter().map(|layer| layer.n_in).sum()
    }

    /// The forward pass with the features as vector lanes, for batches that do not fill a vector: `Y = X Wᵀ + b`, row-major, with the
    /// transposed weights in `ws`.
    fn forward_few_rows<F: Real>(&self, theta: &[F], x: Input<'_, F>, y: &mut [F], ws: &mut Workspace<F>) {
        let rows = x.rows();
        let mut w_t = &*ws.transposed.take(self.n_weights());
        let [front, back] = &mut ws.scratch;
        let (mut input, mut other) = (front, back);
        input.take(x.data.len()).copy_from_slice(x.data);
        for (l, layer) in self.layers.iter().enumerate() {
            let (weights, rest) = w_t.split_at(layer.n_in * layer.n_out);
            let x = MatRef::new(input.take(rows * layer.n_in), rows, layer.n_in);
            let w = MatRef::new(weights, layer.n_in, layer.n_out);
            let bias = Init::ColumnBias(&theta[layer.bias.clone()]);
            if l + 1 == self.layers.len() {
                F::matmul(y, x, w, bias);
            } else {
                self.activation.of_product(other.take(rows * layer.n_out), x, w, bias);
            }
            std::mem::swap(&mut input, &mut other);
            w_t = rest;
        }
    }

    fn n_weights(&self) -> usize {
        self.layers.iter().map(|layer| layer.weight.len()).sum()
    }

    fn check<F>(&self, theta: &[F], x: &Input<'_, F>) -> Result<(), NnError> {
        NnError::check("theta", theta.len(), self.layout.n_params())?;
        NnError::check("an input row", x.width, self.sizes[0])
    }
}

/// Up to this many rows the weights are transposed for a forward pass, and not the activations,
const FEW_ROWS: usize = 16;
/// in networks of up to this many parameters.
const FEW_PARAMS: usize = 1 << 16;

/// Below this many rows or columns a weight gradient is taken another way.
const NARROW: usize = 16;

/// `Y = σ(W X + b)`, or without σ, for feature-major `X` `[n_in, rows]` and `Y` `[n_out, rows]`.
fn affine<F: Real>(
    layer: &Layer,
    theta: &[F],
    x: &[F],
    rows: usize,
    activation: Option<Activation>,
    y: &mut [F],
) {
    let (w, x) = (layer.weights(theta), MatRef::new(x, layer.n_in, rows));
    let bias = Init::RowBias(&theta[layer.bias.clone()]);
    match activation {
        Some(activation) => activation.of_product(y, w, x, bias),
        None => F::matmul(y, w, x, bias),
    }
}

impl Layer {
    fn weights<'a, F>(&self, theta: &'a [F]) -> MatRef<'a, F> {
        MatRef::new(&theta[self.weight.clone()], self.n_out, self.n_in)
    }

    /// Whether its weight gradient is a product with the row-major input, and not of dot products.
    fn wants_row_major_input(&self) -> bool {
        self.n_in.min(self.n_out) >= NARROW
    }

    /// `dW = dY Xᵀ` and `db = Σ dY` of the first layer, from row-major `dY` `[rows, n_out]` and `X` `[rows, n_in]`.
    fn first_gradient<F: Real>(&self, x: Input<'_, F>, dy: &[F], grad: &mut [F], scratch: &mut Buffer<F>) {
        let rows = x.rows();
        let dy = MatRef::new(dy, rows, self.n_out);
        let x = MatRef::new(x.data, rows, self.n_in);
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

    fn forward(
        &self,
        theta: &[F],
        x: Input<'_, F>,
        y: &mut [F],
        ws: &mut Workspace<F>,
    ) -> Result<(), NnError> {
        let rows = x.rows();
        if rows <= FEW_ROWS && theta.len() <= FEW_PARAMS {
            self.prepare(theta, ws)?;
            return self.forward_prepared(theta, x, y, ws);
        }
        self.check(theta, &x)?;
        NnError::check("the output", y.len(), rows * Network::<F>::n_outputs(self))?;
        let [front, back] = &mut ws.scratch;
        let (mut input, mut other) = (front, back);
        F::transpose(x.data, rows, x.width, input.take(rows * x.width));
        for (l, layer) in self.layers.iter().enumerate() {
            let out = other.take(rows * layer.n_out);
            let activation = (l + 1 < self.layers.len()).then_some(self.activation);
            affine(layer, theta, input.take(rows * layer.n_in), rows, activation, out);
            std::mem::swap(&mut input, &mut other);
        }
        F::transpose(input.take(y.len()), Network::<F>::n_outputs(self), rows, y);
        Ok(())
    }

    /// Transposes the weights, in networks that are not too large for it to pay.
    fn prepare(&self, theta: &[F], ws: &mut Workspace<F>) -> Result<(), NnError> {
        NnError::check("theta", theta.len(), self.layout.n_params())?;
        if theta.len() <= FEW_PARAMS {
            let mut w_t = ws.transposed.take(self.n_weights());
            for layer in &self.layers {
                let (weights, rest) = w_t.split_at_mut(layer.n_in * layer.n_out);
                F::transpose(&theta[layer.weight.clone()], layer.n_out, layer.n_in, weights);
                w_t = rest;
            }
        }
        Ok(())
    }

    fn forward_prepared(
        &self,
        theta: &[F],
        x: Input<'_, F>,
        y: &mut [F],
        ws: &mut Workspace<F>,
    ) -> Result<(), NnError> {
        // The pass over many rows leaves `ws.transposed` alone, so that a pass over few may follow.
        if x.rows() > FEW_ROWS || theta.len() > FEW_PARAMS {
            return self.forward(theta, x, y, ws);
        }
        self.check(theta, &x)?;
        NnError::check("the output", y.len(), x.rows() * Network::<F>::n_outputs(self))?;
        self.forward_few_rows(theta, x, y, ws);
        Ok(())
    }

    /// Keeps the feature-major input and hidden activations one after another in `ws.activations`, and those that the
    /// products want row-major in `ws.transposed`.
    fn record(&self, theta: &[F], x: Input<'_, F>, ws: &mut Workspace<F>) -> Result<(), NnError> {
        self.check(theta, &x)?;
        let rows = x.rows();
        let n_outputs = Network::<F>::n_outputs(self);
        ws.output.resize(rows * n_outputs, F::zero());
        let mut activations = ws.activations.take(rows * self.n_inner());
        let mut transposed = ws.transposed.take(rows * self.n_inner());
        F::transpose(x.data, rows, x.width, &mut activations[..rows * x.width]);
        for (l, layer) in self.layers.iter().enumerate() {
            let (input, rest) = activations.split_at_mut(rows * layer.n_in);
            if l + 1 == self.layers.len() {
                let y = ws.scratch[0].take(rows * n_outputs);
                affine(layer, theta, input, rows, None, y);
                F::transpose(y, n_outputs, rows, &mut ws.output);
                break;
            }
            let out = &mut rest[..rows * layer.n_out];
            affine(layer, theta, input, rows, Some(self.activation), out);
            transposed = &mut transposed[rows * layer.n_in..];
            // The first hidden layer's for its own derivative.
            if l == 0 || self.layers[l + 1].wants_row_major_input() {
                F::transpose(out, layer.n_out, rows, &mut transposed[..rows * layer.n_out]);
            }
            activations = rest;
        }
        Ok(())
    }

    /// Gradients are feature-major until they reach the first layer, which takes them row-major.
    fn vjp(
        &self,
        theta: &[F],
        x: Input<'_, F>,
        ws: &mut Workspace<F>,
        dy: &[F],
        grad: &mut [F],
    ) -> Result<(), NnError> {
        let rows = x.rows();
        let activations = ws.activations.take(rows * self.n_inner());
        let transposed = ws.transposed.take(rows * self.n_inner());
        let [front, back] = &mut ws.scratch;
        let (mut g, mut other) = (front, back);
        let n_outputs = Network::<F>::n_outputs(self);
        let [first, upper @ ..] = &self.layers[..] else { return Ok(()) };
        if upper.is_empty() {
            first.first_gradient(x, dy, grad, other);
            return Ok(());
        }
        F::transpose(dy, rows, n_outputs, g.take(rows * n_outputs));
        let mut end = activations.len();
        for (l, layer) in self.layers.iter().enumerate().skip(1).rev() {
            let start = end - rows * layer.n_in;
            let dy = &*g.take(rows * layer.n_out);
            let dw = &mut grad[layer.weight.clone()];
            if layer.wants_row_major_input() {
                // dW = dY Xᵀ
                let x_t = MatRef::new(&transposed[start..end], rows, layer.n_in);
                F::matmul(dw, MatRef::new(dy, layer.n_out, rows), x_t, Init::Zero);
            } else {
                F::matmul_nt(dw, dy, &activations[start..end], rows);
            }
            F::row_sums(&mut grad[layer.bias.clone()], dy);
            // dX = Wᵀ dY, then through the activation
            let (dx, w, dy) =
                (other.take(rows * layer.n_in), layer.weights(theta), MatRef::new(dy, layer.n_out, rows));
            if l > 1 {
                let values = &activations[start..end];
                self.activation.derivative_of_product(dx, w.t(), dy, Init::Zero, values);
            } else {
                let values = &transposed[start..end];
                self.activation.derivative_of_product(dx, dy.t(), w, Init::Zero, values);
            }
            std::mem::swap(&mut g, &mut other);
            end = start;
        }
        first.first_gradient(x, g.take(rows * first.n_out), grad, other);
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
        let activations = ws.activations.take(rows * self.n_inner());
        let [front, back] = &mut ws.scratch;
        let (mut tangent, mut other) = (front, back);
        let mut start = 0;
        for (l, layer) in self.layers.iter().enumerate() {
            let end = start + rows * layer.n_in;
            let out = other.take(rows * layer.n_out);
            let tangent_of_product = |out: &mut [F], a, b, init| match self.layers.get(l + 1) {
                Some(next) => {
                    let values = &activations[end..end + rows * next.n_in];
                    self.activation.derivative_of_product(out, a, b, init, values);
                }
                None => F::matmul(out, a, b, init),
            };
            // V X + v_b, then + W Ẋ
            let x = MatRef::new(&activations[start..end], layer.n_in, rows);
            let bias = Init::RowBias(&v[layer.bias.clone()]);
            if l == 0 {
                tangent_of_product(out, layer.weights(v), x, bias);
            } else {
                let x_dot = MatRef::new(tangent.take(rows * layer.n_in), layer.n_in, rows);
                F::matmul(out, layer.weights(v), x, bias);
                tangent_of_product(out, layer.weights(theta), x_dot, Init::Accumulate);
            }
            std::mem::swap(&mut tangent, &mut other);
            start = end;
        }
        F::transpose(tangent.take(dy.len()), Network::<F>::n_outputs(self), rows, dy);
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
