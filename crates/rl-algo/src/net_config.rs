//! The settings of the networks.

use rl_nn::Activation;
use serde::{Deserialize, Serialize};

use crate::{Bounds, Config, ConfigError, Kind, Schema, Setting};

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

const WIDTH: Kind = Kind::Integer { from: 1, to: 65_536 };
const ACTIVATIONS: &[&str] = &["tanh", "relu", "elu", "gelu", "silu", "leaky_relu"];

impl Config for NetConfig {
    fn schema() -> Schema {
        let widths = Kind::List { of: &WIDTH, at_most: 64 };
        let log_std = Kind::Real(Bounds::closed(-20.0, 2.0));
        let settings = vec![
            Setting::new("net_arch", widths, "Widths of the hidden layers, of actor and critic alike."),
            Setting::new("activation", Kind::Choice(ACTIVATIONS), "The function between layers."),
            Setting::new(
                "ortho_init",
                Kind::Bool,
                "Orthogonal initial weights; otherwise PyTorch's uniform ones.",
            ),
            Setting::new("log_std_init", log_std, "The initial log standard deviation of a Gaussian policy."),
        ];
        Schema::of(&NetConfig::default(), "Stable-Baselines3", settings)
    }
}

impl NetConfig {
    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the first that cannot be used.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check()
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
        let error = NetConfig { net_arch: vec![64, 0], ..NetConfig::default() }.validate().unwrap_err();
        assert_eq!((&*error.key, &*error.value), ("net_arch", "[64, 0]"));
    }
}
