//! Trust Region Policy Optimization (Schulman et al. 2015, arXiv:1502.05477) and the natural policy gradient (Kakade 2001).
//!
//! [`policy_step`] is the method itself: one trust-region step on a batch that anybody may have collected, in `f32` or
//! `f64`. [`Trpo`] is the [`rl_algo::Algorithm`] around it, with the critic fitted beside the step; [`Npg`] is the same
//! without the line search.
//!
//! # Invariant
//!
//! This crate knows neither environments nor PPO. A step that TRPO accepts satisfies mean KL ≤ `max_kl`, in the direction and reduction of the settings; one
//! that it does not accept leaves the policy's parameters as they were, bit for bit.

mod config;
mod npg;
mod objective;
mod step;
mod trpo;

pub use config::TrpoConfig;
pub use npg::{Npg, npg_spec};
pub use objective::{KlDirection, KlReduction};
pub use step::{PolicyStep, Search, StepConfig, policy_step};
pub use trpo::{Trpo, spec};

#[cfg(test)]
use rl_test_support as _;
