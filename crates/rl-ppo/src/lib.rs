//! Proximal Policy Optimization (Schulman et al. 2017, arXiv:1707.06347), with the clipped objective.
//!
//! [`minibatch_loss`] is the loss and its gradient on one minibatch, in closed form; [`Ppo`] is the [`rl_algo::Algorithm`] around it.
//!
//! # Invariant
//!
//! This crate knows neither environments nor TRPO.

mod config;
mod joint;
mod learner;
mod loss;
mod pair;
mod ppo;

pub use config::PpoConfig;
pub use learner::{Learner, MinibatchLoss, minibatch_loss};
pub use loss::{CriticLoss, LossConfig, Minibatch, PolicyLoss, Scratch, critic_loss, policy_loss};
pub use pair::{Ledger, Pair};
pub use ppo::{Ppo, spec};

#[cfg(test)]
use rl_test_support as _;
