//! The seam between algorithms and whoever trains with them.

use rand::RngCore;

use crate::{ActorCritic, AlgoError, Batch, Reducer, Report};

/// What an update may draw on beside the batch.
pub struct UpdateContext<'a> {
    /// The generator of shuffles and samples.
    pub rng: &'a mut (dyn RngCore + Send),
    /// The share of training that remains after the rollout this update learns from, 0 at the last: what schedules depend on.
    pub progress_remaining: f64,
    /// Means over the batch.
    pub reducer: Reducer,
}

/// An on-policy algorithm.
///
/// A rejected step, an early stop or a skipped update are outcomes in the [`Report`], not errors; the policy's parameters are then
/// those before the update, bit for bit. A critic that is fitted by itself, as TRPO's, may have moved.
pub trait Algorithm: Send {
    /// Improves the agent on one batch.
    ///
    /// # Errors
    ///
    /// [`AlgoError`] when the batch does not fit the agent.
    fn update(
        &mut self,
        agent: &mut ActorCritic,
        batch: &Batch,
        ctx: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError>;

    /// Checks the algorithm's settings against the size of a rollout, before anything runs.
    ///
    /// # Errors
    ///
    /// [`crate::ConfigError`] for an impossible combination, such as a minibatch larger than the rollout.
    fn check_rollout(&self, _rollout_len: usize) -> Result<(), crate::ConfigError> {
        Ok(())
    }
}
