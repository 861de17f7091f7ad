//! The seam between algorithms and whoever trains with them.

use std::sync::atomic::{AtomicBool, Ordering};

use rand::RngCore;
use rl_nn::{NnError, State};

use crate::{ActorCritic, AlgoError, Batch, Log, Reducer, Report, Settings};

/// What an update is given beside the batch: random numbers, how much of the training remains, and a log.
pub struct UpdateContext<'a> {
    /// The generator of shuffles and samples.
    pub rng: &'a mut (dyn RngCore + Send),
    /// The share of training that remains after the rollout this update learns from, as in Stable-Baselines3: what schedules depend on. At the last update of a run it
    /// is 0, or less where the rollout overshot the budget, which counts as 0.
    pub progress_remaining: f64,
    /// Means over the batch.
    pub reducer: Reducer,
    /// Set when the run is to be stopped: an update may then end early, with any result, for it will be computed again.
    pub stop: &'a AtomicBool,
    /// What is told of the update beside its [`Report`].
    pub log: Log,
}

/// What an algorithm is called that has no name.
pub const UNNAMED: &str = "custom";

static NEVER: AtomicBool = AtomicBool::new(false);

impl<'a> UpdateContext<'a> {
    /// The context of an update by itself: the first of a training that nobody stops.
    pub fn new(rng: &'a mut (dyn RngCore + Send)) -> Self {
        UpdateContext { rng, progress_remaining: 1.0, reducer: Reducer, stop: &NEVER, log: Log::default() }
    }

    /// Whether the update need not be finished.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Properties of a run that the settings of an algorithm may have to fit, such as the length of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Rows of a rollout: the most there may be, where it is of whole episodes.
    pub rollout_len: usize,
    /// Whether actor and critic share a trunk.
    pub shares_trunk: bool,
    /// Whether every row of a rollout is a transition; false where environments take a step of their own to reset
    /// ([`VecEnv::valid`](rl_env::VecEnv::valid)), so that rows are left out.
    pub every_row_counts: bool,
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

    /// The algorithm's name and settings, which a run that a program puts together writes down. Comparisons take runs that say the same for runs of the
    /// same, so what learns differently should not.
    fn description(&self) -> (&str, Settings) {
        (UNNAMED, Settings::new())
    }

    /// Everything that changes from update to update and that the next one depends on, beside the agent's parameters; `None` for an algorithm that cannot
    /// say, whose runs cannot be resumed.
    ///
    /// # Errors
    ///
    /// [`AlgoError`] when it cannot be put into words.
    fn state(&self) -> Result<Option<State>, AlgoError> {
        Ok(None)
    }

    /// Goes on from a state that [`state`](Self::state) gave, for an agent of the same kind.
    ///
    /// # Errors
    ///
    /// [`AlgoError`] for a state that is another algorithm's, or of another agent; the algorithm is as before then.
    fn restore(&mut self, _agent: &ActorCritic, _state: &State) -> Result<(), AlgoError> {
        Err(NnError::Saved("this algorithm cannot be put back into a state".to_owned()).into())
    }

    /// Checks the algorithm's settings against what it is to work with, before anything runs.
    ///
    /// # Errors
    ///
    /// [`crate::ConfigError`] for an impossible combination, such as a minibatch larger than the rollout.
    fn check_setup(&self, _setup: &Setup) -> Result<(), crate::ConfigError> {
        Ok(())
    }
}
