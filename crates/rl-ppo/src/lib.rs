//! Proximal Policy Optimization (Schulman et al. 2017, arXiv:1707.06347), clipped or with an adaptive penalty; and A2C, made of the same parts.
//!
//! [`minibatch_loss`] is the loss and its gradient on one minibatch, in closed form; [`Ppo`] and [`A2c`] are the [`rl_algo::Algorithm`]s around it.
//!
//! # Invariant
//!
//! This crate knows neither environments nor TRPO.

mod a2c;
mod acceptance;
mod adapt;
mod config;
mod estimates;
mod joint;
mod learner;
mod loss;
mod objective;
mod optimisers;
mod pair;
mod ppo;
mod value;

pub use a2c::{A2c, A2cConfig, a2c_spec};
pub use config::{NormalizeAdvantage, PpoConfig, VfClip};
pub use learner::{Learner, MinibatchLoss, minibatch_loss};
pub use loss::{KlEstimator, LossConfig, Minibatch, PolicyLoss, Scratch, policy_loss};
pub use objective::{Clip, Objective};
pub use pair::{Ledger, Pair};
pub use ppo::{Ppo, kl_penalty_spec, spec};
pub use value::{CriticLoss, ValueClip, critic_loss};

#[cfg(test)]
use rl_test_support as _;
