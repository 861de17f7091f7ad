//! What a comparison leaves beside its runs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rl_train::write_new;
use serde_json::{Map, Value, json};

use super::Comparison;
use super::results::{Group, Run, resampling};
use crate::recorder::EvaluationPoint;

/// What a run's evaluations are called in marl-eval's file.
const METRIC: &str = "mean_episode_return";

impl Comparison {
    /// Leaves `compare.json` (what `--json` prints), `compare-runs.csv` (a row for every run), `compare-evaluations.csv` (a row for every
    /// evaluation), `compare-marl-eval.json` (the curves as marl-eval reads them) and `report.html` in `--out`, all with the same number where there are
    /// some already; `stem` stands for `compare`. Says where they are. Where the newest of them say the same already, they stay the newest.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub(crate) fn save(&self, out: &Path, stem: &str) -> Result<String> {
        let document = self.document();
        let mut files =
            vec![("runs.csv", self.runs_table()?), ("evaluations.csv", self.evaluations_table()?)];
        let curves = self.marl_eval();
        if let Some(curves) = &curves {
            files.push(("marl-eval.json", (serde_json::to_string_pretty(curves)? + "\n").into_bytes()));
        }
        fs::create_dir_all(out).with_context(|| format!("cannot create the directory {}", out.display()))?;
        let suffixes = || std::iter::once(String::new()).chain((2..u64::MAX).map(|n| format!("-{n}")));
        let page_of =
            |suffix: &str| out.join(format!("{}{suffix}.html", stem.replacen("compare", "report", 1)));
        let all = |suffix: &str| {
            let tables = files.iter().map(|(name, _)| out.join(format!("{stem}{suffix}-{name}")));
            tables.chain([out.join(format!("{stem}{suffix}.json")), page_of(suffix)]).collect::<Vec<_>>()
        };
        let free = |suffix: &String| !all(suffix).iter().any(|path| path.exists());
        let suffix = suffixes().find(free).context("no name is free for compare.json")?;
        if let Some(newest) = suffixes().take_while(|it| *it != suffix).last() {
            let path = |end: &str| out.join(format!("{stem}{newest}{end}"));
            let is_same = |(name, contents): &(&str, Vec<u8>)| {
                fs::read(path(&format!("-{name}"))).is_ok_and(|there| there == *contents)
            };
            let page = page_of(&newest);
            if says_the_same(&path(".json"), &document) && files.iter().all(is_same) && page.is_file() {
                let there = path(".json");
                return Ok(format!(
                    "Nothing has changed since {} was saved.\nTo look at: {}\n",
                    there.display(),
                    page.display()
                ));
            }
        }
        let first = out.join(format!("{stem}{suffix}.json"));
        write_new(&first, (serde_json::to_string_pretty(&document)? + "\n").as_bytes())?;
        let mut told = format!("Saved: {}", first.display());
        for (name, contents) in files {
            let path = out.join(format!("{stem}{suffix}-{name}"));
            write_new(&path, &contents)?;
            told += &format!(" {}", path.display());
        }
        let page = page_of(&suffix);
        write_new(&page, rl_report::page(&self.study(), &mut resampling()).as_bytes())?;
        told += &format!("\nTo look at: {}", page.display());
        if curves.is_none() {
            told += "\nNo file for marl-eval, which needs the same evaluations of every run.";
        }
        Ok(told + "\n")
    }

    fn runs_table(&self) -> Result<Vec<u8>> {
        let columns = [
            "env",
            "algo",
            "label",
            "preset",
            "seed",
            "status",
            "score",
            "eval_episodes",
            "eval_mean",
            "eval_std",
            "eval_min",
            "eval_max",
            "steps_to_threshold",
            "seconds_to_threshold",
            "total_steps",
            "wall_seconds",
            "steps_per_second",
            "episodes",
            "updates",
            "rejected_updates",
            "run_dir",
            "error",
        ];
        let has_scores: Vec<bool> = self.groups.iter().map(|group| group.scores().is_ok()).collect();
        self.table_of(&columns, |i, run| vec![of_run(&self.groups[i], run, has_scores[i])])
    }

    fn evaluations_table(&self) -> Result<Vec<u8>> {
        let columns =
            ["env", "algo", "label", "preset", "seed", "step", "seconds", "mean_return", "mean_length"];
        self.table_of(&columns, |i, run| {
            let group = &self.groups[i];
            let cells = |e: &EvaluationPoint| {
                let own = [text(e.step), cell(e.seconds), text(e.mean), cell(e.mean_length)];
                [name(group, run).to_vec(), own.to_vec()].concat()
            };
            run.curve.iter().map(cells).collect()
        })
    }

    /// A table of the rows that every run of every group, by its number, has, as CSV.
    fn table_of(&self, columns: &[&str], rows: impl Fn(usize, &Run) -> Vec<Vec<String>>) -> Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(columns)?;
        for (i, group) in self.groups.iter().enumerate() {
            for row in group.runs.iter().flat_map(|run| rows(i, run)) {
                writer.write_record(row)?;
            }
        }
        Ok(writer.into_inner()?)
    }

    /// Environment, task, algorithm, seed, step: the layout of marl-eval. Its runs must have equally many steps, so a failed run's missing
    /// evaluations count as the worst return; `None` where none is documented, or where runs were interrupted.
    fn marl_eval(&self) -> Option<Value> {
        let mut tasks = Map::new();
        for env in self.envs() {
            let mut algos = Map::new();
            for group in self.groups_in(env) {
                group.scores().ok().filter(|_| group.n_interrupted() == 0)?;
                algos.insert(group.name.clone(), of_group(group)?);
            }
            tasks.insert(env.to_owned(), Value::Object(algos));
        }
        Some(json!({"compare": tasks}))
    }
}

/// Whether a file holds this document, but for how it was come by.
fn says_the_same(path: &Path, document: &Value) -> bool {
    let there = fs::read(path).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    let result = |document: &Value| {
        let mut document = document.clone();
        for key in ["command", "runs_at_once", "wall_seconds", "taken_over", "notes"] {
            document[key].take();
        }
        document
    };
    there.is_some_and(|there| there.is_object() && result(&there) == result(document))
}

fn of_group(group: &Group) -> Option<Value> {
    let curves: Vec<&Vec<EvaluationPoint>> = group.runs.iter().map(|run| &run.curve).collect();
    let longest = curves.iter().max_by_key(|curve| curve.len())?;
    let mut seeds = Map::new();
    for (run, curve) in group.runs.iter().zip(&curves) {
        let mut steps = Map::new();
        for (i, at) in longest.iter().enumerate() {
            let (mean, seconds) = match curve.get(i) {
                Some(point) => (point.mean, point.seconds),
                None if run.has_failed() => (group.failed_counts_as()?, None),
                // It ended early, and what it would have come to nobody knows.
                None => return None,
            };
            let mut step = json!({"step_count": at.step, METRIC: [mean]});
            if let Some(seconds) = seconds {
                step["elapsed_time"] = json!(seconds);
            }
            steps.insert(format!("step_{i}"), step);
        }
        steps.insert("absolute_metrics".to_owned(), json!({METRIC: [group.score(run)?]}));
        seeds.insert(format!("seed_{}", run.seed), Value::Object(steps));
    }
    Some(Value::Object(seeds))
}

fn of_run(group: &Group, run: &Run, has_scores: bool) -> Vec<String> {
    let (summary, reached) = (run.summary(), run.reached());
    let eval = summary.and_then(|s| s.eval.as_ref());
    let score = if has_scores { group.score(run) } else { eval.map(|e| e.mean) };
    let own = [
        run.status().to_owned(),
        cell(score),
        cell(eval.map(|e| e.episodes)),
        cell(eval.map(|e| e.mean)),
        cell(eval.map(|e| e.std)),
        cell(eval.map(|e| e.min)),
        cell(eval.map(|e| e.max)),
        cell(summary.and_then(|s| s.steps_to_threshold)),
        cell(summary.and_then(|s| s.seconds_to_threshold)),
        cell(reached.map(|s| s.total_steps)),
        cell(reached.map(|s| s.wall_seconds)),
        cell(reached.map(|s| s.steps_per_second)),
        cell(reached.map(|s| s.episodes)),
        cell(reached.map(|s| s.updates)),
        cell(reached.map(|s| s.rejected_updates)),
        cell(run.dir.as_ref().map(|dir| dir.display().to_string())),
        run.error().unwrap_or_default().to_owned(),
    ];
    [name(group, run).to_vec(), own.to_vec()].concat()
}

fn name(group: &Group, run: &Run) -> [String; 5] {
    let label = group.label.clone().unwrap_or_default();
    [group.env.clone(), group.algo.clone(), label, group.preset.clone(), run.seed.to_string()]
}

/// A cell, empty where there is nothing.
fn cell(x: Option<impl ToString>) -> String {
    x.map_or(String::new(), text)
}

fn text(x: impl ToString) -> String {
    x.to_string()
}
