//! The settings of the networks.

use rl_nn::Activation;
use serde::{Deserialize, Serialize};

use crate::{ConfigError, check_setting};

/// The shape of the networks and their initialisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetConfig {
    /// Widths of the hidden layers, of actor and critic alike.
    pub net_arch: Vec<usize>,
    /// The activation of the hidden layers.
    pub activation: Activation,
    /// Orthogonal weights (gain √2, policy head 0.01, value head 1) and zero biases; otherwise PyTorch's uniform default.
    pub ortho_init: bool,
    /// The initial log standard deviation of a Gaussian policy.
    pub log_std_init: f64,
}

impl Default for NetConfig {
    /// Stable-Baselines3's `MlpPolicy`.
    fn default() -> Self {
        NetConfig {
            net_arch: vec![64, 64],
            activation: Activation::Tanh,
            ortho_init: true,
            log_std_init: 0.0,
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
        let widths = format!("{:?}", self.net_arch);
        let sane = self.net_arch.iter().all(|w| (1..=65_536).contains(w)) && self.net_arch.len() <= 64;
        check_setting("net_arch", widths, "at most 64 widths from 1 to 65536", sane)?;
        check_setting(
            "log_std_init",
            self.log_std_init,
            "a number from -20 to 2",
            (-20.0..=2.0).contains(&self.log_std_init),
        )
    }
}
