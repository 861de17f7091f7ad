//! Collecting experience.
//!
//! A [`Collector`] steps a vector of environments with a stochastic policy and fills a [`Rollout`]; [`Minibatches`]
//! cuts a batch into shuffled pieces.
//!
//! # Invariant
//!
//! This crate knows no algorithm: it records what happened, and nothing of what it is worth.

mod collector;
mod episodes;
mod error;
mod minibatches;
mod rollout;

pub use collector::{Collector, check_fit};
pub use episodes::Episode;
pub use error::RolloutError;
pub use minibatches::Minibatches;
pub use rollout::{Rollout, keep};

#[cfg(test)]
use rl_test_support as _;
