use crate::{Env, EnvError, EnvRng, EnvState, Frame, Metric, Space, Step, StepEnd};

/// Truncates an episode after `max_episode_steps` steps; a termination on that very step stays a termination. Refuses to
/// step an episode that has ended, and to start one where the limit is 0: no step could be taken in it.
#[derive(Clone, Debug)]
pub struct TimeLimit<E> {
    env: E,
    max_episode_steps: u32,
    elapsed: u32,
}

impl<E> TimeLimit<E> {
    /// Limits `env` to `max_episode_steps` steps an episode.
    pub fn new(env: E, max_episode_steps: u32) -> Self {
        TimeLimit { env, max_episode_steps, elapsed: 0 }
    }

    /// The wrapped environment.
    pub fn inner(&self) -> &E {
        &self.env
    }

    /// The wrapped environment, mutably.
    pub fn inner_mut(&mut self) -> &mut E {
        &mut self.env
    }
}

impl<E: Env> Env for TimeLimit<E> {
    type Action = E::Action;

    fn observation_space(&self) -> Space {
        self.env.observation_space()
    }

    fn action_space(&self) -> Space {
        self.env.action_space()
    }

    #[inline]
    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        if self.max_episode_steps == 0 {
            return Err(EnvError::Contract("a time limit of 0 steps leaves no step to take".into()));
        }
        self.env.reset(rng, obs)?;
        self.elapsed = 0;
        Ok(())
    }

    #[inline(always)]
    fn step(&mut self, action: &Self::Action, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        if self.elapsed >= self.max_episode_steps {
            return Err(EnvError::NeedsReset { when: "after the end of the episode" });
        }
        let mut step = self.env.step(action, rng, obs)?;
        self.elapsed += 1;
        if step.end.is_over() {
            // No step is left, whatever the environment itself would do.
            self.elapsed = self.max_episode_steps;
        } else if self.elapsed >= self.max_episode_steps {
            step.end = StepEnd::Truncated;
        }
        Ok(step)
    }

    fn action_mask(&self, mask: &mut [bool]) -> bool {
        self.env.action_mask(mask)
    }

    fn metrics(&self) -> Vec<Metric> {
        self.env.metrics()
    }

    fn read_metrics(&self, values: &mut [f64]) {
        self.env.read_metrics(values);
    }

    fn save(&self) -> Option<EnvState> {
        Some(EnvState::new("TimeLimit").u64(self.elapsed.into()).wrapping(self.env.save()?))
    }

    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let mut words = state.read("TimeLimit")?;
        let elapsed = words.usize_up_to(self.max_episode_steps as usize)?;
        words.finish()?;
        self.env.restore(state.wrapped()?)?;
        self.elapsed = elapsed as u32;
        Ok(())
    }

    fn render(&self) -> Option<Frame> {
        self.env.render()
    }
}
