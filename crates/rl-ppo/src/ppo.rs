//! PPO as an algorithm.
//!
//! ```text
//! 1. for each epoch, for each minibatch of the shuffled rollout:
//! 2.     losses and gradient of actor and critic, side by side (on a shared trunk: of both together, the rows in two halves)
//! 3.     stop if the minibatch's estimated KL > 1.5 target_kl
//! 4.     clip the global gradient norm; one Adam step on all parameters, which each network's thread takes
//!        before its next loss
//! 5. a non-finite gradient or parameter ends the update and undoes it
//! ```

use std::sync::atomic::Ordering;

use rl_algo::{
    ActorCritic, AlgoError, Algorithm, AlgorithmSpec, Batch, Config, ConfigError, Outcome, PolicyChange,
    Report, UpdateContext, adam_state, check_setting, policy_change, restore_adam,
};
use rl_nn::{DistParams, Shards, State};
use rl_optim::{Adam, AdamParams, clip_scale};
use rl_rollout::Minibatches;

use crate::learner::{Learners, MinibatchLoss};
use crate::loss::{LossConfig, Minibatch, Scratch};
use crate::{Ledger, Pair, PpoConfig};

/// Proximal Policy Optimization with the clipped objective.
pub struct Ppo {
    config: PpoConfig,
    /// For actor and critic, or for both together.
    adam: Vec<Adam<f32>>,
    n_updates: u64,
    scratch: [Scratch<f32>; 2],
    shards: Shards<f32>,
    /// What is known of a second thread, which changes no result.
    ledger: Ledger,
}

impl Ppo {
    /// PPO with the given settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a setting that cannot be used.
    pub fn new(config: PpoConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Ppo {
            config,
            adam: Vec::new(),
            n_updates: 0,
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
        .with_schema(PpoConfig::schema())
}

/// Adam with Stable-Baselines3's ε.
fn new_adam(n_params: usize) -> Adam<f32> {
    Adam::new(n_params, AdamParams { eps: 1e-5, ..AdamParams::default() })
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
    fn add(&mut self, loss: &MinibatchLoss, config: &PpoConfig) {
        let MinibatchLoss { policy, critic, grad_norm } = loss;
        self.minibatches += 1.0;
        self.clip_fraction += policy.clip_fraction;
        self.policy_loss += policy.policy_loss;
        self.value_loss += critic.value_loss;
        self.loss +=
            policy.policy_loss - config.ent_coef * policy.entropy + config.vf_coef * critic.value_loss;
        self.grad_norm += grad_norm;
    }
}

impl Algorithm for Ppo {
    fn update(
        &mut self,
        agent: &mut ActorCritic,
        batch: &Batch,
        ctx: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError> {
        let learning_rate = self.config.learning_rate.at(ctx.progress_remaining);
        let loss_config = self.config.loss(ctx.progress_remaining);
        if self.adam.is_empty() {
            self.adam = Learners::sizes(agent).into_iter().map(new_adam).collect();
        }
        let before = (agent.theta().to_vec(), self.adam.clone(), self.n_updates);

        let mut ledger = std::mem::take(&mut self.ledger);
        let done = Pair::with(&mut ledger, |mut pair| {
            self.epochs(&mut pair, agent, batch, ctx, &loss_config, learning_rate)
        });
        self.ledger = ledger;
        let (totals, mut outcome) = done?;
        let mut change = self.change(agent, batch, ctx)?;
        if let Some(what) = change.non_finite().filter(|_| !outcome.is_rejected()) {
            outcome = Outcome::NonFinite(format!("the new policy's {what}"));
        }
        // 5
        if outcome.is_rejected() {
            agent.theta_mut().copy_from_slice(&before.0);
            (self.adam, self.n_updates) = (before.1, before.2);
            change = self.change(agent, batch, ctx)?;
        }
        Ok(self.report(batch, ctx, &totals, &change, outcome))
    }

    fn state(&self) -> Result<Option<State>, AlgoError> {
        let mut state =
            State::new("Ppo", 1).with("n_updates", self.n_updates)?.with("n_optimisers", self.adam.len())?;
        for (i, adam) in self.adam.iter().enumerate() {
            state = state.with_part(&format!("adam{i}"), adam_state(adam)?);
        }
        Ok(Some(state))
    }

    fn restore(&mut self, agent: &ActorCritic, state: &State) -> Result<(), AlgoError> {
        let state = state.owned_by("Ppo", 1)?;
        let mut adams = Vec::new();
        if state.value::<usize>("n_optimisers")? > 0 {
            for (i, size) in Learners::sizes(agent).into_iter().enumerate() {
                let mut adam = new_adam(size);
                restore_adam(&mut adam, state.part(&format!("adam{i}"))?)?;
                adams.push(adam);
            }
        }
        (self.n_updates, self.adam) = (state.value("n_updates")?, adams);
        Ok(())
    }

    fn check_rollout(&self, rollout_len: usize) -> Result<(), ConfigError> {
        let allowed = format!("at most n_steps · n_envs = {rollout_len}");
        check_setting("batch_size", self.config.batch_size, &allowed, self.config.batch_size <= rollout_len)
    }
}

impl Ppo {
    /// The numbered steps above.
    fn epochs(
        &mut self,
        pair: &mut Pair<'_>,
        agent: &mut ActorCritic,
        batch: &Batch,
        ctx: &mut UpdateContext<'_>,
        loss_config: &LossConfig,
        learning_rate: f64,
    ) -> Result<(Totals, Outcome), AlgoError> {
        let Ppo { config, adam, scratch, n_updates, .. } = self;
        let policy_batch = batch.policy_batch(agent, &batch.advantages)?;
        let Some(mut learners) = Learners::new(agent, adam, scratch) else {
            return Ok((Totals::default(), Outcome::Rejected("the agent is another one than before".into())));
        };
        let mut minibatches = Minibatches::new(batch.len());
        let (mut totals, mut outcome) = (Totals::default(), Outcome::Applied);
        // 1
        'update: for _ in 0..config.n_epochs {
            *n_updates += 1;
            for rows in minibatches.epoch(config.batch_size, ctx.rng) {
                // 2
                let minibatch = Minibatch {
                    policy: policy_batch,
                    returns: &batch.returns,
                    old_values: &batch.values,
                    rows,
                };
                let loss = learners.loss(pair, ctx.reducer, &minibatch, loss_config)?;
                totals.add(&loss, config);
                if ctx.stop.load(Ordering::Relaxed) {
                    break 'update;
                }
                // 5
                if !loss.grad_norm.is_finite() {
                    return Ok((totals, Outcome::NonFinite("a minibatch's gradient".into())));
                }
                // 3
                if config.target_kl.is_some_and(|target| loss.policy.approx_kl > 1.5 * target) {
                    outcome = Outcome::EarlyStopped;
                    break 'update;
                }
                // 4
                let scale = clip_scale(loss.grad_norm, config.max_grad_norm);
                learners.step_later(scale, learning_rate);
            }
        }
        learners.take_step()?;
        // 5: what the last step made of a finite gradient
        let moments = self.adam.iter().flat_map(|adam| &adam.v);
        if !agent.theta().iter().chain(moments).all(|x| x.is_finite()) {
            return Ok((totals, Outcome::NonFinite("a parameter".into())));
        }
        Ok((totals, outcome))
    }

    /// What the update did to the policy, over the whole batch.
    fn change(
        &mut self,
        agent: &ActorCritic,
        batch: &Batch,
        ctx: &UpdateContext<'_>,
    ) -> Result<PolicyChange, AlgoError> {
        let mut advantages = batch.advantages.clone();
        if self.config.normalize_advantage {
            rl_gae::normalize(&mut advantages);
        }
        let policy_batch = batch.policy_batch(agent, &advantages)?;
        let old = DistParams { y: &batch.rollout.policy_outputs, globals: &batch.rollout.policy_globals };
        let (policy, theta) = (agent.policy(), agent.policy_theta());
        Ok(policy_change(ctx.reducer, policy, theta, &policy_batch, old, &mut self.shards)?)
    }

    fn report(
        &self,
        batch: &Batch,
        ctx: &UpdateContext<'_>,
        totals: &Totals,
        change: &PolicyChange,
        outcome: Outcome,
    ) -> Report {
        let mean = |total: f64| total / totals.minibatches;
        Report {
            approx_kl: Some(change.kl_mean),
            kl_max: Some(change.kl_max),
            entropy: Some(change.entropy),
            value_loss: Some(mean(totals.value_loss)),
            explained_variance: rl_gae::explained_variance(&batch.values, &batch.returns),
            surrogate_gain: Some(change.surrogate_gain),
            grad_norm: Some(mean(totals.grad_norm)),
            learning_rate: Some(self.config.learning_rate.at(ctx.progress_remaining)),
            extra: vec![
                ("clip_fraction", mean(totals.clip_fraction)),
                ("policy_gradient_loss", mean(totals.policy_loss)),
                ("loss", mean(totals.loss)),
                ("n_updates", self.n_updates as f64),
                ("clip_range", self.config.clip_range.at(ctx.progress_remaining)),
            ],
            ..Report::new(outcome)
        }
    }
}
