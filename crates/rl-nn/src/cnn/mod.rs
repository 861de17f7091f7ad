//! A convolutional network with hand-derived products.

mod layer;
mod memory;
mod products;
mod spec;

use std::ops::Range;

use candle_core::Tensor;
use rand::RngCore;

use self::layer::Layer;
use self::memory::Memory;
pub use self::spec::{CnnSpec, Convolution};
use crate::network::check;
use crate::{
    Carry, Initialization, Layout, Mlp, Network, NetworkSpec, NnError, Real, SHARD_ROWS, Shape, States,
    TensorNetwork, Workspace,
};

/// Convolutions, each with its activation, then all pixels of all channels through one activated linear layer.
///
/// A convolution is a product of matrices: patches of the image, copied out a block at a time, and the kernels.
///
/// θ holds `conv.{l}.weight` `[channels, channels before, kernel, kernel]` and `conv.{l}.bias` of every convolution, then `linear.0.weight`
/// `[features, channels · height · width]` and `linear.0.bias`: PyTorch's shapes and order.
///
/// # Shapes
///
/// Input rows are images `[channels, height, width]`, flattened; output rows are `features`.
#[derive(Clone, Debug)]
pub struct Cnn {
    spec: CnnSpec,
    layers: Vec<Layer>,
    linear: Mlp,
    linear_theta: Range<usize>,
    shape: Shape,
}

impl Cnn {
    /// The network of a description.
    ///
    /// # Errors
    ///
    /// As [`CnnSpec::images`]; [`NnError::Description`] for parameters that cannot be counted.
    pub fn new(spec: &CnnSpec) -> Result<Self, NnError> {
        if spec.n_params()? == usize::MAX {
            return Err(NnError::Description("CNN: more parameters than can be counted".to_owned()));
        }
        let images = spec.images()?;
        let mut layout = Layout::new();
        let layers =
            spec.convolutions.iter().zip(images.windows(2)).enumerate().map(|(l, (conv, images))| {
                Layer::new(*conv, images[0], images[1], &format!("conv.{l}"), &mut layout)
            });
        let layers: Vec<Layer> = layers.collect();
        let flat = layers.last().map_or(0, Layer::n_out);
        let linear = Mlp::trunk(&[flat, spec.features], spec.activation)?;
        let linear_theta = layout.extend("linear", &Network::<f32>::shape(&linear).layout);
        let shape = Shape { n_inputs: layers[0].n_in, n_outputs: spec.features, layout };
        Ok(Cnn { spec: spec.clone(), layers, linear, linear_theta, shape })
    }

    /// The network for Atari games, [`CnnSpec::nature`], on images of channels, height and width.
    ///
    /// # Errors
    ///
    /// [`NnError::Description`] for images below 36×36 pixels.
    pub fn nature(image: [usize; 3]) -> Result<Self, NnError> {
        Cnn::new(&CnnSpec::nature(image))
    }

    /// A network for small images, [`CnnSpec::small`], of channels, height and width.
    ///
    /// # Errors
    ///
    /// [`NnError::Description`] for images below 5×5 pixels.
    pub fn small(image: [usize; 3]) -> Result<Self, NnError> {
        Cnn::new(&CnnSpec::small(image))
    }
}

impl<F: Real> Network<F> for Cnn {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn spec(&self) -> Option<NetworkSpec> {
        Some(NetworkSpec::Cnn(self.spec.clone()))
    }

    fn init(&self, theta: &mut [F], how: Initialization, rng: &mut dyn RngCore) -> Result<(), NnError> {
        NnError::check("theta", theta.len(), self.shape.layout.n_params())?;
        for layer in &self.layers {
            let (weight, bias) = theta[layer.weight.start..layer.bias.end].split_at_mut(layer.weight.len());
            how.hidden().layer(weight, bias, (layer.c_out, layer.patch_len()), rng);
        }
        self.linear.init(&mut theta[self.linear_theta.clone()], how, rng)
    }

    /// So many that what is kept of a shard does not exceed 16 MiB (of `f32`), but eight at least.
    fn shard_rows(&self) -> usize {
        let outputs = self.layers.iter().map(Layer::n_out);
        let (kept, largest) = (outputs.clone().sum::<usize>(), outputs.max().unwrap_or(0));
        let row = self.shape.n_inputs + 2 * kept + 2 * largest;
        let rows = ((1 << 22) / row) / 8 * 8;
        rows.clamp(8, SHARD_ROWS * (1 + self.shape.layout.n_params() / (1 << 16)).min(4))
    }

    fn prepare(&self, theta: &[F], ws: &mut Workspace<F>) -> Result<(), NnError> {
        NnError::check("theta", theta.len(), self.shape.layout.n_params())?;
        let (_, memory) = ws.parts::<Memory<F>>();
        memory.has_kernels = false;
        self.linear.prepare(&theta[self.linear_theta.clone()], &mut memory.linear)
    }

    fn forward(
        &self,
        theta: &[F],
        x: &States<'_, F>,
        carry: &mut Carry<F>,
        y: &mut [F],
        ws: &mut Workspace<F>,
    ) -> Result<(), NnError> {
        check(self, theta, x)?;
        let (_, memory) = ws.parts::<Memory<F>>();
        if !std::mem::replace(&mut memory.has_kernels, true) {
            self.lay_out_kernels(theta, memory);
        }
        self.convolve(theta, x, memory);
        let flat = States::new(&memory.flat, self.n_flat())?;
        self.linear.forward(&theta[self.linear_theta.clone()], &flat, carry, y, &mut memory.linear)
    }

    fn record(&self, theta: &[F], x: &States<'_, F>, ws: &mut Workspace<F>) -> Result<(), NnError> {
        check(self, theta, x)?;
        let (output, memory) = ws.parts::<Memory<F>>();
        self.lay_out_kernels(theta, memory);
        memory.has_kernels = false;
        self.convolve(theta, x, memory);
        let flat = States::new(&memory.flat, self.n_flat())?;
        self.linear.record(&theta[self.linear_theta.clone()], &flat, &mut memory.linear)?;
        output.clone_from(&memory.linear.output);
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
        self.run_vjp(theta, x.rows(), ws.parts::<Memory<F>>().1, dy, grad, dx)
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
        self.run_jvp(theta, x.rows(), ws.parts::<Memory<F>>().1, v, dx, dy)
    }
}

impl TensorNetwork for Cnn {
    fn forward_tensor(&self, theta: &Tensor, x: &Tensor) -> Result<Tensor, NnError> {
        let mut h = x.reshape(((), self.spec.image[0], self.spec.image[1], self.spec.image[2]))?;
        if let Some(scale) = self.spec.scale {
            h = (h * scale)?;
        }
        let params = self.shape.layout.params().chunks(2);
        for ((layer, conv), params) in self.layers.iter().zip(&self.spec.convolutions).zip(params) {
            let weight = theta.narrow(0, layer.weight.start, layer.weight.len())?;
            let weight = weight.reshape(&params[0].shape[..])?;
            let bias = theta.narrow(0, layer.bias.start, layer.bias.len())?.reshape((1, (), 1, 1))?;
            h = h.conv2d(&weight, 0, conv.stride, 1, 1)?.broadcast_add(&bias)?;
            h = self.spec.activation.tensor(&h)?;
        }
        let linear = theta.narrow(0, self.linear_theta.start, self.linear_theta.len())?;
        self.linear.forward_tensor(&linear, &h.flatten_from(1)?)
    }
}
