//! The settings of the networks.

use std::fmt;

use rl_nn::Activation;
use serde::{Deserialize, Serialize};

use crate::{ConfigError, check_setting};

/// The networks: their shapes, what the policy's noise is like, and how they are initialised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetConfig {
    /// Widths of the hidden layers: of actor and critic alike, or of each.
    pub net_arch: NetArch,
    /// The activation of the hidden layers.
    pub activation: Activation,
    /// How many of the first hidden layers actor and critic share.
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

impl NetConfig {
    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the first that cannot be used.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let (pi, vf) = self.net_arch.widths();
        let sane = |widths: &[usize]| widths.iter().all(|w| (1..=65_536).contains(w)) && widths.len() <= 64;
        check_setting("net_arch", &self.net_arch, "at most 64 widths from 1 to 65536", sane(pi) && sane(vf))?;
        let k = self.shared_layers;
        let common = k <= pi.len() && k <= vf.len() && pi[..k] == vf[..k];
        let allowed = format!(
            "at most as many layers as actor and critic have in common, with net_arch = {}",
            self.net_arch
        );
        check_setting("shared_layers", k, &allowed, common)?;
        check_setting(
            "log_std_init",
            self.log_std_init,
            "a number from -20 to 2",
            (-20.0..=2.0).contains(&self.log_std_init),
        )?;
        let free = !self.use_sde || self.log_std == LogStd::Free;
        check_setting("log_std", "\"state\"", "\"free\" with use_sde = true, whose noise has its own", free)?;
        let freq = self.sde_sample_freq;
        let freq_holds = freq.is_none_or(|freq| freq >= 1);
        check_setting(
            "sde_sample_freq",
            freq.unwrap_or_default(),
            "an integer from 1 up, or none",
            freq_holds,
        )
    }
}
