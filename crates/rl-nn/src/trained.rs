//! A trained policy: parameters with the description of what they parametrise, as bytes and back.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use rand::SeedableRng;
use safetensors::tensor::{Dtype, SafeTensors, View};

use crate::dist::SampleRng;
use crate::{
    Actions, Activation, DistParams, DistributionSpec, Forward, Mlp, NnError, PolicyModel, States, Workspace,
};

/// What a policy is, apart from its parameters.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySpec {
    /// The layer sizes of its network, `[n_inputs, hidden…, n_outputs]`.
    pub sizes: Vec<usize>,
    /// The activation of the hidden layers.
    pub activation: Activation,
    /// The action distribution.
    pub distribution: DistributionSpec,
    /// The bounds that continuous actions are clipped to, (lowest, highest) per dimension, where there are any; none at all for
    /// discrete actions.
    #[serde(default)]
    pub action_bounds: Option<Vec<(Option<f32>, Option<f32>)>>,
}

impl PolicySpec {
    /// The policy as a function of θ.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when sizes and distribution do not fit, [`NnError::Saved`] for bounds that are not numbers in order, or not
    /// one pair a dimension, and for more parameters than can be counted.
    pub fn build(&self) -> Result<PolicyModel<f32>, NnError> {
        let weights = self.sizes.windows(2).map(|io| io[0].checked_mul(io[1].checked_add(1)?));
        if weights.collect::<Option<Vec<_>>>().is_none() {
            return Err(NnError::Saved(format!("layer sizes {:?} are too large", self.sizes)));
        }
        if let (Some(bounds), Some(n)) = (&self.action_bounds, self.sizes.last()) {
            NnError::check("the list of action bounds", bounds.len(), *n)?;
            let wrong = |&&(low, high): &&(Option<f32>, Option<f32>)| {
                low.is_some_and(f32::is_nan)
                    || high.is_some_and(f32::is_nan)
                    || low.zip(high).is_some_and(|(l, h)| l > h)
            };
            if let Some((low, high)) = bounds.iter().find(wrong) {
                return Err(NnError::Saved(format!("action bounds {low:?} to {high:?} are not in order")));
            }
        }
        PolicyModel::new(Arc::new(Mlp::new(&self.sizes, self.activation)?), self.distribution.build())
    }
}

/// A policy with its parameters, ready to act.
pub struct TrainedPolicy {
    spec: PolicySpec,
    model: PolicyModel<f32>,
    theta: Vec<f32>,
    rng: [SampleRng; 1],
    ws: Workspace<f32>,
    y: Vec<f32>,
}

/// A little-endian `f32` tensor inside a safetensors file.
struct TensorBytes {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for &TensorBytes {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

impl TrainedPolicy {
    /// Joins a description and parameters.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when they do not fit.
    pub fn new(spec: PolicySpec, theta: Vec<f32>) -> Result<Self, NnError> {
        let model = spec.build()?;
        NnError::check("the policy's theta", theta.len(), model.n_params())?;
        let rng = [SampleRng::seed_from_u64(0)];
        Ok(TrainedPolicy { spec, model, theta, rng, ws: Workspace::default(), y: Vec::new() })
    }

    /// The description.
    pub fn spec(&self) -> &PolicySpec {
        &self.spec
    }

    /// The policy as a function of θ.
    pub fn model(&self) -> &PolicyModel<f32> {
        &self.model
    }

    /// The parameters.
    pub fn theta(&self) -> &[f32] {
        &self.theta
    }

    /// Restarts the generator of stochastic actions.
    pub fn seed(&mut self, seed: u64) {
        self.rng = [SampleRng::seed_from_u64(seed)];
    }

    /// The action for one observation: the most probable one, or a sample; continuous ones clipped to their bounds.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when the observation has another length than the policy takes, [`NnError::NonFinite`] when it or the
    /// parameters are not finite.
    pub fn act(&mut self, obs: &[f32], deterministic: bool) -> Result<Actions<f32>, NnError> {
        NnError::check("the observation", obs.len(), self.model.network.n_inputs())?;
        let (net, globals) = self.theta.split_at(self.model.network.n_params());
        self.y.resize(self.model.network.n_outputs(), 0.0);
        Forward::new(&*self.model.network, net, &mut self.ws)?
            .run(&States::new(obs, obs.len())?, &mut self.y)?;
        // The mode of a categorical distribution would hide it.
        if self.y.iter().chain(globals).any(|y| !y.is_finite()) {
            return Err(NnError::NonFinite { what: "the policy's output" });
        }
        let params = DistParams { y: &self.y, globals };
        let mut actions = self.model.distribution.new_actions();
        if deterministic {
            self.model.distribution.mode(params, &mut actions)?;
        } else {
            self.model.distribution.sample(params, &mut self.rng, &mut actions, &mut [0.0])?;
        }
        if let (Actions::Continuous(a), Some(bounds)) = (&mut actions, &self.spec.action_bounds) {
            for (a, &(low, high)) in a.iter_mut().zip(bounds) {
                *a = a.clamp(low.unwrap_or(f32::NEG_INFINITY), high.unwrap_or(f32::INFINITY));
            }
        }
        Ok(actions)
    }

    /// The parameters as a safetensors file, names and shapes those of the model's layout.
    ///
    /// # Errors
    ///
    /// [`NnError::Saved`] should the format refuse them.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, NnError> {
        let layout = self.model.layout();
        let tensors: BTreeMap<String, TensorBytes> = layout
            .params()
            .iter()
            .map(|p| {
                let bytes = self.theta[p.range()].iter().flat_map(|x| x.to_le_bytes()).collect();
                (p.name.clone(), TensorBytes { shape: p.shape.clone(), bytes })
            })
            .collect();
        safetensors::serialize(&tensors, None).map_err(|e| NnError::Saved(e.to_string()))
    }

    /// Reads what [`to_safetensors`](Self::to_safetensors) wrote for a policy of this description.
    ///
    /// # Errors
    ///
    /// [`NnError::Saved`] for bytes that are no safetensors file, or a tensor that is missing, superfluous or of another
    /// type or shape; the message names it.
    pub fn from_safetensors(spec: PolicySpec, bytes: &[u8]) -> Result<Self, NnError> {
        let model = spec.build()?;
        let file = SafeTensors::deserialize(bytes).map_err(|e| NnError::Saved(e.to_string()))?;
        let layout = model.layout();
        let mut theta = Vec::new();
        for p in layout.params() {
            let tensor =
                file.tensor(&p.name).map_err(|e| NnError::Saved(format!("tensor {:?}: {e}", p.name)))?;
            if tensor.dtype() != Dtype::F32 || tensor.shape() != p.shape {
                let (dtype, shape) = (tensor.dtype(), tensor.shape());
                let message =
                    format!("tensor {:?} is {dtype:?} {shape:?}, expected F32 {:?}", p.name, p.shape);
                return Err(NnError::Saved(message));
            }
            theta.extend(tensor.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)));
        }
        if let Some(extra) = file.names().iter().find(|n| layout.params().iter().all(|p| p.name != **n)) {
            return Err(NnError::Saved(format!("tensor {extra:?} belongs to no part of this policy")));
        }
        TrainedPolicy::new(spec, theta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(bounds: Option<Vec<(Option<f32>, Option<f32>)>>) -> PolicySpec {
        let distribution = DistributionSpec::DiagGaussian { dim: 2 };
        PolicySpec { sizes: vec![1, 2], activation: Activation::Tanh, distribution, action_bounds: bounds }
    }

    #[test]
    fn a_policy_comes_back_from_its_bytes_with_open_bounds() {
        let spec = spec(Some(vec![(Some(-1.0), None), (None, None)]));
        let theta = vec![-2.0, 3.0, 0.0, 0.0, 0.0, 0.0];
        let saved = TrainedPolicy::new(spec.clone(), theta.clone()).unwrap();
        let text = serde_json::to_string(&spec).unwrap();
        let bytes = saved.to_safetensors().unwrap();
        let mut loaded =
            TrainedPolicy::from_safetensors(serde_json::from_str(&text).unwrap(), &bytes).unwrap();
        assert_eq!((loaded.spec(), loaded.theta()), (&spec, &theta[..]));
        assert_eq!(loaded.act(&[1.0], true).unwrap(), Actions::Continuous(vec![-1.0, 3.0]));
    }

    #[test]
    fn what_is_wrong_is_an_error() {
        assert!(
            TrainedPolicy::new(spec(Some(vec![(Some(1.0), Some(-1.0)), (None, None)])), vec![0.0; 6])
                .is_err()
        );
        assert!(TrainedPolicy::new(spec(Some(vec![(None, None)])), vec![0.0; 6]).is_err());
        let huge = PolicySpec { sizes: vec![usize::MAX, 2], ..spec(None) };
        assert!(matches!(huge.build(), Err(NnError::Saved(_))));
        let mut policy = TrainedPolicy::new(spec(None), vec![0.0; 6]).unwrap();
        assert!(matches!(policy.act(&[f32::NAN], true), Err(NnError::NonFinite { .. })));
        assert!(matches!(policy.act(&[0.0, 0.0], true), Err(NnError::Shape { .. })));
    }
}
