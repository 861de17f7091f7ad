//! Finished runs as they are found again: in their directories, and in tables of runs that left no other files.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use rl_algo::Settings;
use rl_train::{RunDir, Status, Summary};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config_file;
use crate::recorder::EvaluationPoint;

/// A run that ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// What its `config.toml` says: algorithm, environment, preset and every setting.
    pub(crate) config: Settings,
    pub(crate) summary: Summary,
    pub(crate) curve: Vec<EvaluationPoint>,
    /// Where its files are, if it left any.
    #[serde(skip)]
    pub(crate) dir: Option<PathBuf>,
}

/// What a run is, whatever it is called and whatever its settings started from. Files of before there were some settings do not have those, which is as
/// if they had no value, and call `tenths` none.
pub(crate) fn identity(config: &Settings) -> Settings {
    let mut config = config.clone();
    config_file::name_tenths(&mut config);
    let named = |key: &str| key == "label" || key == "preset";
    let is_new = |key: &str| ["histogram_freq", "film", "stop_at_reward", "max_hours", "init"].contains(&key);
    let counts =
        |key: &str, value: &Value| !(named(key) || is_new(key) && (value.is_null() || value == false));
    config.into_iter().filter(|(key, value)| counts(key, value)).collect()
}

/// What a run's `config.toml` says; `None` where there is none.
pub(crate) fn config_in(dir: &Path) -> Option<Settings> {
    config_file::values_in(&fs::read_to_string(dir.join("config.toml")).ok()?)
}

/// What directories hold.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) records: Vec<Record>,
    /// Runs that were begun and did not end, or not in a way that can be read.
    pub(crate) unended: Vec<Unended>,
    /// What is there and cannot be read at all.
    pub(crate) notes: Vec<String>,
}

/// A run without a usable end.
#[derive(Debug)]
pub(crate) struct Unended {
    /// What is known of it, as of one that was interrupted.
    pub(crate) record: Record,
    /// What is the matter with it.
    pub(crate) why: String,
}

impl Unended {
    /// The run that a directory is of, which has a `config.toml` but no record.
    fn in_dir(dir: &Path, config: Settings) -> Self {
        let summary = match fs::read(dir.join("summary.json")) {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(None),
            Err(error) => Err(Some(error.to_string())),
            Ok(bytes) => serde_json::from_slice::<Summary>(&bytes).map_err(|e| Some(e.to_string())),
        };
        let is_running = RunDir::open(dir).is_ok_and(|dir| dir.lock().is_none());
        let Told { last, evaluations: curve, .. } = curve_in(dir);
        let budget = config.get("total_steps").and_then(Value::as_u64).unwrap_or(0);
        let why = match &summary {
            _ if is_running => "it is still at work".to_owned(),
            Ok(summary) => {
                format!("it went on from step {} to {budget} and has not ended", summary.total_steps)
            }
            Err(None) => "it left no summary.json: it was killed, or the machine with it".to_owned(),
            Err(Some(error)) => format!("its summary.json cannot be read: {error}"),
        };
        let text = |key: &str| config.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let known = summary.as_ref().ok();
        let steps = last.unwrap_or(0).max(known.map_or(0, |summary| summary.total_steps));
        let seconds = curve.last().and_then(|point| point.seconds);
        let summary = Summary {
            algo: text("algo"),
            env: text("env"),
            reproducible: known.map(|summary| summary.reproducible.clone()).unwrap_or_default(),
            seed: config.get("seed").and_then(Value::as_u64).unwrap_or(0),
            status: Status::Interrupted,
            error: None,
            stopped_because: None,
            total_steps: steps,
            wall_seconds: seconds.unwrap_or(0.0),
            steps_per_second: 0.0,
            episodes: known.map_or(0, |summary| summary.episodes),
            mean_return_100: None,
            mean_metrics_100: BTreeMap::new(),
            eval: None,
            updates: known.map_or(0, |summary| summary.updates),
            rejected_updates: known.map_or(0, |summary| summary.rejected_updates),
            threshold: known.and_then(|summary| summary.threshold),
            worst_return: known.and_then(|summary| summary.worst_return),
            steps_to_threshold: None,
            seconds_to_threshold: None,
            warnings: Vec::new(),
        };
        Unended { record: Record { config, summary, curve, dir: Some(dir.to_owned()) }, why }
    }
}

impl Record {
    /// The run that a directory is of; `None` where none ended.
    pub(crate) fn in_dir(dir: &Path) -> Option<Self> {
        let config = config_in(dir)?;
        let summary: Summary = serde_json::from_slice(&fs::read(dir.join("summary.json")).ok()?).ok()?;
        // One that went on with a larger budget and has not ended.
        let budget = config.get("total_steps").and_then(Value::as_u64).unwrap_or(0);
        if summary.status == Status::Finished && summary.total_steps < budget {
            return None;
        }
        Some(Record { config, summary, curve: curve_in(dir).evaluations, dir: Some(dir.to_owned()) })
    }

    /// Adds all runs below a directory, in the order of their paths.
    ///
    /// # Errors
    ///
    /// When a directory cannot be read.
    pub(crate) fn below(dir: &Path, found: &mut Found) -> Result<()> {
        let told = if dir.join("config.toml").exists() { curve_in(dir) } else { Told::default() };
        if told.is_foreign {
            found.notes.push(format!(
                "{}: its progress.csv is no table of a run (no column {STEPS}), so there is no curve of it.",
                dir.display()
            ));
        } else if told.damaged > 0 {
            let rows = counted(told.damaged, "row");
            found.notes.push(format!("{}: {rows} of its progress.csv cannot be read.", dir.display()));
        }
        match (Record::in_dir(dir), config_in(dir)) {
            (Some(record), _) => found.records.push(record),
            (None, Some(config)) => found.unended.push(Unended::in_dir(dir, config)),
            (None, None) if dir.join("config.toml").exists() => {
                found.notes.push(format!(
                    "{}: its config.toml cannot be read, and it counts nowhere.",
                    dir.display()
                ));
            }
            (None, None) => {}
        }
        let failed = || format!("cannot read {}", dir.display());
        let entries = fs::read_dir(dir).with_context(failed)?.collect::<std::io::Result<Vec<_>>>();
        let mut paths: Vec<PathBuf> = entries.with_context(failed)?.iter().map(|e| e.path()).collect();
        paths.sort_by_key(|path| in_order(path));
        for path in paths {
            if path.is_dir() {
                Record::below(&path, found)?;
            } else if is_table(&path) {
                let table = read_table(&path)?;
                found.records.extend(table.records);
                if table.damaged > 0 {
                    let (path, lines) = (path.display(), counted(table.damaged, "line"));
                    let note = format!(
                        "{path}: {lines} cannot be read: a run in there counts only if it was run again."
                    );
                    found.notes.push(note);
                }
            }
        }
        Ok(())
    }
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// By name, numbers by their value: `s2` before `s10`.
pub(crate) fn in_order(path: &Path) -> (String, u64) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let words = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = name[words.len()..].parse().unwrap_or(0);
    (words.to_owned(), number)
}

/// What a run's `progress.csv` tells.
#[derive(Default)]
pub(crate) struct Told {
    /// The step of its last row.
    pub(crate) last: Option<u64>,
    pub(crate) evaluations: Vec<EvaluationPoint>,
    /// Rows that cannot be read, other than one at its end that was cut off.
    pub(crate) damaged: usize,
    /// Whether it is a table of something else.
    pub(crate) is_foreign: bool,
}

/// The column that every table of a run has.
const STEPS: &str = "time/total_timesteps";

/// What the `progress.csv` in a run's directory tells; nothing where there is none. The numbers in it need no quotes.
pub(crate) fn curve_in(dir: &Path) -> Told {
    let bytes = fs::read(dir.join("progress.csv")).unwrap_or_default();
    curve_of(&String::from_utf8_lossy(&bytes))
}

fn curve_of(text: &str) -> Told {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let column = |tag: &str| header.iter().position(|column| *column == tag);
    let tags = [STEPS, "time/time_elapsed", "eval/mean_reward", "eval/mean_ep_length"];
    let columns = tags.map(column);
    let mut told = Told { is_foreign: !text.is_empty() && columns[0].is_none(), ..Told::default() };
    let mut lines = lines.peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let cells: Vec<&str> = line.split(',').collect();
        let [step, seconds, mean, mean_length] =
            columns.map(|column| cells.get(column?)?.parse::<f64>().ok());
        let is_cut_off = lines.peek().is_none() && !text.ends_with('\n');
        let Some(step) = step.filter(|_| cells.len() == header.len()) else {
            told.damaged += usize::from(!is_cut_off);
            continue;
        };
        let step = step as u64;
        told.last = Some(step);
        told.evaluations.extend(mean.map(|mean| EvaluationPoint { step, seconds, mean, mean_length }));
    }
    told
}

/// A table of runs that left no other files: a line of JSON for each, written when it ends.
pub(crate) struct Table {
    file: Mutex<File>,
    path: PathBuf,
    known: HashMap<String, Record>,
}

impl Table {
    /// Opens the table of this name, and reads all tables beside it.
    ///
    /// # Errors
    ///
    /// When that fails.
    pub(crate) fn open(out: &Path, name: &str) -> Result<Self> {
        fs::create_dir_all(out).with_context(|| format!("cannot create the directory {}", out.display()))?;
        let mut known = HashMap::new();
        let entries = fs::read_dir(out).with_context(|| format!("cannot read {}", out.display()))?;
        for entry in entries {
            let path = entry.with_context(|| format!("cannot read {}", out.display()))?.path();
            if is_table(&path) {
                known.extend(
                    read_table(&path)?.records.into_iter().map(|record| (key(&record.config), record)),
                );
            }
        }
        let path = out.join(name);
        let file = File::options().create(true).append(true).open(&path);
        let file = Mutex::new(file.with_context(|| format!("cannot write {}", path.display()))?);
        Ok(Table { file, path, known })
    }

    /// The run of this configuration, if it ended.
    pub(crate) fn find(&self, config: &Settings) -> Option<Record> {
        self.known.get(&key(config)).cloned()
    }

    /// Adds a run.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn add(&self, record: &Record) -> Result<()> {
        // A line begins with its own line break: whoever was interrupted in the middle of one spoils no other.
        let line = format!("\n{}\n", serde_json::to_string(record)?);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(line.as_bytes()).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// Whether it is called like a table of runs.
fn is_table(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("lean") && name.ends_with(".jsonl")
}

/// What a table of runs holds.
#[derive(Default)]
struct Lines {
    /// Every run; of one that is there twice the later line counts.
    records: Vec<Record>,
    /// Lines that are no run, other than one at the end that was cut off or is being written.
    damaged: usize,
}

fn read_table(path: &Path) -> Result<Lines> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    // A line that was cut off may end within a character.
    Ok(records_of(&String::from_utf8_lossy(&bytes)))
}

fn records_of(text: &str) -> Lines {
    let Lines { mut records, mut damaged } = Lines::default();
    let mut places = HashMap::new();
    for line in text.split_inclusive('\n').filter(|line| !line.trim().is_empty()) {
        let Ok(record) = serde_json::from_str::<Record>(line) else {
            damaged += usize::from(line.ends_with('\n'));
            continue;
        };
        match places.get(&key(&record.config)) {
            Some(&place) => records[place] = record,
            None => {
                places.insert(key(&record.config), records.len());
                records.push(record);
            }
        }
    }
    Lines { records, damaged }
}

/// What a run is, as one text.
fn key(config: &Settings) -> String {
    let mut parts: Vec<String> =
        identity(config).iter().map(|(key, value)| format!("{key}={value}")).collect();
    parts.sort();
    parts.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &[&str] = &[
        "time/total_timesteps",
        "time/time_elapsed",
        "eval/mean_reward",
        "eval/mean_ep_length",
        ",",
        "\n",
        "\r\n",
        "\"",
        "1e999",
        "-0",
        "{",
        "}",
        "\"config\"",
        "\"summary\"",
        "\"curve\"",
        "null",
        "true",
        ":",
    ];

    #[test]
    fn fuzz_curve() {
        rl_test_support::fuzz("progress", WORDS, |bytes| {
            !curve_of(&String::from_utf8_lossy(bytes)).evaluations.is_empty()
        });
    }

    #[test]
    fn fuzz_table() {
        rl_test_support::fuzz("table", WORDS, |bytes| {
            !records_of(&String::from_utf8_lossy(bytes)).records.is_empty()
        });
    }
}
