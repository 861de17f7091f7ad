//! PPO's settings.

use rl_algo::{Bounds, Config, ConfigError, Kind, Schema, Setting, check_setting};
use rl_optim::Schedule;
use serde::{Deserialize, Serialize};

use crate::LossConfig;

/// PPO's settings; names and defaults are Stable-Baselines3's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PpoConfig {
    /// Adam's learning rate.
    pub learning_rate: Schedule,
    /// Rows of a minibatch.
    pub batch_size: usize,
    /// Passes over the rollout.
    pub n_epochs: usize,
    /// ε, how far the ratio may move before its gradient is cut.
    pub clip_range: Schedule,
    /// How far the value may move from the old one before its gradient is cut; `None` for no limit.
    pub clip_range_vf: Option<Schedule>,
    /// Weight of the entropy bonus.
    pub ent_coef: f64,
    /// Weight of the value loss.
    pub vf_coef: f64,
    /// The global gradient norm is clipped to this.
    pub max_grad_norm: f64,
    /// An update stops when the estimated KL of a minibatch exceeds 1.5 times this; `None` for never.
    pub target_kl: Option<f64>,
    /// Whether advantages are normalised, per minibatch.
    pub normalize_advantage: bool,
}

impl Default for PpoConfig {
    fn default() -> Self {
        PpoConfig {
            learning_rate: Schedule::Constant(3e-4),
            batch_size: 64,
            n_epochs: 10,
            clip_range: Schedule::Constant(0.2),
            clip_range_vf: None,
            ent_coef: 0.0,
            vf_coef: 0.5,
            max_grad_norm: 0.5,
            target_kl: None,
            normalize_advantage: true,
        }
    }
}

impl Config for PpoConfig {
    fn schema() -> Schema {
        let schedule = Kind::Schedule(Bounds::POSITIVE);
        let schedule_or_none = Kind::OneOf(&[Kind::Schedule(Bounds::POSITIVE), Kind::None]);
        let (weight, positive) = (Kind::Real(Bounds::NON_NEGATIVE), Kind::Real(Bounds::POSITIVE));
        let positive_or_none = Kind::OneOf(&[Kind::Real(Bounds::POSITIVE), Kind::None]);
        let count = Kind::integer_from(1);
        let settings = vec![
            Setting::new("learning_rate", schedule, "Adam's learning rate.").log(),
            Setting::new("batch_size", count, "Rows of a minibatch.").log(),
            Setting::new("n_epochs", count, "Passes over the rollout.").log(),
            Setting::new(
                "clip_range",
                schedule,
                "How far the probability ratio may move from 1 before its gradient is cut.",
            )
            .log(),
            Setting::new(
                "clip_range_vf",
                schedule_or_none,
                "How far the value may move from the old one before its gradient is cut.",
            )
            .log(),
            Setting::new("ent_coef", weight, "Weight of the entropy bonus.").log(),
            Setting::new("vf_coef", weight, "Weight of the value loss."),
            Setting::new("max_grad_norm", positive, "The global gradient norm is clipped to this.").log(),
            Setting::new(
                "target_kl",
                positive_or_none,
                "An update stops when the estimated KL of a minibatch exceeds 1.5 times this.",
            )
            .log(),
            Setting::new(
                "normalize_advantage",
                Kind::Bool,
                "Whether each minibatch normalises its advantages.",
            ),
        ];
        Schema::of(&PpoConfig::default(), "Stable-Baselines3", settings)
    }
}

impl PpoConfig {
    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the first that cannot be used.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check()?;
        // Settings hold no NaN: it would pass for none.
        let clip_range_vf = self.clip_range_vf.as_ref().map_or(1.0, Schedule::initial);
        check_setting(
            "clip_range_vf",
            clip_range_vf,
            "a positive number, or none",
            clip_range_vf.is_finite(),
        )?;
        let target_kl = self.target_kl.unwrap_or(1.0);
        check_setting("target_kl", target_kl, "a positive number, or none", target_kl.is_finite())
    }

    /// The settings of the loss where `progress_remaining` is left.
    pub fn loss(&self, progress_remaining: f64) -> LossConfig {
        LossConfig {
            clip_range: self.clip_range.at(progress_remaining),
            clip_range_vf: self.clip_range_vf.as_ref().map(|clip| clip.at(progress_remaining)),
            ent_coef: self.ent_coef,
            vf_coef: self.vf_coef,
            normalize_advantage: self.normalize_advantage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_that_of_the_struct() {
        assert_eq!(PpoConfig::schema().differs_from(&PpoConfig::default()), None);
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let valid = PpoConfig::default;
        let nan = f64::NAN;
        for (key, config) in [
            ("learning_rate", PpoConfig { learning_rate: Schedule::Constant(nan), ..valid() }),
            ("learning_rate", PpoConfig { learning_rate: Schedule::Linear(f64::INFINITY), ..valid() }),
            ("batch_size", PpoConfig { batch_size: 0, ..valid() }),
            ("n_epochs", PpoConfig { n_epochs: 0, ..valid() }),
            ("clip_range", PpoConfig { clip_range: Schedule::Constant(0.0), ..valid() }),
            ("clip_range_vf", PpoConfig { clip_range_vf: Some(Schedule::Constant(nan)), ..valid() }),
            ("clip_range_vf", PpoConfig { clip_range_vf: Some(Schedule::Constant(-1.0)), ..valid() }),
            ("ent_coef", PpoConfig { ent_coef: -0.1, ..valid() }),
            ("vf_coef", PpoConfig { vf_coef: nan, ..valid() }),
            ("max_grad_norm", PpoConfig { max_grad_norm: 0.0, ..valid() }),
            ("target_kl", PpoConfig { target_kl: Some(nan), ..valid() }),
            ("target_kl", PpoConfig { target_kl: Some(0.0), ..valid() }),
        ] {
            assert_eq!(config.validate().unwrap_err().key, key);
        }
        assert!(PpoConfig { target_kl: Some(0.02), ent_coef: 0.0, ..valid() }.validate().is_ok());
    }
}
