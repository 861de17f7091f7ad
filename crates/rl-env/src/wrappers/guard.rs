use crate::{Env, EnvError, EnvRng, EnvState, Frame, Space, Step};

/// Refuses to step an episode that has ended, for an environment that does not itself; the registry adds it.
#[derive(Clone, Debug)]
pub struct Guard<E> {
    env: E,
    over: bool,
}

impl<E> Guard<E> {
    /// Guards `env`.
    pub fn new(env: E) -> Self {
        Guard { env, over: false }
    }

    /// The wrapped environment.
    pub fn inner(&self) -> &E {
        &self.env
    }
}

impl<E: Env> Env for Guard<E> {
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
        self.over = false;
        Ok(())
    }

    #[inline(always)]
    fn step(&mut self, action: &Self::Action, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        if self.over {
            return Err(EnvError::NeedsReset { when: "after the end of the episode" });
        }
        let step = self.env.step(action, rng, obs)?;
        self.over = step.end.is_over();
        Ok(step)
    }

    fn action_mask(&self, mask: &mut [bool]) -> bool {
        self.env.action_mask(mask)
    }

    fn save(&self) -> Option<EnvState> {
        Some(EnvState::new("Guard").bool(self.over).wrapping(self.env.save()?))
    }

    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let mut words = state.read("Guard")?;
        let over = words.bool()?;
        words.finish()?;
        self.env.restore(state.wrapped()?)?;
        self.over = over;
        Ok(())
    }

    fn render(&self) -> Option<Frame> {
        self.env.render()
    }
}
