//! Stepping environments with a policy.

use rl_env::rng::stream;
use rl_env::{ActionsRef, Space, StepEnd, VecEnv};
use rl_nn::dist::SampleRng;
use rl_nn::{Actions, Input, PolicyModel, Workspace};

use crate::{Rollout, RolloutError};

/// A finished episode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Episode {
    /// The sum of its raw rewards, as the environment gave them.
    pub ret: f64,
    /// Its number of steps.
    pub len: u64,
}

/// Steps a [`VecEnv`] with a stochastic policy and records what happens.
///
/// Every environment has a generator of its own for its dynamics and another for the actions taken in it, both derived from the seed.
/// Rollouts hold observations and rewards as the `VecEnv` gives them, normalised where it normalises; episodes count raw rewards.
pub struct Collector {
    env: Box<dyn VecEnv>,
    rngs: Vec<SampleRng>,
    bounds: Option<Vec<(f32, f32)>>,
    starts: Vec<bool>,
    returns: Vec<f64>,
    lens: Vec<u64>,
    ws: Workspace<f32>,
    clipped: Vec<f32>,
}

impl Collector {
    /// Starts an episode in every environment.
    ///
    /// # Errors
    ///
    /// [`RolloutError::Env`] when an environment does not start, [`RolloutError::Masked`] for one that masks actions.
    pub fn new(mut env: Box<dyn VecEnv>, seed: u64) -> Result<Self, RolloutError> {
        env.reset(seed, "env")?;
        if env.action_masks().is_some() {
            return Err(RolloutError::Masked);
        }
        let n = env.n_envs();
        let bounds = match env.action_space() {
            Space::Box(space) => Some(space.low.iter().copied().zip(space.high.iter().copied()).collect()),
            _ => None,
        };
        Ok(Collector {
            rngs: (0..n).map(|i| stream(seed, "action", i as u64)).collect(),
            bounds,
            starts: vec![true; n],
            returns: vec![0.0; n],
            lens: vec![0; n],
            env,
            ws: Workspace::default(),
            clipped: Vec::new(),
        })
    }

    /// The environments.
    pub fn env(&self) -> &dyn VecEnv {
        &*self.env
    }

    /// Takes `n_steps` steps in every environment with `a ~ π_θ(·|s)`; episodes in flight go on from call to call.
    ///
    /// The episodes that finished are appended to `finished` in the order of their end. Actions of a `Box` space are clipped to its bounds for
    /// the environment; the rollout keeps the unclipped sample and its log-probability.
    ///
    /// # Errors
    ///
    /// [`RolloutError::Mismatch`] for a policy of other sizes than the environment's, [`RolloutError::NonFinite`] for one
    /// whose parameters are no longer finite, [`RolloutError::Env`] for a failing environment.
    pub fn collect(
        &mut self,
        policy: &PolicyModel<f32>,
        theta: &[f32],
        n_steps: usize,
        rollout: &mut Rollout,
        finished: &mut Vec<Episode>,
    ) -> Result<(), RolloutError> {
        let n = self.env.n_envs();
        let obs_len = self.env.observation_space().flat_len();
        let action_len = self.env.action_space().action_len();
        let n_outputs = policy.network.n_outputs();
        let mismatch = |what, policy, env| Err(RolloutError::Mismatch { what, policy, env });
        if policy.network.n_inputs() != obs_len {
            return mismatch("elements of an observation", policy.network.n_inputs(), obs_len);
        }
        if policy.distribution.action_len() != action_len {
            return mismatch("elements of an action", policy.distribution.action_len(), action_len);
        }
        let (net_theta, globals) = policy.split(theta)?;

        rollout.clear();
        rollout.n_envs = n;
        rollout.policy_globals.extend_from_slice(globals);
        for t in 0..n_steps {
            let (row, y_start, a_start) = (t * n, t * n * n_outputs, t * n * action_len);
            rollout.observations.extend_from_slice(self.env.observations());
            rollout.episode_starts.extend_from_slice(&self.starts);
            rollout.policy_outputs.resize(y_start + n * n_outputs, 0.0);
            rollout.log_probs.resize(row + n, 0.0);

            let y = &mut rollout.policy_outputs[y_start..];
            let x = Input::new(self.env.observations(), obs_len)?;
            policy.network.forward(net_theta, x, y, &mut self.ws)?;
            let log_probs = &mut rollout.log_probs[row..];
            let params = policy.params(y, theta)?;
            policy.distribution.sample(params, &mut self.rngs, &mut rollout.actions, log_probs)?;
            if let Some(env) = log_probs.iter().position(|p| !p.is_finite()) {
                return Err(RolloutError::NonFinite { env, step: t, log_prob: log_probs[env] });
            }

            let actions = match &rollout.actions {
                Actions::Discrete(a) => ActionsRef::Discrete(&a[a_start..]),
                Actions::Continuous(a) => {
                    ActionsRef::Continuous(clip(&a[a_start..], &self.bounds, &mut self.clipped))
                }
            };
            self.env.step(actions)?;
            rollout.n_steps = t + 1;
            self.record_outcome(row, rollout, finished);
        }
        rollout.last_observations.extend_from_slice(self.env.observations());
        Ok(())
    }

    /// Records the rewards and ends of the step just taken.
    fn record_outcome(&mut self, row: usize, rollout: &mut Rollout, finished: &mut Vec<Episode>) {
        let obs_len = self.env.observation_space().flat_len();
        let rewards = self.env.rewards().iter().zip(self.env.raw_rewards());
        for (i, ((&reward, &raw_reward), &end)) in rewards.zip(self.env.ends()).enumerate() {
            rollout.rewards.push(reward as f32);
            rollout.terminated.push(end == StepEnd::Terminated);
            rollout.truncated.push(end == StepEnd::Truncated);
            if end == StepEnd::Truncated {
                rollout.truncated_rows.push(row + i);
                let last = &self.env.final_observations()[i * obs_len..(i + 1) * obs_len];
                rollout.final_observations.extend_from_slice(last);
            }
            self.starts[i] = end.is_over();
            self.returns[i] += raw_reward;
            self.lens[i] += 1;
            if end.is_over() {
                finished.push(Episode { ret: self.returns[i], len: self.lens[i] });
                self.returns[i] = 0.0;
                self.lens[i] = 0;
            }
        }
    }
}

/// Actions limited to their bounds, in a buffer that is reused.
fn clip<'a>(actions: &'a [f32], bounds: &Option<Vec<(f32, f32)>>, buffer: &'a mut Vec<f32>) -> &'a [f32] {
    let Some(bounds) = bounds else { return actions };
    buffer.clear();
    buffer.extend(actions.iter().zip(bounds.iter().cycle()).map(|(a, &(low, high))| a.clamp(low, high)));
    buffer
}
