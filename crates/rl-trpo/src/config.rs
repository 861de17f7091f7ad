//! TRPO's settings.

use rl_algo::{Bounds, Config, ConfigError, Kind, Schema, Setting};
use rl_optim::{CgParams, LineSearchParams, Schedule};
use serde::{Deserialize, Serialize};

/// How the KL divergence of a multi-dimensional action becomes one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KlReduction {
    /// The sum over action dimensions: the divergence of the joint distribution.
    Sum,
    /// Its mean over action dimensions, as sb3-contrib computes it for Gaussians: `max_kl` and `cg_damping` then count `d` times.
    MeanPerDim,
}

/// TRPO's settings; the defaults are sb3-contrib's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrpoConfig {
    /// δ, the trust region: the largest mean KL(old‖new) of a step, in nats.
    pub max_kl: f64,
    /// The most iterations of conjugate gradient.
    pub cg_iters: usize,
    /// λ of `F + λI`.
    pub cg_damping: f64,
    /// Each trial of the line search is this fraction of the one before.
    pub backtrack_coeff: f64,
    /// The most trials, the full step included.
    pub backtrack_iters: usize,
    /// The share of the linear model's promise that a step must keep; 0 takes any improvement.
    pub accept_ratio: f64,
    /// Passes of the critic over the batch.
    pub n_critic_updates: usize,
    /// Rows of a step of the critic.
    pub batch_size: usize,
    /// The critic's learning rate (Adam).
    pub learning_rate: Schedule,
    /// Whether advantages are normalised over the batch.
    pub normalize_advantage: bool,
    /// How the divergence of a multi-dimensional action becomes one number.
    pub kl_reduction: KlReduction,
}

impl Default for TrpoConfig {
    fn default() -> Self {
        TrpoConfig {
            max_kl: 0.01,
            cg_iters: 15,
            cg_damping: 0.1,
            backtrack_coeff: 0.8,
            backtrack_iters: 10,
            accept_ratio: 0.0,
            n_critic_updates: 10,
            batch_size: 128,
            learning_rate: Schedule::Constant(1e-3),
            normalize_advantage: true,
            kl_reduction: KlReduction::Sum,
        }
    }
}

impl Config for TrpoConfig {
    fn schema() -> Schema {
        let positive = Kind::Real(Bounds::POSITIVE);
        let count = Kind::integer_from(1);
        let settings = vec![
            Setting::new("max_kl", positive, "The trust region: the largest mean KL of a step, in nats.")
                .log(),
            Setting::new("cg_iters", count, "The most iterations of conjugate gradient."),
            Setting::new(
                "cg_damping",
                Kind::Real(Bounds::NON_NEGATIVE),
                "What is added to the Fisher matrix's diagonal.",
            )
            .log(),
            Setting::new(
                "backtrack_coeff",
                Kind::Real(Bounds::open(0.0, 1.0)),
                "Each trial of the line search is this fraction of the one before.",
            ),
            Setting::new("backtrack_iters", count, "The most trials, the full step included."),
            Setting::new(
                "accept_ratio",
                Kind::Real(Bounds::from_below(0.0, 1.0)),
                "The share of the linear model's promise that a step must keep.",
            ),
            Setting::new(
                "n_critic_updates",
                Kind::integer_from(0),
                "Passes of the critic over the batch in an update.",
            ),
            Setting::new("batch_size", count, "Rows of a step of the critic.").log(),
            Setting::new(
                "learning_rate",
                Kind::Schedule(Bounds::POSITIVE),
                "The learning rate of the critic's Adam.",
            )
            .log(),
            Setting::new("normalize_advantage", Kind::Bool, "Whether each batch normalises its advantages."),
            Setting::new(
                "kl_reduction",
                Kind::Choice(&["sum", "mean_per_dim"]),
                "How the KL of a multi-dimensional action becomes one number.",
            )
            .from_source("Schulman et al. 2015"),
        ];
        Schema::of(&TrpoConfig::default(), "sb3-contrib", settings)
    }
}

impl TrpoConfig {
    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the first that cannot be used.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check()
    }

    /// The settings of conjugate gradient.
    pub fn cg(&self) -> CgParams {
        CgParams { max_iters: self.cg_iters, ..CgParams::default() }
    }

    /// The settings of the line search.
    pub fn line_search(&self) -> LineSearchParams {
        LineSearchParams {
            max_kl: self.max_kl,
            backtrack_coeff: self.backtrack_coeff,
            backtrack_iters: self.backtrack_iters,
            accept_ratio: self.accept_ratio,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_that_of_the_struct() {
        assert_eq!(TrpoConfig::schema().differs_from(&TrpoConfig::default()), None);
        let reduced = TrpoConfig { kl_reduction: KlReduction::MeanPerDim, ..TrpoConfig::default() };
        assert!(reduced.validate().is_ok());
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let valid = TrpoConfig::default;
        for (key, config) in [
            ("max_kl", TrpoConfig { max_kl: 0.0, ..valid() }),
            ("cg_iters", TrpoConfig { cg_iters: 0, ..valid() }),
            ("cg_damping", TrpoConfig { cg_damping: -1.0, ..valid() }),
            ("backtrack_coeff", TrpoConfig { backtrack_coeff: 1.0, ..valid() }),
            ("backtrack_iters", TrpoConfig { backtrack_iters: 0, ..valid() }),
            ("accept_ratio", TrpoConfig { accept_ratio: 1.0, ..valid() }),
            ("batch_size", TrpoConfig { batch_size: 0, ..valid() }),
            ("learning_rate", TrpoConfig { learning_rate: Schedule::Linear(f64::NAN), ..valid() }),
        ] {
            assert_eq!(config.validate().unwrap_err().key, key);
        }
        let least = TrpoConfig { cg_damping: 0.0, accept_ratio: 0.0, n_critic_updates: 0, ..valid() };
        assert!(least.validate().is_ok());
    }
}
