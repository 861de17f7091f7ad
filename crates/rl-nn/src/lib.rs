//! Networks and policies as functions of one flat parameter vector.
//!
//! A [`Network`] maps `(θ, x)` to `y` and offers the two products every method here is built from: `Jᵀu`
//! ([`Linearized::vjp`]) and `Jv` ([`Linearized::jvp`]). θ is a plain slice that the caller owns; nothing hides
//! parameters inside a module. [`PolicyModel`] adds an action [`Distribution`] whose losses, gradients and Fisher
//! metric are closed forms in its few parameters, so that no tape is needed on the hot path. candle is the mirror:
//! [`TensorNetwork::forward_tensor`] is the same function inside a candle graph, over views of a flat [`Mirror`] `Var`.
//!
//! # Invariant
//!
//! This crate knows neither environments nor algorithms, draws only from generators passed in, and touches no file:
//! a [`TrainedPolicy`] goes into an [`Archive`] and comes out again, and that turns into bytes and back.

mod activation;
mod archive;
mod bounding;
mod buffer;
mod builders;
mod candle_network;
mod chain;
mod check;
mod cnn;
pub mod distribution;
mod error;
mod fork;
mod gather;
mod identity;
mod init;
mod layer_norm;
mod layout;
mod linearized;
mod mirror;
mod mlp;
mod network;
mod policy;
mod shards;
mod spec;
mod state;
mod states;
mod trained;

pub use activation::Activation;
pub use archive::{Archive, Array, Data};
pub use bounding::Bounding;
pub use buffer::{APART, Buffer};
pub use builders::{Builders, DistributionBuilder, NetworkBuilder};
pub use candle_network::CandleNetwork;
pub use chain::Chain;
pub use check::{CheckConfig, Finding, Property, check_network};
pub use cnn::{Cnn, CnnSpec, Convolution};
pub use distribution::{
    Actions, ActionsRef, DistGrad, DistParams, Distribution, DistributionSpec, Evaluation, Noise,
};
pub use error::NnError;
pub use fork::Fork;
pub use gather::gather;
pub use identity::Identity;
pub use init::{Initialization, orthogonal};
pub use layer_norm::LayerNorm;
pub use layout::{Layout, Param};
pub use linearized::{Forward, Linearized};
pub use mirror::Mirror;
pub use mlp::Mlp;
pub use network::{Network, Shape, TensorNetwork, Workspace};
pub use policy::PolicyModel;
pub use rl_kernels::{Finish, Init, MatRef, Real, Reproducible};
pub use shards::{SHARD_ROWS, ShardedLinearized, Shards};
pub use spec::{FreeParameters, NetworkSpec};
pub use state::State;
pub use states::{Carry, States};
pub use trained::{PolicySpec, TrainedPolicy};

#[cfg(test)]
use rl_test_support as _;
