//! A policy and a value function over one flat parameter vector.

use std::sync::Arc;

use rand::RngCore;
use rl_env::Space;
use rl_kernels::elementary;
use rl_nn::{
    Chain, Distribution, Fork, Network, NnError, PolicyModel, PolicySpec, Reproducible, Shards, States,
    TrainedPolicy,
};

use crate::{AlgoError, NetConfig, design};

/// An actor and a critic: θ = [policy network | free distribution parameters | value network].
///
/// Where they share a trunk, it is the first part of the policy network, and the value network takes what the trunk gives: the policy's range of θ is
/// everything that actions depend on, the critic's what nothing but values does.
///
/// θ is the master copy, in host memory; [`version`](Self::version) changes whenever it may have.
#[derive(Clone)]
pub struct ActorCritic {
    policy: PolicyModel<f32>,
    critic: Arc<dyn Network<f32>>,
    shared: Option<Shared>,
    theta: Vec<f32>,
    version: u64,
}

/// A trunk that both use, and both together as one network over the whole of θ.
#[derive(Clone)]
struct Shared {
    trunk: Arc<dyn Network<f32>>,
    joint: Arc<Fork<f32>>,
}

/// The networks of an actor and a critic that share a trunk.
pub struct SharedNetworks {
    /// Observations to features.
    pub trunk: Arc<dyn Network<f32>>,
    /// Features to the parameters of the action distribution.
    pub policy: Arc<dyn Network<f32>>,
    /// Features to the value.
    pub value: Arc<dyn Network<f32>>,
}

/// Both models of an [`ActorCritic`], and its parameters as slices that may be changed.
pub struct Parts<'a> {
    /// The policy as a function of its parameters.
    pub policy: &'a PolicyModel<f32>,
    /// The policy's parameters; those of a shared trunk come first.
    pub policy_theta: &'a mut [f32],
    /// The critic as a function of its own parameters: of observations, or of what a shared trunk makes of them.
    pub critic: &'a dyn Network<f32>,
    /// The critic's own parameters.
    pub critic_theta: &'a mut [f32],
    /// The shared trunk, where there is one.
    pub trunk: Option<&'a dyn Network<f32>>,
}

impl ActorCritic {
    /// Joins a policy and a critic that share nothing with their parameters.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when the sizes do not fit, or the critic has not exactly one output.
    pub fn new(
        policy: PolicyModel<f32>,
        critic: Arc<dyn Network<f32>>,
        theta: Vec<f32>,
    ) -> Result<Self, NnError> {
        NnError::check("an output row of the critic", critic.n_outputs(), 1)?;
        NnError::check("an input row of the critic", critic.n_inputs(), policy.network.n_inputs())?;
        NnError::check("theta", theta.len(), policy.n_params() + critic.n_params())?;
        Ok(ActorCritic { policy, critic, shared: None, theta, version: 0 })
    }

    /// Joins an actor and a critic that share a trunk: θ = [trunk | policy head | free distribution parameters | value head]. Samples are the actions;
    /// [`with_bounding`](Self::with_bounding) changes that.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when the sizes do not fit, or the value head has not exactly one output.
    pub fn sharing(
        networks: SharedNetworks,
        distribution: Arc<dyn Distribution<f32>>,
        theta: Vec<f32>,
    ) -> Result<Self, NnError> {
        let SharedNetworks { trunk, policy: head, value } = networks;
        NnError::check("an output row of the critic", value.n_outputs(), 1)?;
        let named = |name: &str, network: &Arc<dyn Network<f32>>| (name.to_owned(), network.clone());
        let mut joint = Fork::new(trunk.clone(), vec![named("policy", &head), named("value", &value)])?;
        for param in distribution.globals().params() {
            joint = joint.with_free_parameters(0, &*param.name, param.range().len())?;
        }
        let network = Chain::new(vec![named("trunk", &trunk), named("policy", &head)])?;
        let policy = PolicyModel::new(Arc::new(network), distribution)?;
        NnError::check("theta", theta.len(), joint.n_params())?;
        let shared = Some(Shared { trunk, joint: Arc::new(joint) });
        Ok(ActorCritic { policy, critic: value, shared, theta, version: 0 })
    }

    /// The same with samples of the policy that become actions in another way.
    ///
    /// # Errors
    ///
    /// Those of [`rl_nn::Bounding::check`].
    pub fn with_bounding(self, bounding: rl_nn::Bounding) -> Result<Self, NnError> {
        Ok(ActorCritic { policy: self.policy.with_bounding(bounding)?, ..self })
    }

    /// Networks for the given spaces, initialised from a generator.
    ///
    /// # Errors
    ///
    /// [`AlgoError::ActionSpace`] for an action space without a distribution, [`AlgoError::Config`] for settings that cannot be used, or not for these
    /// spaces.
    pub fn for_spaces(
        observations: &Space,
        actions: &Space,
        config: &NetConfig,
        rng: &mut dyn RngCore,
    ) -> Result<Self, AlgoError> {
        design(observations, actions, config)?.build(config, rng)
    }

    /// The policy as a function of [`policy_theta`](Self::policy_theta).
    pub fn policy(&self) -> &PolicyModel<f32> {
        &self.policy
    }

    /// The value function as a function of [`critic_theta`](Self::critic_theta): of observations, or of what a shared trunk makes of them.
    pub fn critic(&self) -> &dyn Network<f32> {
        &*self.critic
    }

    /// The shared trunk, where there is one, with its parameters.
    pub fn trunk(&self) -> Option<(&dyn Network<f32>, &[f32])> {
        let trunk = &*self.shared.as_ref()?.trunk;
        Some((trunk, &self.theta[..trunk.n_params()]))
    }

    /// Actor and critic as one network over the whole of θ, where they share a trunk: outputs `[policy | value]`.
    pub fn joint(&self) -> Option<&Fork<f32>> {
        self.shared.as_ref().map(|shared| &*shared.joint)
    }

    /// Writes `V(s)` of a batch of states.
    ///
    /// # Shapes
    ///
    /// `values` `[rows]`.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when critic and observations do not fit.
    pub fn values(
        &self,
        x: &States<'_, f32>,
        values: &mut Vec<f32>,
        shards: &mut Shards<f32>,
    ) -> Result<(), NnError> {
        values.resize(x.rows(), 0.0);
        let Some(joint) = self.joint() else {
            return shards.forward(&*self.critic, self.critic_theta(), x, values);
        };
        let width = joint.n_outputs();
        let mut y = vec![0.0; x.rows() * width];
        shards.forward(joint, &self.theta, x, &mut y)?;
        values.iter_mut().zip(y.chunks_exact(width)).for_each(|(value, row)| *value = row[width - 1]);
        Ok(())
    }

    /// Where the results of both networks come out the same.
    pub fn reproducible(&self) -> Reproducible {
        self.policy.network.reproducible().min(self.critic.reproducible())
    }

    /// All parameters.
    pub fn theta(&self) -> &[f32] {
        &self.theta
    }

    /// All parameters, to change.
    pub fn theta_mut(&mut self) -> &mut [f32] {
        self.version += 1;
        &mut self.theta
    }

    /// The policy's parameters, those of a shared trunk among them.
    pub fn policy_theta(&self) -> &[f32] {
        &self.theta[..self.policy.n_params()]
    }

    /// The critic's own parameters.
    pub fn critic_theta(&self) -> &[f32] {
        &self.theta[self.policy.n_params()..]
    }

    /// Both models and both parameter ranges, to be updated side by side.
    pub fn parts_mut(&mut self) -> Parts<'_> {
        self.version += 1;
        let (policy_theta, critic_theta) = self.theta.split_at_mut(self.policy.n_params());
        let trunk = self.shared.as_ref().map(|shared| &*shared.trunk);
        Parts { policy: &self.policy, policy_theta, critic: &*self.critic, critic_theta, trunk }
    }

    /// The policy, the joint network of an actor and a critic that share a trunk, and all parameters, to be updated together.
    pub fn joint_mut(&mut self) -> Option<(&PolicyModel<f32>, &Fork<f32>, &mut [f32])> {
        self.version += 1;
        let joint = &*self.shared.as_ref()?.joint;
        Some((&self.policy, joint, &mut self.theta))
    }

    /// A number that changes whenever θ may have. Nothing here asks for it: it is for a user's own copy of θ, such as a [`rl_nn::Mirror`] on a device, which is
    /// refreshed when the number is another one.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The mean standard deviation of a policy with free log standard deviations; `None` without.
    pub fn mean_std(&self) -> Option<f64> {
        let globals = &self.policy_theta()[self.policy.network.n_params()..];
        let sum: f64 = globals.iter().map(|&s| elementary::exp(f64::from(s))).sum();
        (!globals.is_empty()).then(|| sum / globals.len() as f64)
    }

    /// A copy of the policy that can be saved and acts by itself; `None` where its network or its distribution does not describe itself.
    pub fn trained_policy(&self) -> Option<TrainedPolicy> {
        PolicySpec::of(&self.policy)?;
        TrainedPolicy::new(self.policy.clone(), self.policy_theta().to_vec()).ok()
    }
}
