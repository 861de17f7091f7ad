//! Going through a run again up to one of its updates, to look at it. Nothing in the run's directory is changed.

use std::sync::{Arc, Mutex, PoisonError};

use rl_algo::{ActorCritic, Batch};
use rl_nn::State;
use serde_json::Value;

use super::Trainer;
use crate::{Checkpoint, Event, RunDir, Sink, SinkError, TrainError, Update};

/// One update of a run that was repeated.
pub struct Replay {
    /// What it told.
    pub update: Update,
    /// All parameters before it.
    pub before: Vec<f32>,
    /// The agent after it.
    pub agent: ActorCritic,
    /// What it learned from.
    pub batch: Batch,
    /// The step of the checkpoint it was reached from; `None` from the beginning of the run.
    pub from: Option<u64>,
}

/// Repeats a run until an update, counted from 1, is done: from the newest checkpoint before it that can be used and whose environments could be
/// saved, else from the beginning. `make` puts a trainer together as that of the run was, with neither a directory nor sinks.
///
/// # Errors
///
/// [`TrainError::NoUpdate`] for 0, and where the run has fewer; those of `make`, and of the updates on the way.
pub fn replay<E: From<TrainError>>(
    dir: &RunDir,
    update: u64,
    make: impl Fn() -> Result<Trainer, E>,
) -> Result<Replay, E> {
    let mut horizon = None;
    for (_, path) in Checkpoint::list(dir)?.into_iter().rev() {
        let Ok(checkpoint) = Checkpoint::read(&path) else { continue };
        let read = checkpoint.archive.about.get("horizon").and_then(Value::as_u64);
        horizon = horizon.or(read);
        let run = State::load(&checkpoint.archive, "run");
        let done = run.and_then(|run| run.part("tally")?.value::<u64>("updates"));
        if !done.is_ok_and(|done| done < update) {
            continue;
        }
        let mut trainer = make()?;
        trainer
            .check_same_run(&checkpoint.archive)
            .map_err(|reason| TrainError::Checkpoint { path, reason })?;
        if trainer.restore(&checkpoint.archive, false).is_ok_and(|exact| exact) {
            return Ok(trainer.go_to(update, Some(checkpoint.step()))?);
        }
    }
    let mut trainer = make()?;
    // The run may have gone on with another budget than its schedules are of.
    trainer.horizon = horizon.unwrap_or(trainer.horizon);
    Ok(trainer.go_to(update, None)?)
}

impl Trainer {
    fn go_to(mut self, update: u64, from: Option<u64>) -> Result<Replay, TrainError> {
        let told = Told::default();
        self.sinks.push(told.clone());
        if update == 0 {
            return Err(TrainError::NoUpdate { update, updates: 0 });
        }
        while self.tally.updates + 1 < update && !self.is_over() {
            self.step()?;
        }
        if self.is_over() {
            return Err(TrainError::NoUpdate { update, updates: self.tally.updates });
        }
        let before = self.agent.theta().to_vec();
        self.step()?;
        let told = told.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let missing = TrainError::NoUpdate { update, updates: self.tally.updates };
        Ok(Replay { update: told.ok_or(missing)?, before, agent: self.agent, batch: self.batch, from })
    }
}

/// Keeps the last update.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Option<Update>>>);

impl Sink for Told {
    fn event(&mut self, event: Event<'_>) -> Result<(), SinkError> {
        if let Event::Update(update) = event {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(update.clone());
        }
        Ok(())
    }
}
