//! On-policy reinforcement learning with trust regions, behind one dependency.
//!
//! A program of your own, with an environment of your own and the whole command line:
//!
//! ```no_run
//! use rl::prelude::*;
//!
//! /// Walk right from 0 to 5; every step costs 1.
//! #[derive(Default)]
//! struct Corridor(usize);
//!
//! impl Env for Corridor {
//!     type Action = usize;
//!     fn observation_space(&self) -> Space { BoxSpace::uniform(0.0, 5.0, &[1]).into() }
//!     fn action_space(&self) -> Space { Space::Discrete(2) }
//!     fn reset(&mut self, _: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
//!         self.0 = 0;
//!         obs[0] = 0.0;
//!         Ok(())
//!     }
//!     fn step(&mut self, &action: &usize, _: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
//!         self.0 = if action == 1 { self.0 + 1 } else { self.0.saturating_sub(1) };
//!         obs[0] = self.0 as f32;
//!         Ok(Step { reward: -1.0, end: if self.0 == 5 { StepEnd::Terminated } else { StepEnd::Continues } })
//!     }
//! }
//!
//! # #[cfg(feature = "cli")]
//! fn main() -> std::process::ExitCode {
//!     let corridor = EnvSpec::with_time_limit("Corridor-v0", 50, Corridor::default).with_reward_threshold(-5.0);
//!     App::new().name("corridor").env(corridor).main()
//! }
//! # #[cfg(not(feature = "cli"))]
//! # fn main() {}
//! ```
//!
//! `cargo run --release -- train ppo Corridor-v0` trains it, `-- compare --env Corridor-v0` compares TRPO with PPO there. The same from a program:
//!
//! ```
//! use rl::prelude::*;
//!
//! let env = Registry::builtin().get("CartPole-v1")?.clone();
//! let config = TrainConfig { n_envs: 8, n_steps: 256, total_steps: 4_096, ..TrainConfig::default() };
//! let agent = new_agent(&env, &NetConfig::default(), 0)?;
//! let trpo = Trpo::new(TrpoConfig::default())?;
//! let summary = Trainer::new(&env, config, agent, Box::new(trpo), 0)?
//!     .with_evaluation(&env, EvalConfig::tenths(config.total_steps))?
//!     .run()?;
//! assert_eq!(summary.updates, 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Every crate is here under its name (`rl_train` is [`train`], and so on), and so are the crates that its signatures speak of: [`rand`], [`candle_core`], [`candle_nn`], [`serde`] and
//! [`serde_json`] in the versions that fit. A `derive` of serde needs `#[serde(crate = "rl::serde")]` to find it here. With `default-features = false` there is neither command line nor Gymnasium nor pictures.
//!
//! # Invariant
//!
//! Nothing is defined here.

pub use {candle_core, candle_nn, rand, serde, serde_json};
pub use {
    rl_algo as algo, rl_env as env, rl_gae as gae, rl_kernels as kernels, rl_nn as nn, rl_optim as optim,
    rl_ppo as ppo, rl_report as report, rl_rollout as rollout, rl_stats as stats, rl_train as train,
    rl_trpo as trpo,
};

#[cfg(feature = "cli")]
pub use rl_cli as cli;
#[cfg(feature = "gym")]
pub use rl_gym as gym;

/// What most programs need: `use rl::prelude::*;`
pub mod prelude {
    pub use rand::Rng;
    pub use rl_algo::{
        ActorCritic, AlgoError, Algorithm, AlgorithmSpec, Batch, Config, ConfigError, NetConfig, Outcome,
        Report, Schema, Setting, UpdateContext,
    };
    #[cfg(feature = "cli")]
    pub use rl_cli::App;
    pub use rl_env::{
        BoxSpace, Env, EnvError, EnvRng, EnvSpec, EnvState, Frame, Metric, Registry, Space, Step, StepEnd,
        VecEnv,
    };
    pub use rl_nn::{Activation, Builders, Network};
    pub use rl_optim::Schedule;
    pub use rl_ppo::{Ppo, PpoConfig};
    pub use rl_train::{
        CheckpointConfig, EvalConfig, Event, NoImprovement, Policy, RewardReached, RunDir, Sink, SinkError,
        Summary, TrainConfig, TrainError, Trainer, Verdict, Watcher, new_agent,
    };
    pub use rl_trpo::{Trpo, TrpoConfig};
}

/// Compiles and runs the programs of the documentation, which use this crate alone, as a reader's project does.
#[cfg(all(doctest, feature = "cli"))]
mod documentation {
    #[doc = include_str!("../../../README.md")]
    struct Readme;
    #[doc = include_str!("../../../docs/environments.md")]
    struct Environments;
    #[doc = include_str!("../../../docs/resuming.md")]
    struct Resuming;
    #[doc = include_str!("../../../docs/guides/algorithm.md")]
    struct Algorithm;
    #[doc = include_str!("../../../docs/guides/distribution.md")]
    struct Distribution;
    #[doc = include_str!("../../../docs/guides/logging.md")]
    struct Logging;
    #[doc = include_str!("../../../docs/guides/network.md")]
    struct Network;
    #[doc = include_str!("../../../docs/guides/program.md")]
    struct Program;
}

#[cfg(test)]
use rl_test_support as _;
