//! Trust Region Policy Optimization (Schulman et al. 2015, arXiv:1502.05477).
//!
//! [`policy_step`] is the method itself: one trust-region step on a batch that anybody may have collected, in `f32` or
//! `f64`. [`Trpo`] is the [`rl_algo::Algorithm`] around it, with the critic fitted beside the step.
//!
//! # Invariant
//!
//! This crate knows neither environments nor PPO. A step that it accepts satisfies mean KL(old‖new) ≤ `max_kl`; one
//! that it does not accept leaves the policy's parameters as they were, bit for bit.

mod config;
mod step;
mod trpo;

pub use config::{KlReduction, TrpoConfig};
pub use step::{PolicyStep, policy_step};
pub use trpo::{Trpo, spec};

#[cfg(test)]
use rl_test_support as _;
