//! Statistics for comparing runs that are few and noisy: interquartile mean, bootstrap intervals, probability of
//! improvement. Pure functions; what is random takes its generator as an argument.
//!
//! # Source
//!
//! Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", 2021, and its library rliable.
//!
//! # Invariant
//!
//! This crate knows neither environments nor algorithms: it sees scores.

mod aggregate;
mod bootstrap;
mod improvement;

pub use aggregate::{iqm, mean, quantile, std};
pub use bootstrap::{Interval, StatsError, bootstrap_interval};
pub use improvement::{probability_of_improvement, probability_of_improvement_interval};
