//! Environments of Python's Gymnasium behind [`rl_env::VecEnv`], with no Python in this process.
//!
//! Worker processes of the user's own interpreter run a small program that is embedded here. Each holds some environments and steps them on
//! command: one byte there, one byte back, actions and observations in memory that both see. Nothing is pickled, nothing waits busily.
//!
//! ```no_run
//! use rl_gym::{GymName, Interpreter, spec};
//!
//! let hopper: GymName = "gym:Hopper-v5".parse()?;
//! let spec = spec(&hopper, &Interpreter::new("python3"))?;
//! let mut envs = spec.make_vec(8)?;
//! envs.reset(0, "env")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Invariant
//!
//! Knows environments, and neither networks nor training. Which interpreter runs is said by the caller: this crate reads no environment
//! variable. A worker never outlives the process that started it, however that process ends.

mod description;
mod error;
mod layout;
mod memory;
mod name;
mod processor;
mod single;
mod spawner;
mod spec;
mod system;
mod vector;
mod worker;

pub use error::GymError;
pub use name::{GymName, GymOptions};
pub use spec::{Interpreter, Registered, registered, spec};
