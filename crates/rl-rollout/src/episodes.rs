//! Episodes in flight, and those that ended.

use rl_env::{EpisodeMetrics, StepEnd, VecEnv};
use rl_nn::{Data, NnError, State};

use crate::Rollout;

/// A finished episode.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// The sum of its raw rewards, as the environment gave them.
    pub ret: f64,
    /// Its number of steps.
    pub len: u64,
    /// Its metrics ([`VecEnv::metrics`]), NaN where no step gave a value; those of all its steps, also of one that its environment tells itself.
    pub metrics: Vec<f64>,
}

/// The episodes in flight, and those that ended.
pub(crate) struct Episodes {
    pub(crate) starts: Vec<bool>,
    pub(crate) returns: Vec<f64>,
    pub(crate) lens: Vec<u64>,
    pub(crate) metrics: EpisodeMetrics,
    /// With the step of their end.
    pub(crate) finished: Vec<(usize, Episode)>,
}

impl Episodes {
    /// Episodes that begin, in every environment of a vector.
    pub(crate) fn new(env: &dyn VecEnv) -> Self {
        let n = env.n_envs();
        Episodes {
            starts: vec![true; n],
            returns: vec![0.0; n],
            lens: vec![0; n],
            metrics: EpisodeMetrics::new(env.metrics(), n),
            finished: Vec::new(),
        }
    }

    /// Adds what the episodes in flight amount to; their metrics only where there are any, so that the states of others stay what they were.
    pub(crate) fn add_to(&self, state: State) -> Result<State, NnError> {
        let state = state
            .with("starts", &self.starts)?
            .with("lens", &self.lens)?
            .with_array("returns", Data::F64(self.returns.clone()));
        let (values, counts) = self.metrics.so_far();
        if values.is_empty() {
            return Ok(state);
        }
        Ok(state.with("metric_counts", counts)?.with_array("metrics", Data::F64(values.to_vec())))
    }

    /// Goes on with those of a state that [`add_to`](Self::add_to) made.
    pub(crate) fn restore(&mut self, state: &State) -> Result<(), NnError> {
        let n = self.starts.len();
        let (starts, lens): (Vec<bool>, Vec<u64>) = (state.value("starts")?, state.value("lens")?);
        let returns = state.f64s("returns")?;
        if [starts.len(), lens.len(), returns.len()] != [n; 3] {
            let message = format!("the state is of episodes of {} environments, expected {n}", starts.len());
            return Err(NnError::Saved(message));
        }
        if !self.metrics.so_far().0.is_empty() {
            let counts: Vec<u64> = state.value("metric_counts")?;
            if !self.metrics.go_on(state.f64s("metrics")?, &counts) {
                return Err(NnError::Saved("the state is of environments with other metrics".to_owned()));
            }
        }
        (self.starts, self.returns, self.lens) = (starts, returns.to_vec(), lens);
        self.finished.clear();
        Ok(())
    }

    /// Records the rewards and ends of step `t`, which was just taken.
    pub(crate) fn record(&mut self, t: usize, env: &dyn VecEnv, rollout: &mut Rollout) {
        let (obs_len, n, k) = (env.observation_space().flat_len(), env.n_envs(), env.metrics().len());
        let rewards = env.rewards().iter().zip(env.raw_rewards());
        let (valid, told) = (env.valid(), env.told_episodes());
        rollout.valid.extend_from_slice(valid.unwrap_or_default());
        for (i, ((&reward, &raw_reward), &end)) in rewards.zip(env.ends()).enumerate() {
            rollout.rewards.push(reward as f32);
            rollout.terminated.push(end == StepEnd::Terminated);
            rollout.truncated.push(end == StepEnd::Truncated);
            if end == StepEnd::Truncated {
                rollout.truncated_rows.push(t * n + i);
                let last = &env.final_observations()[i * obs_len..(i + 1) * obs_len];
                rollout.final_observations.extend_from_slice(last);
            }
            if valid.is_some_and(|valid| !valid[i]) {
                // No transition: the next row is the first of its episode as well.
                continue;
            }
            self.starts[i] = end.is_over();
            self.returns[i] += raw_reward;
            self.lens[i] += 1;
            if k > 0 {
                self.metrics.record(i, &env.metric_values()[i * k..(i + 1) * k]);
            }
            if let Some((ret, len)) = told.map(|told| told[i]).filter(|(_, len)| *len > 0) {
                self.finished.push((t, Episode { ret, len, metrics: self.metrics.finish(i) }));
            }
            if end.is_over() {
                if told.is_none() {
                    let metrics = self.metrics.finish(i);
                    self.finished.push((t, Episode { ret: self.returns[i], len: self.lens[i], metrics }));
                }
                self.returns[i] = 0.0;
                self.lens[i] = 0;
            }
        }
    }
}
