//! Which networks and which distribution an agent for an environment's spaces has.

use std::sync::Arc;

use rand::RngCore;
use rl_env::{BoxSpace, Space};
use rl_nn::distribution::{
    Bernoulli, Categorical, DiagGaussian, FreeGaussian, Gsde, MultiCategorical, StateGaussian,
};
use rl_nn::{
    Bounding, Chain, Cnn, CnnSpec, Distribution, Fork, Identity, Initialization, LayerNorm, Mlp, Network,
    NnError, PolicyModel,
};

use crate::actor_critic::SharedNetworks;
use crate::{ActorCritic, AlgoError, ConfigError, Features, LogStd, NetConfig, check_setting};

/// The most parameters that actor and critic may have together: 1 GiB of `f32`, and twice as much for their optimiser.
const MAX_PARAMS: usize = 1 << 28;

type Net = Arc<dyn Network<f32>>;

/// The networks for an environment, designed but not yet given parameters.
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
    let k = config.shared_hidden();
    let (shared, pi, vf) = (&pi[..k], &pi[k..], &vf[k..]);
    let before = match &config.features {
        Features::Mlp => None,
        Features::Cnn => Some(cnn(observations)?),
        Features::Own(own) => Some(own.for_observations(observations)?),
    };
    let n_seen = before.as_ref().map_or(observations.flat_len(), |before| before.n_outputs());
    let n_features = shared.last().copied().unwrap_or(n_seen);
    let distribution = distribution_for(actions, config, pi.last().copied().unwrap_or(n_features))?;
    let policy = if config.use_sde {
        with_latent(n_features, pi, distribution.action_len(), config)?
    } else {
        head(n_features, pi, distribution.n_outputs(), config)?
    };
    let value = head(n_features, vf, 1, config)?;
    let (trunk, policy, value) = match (before, config.shared_layers) {
        (None, 0) => (None, policy, value),
        (Some(before), 0) => (None, after(before.clone(), policy)?, after(before, value)?),
        (None, _) => (Some(body(n_seen, shared, config)?), policy, value),
        (Some(before), 1) => (Some(before), policy, value),
        (Some(before), _) => (Some(after(before, body(n_seen, shared, config)?)?), policy, value),
    };
    let design = Design { trunk, policy, value, distribution, bounding: bounding_for(actions, config)? };
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
    layers(&[&[n_inputs], hidden].concat(), true, config)
}

/// Hidden layers and a linear output.
fn head(n_inputs: usize, hidden: &[usize], n_outputs: usize, config: &NetConfig) -> Result<Net, NnError> {
    layers(&[&[n_inputs], hidden, &[n_outputs]].concat(), false, config)
}

fn layers(sizes: &[usize], activated_output: bool, config: &NetConfig) -> Result<Net, NnError> {
    Ok(match (config.layer_norm, activated_output) {
        (true, _) => Arc::new(LayerNorm::mlp(sizes, config.activation, activated_output)?),
        (false, true) => Arc::new(Mlp::trunk(sizes, config.activation)?),
        (false, false) => Arc::new(Mlp::new(sizes, config.activation)?),
    })
}

/// A network behind the one that comes before the hidden layers.
fn after(before: Net, network: Net) -> Result<Net, NnError> {
    Ok(Arc::new(Chain::new(vec![("features".to_owned(), before), ("layers".to_owned(), network)])?))
}

/// The convolutional network for images of a box. Bytes (from 0 to 255) are scaled to 1, as Stable-Baselines3 does.
fn cnn(observations: &Space) -> Result<Net, AlgoError> {
    let refused = |why: String| ConfigError {
        key: "features".to_owned(),
        value: "\"cnn\"".to_owned(),
        allowed: format!("\"mlp\", for {why}; the observations are {observations}"),
    };
    let Space::Box(BoxSpace { shape, low, high }) = observations else {
        return Err(refused("a convolutional network sees images in a Box".into()).into());
    };
    let [channels, height, width] = shape[..] else {
        return Err(refused("a convolutional network sees images [channels, height, width]".into()).into());
    };
    let image = [channels, height, width];
    let spec = if height.min(width) >= 36 { CnnSpec::nature(image) } else { CnnSpec::small(image) };
    let is = |x: f32, bound: f32| (x - bound).abs() < f32::EPSILON;
    let of_bytes = low.iter().all(|x| is(*x, 0.0)) && high.iter().all(|x| is(*x, 255.0));
    let cnn = Cnn::new(&CnnSpec { scale: of_bytes.then_some(1.0 / 255.0), ..spec });
    Ok(Arc::new(cnn.map_err(|e| refused(format!("these images, channels first, are too small ({e})")))?))
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

    /// Whether actor and critic share a trunk.
    pub fn shares_trunk(&self) -> bool {
        self.trunk.is_some()
    }

    /// The policy as a function of its parameters, those of a shared trunk among them.
    ///
    /// # Errors
    ///
    /// [`AlgoError::Nn`] should the networks not fit together.
    pub fn policy_model(&self) -> Result<PolicyModel<f32>, AlgoError> {
        let network = match &self.trunk {
            None => self.policy.clone(),
            Some(trunk) => Arc::new(Chain::new(vec![
                ("trunk".to_owned(), trunk.clone()),
                ("policy".to_owned(), self.policy.clone()),
            ])?),
        };
        Ok(PolicyModel::new(network, self.distribution.clone())?.with_bounding(self.bounding.clone())?)
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
