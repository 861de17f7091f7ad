//! TRPO's settings.

use rl_algo::{ConfigError, check_setting};
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

impl TrpoConfig {
    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the first that cannot be used.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let coeff = self.backtrack_coeff;
        check_setting("max_kl", self.max_kl, "a positive number", positive(self.max_kl))?;
        check_setting("cg_iters", self.cg_iters, "at least 1", self.cg_iters >= 1)?;
        let damping = self.cg_damping;
        check_setting(
            "cg_damping",
            damping,
            "a number of at least 0",
            damping >= 0.0 && damping.is_finite(),
        )?;
        check_setting("backtrack_coeff", coeff, "a number between 0 and 1", coeff > 0.0 && coeff < 1.0)?;
        check_setting("backtrack_iters", self.backtrack_iters, "at least 1", self.backtrack_iters >= 1)?;
        let ratio = self.accept_ratio;
        check_setting("accept_ratio", ratio, "a number from 0 to below 1", (0.0..1.0).contains(&ratio))?;
        check_setting("batch_size", self.batch_size, "at least 1", self.batch_size >= 1)?;
        check_setting(
            "learning_rate",
            self.learning_rate,
            "a positive number",
            positive(self.learning_rate.initial()),
        )
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
