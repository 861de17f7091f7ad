//! PPO's settings.

use rl_algo::{ConfigError, check_setting};
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

impl PpoConfig {
    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the first that cannot be used.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let positive = |key: &str, value: f64, shown: String| {
            check_setting(key, shown, "a positive number", value > 0.0 && value.is_finite())
        };
        let weight = |key: &str, value: f64| {
            check_setting(key, value, "a number of at least 0", value >= 0.0 && value.is_finite())
        };
        let (rate, clip) = (self.learning_rate, self.clip_range);
        positive("learning_rate", rate.initial(), rate.to_string())?;
        check_setting("batch_size", self.batch_size, "at least 1", self.batch_size >= 1)?;
        check_setting("n_epochs", self.n_epochs, "at least 1", self.n_epochs >= 1)?;
        positive("clip_range", clip.initial(), clip.to_string())?;
        if let Some(clip) = self.clip_range_vf {
            positive("clip_range_vf", clip.initial(), clip.to_string())?;
        }
        weight("ent_coef", self.ent_coef)?;
        weight("vf_coef", self.vf_coef)?;
        positive("max_grad_norm", self.max_grad_norm, self.max_grad_norm.to_string())?;
        self.target_kl.map_or(Ok(()), |kl| positive("target_kl", kl, kl.to_string()))
    }

    /// The settings of the loss where `progress_remaining` is left.
    pub fn loss(&self, progress_remaining: f64) -> LossConfig {
        LossConfig {
            clip_range: self.clip_range.at(progress_remaining),
            clip_range_vf: self.clip_range_vf.map(|clip| clip.at(progress_remaining)),
            ent_coef: self.ent_coef,
            vf_coef: self.vf_coef,
            normalize_advantage: self.normalize_advantage,
        }
    }
}
