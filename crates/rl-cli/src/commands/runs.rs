//! `rl runs`: what there is, how it ended, and what can go on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use rl_algo::Settings;
use rl_train::{Checkpoint, RunDir, Status, Summary, shown};
use serde_json::{Value, json};

use super::comparison::{config_in, curve_in, in_order};
use crate::args::RunsArgs;
use crate::output;
use crate::recorder::EvaluationPoint;

/// The file that makes a directory that of a run.
const CONFIG: &str = "config.toml";

/// A run as its directory shows it.
struct Found {
    dir: PathBuf,
    config: Settings,
    state: State,
    /// The newest checkpoint's step, where there is one.
    checkpoint: Option<u64>,
    steps: u64,
    bytes: u64,
    evaluation: Option<EvaluationPoint>,
    /// What of its files cannot be read.
    faults: Vec<String>,
}

/// What is known of a run's end.
enum State {
    /// Another process is at work on it.
    Running,
    /// It ended, and said how.
    Ended(Box<Summary>),
    /// It ended without a word: killed, or the machine with it.
    Killed,
}

/// What of a run's files cannot be read.
fn faults_in(path: &Path) -> Vec<String> {
    let summary = fs::read(path.join("summary.json")).ok();
    let summary = summary.and_then(|text| serde_json::from_slice::<Summary>(&text).err());
    let summary = summary.map(|e| format!("its summary.json cannot be read: {e}"));
    let config = config_in(path).is_none().then(|| "its config.toml cannot be read".to_owned());
    let damaged = curve_in(path).damaged;
    let rows = (damaged > 0).then(|| format!("rows of its progress.csv that cannot be read: {damaged}"));
    [summary, config, rows].into_iter().flatten().collect()
}

pub(crate) fn runs(args: &RunsArgs, json: bool) -> Result<ExitCode> {
    let mut dirs = Vec::new();
    find(&args.dir, &mut dirs)?;
    let found = dirs.into_iter().map(Found::new).collect::<Result<Vec<_>>>()?;
    if json {
        output::print_json(&found.iter().map(Found::document).collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let header = ["run", "state", "goes on from", "steps", "budget", "size", "last evaluation"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(found.iter().map(Found::row));
    let reasons: String = found.iter().flat_map(Found::reasons).collect();
    output::print(&format!("{}{reasons}", output::table(&rows)))?;
    Ok(ExitCode::SUCCESS)
}

/// Adds the directories of runs at a place and below it, in the order of their names. Links are not followed.
fn find(place: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    if place.join(CONFIG).is_file() {
        found.push(place.to_owned());
        return Ok(());
    }
    let failed = || format!("cannot read {}", place.display());
    let mut dirs = Vec::new();
    for entry in fs::read_dir(place).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        if entry.file_type().with_context(failed)?.is_dir() {
            dirs.push(entry.path());
        }
    }
    dirs.sort_by_key(|path| in_order(path));
    dirs.iter().try_for_each(|dir| find(dir, found))
}

/// The bytes of all files below a directory; what vanishes meanwhile has none.
fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let of_entry = |entry: fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => size(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    };
    entries.map(of_entry).sum()
}

impl Found {
    fn new(path: PathBuf) -> Result<Self> {
        let dir = RunDir::open(&path)?;
        let summary = fs::read(dir.file("summary.json")).ok();
        let summary: Option<Summary> = summary.and_then(|text| serde_json::from_slice(&text).ok());
        // Whoever is at work holds the lock; ours is given back at once.
        let state = match (dir.lock(), summary) {
            (None, _) => State::Running,
            (Some(_), Some(summary)) => State::Ended(Box::new(summary)),
            (Some(_), None) => State::Killed,
        };
        let told = curve_in(&path);
        let steps = match &state {
            State::Ended(summary) => summary.total_steps,
            State::Running | State::Killed => told.last.unwrap_or(0),
        };
        Ok(Found {
            config: config_in(&path).unwrap_or_default(),
            state,
            checkpoint: Checkpoint::list(&dir)?.pop().map(|(step, _)| step),
            steps,
            bytes: size(&path),
            evaluation: told.evaluations.into_iter().next_back(),
            faults: faults_in(&path),
            dir: path,
        })
    }

    fn state(&self) -> String {
        match &self.state {
            State::Running => "running".to_owned(),
            State::Ended(summary) => summary.status.to_string(),
            State::Killed => Status::Interrupted.to_string(),
        }
    }

    /// The step from which the run can go on by itself: one that came to its end could only with another budget.
    fn goes_on_from(&self) -> Option<u64> {
        let may = match &self.state {
            State::Running => false,
            State::Ended(summary) => !summary.status.is_done(),
            State::Killed => true,
        };
        self.checkpoint.filter(|_| may)
    }

    /// The mean and the step of the last evaluation: that at the end, where there was one.
    fn last_evaluation(&self) -> Option<(f64, u64)> {
        let at_end = match &self.state {
            State::Ended(summary) => summary.eval.as_ref().map(|e| (e.mean, summary.total_steps)),
            State::Running | State::Killed => None,
        };
        at_end.or_else(|| self.evaluation.as_ref().map(|point| (point.mean, point.step)))
    }

    fn budget(&self) -> Option<u64> {
        self.config.get("total_steps").and_then(Value::as_u64)
    }

    fn document(&self) -> Value {
        let told = |key: &str| self.config.get(key).cloned().unwrap_or(Value::Null);
        let summary = match &self.state {
            State::Ended(summary) => Some(summary),
            State::Running | State::Killed => None,
        };
        let evaluation = self.last_evaluation().map(|(mean, step)| json!({"mean": mean, "step": step}));
        json!({
            "run_dir": self.dir,
            "algo": told("algo"),
            "label": told("label"),
            "env": told("env"),
            "seed": told("seed"),
            "state": self.state(),
            "stopped_because": summary.and_then(|s| s.stopped_because.as_ref()),
            "error": summary.and_then(|s| s.error.as_ref()),
            "checkpoint": self.checkpoint,
            "resumable": self.goes_on_from().is_some(),
            "steps": self.steps,
            "budget": self.budget(),
            "bytes": self.bytes,
            "faults": self.faults,
            "last_evaluation": evaluation,
        })
    }

    /// Why it failed, and what of it cannot be read: a line each.
    fn reasons(&self) -> Vec<String> {
        let dir = self.dir.display();
        let mut lines: Vec<String> = self.faults.iter().map(|fault| format!("{dir}: {fault}\n")).collect();
        if let State::Ended(summary) = &self.state
            && let Some(reason) = summary.error.as_ref().filter(|_| summary.status == Status::Failed)
        {
            lines.push(format!("{dir} failed: {reason}\n"));
        }
        lines
    }

    fn row(&self) -> Vec<String> {
        let or_dash = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
        let evaluation = |(mean, step): (f64, u64)| format!("{} at {step}", shown(mean, mean));
        vec![
            self.dir.display().to_string(),
            self.state(),
            or_dash(self.goes_on_from()),
            self.steps.to_string(),
            or_dash(self.budget()),
            indicatif::HumanBytes(self.bytes).to_string(),
            self.last_evaluation().map_or("-".to_owned(), evaluation),
        ]
    }
}
