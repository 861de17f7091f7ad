//! A user's own environment, trained by PPO.
//!
//!     cargo run --release -p examples --example custom_env
//!
//! The mean return rises from 0.77 to about 0.95 (1 would be standing on the mark from the start) within a second.
#![allow(clippy::print_stdout, reason = "an example prints")]

use rl::algo::NetConfig;
use rl::env::{BoxSpace, Env, EnvError, EnvRng, EnvSpec, Space, Step, StepEnd};
use rl::ppo::{Ppo, PpoConfig};
use rl::rand::Rng;
use rl::train::{EvalConfig, TrainConfig, Trainer, new_agent};

/// A cart on a rail, pushed with a limited force; the reward is higher the nearer it is to the mark at 0, and it must not leave the rail.
#[derive(Default)]
struct Cart {
    x: f32,
    v: f32,
}

impl Env for Cart {
    type Action = [f32; 1];

    fn observation_space(&self) -> Space {
        BoxSpace::symmetric(&[1.5, 2.0]).into()
    }

    fn action_space(&self) -> Space {
        BoxSpace::symmetric(&[1.0]).into()
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        (self.x, self.v) = (rng.random_range(-1.0..1.0), 0.0);
        obs.copy_from_slice(&[self.x, self.v]);
        Ok(())
    }

    fn step(&mut self, &[force]: &[f32; 1], _: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.v = (self.v + 0.1 * force.clamp(-1.0, 1.0)).clamp(-2.0, 2.0);
        self.x += 0.1 * self.v;
        let fell = self.x.abs() > 1.25;
        obs.copy_from_slice(&[self.x.clamp(-1.5, 1.5), self.v]);
        let reward = if fell { -1.0 } else { 0.01 * (1.0 - f64::from(self.x.abs())) };
        Ok(Step { reward, end: if fell { StepEnd::Terminated } else { StepEnd::Continues } })
    }
}

fn main() -> anyhow::Result<()> {
    // A hundred steps an episode; the time limit truncates, and truncation bootstraps from the final state's value.
    let env = EnvSpec::with_time_limit("Cart-v0", 100, Cart::default);
    // The environment keeps its contract; what it does not refuse itself (a force that is no number), the specification does.
    let findings = env.check();
    anyhow::ensure!(findings.is_empty(), "the environment breaks its contract: {findings:?}");
    let ppo = PpoConfig { learning_rate: 1e-3.into(), batch_size: 256, ..PpoConfig::default() };
    for total_steps in [2_048, 16_384, 65_536] {
        let config =
            TrainConfig { n_envs: 8, n_steps: 256, total_steps, gamma: 0.98, ..TrainConfig::default() };
        let agent = new_agent(&env, &NetConfig::default(), 0)?;
        let summary = Trainer::new(&env, config, agent, Box::new(Ppo::new(ppo.clone())?), 0)?
            .with_evaluation(&env, EvalConfig::tenths(total_steps))?
            .run()?;
        let eval = summary.eval.ok_or_else(|| anyhow::anyhow!("the run ended before its evaluation"))?;
        println!("{total_steps:6} steps: mean return {:6.3} ± {:.3}", eval.mean, eval.std);
    }
    Ok(())
}
