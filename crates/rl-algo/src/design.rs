//! What the networks for an environment's spaces will be.

use std::sync::Arc;

use rand::RngCore;
use rl_env::{BoxSpace, Space};
use rl_nn::distribution::{
    Bernoulli, Categorical, DiagGaussian, FreeGaussian, Gsde, MultiCategorical, StateGaussian,
};
use rl_nn::{Bounding, Distribution, Fork, Identity, Initialization, Mlp, Network, NnError, PolicyModel};

use crate::actor_critic::SharedNetworks;
use crate::{ActorCritic, AlgoError, ConfigError, LogStd, NetConfig, check_setting};

/// The most parameters that actor and critic may have together: 1 GiB of `f32`, and twice as much for their optimiser.
const MAX_PARAMS: usize = 1 << 28;

type Net = Arc<dyn Network<f32>>;

/// Networks without parameters yet.
pub struct Design {
    trunk: Option<Net>,
    policy: Net,
    value: Net,
    distribution: Arc<dyn Distribution<f32>>,
    bounding: Bounding,
}

/// Designs the networks for these spaces. Nothing is allocated that grows with their parameters.
///
/// # Errors
///
/// [`AlgoError::ActionSpace`] for an action space without a distribution, [`AlgoError::Config`] for settings that cannot be used, or not for these
/// spaces.
pub fn design(observations: &Space, actions: &Space, config: &NetConfig) -> Result<Design, AlgoError> {
    config.validate()?;
    let (pi, vf) = config.net_arch.widths();
    let n_inputs = observations.flat_len();
    let (shared, pi, vf) =
        (&pi[..config.shared_layers], &pi[config.shared_layers..], &vf[config.shared_layers..]);
    let n_features = shared.last().copied().unwrap_or(n_inputs);
    let latent = pi.last().copied().unwrap_or(n_features);
    let distribution = distribution_for(actions, config, latent)?;
    let design = Design {
        trunk: (!shared.is_empty()).then(|| body(n_inputs, shared, config)).transpose()?,
        policy: if config.use_sde {
            with_latent(n_features, pi, distribution.action_len(), config)?
        } else {
            head(n_features, pi, distribution.n_outputs(), config)?
        },
        value: head(n_features, vf, 1, config)?,
        bounding: bounding_for(actions, config)?,
        distribution,
    };
    let n_params = design.n_params();
    let allowed = format!("networks with at most 2^28 parameters together; these would have {n_params}");
    check_setting("net_arch", &config.net_arch, &allowed, n_params <= MAX_PARAMS)?;
    Ok(design)
}

/// The action distribution for a space. `latent` is the number of features that state-dependent exploration is a function of.
///
/// `Discrete`: categorical. `MultiDiscrete`: a categorical for every dimension. `MultiBinary`: a Bernoulli for every bit. `Box`: independent normals, with
/// log standard deviations as the settings say.
///
/// # Errors
///
/// As [`design`].
pub fn distribution_for(
    actions: &Space,
    config: &NetConfig,
    latent: usize,
) -> Result<Arc<dyn Distribution<f32>>, AlgoError> {
    let space = actions.to_string();
    let of_reals = |key: &str, value: &str, holds: bool| {
        check_setting(key, value, &format!("an environment with a Box of actions, not {space}"), holds)
    };
    let dim = match actions {
        Space::Box(space) => space.low.len(),
        _ => {
            of_reals("use_sde", "true", !config.use_sde)?;
            of_reals("squash_output", "true", !config.squash_output)?;
            of_reals("log_std", "\"state\"", config.log_std == LogStd::Free)?;
            0
        }
    };
    let squashed = config.squash_output;
    Ok(match actions {
        Space::Discrete(n) => Arc::new(Categorical { n: *n }),
        Space::MultiDiscrete(ns) => Arc::new(MultiCategorical::new(ns)),
        Space::MultiBinary(n) => Arc::new(Bernoulli::new(*n)),
        Space::Box(_) if config.use_sde => {
            Arc::new(Gsde::new(dim, latent, config.sde_sample_freq).squashed(squashed))
        }
        Space::Box(_) if config.log_std == LogStd::State => {
            Arc::new(StateGaussian::new(dim).squashed(squashed))
        }
        Space::Box(_) if squashed => Arc::new(FreeGaussian::new(dim).squashed(true)),
        Space::Box(_) => Arc::new(DiagGaussian { dim }),
        other => return Err(AlgoError::ActionSpace(other.to_string())),
    })
}

/// How samples become actions of a space: limited to the bounds of a box, or squashed into them.
///
/// # Errors
///
/// [`ConfigError`] where they would be squashed into a box that is open.
pub fn bounding_for(actions: &Space, config: &NetConfig) -> Result<Bounding, ConfigError> {
    let Space::Box(BoxSpace { low, high, .. }) = actions else { return Ok(Bounding::Free) };
    let bounds = low.iter().copied().zip(high.iter().copied());
    if !config.squash_output {
        return Ok(Bounding::clip(bounds));
    }
    let closed = low.iter().chain(high).all(|x| x.is_finite());
    check_setting(
        "squash_output",
        true,
        &format!("a box of actions with finite bounds, not {actions}"),
        closed,
    )?;
    Ok(Bounding::TanhRescale { bounds: bounds.collect() })
}

/// Hidden layers, all of them activated; without any, what goes in comes out.
fn body(n_inputs: usize, hidden: &[usize], config: &NetConfig) -> Result<Net, NnError> {
    if hidden.is_empty() {
        return Ok(Arc::new(Identity::new(n_inputs)?));
    }
    Ok(Arc::new(Mlp::trunk(&[&[n_inputs], hidden].concat(), config.activation)?))
}

/// Hidden layers and a linear output.
fn head(n_inputs: usize, hidden: &[usize], n_outputs: usize, config: &NetConfig) -> Result<Net, NnError> {
    Ok(Arc::new(Mlp::new(&[&[n_inputs], hidden, &[n_outputs]].concat(), config.activation)?))
}

/// Hidden layers whose features are both seen by a linear output and given out themselves: `[μ | h]`.
fn with_latent(n_inputs: usize, hidden: &[usize], dim: usize, config: &NetConfig) -> Result<Net, NnError> {
    let latent = hidden.last().copied().unwrap_or(n_inputs);
    let heads = vec![
        ("mean".to_owned(), head(latent, &[], dim, config)?),
        ("latent".to_owned(), Arc::new(Identity::new(latent)?) as Net),
    ];
    Ok(Arc::new(Fork::new(body(n_inputs, hidden, config)?, heads)?))
}

impl Design {
    fn n_params(&self) -> usize {
        let trunk = self.trunk.as_ref().map_or(0, |trunk| trunk.n_params());
        trunk + self.policy.n_params() + self.distribution.n_globals() + self.value.n_params()
    }

    /// Draws the parameters: the policy's, then the critic's.
    ///
    /// # Errors
    ///
    /// [`AlgoError::Nn`] should the networks not fit together.
    pub fn build(self, config: &NetConfig, rng: &mut dyn RngCore) -> Result<ActorCritic, AlgoError> {
        let mut theta = vec![0.0; self.n_params()];
        let mut rest = &mut theta[..];
        let mut draw = |network: &Net, output_gain: f64, n_free: usize| -> Result<(), NnError> {
            let (own, after) = std::mem::take(&mut rest).split_at_mut(network.n_params());
            let how = if config.ortho_init {
                Initialization::Orthogonal { output_gain }
            } else {
                Initialization::Uniform
            };
            network.init(own, how, rng)?;
            if config.log_std == LogStd::State && n_free == 0 && output_gain < 1.0 {
                // The biases of the log standard deviations are the last parameters of the policy's head.
                let n_log_stds = self.distribution.action_len();
                own[network.n_params() - n_log_stds..].fill(config.log_std_init as f32);
            }
            let (free, after) = after.split_at_mut(n_free);
            free.fill(config.log_std_init as f32);
            rest = after;
            Ok(())
        };
        // A trunk's layers are all hidden ones.
        self.trunk.as_ref().map_or(Ok(()), |trunk| draw(trunk, std::f64::consts::SQRT_2, 0))?;
        draw(&self.policy, 0.01, self.distribution.n_globals())?;
        draw(&self.value, 1.0, 0)?;
        let agent = match self.trunk {
            None => ActorCritic::new(PolicyModel::new(self.policy, self.distribution)?, self.value, theta)?,
            Some(trunk) => {
                let networks = SharedNetworks { trunk, policy: self.policy, value: self.value };
                ActorCritic::sharing(networks, self.distribution, theta)?
            }
        };
        Ok(agent.with_bounding(self.bounding)?)
    }
}
