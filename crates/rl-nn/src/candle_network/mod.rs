//! A user's candle module as a network.

mod differences;
mod parameters;

use std::sync::Arc;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var, WithDType};
use candle_nn::{Init, VarBuilder};
use rand::RngCore;
use rl_kernels::Reproducible;

use self::parameters::{Names, Recorder, builder, draw};
use crate::network::{check, check_names};
use crate::{Carry, Initialization, Layout, Network, NetworkSpec, NnError, Real, Shape, States, Workspace};

/// What a module computes: `y` `[rows, n_outputs]` of the tensors that it asks the builder for and of `x` `[rows, n_inputs]`.
type Module = dyn Fn(VarBuilder<'static>, &Tensor) -> candle_core::Result<Tensor> + Send + Sync;

/// A user's own `J v`: of the parameters, of their tangents under the same names, of `x` and of its tangent, if it moves.
type ModuleJvp = dyn Fn(VarBuilder<'static>, VarBuilder<'static>, &Tensor, Option<&Tensor>) -> candle_core::Result<Tensor>
    + Send
    + Sync;

/// A network that is a user's candle module: layers made from a `VarBuilder`, applied to a batch.
///
/// The module is run once as it is made a network, to learn the names and shapes of its parameters: they lie in θ in the order in which it asks for
/// them, and it must ask for the same ones at every call. Layers are made anew at every call, which copies nothing.
///
/// - `vjp` is candle's backward. A tensor that no gradient reaches is an error that names it, when the network is made and later.
/// - `jvp` comes from central differences of the module in `f64`, to a relative 10⁻⁷ or so where it is smooth, unless
///   [`with_jvp`](Self::with_jvp) gives it; so the module must not insist on `f32` (take the builder's and the input's type), and a device without
///   `f64` needs a `jvp` of its own. With `dx`, `vjp` runs the module again.
/// - A batch is one shard, for candle has threads of its own.
/// - It declares that its results come out the same on this processor ([`Reproducible::ThisProcessor`]), or nowhere, on another device than the CPU;
///   [`declare`](Self::declare) says otherwise. A module that draws (dropout) has no place in a policy.
///
/// The initial parameters are drawn from the generator that is passed in, by what the layers hint at ([`Initialization::Uniform`]) or orthogonally
/// ([`Initialization::Orthogonal`]; tensors for which a layer hints at a constant get it).
///
/// ```
/// use candle_core::{Device, Module};
/// use candle_nn::linear;
/// use rl_nn::{CandleNetwork, Network};
///
/// let net = CandleNetwork::new(4, 2, &Device::Cpu, |vb, x| {
///     let h = linear(4, 16, vb.pp("hidden"))?.forward(x)?.tanh()?;
///     linear(16, 2, vb.pp("out"))?.forward(&h)
/// })?;
/// assert_eq!(Network::<f32>::n_params(&net), 4 * 16 + 16 + 16 * 2 + 2);
/// assert_eq!(Network::<f32>::shape(&net).layout.params()[2].name, "out.weight");
/// # Ok::<(), rl_nn::NnError>(())
/// ```
pub struct CandleNetwork {
    module: Box<Module>,
    jvp: Option<Box<ModuleJvp>>,
    device: Device,
    names: Names,
    hints: Vec<Init>,
    shape: Shape,
    reproducible: Reproducible,
    spec: Option<NetworkSpec>,
}

/// The parameters on the device, and the recorded graph.
#[derive(Default)]
struct Memory {
    prepared: Option<Vec<Tensor>>,
    recorded: Option<Recorded>,
}

struct Recorded {
    theta: Vec<Var>,
    y: Tensor,
}

/// Rows of a shard: as good as all.
const ALL_ROWS: usize = 1 << 16;

impl CandleNetwork {
    /// Makes a module a network on a device.
    ///
    /// # Errors
    ///
    /// candle's, where the module fails on a row of zeros; [`NnError::Shape`] where its output is not `[1, n_outputs]`;
    /// [`NnError::MissingGradient`] for a tensor that the output does not depend on in a way that candle can differentiate.
    pub fn new(
        n_inputs: usize,
        n_outputs: usize,
        device: &Device,
        module: impl Fn(VarBuilder<'static>, &Tensor) -> candle_core::Result<Tensor> + Send + Sync + 'static,
    ) -> Result<Self, NnError> {
        let recorder = Recorder::default();
        let x = Tensor::zeros((1, n_inputs), DType::F32, device)?;
        let y = module(recorder.builder(device), &x)?;
        check_output(&y, 1, n_outputs)?;
        let asked = recorder.asked();
        let mut layout = Layout::new();
        for tensor in &asked {
            layout.push(&*tensor.name, tensor.var.dims());
        }
        check_names(&layout)?;
        let grads = y.sum_all()?.backward()?;
        for tensor in &asked {
            gradient(&grads, tensor.var.as_tensor(), &tensor.name)?;
        }
        let names = asked.iter().enumerate().map(|(i, tensor)| (tensor.name.clone(), i)).collect();
        Ok(CandleNetwork {
            module: Box::new(module),
            jvp: None,
            device: device.clone(),
            names: Arc::new(names),
            hints: asked.iter().map(|tensor| tensor.hint).collect(),
            shape: Shape { n_inputs, n_outputs, layout },
            reproducible: if device.is_cpu() { Reproducible::ThisProcessor } else { Reproducible::No },
            spec: None,
        })
    }

    /// Gives the product `(∂y/∂θ) v + (∂y/∂x) dx`, `[rows, n_outputs]`, of the parameters, of their tangents under the same names, of `x` and of `dx`
    /// (none where the input stands still).
    #[must_use]
    pub fn with_jvp(
        mut self,
        jvp: impl Fn(
            VarBuilder<'static>,
            VarBuilder<'static>,
            &Tensor,
            Option<&Tensor>,
        ) -> candle_core::Result<Tensor>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.jvp = Some(Box::new(jvp));
        self
    }

    /// Declares where its results come out the same.
    #[must_use]
    pub fn declare(mut self, reproducible: Reproducible) -> Self {
        self.reproducible = reproducible;
        self
    }

    /// Gives it a description, so that it can be saved: the builder that brings it back is registered under this name
    /// ([`Builders`](crate::Builders)) and is given this value.
    #[must_use]
    pub fn described(mut self, name: impl Into<String>, value: serde_json::Value) -> Self {
        self.spec = Some(NetworkSpec::Custom { name: name.into(), value });
        self
    }

    fn upload<F: WithDType>(&self, theta: &[F]) -> Result<Vec<Tensor>, NnError> {
        let params = self.shape.layout.params().iter();
        let tensor = |p: &crate::Param| Tensor::from_slice(&theta[p.range()], &p.shape[..], &self.device);
        Ok(params.map(tensor).collect::<Result<_, _>>()?)
    }

    fn inputs<F: WithDType>(&self, x: &[F]) -> Result<Tensor, NnError> {
        Ok(Tensor::from_slice(x, (x.len() / self.shape.n_inputs.max(1), self.shape.n_inputs), &self.device)?)
    }

    fn run<F: WithDType>(&self, theta: Vec<Tensor>, x: &Tensor, rows: usize) -> Result<Tensor, NnError> {
        let y = (self.module)(builder(&self.names, theta, F::DTYPE, &self.device), x)?;
        check_output(&y, rows, self.shape.n_outputs)?;
        Ok(y)
    }
}

fn check_output(y: &Tensor, rows: usize, n_outputs: usize) -> Result<(), NnError> {
    match *y.dims() {
        [got_rows, got] => {
            NnError::check("the output of a candle module", got_rows, rows)?;
            NnError::check("an output row of a candle module", got, n_outputs)
        }
        _ => {
            Err(NnError::Shape { what: "the shape of a candle module's output", got: y.rank(), expected: 2 })
        }
    }
}

/// The gradient of a tensor, which must be there.
fn gradient<'a>(grads: &'a GradStore, tensor: &Tensor, name: &str) -> Result<&'a Tensor, NnError> {
    grads.get(tensor).ok_or_else(|| NnError::MissingGradient { tensor: name.to_owned() })
}

fn copy<F: WithDType>(tensor: &Tensor, to: &mut [F]) -> Result<(), NnError> {
    let values = tensor.flatten_all()?.to_vec1::<F>()?;
    NnError::check("a tensor of a candle module", values.len(), to.len())?;
    to.copy_from_slice(&values);
    Ok(())
}

impl<F: Real + WithDType> Network<F> for CandleNetwork {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn reproducible(&self) -> Reproducible {
        self.reproducible
    }

    fn shard_rows(&self) -> usize {
        ALL_ROWS
    }

    fn spec(&self) -> Option<NetworkSpec> {
        self.spec.clone()
    }

    fn init(&self, theta: &mut [F], how: Initialization, rng: &mut dyn RngCore) -> Result<(), NnError> {
        NnError::check("theta", theta.len(), self.shape.layout.n_params())?;
        if how != Initialization::Uniform {
            how.by_layout(&self.shape.layout, theta, rng);
        }
        for (param, &hint) in self.shape.layout.params().iter().zip(&self.hints) {
            if how == Initialization::Uniform || matches!(hint, Init::Const(_)) {
                draw(hint, &param.shape, &mut theta[param.range()], rng);
            }
        }
        Ok(())
    }

    fn prepare(&self, theta: &[F], ws: &mut Workspace<F>) -> Result<(), NnError> {
        NnError::check("theta", theta.len(), self.shape.layout.n_params())?;
        ws.parts::<Memory>().1.prepared = Some(self.upload(theta)?);
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
        check(self, theta, x)?;
        NnError::check("the output", y.len(), x.rows() * self.shape.n_outputs)?;
        let memory = ws.parts::<Memory>().1;
        let prepared = match &memory.prepared {
            Some(prepared) => prepared.clone(),
            None => self.upload(theta)?,
        };
        copy(&self.run::<F>(prepared, &self.inputs(x.obs())?, x.rows())?, y)
    }

    fn record(&self, theta: &[F], x: &States<'_, F>, ws: &mut Workspace<F>) -> Result<(), NnError> {
        check(self, theta, x)?;
        let vars = self.upload(theta)?.iter().map(Var::from_tensor).collect::<Result<Vec<_>, _>>()?;
        let tensors = vars.iter().map(|var| var.as_tensor().clone()).collect();
        let y = self.run::<F>(tensors, &self.inputs(x.obs())?, x.rows())?;
        ws.output.resize(x.rows() * self.shape.n_outputs, F::zero());
        copy(&y, &mut ws.output)?;
        ws.parts::<Memory>().1.recorded = Some(Recorded { theta: vars, y });
        Ok(())
    }

    fn vjp(
        &self,
        _: &[F],
        x: &States<'_, F>,
        ws: &mut Workspace<F>,
        dy: &[F],
        grad: &mut [F],
        dx: Option<&mut [F]>,
    ) -> Result<(), NnError> {
        let Some(Recorded { theta, y }) = &ws.parts::<Memory>().1.recorded else {
            return Err(NnError::Shape { what: "the recorded graph", got: 0, expected: 1 });
        };
        let input = match dx {
            Some(_) => Some(Var::from_tensor(&self.inputs(x.obs())?)?),
            None => None,
        };
        // A graph that reaches down to the input, where its gradient is wanted.
        let again = match &input {
            Some(input) => {
                let tensors = theta.iter().map(|var| var.as_tensor().clone()).collect();
                Some(self.run::<F>(tensors, input.as_tensor(), x.rows())?)
            }
            None => None,
        };
        let dy = Tensor::from_slice(dy, (x.rows(), self.shape.n_outputs), &self.device)?;
        let grads = (again.as_ref().unwrap_or(y) * dy)?.sum_all()?.backward()?;
        for (param, var) in self.shape.layout.params().iter().zip(theta) {
            copy(gradient(&grads, var.as_tensor(), &param.name)?, &mut grad[param.range()])?;
        }
        if let (Some(dx), Some(input)) = (dx, &input) {
            copy(gradient(&grads, input.as_tensor(), "the input")?, dx)?;
        }
        Ok(())
    }

    fn jvp(
        &self,
        theta: &[F],
        x: &States<'_, F>,
        _: &mut Workspace<F>,
        v: &[F],
        dx: Option<&[F]>,
        dy: &mut [F],
    ) -> Result<(), NnError> {
        let Some(jvp) = &self.jvp else {
            return self.differences(theta, x, v, dx, dy);
        };
        let builder = |tensors| builder(&self.names, tensors, F::DTYPE, &self.device);
        let (theta, v) = (builder(self.upload(theta)?), builder(self.upload(v)?));
        let rows = x.rows();
        let dx = dx.map(|dx| self.inputs(dx)).transpose()?;
        let product = jvp(theta, v, &self.inputs(x.obs())?, dx.as_ref())?;
        check_output(&product, rows, self.shape.n_outputs)?;
        copy(&product, dy)
    }
}
