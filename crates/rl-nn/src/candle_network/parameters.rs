//! The tensors that a candle module asks for, and those it is given.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Error, Shape, Tensor, Var, bail};
use candle_nn::init::NormalOrUniform;
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use rand::{Rng, RngCore};
use rand_distr::Distribution;
use rl_kernels::StandardNormal;

use crate::Real;

/// A tensor that the module asked for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) var: Var,
    pub(super) hint: Init,
}

/// Answers every question with a new tensor of zeros (or the constant that is hinted at), and keeps the list.
#[derive(Clone, Default)]
pub(super) struct Recorder(Arc<Mutex<Vec<Asked>>>);

impl Recorder {
    /// What was asked for, in order.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn builder(&self, device: &Device) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), DType::F32, device.clone())
    }
}

impl SimpleBackend for Recorder {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        hint: Init,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor, Error> {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = asked.iter().find(|known| known.name == name) {
            return with_shape(known.var.as_tensor(), &shape, name);
        }
        let constant = if let Init::Const(x) = hint { x } else { 0.0 };
        let var = Var::from_tensor(&(Tensor::zeros(shape, dtype, device)? + constant)?)?;
        let tensor = var.as_tensor().clone();
        asked.push(Asked { name: name.to_owned(), var, hint });
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor, Error> {
        bail!("the module asks for {name:?} without a shape")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}

/// Where each name is in the list of tensors.
pub(super) type Names = Arc<BTreeMap<String, usize>>;

/// Answers with given tensors.
struct Given {
    names: Names,
    tensors: Vec<Tensor>,
}

/// A builder of layers over given tensors.
pub(super) fn builder(
    names: &Names,
    tensors: Vec<Tensor>,
    dtype: DType,
    device: &Device,
) -> VarBuilder<'static> {
    VarBuilder::from_backend(Box::new(Given { names: names.clone(), tensors }), dtype, device.clone())
}

impl SimpleBackend for Given {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor, Error> {
        with_shape(&self.get_unchecked(name, dtype, device)?, &shape, name)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor, Error> {
        match self.names.get(name) {
            Some(&i) => Ok(self.tensors[i].clone()),
            None => {
                bail!("the module asks for {name:?}, for which it did not ask when it was made a network")
            }
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }
}

fn with_shape(tensor: &Tensor, shape: &Shape, name: &str) -> Result<Tensor, Error> {
    if tensor.shape() != shape {
        bail!("the module asks for {name:?} in the shapes {:?} and {shape:?}", tensor.shape());
    }
    Ok(tensor.clone())
}

/// Draws a tensor as the module's layer says.
pub(super) fn draw<F: Real>(hint: Init, shape: &[usize], x: &mut [F], rng: &mut dyn RngCore) {
    let mut uniform = |x: &mut [F], low: f64, high: f64| {
        if low < high {
            x.iter_mut().for_each(|x| *x = F::narrow(rng.random_range(low..high)));
        } else {
            x.fill(F::narrow(low));
        }
    };
    match hint {
        Init::Const(c) => x.fill(F::narrow(c)),
        Init::Uniform { lo, up } => uniform(x, lo, up),
        Init::Randn { mean, stdev } => normal(x, mean, stdev, rng),
        Init::Kaiming { dist, fan, non_linearity } => {
            let std = non_linearity.gain() / (fan.for_shape(&Shape::from(shape)).max(1) as f64).sqrt();
            match dist {
                NormalOrUniform::Uniform => uniform(x, -3.0_f64.sqrt() * std, 3.0_f64.sqrt() * std),
                NormalOrUniform::Normal => normal(x, 0.0, std, rng),
            }
        }
    }
}

fn normal<F: Real>(x: &mut [F], mean: f64, std: f64, rng: &mut dyn RngCore) {
    x.iter_mut().for_each(|x| {
        let z: f64 = StandardNormal.sample(rng);
        *x = F::narrow(mean + std * z);
    });
}
