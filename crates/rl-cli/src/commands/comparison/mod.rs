//! What several runs of several algorithms amount to, for people and for programs.

use std::fmt::Write;
use std::path::Path;

use rl_env::EnvRng;
use rl_env::rng::stream;
use rl_stats::{
    Interval, bootstrap_interval, iqm, mean, probability_of_improvement, probability_of_improvement_interval,
    std,
};
use rl_train::{RunDir, Status, Summary};
use serde_json::{Value, json};

use super::train::document;
use crate::output;

const CONFIDENCE: f64 = 0.95;
const RESAMPLES: usize = 10_000;

/// All algorithms in all environments.
pub(super) struct Comparison<'a> {
    pub(super) groups: Vec<Group<'a>>,
    pub(super) out: &'a Path,
    pub(super) at_once: usize,
    pub(super) wall_seconds: f64,
}

/// All seeds of one algorithm in one environment.
pub(super) struct Group<'a> {
    algo: &'a str,
    env: &'a str,
    preset: &'a str,
    runs: Vec<(&'a RunDir, &'a Summary)>,
}

/// How probably a run of one algorithm ends better than one of another.
struct Improvement<'a> {
    algo: &'a str,
    over: &'a str,
    probability: f64,
    interval: Option<Interval>,
}

impl<'a> Comparison<'a> {
    /// The comparison as `--json` prints it.
    pub(super) fn document(&self) -> Value {
        json!({
            "runs_at_once": self.at_once,
            "wall_seconds": self.wall_seconds,
            "environments": self.envs().into_iter().map(|env| self.environment(env)).collect::<Vec<_>>(),
        })
    }

    fn environment(&self, env: &str) -> Value {
        let here = self.groups_in(env);
        let improvement = improvements(&here).into_iter().map(|i| {
            let (low, high) = ends(i.interval);
            json!({"algo": i.algo, "over": i.over, "probability": i.probability, "low": low, "high": high})
        });
        json!({
            "env": env,
            "threshold": here.iter().find_map(|g| g.threshold()),
            "improvement": improvement.collect::<Vec<_>>(),
            "algorithms": here.iter().map(|g| g.document()).collect::<Vec<_>>(),
        })
    }

    /// The comparison as people read it.
    pub(super) fn report(&self) -> String {
        let mut text = String::new();
        for env in self.envs() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n{env}\n{}", self.table(env));
            for Improvement { algo, over, probability, interval } in improvements(&self.groups_in(env)) {
                let interval = interval.map_or(String::new(), |i| format!(" [{:.2}, {:.2}]", i.low, i.high));
                let _ = writeln!(text, "P({algo} ends better than {over}) = {probability:.2}{interval}");
            }
        }
        let finished = |g: &Group<'_>| g.runs.iter().filter(|(_, s)| s.status == Status::Finished).count();
        let runs: usize = self.groups.iter().map(finished).sum();
        let sharing = match self.at_once {
            1 => "one at a time".to_owned(),
            n => format!("{n} at once: seconds are those of runs that shared the machine"),
        };
        let _ = writeln!(text, "\n{runs} runs in {:.1} s, {sharing}.", self.wall_seconds);
        text += "Final evaluation: the deterministic policy's mean return, mean ± std over seeds. Seconds exclude evaluations.\n";
        text += "Intervals: 95 %, bootstrap over seeds.\n";
        let dirs = self.groups.iter().flat_map(|g| &g.runs).map(|(dir, _)| dir.path().display().to_string());
        let _ = writeln!(text, "Runs: {}", dirs.collect::<Vec<_>>().join(" "));
        let _ = writeln!(text, "Curves: tensorboard --logdir {}", self.out.display());
        text
    }

    fn table(&self, env: &str) -> String {
        let here = self.groups_in(env);
        let threshold =
            here.iter().find_map(|g| g.threshold()).map_or("threshold".to_owned(), |t| t.to_string());
        let (steps, seconds) = (format!("steps to {threshold}"), format!("seconds to {threshold}"));
        let header =
            ["algorithm", "preset", "final evaluation", "IQM [interval]", &steps, &seconds, "per seed"];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        rows.extend(here.iter().map(|group| group.row()));
        output::table(&rows)
    }

    fn envs(&self) -> Vec<&'a str> {
        let mut envs: Vec<&str> = self.groups.iter().map(|group| group.env).collect();
        envs.dedup();
        envs
    }

    fn groups_in(&self, env: &str) -> Vec<&Group<'a>> {
        self.groups.iter().filter(|group| group.env == env).collect()
    }
}

impl<'a> Group<'a> {
    /// The runs among `done` that are of this algorithm in this environment.
    pub(super) fn new(
        algo: &'a str,
        env: &'a str,
        preset: &'a str,
        done: &[(&'a RunDir, &'a Summary)],
    ) -> Self {
        let runs = done.iter().copied().filter(|(_, s)| s.algo == algo && s.env == env).collect();
        Group { algo, env, preset, runs }
    }

    /// The means of the final evaluations.
    fn finals(&self) -> Vec<f64> {
        self.runs.iter().filter_map(|(_, s)| Some(s.eval?.mean)).collect()
    }

    fn steps_to_threshold(&self) -> Vec<f64> {
        self.runs.iter().filter_map(|(_, s)| Some(s.steps_to_threshold? as f64)).collect()
    }

    fn seconds_to_threshold(&self) -> Vec<f64> {
        self.runs.iter().filter_map(|(_, s)| s.seconds_to_threshold).collect()
    }

    fn threshold(&self) -> Option<f64> {
        self.runs.iter().find_map(|(_, s)| s.threshold)
    }

    fn interval(&self, statistic: fn(&[f64]) -> f64) -> Option<Interval> {
        bootstrap_interval(statistic, &self.finals(), CONFIDENCE, RESAMPLES, &mut resampling()).ok()
    }

    fn document(&self) -> Value {
        let finals = self.finals();
        let statistic = |f: fn(&[f64]) -> f64| {
            let (low, high) = ends(self.interval(f));
            json!({"value": (!finals.is_empty()).then(|| f(&finals)), "low": low, "high": high})
        };
        let seed = |(dir, s): &(&RunDir, &Summary)| {
            let mut run = document(s, dir);
            run["steps_to_threshold"] = json!(s.steps_to_threshold);
            run["seconds_to_threshold"] = json!(s.seconds_to_threshold);
            run
        };
        json!({
            "algo": self.algo,
            "preset": self.preset,
            "mean": statistic(mean),
            "iqm": statistic(iqm),
            "std": (!finals.is_empty()).then(|| std(&finals)),
            "reached_threshold": self.steps_to_threshold().len(),
            "seeds": self.runs.iter().map(seed).collect::<Vec<_>>(),
        })
    }

    fn row(&self) -> Vec<String> {
        let finals = self.finals();
        let d = output::decimals(finals.iter().fold(0.0, |m: f64, x| m.max(x.abs())));
        let reached = |xs: &[f64], digits: usize| match xs.len() {
            0 => "-".to_owned(),
            n if n == self.runs.len() => format!("{:.digits$}", mean(xs)),
            n => format!("{:.digits$} ({n} of {} runs)", mean(xs), self.runs.len()),
        };
        let (evaluation, interval) = match self.interval(iqm) {
            None => ("-".to_owned(), "-".to_owned()),
            Some(i) => (
                format!("{:.d$} ± {:.d$}", mean(&finals), std(&finals)),
                format!("{:.d$} [{:.d$}, {:.d$}]", iqm(&finals), i.low, i.high),
            ),
        };
        vec![
            self.algo.to_owned(),
            self.preset.to_owned(),
            evaluation,
            interval,
            reached(&self.steps_to_threshold(), 0),
            reached(&self.seconds_to_threshold(), 1),
            finals.iter().map(|x| format!("{x:.d$}")).collect::<Vec<_>>().join(" "),
        ]
    }
}

/// Every pair of algorithms.
fn improvements<'a>(groups: &[&Group<'a>]) -> Vec<Improvement<'a>> {
    let mut pairs = Vec::new();
    for (i, x) in groups.iter().enumerate() {
        for y in &groups[i + 1..] {
            let (a, b) = (x.finals(), y.finals());
            if a.is_empty() || b.is_empty() {
                continue;
            }
            let interval =
                probability_of_improvement_interval(&a, &b, CONFIDENCE, RESAMPLES, &mut resampling());
            let probability = probability_of_improvement(&a, &b);
            pairs.push(Improvement { algo: x.algo, over: y.algo, probability, interval: interval.ok() });
        }
    }
    pairs
}

fn ends(interval: Option<Interval>) -> (Option<f64>, Option<f64>) {
    interval.map(|i| (i.low, i.high)).unzip()
}

/// The generator of resamples: the same one every time, so that the same scores give the same interval.
fn resampling() -> EnvRng {
    stream(0, "bootstrap", 0)
}
