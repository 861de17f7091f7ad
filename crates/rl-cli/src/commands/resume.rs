//! What there is to do for a run that is to go on.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use rl_train::{Checkpoint, RunDir, Status, Summary, TrainError};
use serde_json::Value;

use super::comparison::config_in;
use crate::Known;
use crate::args::SettingArgs;
use crate::config_file;
use crate::errors::usage;
use crate::plan::plan_one;
use crate::run_config::RunConfig;

/// The file that makes a directory that of a run.
const CONFIG: &str = "config.toml";
/// How far below a directory runs are looked for when it is none, and how many of them are named.
const DEPTH: usize = 4;
const NAMED: usize = 3;

/// What a run that is to go on needs.
pub(super) enum Outlook {
    /// It ended before anything was computed that is not computed again.
    BeginsAgain,
    /// Its newest checkpoint.
    GoesOn,
    /// Nothing: it has come to its end, with this result.
    Finished(Box<Summary>),
}

/// The run that a directory is of, by the `config.toml` in it and the settings beside.
pub(super) fn run_in(run_dir: &Path, settings: &SettingArgs, known: &Known) -> Result<(RunConfig, RunDir)> {
    if !is_run(run_dir) {
        bail!(no_run(run_dir));
    }
    let dir = RunDir::open(run_dir)?;
    let path = dir.file(CONFIG);
    let file = config_file::read(&path, &known.algorithms)?;
    let (Some(algo), Some(env)) = (file.algo.as_deref(), file.env.as_deref()) else {
        bail!(usage(format!(
            "{}: it does not say which algorithm and environment its run is of",
            path.display()
        )))
    };
    Ok((plan_one(known, (algo, env), &file, settings)?, dir))
}

/// What there is to do.
///
/// # Errors
///
/// An error of usage for a budget that the run has spent already, unless it is the one it always had; [`TrainError::NoState`] for an algorithm whose
/// runs leave nothing to go on from; [`TrainError::Checkpoint`] where a run that has finished had other settings.
pub(super) fn outlook(config: &RunConfig, dir: &RunDir) -> Result<Outlook> {
    let summary = fs::read(dir.file("summary.json")).ok();
    let summary: Option<Summary> = summary.and_then(|text| serde_json::from_slice(&text).ok());
    let newest = Checkpoint::list(dir)?.pop().map(|(step, _)| step);
    let left = ["summary.json", "policy.safetensors"].iter().any(|name| dir.file(name).exists());
    if config.make_algorithm()?.state()?.is_none() {
        let (path, algo) = (dir.path().to_owned(), config.algo.id.clone());
        bail!(TrainError::NoState { path, algo });
    }
    if config.checkpoints.is_some() && !left && newest.is_none() {
        return Ok(Outlook::BeginsAgain);
    }
    let budget = config.train.total_steps;
    let done = summary.as_ref().map(|s| s.total_steps).max(newest).unwrap_or(0);
    // By the checkpoint where there is one, for somebody may have changed the file.
    let in_file =
        || config_in(dir.path()).and_then(|before| before.get("total_steps").and_then(Value::as_u64));
    let before =
        Checkpoint::latest(dir).ok().and_then(|checkpoint| checkpoint.total_steps()).or_else(in_file);
    if budget < done && before != Some(budget) {
        bail!(usage(format!(
            "total_steps = {budget}: the run in {} has done {done} steps already; more than that trains on",
            dir.path().display()
        )));
    }
    let is_over = |s: &Summary| s.status == Status::Finished && s.total_steps >= budget;
    let Some(summary) = summary.filter(|s| is_over(s) && dir.file("policy.safetensors").exists()) else {
        return Ok(Outlook::GoesOn);
    };
    // What is asked for must be the run that has finished.
    if let Ok(checkpoint) = Checkpoint::latest(dir) {
        checkpoint.check_same_run(&config.info())?;
    }
    Ok(Outlook::Finished(Box::new(summary)))
}

/// Whether a directory is that of a run.
pub(crate) fn is_run(dir: &Path) -> bool {
    dir.join(CONFIG).is_file()
}

/// What is said of a directory that is none of a run's: where there is one, above or below.
pub(crate) fn no_run(dir: &Path) -> String {
    let message = format!("{}: no run is there (a run's directory has a {CONFIG})", dir.display());
    let mut above = dir.ancestors().skip(1).take(2).filter(|above| !above.as_os_str().is_empty());
    if let Some(run) = above.find(|above| is_run(above)) {
        return format!("{message}; it is below that of a run, {}", run.display());
    }
    let mut below = Vec::new();
    find_below(dir, DEPTH, &mut below);
    if below.is_empty() {
        return message;
    }
    below.sort();
    let named: Vec<String> = below.iter().take(NAMED).map(|run| run.display().to_string()).collect();
    let more = below.len() - named.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{message}; there are runs below it: {}{more}", named.join(", "))
}

/// Adds the directories of runs below a place. Links are not followed.
fn find_below(place: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        let path = entry.path();
        if is_run(&path) {
            found.push(path);
        } else if depth > 1 {
            find_below(&path, depth - 1, found);
        }
    }
}
