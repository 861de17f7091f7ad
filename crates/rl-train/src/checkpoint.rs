//! Checkpoints: everything that the rest of a run depends on, in files.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rl_algo::{Settings, UNNAMED};
use rl_nn::{Archive, NnError};
use serde_json::{Value, json};

use crate::failpoints::failpoint;
use crate::files::{make_dir, sync_dir};
use crate::{RunDir, RunInfo, TrainError, write_atomically};

/// When a run writes checkpoints, and how many of them it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointConfig {
    /// Environment steps between two, from 1 up.
    pub freq: u64,
    /// Time after which one is due whatever the steps.
    pub every: Duration,
    /// How many stay, the newest, from 1 up.
    pub keep: usize,
}

impl CheckpointConfig {
    /// A checkpoint after every tenth of the budget and every ten minutes, of which the newest two are kept.
    pub fn tenths(total_steps: u64) -> Self {
        CheckpointConfig { freq: (total_steps / 10).max(1), every: Duration::from_secs(600), keep: 2 }
    }
}

/// The name of the file of a step: in the order of steps.
fn file_name(step: u64) -> String {
    format!("step-{step:015}.safetensors")
}

fn step_of(name: &str) -> Option<u64> {
    name.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok()
}

/// The version of a checkpoint's contents.
pub(crate) const VERSION: u64 = 1;

/// Settings that may differ when a run goes on: how long it is, and what is only looked at.
const MAY_CHANGE: &[&str] =
    &["total_steps", "eval_freq", "checkpoint_freq", "stop_at_reward", "max_hours", "histogram_freq", "film"];

/// The contents of a checkpoint file.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Its file.
    pub path: PathBuf,
    pub(crate) archive: Archive,
}

impl Checkpoint {
    /// The steps of a run's checkpoints, ascending, with their files.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] when the directory cannot be read; one that is not there has no checkpoint.
    pub fn list(dir: &RunDir) -> Result<Vec<(u64, PathBuf)>, TrainError> {
        let place = dir.checkpoints();
        let entries = match fs::read_dir(&place) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(TrainError::io("read the directory", &place))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(TrainError::io("read the directory", &place))?.path();
            let step = path.file_name().and_then(|name| step_of(name.to_str()?));
            found.extend(step.map(|step| (step, path)));
        }
        found.sort();
        Ok(found)
    }

    /// Reads the newest checkpoint of a run.
    ///
    /// # Errors
    ///
    /// [`TrainError::NoCheckpoint`] where there is none, and as [`read`](Self::read).
    pub fn latest(dir: &RunDir) -> Result<Self, TrainError> {
        let newest = Checkpoint::list(dir)?.pop();
        let (_, path) = newest.ok_or_else(|| TrainError::NoCheckpoint { path: dir.path().to_owned() })?;
        Checkpoint::read(&path)
    }

    /// Reads the checkpoint that a run wrote at a step.
    ///
    /// # Errors
    ///
    /// [`TrainError::Checkpoint`] where there is none, with those that there are, and as [`read`](Self::read).
    pub fn at(dir: &RunDir, step: u64) -> Result<Self, TrainError> {
        let there = Checkpoint::list(dir)?;
        if let Some((_, path)) = there.iter().find(|(at, _)| *at == step) {
            return Checkpoint::read(path);
        }
        let steps: Vec<String> = there.iter().map(|(at, _)| at.to_string()).collect();
        let there = if steps.is_empty() { "there are none".to_owned() } else { steps.join(", ") };
        let reason = format!("there is no checkpoint at step {step}; steps of checkpoints: {there}");
        Err(TrainError::Checkpoint { path: dir.path().to_owned(), reason })
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] when the file cannot be read, [`TrainError::Checkpoint`] when it is damaged or something else.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        let bytes = fs::read(path).map_err(TrainError::io("read", path))?;
        let refused = |reason: String| TrainError::Checkpoint { path: path.to_owned(), reason };
        let unreadable = |e| refused(format!("no checkpoint can be read from it ({})", fault_of(e)));
        let archive = Archive::from_bytes(&bytes).map_err(unreadable)?;
        if archive.about.get("kind").and_then(Value::as_str) != Some("checkpoint") {
            return Err(refused("it is no checkpoint".to_owned()));
        }
        Ok(Checkpoint { path: path.to_owned(), archive })
    }

    /// The environment steps that the run had made by then.
    pub fn step(&self) -> u64 {
        self.archive.about.get("step").and_then(Value::as_u64).unwrap_or(0)
    }

    /// The budget that the run had then, in environment steps.
    pub fn total_steps(&self) -> Option<u64> {
        self.archive.about.get("settings")?.get("total_steps")?.as_u64()
    }

    /// Refuses a run that this is no checkpoint of: one with another algorithm, environment, seed or setting, where that setting may not change while
    /// a run goes on. How long a run is may change, and what is only looked at.
    ///
    /// # Errors
    ///
    /// [`TrainError::Checkpoint`], which says what differs.
    pub fn check_same_run(&self, run: &RunInfo) -> Result<(), TrainError> {
        let differs = |key: &str, theirs: &Value, ours: &Value| match theirs == ours {
            true => None,
            false => Some(format!("its run has {key} = {theirs}, this one {ours}")),
        };
        let told = |key: &str| self.archive.about.get(key).unwrap_or(&Value::Null);
        let refused = |reason: String| TrainError::Checkpoint { path: self.path.clone(), reason };
        if *told("version") != VERSION {
            let theirs = told("version");
            return Err(refused(format!(
                "it is of version {theirs}, and this program reads version {VERSION}"
            )));
        }
        // Checkpoints of before know neither the algorithm nor its settings where a program made them.
        let knows_little = *told("algo") == UNNAMED;
        for (key, ours) in [("algo", json!(run.algo)), ("env", json!(run.env)), ("seed", json!(run.seed))] {
            if key == "algo" && knows_little {
                continue;
            }
            if let Some(difference) = differs(key, told(key), &ours) {
                return Err(refused(difference));
            }
        }
        let theirs: Settings =
            serde_json::from_value(told("settings").clone()).map_err(|e| refused(e.to_string()))?;
        let ours_alone = run.settings.keys().filter(|_| !knows_little);
        let keys = theirs.keys().chain(ours_alone);
        // Of an algorithm's own that is called like another setting too.
        let may_change = |key: &str| MAY_CHANGE.contains(&key.strip_prefix("algorithm_").unwrap_or(key));
        for key in keys.filter(|key| !may_change(key)) {
            let of = |settings: &Settings| settings.get(key).cloned().unwrap_or(Value::Null);
            if let Some(difference) = differs(key, &of(&theirs), &of(&run.settings)) {
                let allowed = MAY_CHANGE.join(", ");
                return Err(refused(format!("{difference}; only {allowed} may change when a run goes on")));
            }
        }
        Ok(())
    }
}

/// What is wrong with what a checkpoint holds, which is no saved policy.
pub(crate) fn fault_of(error: NnError) -> String {
    match error {
        NnError::Saved(fault) => fault,
        other => other.to_string(),
    }
}

/// A run's state after its last complete iteration: another thread can write it as a checkpoint when the process must end before the run stops by itself.
#[derive(Clone)]
pub struct Rescue {
    pub(crate) dir: RunDir,
    pub(crate) keep: usize,
    pub(crate) snapshot: Arc<Mutex<Option<Archive>>>,
}

impl Rescue {
    /// Writes it as a checkpoint.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] when that fails.
    pub fn write(&self) -> Result<(), TrainError> {
        let snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(archive) = snapshot else { return Ok(()) };
        let step = archive.about.get("step").and_then(Value::as_u64).unwrap_or(0);
        // What it says of the logs must be true whatever happens then.
        self.dir.sync_logs();
        write(&self.dir, step, &archive, self.keep)
    }

    /// The run's directory.
    pub fn dir(&self) -> &RunDir {
        &self.dir
    }

    /// Whether both are of the same run.
    pub fn is(&self, other: &Rescue) -> bool {
        Arc::ptr_eq(&self.snapshot, &other.snapshot)
    }
}

/// Writes a checkpoint, whole or not at all, and removes those that are older than the newest `keep`.
pub(crate) fn write(dir: &RunDir, step: u64, archive: &Archive, keep: usize) -> Result<(), TrainError> {
    let place = dir.checkpoints();
    make_dir(&place)?;
    write_atomically(&place.join(file_name(step)), &archive.to_bytes()?)?;
    prune(dir, keep)
}

/// Removes checkpoints that are older than the newest `keep`.
pub(crate) fn prune(dir: &RunDir, keep: usize) -> Result<(), TrainError> {
    let mut there = Checkpoint::list(dir)?;
    there.truncate(there.len().saturating_sub(keep.max(1)));
    if there.is_empty() {
        return Ok(());
    }
    for (_, path) in there {
        failpoint("remove an old checkpoint");
        match fs::remove_file(&path) {
            // Whoever rescues the run removes them too.
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            removed => removed.map_err(TrainError::io("remove", &path))?,
        }
    }
    sync_dir(&dir.checkpoints())
}

/// Seconds of training until a step by a run's `progress.csv`, for times are no part of a checkpoint: the same run has the same one. Those of the last
/// row before it where there is none of that step yet.
pub(crate) fn seconds_at(dir: &RunDir, wanted: u64) -> Option<f64> {
    seconds_in(fs::File::open(dir.file("progress.csv")).ok()?, wanted)
}

fn seconds_in(table: impl std::io::Read, wanted: u64) -> Option<f64> {
    let mut reader = csv::Reader::from_reader(table);
    let headers = reader.headers().ok()?;
    let column = |tag: &str| headers.iter().position(|column| column == tag);
    let (step, seconds) = (column("time/total_timesteps")?, column("time/time_elapsed")?);
    let mut found = None;
    for row in reader.records().map_while(Result::ok) {
        let number = |column: usize| row.get(column)?.parse::<f64>().ok();
        if number(step).is_some_and(|step| step as u64 <= wanted) {
            found = number(seconds).or(found);
        }
    }
    found.filter(|seconds| *seconds >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_those_of_the_row_or_of_the_one_before() {
        let table = "time/time_elapsed,time/total_timesteps\n0.5,10\n1.5,20\n2";
        let at = |step| seconds_in(table.as_bytes(), step);
        assert_eq!([9, 10, 19, 20, 30].map(at), [None, Some(0.5), Some(0.5), Some(1.5), Some(1.5)]);
    }

    #[test]
    fn fuzz_seconds() {
        let words = ["time/total_timesteps", "time/time_elapsed", ",", "\n", "\"", "1e999", "-1"];
        rl_test_support::fuzz("progress", &words, |bytes| seconds_in(bytes, 1 << 12).is_some());
    }
}
