//! How long and in what portions a run collects experience, and how often it is evaluated.

use rl_algo::{Bounds, Config, ConfigError, Kind, Schema, Setting, check_setting};
use serde::{Deserialize, Serialize};

/// The settings of the training loop, whatever the algorithm.
///
/// ```
/// use rl_train::TrainConfig;
/// assert!(TrainConfig::default().validate().is_ok());
/// let error = TrainConfig { gamma: 1.5, ..TrainConfig::default() }.validate().unwrap_err();
/// assert_eq!(error.to_string(), "gamma = 1.5: expected a number from 0 to 1");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Environments stepped together.
    pub n_envs: usize,
    /// Steps of each environment in a rollout.
    pub n_steps: usize,
    /// The discount factor γ.
    pub gamma: f64,
    /// The decay λ of generalised advantage estimation.
    pub gae_lambda: f64,
    /// Whether the agent sees observations normalised by their running mean and variance, clipped at ±10.
    pub normalize_observation: bool,
    /// Whether it learns from rewards divided by the running standard deviation of the discounted return (γ is `gamma`), clipped at ±10;
    /// returns are reported from raw rewards.
    pub normalize_reward: bool,
    /// Environment steps of the whole run, over all environments; the rollout in progress is finished.
    pub total_steps: u64,
}

impl Default for TrainConfig {
    /// Stable-Baselines3's defaults of PPO and TRPO, and the budget of its documentation's examples on small tasks.
    fn default() -> Self {
        TrainConfig {
            n_envs: 1,
            n_steps: 2048,
            gamma: 0.99,
            gae_lambda: 0.95,
            normalize_observation: false,
            normalize_reward: false,
            total_steps: 100_000,
        }
    }
}

impl Config for TrainConfig {
    fn schema() -> Schema {
        let unit = Kind::Real(Bounds::closed(0.0, 1.0));
        let settings = vec![
            Setting::new("n_envs", Kind::Integer { from: 1, to: 65_536 }, "Environments stepped together.")
                .log(),
            Setting::new("n_steps", Kind::integer_from(1), "Steps of each environment in a rollout.").log(),
            Setting::new("gamma", unit, "The discount factor."),
            Setting::new("gae_lambda", unit, "The decay of generalised advantage estimation."),
            Setting::new(
                "normalize_observation",
                Kind::Bool,
                "Whether observations are normalised by their running mean and variance.",
            ),
            Setting::new(
                "normalize_reward",
                Kind::Bool,
                "Whether rewards are divided by the running standard deviation of the discounted return.",
            ),
            Setting::new(
                "total_steps",
                Kind::Integer { from: 1, to: 1_000_000_000_000_000 },
                "Environment steps of the run, over all environments.",
            )
            .log()
            .from_source("Stable-Baselines3's examples"),
        ];
        Schema::of(&TrainConfig::default(), "Stable-Baselines3", settings)
    }
}

impl TrainConfig {
    /// Steps in a rollout, `n_envs · n_steps`.
    pub fn rollout_len(&self) -> usize {
        self.n_envs.saturating_mul(self.n_steps)
    }

    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for `n_envs` outside 1..=65536, `n_steps` 0 or so large that a rollout has more than 2²⁸ steps,
    /// `gamma` or `gae_lambda` outside `[0, 1]`, `total_steps` outside 1..=10¹⁵.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check()?;
        let fits = self.rollout_len() <= 1 << 28;
        check_setting("n_steps", self.n_steps, "n_envs · n_steps at most 2^28", fits)
    }
}

/// When and how thoroughly the policy is evaluated during a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvalConfig {
    /// Environment steps between evaluations, from 1 up.
    pub freq: u64,
    /// Episodes of an evaluation.
    pub episodes: usize,
    /// Episodes of the evaluation at the end.
    pub final_episodes: usize,
    /// Steps after which an episode is left and counts as it stands, so that one without an end does not keep the run waiting for ever.
    pub max_steps: u64,
}

/// What [`EvalConfig::max_steps`] is unless somebody says otherwise.
pub(crate) const MAX_EVAL_STEPS: u64 = 100_000;

impl EvalConfig {
    /// Every tenth of the budget with 20 episodes, and at the end with 100.
    pub fn tenths(total_steps: u64) -> Self {
        EvalConfig::every((total_steps / 10).max(1))
    }

    /// Every `freq` environment steps with 20 episodes, and at the end with 100.
    pub fn every(freq: u64) -> Self {
        EvalConfig { freq, episodes: 20, final_episodes: 100, max_steps: MAX_EVAL_STEPS }
    }

    /// Checks every number.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a 0: to evaluate never is to train without [`Trainer::with_evaluation`](crate::Trainer::with_evaluation).
    pub fn validate(&self) -> Result<(), ConfigError> {
        let EvalConfig { freq, episodes, final_episodes, max_steps } = *self;
        let numbers = [
            ("eval freq", freq),
            ("eval episodes", episodes as u64),
            ("eval final_episodes", final_episodes as u64),
            ("eval max_steps", max_steps),
        ];
        numbers.into_iter().try_for_each(|(key, n)| check_setting(key, n, "a whole number from 1 up", n > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_that_of_the_struct() {
        assert_eq!(TrainConfig::schema().differs_from(&TrainConfig::default()), None);
        let large = TrainConfig { n_envs: 1 << 16, n_steps: 1 << 13, ..TrainConfig::default() };
        assert_eq!(large.validate().unwrap_err().key, "n_steps");
    }
}
