//! What an on-policy algorithm is.
//!
//! An [`Algorithm`] turns a [`Batch`] of experience into new parameters of an [`ActorCritic`] and says in a [`Report`]
//! what happened. Algorithms share data and functions (the critic fit, the linearised policy, the diagnostics), not a
//! base class; a user's own is a struct with one impl, and the [`AlgorithmRegistry`] is open to it.
//!
//! # Invariant
//!
//! This crate knows no training loop, no file and no particular algorithm. Objectives, divergences and gradients over a batch go
//! through a [`Reducer`], which is local today.

mod actor_critic;
mod algorithm;
mod batch;
mod critic;
mod design;
mod diagnostics;
mod error;
mod feature_network;
mod fisher;
mod log;
mod net_config;
mod reducer;
mod registry;
mod report;
mod schema;
mod state;
mod step_curves;
mod written_space;

pub use actor_critic::{ActorCritic, Parts, SharedNetworks};
pub use algorithm::{Algorithm, Setup, UNNAMED, UpdateContext};
pub use batch::{Batch, BatchRows, PolicyBatch};
pub use critic::{CriticFit, CriticReport, CriticTargets, fit_critic};
pub use design::{Design, bounding_for, design, distribution_for};
pub use diagnostics::{PolicyChange, policy_change};
pub use error::{AlgoError, ConfigError, check_setting};
pub use feature_network::FeatureNetwork;
pub use fisher::{Fisher, LinearizedPolicy};
pub use log::{Histogram, Log};
pub use net_config::{EachArch, Features, LogStd, NetArch, NetConfig};
pub use reducer::Reducer;
pub use registry::{AlgorithmRegistry, AlgorithmSpec, Settings};
pub use report::{Outcome, Report};
pub use rl_env::nearest;
pub use schema::{
    Bounds, Config, Kind, Scale, Schema, Setting, from_settings, shown, to_settings, try_to_settings,
};
pub use state::{adam_state, restore_adam};
pub use step_curves::{StepCurves, step_curves};

#[cfg(test)]
use rl_test_support as _;
