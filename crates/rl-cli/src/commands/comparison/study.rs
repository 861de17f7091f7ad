//! A comparison as the data of a report.

use std::fmt::Write;

use rl_algo::shown;
use rl_report::{Column, Estimate, Limit, Pair, Study, Task};
use rl_stats::{Interval, iqm, mean, std};

use super::differences::differences;
use super::progress::Progress;
use super::results::{Group, Improvement, Reaching, Run};
use super::{Comparison, Effort, notes};
use crate::config_file::in_toml;
use crate::output::program;
use crate::presets::is_same;

impl Comparison {
    /// Everything that a report shows.
    pub(crate) fn study(&self) -> Study {
        Study {
            program: program().to_owned(),
            commands: self.command.iter().cloned().collect(),
            effort: self.effort.map(|Effort { at_once, wall_seconds }| (at_once, wall_seconds)),
            notes: self.notes.clone(),
            tasks: self.envs().into_iter().map(|env| self.task(env)).collect(),
        }
    }

    fn task(&self, env: &str) -> Task {
        let here = self.groups_in(env);
        let differing = differences(&here);
        let told = differing.iter().map(|difference| {
            let values = difference.values.iter().map(|(name, value)| ((*name).to_owned(), shown(value)));
            (difference.key.to_owned(), values.collect())
        });
        let mut notes: Vec<String> = here.iter().flat_map(|group| notes(group)).collect();
        notes.extend(here.iter().filter_map(|group| bounds_another(group)));
        if here.iter().any(|group| !is_same(&group.preset, &here[0].preset)) {
            notes.push("The columns have different presets: what differs may be the settings.".to_owned());
        }
        Task {
            env: env.to_owned(),
            threshold: here.iter().find_map(|group| group.threshold),
            columns: here.iter().map(|group| column(group)).collect(),
            differences: told.collect(),
            pairs: self.improvements_in(env).map(pair).collect(),
            notes,
        }
    }
}

fn column(group: &Group) -> Column {
    let scores = group.scores();
    let known = scores.as_deref().ok();
    let estimate = |f: fn(&[f64]) -> f64, interval: Option<Interval>| {
        known.map(|scores| Estimate { value: f(scores), ends: interval.map(|i| (i.low, i.high)) })
    };
    Column {
        name: group.name.clone(),
        preset: group.preset.clone(),
        config: config(group),
        max_kl: limit(group),
        iqm: estimate(iqm, group.iqm_interval()),
        mean: estimate(mean, group.mean_interval()),
        std: known.filter(|scores| scores.len() > 1).map(std),
        is_sequential: group.narrowed.is_some(),
        withheld: scores.as_ref().err().filter(|_| group.withholds()).cloned(),
        worst_return: group.worst_return.filter(|_| group.n_failed() > 0),
        steps_to_threshold: group.steps_to_threshold().map(reaching),
        runs: group.runs.iter().map(|run| of_run(group, run, scores.is_ok())).collect(),
    }
}

/// The limit on the divergence that a group's algorithm tests its updates by: one that searches along its step has it, the natural policy gradient's `max_kl` is only the
/// size of its quadratic model.
fn limit(group: &Group) -> Option<Limit> {
    let max_kl = group.settings.get("max_kl").filter(|_| group.settings.contains_key("backtrack_coeff"))?;
    Some(max_kl.as_f64().map_or(Limit::Changing, Limit::Constant))
}

/// The settings of a group's runs, as `--config` takes them.
fn config(group: &Group) -> String {
    let mut text = String::new();
    for (key, value) in [("algo", &group.algo), ("env", &group.env), ("preset", &group.preset)] {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{key} = {}", in_toml(&serde_json::Value::from(value.as_str())));
    }
    for (key, value) in &group.settings {
        let _ = writeln!(text, "{key} = {}", in_toml(value));
    }
    text
}

/// What is to be known of the limit that is drawn, where it is one on another divergence than the one that is drawn.
fn bounds_another(group: &Group) -> Option<String> {
    let setting = |key: &str| group.settings.get(key).and_then(|value| value.as_str());
    let is_other = limit(group).is_some() && setting("kl_direction") == Some("new_old");
    is_other.then(|| {
        format!(
            "{}: its limit is one on KL(new, old) (kl_direction); what is drawn is KL(old, new), which is the same to second order only.",
            group.name
        )
    })
}

fn of_run(group: &Group, run: &Run, has_scores: bool) -> rl_report::Run {
    let reached = run.reached();
    let told = run.dir.as_deref().map(Progress::in_dir).unwrap_or_default();
    let evaluations = run.curve.iter().map(|e| (e.step as f64, e.seconds, e.mean));
    rl_report::Run {
        name: format!("seed {}", run.seed),
        status: run.status(),
        error: run.error().map(str::to_owned).or_else(|| run.fault()),
        score: if has_scores { group.score(run) } else { None },
        steps: reached.map(|s| s.total_steps),
        steps_per_second: reached.map(|s| s.steps_per_second).filter(|s| *s > 0.0),
        training_seconds: reached
            .filter(|s| s.steps_per_second > 0.0)
            .map(|s| s.total_steps as f64 / s.steps_per_second),
        wall_seconds: reached.map(|s| s.wall_seconds),
        evaluations: evaluations.collect(),
        scalars: told.scalars,
        clock: told.clock,
    }
}

fn reaching(reaching: Reaching) -> rl_report::Reaching {
    let Reaching { median, interval, reached, runs, .. } = reaching;
    rl_report::Reaching { median, ends: interval.map(|i| (i.low, i.high)), reached, runs }
}

fn pair(improvement: &Improvement) -> Pair {
    let ends = |interval: Option<Interval>| interval.map(|i| (i.low, i.high));
    let difference =
        improvement.difference.map(|value| Estimate { value, ends: ends(improvement.difference_interval) });
    Pair {
        name: improvement.algo.clone(),
        over: improvement.over.clone(),
        probability: Estimate { value: improvement.probability, ends: ends(improvement.interval) },
        difference,
    }
}
