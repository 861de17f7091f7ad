//! A multi-layer perceptron with hand-derived products.

mod forward;
mod layer;
mod memory;
mod products;

use candle_core::Tensor;
use candle_nn::Module;
use rand::RngCore;

use self::layer::Layer;
use self::memory::Memory;
use crate::network::check;
use crate::{
    Activation, Carry, Initialization, Layout, Network, NetworkSpec, NnError, Real, Shape, States,
    TensorNetwork, Workspace,
};

/// `y = W_L σ(… σ(W_1 x + b_1) …) + b_L`.
///
/// θ holds, layer after layer, `{l}.weight` `[out, in]` row-major and `{l}.bias` `[out]`: PyTorch's order.
#[derive(Clone, Debug)]
pub struct Mlp {
    sizes: Vec<usize>,
    activation: Activation,
    activated_output: bool,
    shape: Shape,
    layers: Vec<Layer>,
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
        let shape = Shape { n_inputs: sizes[0], n_outputs: sizes[sizes.len() - 1], layout };
        Ok(Mlp { sizes: sizes.to_vec(), activation, activated_output: false, shape, layers })
    }

    /// A perceptron whose last layer is activated as the others are: the trunk of a larger network.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn trunk(sizes: &[usize], activation: Activation) -> Result<Self, NnError> {
        Ok(Mlp { activated_output: true, ..Mlp::new(sizes, activation)? })
    }

    /// The layer sizes `[n_inputs, hidden…, n_outputs]`.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// The activation of the hidden layers.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// Draws θ: orthogonal weights with gain √2 in the activated layers and `output_gain` in a linear last one, biases 0.
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
        self.init(theta, Initialization::Orthogonal { output_gain }, rng)
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
        self.init(theta, Initialization::Uniform, rng)
    }

    /// What follows a layer, if anything does.
    fn activation_of(&self, layer: usize) -> Option<Activation> {
        (layer + 1 < self.layers.len() || self.activated_output).then_some(self.activation)
    }
}

impl<F: Real> Network<F> for Mlp {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn spec(&self) -> Option<NetworkSpec> {
        Some(NetworkSpec::Mlp {
            sizes: self.sizes.clone(),
            activation: self.activation,
            activated_output: self.activated_output,
        })
    }

    fn init(&self, theta: &mut [F], how: Initialization, rng: &mut dyn RngCore) -> Result<(), NnError> {
        NnError::check("theta", theta.len(), self.shape.layout.n_params())?;
        for (l, layer) in self.layers.iter().enumerate() {
            let how = if self.activation_of(l).is_some() { how.hidden() } else { how };
            let (weight, bias) = theta[layer.weight.start..layer.bias.end].split_at_mut(layer.weight.len());
            how.layer(weight, bias, (layer.n_out, layer.n_in), rng);
        }
        Ok(())
    }

    fn prepare(&self, theta: &[F], ws: &mut Workspace<F>) -> Result<(), NnError> {
        NnError::check("theta", theta.len(), self.shape.layout.n_params())?;
        ws.parts::<Memory<F>>().1.has_weights = false;
        Ok(())
    }

    fn forward(
        &self,
        theta: &[F],
        x: &States<'_, F>,
        _: &mut Carry<F>,
        y: &mut [F],
        ws: &mut Workspace<F>,
    ) -> Result<(), NnError> {
        self.run_forward(theta, x, y, ws)
    }

    fn record(&self, theta: &[F], x: &States<'_, F>, ws: &mut Workspace<F>) -> Result<(), NnError> {
        check(self, theta, x)?;
        let (output, memory) = ws.parts::<Memory<F>>();
        self.run_record(theta, x, output, memory);
        Ok(())
    }

    fn vjp(
        &self,
        theta: &[F],
        x: &States<'_, F>,
        ws: &mut Workspace<F>,
        dy: &[F],
        grad: &mut [F],
        dx: Option<&mut [F]>,
    ) -> Result<(), NnError> {
        self.run_vjp(theta, x, ws.parts::<Memory<F>>().1, dy, grad, dx);
        Ok(())
    }

    fn jvp(
        &self,
        theta: &[F],
        x: &States<'_, F>,
        ws: &mut Workspace<F>,
        v: &[F],
        dx: Option<&[F]>,
        dy: &mut [F],
    ) -> Result<(), NnError> {
        self.run_jvp(theta, x, ws.parts::<Memory<F>>().1, v, dx, dy);
        Ok(())
    }
}

impl TensorNetwork for Mlp {
    fn forward_tensor(&self, theta: &Tensor, x: &Tensor) -> Result<Tensor, NnError> {
        let mut h = x.clone();
        for (l, layer) in self.layers.iter().enumerate() {
            let weight = theta.narrow(0, layer.weight.start, layer.weight.len())?;
            let weight = weight.reshape((layer.n_out, layer.n_in))?;
            let bias = theta.narrow(0, layer.bias.start, layer.bias.len())?;
            h = candle_nn::Linear::new(weight, Some(bias)).forward(&h)?;
            h = match self.activation_of(l) {
                None => h,
                Some(activation) => activation.tensor(&h)?,
            };
        }
        Ok(h)
    }
}
