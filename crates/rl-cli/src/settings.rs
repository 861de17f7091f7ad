//! One flat space of keys: which algorithm a key belongs to, and what its value may look like.

use std::fmt;

use anyhow::{Result, bail};
use rl_algo::{AlgorithmRegistry, AlgorithmSpec, NetConfig, Settings, nearest, to_settings};
use rl_train::TrainConfig;
use serde_json::Value;

use crate::errors::usage;

/// A value that somebody gave for a key.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    /// The key as written: perhaps an alias, perhaps with an algorithm before a dot.
    pub(crate) key: String,
    pub(crate) value: Value,
    pub(crate) source: Source,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Preset(String),
    File(String),
    Set,
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Preset(name) => write!(f, "preset {name}"),
            Source::File(path) => f.write_str(path),
            Source::Set => f.write_str("--set"),
            Source::Flag(name) => f.write_str(name),
        }
    }
}

/// Every key of a run with its default: the run's own, the loop's, the networks', the algorithm's.
pub(crate) fn defaults(spec: &AlgorithmSpec) -> Settings {
    let own = [("seed".to_owned(), Value::from(0)), ("eval_freq".to_owned(), Value::Null)];
    let mut all: Settings = own.into_iter().collect();
    all.extend(to_settings(&TrainConfig::default()));
    all.extend(to_settings(&NetConfig::default()));
    all.extend(spec.defaults.clone());
    all
}

/// `key=value` as it stands after `--set`.
pub(crate) fn parse_set(text: &str) -> Result<Given> {
    let Some((key, value)) = text.split_once('=') else {
        bail!(usage(format!("--set {text}: expected key=value, such as --set learning_rate=0.001")));
    };
    Ok(Given { key: key.trim().to_owned(), value: parse_value(value.trim()), source: Source::Set })
}

/// A value as it is written on the command line: what is no number, boolean, list or `none` is a string.
pub(crate) fn parse_value(text: &str) -> Value {
    match text {
        "none" => return Value::Null,
        "true" | "false" => return Value::Bool(text == "true"),
        _ => {}
    }
    if let Ok(x) = text.parse::<u64>() {
        return x.into();
    }
    if let Ok(x) = text.parse::<i64>() {
        return x.into();
    }
    if let Some(x) = text.parse::<f64>().ok().and_then(serde_json::Number::from_f64) {
        return x.into();
    }
    match serde_json::from_str(text) {
        Ok(list @ Value::Array(_)) => list,
        _ => Value::String(text.to_owned()),
    }
}

/// Sets what was given in `settings`, whose keys are the known ones; later ones win.
pub(crate) fn apply(settings: &mut Settings, given: impl IntoIterator<Item = (String, Value)>) {
    for (key, value) in given {
        if let Some(slot) = settings.get_mut(&key) {
            *slot = like(&key, slot, value);
        }
    }
}

/// The value in the form of the default it replaces: `1e5` for an integer, `1` for a real, `"none"` for no value.
fn like(key: &str, default: &Value, value: Value) -> Value {
    let integral = default.is_u64() || key == "eval_freq";
    match &value {
        Value::String(none) if none == "none" => Value::Null,
        Value::Number(x) if integral && x.is_f64() => match x.as_f64() {
            Some(x) if x.fract().abs() < f64::EPSILON && (0.0..9e15).contains(&x) => Value::from(x as u64),
            _ => value,
        },
        Value::Number(x) if default.is_f64() && !x.is_f64() => x.as_f64().map_or(value, Value::from),
        _ => value,
    }
}

/// Which algorithms run, among all that could.
pub(crate) struct Selected<'a> {
    pub(crate) specs: Vec<&'a AlgorithmSpec>,
    pub(crate) all: &'a AlgorithmRegistry,
}

impl Selected<'_> {
    /// What was given for each of the selected algorithms, by its own key.
    ///
    /// # Errors
    ///
    /// For a key that no selected algorithm has, and for one that means different settings in two of them.
    pub(crate) fn route(&self, given: &[Given]) -> Result<Vec<Vec<(String, Value)>>> {
        let mut routed = vec![Vec::new(); self.specs.len()];
        for given in given {
            let keys = self.keys_of(given)?;
            for (settings, key) in routed.iter_mut().zip(keys) {
                settings.extend(key.map(|key| (key, given.value.clone())));
            }
        }
        Ok(routed)
    }

    /// The key that was given, in the terms of each selected algorithm; `None` where it does not concern it.
    fn keys_of(&self, given: &Given) -> Result<Vec<Option<String>>> {
        let (only, key) = match given.key.split_once('.') {
            Some((algo, key)) => (Some(algo), key),
            None => (None, given.key.as_str()),
        };
        if let Some(algo) = only {
            self.all.get(algo).map_err(|e| usage(format!("{}: {e}", shown(given))))?;
            if !self.specs.iter().any(|spec| spec.id == algo) {
                if matches!(given.source, Source::File(_)) {
                    return Ok(vec![None; self.specs.len()]);
                }
                bail!(usage(format!(
                    "{}: {algo} is not among the algorithms here ({})",
                    shown(given),
                    self.names()
                )));
            }
        }
        let concerns = |spec: &AlgorithmSpec| only.is_none_or(|algo| spec.id == algo);
        let keys: Vec<_> =
            self.specs.iter().map(|spec| concerns(spec).then(|| canonical(spec, key)).flatten()).collect();
        let mut meanings: Vec<_> = keys.iter().flatten().collect();
        meanings.sort();
        meanings.dedup();
        match meanings.len() {
            0 => Err(self.unknown(given, key, concerns)),
            1 => Ok(keys),
            _ => {
                let of_each = self.specs.iter().zip(&keys);
                let meaning =
                    of_each.filter_map(|(spec, k)| Some(format!("{} = {}.{}", k.as_ref()?, spec.id, key)));
                let meaning = meaning.collect::<Vec<_>>().join(", ");
                Err(usage(format!(
                    "{}: ambiguous, it means different settings; say which: {meaning}",
                    shown(given)
                )))
            }
        }
    }

    fn unknown(&self, given: &Given, key: &str, concerns: impl Fn(&AlgorithmSpec) -> bool) -> anyhow::Error {
        let specs: Vec<_> = self.specs.iter().copied().filter(|spec| concerns(spec)).collect();
        let mut known: Vec<String> = specs.iter().flat_map(|spec| keys(spec)).collect();
        known.sort();
        known.dedup();
        let hint = nearest(key, known.iter().map(String::as_str)).map(|n| format!(", did you mean {n:?}?"));
        let elsewhere = self.all.iter().find(|spec| canonical(spec, key).is_some());
        let hint = match elsewhere {
            Some(spec) => format!(", it is a setting of {}", spec.id),
            None => hint.unwrap_or_default(),
        };
        let (names, known) =
            (specs.iter().map(|s| s.id.as_str()).collect::<Vec<_>>().join(", "), known.join(", "));
        usage(format!("{}: unknown setting of {names}{hint}; known: {known}", shown(given)))
    }

    fn names(&self) -> String {
        self.specs.iter().map(|s| s.id.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// A given value as an error shows it.
fn shown(given: &Given) -> String {
    let value = if given.value.is_null() { "none".to_owned() } else { given.value.to_string() };
    format!("{} = {value} ({})", given.key, given.source)
}

/// The algorithm's own name of a key or alias.
fn canonical(spec: &AlgorithmSpec, key: &str) -> Option<String> {
    if defaults(spec).contains_key(key) {
        return Some(key.to_owned());
    }
    spec.aliases.iter().find(|(alias, _)| *alias == key).map(|(_, name)| (*name).to_owned())
}

/// Every key and alias.
fn keys(spec: &AlgorithmSpec) -> Vec<String> {
    let aliases = spec.aliases.iter().map(|(alias, _)| (*alias).to_owned());
    defaults(spec).keys().cloned().chain(aliases).collect()
}
