//! `rl diff`: in what two runs differ, and from where on.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use rl_algo::{Settings, shown};
use serde_json::{Map, Value, json};

use super::comparison::config_in;
use super::{is_run, no_run};
use crate::args::DiffArgs;
use crate::errors::usage;
use crate::output;

/// Columns that are times: the same run has others.
const TIMES: &[&str] = &["time/fps", "time/time_elapsed"];
/// What a summary says of time, and the warnings, which name files.
const OF_THE_MACHINE: &[&str] =
    &["wall_seconds", "steps_per_second", "seconds_to_threshold", "warnings", "threads"];

/// Prints the differences; exit code 0 where there is none but times, 1 where there is one, 2 where a run cannot be read.
pub(crate) fn diff(args: &DiffArgs, json: bool) -> Result<ExitCode> {
    // As of a command line that cannot be used: 1 says that runs differ.
    let read = |dir: &Path| Run::read(dir).map_err(|error| usage(format!("{error:#}")));
    let runs = [read(&args.a)?, read(&args.b)?];
    let [a, b] = &runs;
    let settings = differences(&a.settings, &b.settings);
    let results = differences(&a.results, &b.results);
    let table = |run: &Run| run.table.clone().unwrap_or_default();
    let curve = first_difference(&table(a), &table(b));
    let policy = a.policy == b.policy;
    let has = |file: fn(&Run) -> bool| file(a) || file(b);
    let neither: Vec<&str> = [
        ("progress.csv", has(|run| run.table.is_some())),
        ("policy.safetensors", has(|run| run.policy.is_some())),
        ("summary.json", has(|run| !run.results.is_empty())),
    ]
    .into_iter()
    .filter_map(|(name, is_there)| (!is_there).then_some(name))
    .collect();
    if json {
        let pairs = |pairs: &[(String, Value, Value)]| -> Map<String, Value> {
            pairs.iter().map(|(key, a, b)| (key.clone(), json!([a, b]))).collect()
        };
        output::print_json(&json!({
            "settings": pairs(&settings),
            "results": pairs(&results),
            "first_difference": curve.as_ref().map(|at| json!({"step": at.step, "column": at.column, "values": at.values})),
            "same_policy": policy,
            "neither_has": neither,
        }))?;
    } else {
        let mut rows = Vec::new();
        let names = [&args.a, &args.b].map(|path| path.display().to_string());
        for (title, pairs) in [("setting", &settings), ("result", &results)] {
            if !pairs.is_empty() {
                rows.push(vec![title.to_owned(), names[0].clone(), names[1].clone()]);
                rows.extend(pairs.iter().map(|(key, a, b)| vec![key.clone(), shown(a), shown(b)]));
            }
        }
        let told = match &curve {
            None if neither.contains(&"progress.csv") => "progress.csv: neither has one\n".to_owned(),
            None => "progress.csv: the same, times aside\n".to_owned(),
            Some(Place { step, column, values: [a, b] }) => {
                format!("progress.csv: the same up to step {step}, where {column} is {a} and {b}\n")
            }
        };
        let told_policy = match policy {
            _ if neither.contains(&"policy.safetensors") => "policy: neither has one",
            true => "policy: the same bytes",
            false => "policy: another one",
        };
        let no_results =
            if neither.contains(&"summary.json") { "summary.json: neither has one\n" } else { "" };
        output::print(&format!("{}{no_results}{told}{told_policy}\n", output::table(&rows)))?;
    }
    let same = settings.is_empty() && results.is_empty() && curve.is_none() && policy;
    Ok(ExitCode::from(u8::from(!same)))
}

/// What is compared of a run.
struct Run {
    settings: Settings,
    results: Settings,
    table: Option<String>,
    policy: Option<Vec<u8>>,
}

impl Run {
    fn read(dir: &Path) -> Result<Self> {
        let Some(settings) = config_in(dir) else {
            if !is_run(dir) {
                bail!(no_run(dir));
            }
            bail!("{}: its config.toml cannot be read", dir.display());
        };
        let of = |name: &str| match fs::read(dir.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", dir.join(name).display())),
        };
        let summary = match of("summary.json")? {
            None => Settings::new(),
            Some(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{} cannot be read", dir.join("summary.json").display()))?,
        };
        let results =
            summary.into_iter().filter(|(key, _)| !OF_THE_MACHINE.contains(&key.as_str())).collect();
        let table = of("progress.csv")?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(Run { settings, results, table, policy: of("policy.safetensors")? })
    }
}

/// Keys with different values; null stands for a key that one of them has not. Of tables, the places within them.
fn differences(a: &Settings, b: &Settings) -> Vec<(String, Value, Value)> {
    let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
    let of = |settings: &Settings, key: &str| settings.get(key).cloned().unwrap_or(Value::Null);
    let pairs = keys.map(|key| (key.clone(), of(a, key), of(b, key)));
    let within = |(key, a, b): (String, Value, Value)| match (&a, &b) {
        (Value::Object(a), Value::Object(b)) => {
            differences(a, b).into_iter().map(|(inner, a, b)| (format!("{key}.{inner}"), a, b)).collect()
        }
        _ => vec![(key, a, b)],
    };
    pairs.filter(|(_, a, b)| a != b).flat_map(within).collect()
}

/// Where two tables differ first.
#[derive(Debug, PartialEq)]
struct Place {
    step: String,
    column: String,
    values: [String; 2],
}

/// The first cell that differs, times aside; a column or a row that one of them has not is a difference.
fn first_difference(a: &str, b: &str) -> Option<Place> {
    let mut rows = [a, b].map(|table| table.lines().map(|line| line.split(',').collect::<Vec<_>>()));
    let [head_a, head_b] = rows.each_mut().map(|rows| rows.next().unwrap_or_default());
    let mut columns = head_a.clone();
    columns.extend(head_b.iter().filter(|column| !head_a.contains(column)));
    let cell = |head: &[&str], row: Option<&Vec<&str>>, column: &str| {
        let at = head.iter().position(|c| *c == column)?;
        row?.get(at).map(|cell| (*cell).to_owned())
    };
    loop {
        let [a, b] = rows.each_mut().map(Iterator::next);
        if a.is_none() && b.is_none() {
            return None;
        }
        for column in columns.iter().filter(|column| !TIMES.contains(column)) {
            let values = [cell(&head_a, a.as_ref(), column), cell(&head_b, b.as_ref(), column)];
            if values[0] != values[1] {
                let step = "time/total_timesteps";
                let step = cell(&head_a, a.as_ref(), step).or_else(|| cell(&head_b, b.as_ref(), step));
                return Some(Place {
                    step: step.unwrap_or_else(|| "?".to_owned()),
                    column: (*column).to_owned(),
                    values: values.map(|value| value.unwrap_or_else(|| "not there".to_owned())),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cell_that_differs_is_found() {
        let a = "time/fps,time/total_timesteps,x\n1,10,0.5\n2,20,0.25";
        let place = |step: &str, column: &str, values: [&str; 2]| {
            Some(Place { step: step.into(), column: column.into(), values: values.map(str::to_owned) })
        };
        assert_eq!(first_difference(a, a), None);
        assert_eq!(first_difference(a, "x,time/total_timesteps\n0.5,10\n0.25,20"), None);
        let other = "time/fps,time/total_timesteps,x\n3,10,0.5\n4,20,0.75";
        assert_eq!(first_difference(a, other), place("20", "x", ["0.25", "0.75"]));
        let shorter = "time/fps,time/total_timesteps,x\n3,10,0.5";
        assert_eq!(first_difference(a, shorter), place("20", "time/total_timesteps", ["20", "not there"]));
        let narrower = "time/fps,time/total_timesteps\n3,10\n4,20";
        assert_eq!(first_difference(a, narrower), place("10", "x", ["0.5", "not there"]));
    }
}
