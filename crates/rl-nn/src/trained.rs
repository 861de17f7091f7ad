//! A trained policy: parameters with the description of what they parametrise.

use rand::SeedableRng;
use serde_json::Value;

use crate::archive::{Archive, Data};
use crate::distribution::SampleRng;
use crate::{
    Actions, Bounding, Builders, DistParams, DistributionSpec, Forward, NetworkSpec, NnError, Noise,
    PolicyModel, States, Workspace,
};

/// The description of a policy, without its parameters.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySpec {
    /// Its network.
    pub network: NetworkSpec,
    /// The distribution of its samples.
    pub distribution: DistributionSpec,
    /// How samples become actions.
    #[serde(default)]
    pub bounding: Bounding,
}

impl PolicySpec {
    /// The description of a policy; `None` where its network or its distribution has none.
    pub fn of(model: &PolicyModel<f32>) -> Option<Self> {
        Some(PolicySpec {
            network: model.network.spec()?,
            distribution: model.distribution.spec()?,
            bounding: model.bounding.clone(),
        })
    }

    /// The policy as a function of θ. Networks and distributions of a user's own come from the builders.
    ///
    /// # Errors
    ///
    /// Those of [`NetworkSpec::build_with`], [`DistributionSpec::build_with`] and [`Bounding::check`]; [`NnError::Shape`] when network and
    /// distribution do not fit.
    pub fn build_with(&self, builders: &Builders) -> Result<PolicyModel<f32>, NnError> {
        PolicyModel::new(self.network.build_with(builders)?, self.distribution.build_with(builders)?)?
            .with_bounding(self.bounding.clone())
    }
}

/// A policy with its parameters, ready to act.
pub struct TrainedPolicy {
    model: PolicyModel<f32>,
    theta: Vec<f32>,
    noise: Noise<f32>,
    ws: Workspace<f32>,
    y: Vec<f32>,
}

/// The description's key of the policy.
const POLICY: &str = "policy";

impl TrainedPolicy {
    /// Joins a policy and its parameters.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when they do not fit.
    pub fn new(model: PolicyModel<f32>, theta: Vec<f32>) -> Result<Self, NnError> {
        NnError::check("the policy's theta", theta.len(), model.n_params())?;
        Ok(TrainedPolicy { model, theta, noise: noise(0), ws: Workspace::default(), y: Vec::new() })
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
        self.noise = noise(seed);
    }

    /// The action for one observation: the most probable one, or a sample; continuous ones as the environment takes them. `mask` says which choices are
    /// allowed, where the environment does.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when the observation or the mask has another length than the policy takes, [`NnError::NonFinite`] when it or the parameters
    /// are not finite, [`NnError::NoAction`] for a mask that allows none.
    pub fn act(
        &mut self,
        obs: &[f32],
        mask: Option<&[bool]>,
        deterministic: bool,
    ) -> Result<Actions<f32>, NnError> {
        let PolicyModel { network, distribution, bounding } = &self.model;
        NnError::check("the observation", obs.len(), network.n_inputs())?;
        if obs.iter().any(|x| !x.is_finite()) {
            return Err(NnError::NonFinite { what: "the observation" });
        }
        let (net, globals) = self.theta.split_at(network.n_params());
        self.y.resize(network.n_outputs(), 0.0);
        let states = States::new(obs, obs.len())?.with_masks(mask)?;
        Forward::new(&**network, net, &mut self.ws)?.run(&states, &mut self.y)?;
        // The mode of a categorical distribution would hide it.
        if self.y.iter().chain(globals).any(|y| !y.is_finite()) {
            return Err(NnError::NonFinite { what: "the policy's output" });
        }
        self.model.mask(&states, &mut self.y)?;
        let params = DistParams { y: &self.y, globals };
        let mut actions = distribution.new_actions();
        if deterministic {
            distribution.mode(params, &mut actions)?;
        } else {
            distribution.sample(params, &mut self.noise, &mut actions, &mut [0.0])?;
        }
        Ok(bounding.apply_to(actions))
    }

    /// Puts description and parameters into an archive: arrays `policy.…`, called as the model's layout calls them.
    ///
    /// # Errors
    ///
    /// [`NnError::Saved`] for a policy that does not describe itself.
    pub fn store(&self, archive: &mut Archive) -> Result<(), NnError> {
        let spec = PolicySpec::of(&self.model).ok_or_else(|| {
            NnError::Saved("a network or distribution without a description cannot be saved".to_owned())
        })?;
        let described = serde_json::to_value(spec).map_err(|e| NnError::Saved(e.to_string()))?;
        archive.about.insert(POLICY.to_owned(), described);
        for param in self.model.layout().params() {
            let data = Data::F32(self.theta[param.range()].to_vec());
            archive.insert(format!("{POLICY}.{}", param.name), &param.shape, data);
        }
        Ok(())
    }

    /// Takes a policy out of an archive.
    ///
    /// # Errors
    ///
    /// [`NnError::Saved`] where there is none, and for an array that is missing, superfluous or of another type or shape; the message names it.
    pub fn restore(archive: &Archive, builders: &Builders) -> Result<Self, NnError> {
        let described = archive.about.get(POLICY).cloned().unwrap_or(Value::Null);
        let spec: PolicySpec = serde_path_to_error::deserialize(described)
            .map_err(|e| NnError::Saved(format!("the policy's description, {}: {}", e.path(), e.inner())))?;
        let model = spec.build_with(builders)?;
        let layout = model.layout();
        // It grows with what is there, and not with what is promised.
        let mut theta = Vec::new();
        for param in layout.params() {
            theta.extend_from_slice(archive.f32s(&format!("{POLICY}.{}", param.name), &param.shape)?);
        }
        let known = |name: &str| layout.params().iter().any(|param| param.name == name);
        let mut of_policy = archive.names().filter_map(|name| name.strip_prefix("policy."));
        if let Some(extra) = of_policy.find(|name| !known(name)) {
            return Err(NnError::Saved(format!(
                "array \"policy.{extra}\" belongs to no part of this policy"
            )));
        }
        TrainedPolicy::new(model, theta)
    }
}

fn noise(seed: u64) -> Noise<f32> {
    // Noise that lives longer than a step is drawn once, as in evaluations.
    Noise::kept(vec![SampleRng::seed_from_u64(seed)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(bounding: Bounding) -> PolicySpec {
        let network = NetworkSpec::Mlp {
            sizes: vec![1, 2],
            activation: crate::Activation::Tanh,
            activated_output: false,
        };
        PolicySpec { network, distribution: DistributionSpec::DiagGaussian { dim: 2 }, bounding }
    }

    #[test]
    fn a_policy_comes_back_from_its_bytes_with_open_bounds() {
        let spec = spec(Bounding::clip([(-1.0, f32::INFINITY), (f32::NEG_INFINITY, f32::INFINITY)]));
        let theta = vec![-2.0, 3.0, 0.0, 0.0, 0.0, 0.0];
        let model = spec.build_with(&Builders::default()).unwrap();
        let saved = TrainedPolicy::new(model, theta.clone()).unwrap();
        let mut archive = Archive::default();
        saved.store(&mut archive).unwrap();
        let names: Vec<_> = archive.names().collect();
        assert_eq!(names, ["policy.0.bias", "policy.0.weight", "policy.log_std"]);
        let archive = Archive::from_bytes(&archive.to_bytes().unwrap()).unwrap();
        let mut loaded = TrainedPolicy::restore(&archive, &Builders::default()).unwrap();
        assert_eq!((PolicySpec::of(loaded.model()), loaded.theta()), (Some(spec), &theta[..]));
        assert_eq!(loaded.act(&[1.0], None, true).unwrap(), Actions::Continuous(vec![-1.0, 3.0]));
    }

    #[test]
    fn what_is_wrong_is_an_error() {
        let build = |bounding| spec(bounding).build_with(&Builders::default());
        assert!(build(Bounding::clip([(1.0, -1.0), (0.0, 0.0)])).is_err());
        assert!(build(Bounding::clip([(0.0, 0.0)])).is_err());
        let mut policy = TrainedPolicy::new(build(Bounding::Free).unwrap(), vec![0.0; 6]).unwrap();
        assert!(matches!(policy.act(&[f32::NAN], None, true), Err(NnError::NonFinite { .. })));
        assert!(matches!(policy.act(&[0.0, 0.0], None, true), Err(NnError::Shape { .. })));
        assert!(matches!(policy.act(&[0.0], Some(&[true]), true), Err(NnError::Unmaskable)));
        let mut archive = Archive::default();
        assert!(TrainedPolicy::restore(&archive, &Builders::default()).is_err());
        policy.store(&mut archive).unwrap();
        archive.insert("policy.more", &[1], Data::F32(vec![0.0]));
        let error = TrainedPolicy::restore(&archive, &Builders::default()).err().unwrap().to_string();
        assert!(error.contains("policy.more"), "{error}");
    }
}
