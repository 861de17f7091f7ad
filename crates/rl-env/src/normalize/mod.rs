//! Running normalisation of observations and rewards over a [`VecEnv`](crate::VecEnv).
//!
//! One set of statistics, in `f64`, is shared by all copies and updated once a vector step, rows in index order, so
//! results never depend on threads. The scheme is that of Stable-Baselines3's `VecNormalize`.

mod moments;
mod observation;
mod reward;

pub use observation::{NormalizeObservation, ObservationNormalizer};
pub use reward::{NormalizeReward, RewardNormalizer};
