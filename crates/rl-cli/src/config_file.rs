//! A run's settings as a file: what `--config` reads, what `show-config` prints and what every run leaves.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use rl_algo::AlgorithmSpec;
use rl_env::EnvSpec;
use serde_json::Value;

use crate::errors::usage;
use crate::plan::RunConfig;
use crate::settings::{Given, Source};

/// A file of settings; a table in it holds one algorithm's, as `ppo.clip_range` does on the command line.
pub(crate) fn read(path: &Path, specs: &[&AlgorithmSpec], envs: &[EnvSpec]) -> Result<Vec<Given>> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
        let line = e.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        usage(format!("{name}, line {line}: {}", e.message()))
    })?;
    let mut given = Vec::new();
    for (key, value) in table {
        let value: Value = value.try_into().with_context(|| name.clone())?;
        let selected: Option<Vec<&String>> = match key.as_str() {
            "algo" => Some(specs.iter().map(|s| &s.id).collect()),
            "env" => Some(envs.iter().map(|e| &e.id).collect()),
            _ => None,
        };
        match (selected, value) {
            (Some(ids), value) => {
                if ids.iter().any(|id| value != ***id) {
                    let ids = ids.into_iter().cloned().collect::<Vec<_>>().join(", ");
                    bail!(usage(format!("{key} = {value} ({name}): the command line says {ids}")));
                }
            }
            (None, Value::Object(of_algorithm)) => {
                given.extend(of_algorithm.into_iter().map(|(inner, value)| {
                    let key = format!("{key}.{inner}");
                    Given { key, value, source: Source::File(name.clone()) }
                }))
            }
            (None, value) => given.push(Given { key, value, source: Source::File(name.clone()) }),
        }
    }
    Ok(given)
}

/// A file that `--config` accepts and that gives this very run.
pub(crate) fn write(run: &RunConfig) -> String {
    let mut text = format!("# rl train {} {} --config THIS_FILE\n", run.algo.id, in_shell(&run.env.id));
    for (about, settings) in run.sections() {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n# {about}\n");
        for (key, value) in settings {
            let _ = writeln!(text, "{key} = {}", in_toml(&value));
        }
    }
    text
}

/// A name as a shell takes it.
fn in_shell(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:/".contains(c));
    if plain { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}

/// A JSON value as TOML writes it, `"none"` for null.
fn in_toml(value: &Value) -> String {
    match value {
        Value::Null => "\"none\"".to_owned(),
        Value::Array(list) => format!("[{}]", list.iter().map(in_toml).collect::<Vec<_>>().join(", ")),
        // Numbers and strings are written alike; serde_json escapes what TOML escapes.
        value => value.to_string(),
    }
}
