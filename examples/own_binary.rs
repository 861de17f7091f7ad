//! A user's own program: the whole command line, with an environment and an algorithm more.
//!
//!     cargo run --release -p examples --example own_binary
//!     cargo run --release -p examples --example own_binary -- check-env Corridor-v0
//!     cargo run --release -p examples --example own_binary -- compare relay ppo --env Corridor-v0 --env CartPole-v1
//!
//! Without arguments it trains PPO in the corridor, which takes a second and ends at the best return there is, -5.

use std::ffi::OsString;
use std::process::ExitCode;

use rl::algo::{
    ActorCritic, AlgoError, Algorithm, AlgorithmSpec, Batch, ConfigError, Report, Setup, UpdateContext,
};
use rl::cli::App;
use rl::env::{BoxSpace, Env, EnvError, EnvRng, EnvSpec, Frame, Space, Step, StepEnd};
use rl::ppo::{Ppo, PpoConfig};
use rl::trpo::{Trpo, TrpoConfig};
use serde::{Deserialize, Serialize};

/// Walk right from 0 to 5; every step costs 1.
#[derive(Default)]
struct Corridor {
    x: usize,
}

impl Env for Corridor {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::uniform(0.0, 5.0, &[1]).into()
    }

    fn action_space(&self) -> Space {
        Space::Discrete(2)
    }

    fn reset(&mut self, _: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        self.x = 0;
        obs[0] = 0.0;
        Ok(())
    }

    fn step(&mut self, &action: &usize, _: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.x = match action {
            0 => self.x.saturating_sub(1),
            1 => self.x + 1,
            other => return Err(EnvError::invalid_action(other, Env::action_space(self))),
        };
        obs[0] = self.x as f32;
        let end = if self.x == 5 { StepEnd::Terminated } else { StepEnd::Continues };
        Ok(Step { reward: -1.0, end })
    }

    /// What `play` draws: six cells, the present one blue.
    fn render(&self) -> Option<Frame> {
        const CELL: usize = 32;
        let (width, height) = (6 * CELL, CELL);
        let colour = |i| {
            if i % width / CELL == self.x { [30, 120, 220] } else { [240, 240, 240] }
        };
        Some(Frame {
            width: width as u32,
            height: height as u32,
            rgb: (0..width * height).flat_map(colour).collect(),
        })
    }
}

/// PPO in the beginning, TRPO's guarded steps in the end.
struct Relay {
    switch_at: f64,
    ppo: Ppo,
    trpo: Trpo,
}

/// Settings are keys of the command line: `--set switch_at=0.3`.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RelayConfig {
    /// The share of training that remains for TRPO.
    switch_at: f64,
}

impl Default for RelayConfig {
    fn default() -> Self {
        RelayConfig { switch_at: 0.5 }
    }
}

impl Relay {
    fn new(config: RelayConfig) -> Result<Self, AlgoError> {
        Ok(Relay {
            switch_at: config.switch_at,
            ppo: Ppo::new(PpoConfig::default())?,
            trpo: Trpo::new(TrpoConfig::default())?,
        })
    }
}

impl Algorithm for Relay {
    fn update(
        &mut self,
        agent: &mut ActorCritic,
        batch: &Batch,
        ctx: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError> {
        let runner: &mut dyn Algorithm =
            if ctx.progress_remaining > self.switch_at { &mut self.ppo } else { &mut self.trpo };
        // What TRPO reports and PPO does not begins as curves and columns of its own where TRPO takes over.
        runner.update(agent, batch, ctx)
    }

    fn check_setup(&self, setup: &Setup) -> Result<(), ConfigError> {
        self.ppo.check_setup(setup)
    }
}

fn main() -> ExitCode {
    let corridor = EnvSpec::with_time_limit("Corridor-v0", 50, Corridor::default).with_reward_threshold(-5.0);
    let relay = AlgorithmSpec::new("relay", "PPO, then TRPO", Relay::new);

    let mut args: Vec<OsString> = std::env::args_os().collect();
    if args.len() <= 1 {
        let out = std::env::temp_dir().join("own_binary");
        args.extend(["train", "ppo", "Corridor-v0", "--total-steps", "20000", "--out"].map(OsString::from));
        args.push(out.into());
    }
    // A network of one's own would come in by `.network(…)` (docs/guides/network.md), a log by `.sink(…)` (docs/guides/logging.md).
    App::new().name("own_binary").env(corridor).algorithm(relay).main_with_args(args)
}
