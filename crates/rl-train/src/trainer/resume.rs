//! What a run needs to go on, and going on.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rl_algo::AlgoError;
use rl_env::{EnvError, EnvRng};
use rl_nn::{Archive, Data, NnError, PolicySpec, State};
use rl_optim::Schedule;
use rl_rollout::RolloutError;
use serde_json::{Value, json};

use super::Trainer;
use crate::checkpoint::{self, VERSION, fault_of, seconds_at};
use crate::policy::MASKED;
use crate::{Checkpoint, Rescue, RunDir, RunInfo, SinkError, Summary, TrainError};

/// Settings that may be any text, a schedule's too.
const TEXTS: [&str; 2] = ["init", "label"];

/// The budgets that schedules were of, each with the step from which on.
pub(super) fn horizons_in(archive: &Archive) -> Option<Vec<(u64, u64)>> {
    match archive.about.get("horizons") {
        Some(horizons) => serde_json::from_value(horizons.clone()).ok(),
        None => Some(vec![(0, archive.about.get("horizon")?.as_u64()?)]),
    }
}

/// The seconds that a run was at work, by the summary of its last session that left one.
fn wall_seconds_in(dir: &RunDir) -> Option<f64> {
    let text = std::fs::read(dir.file("summary.json")).ok()?;
    Some(serde_json::from_slice::<Summary>(&text).ok()?.wall_seconds)
}

impl Trainer {
    /// Goes on from the newest checkpoint in a run's directory, where this trainer, put together as that run's was, with its sinks and
    /// [`saving_in`](Self::saving_in) the directory, has not begun. Logs are cut back to the checkpoint. The result equals that of the run without an
    /// interruption to the bit, if [`is_exact`](Self::is_exact). A larger budget is allowed; schedules keep the one they began with.
    ///
    /// # Errors
    ///
    /// [`TrainError::NoCheckpoint`] where there is none, [`TrainError::NoState`] where the algorithm is why, [`TrainError::Checkpoint`] where none can be used,
    /// for it is damaged or of another run; the message says of each what is wrong.
    pub fn resumed_from(mut self, dir: &RunDir) -> Result<Self, TrainError> {
        let mut there = Checkpoint::list(dir)?;
        if there.is_empty() && self.algorithm.state()?.is_none() {
            return Err(TrainError::NoState { path: dir.path().to_owned(), algo: self.info.algo.clone() });
        }
        let mut faults = Vec::new();
        let checkpoint = loop {
            let Some((_, path)) = there.pop() else { return Err(unusable(dir, faults)) };
            match self.go_on_from(dir, &path) {
                Ok(checkpoint) => break checkpoint,
                // An older one is there for this.
                Err(TrainError::Checkpoint { path, reason }) => faults.push((path, reason)),
                Err(e) => return Err(e),
            }
        };
        if let Some((path, reason)) = faults.into_iter().next() {
            let fault = TrainError::Checkpoint { path, reason };
            self.warn(format!("the run goes on from an older checkpoint: {fault}"));
        }
        // What was about to be renamed or removed when the process ended.
        dir.remove_temporaries()?;
        checkpoint::prune(dir, self.checkpoints.map_or(usize::MAX, |config| config.keep))?;
        (self.written, self.next_checkpoint) = (Some(self.tally.step), self.after(self.tally.step));
        self.keep_snapshot(Some(checkpoint.archive));
        self.is_fresh = true;
        self.resumed = true;
        if !self.logs_agree {
            self.forget_checkpoint();
        }
        Ok(self)
    }

    /// Lets a checkpoint be written before the run goes on: the one at hand does not say how it does.
    fn forget_checkpoint(&mut self) {
        self.keep_snapshot(None);
        (self.written, self.is_fresh) = (None, false);
    }

    /// Takes over everything of one checkpoint.
    fn go_on_from(&mut self, dir: &RunDir, path: &Path) -> Result<Checkpoint, TrainError> {
        let checkpoint = Checkpoint::read(path)?;
        let refused = |reason: String| TrainError::Checkpoint { path: path.to_owned(), reason };
        // What a file says wrongly, and not what fails beside it.
        let of_file = |e: TrainError| match e {
            TrainError::Nn(e) => refused(fault_of(e)),
            TrainError::Algo(AlgoError::Nn(e)) => refused(fault_of(e)),
            TrainError::Rollout(RolloutError::Nn(e)) => refused(fault_of(e)),
            TrainError::Rollout(RolloutError::Env(e)) if is_of_state(&e) => refused(e.to_string()),
            TrainError::Sink(SinkError::State(e)) => refused(fault_of(e)),
            TrainError::Sink(e @ SinkError::Log { .. }) => refused(e.to_string()),
            e => e,
        };
        checkpoint.check_same_run(&self.info)?;
        self.resumes = number(&checkpoint.archive, "resumes").map_err(|e| refused(fault_of(e)))? + 1;
        // Before the logs are cut.
        let reached =
            State::load(&checkpoint.archive, "run.tally").and_then(|t| t.value("threshold_reached"));
        let reached = reached.unwrap_or(None).and_then(|step| seconds_at(dir, step));
        let elapsed = seconds_at(dir, checkpoint.step());
        self.exact = self.restore(&checkpoint.archive, true).map_err(of_file)?;
        let budget = checkpoint.total_steps();
        // A run that a watcher ended, and that said so, goes on because somebody wants it to.
        let is_reported = dir.file("summary.json").exists();
        if is_reported || budget.is_some_and(|budget| self.config.total_steps > budget) {
            self.verdict = None;
        }
        if elapsed.is_none() {
            self.tally.untimed = checkpoint.step();
        }
        let (elapsed, worked) = (elapsed.unwrap_or(0.0), wall_seconds_in(dir).unwrap_or(0.0));
        self.tally.before = Duration::try_from_secs_f64(elapsed).unwrap_or_default();
        // A session that was killed has left no summary, and that of an earlier one may be there.
        self.tally.wall_before = Duration::try_from_secs_f64(elapsed.max(worked)).unwrap_or_default();
        if let Some((_, at)) = &mut self.tally.threshold_reached {
            *at = reached.unwrap_or(0.0);
        }
        Ok(checkpoint)
    }

    /// Lets the schedules of a run that goes on end with its present budget, instead of the one it began with.
    pub fn extending_schedules(mut self) -> Self {
        if self.horizon != self.config.total_steps {
            if self.horizons.is_empty() {
                self.horizons.push((0, self.horizon));
            }
            self.horizons.push((self.tally.step, self.config.total_steps));
        }
        self.horizon = self.config.total_steps;
        self.forget_checkpoint();
        self
    }

    /// The schedules that are at their end, or will be long before the run is, each with its value there, which may be 0: then nothing is learned. They are
    /// those of a run that goes on beyond the budget that they are of (none after [`extending_schedules`](Self::extending_schedules)), and those of a run whose
    /// first rollout takes its whole budget. They are looked for among the settings that [`named`](Self::named) told of. What is found when the run begins or
    /// goes on is among the summary's warnings.
    pub fn ended_schedules(&self) -> Vec<String> {
        let (horizon, budget, len) = (self.horizon, self.config.total_steps, self.config.rollout_len());
        let helps = format!(
            "with --extend-schedule (in a program Trainer::extending_schedules) it ends at step {budget}"
        );
        let when = if budget > horizon && self.tally.step >= horizon {
            format!("from here on, for it ended at step {horizon}; {helps}")
        } else if budget > horizon {
            format!("from step {horizon} on, where it ends; {helps}")
        } else if self.config.n_episodes.is_none() && budget <= len as u64 {
            format!("in the only update, for a rollout of {len} steps is the whole budget of {budget}")
        } else {
            return Vec::new();
        };
        let ended = |(key, value): (&String, &Value)| {
            let text = value.as_str().filter(|_| !TEXTS.contains(&key.as_str()))?;
            let schedule = text.parse::<Schedule>().ok().filter(|schedule| schedule.constant().is_none())?;
            Some(format!("{key} = {text} is {} {when}", schedule.at(0.0)))
        };
        self.info.settings.iter().filter_map(ended).collect()
    }

    /// Adds something that whoever reads the run's summary should know.
    pub fn with_warning(mut self, warning: impl Into<String>) -> Self {
        self.warn(warning.into());
        self
    }

    /// Whether a run that goes on does so exactly; not where its environments could not be saved, and started new episodes.
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// Environment steps so far.
    pub fn step_count(&self) -> u64 {
        self.tally.step
    }

    /// Everything that the rest of the run depends on; `None` where the algorithm cannot say.
    pub(super) fn take_snapshot(&mut self) -> Result<Option<Archive>, TrainError> {
        let Some(algorithm) = self.algorithm.state()? else { return Ok(None) };
        let mut archive = Archive::default();
        let about = json!({
            "kind": "checkpoint", "version": VERSION, "algo": self.info.algo, "env": self.info.env,
            "seed": self.info.seed, "step": self.tally.step, "horizon": self.horizon, "resumes": self.resumes,
            "settings": self.info.settings, "spec": PolicySpec::of(self.agent.policy()),
        });
        if let Value::Object(about) = about {
            archive.about = about;
        }
        if !self.horizons.is_empty() {
            archive.about.insert("horizons".to_owned(), json!(self.horizons));
        }
        if self.collector.has_masks() {
            archive.about.insert(MASKED.to_owned(), json!(true));
        }
        let theta = self.agent.theta();
        archive.insert("theta", &[theta.len()], Data::F32(theta.to_vec()));
        algorithm.store(&mut archive, "algorithm");
        self.collector.state()?.store(&mut archive, "collector");
        let sinks = self.sinks.state()?;
        self.hear_warnings();
        let mut run = State::new("Run", 1)
            .with("rng", &self.rng)?
            .with("warnings", &self.warnings)?
            .with("verdict", &self.verdict)?
            .with("non_finite", self.non_finite)?
            .with("dumps", self.dumps)?
            .with_part("tally", self.tally.state()?);
        if let Some(evaluator) = &self.evaluator {
            run = run.with_part("evaluator", evaluator.state()?);
        }
        for (i, watcher) in self.watchers.iter().enumerate() {
            if let Some(state) = watcher.state()? {
                run = run.with_part(&format!("watcher{i}"), state);
            }
        }
        run.store(&mut archive, "run");
        sinks.store(&mut archive, "sinks");
        Ok(Some(archive))
    }

    /// Puts everything back; in a run that is about to go on (and not to end) also logs and environments that could not be saved.
    pub(super) fn restore(&mut self, archive: &Archive, goes_on: bool) -> Result<bool, TrainError> {
        let n = self.agent.theta().len();
        let theta = archive.f32s("theta", &[n])?;
        let run = State::load(archive, "run")?;
        let run = run.owned_by("Run", 1)?;
        self.algorithm.restore(&self.agent, &State::load(archive, "algorithm")?)?;
        let collector = State::load(archive, "collector")?;
        let exact = self.collector.restore(&collector, self.info.seed, goes_on.then_some(self.resumes))?;
        self.agent.theta_mut().copy_from_slice(theta);
        self.rng = run.value::<EnvRng>("rng")?;
        self.tally.restore(run.part("tally")?)?;
        if let Some(evaluator) = &mut self.evaluator
            && let Ok(state) = run.part("evaluator")
        {
            evaluator.restore(state)?;
        }
        self.horizon = number(archive, "horizon")?;
        self.horizons = horizons_in(archive).filter(|all| all.len() > 1).unwrap_or_default();
        for (i, watcher) in self.watchers.iter_mut().enumerate() {
            if let Ok(state) = run.part(&format!("watcher{i}")) {
                watcher.restore(state)?;
            }
        }
        (self.non_finite, self.dumps) = (run.value("non_finite")?, run.value("dumps")?);
        if goes_on {
            self.verdict = run.value("verdict")?;
            self.warnings = run.value::<Option<Vec<String>>>("warnings")?.unwrap_or_default();
            self.logs_agree = self.sinks.restore(&State::load(archive, "sinks")?)?;
        }
        Ok(exact)
    }

    /// Writes the state of the last boundary where that is due, or `now`. Where it cannot be written the run goes on, and says so in the end: the
    /// checkpoints before are still there.
    pub(super) fn checkpoint(&mut self, now: bool) {
        let Some(rescue) = self.rescue() else { return };
        let step = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(step_of);
        let Some(step) = step else { return };
        if self.written == Some(step) || !(now || self.is_checkpoint_due(step)) {
            return;
        }
        // What it says of the logs must be true whatever happens then.
        let synced = self.sinks.sync().map_err(TrainError::from);
        match synced.and_then(|()| rescue.write()) {
            Ok(()) => self.written = Some(step),
            Err(error) => self.warn_first("a checkpoint could not be written", step, &error),
        }
        self.next_checkpoint = self.after(step);
        self.last_checkpoint = std::time::Instant::now();
    }

    /// The step at which the next checkpoint after this one is due.
    fn after(&self, step: u64) -> u64 {
        let freq = self.checkpoints.map_or(1, |config| config.freq.max(1));
        (step / freq).saturating_add(1).saturating_mul(freq)
    }

    pub(super) fn is_checkpoint_due(&self, step: u64) -> bool {
        let by_time = |config: crate::CheckpointConfig| self.last_checkpoint.elapsed() >= config.every;
        self.checkpoints.is_some_and(|config| step >= self.next_checkpoint || by_time(config))
    }

    /// Keeps the state as it is now, between two iterations.
    pub(super) fn note(&mut self) -> Result<(), TrainError> {
        if self.dir.is_some() && self.checkpoints.is_some() {
            let snapshot = self.take_snapshot()?;
            self.is_fresh = snapshot.is_some();
            self.noted = std::time::Instant::now();
            self.keep_snapshot(snapshot);
        }
        Ok(())
    }

    /// Lets the next iteration be left where its beginning is known.
    pub(super) fn let_leave(&mut self) {
        let stop = if self.can_abandon() { self.stop.clone() } else { Arc::default() };
        self.collector.stop_by(stop);
    }

    /// Notes what went wrong without ending the run, once.
    pub(super) fn warn(&mut self, warning: String) {
        if self.warnings.len() < 20 && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Notes the first of what may fail again and again.
    pub(super) fn warn_first(&mut self, what: &str, step: u64, error: &TrainError) {
        if !self.warnings.iter().any(|warning| warning.starts_with(what)) {
            self.warn(format!("{what} at step {step}, nor perhaps later ones: {error}"));
        }
    }

    /// Notes which logs end early.
    pub(super) fn hear_warnings(&mut self) {
        for warning in self.sinks.take_warnings() {
            self.warn(warning);
        }
    }

    /// Whether an unfinished iteration can be abandoned, for it will be computed again.
    pub(super) fn can_abandon(&self) -> bool {
        self.is_fresh
    }

    /// Goes back to the last boundary, for the run was stopped.
    pub(super) fn abandon(&mut self) -> Result<(), TrainError> {
        // A copy: a process that must end at once may want to write it meanwhile.
        let snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match snapshot {
            Some(snapshot) => self.restore(&snapshot, false).map(|_| ()),
            None => Ok(()),
        }
    }

    pub(super) fn has_snapshot(&self) -> bool {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(super) fn keep_snapshot(&mut self, snapshot: Option<Archive>) {
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }

    /// What a process that cannot wait for this run may still do for it; `None` for a run that writes no checkpoints.
    pub fn rescue(&self) -> Option<Rescue> {
        let (dir, config) = (self.dir.clone()?, self.checkpoints?);
        Some(Rescue { dir, keep: config.keep, snapshot: self.snapshot.clone() })
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Why none of a run's checkpoints can be used, the newest first.
fn unusable(dir: &RunDir, faults: Vec<(PathBuf, String)>) -> TrainError {
    let Some((newest, fault)) = faults.first().cloned() else {
        return TrainError::NoCheckpoint { path: dir.path().to_owned() };
    };
    let older = faults[1..].iter().map(|(path, reason)| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match *reason == fault {
            true => format!("; the older {name} has the same fault"),
            false => format!("; nor can the older {name} be used: {reason}"),
        }
    });
    let older: String = older.collect();
    TrainError::Checkpoint { path: newest, reason: format!("{fault}{older}") }
}

/// Writes `config.toml` where there is none. That of a run that goes on keeps everything but the budget, where it says another; one that cannot be read stays.
pub(super) fn describe(dir: &RunDir, info: &RunInfo, goes_on: bool) -> Result<(), TrainError> {
    let path = dir.file("config.toml");
    if !path.exists() {
        return dir.write("config.toml", &info.to_toml());
    }
    let Some(text) = std::fs::read_to_string(&path).ok().filter(|_| goes_on) else { return Ok(()) };
    let is_budget = |line: &&str| line.split_once('=').is_some_and(|(key, _)| key.trim() == "total_steps");
    // What follows a table's head is the table's.
    let of_run = text.split_inclusive('\n').take_while(|line| !line.trim_start().starts_with('['));
    let Some(old) = of_run.clone().find(is_budget) else { return Ok(()) };
    let value =
        old.split_once('=').map_or("", |(_, value)| value.split('#').next().unwrap_or_default().trim());
    if value.is_empty() || value.replace('_', "").parse() == Ok(info.total_steps) {
        return Ok(());
    }
    let at = of_run.take_while(|line| !is_budget(line)).map(str::len).sum::<usize>();
    let new = old.replacen(value, &info.total_steps.to_string(), 1);
    dir.write("config.toml", &format!("{}{new}{}", &text[..at], &text[at + old.len()..]))
}

/// Whether a saved state of environments is the fault.
fn is_of_state(error: &EnvError) -> bool {
    match error {
        EnvError::InvalidState(_) => true,
        EnvError::At { source, .. } => is_of_state(source),
        _ => false,
    }
}

fn step_of(archive: &Archive) -> Option<u64> {
    archive.about.get("step").and_then(Value::as_u64)
}

fn number(archive: &Archive, key: &str) -> Result<u64, NnError> {
    let number = archive.about.get(key).and_then(Value::as_u64);
    number.ok_or_else(|| NnError::Saved(format!("its description has no usable {key:?}")))
}
