//! A2C as an algorithm: the policy gradient with a critic, one step a rollout.
//!
//! ```text
//! 1. loss = −mean A log π(a|s) − c_H mean H + c_V mean (V − R)², and its gradient, over the whole rollout
//! 2. clip the gradient's norm; one step of RMSprop, or Adam, on all parameters
//! 3. what is not a finite number, in the gradient, a parameter or the new policy, undoes the update
//! ```
//!
//! # Source
//!
//! Mnih et al. (2016), "Asynchronous methods for deep reinforcement learning", algorithm S3, with synchronous environments (Wu et al. 2017, OpenAI
//! baselines' A2C).

use rl_algo::{
    ActorCritic, AlgoError, Algorithm, AlgorithmSpec, Batch, Bounds, Config, ConfigError, Kind, Outcome,
    Report, Schema, Setting, Settings, UpdateContext, check_setting,
};
use rl_nn::{Shards, State};
use rl_optim::{AdamParams, Schedule};
use serde::{Deserialize, Serialize};

use crate::acceptance::{Rejection, accept, change};
use crate::estimates::Estimates;
use crate::learner::{GradClip, Learners, MinibatchLoss};
use crate::loss::{LossConfig, Scratch};
use crate::optimisers::Optimisers;
use crate::{KlEstimator, Ledger, NormalizeAdvantage, Objective, Pair};

/// A2C's settings; names and defaults are Stable-Baselines3's.
///
/// What rollouts A2C learns from is the training loop's to say. By name (on the command line, in a file) it has A2C's defaults; from Rust, give the loop
/// [`A2cConfig::N_STEPS`] and [`A2cConfig::GAE_LAMBDA`] as `n_steps` and `gae_lambda` of `rl_train::TrainConfig`, whose own defaults are PPO's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct A2cConfig {
    /// The learning rate.
    pub learning_rate: Schedule,
    /// Weight of the entropy bonus.
    pub ent_coef: Schedule,
    /// Weight of the value loss.
    pub vf_coef: f64,
    /// The gradient's norm is clipped to this; `None` for no limit.
    pub max_grad_norm: Option<f64>,
    /// Whether advantages are normalised.
    pub normalize_advantage: bool,
    /// RMSprop (α = 0.99), or else Adam.
    pub use_rms_prop: bool,
    /// The optimiser's ε.
    pub rms_prop_eps: f64,
}

impl Default for A2cConfig {
    fn default() -> Self {
        A2cConfig {
            learning_rate: Schedule::Constant(7e-4),
            ent_coef: Schedule::Constant(0.0),
            vf_coef: 0.5,
            max_grad_norm: Some(0.5),
            normalize_advantage: false,
            use_rms_prop: true,
            rms_prop_eps: 1e-5,
        }
    }
}

impl Config for A2cConfig {
    fn schema() -> Schema {
        const WEIGHT: Kind = Kind::Real(Bounds::NON_NEGATIVE);
        const POSITIVE: Kind = Kind::Real(Bounds::POSITIVE);
        const NORM: Kind = Kind::OneOf(&[POSITIVE, Kind::None]);
        const RATE: Kind = Kind::Schedule(Bounds::POSITIVE);
        let settings = vec![
            Setting::new("learning_rate", RATE, "The optimiser's learning rate.").log(),
            Setting::new("ent_coef", Kind::Schedule(Bounds::NON_NEGATIVE), "Weight of the entropy bonus.")
                .log(),
            Setting::new("vf_coef", WEIGHT, "Weight of the value loss."),
            Setting::new("max_grad_norm", NORM, "The gradient's norm is clipped to this; none for never.")
                .log(),
            Setting::new(
                "normalize_advantage",
                Kind::Bool,
                "Whether each rollout normalises its advantages.",
            ),
            Setting::new("use_rms_prop", Kind::Bool, "RMSprop with α = 0.99, or else Adam."),
            Setting::new(
                "rms_prop_eps",
                POSITIVE,
                "What the optimiser, either of them, adds to its divisor.",
            )
            .log(),
        ];
        Schema::of(&A2cConfig::default(), "Stable-Baselines3", settings)
    }

    fn schedules(&mut self) -> Vec<(&'static str, &mut Schedule)> {
        vec![("learning_rate", &mut self.learning_rate), ("ent_coef", &mut self.ent_coef)]
    }
}

impl A2cConfig {
    /// Steps of every environment in a rollout, by default (Stable-Baselines3).
    pub const N_STEPS: usize = 5;
    /// GAE's λ by default (Stable-Baselines3): 1, n-step returns.
    pub const GAE_LAMBDA: f64 = 1.0;

    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the first that cannot be used.
    pub fn validate(&self) -> Result<(), ConfigError> {
        // Settings take a NaN for none.
        let max = self.max_grad_norm.unwrap_or(1.0);
        check_setting("max_grad_norm", max, "a positive number, or none", max.is_finite())?;
        self.check()
    }

    /// The settings of the loss where `progress_remaining` is left.
    pub fn loss(&self, progress_remaining: f64) -> LossConfig {
        LossConfig {
            objective: Objective::LogProb,
            kl_coef: 0.0,
            ent_coef: self.ent_coef.at(progress_remaining),
            vf_coef: self.vf_coef,
            value_clip: None,
            normalize_advantage: self.normalize_advantage,
            kl_estimator: KlEstimator::K3,
            exact_kl: false,
        }
    }

    fn optimiser(&self) -> AdamParams {
        match self.use_rms_prop {
            true => AdamParams::rms_prop(0.99, self.rms_prop_eps),
            false => AdamParams { eps: self.rms_prop_eps, ..AdamParams::default() },
        }
    }
}

/// Advantage actor-critic.
pub struct A2c {
    config: A2cConfig,
    learnt: Learnt,
    scratch: [Scratch<f32>; 2],
    shards: Shards<f32>,
    ledger: Ledger,
}

/// What changes from update to update: the algorithm's state.
#[derive(Clone)]
struct Learnt {
    optimisers: Optimisers,
    n_updates: u64,
}

impl A2c {
    /// A2C with the given settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a setting that cannot be used.
    pub fn new(config: A2cConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let learnt = Learnt { optimisers: Optimisers::new(config.optimiser()), n_updates: 0 };
        let (scratch, ledger) = (Default::default(), Ledger::default());
        Ok(A2c { config, learnt, scratch, shards: Shards::new(), ledger })
    }

    /// Steps 1 and 2 above.
    fn step(
        &mut self,
        agent: &mut ActorCritic,
        batch: &Batch,
        ctx: &UpdateContext<'_>,
    ) -> Result<MinibatchLoss, Rejection> {
        let A2c { config, learnt, scratch, ledger, .. } = self;
        let estimates = Estimates::new(agent, batch, NormalizeAdvantage::Off)?;
        let rows: Vec<usize> = (0..batch.len()).collect();
        let mut learners =
            Learners::new(agent, learnt.optimisers.all_mut(), scratch).ok_or_else(Rejection::other_agent)?;
        // 1
        let (reducer, loss_config) = (ctx.reducer, config.loss(ctx.progress_remaining));
        let minibatch = estimates.minibatch(&rows);
        let loss =
            Pair::with(ledger, |mut pair| learners.loss(&mut pair, reducer, &minibatch, &loss_config))?;
        if !loss.grad_norm.is_finite() {
            return Err(Rejection::not_finite("the gradient"));
        }
        // 2
        let clip = config.max_grad_norm.map_or(GradClip::Never, GradClip::Together);
        learners.step(&loss, clip, config.learning_rate.at(ctx.progress_remaining));
        learners.finish()?;
        learnt.n_updates += 1;
        Ok(loss)
    }
}

impl Algorithm for A2c {
    fn update(
        &mut self,
        agent: &mut ActorCritic,
        batch: &Batch,
        ctx: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError> {
        self.learnt.optimisers.begin(agent);
        let before = (agent.theta().to_vec(), self.learnt.clone());
        // 1, 2
        let attempt = self.step(agent, batch, ctx);
        let A2c { config, learnt, shards, .. } = self;
        let normalize = config.normalize_advantage;
        // 3
        let accepted = attempt.and_then(|loss| {
            Ok((
                Some(loss),
                accept(agent, &learnt.optimisers, batch, ctx, normalize, shards)?,
                Outcome::Applied,
            ))
        });
        let (loss, change, outcome) = match accepted {
            Ok(accepted) => accepted,
            Err(Rejection::Because(outcome)) => {
                agent.theta_mut().copy_from_slice(&before.0);
                *learnt = before.1;
                (None, change(agent, batch, ctx, normalize, shards)?, outcome)
            }
            Err(Rejection::Error(error)) => return Err(error),
        };
        let of = |value: fn(&MinibatchLoss) -> f64| loss.as_ref().map_or(f64::NAN, value);
        Ok(Report {
            approx_kl: Some(change.kl_mean),
            kl_max: Some(change.kl_max),
            entropy: Some(change.entropy),
            value_loss: Some(of(|loss| loss.critic.value_loss)),
            explained_variance: rl_gae::explained_variance(&batch.values, &batch.returns),
            surrogate_gain: Some(change.surrogate_gain),
            grad_norm: Some(of(|loss| loss.grad_norm)),
            learning_rate: Some(config.learning_rate.at(ctx.progress_remaining)),
            extra: vec![
                ("policy_loss", of(|loss| loss.policy.policy_loss)),
                ("n_updates", learnt.n_updates as f64),
            ],
            ..Report::new(outcome)
        })
    }

    fn description(&self) -> (&str, Settings) {
        ("a2c", self.config.written())
    }

    fn state(&self) -> Result<Option<State>, AlgoError> {
        let state = State::new("A2c", 1).with("n_updates", self.learnt.n_updates)?;
        Ok(Some(self.learnt.optimisers.add_to(state)?))
    }

    fn restore(&mut self, agent: &ActorCritic, state: &State) -> Result<(), AlgoError> {
        let state = state.owned_by("A2c", 1)?;
        let optimisers = self.learnt.optimisers.restored(agent, state)?;
        self.learnt = Learnt { n_updates: state.value("n_updates")?, optimisers };
        Ok(())
    }
}

/// A2C by name, with its defaults of the training loop.
pub fn a2c_spec() -> AlgorithmSpec {
    let about = "Advantage actor-critic, one step a rollout (Mnih et al. 2016)";
    let of_the_loop = [("n_steps", A2cConfig::N_STEPS.into()), ("gae_lambda", A2cConfig::GAE_LAMBDA.into())];
    AlgorithmSpec::new("a2c", about, |config: A2cConfig| Ok(A2c::new(config)?))
        .with_schema(A2cConfig::schema())
        .with_defaults_elsewhere(
            of_the_loop.map(|(key, value)| (key.to_owned(), value)).into_iter().collect(),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked_one_by_one() {
        assert_eq!(A2cConfig::schema().differs_from(&A2cConfig::default()), None);
        let valid = A2cConfig::default;
        for (key, config) in [
            ("learning_rate", A2cConfig { learning_rate: Schedule::custom(|left| left - 0.5), ..valid() }),
            ("learning_rate", A2cConfig { learning_rate: f64::NAN.into(), ..valid() }),
            ("ent_coef", A2cConfig { ent_coef: (-0.1).into(), ..valid() }),
            ("vf_coef", A2cConfig { vf_coef: -0.1, ..valid() }),
            ("max_grad_norm", A2cConfig { max_grad_norm: Some(0.0), ..valid() }),
            ("max_grad_norm", A2cConfig { max_grad_norm: Some(f64::NAN), ..valid() }),
            ("rms_prop_eps", A2cConfig { rms_prop_eps: 0.0, ..valid() }),
        ] {
            assert_eq!(config.validate().unwrap_err().key, key, "{config:?}");
        }
        let free =
            A2cConfig { learning_rate: Schedule::custom(|left| left * left), max_grad_norm: None, ..valid() };
        assert_eq!(free.validate(), Ok(()));
    }

    /// The loop's settings are not the algorithm's, and have its defaults by name.
    #[test]
    fn rollouts_are_the_loops() {
        let spec = a2c_spec();
        let elsewhere = serde_json::json!({"n_steps": 5, "gae_lambda": 1.0});
        assert_eq!(serde_json::Value::from(spec.defaults_elsewhere.clone()), elsewhere);
        assert!(spec.defaults_elsewhere.keys().all(|key| spec.schema.get(key).is_none()));
        assert!(spec.make(&rl_algo::Settings::new()).is_ok());
    }
}
