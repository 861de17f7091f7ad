//! TRPO as an algorithm.
//!
//! ```text
//! 1. A ← (A − mean A) / (std A + 1e-8); where `std A` is below a floor f·rms(R), δ ← δ (std A / (f·rms(R)))²
//! 2. the policy takes one trust-region step on the whole batch     ┐ independent given A and the returns:
//! 3. the critic is fitted to the returns by regression             ┘ side by side
//! 4. what is not finite afterwards is undone as a whole
//! ```
//!
//! The length of a trust-region step does not depend on the scale of A, so a batch whose advantages are nothing but the critic's last errors moves the policy
//! as far as any other. The floor of 1, which is off by default, makes such steps shorter: as much shorter as the advantages are smaller than the floor.
//!
//! A trunk that both share is the policy's: the step of 2 moves it. The fit of 3 follows then, on the features that the trunk gives afterwards, and moves
//! what only values depend on, so that the trust region holds for the update as a whole.

use rl_algo::{
    ActorCritic, AlgoError, Algorithm, AlgorithmSpec, Batch, Config, ConfigError, CriticFit, CriticReport,
    Outcome, Parts, PolicyBatch, Report, Settings, Setup, UpdateContext, adam_state, check_setting,
    fit_critic, restore_adam,
};
use rl_nn::{Shards, State, States};
use rl_optim::{Adam, AdamParams};

use crate::{KlDirection, KlReduction, PolicyStep, Search, StepConfig, TrpoConfig, policy_step};

/// Trust Region Policy Optimization.
pub struct Trpo {
    config: TrpoConfig,
    /// Whether a line search follows the direction; [`crate::Npg`] takes the full step.
    searches: bool,
    adam: Option<Adam<f32>>,
    policy_shards: Shards<f32>,
    critic_shards: Shards<f32>,
}

impl Trpo {
    /// TRPO with the given settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a setting that cannot be used.
    pub fn new(config: TrpoConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let (policy_shards, critic_shards) = (Shards::new(), Shards::new());
        Ok(Trpo { config, searches: true, adam: None, policy_shards, critic_shards })
    }

    /// The same without a line search.
    pub(crate) fn taking_full_steps(self) -> Self {
        Trpo { searches: false, ..self }
    }

    fn step_config(&self, progress_remaining: f64) -> StepConfig {
        let step = self.config.step(progress_remaining);
        if self.searches { step } else { StepConfig { search: Search::FullStep, ..step } }
    }

    fn new_adam(&self, n_params: usize) -> Adam<f32> {
        Adam::new(n_params, AdamParams { eps: self.config.adam_eps, ..AdamParams::default() })
    }
}

/// TRPO by name, with sb3-contrib's names of its settings as aliases.
pub fn spec() -> AlgorithmSpec {
    let make = |config: TrpoConfig| Ok(Trpo::new(config)?);
    AlgorithmSpec::new("trpo", "Trust Region Policy Optimization (Schulman et al. 2015)", make)
        .with_schema(TrpoConfig::schema())
        .with_aliases(&[
            ("target_kl", "max_kl"),
            ("cg_max_steps", "cg_iters"),
            ("line_search_shrinking_factor", "backtrack_coeff"),
            ("line_search_max_iter", "backtrack_iters"),
        ])
}

impl Algorithm for Trpo {
    fn update(
        &mut self,
        agent: &mut ActorCritic,
        batch: &Batch,
        ctx: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError> {
        let before = (agent.theta().to_vec(), self.adam.clone());
        let mut config = self.step_config(ctx.progress_remaining);
        let fit = self.config.critic(ctx.progress_remaining);

        // 1
        let mut advantages = batch.advantages.clone();
        if self.config.normalize_advantage {
            rl_gae::normalize(&mut advantages);
        }
        let shortened = self.shortened(batch);
        config.max_kl *= shortened * shortened;
        let policy_batch = batch.policy_batch(agent, &advantages)?;

        // 2, 3
        let (mut step, critic) = self.step_and_fit(agent, batch, &policy_batch, (&config, &fit), ctx)?;

        // 4
        if !critic.finite {
            step = step.undone(Outcome::NonFinite("a parameter of the critic".into()));
        }
        if let Outcome::NonFinite(_) = step.outcome {
            agent.theta_mut().copy_from_slice(&before.0);
            self.adam = before.1;
        }
        let mut report = report(&step);
        report.extra.push(("critic_rejected", if critic.finite { 0.0 } else { 1.0 }));
        report.extra.push(("max_kl", config.max_kl));
        self.tell_constraint(&mut report, &step, (config.max_kl, agent));
        report.value_loss = Some(critic.value_loss);
        report.learning_rate = Some(fit.learning_rate);
        report.explained_variance = rl_gae::explained_variance(&batch.values, &batch.returns);
        Ok(report)
    }

    fn description(&self) -> (&str, Settings) {
        ("trpo", self.config.written())
    }

    fn state(&self) -> Result<Option<State>, AlgoError> {
        let state = State::new("Trpo", 1);
        Ok(Some(match &self.adam {
            None => state,
            Some(adam) => state.with_part("adam", adam_state(adam)?),
        }))
    }

    fn restore(&mut self, agent: &ActorCritic, state: &State) -> Result<(), AlgoError> {
        let state = state.owned_by("Trpo", 1)?;
        self.adam = match state.parts().next() {
            None => None,
            Some((_, part)) => {
                let mut adam = self.new_adam(agent.critic_theta().len());
                restore_adam(&mut adam, part)?;
                Some(adam)
            }
        };
        Ok(())
    }

    fn check_setup(&self, setup: &Setup) -> Result<(), ConfigError> {
        let Some(batch_size) = self.config.batch_size else { return Ok(()) };
        let allowed = format!("at most n_steps · n_envs = {}, or none", setup.rollout_len);
        check_setting("batch_size", batch_size, &allowed, batch_size <= setup.rollout_len)
    }
}

impl Trpo {
    /// What the trust region bounds, where that is not the divergence that every algorithm reports: its own number, and for one that is a mean over action
    /// dimensions its limit as one on their sum.
    fn tell_constraint(&self, report: &mut Report, step: &PolicyStep, (max_kl, agent): (f64, &ActorCritic)) {
        let is_mean = self.config.kl_reduction == KlReduction::MeanPerDim;
        if is_mean || self.config.kl_direction == KlDirection::NewOld {
            report.extra.push(("constraint_kl", step.constraint_kl));
        }
        if is_mean {
            let dimensions = agent.policy().distribution.action_len() as f64;
            report.extra.push(("max_kl_sum", dimensions * max_kl));
        }
    }

    /// By how much the floor of step 1 shortens the policy's step: 1 for not at all.
    fn shortened(&self, batch: &Batch) -> f64 {
        let Some(floor) = self.config.advantage_std_floor else { return 1.0 };
        let share = rl_gae::advantage_share(&batch.advantages, &batch.returns);
        // What is not finite is the step's to refuse.
        share.map_or(1.0, |share| (share / floor).min(1.0))
    }

    /// Steps 2 and 3: on two threads, or one after the other where a trunk is shared.
    fn step_and_fit(
        &mut self,
        agent: &mut ActorCritic,
        batch: &Batch,
        policy_batch: &PolicyBatch<'_, f32>,
        (config, fit): (&StepConfig, &CriticFit),
        ctx: &mut UpdateContext<'_>,
    ) -> Result<(PolicyStep, CriticReport), AlgoError> {
        let adam = self.adam.take().unwrap_or_else(|| self.new_adam(agent.critic_theta().len()));
        let Trpo { policy_shards, critic_shards, .. } = self;
        let adam = self.adam.insert(adam);
        let (reducer, rng, targets) = (ctx.reducer, &mut *ctx.rng, batch.critic_targets());
        let Parts { policy, policy_theta, critic, critic_theta, trunk } = agent.parts_mut();
        let states = policy_batch.observations;

        let take_step =
            |theta: &mut [f32], shards| policy_step(reducer, policy, theta, policy_batch, config, shards);
        let mut fit_to =
            |x, shards| fit_critic(reducer, critic, critic_theta, x, targets, fit, adam, rng, shards);
        let (step, critic) = match trunk {
            None => rayon::join(
                || take_step(policy_theta, policy_shards),
                || fit_to(States::new(states.obs(), states.width())?, critic_shards),
            ),
            Some(trunk) => {
                let step = take_step(&mut *policy_theta, &mut *policy_shards);
                let mut features = vec![0.0; states.rows() * trunk.n_outputs()];
                let trunk_theta = &policy_theta[..trunk.n_params()];
                policy_shards.forward(trunk, trunk_theta, &states, &mut features)?;
                (step, fit_to(States::new(&features, trunk.n_outputs())?, critic_shards))
            }
        };
        Ok((step?, critic?))
    }
}

fn report(step: &PolicyStep) -> Report {
    let (cg, search) = (step.cg.as_ref(), step.line_search.as_ref());
    Report {
        approx_kl: Some(step.kl),
        kl_max: Some(step.kl_max),
        entropy: Some(step.entropy),
        surrogate_gain: Some(step.improvement),
        grad_norm: Some(step.grad_norm),
        extra: vec![
            ("cg_residual", cg.map_or(f64::NAN, |cg| cg.residual_norm)),
            ("cg_iters", cg.map_or(0.0, |cg| cg.iters as f64)),
            ("backtracks", search.map_or(0.0, |search| search.backtracks as f64)),
            ("accepted", if step.outcome == Outcome::Applied { 1.0 } else { 0.0 }),
            ("step_size", step.step_size),
            ("expected_gain", step.expected_improvement),
        ],
        ..Report::new(step.outcome.clone())
    }
}
