//! A run's settings as a file: what `--config` reads, what `show-config` prints and what every run leaves.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use rl_algo::{AlgorithmRegistry, Settings, shown};
use serde_json::Value;

use crate::errors::{one_line, usage};
use crate::output::program;
use crate::run_config::RunConfig;
use crate::settings::{FREQS, Given, Source, TENTHS, canonical, sections};

/// What a file says.
#[derive(Default)]
pub(crate) struct ConfigFile {
    /// The file, as it was named.
    pub(crate) name: String,
    /// The algorithm whose run left it.
    pub(crate) algo: Option<String>,
    pub(crate) env: Option<String>,
    pub(crate) preset: Option<String>,
    pub(crate) given: Vec<Given>,
}

impl ConfigFile {
    /// The file that is given, read once, for it may be a pipe; an empty one where none is.
    ///
    /// # Errors
    ///
    /// Those of [`read`].
    pub(crate) fn given(path: Option<&Path>, algorithms: &AlgorithmRegistry) -> Result<Self> {
        path.map_or_else(|| Ok(ConfigFile::default()), |path| read(path, algorithms))
    }
}

/// A file of settings. A table in it holds one algorithm's, as `ppo.clip_range` does on the command line; where the file says `algo`, so do its
/// settings of that algorithm alone.
///
/// # Errors
///
/// When it cannot be read, and an error of usage when it is no TOML.
pub(crate) fn read(path: &Path, algorithms: &AlgorithmRegistry) -> Result<ConfigFile> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    parse(name, &text, algorithms)
}

/// The same of a text, with the name of its file.
fn parse(name: String, text: &str, algorithms: &AlgorithmRegistry) -> Result<ConfigFile> {
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
        let line = e.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count());
        let hint = match text.trim_start().starts_with('{') {
            true => "; this looks like JSON, and a file of settings is TOML, with lines such as gamma = 0.99"
                .to_owned(),
            false => mending(text.lines().nth(line).unwrap_or_default(), e.message()),
        };
        usage(format!("{name}, line {}: {}{hint}", line + 1, one_line(e.message())))
    })?;
    let mut file = ConfigFile { name: name.clone(), ..ConfigFile::default() };
    let given = |key: String, value: Value| Given { key, value, source: Source::File(name.clone()) };
    for (key, value) in table {
        if let Some((place, x)) = not_finite(&key, &value) {
            bail!(usage(format!(
                "{place} = {x} ({name}): expected a finite number, or \"none\" for no value"
            )));
        }
        let value: Value = value.try_into().with_context(|| name.clone())?;
        let about = match key.as_str() {
            "algo" => Some(&mut file.algo),
            "env" => Some(&mut file.env),
            "preset" => Some(&mut file.preset),
            _ => None,
        };
        match (about, value) {
            (Some(slot), Value::String(name)) => *slot = Some(name),
            (Some(_), value) => {
                bail!(usage(format!("{key} = {} ({name}): expected a name", shown(&value))))
            }
            (None, Value::Object(of_algorithm)) if algorithms.get(&key).is_ok() => {
                let inner = of_algorithm.into_iter();
                file.given.extend(inner.map(|(inner, value)| given(format!("{key}.{inner}"), value)));
            }
            // What a trainer says of its networks (`Trainer::new`), which no setting holds.
            (None, Value::Object(_))
                if ["policy", "critic"].contains(&key.as_str())
                    && algorithms.iter().all(|spec| canonical(spec, &key).is_none()) =>
            {
                bail!(usage(format!(
                    "{name}: its run was put together by a program, and only that program can make it again or go on with it (in Rust, \
                     Trainer::resumed_from)"
                )))
            }
            (None, value) => file.given.push(given(key, value)),
        }
    }
    if let Some(spec) = file.algo.as_deref().and_then(|id| algorithms.get(id).ok()) {
        let [.., own] = sections(spec);
        let is_own = |key: &str| canonical(spec, key).is_some_and(|key| own.schema.get(&key).is_some());
        for given in file.given.iter_mut().filter(|given| is_own(&given.key)) {
            given.key = format!("{}.{}", spec.id, given.key);
        }
    }
    Ok(file)
}

/// What would be right in the place of a line that is no TOML, where that is known.
fn mending(line: &str, fault: &str) -> String {
    let Some((key, value)) = line.split_once('=').map(|(key, value)| (key.trim(), value.trim())) else {
        return String::new();
    };
    if fault.contains("duplicate key") {
        return format!("; {key} stands twice");
    }
    let value = value.split('#').next().unwrap_or_default().trim();
    let is_word = value.starts_with(|c: char| c.is_ascii_alphabetic()) && !value.contains(['"', '\'']);
    match value {
        _ if !is_word => String::new(),
        "None" | "null" | "nil" => format!("; no value is {key} = \"none\""),
        "True" | "False" => format!("; expected {key} = {}", value.to_lowercase()),
        _ => format!("; a text needs quotes: {key} = \"{value}\""),
    }
}

/// The first number within the value of a key that is none, which no setting may be, with its place.
fn not_finite(key: &str, value: &toml::Value) -> Option<(String, f64)> {
    match value {
        toml::Value::Float(x) => (!x.is_finite()).then(|| (key.to_owned(), *x)),
        toml::Value::Array(list) => list.iter().find_map(|value| not_finite(key, value)),
        toml::Value::Table(table) => {
            table.iter().find_map(|(inner, value)| not_finite(&format!("{key}.{inner}"), value))
        }
        _ => None,
    }
}

/// A file that `--config` accepts and that gives this very run; with where every value comes from, if wanted.
pub(crate) fn write(run: &RunConfig, with_sources: bool) -> String {
    let (algo, env) = (&run.algo.id, &run.env.id);
    let mut text = format!("# {} train {algo} {} --config THIS_FILE\n\n", program(), in_shell(env));
    for (key, value) in [("algo", algo.as_str()), ("env", env), ("preset", &*run.preset)] {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{key} = {}", in_toml(&Value::from(value)));
    }
    for section in run.sections() {
        let _ = write!(text, "\n# {}\n", section.about);
        for (key, value) in section.values {
            let line = format!("{key} = {}", in_toml(&value));
            let _ = match run.sources.get(&key).filter(|_| with_sources) {
                Some(source) => writeln!(text, "{line:32}  # {source}"),
                None => writeln!(text, "{line}"),
            };
        }
    }
    text
}

/// Everything that such a file says, by key: algorithm, environment, preset and settings.
pub(crate) fn values(run: &RunConfig) -> Settings {
    let names = [("algo", run.algo.id.as_str()), ("env", &run.env.id), ("preset", &*run.preset)];
    let names = names.into_iter().map(|(key, name)| (key.to_owned(), Value::from(name)));
    names.chain(run.settings()).collect()
}

/// The same of a file that a run left; `None` where it is none.
pub(crate) fn values_in(text: &str) -> Option<Settings> {
    let table: toml::Table = text.parse().ok()?;
    let Value::Object(mut values) = toml::Value::Table(table).try_into().ok()? else { return None };
    for value in values.values_mut().filter(|value| *value == "none") {
        *value = Value::Null;
    }
    name_tenths(&mut values);
    Some(values)
}

/// Gives what files of before call none, where it is about evaluations and checkpoints, its name of today.
pub(crate) fn name_tenths(values: &mut Settings) {
    let about = values.iter_mut().filter(|(key, _)| FREQS.contains(&key.as_str()));
    about.filter(|(_, value)| value.is_null()).for_each(|(_, value)| *value = Value::from(TENTHS));
}

/// A name as a shell takes it.
pub(crate) fn in_shell(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:/=,@+%".contains(c));
    if plain { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}

/// A value as TOML has it, which knows no null.
pub(crate) fn in_toml(value: &Value) -> String {
    if value.is_null() { "\"none\"".to_owned() } else { shown(value) }
}

#[cfg(test)]
mod tests {
    use rl_test_support::fuzz;

    use super::*;
    use crate::routing::Selected;

    /// What a file of settings is made of.
    const WORDS: &[&str] = &[
        "algo",
        "ppo",
        "trpo",
        "env",
        "preset",
        "sb3",
        "seed",
        "n_envs",
        "n_steps",
        "total_steps",
        "net_arch",
        "pi",
        "vf",
        "batch_size",
        "learning_rate",
        "lin_",
        "warmup_0.1_",
        "steps_1_0.5:",
        "none",
        "never",
        "eval_freq",
        "label",
        "max_kl",
        "clip_range",
        "activation",
        "tanh",
        "use_sde",
        "true",
        "[",
        "]",
        "{",
        "}",
        "=",
        "\n",
        "\"",
        "\"\"\"",
        ".",
        ",",
        "#",
        "[ppo]",
        "[[ppo]]",
        "[trpo]",
        "1979-05-27T07:32:00Z",
        "0x7f",
        "1_000",
    ];

    /// A text as a whole run of an algorithm, of each in turn, as far as that goes.
    #[test]
    fn fuzz_config() {
        let algorithms = crate::builtin_algorithms();
        let envs = rl_env::Registry::builtin();
        let presets = crate::presets::Presets::builtin().unwrap();
        let specs: Vec<_> = algorithms.iter().collect();
        let mut turn = 0;
        fuzz("config", WORDS, |bytes| {
            turn += 1;
            let Ok(text) = std::str::from_utf8(bytes) else { return false };
            let _ = values_in(text);
            let Ok(file) = parse("a file".to_owned(), text, &algorithms) else { return false };
            let mut understood = false;
            // All of the corpus's own files, one of those that are made.
            let these = if turn < 64 { &specs[..] } else { &specs[turn % specs.len()..][..1] };
            for &spec in these {
                let selected = Selected { specs: vec![spec], all: &algorithms };
                let Ok(given) = selected.route(&file.given) else { continue };
                let env = file.env.as_deref().and_then(|id| envs.get(id).ok());
                let Some(env) = env.or_else(|| envs.get("CartPole-v1").ok()) else { continue };
                let given = given.into_iter().flatten().collect();
                if let Ok(run) = RunConfig::resolve(
                    spec,
                    env,
                    (&presets, &[]),
                    file.preset.as_deref().map(|name| (name, None)),
                    given,
                ) {
                    // What can be used can be written and read again.
                    let again = parse("the same".to_owned(), &write(&run, true), &algorithms);
                    assert!(again.is_ok_and(|again| again.env.as_deref() == Some(&run.env.id)));
                    understood = true;
                }
            }
            understood
        });
    }
}
