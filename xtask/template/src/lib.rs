//! An environment of your own: change it into yours.

use rl::prelude::*;

/// What the command line calls it.
pub const ID: &str = "Corridor-v0";

/// Steps from one end of the corridor to the other.
const LENGTH: usize = 5;

/// Walk right from 0 to 5; every step costs 1.
#[derive(Default)]
pub struct Corridor {
    x: usize,
}

impl Env for Corridor {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::uniform(0.0, LENGTH as f32, &[1]).into()
    }

    fn action_space(&self) -> Space {
        Space::Discrete(2)
    }

    /// What is random comes from `rng`, so that a seed gives the same episodes again.
    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        self.x = rng.random_range(0..2);
        obs[0] = self.x as f32;
        Ok(())
    }

    fn step(&mut self, &action: &usize, _: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.x = match action {
            0 => self.x.saturating_sub(1),
            _ => self.x + 1,
        };
        obs[0] = self.x as f32;
        let end = if self.x == LENGTH { StepEnd::Terminated } else { StepEnd::Continues };
        Ok(Step { reward: -1.0, end })
    }
}

/// The environment under its name: at most fifty steps an episode, solved where the mean return is at least -5.
pub fn env() -> EnvSpec {
    EnvSpec::with_time_limit(ID, 50, Corridor::default).with_reward_threshold(-5.0)
}
