//! What the seeds of one algorithm in one environment amount to.
//!
//! A run that failed is one of the runs: it counts as the worst return, never reaches the threshold and loses every comparison.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::PathBuf;

use rl_algo::Settings;
use rl_env::EnvRng;
use rl_env::rng::stream;
use rl_stats::{EventTime, Interval, KaplanMeier, MedianInterval, RestrictedMean, iqm, mean};
use rl_train::{Status, Summary};

use super::records::Record;
use crate::recorder::EvaluationPoint;
use crate::settings::NEVER;

pub(super) const CONFIDENCE: f64 = 0.95;
pub(super) const RESAMPLES: usize = 10_000;

/// All seeds of one algorithm, with its settings, in one environment.
pub(crate) struct Group {
    /// The algorithm and its label.
    pub(crate) name: String,
    pub(super) algo: String,
    pub(super) label: Option<String>,
    pub(super) env: String,
    pub(super) preset: String,
    /// What all runs have in common.
    pub(super) settings: Settings,
    pub(super) threshold: Option<f64>,
    pub(super) worst_return: Option<f64>,
    budget: u64,
    /// Whether its runs say that they are evaluated; a program's do not say.
    evaluates: Option<bool>,
    pub(crate) runs: Vec<Run>,
    /// The interval that seeds were added for.
    pub(crate) narrowed: Option<Narrowed>,
    iqm_interval: OnceCell<Option<Interval>>,
    mean_interval: OnceCell<Option<Interval>>,
}

/// An interval that is valid whenever one stops, and what it is of.
#[derive(Clone, Copy)]
pub(crate) enum Narrowed {
    Iqm(Interval),
    Mean(Interval),
}

/// One run that was begun.
pub(crate) struct Run {
    pub(crate) seed: u64,
    /// Where its files are, if it left any.
    pub(crate) dir: Option<PathBuf>,
    pub(crate) ended: Ended,
    pub(super) curve: Vec<EvaluationPoint>,
    /// Why it has no end that can be used.
    pub(super) fault: Option<String>,
    /// Whether it was finished before this comparison began.
    pub(crate) was_there: bool,
}

/// How a run ended.
pub(crate) enum Ended {
    /// Its budget is spent, or it was interrupted.
    Well(Summary),
    /// It failed: why, and what it had got to; nothing where it failed before it began.
    Badly { error: String, left: Option<Summary> },
}

/// How long runs take to the threshold.
pub(super) struct Reaching {
    /// When half of the runs have reached it.
    pub(super) median: Option<f64>,
    /// The interval of the median, from enough runs.
    pub(super) interval: Option<MedianInterval>,
    /// The mean up to the horizon, from enough runs.
    pub(super) restricted: Option<RestrictedMean>,
    /// The budget, or more where the last rollout went beyond it.
    pub(super) horizon: f64,
    /// How many reach it.
    pub(super) reached: usize,
    /// How many there are.
    pub(super) runs: usize,
}

impl Group {
    /// No run yet of what a `config.toml` says; the threshold and the worst return are those of the environment.
    pub(crate) fn new(config: &Settings, threshold: Option<f64>, worst_return: Option<f64>) -> Self {
        let text = |key: &str| config.get(key).and_then(|value| value.as_str()).map(str::to_owned);
        let (algo, label) = (text("algo").unwrap_or_default(), text("label"));
        let env = text("env").unwrap_or_default();
        let of_run = ["algo", "env", "preset", "label", "seed"];
        let settings = config.iter().filter(|(key, _)| !of_run.contains(&key.as_str()));
        Group {
            name: label.as_ref().map_or_else(|| algo.clone(), |label| format!("{algo}-{label}")),
            // A program has none.
            preset: text("preset").unwrap_or_else(|| "none".to_owned()),
            settings: settings.map(|(key, value)| (key.clone(), value.clone())).collect(),
            threshold,
            worst_return,
            budget: config.get("total_steps").and_then(|steps| steps.as_u64()).unwrap_or(0),
            evaluates: config.get("eval_freq").map(|freq| freq != NEVER),
            runs: Vec::new(),
            narrowed: None,
            iqm_interval: OnceCell::new(),
            mean_interval: OnceCell::new(),
            algo,
            label,
            env,
        }
    }

    /// Whether its runs are evaluated: as they say, or where they do not, as one of them was.
    fn evaluates(&self) -> bool {
        let was = |run: &Run| !run.curve.is_empty() || run.reached().is_some_and(|s| s.eval.is_some());
        self.evaluates.unwrap_or_else(|| self.runs.iter().any(was))
    }

    pub(super) fn summaries(&self) -> impl Iterator<Item = &Summary> {
        self.runs.iter().filter_map(Run::summary)
    }

    pub(super) fn n_failed(&self) -> usize {
        self.runs.iter().filter(|run| run.has_failed()).count()
    }

    pub(super) fn n_interrupted(&self) -> usize {
        self.summaries().filter(|s| s.status == Status::Interrupted).count()
    }

    /// What a failed run counts as, where one failed.
    pub(super) fn failed_counts_as(&self) -> Option<f64> {
        self.worst_return.filter(|_| self.n_failed() > 0 && self.evaluates())
    }

    /// Whether scores are withheld because of failed runs.
    pub(super) fn withholds(&self) -> bool {
        self.evaluates() && self.n_failed() > 0 && self.failed_counts_as().is_none()
    }

    /// The score of a run: the mean of its final evaluation, or the worst return if it failed.
    pub(super) fn score(&self, run: &Run) -> Option<f64> {
        match run.summary() {
            Some(summary) => summary.eval.as_ref().map(|e| e.mean),
            None => self.failed_counts_as(),
        }
    }

    /// The scores of all runs, but for interrupted ones, whose final evaluation never was.
    ///
    /// # Errors
    ///
    /// Why there are none, in words.
    pub(super) fn scores(&self) -> Result<Vec<f64>, String> {
        if !self.evaluates() {
            return Err("there was no evaluation".to_owned());
        }
        let (failed, runs) = (self.n_failed(), self.runs.len());
        if self.withholds() {
            return Err(format!(
                "{failed} of {runs} runs failed, and no worst return of {} is documented to count them as (EnvSpec::with_worst_return documents one)",
                self.env
            ));
        }
        let scores: Vec<f64> = self.runs.iter().filter_map(|run| self.score(run)).collect();
        if scores.is_empty() { Err("no run was finished".to_owned()) } else { Ok(scores) }
    }

    /// The same for comparing one run with another: a failed one is worse than whatever ended.
    pub(super) fn ranked(&self) -> Vec<f64> {
        let score = |run: &Run| match run.summary() {
            Some(summary) => summary.eval.as_ref().map(|e| e.mean),
            None => self.evaluates().then_some(f64::NEG_INFINITY),
        };
        self.runs.iter().filter_map(score).collect()
    }

    /// The interval of the IQM; `None` where there are too few runs, the scores are withheld, or seeds were added for the mean's.
    pub(super) fn iqm_interval(&self) -> Option<Interval> {
        match self.narrowed {
            Some(Narrowed::Iqm(interval)) => {
                Some(interval).filter(|i| i.low.is_finite() && i.high.is_finite())
            }
            Some(Narrowed::Mean(_)) => None,
            None => *self.iqm_interval.get_or_init(|| self.bootstrap(iqm)),
        }
    }

    /// The same of the mean.
    pub(super) fn mean_interval(&self) -> Option<Interval> {
        match self.narrowed {
            Some(Narrowed::Mean(interval)) => Some(interval),
            Some(Narrowed::Iqm(_)) => None,
            None => *self.mean_interval.get_or_init(|| self.bootstrap(mean)),
        }
    }

    fn bootstrap(&self, statistic: fn(&[f64]) -> f64) -> Option<Interval> {
        let scores = self.scores().ok()?;
        rl_stats::bootstrap_interval(statistic, &scores, CONFIDENCE, RESAMPLES, &mut resampling()).ok()
    }

    /// How many steps the threshold takes; `None` where nothing would tell.
    pub(super) fn steps_to_threshold(&self) -> Option<Reaching> {
        let horizon = self.summaries().map(|s| s.total_steps).max().unwrap_or(0).max(self.budget) as f64;
        self.reaching(horizon, |s| EventTime {
            time: s.steps_to_threshold.unwrap_or(s.total_steps) as f64,
            reached: s.steps_to_threshold.is_some(),
        })
    }

    /// How many seconds it takes. A run without it is never there, however long it went on.
    pub(super) fn seconds_to_threshold(&self) -> Option<Reaching> {
        self.reaching(f64::INFINITY, |s| EventTime {
            time: s.seconds_to_threshold.unwrap_or(s.total_steps as f64 / s.steps_per_second.max(1e-9)),
            reached: s.seconds_to_threshold.is_some(),
        })
    }

    fn reaching(&self, horizon: f64, of_run: impl Fn(&Summary) -> EventTime) -> Option<Reaching> {
        self.threshold.filter(|_| self.evaluates())?;
        // A run that was interrupted, or ended by a watcher, was watched until then. One that spent its budget without reaching the threshold, or failed,
        // has not reached it within the budget, and a failed one would not have later.
        let time = |run: &Run| match run.summary() {
            Some(s) if s.steps_to_threshold.is_some() || ended_early(s.status) => of_run(s),
            _ => EventTime { time: horizon, reached: false },
        };
        let times: Vec<EventTime> = self.runs.iter().map(time).collect();
        let km = KaplanMeier::new(&times).ok()?;
        let interval = km.median_interval(CONFIDENCE).ok();
        Some(Reaching {
            median: km.median(),
            interval,
            restricted: km.restricted_mean(horizon).ok().filter(|m| m.mean.is_finite() && interval.is_some()),
            horizon,
            reached: times.iter().filter(|t| t.reached).count(),
            runs: times.len(),
        })
    }
}

/// Whether a run that did not fail ended before its budget was spent.
fn ended_early(status: Status) -> bool {
    matches!(status, Status::Interrupted | Status::Stopped)
}

impl Run {
    /// A run that ended before.
    pub(super) fn of_record(record: Record) -> Self {
        let Record { summary, curve, dir, .. } = record;
        let ended = match summary.status {
            Status::Failed => {
                Ended::Badly { error: summary.error.clone().unwrap_or_default(), left: Some(summary.clone()) }
            }
            _ => Ended::Well(summary.clone()),
        };
        Run { seed: summary.seed, dir, ended, curve, fault: None, was_there: true }
    }

    pub(super) fn summary(&self) -> Option<&Summary> {
        match &self.ended {
            Ended::Well(summary) => Some(summary),
            Ended::Badly { .. } => None,
        }
    }

    /// What a run that failed had got to, and what any other did.
    pub(super) fn reached(&self) -> Option<&Summary> {
        match &self.ended {
            Ended::Well(summary) => Some(summary),
            Ended::Badly { left, .. } => left.as_ref(),
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.ended, Ended::Badly { .. })
    }

    pub(crate) fn error(&self) -> Option<&str> {
        match &self.ended {
            Ended::Well(_) => None,
            Ended::Badly { error, .. } => Some(error),
        }
    }

    /// What makes a run worthless that did not fail.
    pub(crate) fn fault(&self) -> Option<String> {
        let fault = self.fault.clone().or_else(|| self.summary()?.fault())?;
        Some(self.dir.as_ref().map_or_else(|| fault.clone(), |dir| format!("{fault}, in {}", dir.display())))
    }

    pub(super) fn status(&self) -> String {
        self.summary().map_or(Status::Failed, |s| s.status).to_string()
    }
}

/// How two algorithms in one environment compare.
pub(super) struct Improvement {
    pub(super) env: String,
    pub(super) algo: String,
    pub(super) over: String,
    /// How probably a run of one ends better than one of the other.
    pub(super) probability: f64,
    pub(super) interval: Option<Interval>,
    /// The mean difference of runs with the same seed.
    pub(super) difference: Option<f64>,
    pub(super) difference_interval: Option<Interval>,
}

/// Every pair of algorithms in one environment.
pub(super) fn improvements(groups: &[&Group]) -> Vec<Improvement> {
    let pairs = groups.iter().enumerate().flat_map(|(i, x)| groups[i + 1..].iter().map(move |y| (x, y)));
    pairs.filter_map(|(x, y)| improvement(x, y)).collect()
}

fn improvement(x: &Group, y: &Group) -> Option<Improvement> {
    let (a, b) = (x.ranked(), y.ranked());
    // Where nothing ended there is nothing to compare.
    if a.is_empty() || b.is_empty() || !a.iter().chain(&b).any(|score| score.is_finite()) {
        return None;
    }
    let rng = &mut resampling();
    let interval = rl_stats::probability_of_improvement_interval(&a, &b, CONFIDENCE, RESAMPLES, rng).ok();
    // Where scores are withheld there is no pair.
    let of_seed: HashMap<u64, &Run> = y.runs.iter().map(|run| (run.seed, run)).collect();
    let pair = |run: &Run| Some((x.score(run)?, y.score(of_seed.get(&run.seed)?)?));
    let seeds = x.runs.iter().filter_map(pair);
    let are_known = x.scores().is_ok() && y.scores().is_ok();
    let (a_paired, b_paired): (Vec<f64>, Vec<f64>) = seeds.filter(|_| are_known).unzip();
    let differences = rl_stats::paired_differences(&a_paired, &b_paired).ok();
    let rng = &mut resampling();
    Some(Improvement {
        env: x.env.clone(),
        algo: x.name.clone(),
        over: y.name.clone(),
        probability: rl_stats::probability_of_improvement(&a, &b),
        interval,
        difference: differences.as_deref().map(mean),
        difference_interval: rl_stats::paired_interval(
            mean, &a_paired, &b_paired, CONFIDENCE, RESAMPLES, rng,
        )
        .ok(),
    })
}

/// The generator of resamples: the same one every time, so that the same scores give the same interval.
pub(super) fn resampling() -> EnvRng {
    stream(0, "bootstrap", 0)
}
