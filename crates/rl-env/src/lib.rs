//! Environments behind one small trait.
//!
//! A user writes a typed [`Env`]; the registry, the erased [`DynEnv`] and the vectorised [`VecEnv`] are built on it.
//! Semantics follow Gymnasium 1.x, with one difference in form: an episode's end is a [`StepEnd`], never a bare `done`,
//! because termination and truncation are bootstrapped differently.
//!
//! # Invariant
//!
//! This crate knows no tensors, networks or algorithms: observations and actions are plain slices.

mod action;
mod builtin;
pub mod check;
mod env;
pub mod envs;
mod error;
mod metric;
mod names;
pub mod normalize;
mod panics;
mod registry;
pub mod render;
pub mod rng;
mod space;
mod state;
mod vec_env;
pub mod wrappers;

pub use action::{ActionRef, ActionsRef, EnvAction};
pub use check::{CheckParams, Finding, Rule, check_env};
pub use env::{DynEnv, Env, Step, StepEnd};
pub use error::EnvError;
pub use metric::{EpisodeMetrics, Metric, Reduction, metrics_fault, name_fault};
pub use names::nearest;
pub use normalize::{NormalizeObservation, NormalizeReward, ObservationNormalizer, RewardNormalizer};
pub use panics::{note_panics, panic_message};
pub use registry::{EnvSpec, Registry};
pub use render::Frame;
pub use rl_kernels::Reproducible;
pub use rng::EnvRng;
pub use space::{Action, BoxSpace, Space, SpacePart};
pub use state::{EnvState, StateReader};
pub use vec_env::{
    SyncVecEnv, VecEnv, VecEnvState, check_actions, check_masks, check_metrics, check_observations,
};
pub use wrappers::TimeLimit;

#[cfg(test)]
use rl_test_support as _;
