//! How long and in what portions a run collects experience, and how often it is evaluated.

use rl_algo::{ConfigError, check_setting};
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
        let unit = "a number from 0 to 1";
        check_setting(
            "n_envs",
            self.n_envs,
            "an integer from 1 to 65536",
            (1..=65_536).contains(&self.n_envs),
        )?;
        check_setting("n_steps", self.n_steps, "an integer from 1 up", self.n_steps >= 1)?;
        let fits = self.rollout_len() <= 1 << 28;
        check_setting("n_steps", self.n_steps, "n_envs · n_steps at most 2^28", fits)?;
        check_setting("gamma", self.gamma, unit, (0.0..=1.0).contains(&self.gamma))?;
        check_setting("gae_lambda", self.gae_lambda, unit, (0.0..=1.0).contains(&self.gae_lambda))?;
        let total = "an integer from 1 to 10^15";
        check_setting(
            "total_steps",
            self.total_steps,
            total,
            (1..=1_000_000_000_000_000).contains(&self.total_steps),
        )
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
}

impl EvalConfig {
    /// Every tenth of the budget with 20 episodes, and at the end with 100.
    pub fn tenths(total_steps: u64) -> Self {
        EvalConfig::every((total_steps / 10).max(1))
    }

    /// Every `freq` environment steps with 20 episodes, and at the end with 100.
    pub fn every(freq: u64) -> Self {
        EvalConfig { freq, episodes: 20, final_episodes: 100 }
    }
}
