//! A grid of runs: each taken over where it is finished already, begun again where it was not, and run where it never was.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, bail};
use rl_train::{Checkpoint, RunDir, RunLock, SinkError, Status, TrainError};

use super::display::Display;
use super::records::{Record, Table, config_in, identity};
use super::results::{Ended, Run};
use crate::errors::{message, usage};
use crate::output::program;
use crate::run::{Files, Ran, run};
use crate::run_config::RunConfig;
use crate::stop::Stop;
use crate::{Known, config_file};

/// How the runs share the machine, which changes no result.
#[derive(Clone, Copy)]
pub(crate) struct Share {
    pub(crate) at_once: usize,
    pub(crate) threads_each: usize,
}

/// One run of a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    /// The number of the configuration.
    pub(crate) column: usize,
    pub(crate) seed: u64,
}

/// A part of a grid, of several that other processes run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    /// From 1 up.
    pub(crate) number: u64,
    pub(crate) of: u64,
}

impl Shard {
    /// `K/N` as it is written.
    ///
    /// # Errors
    ///
    /// An error of usage for what is no such thing.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let parts = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
        match parts {
            Some((number, of)) if 1 <= number && number <= of => Ok(Shard { number, of }),
            _ => bail!(usage(format!("--shard {text}: expected K/N with K from 1 to N, such as 1/4"))),
        }
    }

    /// Every N-th job, from the K-th on: seeds of all columns in every part.
    pub(crate) fn part(self, jobs: Vec<Job>) -> Vec<Job> {
        let is_here = |i: &u64| i % self.of == self.number - 1;
        (0..).zip(jobs).filter(|(i, _)| is_here(i)).map(|(_, job)| job).collect()
    }
}

/// What runs, and where it goes.
pub(crate) struct Grid<'a> {
    pub(crate) columns: &'a [RunConfig],
    /// What the program has.
    pub(crate) known: &'a Known,
    pub(crate) out: &'a Path,
    /// The table of runs that leave no files.
    pub(crate) lean: Option<Table>,
    /// Whether finished runs are run again.
    pub(crate) fresh: bool,
    pub(crate) share: Share,
    pub(crate) stop: &'a Stop,
}

impl Grid<'_> {
    /// Makes sure that the runs' directories can be made.
    ///
    /// # Errors
    ///
    /// When one cannot.
    pub(crate) fn prepare(&self) -> Result<()> {
        if self.lean.is_none() {
            for column in self.columns {
                RunDir::parent(self.out, &column.env.id, &column.name())?;
            }
        }
        Ok(())
    }

    /// Runs the jobs in order, several at once; `None` for those that did not begin before an interruption.
    pub(crate) fn run(&self, jobs: &[Job], display: &Display) -> Vec<Option<Run>> {
        let next = AtomicUsize::new(0);
        let runs: Vec<OnceLock<Run>> = jobs.iter().map(|_| OnceLock::new()).collect();
        let work = || {
            while !self.stop.is_set() {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let (Some(job), Some(slot)) = (jobs.get(i), runs.get(i)) else {
                    return;
                };
                let run = self.run_one(*job, display);
                display.ended(&run);
                // Each index is taken once.
                let _ = slot.set(run);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.share.at_once.min(jobs.len()) {
                scope.spawn(work);
            }
        });
        runs.into_iter().map(OnceLock::into_inner).collect()
    }

    fn run_one(&self, job: Job, display: &Display) -> Run {
        let config = self.columns[job.column].with_seed(job.seed);
        let failed = |error: anyhow::Error| Run {
            seed: job.seed,
            dir: None,
            ended: Ended::Badly { error: message(&error), left: None },
            curve: Vec::new(),
            fault: None,
            was_there: false,
        };
        let place = match self.place(&config) {
            Ok(Place::Finished(record)) => return Run::of_record(*record),
            Ok(Place::Free(dir)) => (dir, false),
            Ok(Place::Begun(dir, lock)) => (Some((dir, lock)), true),
            Err(error) => return failed(error),
        };
        let (place, goes_on) = place;
        let (dir, _held) = place.unzip();
        let files = match &dir {
            None => Files::None,
            Some(dir) if goes_on => Files::Resumed { dir, extend_schedule: false, with_gaps: false },
            Some(dir) => Files::New(dir),
        };
        let begin =
            |files| run(&config, self.known, files, self.share.threads_each, display.progress(), self.stop);
        let (mut ran, mut other, mut _held_beside) = (begin(files), None, None);
        if let (Files::Resumed { .. }, Err(error)) = (files, &ran.ended)
            && is_unusable(error)
        {
            eprintln!("{}: {}; it is begun again", program(), message(error));
            // Beside it: whatever is there stays.
            let (env, name) = (&config.env.id, config.name());
            ran = match RunDir::create(self.out, env, &name, job.seed) {
                Ok(beside) => {
                    _held_beside = beside.lock();
                    let ran = begin(Files::New(&beside));
                    other = Some(beside);
                    ran
                }
                Err(error) => return failed(error.into()),
            };
        }
        let Ran { ended, mut seen } = ran;
        let goes_on = goes_on && other.is_none();
        let dir = other.or(dir).map(|dir| dir.path().to_owned());
        if let Some(whole) = dir.as_deref().filter(|_| goes_on).and_then(Record::in_dir) {
            // What was seen is only the part since it went on.
            seen.curve = whole.curve;
        }
        let ended = match ended {
            Ok(summary) => Ended::Well(summary),
            Err(error) => Ended::Badly { error: message(&error), left: seen.summary.clone() },
        };
        if let (Some(table), Some(summary)) = (&self.lean, seen.summary)
            && summary.status != Status::Interrupted
        {
            let (config, curve) = (config_file::values(&config), seen.curve.clone());
            if let Err(error) = table.add(&Record { config, summary, curve, dir: None }) {
                return failed(error);
            }
        }
        Run { seed: job.seed, dir, ended, curve: seen.curve, fault: None, was_there: false }
    }

    /// Where a run goes. The same run that was begun and not finished goes on where it has a checkpoint, and begins again in its place where it has left
    /// nothing; whatever else is there stays, and ours has a suffix.
    fn place(&self, config: &RunConfig) -> Result<Place> {
        let values = config_file::values(config);
        let ours = identity(&values);
        let (env, name) = (&config.env.id, config.name());
        let existing =
            if self.fresh { Vec::new() } else { RunDir::existing(self.out, env, &name, config.seed) };
        let same =
            existing.into_iter().filter(|dir| config_in(dir.path()).is_some_and(|c| identity(&c) == ours));
        let mut unfinished = Vec::new();
        for dir in same {
            match Record::in_dir(dir.path()).filter(|r| r.summary.status.is_done()) {
                Some(record) => return Ok(Place::Finished(Box::new(record))),
                None => unfinished.push(dir),
            }
        }
        if let Some(table) = &self.lean {
            let known = table.find(&values).filter(|r| !self.fresh && r.summary.status.is_done());
            return Ok(known.map_or(Place::Free(None), |record| Place::Finished(Box::new(record))));
        }
        // The newest, for it was begun because an older one could not go on.
        let newest_first = unfinished.into_iter().rev();
        if let Some((dir, lock)) = newest_first.into_iter().find_map(|dir| dir.lock().map(|lock| (dir, lock)))
        {
            if !Checkpoint::list(&dir)?.is_empty() {
                return Ok(Place::Begun(dir, lock));
            }
            // Where there is a policy already it stays, and ours goes beside.
            if !dir.file("policy.safetensors").exists() {
                dir.clear()?;
                return Ok(Place::Free(Some((dir, lock))));
            }
        }
        let dir = RunDir::create(self.out, env, &name, config.seed)?;
        let Some(lock) = dir.lock() else {
            bail!("{} was taken by somebody else in the moment it was made", dir.path().display())
        };
        Ok(Place::Free(Some((dir, lock))))
    }
}

/// Whether a run did not go on because of what its directory holds, or holds no longer.
fn is_unusable(error: &anyhow::Error) -> bool {
    let of_checkpoint = |e: &TrainError| matches!(e, TrainError::Checkpoint { .. });
    let of_log =
        |e: &SinkError| matches!(e, SinkError::Io { source, .. } if source.kind() == ErrorKind::NotFound);
    error.chain().any(|e| e.downcast_ref().is_some_and(of_checkpoint) || e.downcast_ref().is_some_and(of_log))
}

enum Place {
    /// Nothing is to be done.
    Finished(Box<Record>),
    /// It goes on here.
    Begun(RunDir, RunLock),
    /// Here; nowhere for a run that leaves no files.
    Free(Option<(RunDir, RunLock)>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_the_whole() {
        let jobs: Vec<Job> = (0..7).flat_map(|seed| (0..2).map(move |column| Job { column, seed })).collect();
        let mut together: Vec<Job> =
            (1..=3).flat_map(|number| Shard { number, of: 3 }.part(jobs.clone())).collect();
        together.sort_by_key(|job| (job.seed, job.column));
        assert_eq!(together, jobs);
        assert_eq!(Shard::parse("2/3").unwrap(), Shard { number: 2, of: 3 });
        for wrong in ["0/3", "4/3", "1", "a/b", "1/0"] {
            assert!(Shard::parse(wrong).is_err(), "{wrong}");
        }
    }
}
