//! PPO as an algorithm.
//!
//! ```text
//! 1. for each epoch (with advantages of the critic as it is by then, if recompute_advantage), for each minibatch of the shuffled rollout:
//! 2.     losses and gradient of actor and critic, side by side (on a shared trunk: of both together, the rows in two halves)
//! 3.     stop if the minibatch's KL > 1.5 target_kl
//! 4.     the learning rate down or up, if the minibatch's KL is far from desired_kl
//! 5.     clip the gradient's norm; one Adam step on all parameters
//! 6. what is not a finite number, in a gradient, a parameter or the new policy, ends the update and undoes it
//! 7. β doubled or halved, if KL(old‖new) over the batch is far from kl_target
//! ```

use std::sync::atomic::Ordering;

use rl_algo::{
    ActorCritic, AlgoError, Algorithm, AlgorithmSpec, Batch, Config, ConfigError, Outcome, PolicyChange,
    Report, Settings, Setup, UpdateContext,
};
use rl_nn::{Shards, State};
use rl_rollout::Minibatches;

use crate::acceptance::{Rejection, accept, change};
use crate::estimates::Estimates;
use crate::learner::{Learners, MinibatchLoss};
use crate::loss::{LossConfig, Scratch};
use crate::optimisers::Optimisers;
use crate::{Ledger, NormalizeAdvantage, Pair, PpoConfig};

/// Proximal Policy Optimization, clipped or with a penalty.
pub struct Ppo {
    config: PpoConfig,
    learnt: Learnt,
    scratch: [Scratch<f32>; 2],
    shards: Shards<f32>,
    /// What is known of a second thread, which changes no result.
    ledger: Ledger,
}

/// What changes from update to update: the algorithm's state.
#[derive(Clone)]
struct Learnt {
    /// For actor and critic, or for both together.
    optimisers: Optimisers,
    n_updates: u64,
    /// β, if there is a penalty.
    kl_coef: Option<f64>,
    /// The learning rate that desired_kl has left, once it has.
    learning_rate: Option<f64>,
}

impl Ppo {
    /// PPO with the given settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a setting that cannot be used.
    pub fn new(config: PpoConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let optimisers = Optimisers::new(config.adam());
        Ok(Ppo {
            learnt: Learnt { optimisers, n_updates: 0, kl_coef: config.kl_coef, learning_rate: None },
            config,
            scratch: Default::default(),
            shards: Shards::new(),
            ledger: Ledger::default(),
        })
    }
}

/// PPO by name.
pub fn spec() -> AlgorithmSpec {
    let about = "Proximal Policy Optimization, clipped (Schulman et al. 2017)";
    AlgorithmSpec::new("ppo", about, |config: PpoConfig| Ok(Ppo::new(config)?))
        .with_schema(<PpoConfig as rl_algo::Config>::schema())
}

/// PPO with an adaptive penalty by name.
pub fn kl_penalty_spec() -> AlgorithmSpec {
    let about = "Proximal Policy Optimization with an adaptive KL penalty (Schulman et al. 2017, section 4)";
    AlgorithmSpec::new("ppo-kl", about, |config: PpoConfig| Ok(Ppo::new(config)?))
        .with_schema(PpoConfig::kl_penalty_schema())
}

impl Algorithm for Ppo {
    fn update(
        &mut self,
        agent: &mut ActorCritic,
        batch: &Batch,
        ctx: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError> {
        self.learnt.optimisers.begin(agent);
        let before = (agent.theta().to_vec(), self.learnt.clone());
        let mut totals = Totals::default();
        let normalize = self.config.normalize_advantage != NormalizeAdvantage::Off;

        // 1 to 5
        let attempt = self.epochs(agent, batch, ctx, &mut totals);
        let Ppo { learnt, shards, .. } = self;
        // 6
        let accepted = attempt.and_then(|outcome| {
            Ok((outcome, accept(agent, &learnt.optimisers, batch, ctx, normalize, shards)?))
        });
        let (outcome, change) = match accepted {
            Ok((outcome, change)) => {
                // 7
                learnt.kl_coef = self.config.next_kl_coef(learnt.kl_coef, change.kl_mean);
                (outcome, change)
            }
            Err(Rejection::Because(outcome)) => {
                agent.theta_mut().copy_from_slice(&before.0);
                *learnt = before.1;
                (outcome, change(agent, batch, ctx, normalize, shards)?)
            }
            Err(Rejection::Error(error)) => return Err(error),
        };
        Ok(self.report(batch, ctx, &totals, &change, outcome))
    }

    fn description(&self) -> (&str, Settings) {
        let name = if self.config.kl_coef.is_some() { "ppo-kl" } else { "ppo" };
        (name, self.config.written())
    }

    fn state(&self) -> Result<Option<State>, AlgoError> {
        let Learnt { optimisers, n_updates, kl_coef, learning_rate } = &self.learnt;
        let mut state = optimisers.add_to(State::new("Ppo", 1).with("n_updates", n_updates)?)?;
        // Only where they are used: the states of runs without them stay what they were.
        if let Some(kl_coef) = kl_coef {
            state = state.with("kl_coef", kl_coef)?;
        }
        if let Some(learning_rate) = learning_rate {
            state = state.with("learning_rate", learning_rate)?;
        }
        Ok(Some(state))
    }

    fn restore(&mut self, agent: &ActorCritic, state: &State) -> Result<(), AlgoError> {
        let state = state.owned_by("Ppo", 1)?;
        let optimisers = self.learnt.optimisers.restored(agent, state)?;
        let n_updates = state.value("n_updates")?;
        let kl_coef = self.config.kl_coef.map(|_| state.value("kl_coef")).transpose()?;
        let adapts = self.config.desired_kl.is_some() && n_updates > 0;
        let learning_rate = adapts.then(|| state.value("learning_rate")).transpose()?;
        self.learnt = Learnt { optimisers, n_updates, kl_coef, learning_rate };
        Ok(())
    }

    fn check_setup(&self, setup: &Setup) -> Result<(), ConfigError> {
        self.config.check_setup(setup)
    }
}

impl Ppo {
    /// Steps 1 to 5 above.
    fn epochs(
        &mut self,
        agent: &mut ActorCritic,
        batch: &Batch,
        ctx: &mut UpdateContext<'_>,
        totals: &mut Totals,
    ) -> Result<Outcome, Rejection> {
        let Ppo { config, learnt, scratch, shards, ledger } = self;
        let loss_config =
            LossConfig { kl_coef: learnt.kl_coef.unwrap_or(0.0), ..config.loss(ctx.progress_remaining) };
        let mut learning_rate = config.first_learning_rate(ctx.progress_remaining, learnt.learning_rate);
        config.check_trunk(agent.joint().is_some())?;
        let mut estimates = Estimates::new(agent, batch, config.normalize_advantage)?;
        let mut minibatches = Minibatches::new(batch.len());
        let mut learners =
            Learners::new(agent, learnt.optimisers.all_mut(), scratch).ok_or_else(Rejection::other_agent)?;
        Pair::with(ledger, |mut pair| {
            let mut outcome = Outcome::Applied;
            // 1
            'update: for epoch in 0..config.n_epochs {
                if epoch > 0 && config.recompute_advantage {
                    estimates.renew(&mut learners, shards)?;
                }
                learnt.n_updates += 1;
                for rows in minibatches.epoch(config.batch_size, ctx.rng) {
                    // 2
                    let minibatch = estimates.minibatch(rows);
                    let loss = learners.loss(&mut pair, ctx.reducer, &minibatch, &loss_config)?;
                    totals.add(&loss, &loss_config);
                    if ctx.stop.load(Ordering::Relaxed) {
                        break 'update;
                    }
                    if !loss.grad_norm.is_finite() {
                        return Err(Rejection::not_finite("a minibatch's gradient"));
                    }
                    // 3
                    if config.target_kl.is_some_and(|target| loss.policy.approx_kl > 1.5 * target) {
                        outcome = Outcome::EarlyStopped;
                        break 'update;
                    }
                    // 4
                    learning_rate = config.next_learning_rate(learning_rate, loss.policy.kl);
                    // 5
                    learners.step(&loss, config.grad_clip(), learning_rate);
                }
            }
            learners.finish()?;
            learnt.learning_rate = config.desired_kl.map(|_| learning_rate);
            Ok(outcome)
        })
    }

    fn report(
        &self,
        batch: &Batch,
        ctx: &UpdateContext<'_>,
        totals: &Totals,
        change: &PolicyChange,
        outcome: Outcome,
    ) -> Report {
        let Ppo { config, learnt, .. } = self;
        let mean = |total: f64| total / totals.minibatches;
        let mut extra = vec![
            ("clip_fraction", mean(totals.clip_fraction)),
            ("policy_gradient_loss", mean(totals.policy_loss)),
            ("loss", mean(totals.loss)),
            ("n_updates", learnt.n_updates as f64),
        ];
        extra.extend(config.clip_range.as_ref().map(|clip| ("clip_range", clip.at(ctx.progress_remaining))));
        extra.extend(learnt.kl_coef.map(|kl_coef| ("kl_coef", kl_coef)));
        Report {
            approx_kl: Some(change.kl_mean),
            kl_max: Some(change.kl_max),
            entropy: Some(change.entropy),
            value_loss: Some(mean(totals.value_loss)),
            explained_variance: rl_gae::explained_variance(&batch.values, &batch.returns),
            surrogate_gain: Some(change.surrogate_gain),
            grad_norm: Some(mean(totals.grad_norm)),
            learning_rate: Some(config.first_learning_rate(ctx.progress_remaining, learnt.learning_rate)),
            extra,
            ..Report::new(outcome)
        }
    }
}

/// Sums over the minibatches of an update.
#[derive(Default)]
struct Totals {
    minibatches: f64,
    clip_fraction: f64,
    policy_loss: f64,
    value_loss: f64,
    loss: f64,
    grad_norm: f64,
}

impl Totals {
    fn add(&mut self, loss: &MinibatchLoss, config: &LossConfig) {
        let MinibatchLoss { policy, critic, grad_norm } = loss;
        self.minibatches += 1.0;
        self.clip_fraction += policy.clip_fraction;
        self.policy_loss += policy.policy_loss;
        self.value_loss += critic.value_loss;
        self.loss += loss.total(config);
        self.grad_norm += grad_norm;
    }
}
