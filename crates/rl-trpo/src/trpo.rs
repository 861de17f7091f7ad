//! TRPO as an algorithm.
//!
//! ```text
//! 1. A ← (A − mean A) / (std A + 1e-8)
//! 2. the policy takes one trust-region step on the whole batch     ┐ independent given A and the returns:
//! 3. the critic is fitted to the returns by minibatch regression   ┘ side by side
//! ```
//!
//! A trunk that both share is the policy's: the step of 2 moves it. The fit of 3 follows then, on the features that the trunk gives afterwards, and moves
//! what only values depend on, so that the trust region holds for the update as a whole.

use rl_algo::{
    ActorCritic, AlgoError, Algorithm, AlgorithmSpec, Batch, Config, ConfigError, CriticFit, Outcome, Parts,
    Report, UpdateContext, adam_state, check_setting, fit_critic, restore_adam,
};
use rl_nn::{Shards, State, States};
use rl_optim::{Adam, AdamParams};

use crate::{PolicyStep, TrpoConfig, policy_step};

/// Trust Region Policy Optimization.
pub struct Trpo {
    config: TrpoConfig,
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
        Ok(Trpo { config, adam: None, policy_shards: Shards::new(), critic_shards: Shards::new() })
    }
}

/// Adam with Stable-Baselines3's ε.
fn new_adam(n_params: usize) -> Adam<f32> {
    Adam::new(n_params, AdamParams { eps: 1e-5, ..AdamParams::default() })
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
        let Trpo { config, adam, policy_shards, critic_shards } = self;
        let learning_rate = config.learning_rate.at(ctx.progress_remaining);
        let fit =
            CriticFit { learning_rate, n_epochs: config.n_critic_updates, batch_size: config.batch_size };
        let (reducer, rng) = (ctx.reducer, &mut *ctx.rng);

        // 1
        let mut advantages = batch.advantages.clone();
        if config.normalize_advantage {
            rl_gae::normalize(&mut advantages);
        }
        let policy_batch = batch.policy_batch(agent, &advantages)?;

        // 2, 3
        let Parts { policy, policy_theta, critic, critic_theta, trunk } = agent.parts_mut();
        let adam = adam.get_or_insert_with(|| new_adam(critic_theta.len()));
        let (states, returns) = (policy_batch.observations, &batch.returns[..]);
        let take_step =
            |theta: &mut [f32], shards| policy_step(reducer, policy, theta, &policy_batch, config, shards);
        let mut fit_to =
            |x, shards| fit_critic(reducer, critic, critic_theta, x, returns, &fit, adam, rng, shards);
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
        let (step, critic) = (step?, critic?);

        let step = if critic.finite {
            step
        } else {
            // The policy's step is undone with the rest.
            PolicyStep::refused(
                Outcome::NonFinite("a parameter of the critic".into()),
                step.grad_norm,
                step.entropy,
            )
        };
        let mut report = report(&step);
        if let Outcome::NonFinite(_) = report.outcome {
            agent.theta_mut().copy_from_slice(&before.0);
            self.adam = before.1;
        }
        report.extra.push(("critic_rejected", if critic.finite { 0.0 } else { 1.0 }));
        report.value_loss = Some(critic.value_loss);
        report.learning_rate = Some(learning_rate);
        report.explained_variance = rl_gae::explained_variance(&batch.values, &batch.returns);
        Ok(report)
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
                let mut adam = new_adam(agent.critic_theta().len());
                restore_adam(&mut adam, part)?;
                Some(adam)
            }
        };
        Ok(())
    }

    fn check_rollout(&self, rollout_len: usize) -> Result<(), ConfigError> {
        let allowed = format!("at most n_steps · n_envs = {rollout_len}");
        check_setting("batch_size", self.config.batch_size, &allowed, self.config.batch_size <= rollout_len)
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
