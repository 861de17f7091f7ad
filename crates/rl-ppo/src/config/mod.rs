//! PPO's settings.

mod schema;

use rl_algo::{Config, ConfigError, Setup, check_setting};
use rl_optim::{AdamParams, Schedule};
use serde::{Deserialize, Serialize};

use crate::adapt;
use crate::learner::GradClip;
use crate::objective::{Clip, Objective};
use crate::{KlEstimator, LossConfig, ValueClip};

/// PPO's settings; names and defaults are Stable-Baselines3's where it has them. `ppo-kl` has the same with other defaults
/// ([`PpoConfig::kl_penalty`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PpoConfig {
    /// Adam's learning rate.
    pub learning_rate: Schedule,
    /// Rows of a minibatch.
    pub batch_size: usize,
    /// Passes over the rollout.
    pub n_epochs: usize,
    /// ε, how far the ratio may move before its gradient is cut; `None` for no limit.
    pub clip_range: Option<Schedule>,
    /// ε′, the same upwards where it differs from downwards.
    pub clip_range_high: Option<Schedule>,
    /// c, beyond which multiple a bad action's ratio counts no further; `None` for no limit.
    pub dual_clip: Option<f64>,
    /// β, the weight of KL(old‖new) in the loss, at first; `None` for no such term.
    pub kl_coef: Option<f64>,
    /// The divergence of an update that β is doubled and halved around; `None` for a fixed β.
    pub kl_target: Option<f64>,
    /// How far the value may move from the old one before its gradient is cut; `None` for no limit.
    pub clip_range_vf: Option<Schedule>,
    /// Which loss a clipped value has.
    pub vf_clip: VfClip,
    /// Weight of the entropy bonus.
    pub ent_coef: Schedule,
    /// Weight of the value loss.
    pub vf_coef: f64,
    /// The gradient's norm is clipped to this; `None` for no limit.
    pub max_grad_norm: Option<f64>,
    /// Whether actor and critic are clipped each by its own norm, rather than by that of both.
    pub max_grad_norm_each: bool,
    /// An update stops when the divergence of a minibatch exceeds 1.5 times this; `None` for never.
    pub target_kl: Option<f64>,
    /// How that divergence is measured.
    pub kl_estimator: KlEstimator,
    /// The divergence of a minibatch that the learning rate is adapted to; `None` for a learning rate of its own.
    pub desired_kl: Option<f64>,
    /// Whether advantages are normalised, and over what.
    pub normalize_advantage: NormalizeAdvantage,
    /// Whether every epoch begins with advantages and returns of the critic as it is by then.
    pub recompute_advantage: bool,
    /// Adam's β₁.
    pub adam_beta1: f64,
    /// Adam's β₂.
    pub adam_beta2: f64,
    /// Adam's ε.
    pub adam_eps: f64,
    /// AdamW's decoupled weight decay; 0 for Adam.
    pub weight_decay: f64,
}

/// Which loss a clipped value has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VfClip {
    /// The larger of the clipped and the unclipped squared error: OpenAI's baselines, CleanRL.
    Max,
    /// The clipped one alone: Stable-Baselines3.
    Clipped,
}

/// Over what advantages are normalised; written `true`, `"batch"` and `false`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum NormalizeAdvantage {
    /// Every minibatch its own.
    Minibatch,
    /// Once, over the whole batch.
    Batch,
    /// Not at all.
    Off,
}

/// A normalisation as files have it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Whether(bool),
    Over(Whole),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Whole {
    Batch,
}

impl From<Written> for NormalizeAdvantage {
    fn from(written: Written) -> Self {
        match written {
            Written::Whether(true) => NormalizeAdvantage::Minibatch,
            Written::Whether(false) => NormalizeAdvantage::Off,
            Written::Over(Whole::Batch) => NormalizeAdvantage::Batch,
        }
    }
}

impl From<NormalizeAdvantage> for Written {
    fn from(normalize: NormalizeAdvantage) -> Self {
        match normalize {
            NormalizeAdvantage::Minibatch => Written::Whether(true),
            NormalizeAdvantage::Batch => Written::Over(Whole::Batch),
            NormalizeAdvantage::Off => Written::Whether(false),
        }
    }
}

impl Default for PpoConfig {
    fn default() -> Self {
        PpoConfig {
            learning_rate: Schedule::Constant(3e-4),
            batch_size: 64,
            n_epochs: 10,
            clip_range: Some(Schedule::Constant(0.2)),
            clip_range_high: None,
            dual_clip: None,
            kl_coef: None,
            kl_target: None,
            clip_range_vf: None,
            vf_clip: VfClip::Max,
            ent_coef: Schedule::Constant(0.0),
            vf_coef: 0.5,
            max_grad_norm: Some(0.5),
            max_grad_norm_each: false,
            target_kl: None,
            kl_estimator: KlEstimator::K3,
            desired_kl: None,
            normalize_advantage: NormalizeAdvantage::Minibatch,
            recompute_advantage: false,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_eps: 1e-5,
            weight_decay: 0.0,
        }
    }
}

impl PpoConfig {
    /// PPO with an adaptive penalty instead of clipping: the defaults of `ppo-kl`.
    ///
    /// # Source
    ///
    /// Schulman et al. (2017), section 4 and table 1: β is 1 at first, and the middle one of the targets tried.
    pub fn kl_penalty() -> Self {
        PpoConfig { clip_range: None, kl_coef: Some(1.0), kl_target: Some(0.01), ..PpoConfig::default() }
    }

    /// Checks every setting, and those together that concern each other.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the first that cannot be used.
    pub fn validate(&self) -> Result<(), ConfigError> {
        // Settings take a NaN for none.
        for (key, value) in [
            ("dual_clip", self.dual_clip),
            ("kl_coef", self.kl_coef),
            ("kl_target", self.kl_target),
            ("max_grad_norm", self.max_grad_norm),
            ("target_kl", self.target_kl),
            ("desired_kl", self.desired_kl),
        ] {
            let value = value.unwrap_or(1.0);
            check_setting(key, value, "a number, or none", value.is_finite())?;
        }
        self.check()?;
        self.check_together()
    }

    fn check_together(&self) -> Result<(), ConfigError> {
        let clips = self.clip_range.is_some();
        let high = self.clip_range_high.as_ref().map_or(String::new(), ToString::to_string);
        let needs_clip = "none, as there is no clip_range";
        check_setting("clip_range_high", high, needs_clip, clips || self.clip_range_high.is_none())?;
        let dual = self.dual_clip.unwrap_or(0.0);
        check_setting("dual_clip", dual, needs_clip, clips || self.dual_clip.is_none())?;
        let target = self.kl_target.unwrap_or(0.0);
        let allowed = "none, as there is no kl_coef to adapt";
        check_setting("kl_target", target, allowed, self.kl_coef.is_some() || self.kl_target.is_none())?;
        let allowed = "a number, from which desired_kl adapts it";
        let holds = self.desired_kl.is_none() || self.learning_rate.constant().is_some();
        check_setting("learning_rate", &self.learning_rate, allowed, holds)?;
        self.check_idle()
    }

    /// Refuses what somebody set and nothing would read.
    fn check_idle(&self) -> Result<(), ConfigError> {
        let holds = !self.max_grad_norm_each || self.max_grad_norm.is_some();
        check_setting("max_grad_norm_each", true, "false, as there is no max_grad_norm to clip to", holds)?;
        let holds = self.vf_clip == VfClip::Max || self.clip_range_vf.is_some();
        check_setting("vf_clip", "clipped", "max, the default, as there is no clip_range_vf", holds)?;
        let holds = self.kl_estimator == KlEstimator::K3 || self.target_kl.is_some();
        let allowed = "k3, the default, as there is no target_kl to compare with";
        let estimator = if self.kl_estimator == KlEstimator::K1 { "k1" } else { "exact" };
        check_setting("kl_estimator", estimator, allowed, holds)?;
        let allowed = "false, as with n_epochs = 1 no second epoch begins with other advantages";
        check_setting("recompute_advantage", true, allowed, !self.recompute_advantage || self.n_epochs > 1)
    }

    /// The settings of the loss where `progress_remaining` is left, with β as [`kl_coef`](Self::kl_coef) begins.
    pub fn loss(&self, progress_remaining: f64) -> LossConfig {
        let at = |schedule: &Schedule| schedule.at(progress_remaining);
        let objective = match self.clip_range.as_ref().map(at) {
            Some(low) => {
                let high = self.clip_range_high.as_ref().map_or(low, at);
                Objective::Clipped(Clip { low, high, dual: self.dual_clip })
            }
            None => Objective::Ratio,
        };
        let value_clip = match self.vf_clip {
            VfClip::Max => ValueClip::Max,
            VfClip::Clipped => ValueClip::Clipped,
        };
        LossConfig {
            objective,
            kl_coef: self.kl_coef.unwrap_or(0.0),
            ent_coef: at(&self.ent_coef),
            vf_coef: self.vf_coef,
            value_clip: self.clip_range_vf.as_ref().map(at).map(value_clip),
            normalize_advantage: self.normalize_advantage == NormalizeAdvantage::Minibatch,
            kl_estimator: self.kl_estimator,
            exact_kl: self.desired_kl.is_some(),
        }
    }

    /// The optimiser's constants.
    pub fn adam(&self) -> AdamParams {
        AdamParams {
            beta1: self.adam_beta1,
            beta2: self.adam_beta2,
            eps: self.adam_eps,
            weight_decay: self.weight_decay,
            ..AdamParams::default()
        }
    }

    /// Checks what concerns the rollouts and the agent's networks.
    pub(crate) fn check_setup(&self, setup: &Setup) -> Result<(), ConfigError> {
        let allowed = format!("at most n_steps · n_envs = {}", setup.rollout_len);
        check_setting("batch_size", self.batch_size, &allowed, self.batch_size <= setup.rollout_len)?;
        self.check_trunk(setup.shares_trunk)?;
        let allowed = "false for environments whose vector takes a step of its own to reset: such rows are left out, and then nobody knows what followed what";
        let holds = !self.recompute_advantage || setup.every_row_counts;
        check_setting("recompute_advantage", self.recompute_advantage, allowed, holds)
    }

    /// Checks what concerns the agent's networks.
    pub(crate) fn check_trunk(&self, shares_trunk: bool) -> Result<(), ConfigError> {
        let allowed =
            "false for an actor and a critic that share a trunk (shared_layers), and so have one gradient";
        let holds = !self.max_grad_norm_each || !shares_trunk;
        check_setting("max_grad_norm_each", self.max_grad_norm_each, allowed, holds)
    }

    pub(crate) fn grad_clip(&self) -> GradClip {
        match self.max_grad_norm {
            None => GradClip::Never,
            Some(max) if self.max_grad_norm_each => GradClip::Each(max),
            Some(max) => GradClip::Together(max),
        }
    }

    /// β of the next update, after one of this divergence.
    pub(crate) fn next_kl_coef(&self, kl_coef: Option<f64>, kl: f64) -> Option<f64> {
        kl_coef.map(|beta| self.kl_target.map_or(beta, |target| adapt::penalty(beta, kl, target)))
    }

    /// The learning rate of an update's first step, where one before left `adapted`.
    pub(crate) fn first_learning_rate(&self, progress_remaining: f64, adapted: Option<f64>) -> f64 {
        adapted
            .filter(|_| self.desired_kl.is_some())
            .unwrap_or_else(|| self.learning_rate.at(progress_remaining))
    }

    /// The learning rate of a step after a minibatch of this divergence.
    pub(crate) fn next_learning_rate(&self, learning_rate: f64, kl: f64) -> f64 {
        self.desired_kl.map_or(learning_rate, |desired| adapt::learning_rate(learning_rate, kl, desired))
    }
}

#[cfg(test)]
mod tests;
