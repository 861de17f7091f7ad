//! Statistics for comparing runs that are few and noisy: aggregates over runs and tasks with bootstrap intervals, performance
//! profiles, steps to a threshold where some runs never reach it, paired tests, and intervals and tests that stay valid
//! when one stops as soon as they are narrow or clear enough. Pure functions; what is random takes its generator as an
//! argument.
//!
//! An interval needs at least [`MIN_RUNS`] runs: from fewer, each of these functions refuses with
//! [`StatsError::TooFewRuns`].
//!
//! # Source
//!
//! Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", 2021, and its library rliable;
//! every other item names its own.
//!
//! # Invariant
//!
//! This crate knows neither environments nor algorithms: it sees scores.

#![allow(
    clippy::disallowed_methods,
    reason = "statistics are read by people and reach no training; their last bits may differ"
)]

mod aggregate;
mod band;
mod betting;
mod bootstrap;
mod curve;
mod error;
mod improvement;
mod paired;
mod profile;
mod scores;
mod special;
mod sprt;
mod survival;
mod wilcoxon;

pub use aggregate::{iqm, mean, median, optimality_gap, quantile, std};
pub use band::{SequentialIqm, dkw_half_width, look_alpha, trimmed_mean_bounds};
pub use betting::mean_confidence_sequence;
pub use bootstrap::{Interval, bootstrap_caveat, bootstrap_interval, stratified_interval};
pub use curve::area_under_curve;
pub use error::{MIN_RUNS, StatsError};
pub use improvement::{
    mean_probability_of_improvement, mean_probability_of_improvement_interval, probability_of_improvement,
    probability_of_improvement_interval,
};
pub use paired::{PairedT, paired_differences, paired_interval, paired_t_interval, paired_t_test};
pub use profile::{performance_profile, performance_profile_bands};
pub use scores::Scores;
pub use sprt::{Characteristics, Sprt, Verdict};
pub use survival::{EventTime, KaplanMeier, MedianInterval, RestrictedMean, SurvivalPoint};
pub use wilcoxon::{Wilcoxon, wilcoxon_signed_rank};
