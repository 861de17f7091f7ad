//! A comparison for programs.

use rl_stats::{Interval, iqm, mean, std};
use serde_json::{Value, json};

use super::Comparison;
use super::differences::{Difference, differences};
use super::results::{Group, Improvement, Reaching, Run};
use crate::commands::train::document;

impl Comparison {
    /// The comparison as `--json` prints it.
    pub(crate) fn document(&self) -> Value {
        let runs: usize = self.groups.iter().map(|g| g.runs.len()).sum();
        let failed: usize = self.groups.iter().map(Group::n_failed).sum();
        json!({
            "command": self.command,
            "runs_at_once": self.effort.map(|effort| effort.at_once),
            "wall_seconds": self.effort.map(|effort| effort.wall_seconds),
            "runs": runs,
            "failed": failed,
            "taken_over": self.groups.iter().flat_map(|g| &g.runs).filter(|run| run.was_there).count(),
            "notes": self.notes,
            "environments": self.envs().into_iter().map(|env| self.environment(env)).collect::<Vec<_>>(),
            "rliable": self.rliable(),
        })
    }

    fn environment(&self, env: &str) -> Value {
        let here = self.groups_in(env);
        json!({
            "env": env,
            "threshold": here.iter().find_map(|g| g.threshold),
            "differences": differences(&here).iter().map(Difference::document).collect::<Vec<_>>(),
            "improvement": self.improvements_in(env).map(of_improvement).collect::<Vec<_>>(),
            "algorithms": here.iter().map(|g| of_group(g)).collect::<Vec<_>>(),
        })
    }

    /// The matrices that rliable reads, runs × tasks for each algorithm; null for one whose runs are withheld or not equally many.
    fn rliable(&self) -> Value {
        let envs = self.envs();
        let mut algos: Vec<&str> = Vec::new();
        for group in &self.groups {
            if !algos.contains(&&*group.name) {
                algos.push(&group.name);
            }
        }
        let matrix = |algo: &str| -> Option<Vec<Vec<f64>>> {
            let of_env =
                |env: &&str| self.groups.iter().find(|g| g.name == algo && g.env == **env)?.scores().ok();
            let tasks = envs.iter().map(of_env).collect::<Option<Vec<_>>>()?;
            let runs = tasks.first()?.len();
            let all_alike = tasks.iter().all(|task| task.len() == runs);
            all_alike.then(|| (0..runs).map(|run| tasks.iter().map(|task| task[run]).collect()).collect())
        };
        let scores: serde_json::Map<String, Value> =
            algos.into_iter().map(|algo| (algo.to_owned(), json!(matrix(algo)))).collect();
        json!({"tasks": envs, "scores": scores})
    }
}

fn of_group(group: &Group) -> Value {
    let scores = group.scores();
    let statistic = |f: fn(&[f64]) -> f64, interval| {
        let (low, high) = ends(interval);
        json!({"value": scores.as_deref().ok().map(f), "low": low, "high": high})
    };
    let steps = group.steps_to_threshold();
    json!({
        "name": group.name,
        "algo": group.algo,
        "label": group.label,
        "preset": group.preset,
        "runs": group.runs.len(),
        "failed": group.n_failed(),
        "interrupted": group.n_interrupted(),
        "failed_counts_as": group.failed_counts_as(),
        "withheld": scores.as_ref().err(),
        "mean": statistic(mean, group.mean_interval()),
        "iqm": statistic(iqm, group.iqm_interval()),
        "intervals": if group.narrowed.is_some() { "valid under stopping" } else { "bootstrap" },
        "std": scores.as_deref().ok().map(std),
        "reached_threshold": steps.as_ref().map_or(0, |steps| steps.reached),
        "steps_to_threshold": steps.as_ref().map(of_reaching),
        "seconds_to_threshold": group.seconds_to_threshold().as_ref().map(of_reaching),
        "settings": group.settings,
        "seeds": group.runs.iter().map(of_run).collect::<Vec<_>>(),
    })
}

fn of_reaching(r: &Reaching) -> Value {
    json!({
        "median": r.median,
        "low": r.interval.and_then(|i| i.low),
        "high": r.interval.and_then(|i| i.high),
        "not_reached": (r.runs - r.reached) as f64 / r.runs as f64,
        "restricted_mean": r.restricted.map(|m| m.mean),
        "restricted_mean_standard_error": r.restricted.map(|m| m.standard_error),
        "horizon": r.horizon.is_finite().then_some(r.horizon),
    })
}

fn of_improvement(i: &Improvement) -> Value {
    let (low, high) = ends(i.interval);
    let (difference_low, difference_high) = ends(i.difference_interval);
    json!({
        "algo": i.algo,
        "over": i.over,
        "probability": i.probability,
        "low": low,
        "high": high,
        "paired_difference": {"mean": i.difference, "low": difference_low, "high": difference_high},
    })
}

/// A run as `rl train --json` prints it, its end and when it reached the threshold.
fn of_run(run: &Run) -> Value {
    let mut value = match (run.summary(), run.reached()) {
        (Some(summary), _) => document(summary, run.dir.as_deref()),
        (None, left) => json!({
            "seed": run.seed,
            "total_steps": left.map(|s| s.total_steps),
            "wall_seconds": left.map(|s| s.wall_seconds),
            "episodes": left.map(|s| s.episodes),
            "updates": left.map(|s| s.updates),
            "rejected_updates": left.map(|s| s.rejected_updates),
            "eval": null,
            "run_dir": run.dir,
        }),
    };
    value["status"] = json!(run.status());
    value["error"] = json!(run.error());
    value["steps_to_threshold"] = json!(run.summary().and_then(|s| s.steps_to_threshold));
    value["seconds_to_threshold"] = json!(run.summary().and_then(|s| s.seconds_to_threshold));
    value
}

fn ends(interval: Option<Interval>) -> (Option<f64>, Option<f64>) {
    interval.map(|i| (i.low, i.high)).unzip()
}
