//! A test that says whether a user's own environment can be learned, and how often it is wrong, for continuous integration.
//!
//!     cargo run --release -p examples --example test_your_env
//!
//! PPO learns the corridor with every seed, so eight seeds are enough; a corridor that gives no hint of where the walker is fails after
//! two or three.
#![allow(clippy::print_stdout, reason = "an example prints")]

use rl::env::{BoxSpace, Env, EnvError, EnvRng, EnvSpec, Space, Step, StepEnd};
use rl::ppo::{Ppo, PpoConfig};
use rl::train::TrainConfig;
use rl::train::testing::{Learned, Learns, learns};

/// Walk from the middle to the end that the lamp shows; every step costs a tenth, the right end pays 1 and the wrong one −1.
struct Corridor {
    x: i32,
    goal: i32,
    lamp: bool,
}

impl Env for Corridor {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::symmetric(&[1.0, 1.0]).into()
    }

    fn action_space(&self) -> Space {
        Space::Discrete(2)
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        (self.x, self.goal) = (0, if rl::rand::Rng::random(rng) { 3 } else { -3 });
        self.show(obs);
        Ok(())
    }

    fn step(&mut self, action: &usize, _: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.x += if *action == 1 { 1 } else { -1 };
        self.show(obs);
        Ok(match (self.x == self.goal, self.x.abs() == 3) {
            (true, _) => Step { reward: 0.9, end: StepEnd::Terminated },
            (false, true) => Step { reward: -1.1, end: StepEnd::Terminated },
            (false, false) => Step { reward: -0.1, end: StepEnd::Continues },
        })
    }
}

impl Corridor {
    fn show(&self, obs: &mut [f32]) {
        let lamp = if self.lamp { self.goal.signum() as f32 } else { 0.0 };
        obs.copy_from_slice(&[self.x as f32 / 3.0, lamp]);
    }
}

/// Three steps to the right end are worth 0.7, and half of them to the wrong one −0.3 on average.
fn can_be_learned(lamp: bool) -> anyhow::Result<Learned> {
    let env = EnvSpec::with_time_limit("Corridor-v0", 50, move || Corridor { x: 0, goal: 3, lamp });
    let ppo = PpoConfig { learning_rate: 1e-3.into(), batch_size: 128, ..PpoConfig::default() };
    let test = Learns {
        threshold: 0.65,
        train: TrainConfig { n_envs: 8, n_steps: 64, total_steps: 20_480, ..TrainConfig::default() },
        ..Learns::default()
    };
    Ok(learns(&env, || Ok(Box::new(Ppo::new(ppo.clone())?)), &test)?)
}

fn main() -> anyhow::Result<()> {
    println!("with a lamp:    {}", can_be_learned(true)?);
    println!("without a lamp: {}", can_be_learned(false)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corridor_can_be_learned() {
        let learned = can_be_learned(true).unwrap();
        assert!(learned.passes(), "{learned}");
    }

    #[test]
    fn without_a_lamp_it_cannot() {
        let learned = can_be_learned(false).unwrap();
        assert!(!learned.passes(), "{learned}");
    }
}
