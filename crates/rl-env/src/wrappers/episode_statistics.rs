use crate::{Env, EnvError, EnvRng, EnvState, Frame, Metric, Space, Step, StepEnd};

/// An episode that has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Episode {
    /// The sum of its rewards.
    pub total_reward: f64,
    /// Its steps.
    pub length: u64,
    /// How it ended.
    pub end: StepEnd,
}

/// Keeps the last episode's return and length, and counts episodes.
///
/// Outermost, it sees what the learner sees; under a wrapper that changes rewards, the raw ones.
#[derive(Clone, Debug)]
pub struct EpisodeStatistics<E> {
    env: E,
    total_reward: f64,
    length: u64,
    last: Option<Episode>,
    episodes: u64,
}

impl<E> EpisodeStatistics<E> {
    /// Watches `env`.
    pub fn new(env: E) -> Self {
        EpisodeStatistics { env, total_reward: 0.0, length: 0, last: None, episodes: 0 }
    }

    /// The last episode that ended.
    pub fn last_episode(&self) -> Option<Episode> {
        self.last
    }

    /// How many episodes have ended.
    pub fn episodes(&self) -> u64 {
        self.episodes
    }

    /// Return and length of the episode in flight.
    pub fn running(&self) -> (f64, u64) {
        (self.total_reward, self.length)
    }

    /// The wrapped environment.
    pub fn inner(&self) -> &E {
        &self.env
    }
}

impl<E: Env> Env for EpisodeStatistics<E> {
    type Action = E::Action;

    fn observation_space(&self) -> Space {
        self.env.observation_space()
    }

    fn action_space(&self) -> Space {
        self.env.action_space()
    }

    #[inline]
    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        self.env.reset(rng, obs)?;
        (self.total_reward, self.length) = (0.0, 0);
        Ok(())
    }

    #[inline]
    fn step(&mut self, action: &Self::Action, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        let step = self.env.step(action, rng, obs)?;
        self.total_reward += step.reward;
        self.length += 1;
        if step.end.is_over() {
            self.last = Some(Episode { total_reward: self.total_reward, length: self.length, end: step.end });
            self.episodes += 1;
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
        let state =
            EnvState::new("EpisodeStatistics").f64(self.total_reward).u64(self.length).u64(self.episodes);
        let (reward, length, end) = match self.last {
            None => (0.0, 0, 0),
            Some(e) => (e.total_reward, e.length, if e.end == StepEnd::Terminated { 1 } else { 2 }),
        };
        Some(state.u64(end).f64(reward).u64(length).wrapping(self.env.save()?))
    }

    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let mut words = state.read("EpisodeStatistics")?;
        let (total_reward, length, episodes) = (words.f64()?, words.u64()?, words.u64()?);
        let end = [StepEnd::Continues, StepEnd::Terminated, StepEnd::Truncated][words.usize_up_to(2)?];
        let last = Episode { total_reward: words.f64()?, length: words.u64()?, end };
        words.finish()?;
        self.env.restore(state.wrapped()?)?;
        (self.total_reward, self.length, self.episodes) = (total_reward, length, episodes);
        self.last = end.is_over().then_some(last);
        Ok(())
    }

    fn render(&self) -> Option<Frame> {
        self.env.render()
    }
}
