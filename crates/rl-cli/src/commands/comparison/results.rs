//! What the seeds of one algorithm in one environment amount to.
//!
//! A run that failed is one of the runs: it counts as the worst return, never reaches the threshold and loses every comparison.

use std::fs;

use rl_env::EnvRng;
use rl_env::rng::stream;
use rl_stats::{EventTime, Interval, KaplanMeier, MedianInterval, RestrictedMean};
use rl_train::{RunDir, Status, Summary};
use serde_json::Value;

use crate::run_config::RunConfig;

pub(super) const CONFIDENCE: f64 = 0.95;
pub(super) const RESAMPLES: usize = 10_000;

/// All seeds of one algorithm in one environment.
pub(crate) struct Group<'a> {
    /// The algorithm and its label.
    pub(super) name: String,
    pub(super) env: &'a str,
    pub(super) preset: &'a str,
    pub(super) threshold: Option<f64>,
    worst_return: Option<f64>,
    budget: u64,
    evaluates: bool,
    pub(crate) runs: Vec<Run<'a>>,
}

/// One run that was begun.
pub(crate) struct Run<'a> {
    pub(crate) seed: u64,
    pub(crate) dir: &'a RunDir,
    pub(crate) ended: Ended<'a>,
}

/// How a run ended.
pub(crate) enum Ended<'a> {
    /// Its budget is spent, or it was interrupted.
    Well(&'a Summary),
    /// It failed, and why.
    Badly(String),
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

impl<'a> Group<'a> {
    pub(crate) fn new(config: &'a RunConfig, runs: Vec<Run<'a>>) -> Self {
        Group {
            name: config.name(),
            env: &config.env.id,
            preset: config.preset,
            threshold: rl_train::reward_threshold(&config.env),
            worst_return: config.env.worst_return,
            budget: config.train.total_steps,
            evaluates: config.eval.is_some(),
            runs,
        }
    }

    pub(super) fn summaries(&self) -> impl Iterator<Item = &'a Summary> {
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
        self.worst_return.filter(|_| self.n_failed() > 0 && self.evaluates)
    }

    /// Whether scores are withheld because of failed runs.
    pub(super) fn withholds(&self) -> bool {
        self.evaluates && self.n_failed() > 0 && self.failed_counts_as().is_none()
    }

    /// The score of a run: the mean of its final evaluation, or the worst return if it failed.
    pub(super) fn score(&self, run: &Run<'_>) -> Option<f64> {
        match run.summary() {
            Some(summary) => summary.eval.map(|e| e.mean),
            None => self.failed_counts_as(),
        }
    }

    /// The scores of all runs, but for interrupted ones, whose final evaluation never was.
    ///
    /// # Errors
    ///
    /// Why there are none, in words.
    pub(super) fn scores(&self) -> Result<Vec<f64>, String> {
        if !self.evaluates {
            return Err("there was no evaluation".to_owned());
        }
        let (failed, runs) = (self.n_failed(), self.runs.len());
        if self.withholds() {
            return Err(format!(
                "{failed} of {runs} runs failed, and no worst return of {} is documented to count them as",
                self.env
            ));
        }
        let scores: Vec<f64> = self.runs.iter().filter_map(|run| self.score(run)).collect();
        if scores.is_empty() { Err("no run was finished".to_owned()) } else { Ok(scores) }
    }

    /// The same for comparing one run with another: a failed one is worse than whatever ended.
    pub(super) fn ranked(&self) -> Vec<f64> {
        let score = |run: &Run<'_>| match run.summary() {
            Some(summary) => summary.eval.map(|e| e.mean),
            None => self.evaluates.then_some(f64::NEG_INFINITY),
        };
        self.runs.iter().filter_map(score).collect()
    }

    /// The interval of a statistic of the scores; `None` where there are too few or the scores are withheld.
    pub(super) fn interval(&self, statistic: fn(&[f64]) -> f64) -> Option<Interval> {
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
        self.threshold.filter(|_| self.evaluates)?;
        // An interrupted run was watched until then. One that spent its budget without reaching the threshold, or failed,
        // has not reached it within the budget, and a failed one would not have later.
        let time = |run: &Run<'_>| match run.summary() {
            Some(s) if s.steps_to_threshold.is_some() || s.status == Status::Interrupted => of_run(s),
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

impl<'a> Run<'a> {
    pub(super) fn summary(&self) -> Option<&'a Summary> {
        match self.ended {
            Ended::Well(summary) => Some(summary),
            Ended::Badly(_) => None,
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.ended, Ended::Badly(_))
    }

    pub(super) fn error(&self) -> Option<&str> {
        match &self.ended {
            Ended::Well(_) => None,
            Ended::Badly(error) => Some(error),
        }
    }

    pub(super) fn status(&self) -> &'static str {
        match self.summary().map(|s| s.status) {
            Some(Status::Finished) => "finished",
            Some(Status::Interrupted) => "interrupted",
            Some(Status::Failed) | None => "failed",
        }
    }

    /// What a failed run left of itself in `summary.json`; nothing where it failed before it began.
    pub(super) fn remains(&self) -> Value {
        let text = fs::read(self.dir.file("summary.json"));
        text.ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or(Value::Null)
    }

    /// The run's evaluations from its `progress.csv`, whose numbers need no quotes.
    pub(super) fn evaluations(&self) -> Vec<EvaluationPoint> {
        let text = fs::read_to_string(self.dir.file("progress.csv")).unwrap_or_default();
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let of_line = |line: &str| {
            let cells: Vec<&str> = line.split(',').collect();
            let cell = |tag: &str| -> Option<f64> {
                cells.get(header.iter().position(|column| *column == tag)?)?.parse().ok()
            };
            Some(EvaluationPoint {
                step: cell("time/total_timesteps")? as u64,
                seconds: cell("time/time_elapsed"),
                mean: cell("eval/mean_reward")?,
                mean_length: cell("eval/mean_ep_length"),
            })
        };
        lines.filter_map(of_line).collect()
    }
}

/// One evaluation of a run.
pub(super) struct EvaluationPoint {
    pub(super) step: u64,
    pub(super) seconds: Option<f64>,
    pub(super) mean: f64,
    pub(super) mean_length: Option<f64>,
}

/// How two algorithms in one environment compare.
pub(super) struct Improvement<'a> {
    pub(super) algo: &'a str,
    pub(super) over: &'a str,
    /// How probably a run of one ends better than one of the other.
    pub(super) probability: f64,
    pub(super) interval: Option<Interval>,
    /// The mean difference of runs with the same seed.
    pub(super) difference: Option<f64>,
    pub(super) difference_interval: Option<Interval>,
}

/// Every pair of algorithms.
pub(super) fn improvements<'g>(groups: &[&'g Group<'_>]) -> Vec<Improvement<'g>> {
    let pairs = groups.iter().enumerate().flat_map(|(i, x)| groups[i + 1..].iter().map(move |y| (x, y)));
    pairs.filter_map(|(x, y)| improvement(x, y)).collect()
}

fn improvement<'g>(x: &'g Group<'_>, y: &'g Group<'_>) -> Option<Improvement<'g>> {
    let (a, b) = (x.ranked(), y.ranked());
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let rng = &mut resampling();
    let interval = rl_stats::probability_of_improvement_interval(&a, &b, CONFIDENCE, RESAMPLES, rng).ok();
    // Where scores are withheld there is no pair.
    let score = |group: &Group<'_>, seed| group.score(group.runs.iter().find(|run| run.seed == seed)?);
    let seeds = x.runs.iter().filter_map(|run| Some((score(x, run.seed)?, score(y, run.seed)?)));
    let are_known = x.scores().is_ok() && y.scores().is_ok();
    let (a_paired, b_paired): (Vec<f64>, Vec<f64>) = seeds.filter(|_| are_known).unzip();
    let differences = rl_stats::paired_differences(&a_paired, &b_paired).ok();
    let (mean, rng) = (rl_stats::mean, &mut resampling());
    Some(Improvement {
        algo: &x.name,
        over: &y.name,
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
fn resampling() -> EnvRng {
    stream(0, "bootstrap", 0)
}
