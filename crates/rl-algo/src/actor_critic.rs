//! A policy and a value function over one flat parameter vector.

use std::sync::Arc;

use rand::RngCore;
use rl_env::Space;
use rl_kernels::elementary;
use rl_nn::{DistributionSpec, Mlp, Network, NnError, PolicyModel, PolicySpec, Reproducible, TrainedPolicy};

use crate::{AlgoError, NetConfig, check_setting};

/// The most parameters that actor and critic may have together: 1 GiB of `f32`, and twice as much for their optimiser.
const MAX_PARAMS: usize = 1 << 28;

/// What the networks for these spaces will be, and the layer sizes of the critic. Nothing is allocated that grows with them.
fn plan(
    observations: &Space,
    actions: &Space,
    config: &NetConfig,
) -> Result<(PolicySpec, Vec<usize>), AlgoError> {
    config.validate()?;
    let (distribution, n_outputs, action_bounds) = match actions {
        Space::Discrete(n) => (DistributionSpec::Categorical { n: *n }, *n, None),
        Space::Box(b) => {
            let closed = |x: &f32| x.is_finite().then_some(*x);
            let bounds = b.low.iter().map(closed).zip(b.high.iter().map(closed)).collect();
            (DistributionSpec::DiagGaussian { dim: b.low.len() }, b.low.len(), Some(bounds))
        }
        other => return Err(AlgoError::ActionSpace(other.to_string())),
    };
    let sizes = |n_outputs: usize| -> Vec<usize> {
        [observations.flat_len()]
            .into_iter()
            .chain(config.net_arch.iter().copied())
            .chain([n_outputs])
            .collect()
    };
    let (actor, critic) = (sizes(n_outputs), sizes(1));
    // Widths are at most 2^16 and there are at most 64 of them, so that only the spaces' own sizes could overflow.
    let layers = actor.windows(2).chain(critic.windows(2));
    let n_params =
        layers.fold(0_usize, |sum, io| sum.saturating_add(io[0].saturating_add(1).saturating_mul(io[1])));
    let allowed = format!("networks with at most 2^28 parameters together; these would have {n_params}");
    check_setting("net_arch", format!("{:?}", config.net_arch), &allowed, n_params <= MAX_PARAMS)?;
    let spec = PolicySpec { sizes: actor, activation: config.activation, distribution, action_bounds };
    Ok((spec, critic))
}

/// An actor and a critic: θ = [policy network | free distribution parameters | value network].
///
/// θ is the master copy, in host memory; [`version`](Self::version) changes whenever it may have.
#[derive(Clone)]
pub struct ActorCritic {
    policy: PolicyModel<f32>,
    critic: Arc<dyn Network<f32>>,
    policy_spec: Option<PolicySpec>,
    theta: Vec<f32>,
    version: u64,
}

impl ActorCritic {
    /// Joins a policy and a critic with their parameters.
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
        Ok(ActorCritic { policy, critic, policy_spec: None, theta, version: 0 })
    }

    /// Perceptrons for the given spaces, initialised from a generator: categorical actions for `Discrete`, a diagonal
    /// Gaussian with free log standard deviations for `Box`.
    ///
    /// # Errors
    ///
    /// [`AlgoError::ActionSpace`] for any other action space, [`AlgoError::Config`] for unusable settings.
    pub fn mlp(
        observations: &Space,
        actions: &Space,
        config: &NetConfig,
        rng: &mut dyn RngCore,
    ) -> Result<Self, AlgoError> {
        let (spec, critic_sizes) = plan(observations, actions, config)?;
        let policy = spec.build()?;
        let (actor_net, critic_net) =
            (Mlp::new(&spec.sizes, config.activation)?, Mlp::new(&critic_sizes, config.activation)?);

        let mut theta = vec![0.0; policy.n_params() + Network::<f32>::n_params(&critic_net)];
        let (actor, critic) = theta.split_at_mut(policy.n_params());
        let (network, globals) = actor.split_at_mut(policy.network.n_params());
        for (net, theta, gain) in [(&actor_net, network, 0.01), (&critic_net, critic, 1.0)] {
            if config.ortho_init {
                net.init_orthogonal(theta, gain, rng)?;
            } else {
                net.init_uniform(theta, rng)?;
            }
        }
        globals.fill(config.log_std_init as f32);
        let agent = ActorCritic::new(policy, Arc::new(critic_net), theta)?;
        Ok(ActorCritic { policy_spec: Some(spec), ..agent })
    }

    /// Checks what [`mlp`](Self::mlp) would be made of, without making it.
    ///
    /// # Errors
    ///
    /// Those of [`mlp`](Self::mlp).
    pub fn check_mlp(observations: &Space, actions: &Space, config: &NetConfig) -> Result<(), AlgoError> {
        plan(observations, actions, config).map(|_| ())
    }

    /// The policy as a function of [`policy_theta`](Self::policy_theta).
    pub fn policy(&self) -> &PolicyModel<f32> {
        &self.policy
    }

    /// The value function as a function of [`critic_theta`](Self::critic_theta).
    pub fn critic(&self) -> &dyn Network<f32> {
        &*self.critic
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

    /// The policy's parameters.
    pub fn policy_theta(&self) -> &[f32] {
        &self.theta[..self.policy.n_params()]
    }

    /// The critic's parameters.
    pub fn critic_theta(&self) -> &[f32] {
        &self.theta[self.policy.n_params()..]
    }

    /// Both models and both parameter ranges, to be updated side by side.
    pub fn parts_mut(&mut self) -> (&PolicyModel<f32>, &mut [f32], &dyn Network<f32>, &mut [f32]) {
        self.version += 1;
        let (policy_theta, critic_theta) = self.theta.split_at_mut(self.policy.n_params());
        (&self.policy, policy_theta, &*self.critic, critic_theta)
    }

    /// A number that changes whenever θ may have: what a [`rl_nn::Mirror`] refreshes by.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The mean standard deviation of a policy with free log standard deviations; `None` without.
    pub fn mean_std(&self) -> Option<f64> {
        let globals = &self.policy_theta()[self.policy.network.n_params()..];
        let sum: f64 = globals.iter().map(|&s| elementary::exp(f64::from(s))).sum();
        (!globals.is_empty()).then(|| sum / globals.len() as f64)
    }

    /// A copy of the policy that can be saved and acts by itself; `None` for a policy not made by [`mlp`](Self::mlp).
    pub fn trained_policy(&self) -> Option<TrainedPolicy> {
        let spec = self.policy_spec.clone()?;
        TrainedPolicy::new(spec, self.policy_theta().to_vec()).ok()
    }
}
