//! Going through a run again up to one of its updates, to look at it. Nothing in the run's directory is changed.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};

use super::Trainer;
use super::resume::horizons_in;
use crate::{Checkpoint, Event, RunDir, Sink, SinkError, Summary, TrainError, Update};
use rl_algo::{ActorCritic, Batch};
use rl_nn::State;

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
/// [`TrainError::NoUpdate`] for 0, and for one that the run never came to, by what it left; those of `make`, and of the updates on the way.
pub fn replay<E: From<TrainError>>(
    dir: &RunDir,
    update: u64,
    make: impl Fn() -> Result<Trainer, E>,
) -> Result<Replay, E> {
    let done = updates_of(dir);
    if update == 0 || done.is_some_and(|done| update > done) {
        return Err(TrainError::NoUpdate { update, updates: done.unwrap_or(0) }.into());
    }
    let mut horizons = None;
    for (_, path) in Checkpoint::list(dir)?.into_iter().rev() {
        let Ok(checkpoint) = Checkpoint::read(&path) else { continue };
        // The newest one knows how it was from the beginning on.
        horizons = horizons.or_else(|| horizons_in(&checkpoint.archive));
        let run = State::load(&checkpoint.archive, "run");
        let done = run.and_then(|run| run.part("tally")?.value::<u64>("updates"));
        if !done.is_ok_and(|done| done < update) {
            continue;
        }
        let mut trainer = make()?;
        checkpoint.check_same_run(&trainer.info)?;
        if trainer.restore(&checkpoint.archive, false).is_ok_and(|exact| exact) {
            trainer.horizons = horizons.unwrap_or_default();
            return Ok(trainer.go_to(update, Some(checkpoint.step()))?);
        }
    }
    let mut trainer = make()?;
    // The run may have gone on with another budget than its schedules are of.
    trainer.horizons = horizons.unwrap_or_default();
    Ok(trainer.go_to(update, None)?)
}

/// How many updates a run has done, by its summary, its newest checkpoint and its table; `None` where nothing tells.
fn updates_of(dir: &RunDir) -> Option<u64> {
    let summary = fs::read(dir.file("summary.json")).ok();
    let summary = summary.and_then(|text| serde_json::from_slice::<Summary>(&text).ok());
    let newest = Checkpoint::list(dir).ok().and_then(|list| Checkpoint::read(&list.last()?.1).ok());
    let told = newest.and_then(|checkpoint| {
        State::load(&checkpoint.archive, "run").ok()?.part("tally").ok()?.value::<u64>("updates").ok()
    });
    [summary.map(|summary| summary.updates), told, last_iteration(dir)].into_iter().flatten().max()
}

/// The last update of `progress.csv`.
fn last_iteration(dir: &RunDir) -> Option<u64> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(dir.file("progress.csv")).ok()?;
    let column = reader.headers().ok()?.iter().position(|column| column == "time/iterations")?;
    let numbers = reader.records().map_while(Result::ok);
    numbers.filter_map(|row| row.get(column)?.parse::<f64>().ok()).map(|n| n as u64).max()
}

impl Trainer {
    fn go_to(mut self, update: u64, from: Option<u64>) -> Result<Replay, TrainError> {
        let told = Told::default();
        self.sinks.push(told.clone());
        while self.tally.updates + 1 < update && !self.is_over() {
            self.has_horizon_of_then();
            self.step()?;
        }
        if self.is_over() {
            return Err(TrainError::NoUpdate { update, updates: self.tally.updates });
        }
        let before = self.agent.theta().to_vec();
        self.has_horizon_of_then();
        self.step()?;
        let told = told.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let missing = TrainError::NoUpdate { update, updates: self.tally.updates };
        Ok(Replay { update: told.ok_or(missing)?, before, agent: self.agent, batch: self.batch, from })
    }

    /// Lets schedules end where they did when the run was here.
    fn has_horizon_of_then(&mut self) {
        let step = self.tally.step;
        let then = self.horizons.iter().rev().find(|(from, _)| *from <= step);
        self.horizon = then.map_or(self.horizon, |(_, horizon)| *horizon);
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
