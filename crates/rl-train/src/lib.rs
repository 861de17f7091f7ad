//! Training: the loop, evaluations, the events of a run, and the files that it leaves.
//!
//! A [`Trainer`] repeats collect → advantages → update → emit until the budget is spent. [`Sink`]s receive what happens as typed,
//! read-only [`Event`]s: [`TensorBoard`], [`Csv`], [`Progress`], or a user's own. A run's files lie in
//! a [`RunDir`]; a trained [`Policy`] is loaded from it in one line.
//!
//! ```
//! use rl_algo::{ActorCritic, AlgoError, Algorithm, Batch, NetConfig, Outcome, Report, UpdateContext};
//! use rl_train::{TrainConfig, Trainer, new_agent};
//!
//! /// Learns nothing: a stand-in for an algorithm of one of the other crates, or your own.
//! struct Lazy;
//! impl Algorithm for Lazy {
//!     fn update(&mut self, _: &mut ActorCritic, _: &Batch, _: &mut UpdateContext<'_>) -> Result<Report, AlgoError> {
//!         Ok(Report::new(Outcome::Applied))
//!     }
//! }
//!
//! let env = rl_env::Registry::builtin().get("CartPole-v1")?.clone();
//! let config = TrainConfig { n_envs: 4, n_steps: 16, total_steps: 100, ..TrainConfig::default() };
//! let agent = new_agent(&env, &NetConfig::default(), 0)?;
//! let summary = Trainer::new(&env, config, agent, Box::new(Lazy), 0)?.run()?;
//! assert_eq!(summary.total_steps, 128); // the rollout in progress is finished
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Invariant
//!
//! The only crate below the command line that opens files. It knows algorithms only through their trait, parses no arguments and writes to no
//! terminal but the one it is handed.

mod checkpoint;
mod config;
mod error;
mod evaluation;
mod evaluator;
mod event;
mod event_file;
mod failpoints;
mod files;
#[cfg(feature = "pictures")]
mod films;
mod histograms;
mod listeners;
mod log_file;
mod numbers;
#[cfg(feature = "pictures")]
mod pictures;
#[cfg(feature = "pictures")]
mod play;
mod policy;
mod sinks;
mod summary;
mod tags;
mod tally;
pub mod testing;
mod threshold;
mod trainer;
mod watch;

pub use checkpoint::{Checkpoint, CheckpointConfig, Rescue};
pub use config::{EvalConfig, TrainConfig};
pub use error::{SinkError, TrainError, no_state};
pub use evaluation::{Acting, Actor, Episodes, Evaluation, evaluate};
pub use event::{Event, Film, RolloutStats, RunInfo, Sink, Timing, Update};
pub use event_file::{EventFault, Scalar, read_scalars, scalars_in};
#[cfg(feature = "failpoints")]
pub use failpoints::watch_failpoints;
pub use files::{RunDir, RunLock, write_atomically, write_new};
#[cfg(feature = "pictures")]
pub use films::check_films;
pub use numbers::shown;
#[cfg(feature = "pictures")]
pub use pictures::{Gif, png};
#[cfg(feature = "pictures")]
pub use play::{PlayParams, play};
pub use policy::Policy;
pub use sinks::{Csv, Progress, TensorBoard};
pub use summary::{Status, Summary};
pub use threshold::reward_threshold;
pub use trainer::{Replay, Trainer, check_agent, check_warm_start, new_agent, replay, with_threads};
pub use watch::{EverySteps, MaxTime, NoImprovement, RewardReached, Verdict, Watcher};

#[cfg(test)]
use rl_test_support as _;
