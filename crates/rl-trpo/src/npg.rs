//! The natural policy gradient: TRPO's step without its line search.
//!
//! ```text
//! θ ← θ_old + √(2δ / xᵀ(F + λI)x) x,   x ≈ (F + λI)⁻¹ ∇L(θ_old)
//! ```
//!
//! Kakade (2001) leaves the learning rate open; here, as in Rajeswaran et al. (2017), it is the one with which the step ends where the quadratic
//! model of the divergence is δ. The divergence itself is not bounded: only what is not finite is refused.

use rl_algo::{
    ActorCritic, AlgoError, Algorithm, AlgorithmSpec, Batch, Config, ConfigError, Report, Schema,
    UpdateContext,
};
use rl_nn::State;
use rl_optim::Schedule;
use serde::{Deserialize, Serialize};

use crate::{KlReduction, Trpo, TrpoConfig};

/// The settings of the natural policy gradient: those of [`TrpoConfig`], with its defaults, that are not of the line search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NpgConfig {
    /// δ, the mean divergence of a step by its quadratic model, in nats.
    pub max_kl: Schedule,
    /// How the divergence of a multi-dimensional action becomes one number.
    pub kl_reduction: KlReduction,
    /// Weight of the entropy bonus.
    pub ent_coef: Schedule,
    /// Whether advantages are normalised over the batch.
    pub normalize_advantage: bool,
    /// The share `std(A) / rms(R)` of the returns in the advantages below which the step is shorter than the trust region, in proportion to it; `None` for
    /// full steps however little there is left to learn.
    pub advantage_std_floor: Option<f64>,
    /// The most iterations of conjugate gradient.
    pub cg_iters: usize,
    /// λ of `F + λI`.
    pub cg_damping: f64,
    /// Conjugate gradient has converged once the residual's norm is below this and below `cg_rtol`'s limit; `None` for no such limit.
    pub cg_atol: Option<f64>,
    /// Its other limit, as a share of the gradient's norm; `None` for no such limit.
    pub cg_rtol: Option<f64>,
    /// The share of the batch's states that the Fisher matrix is a mean over.
    pub fisher_fraction: f64,
    /// Passes of the critic over the batch.
    pub n_critic_updates: usize,
    /// Rows of a step of the critic; `None` for steps on the whole batch.
    pub batch_size: Option<usize>,
    /// How far a value may move from the old one before its gradient is cut; `None` for no limit.
    pub clip_range_vf: Option<Schedule>,
    /// The critic's learning rate (Adam).
    pub learning_rate: Schedule,
    /// ε of the critic's Adam.
    pub adam_eps: f64,
}

impl Default for NpgConfig {
    fn default() -> Self {
        let TrpoConfig {
            max_kl,
            kl_reduction,
            ent_coef,
            normalize_advantage,
            advantage_std_floor,
            cg_iters,
            cg_damping,
            cg_atol,
            cg_rtol,
            fisher_fraction,
            n_critic_updates,
            batch_size,
            clip_range_vf,
            learning_rate,
            adam_eps,
            ..
        } = TrpoConfig::default();
        NpgConfig {
            max_kl,
            kl_reduction,
            ent_coef,
            normalize_advantage,
            advantage_std_floor,
            cg_iters,
            cg_damping,
            cg_atol,
            cg_rtol,
            fisher_fraction,
            n_critic_updates,
            batch_size,
            clip_range_vf,
            learning_rate,
            adam_eps,
        }
    }
}

impl From<NpgConfig> for TrpoConfig {
    /// The same settings; those of the line search, which is not used, are the defaults.
    fn from(npg: NpgConfig) -> Self {
        TrpoConfig {
            max_kl: npg.max_kl,
            kl_reduction: npg.kl_reduction,
            ent_coef: npg.ent_coef,
            normalize_advantage: npg.normalize_advantage,
            advantage_std_floor: npg.advantage_std_floor,
            cg_iters: npg.cg_iters,
            cg_damping: npg.cg_damping,
            cg_atol: npg.cg_atol,
            cg_rtol: npg.cg_rtol,
            fisher_fraction: npg.fisher_fraction,
            n_critic_updates: npg.n_critic_updates,
            batch_size: npg.batch_size,
            clip_range_vf: npg.clip_range_vf,
            learning_rate: npg.learning_rate,
            adam_eps: npg.adam_eps,
            ..TrpoConfig::default()
        }
    }
}

impl Config for NpgConfig {
    fn schema() -> Schema {
        let own = rl_algo::to_settings(&NpgConfig::default());
        TrpoConfig::schema().without(|key| !own.contains_key(key))
    }
}

/// The natural policy gradient.
pub struct Npg(Trpo);

impl Npg {
    /// The natural policy gradient with the given settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a setting that cannot be used.
    pub fn new(config: NpgConfig) -> Result<Self, ConfigError> {
        Ok(Npg(Trpo::new(config.into())?.taking_full_steps()))
    }
}

/// The natural policy gradient by name.
pub fn npg_spec() -> AlgorithmSpec {
    let make = |config: NpgConfig| Ok(Npg::new(config)?);
    AlgorithmSpec::new("npg", "Natural policy gradient (Kakade 2001), its step sized by a trust region", make)
        .with_schema(NpgConfig::schema())
        .with_aliases(&[("target_kl", "max_kl"), ("cg_max_steps", "cg_iters")])
}

impl Algorithm for Npg {
    fn update(
        &mut self,
        agent: &mut ActorCritic,
        batch: &Batch,
        ctx: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError> {
        self.0.update(agent, batch, ctx)
    }

    fn state(&self) -> Result<Option<State>, AlgoError> {
        self.0.state()
    }

    fn restore(&mut self, agent: &ActorCritic, state: &State) -> Result<(), AlgoError> {
        self.0.restore(agent, state)
    }

    fn check_rollout(&self, rollout_len: usize) -> Result<(), ConfigError> {
        self.0.check_rollout(rollout_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_that_of_the_struct() {
        assert_eq!(NpgConfig::schema().differs_from(&NpgConfig::default()), None);
        assert!(NpgConfig::schema().get("backtrack_coeff").is_none());
    }

    /// Every setting reaches the step: those that differ from the defaults here differ there.
    #[test]
    fn every_setting_is_passed_on() {
        let npg = NpgConfig {
            max_kl: 0.02.into(),
            kl_reduction: KlReduction::MeanPerDim,
            ent_coef: 0.1.into(),
            normalize_advantage: false,
            advantage_std_floor: Some(0.1),
            cg_iters: 3,
            cg_damping: 0.5,
            cg_atol: None,
            cg_rtol: None,
            fisher_fraction: 0.5,
            n_critic_updates: 2,
            batch_size: None,
            clip_range_vf: Some(0.2.into()),
            learning_rate: 0.5.into(),
            adam_eps: 0.5,
        };
        let own = rl_algo::to_settings(&npg);
        let (passed, defaults) =
            (rl_algo::to_settings(&TrpoConfig::from(npg)), rl_algo::to_settings(&TrpoConfig::default()));
        for (key, value) in own {
            assert_eq!(passed[&key], value, "{key}");
            assert_ne!(defaults[&key], value, "{key} should differ from its default here");
        }
    }
}
