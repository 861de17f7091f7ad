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
    /// Steps of each environment in a rollout; 0, written `none`, where it is of whole episodes.
    #[serde(with = "none_for_zero")]
    pub n_steps: usize,
    /// Whole episodes in a rollout, which is as long as they are; `None` for rollouts of `n_steps`. There is one environment then.
    pub n_episodes: Option<usize>,
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
            n_episodes: None,
            gamma: 0.99,
            gae_lambda: 0.95,
            normalize_observation: false,
            normalize_reward: false,
            total_steps: 100_000,
        }
    }
}

const COUNT_OR_NONE: Kind = Kind::OneOf(&[Kind::integer_from(1), Kind::None]);

impl Config for TrainConfig {
    fn schema() -> Schema {
        let unit = Kind::Real(Bounds::closed(0.0, 1.0));
        let settings = vec![
            Setting::new("n_envs", Kind::Integer { from: 1, to: 65_536 }, "Environments stepped together.")
                .log(),
            Setting::new(
                "n_steps",
                COUNT_OR_NONE,
                "Steps of each environment in a rollout; none where n_episodes says how many episodes it has.",
            )
            .log(),
            Setting::new(
                "n_episodes",
                COUNT_OR_NONE,
                "Whole episodes in a rollout, of one environment; none for rollouts of n_steps.",
            )
            .log()
            .from_source("ours"),
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
    /// Steps in a rollout, `n_envs · n_steps`; the most there may be, 2²⁸, where it is of whole episodes.
    pub fn rollout_len(&self) -> usize {
        match self.n_episodes {
            None => self.n_envs.saturating_mul(self.n_steps),
            Some(_) => MOST_STEPS,
        }
    }

    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for `n_envs` outside 1..=65536, `n_steps` and `n_episodes` both set or neither, `n_episodes` with several environments, `n_steps` so large that a rollout has more than 2²⁸ steps,
    /// `gamma` or `gae_lambda` outside `[0, 1]`, `total_steps` outside 1..=10¹⁵.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check()?;
        if let Some(n_episodes) = self.n_episodes {
            let allowed = "none where n_episodes says how long a rollout is";
            check_setting("n_steps", self.n_steps, allowed, self.n_steps == 0)?;
            let allowed =
                "none where n_envs is not 1: episodes of several environments end at different steps";
            return check_setting("n_episodes", n_episodes, allowed, self.n_envs == 1);
        }
        let allowed = "an integer from 1 up, or n_episodes in its place";
        check_setting("n_steps", "0 (none)", allowed, self.n_steps > 0)?;
        let fits = self.rollout_len() <= MOST_STEPS;
        check_setting("n_steps", self.n_steps, "n_envs · n_steps at most 2^28", fits)
    }
}

/// The most steps of a rollout, over all environments.
const MOST_STEPS: usize = 1 << 28;

/// A number in which 0 stands for none.
mod none_for_zero {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(n: &usize, serializer: S) -> Result<S::Ok, S::Error> {
        Some(*n).filter(|n| *n > 0).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
        Ok(Option::deserialize(deserializer)?.unwrap_or(0))
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
    /// An evaluation of 20 episodes after every tenth of the budget, and one of 100 episodes at the end.
    pub fn tenths(total_steps: u64) -> Self {
        EvalConfig::every((total_steps / 10).max(1))
    }

    /// An evaluation of 20 episodes after every `freq` environment steps, and one of 100 episodes at the end.
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

    #[test]
    fn a_rollout_is_of_steps_or_of_episodes() {
        let episodes = TrainConfig { n_steps: 0, n_episodes: Some(3), ..TrainConfig::default() };
        assert!(episodes.validate().is_ok());
        let settings = rl_algo::to_settings(&episodes);
        assert_eq!((settings["n_steps"].as_u64(), settings["n_episodes"].as_u64()), (None, Some(3)));
        assert_eq!(rl_algo::from_settings::<TrainConfig>(&settings).unwrap(), episodes);
        for (config, error) in [
            (TrainConfig { n_steps: 8, ..episodes }, "n_steps = 8: expected none where n_episodes says"),
            (TrainConfig { n_envs: 2, ..episodes }, "n_episodes = 3: expected none where n_envs is not 1"),
            (
                TrainConfig { n_episodes: None, ..episodes },
                "n_steps = 0 (none): expected an integer from 1 up, or n_episodes",
            ),
            (
                TrainConfig { n_episodes: Some(0), ..episodes },
                "n_episodes = 0: expected an integer from 1 up, or none",
            ),
        ] {
            let message = config.validate().unwrap_err().to_string();
            assert!(message.starts_with(error), "{message}");
        }
    }
}
