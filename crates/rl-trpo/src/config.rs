//! TRPO's settings.

use rl_algo::{Bounds, Config, ConfigError, CriticFit, Kind, Schema, Setting, check_setting};
use rl_optim::{CgParams, Schedule};
use serde::{Deserialize, Serialize};

use crate::{KlDirection, KlReduction, Search, StepConfig};

/// TRPO's settings; the defaults are sb3-contrib's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrpoConfig {
    /// δ, the trust region: the largest mean divergence of a step, in nats.
    pub max_kl: Schedule,
    /// Which divergence that is.
    pub kl_direction: KlDirection,
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
    /// Each trial of the line search is this fraction of the one before.
    pub backtrack_coeff: f64,
    /// The most trials, the full step included.
    pub backtrack_iters: usize,
    /// The share of the linear model's promise that a step must keep; 0 takes any improvement.
    pub accept_ratio: f64,
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

impl Default for TrpoConfig {
    fn default() -> Self {
        TrpoConfig {
            max_kl: Schedule::Constant(0.01),
            kl_direction: KlDirection::OldNew,
            kl_reduction: KlReduction::Sum,
            ent_coef: Schedule::Constant(0.0),
            normalize_advantage: true,
            advantage_std_floor: None,
            cg_iters: 15,
            cg_damping: 0.1,
            cg_atol: Some(1e-5),
            cg_rtol: Some(0.01),
            fisher_fraction: 1.0,
            backtrack_coeff: 0.8,
            backtrack_iters: 10,
            accept_ratio: 0.0,
            n_critic_updates: 10,
            batch_size: Some(128),
            clip_range_vf: None,
            learning_rate: Schedule::Constant(1e-3),
            adam_eps: 1e-5,
        }
    }
}

const POSITIVE: Kind = Kind::Real(Bounds::POSITIVE);
const NON_NEGATIVE: Kind = Kind::Real(Bounds::NON_NEGATIVE);
const COUNT: Kind = Kind::integer_from(1);
const COUNT_OR_NONE: Kind = Kind::OneOf(&[COUNT, Kind::None]);
const TOLERANCE_OR_NONE: Kind = Kind::OneOf(&[NON_NEGATIVE, Kind::None]);
const RANGE_OR_NONE: Kind = Kind::OneOf(&[Kind::Schedule(Bounds::POSITIVE), Kind::None]);

impl Config for TrpoConfig {
    fn schedules(&mut self) -> Vec<(&'static str, &mut Schedule)> {
        let always = [
            ("max_kl", &mut self.max_kl),
            ("ent_coef", &mut self.ent_coef),
            ("learning_rate", &mut self.learning_rate),
        ];
        always.into_iter().chain(self.clip_range_vf.as_mut().map(|range| ("clip_range_vf", range))).collect()
    }

    fn schema() -> Schema {
        let settings = vec![
            Setting::new(
                "max_kl",
                Kind::Schedule(Bounds::POSITIVE),
                "The trust region: the largest mean KL of a step, in nats.",
            )
            .log(),
            Setting::new(
                "kl_direction",
                Kind::Choice(&["old_new", "new_old"]),
                "Which divergence that is: of the old policy from the new one, or of the new one from the old.",
            )
            .from_source("Schulman et al. 2015"),
            Setting::new(
                "kl_reduction",
                Kind::Choice(&["sum", "mean_per_dim"]),
                "How the KL of a multi-dimensional action becomes one number.",
            )
            .from_source("Schulman et al. 2015"),
            Setting::new(
                "ent_coef",
                Kind::Schedule(Bounds::NON_NEGATIVE),
                "Weight of the entropy bonus.",
            ),
            Setting::new("normalize_advantage", Kind::Bool, "Whether each batch normalises its advantages."),
            Setting::new(
                "advantage_std_floor",
                Kind::OneOf(&[POSITIVE, Kind::None]),
                "The advantages' spread, as a share of the returns' size, below which steps become shorter; none for full steps always.",
            )
            .log()
            .from_source("ours"),
            Setting::new("cg_iters", COUNT, "The most iterations of conjugate gradient."),
            Setting::new("cg_damping", NON_NEGATIVE, "What is added to the Fisher matrix's diagonal.").log(),
            Setting::new(
                "cg_atol",
                TOLERANCE_OR_NONE,
                "Conjugate gradient stops once its residual is shorter than this, and than cg_rtol says.",
            )
            .log(),
            Setting::new(
                "cg_rtol",
                TOLERANCE_OR_NONE,
                "The same as a share of the gradient; both must hold, none switches one off.",
            )
            .log()
            .from_source("ours"),
            Setting::new(
                "fisher_fraction",
                Kind::Real(Bounds::above_to(0.0, 1.0)),
                "The share of the batch's states that the Fisher matrix is a mean over.",
            ),
            Setting::new(
                "backtrack_coeff",
                Kind::Real(Bounds::open(0.0, 1.0)),
                "Each trial of the line search is this fraction of the one before.",
            ),
            Setting::new("backtrack_iters", COUNT, "The most trials, the full step included."),
            Setting::new(
                "accept_ratio",
                Kind::Real(Bounds::from_below(0.0, 1.0)),
                "The share of the linear model's promise that a step must keep.",
            ),
        ];
        Schema::of(&TrpoConfig::default(), "sb3-contrib", settings.into_iter().chain(of_critic()).collect())
    }
}

/// The settings of the critic's fit.
fn of_critic() -> Vec<Setting> {
    vec![
        Setting::new(
            "n_critic_updates",
            Kind::integer_from(0),
            "Passes of the critic over the batch in an update.",
        ),
        Setting::new(
            "batch_size",
            COUNT_OR_NONE,
            "Rows of a step of the critic; none for steps on the whole batch.",
        )
        .log(),
        Setting::new(
            "clip_range_vf",
            RANGE_OR_NONE,
            "How far a value may move from the old one before its gradient is cut; none for no limit.",
        )
        .log(),
        Setting::new(
            "learning_rate",
            Kind::Schedule(Bounds::POSITIVE),
            "The learning rate of the critic's Adam.",
        )
        .log(),
        Setting::new("adam_eps", POSITIVE, "The epsilon of the critic's Adam.").log(),
    ]
}

impl TrpoConfig {
    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the first that cannot be used.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check()?;
        // Settings take a NaN for none.
        for (key, value) in [
            ("advantage_std_floor", self.advantage_std_floor),
            ("cg_atol", self.cg_atol),
            ("cg_rtol", self.cg_rtol),
        ] {
            let value = value.unwrap_or(1.0);
            check_setting(key, value, "a number, or none", value.is_finite())?;
        }
        Ok(())
    }

    /// What a step depends on where `progress_remaining` (1 at the start, 0 at the end) is left.
    pub fn step(&self, progress_remaining: f64) -> StepConfig {
        // Without any limit it goes on to the last iteration.
        let off = if self.cg_atol.is_none() && self.cg_rtol.is_none() { 0.0 } else { f64::INFINITY };
        StepConfig {
            max_kl: self.max_kl.at(progress_remaining),
            kl_direction: self.kl_direction,
            kl_reduction: self.kl_reduction,
            ent_coef: self.ent_coef.at(progress_remaining),
            cg: CgParams {
                max_iters: self.cg_iters,
                atol: self.cg_atol.unwrap_or(off),
                rtol: self.cg_rtol.unwrap_or(off),
            },
            damping: self.cg_damping,
            fisher_fraction: self.fisher_fraction,
            search: Search::Backtracking {
                coeff: self.backtrack_coeff,
                iters: self.backtrack_iters,
                accept_ratio: self.accept_ratio,
            },
        }
    }

    /// How the critic is fitted then.
    pub fn critic(&self, progress_remaining: f64) -> CriticFit {
        CriticFit {
            learning_rate: self.learning_rate.at(progress_remaining),
            n_epochs: self.n_critic_updates,
            batch_size: self.batch_size,
            clip_range: self.clip_range_vf.as_ref().map(|range| range.at(progress_remaining)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_that_of_the_struct() {
        assert_eq!(TrpoConfig::schema().differs_from(&TrpoConfig::default()), None);
        let others = TrpoConfig {
            kl_reduction: KlReduction::MeanPerDim,
            kl_direction: KlDirection::NewOld,
            cg_atol: None,
            cg_rtol: None,
            batch_size: None,
            clip_range_vf: Some(0.2.into()),
            ..TrpoConfig::default()
        };
        assert!(others.validate().is_ok());
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let valid = TrpoConfig::default;
        for (key, config) in [
            ("max_kl", TrpoConfig { max_kl: 0.0.into(), ..valid() }),
            ("ent_coef", TrpoConfig { ent_coef: (-0.1).into(), ..valid() }),
            ("advantage_std_floor", TrpoConfig { advantage_std_floor: Some(0.0), ..valid() }),
            ("cg_iters", TrpoConfig { cg_iters: 0, ..valid() }),
            ("cg_damping", TrpoConfig { cg_damping: -1.0, ..valid() }),
            ("cg_atol", TrpoConfig { cg_atol: Some(-1.0), ..valid() }),
            ("cg_atol", TrpoConfig { cg_atol: Some(f64::NAN), ..valid() }),
            ("clip_range_vf", TrpoConfig { clip_range_vf: Some(f64::NAN.into()), ..valid() }),
            ("cg_rtol", TrpoConfig { cg_rtol: Some(-1.0), ..valid() }),
            ("fisher_fraction", TrpoConfig { fisher_fraction: 0.0, ..valid() }),
            ("fisher_fraction", TrpoConfig { fisher_fraction: 1.1, ..valid() }),
            ("backtrack_coeff", TrpoConfig { backtrack_coeff: 1.0, ..valid() }),
            ("backtrack_iters", TrpoConfig { backtrack_iters: 0, ..valid() }),
            ("accept_ratio", TrpoConfig { accept_ratio: 1.0, ..valid() }),
            ("batch_size", TrpoConfig { batch_size: Some(0), ..valid() }),
            ("clip_range_vf", TrpoConfig { clip_range_vf: Some((-1.0).into()), ..valid() }),
            ("learning_rate", TrpoConfig { learning_rate: Schedule::Linear(-1.0), ..valid() }),
            ("adam_eps", TrpoConfig { adam_eps: 0.0, ..valid() }),
            ("max_kl", TrpoConfig { max_kl: Schedule::custom(|left| left - 0.5), ..valid() }),
            ("max_kl", TrpoConfig { max_kl: f64::NAN.into(), ..valid() }),
            ("clip_range_vf", TrpoConfig { clip_range_vf: Some(Schedule::custom(|_| f64::NAN)), ..valid() }),
        ] {
            assert_eq!(config.validate().unwrap_err().key, key);
        }
        let least = TrpoConfig { cg_damping: 0.0, accept_ratio: 0.0, n_critic_updates: 0, ..valid() };
        assert!(least.validate().is_ok());
    }

    /// What no settings hold is a schedule all the same, of TRPO and of NPG.
    #[test]
    fn schedules_may_be_functions() {
        let square = || Schedule::custom(|left| 0.01 * left * left);
        let config = TrpoConfig {
            max_kl: square(),
            ent_coef: square(),
            learning_rate: square(),
            clip_range_vf: Some("warmup_0.1_1".parse().unwrap()),
            ..TrpoConfig::default()
        };
        assert!((config.step(0.5).max_kl - 0.0025).abs() < 1e-15);
        assert!(crate::Trpo::new(config.clone()).is_ok());
        let clipped = TrpoConfig { clip_range_vf: Some(square()), ..config };
        assert!(crate::Npg::new(clipped).is_ok());
    }

    #[test]
    fn schedules_are_read_at_the_progress_that_remains() {
        let config = TrpoConfig {
            max_kl: Schedule::Linear(0.02),
            learning_rate: Schedule::Linear(0.1),
            ent_coef: Schedule::Linear(0.01),
            clip_range_vf: Some(Schedule::Linear(0.4)),
            cg_rtol: None,
            ..TrpoConfig::default()
        };
        let (step, fit) = (config.step(0.25), config.critic(0.25));
        assert_eq!(
            (step.max_kl, step.ent_coef, fit.learning_rate, fit.clip_range),
            (0.02 * 0.25, 0.01 * 0.25, 0.1 * 0.25, Some(0.4 * 0.25))
        );
        assert_eq!((step.cg.atol, step.cg.rtol), (1e-5, f64::INFINITY));
        let never = TrpoConfig { cg_atol: None, ..config }.step(1.0).cg;
        assert_eq!((never.atol, never.rtol), (0.0, 0.0), "no tolerance at all is never met");
    }
}
