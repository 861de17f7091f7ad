//! Returns and advantages: pure functions over slices, one function per equation.
//!
//! All arrays are time-major: `T` steps of `N` environments, element `(t, n)` at index `t * N + n`. Inputs and outputs
//! are `f32` or `f64`; every recursion and every statistic is carried in f64, in a fixed order.
//!
//! An episode can end in two ways, and they are different: after a *termination* nothing follows, so the value of what
//! follows is 0; a *truncation* only stops the recording, so the value of the final observation stands for the rest. Both
//! cut the recursion, and so does the end of the rollout, where `last_values` stand for the rest.
//!
//! # Invariant
//!
//! This crate knows neither environments nor networks: it sees rewards, values and flags.

mod advantages;
mod error;
mod returns;
mod statistics;
mod trajectories;

pub use advantages::{gae, td_errors};
pub use error::GaeError;
pub use returns::{discounted_returns, lambda_returns};
pub use statistics::{advantage_share, explained_variance, normalize};
pub use trajectories::Trajectories;

#[cfg(test)]
use rl_test_support as _;
