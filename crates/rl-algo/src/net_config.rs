//! The settings of the networks.

use std::fmt;

use rl_nn::Activation;
use serde::{Deserialize, Serialize};

use crate::{Bounds, Config, ConfigError, FeatureNetwork, Kind, Schema, Setting, check_setting, nearest};

/// The settings of the networks: their shapes, the noise of the policy, and how parameters are initialised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetConfig {
    /// Widths of the hidden layers: of actor and critic alike, or of each.
    pub net_arch: NetArch,
    /// The activation of the hidden layers.
    pub activation: Activation,
    /// Whether the hidden layers are normalised before their activation.
    pub layer_norm: bool,
    /// What comes before the hidden layers.
    pub features: Features,
    /// How many of the first layers actor and critic share; a network before the hidden layers is the first.
    pub shared_layers: usize,
    /// Orthogonal weights (gain √2, policy head 0.01, value head 1) and zero biases; otherwise PyTorch's uniform default.
    pub ortho_init: bool,
    /// The initial log standard deviation of a Gaussian policy.
    pub log_std_init: f64,
    /// Whether log standard deviations are free parameters or depend on the state.
    pub log_std: LogStd,
    /// Whether continuous actions are squashed into their bounds by tanh, instead of limited to them.
    pub squash_output: bool,
    /// Generalised state-dependent exploration: noise that is a function of the policy's last hidden layer, kept for several steps.
    pub use_sde: bool,
    /// Steps after which that noise is drawn anew; `None` for once a rollout.
    pub sde_sample_freq: Option<u64>,
}

/// Widths of hidden layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NetArch {
    /// The same for actor and critic.
    Both(Vec<usize>),
    /// Of each.
    Each(EachArch),
}

/// Widths of the hidden layers of actor and critic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EachArch {
    /// The actor's.
    pub pi: Vec<usize>,
    /// The critic's.
    pub vf: Vec<usize>,
}

impl NetArch {
    /// The actor's and the critic's widths.
    pub fn widths(&self) -> (&[usize], &[usize]) {
        match self {
            NetArch::Both(widths) => (widths, widths),
            NetArch::Each(EachArch { pi, vf }) => (pi, vf),
        }
    }
}

impl<const N: usize> From<[usize; N]> for NetArch {
    fn from(widths: [usize; N]) -> Self {
        NetArch::Both(widths.to_vec())
    }
}

impl fmt::Display for NetArch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetArch::Both(widths) => write!(f, "{widths:?}"),
            NetArch::Each(EachArch { pi, vf }) => write!(f, "{{pi: {pi:?}, vf: {vf:?}}}"),
        }
    }
}

/// Which network comes before the hidden layers. Written as a name: `"mlp"`, `"cnn"`, or that of a network of a user's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Features {
    /// Nothing: they see the elements of an observation.
    Mlp,
    /// A convolutional network: Nature's from 36 × 36 pixels on, a small one below.
    Cnn,
    /// A network of a user's own, whose outputs the hidden layers see.
    Own(FeatureNetwork),
}

/// The names of [`Features::Mlp`] and [`Features::Cnn`].
const BUILT_IN: &[&str] = &["mlp", "cnn"];

impl Features {
    /// Their name in files and on the command line.
    pub fn name(&self) -> &str {
        match self {
            Features::Mlp => BUILT_IN[0],
            Features::Cnn => BUILT_IN[1],
            Features::Own(network) => network.name(),
        }
    }

    /// The same, where they only name a network of a user's own that one of these is.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the known names, and the nearest of them, where none of them has the name.
    pub fn among(self, networks: &[FeatureNetwork]) -> Result<Self, ConfigError> {
        let Features::Own(named) = &self else { return Ok(self) };
        if let Some(network) = networks.iter().find(|network| network.name() == named.name()) {
            return Ok(Features::Own(network.clone()));
        }
        let known = || BUILT_IN.iter().copied().chain(networks.iter().map(FeatureNetwork::name));
        let hint = nearest(named.name(), known()).map(|n| format!(" (did you mean {n:?}?)"));
        let known: Vec<String> = known().map(|name| format!("{name:?}")).collect();
        Err(ConfigError {
            key: "features".to_owned(),
            value: format!("{:?}", named.name()),
            allowed: format!("one of {}{}", known.join(", "), hint.unwrap_or_default()),
        })
    }
}

impl From<String> for Features {
    fn from(name: String) -> Self {
        match name.as_str() {
            "mlp" => Features::Mlp,
            "cnn" => Features::Cnn,
            _ => Features::Own(FeatureNetwork::named(name)),
        }
    }
}

impl From<Features> for String {
    fn from(features: Features) -> Self {
        features.name().to_owned()
    }
}

/// Where the log standard deviations of a Gaussian policy come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogStd {
    /// They are free parameters, the same in every state.
    Free,
    /// From the network.
    State,
}

impl Default for NetConfig {
    /// Stable-Baselines3's `MlpPolicy`.
    fn default() -> Self {
        NetConfig {
            net_arch: NetArch::Both(vec![64, 64]),
            activation: Activation::Tanh,
            layer_norm: false,
            features: Features::Mlp,
            shared_layers: 0,
            ortho_init: true,
            log_std_init: 0.0,
            log_std: LogStd::Free,
            squash_output: false,
            use_sde: false,
            sde_sample_freq: None,
        }
    }
}

const WIDTHS: Kind = Kind::List { of: &Kind::Integer { from: 1, to: 65_536 }, at_most: 64 };
const ACTIVATIONS: &[&str] = &["tanh", "relu", "elu", "gelu", "silu", "leaky_relu"];

impl Config for NetConfig {
    fn schema() -> Schema {
        let net_arch = Kind::OneOf(&[WIDTHS, Kind::Table(&[("pi", WIDTHS), ("vf", WIDTHS)])]);
        let log_std_init = Kind::Real(Bounds::closed(-20.0, 2.0));
        const OR_NONE: Kind = Kind::OneOf(&[Kind::integer_from(1), Kind::None]);
        let settings = vec![
            Setting::new(
                "net_arch",
                net_arch,
                "Widths of the hidden layers: of actor and critic alike, or of each.",
            ),
            Setting::new("activation", Kind::Choice(ACTIVATIONS), "The function between layers."),
            Setting::new("layer_norm", Kind::Bool, "Hidden layers normalised before their activation."),
            Setting::new(
                "features",
                Kind::OneOf(&[Kind::Choice(BUILT_IN), Kind::Text]),
                "What comes before the hidden layers: nothing (mlp), a convolutional network for images (cnn), or a network of the program's own by its name.",
            ),
            Setting::new(
                "shared_layers",
                Kind::Integer { from: 0, to: 65 },
                "How many of the first layers actor and critic share; what comes before the hidden layers is the first.",
            ),
            Setting::new(
                "ortho_init",
                Kind::Bool,
                "Orthogonal initial weights; otherwise PyTorch's uniform ones.",
            ),
            Setting::new(
                "log_std_init",
                log_std_init,
                "The initial log standard deviation of a Gaussian policy.",
            ),
            Setting::new(
                "log_std",
                Kind::Choice(&["free", "state"]),
                "Whether log standard deviations are free parameters or depend on the state.",
            ),
            Setting::new(
                "squash_output",
                Kind::Bool,
                "Continuous actions squashed into their bounds by tanh, instead of limited to them.",
            ),
            Setting::new(
                "use_sde",
                Kind::Bool,
                "Generalised state-dependent exploration (gSDE): noise that is a smooth function of the state.",
            ),
            Setting::new(
                "sde_sample_freq",
                OR_NONE,
                "Steps after which that noise is drawn anew; none for once a rollout.",
            ),
        ];
        Schema::of(&NetConfig::default(), "Stable-Baselines3", settings)
    }
}

impl NetConfig {
    /// How many hidden layers actor and critic share.
    pub(crate) fn shared_hidden(&self) -> usize {
        match self.features {
            Features::Mlp => self.shared_layers,
            Features::Cnn | Features::Own(_) => self.shared_layers.saturating_sub(1),
        }
    }

    /// Checks every setting, and those that concern each other.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the first that cannot be used.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check()?;
        let ((pi, vf), k) = (self.net_arch.widths(), self.shared_hidden());
        let common = k <= pi.len() && k <= vf.len() && pi[..k] == vf[..k];
        let most = pi.iter().zip(vf).take_while(|(pi, vf)| pi == vf).count() + self.shared_layers - k;
        let allowed = format!(
            "at most {most}, as many layers as actor and critic have in common with net_arch = {}",
            self.net_arch
        );
        check_setting("shared_layers", self.shared_layers, &allowed, common)?;
        let free = !self.use_sde || self.log_std == LogStd::Free;
        check_setting("log_std", "\"state\"", "\"free\" with use_sde = true, whose noise has its own", free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_that_of_the_struct() {
        assert_eq!(NetConfig::schema().differs_from(&NetConfig::default()), None);
        for name in ACTIVATIONS {
            let activation: Activation = serde_json::from_value((*name).into()).unwrap();
            assert!(NetConfig { activation, ..NetConfig::default() }.validate().is_ok());
        }
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_key() {
        let plain = NetConfig::default;
        let each = |pi: &[usize], vf: &[usize]| NetArch::Each(EachArch { pi: pi.to_vec(), vf: vf.to_vec() });
        for (config, key) in [
            (NetConfig { net_arch: [64, 0].into(), ..plain() }, "net_arch"),
            (NetConfig { net_arch: each(&[64], &[0]), ..plain() }, "net_arch"),
            (NetConfig { shared_layers: 3, ..plain() }, "shared_layers"),
            (
                NetConfig { shared_layers: 2, net_arch: each(&[64, 32], &[64, 64]), ..plain() },
                "shared_layers",
            ),
            (NetConfig { log_std_init: 2.5, ..plain() }, "log_std_init"),
            (NetConfig { use_sde: true, log_std: LogStd::State, ..plain() }, "log_std"),
            (NetConfig { sde_sample_freq: Some(0), ..plain() }, "sde_sample_freq"),
        ] {
            assert_eq!(config.validate().unwrap_err().key, key, "{config:?}");
        }
        let shared = NetConfig { shared_layers: 1, net_arch: each(&[64, 32], &[64]), ..plain() };
        assert!(shared.validate().is_ok());
    }
}
