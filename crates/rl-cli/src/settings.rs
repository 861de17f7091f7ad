//! What somebody gave for a setting, and which settings a run of an algorithm has.

use std::fmt;

use anyhow::{Result, bail};
use rl_algo::{AlgorithmSpec, Bounds, Config, Kind, NetConfig, Schema, Setting, nearest};
use rl_train::TrainConfig;
use serde_json::{Value, json};

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
    /// Nobody said anything; who chose the default, if somebody else did.
    Default(String),
    Preset(String),
    File(String),
    Set,
    Flag(&'static str),
    /// What stands behind an algorithm in a comparison, as `ppo:clip_range=0.1`.
    Variant(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default(whose) if whose.is_empty() => f.write_str("default"),
            Source::Default(whose) if whose == "ours" => f.write_str("our default"),
            Source::Default(whose) => write!(f, "default of {whose}"),
            Source::Preset(name) => write!(f, "preset {name}"),
            Source::File(path) => f.write_str(path),
            Source::Set => f.write_str("--set"),
            Source::Flag(name) => f.write_str(name),
            Source::Variant(variant) => f.write_str(variant),
        }
    }
}

/// What `--no-eval` stands for.
pub(crate) const NEVER: &str = "never";
/// The usual evaluations and checkpoints: ten in a run.
pub(crate) const TENTHS: &str = "tenths";
/// The settings whose value may be either.
pub(crate) const FREQS: [&str; 2] = ["eval_freq", "checkpoint_freq"];

/// Settings that belong together, with a line about them.
pub(crate) struct Section {
    pub(crate) about: String,
    pub(crate) schema: Schema,
}

/// Every setting that a run of the algorithm has: the run's own, the loop's, the networks', the algorithm's. A key of the algorithm's that
/// stands elsewhere too is one setting, whose default is the algorithm's; it may have defaults of the others' as well.
pub(crate) fn sections(spec: &AlgorithmSpec) -> [Section; 4] {
    let mut defaults = spec.schema.defaults();
    defaults.extend(spec.defaults_elsewhere.clone());
    let others = [
        ("The run.", run_schema()),
        ("The training loop.", TrainConfig::schema()),
        ("The networks.", NetConfig::schema()),
    ];
    let [run, train, net] = others.map(|(about, schema)| Section {
        about: about.to_owned(),
        schema: schema.with_defaults(&defaults, &spec.id),
    });
    let is_elsewhere = |key: &str| [&run, &train, &net].iter().any(|s| s.schema.get(key).is_some());
    let own = Section {
        about: format!("Settings of {}.", spec.id),
        schema: spec.schema.clone().without(is_elsewhere),
    };
    [run, train, net, own]
}

/// The settings of a run that are neither the loop's, nor the networks', nor the algorithm's.
fn run_schema() -> Schema {
    // A seed is what TOML can hold.
    let seed = Kind::integer_from(0);
    const LABEL: Kind = Kind::OneOf(&[Kind::None, Kind::Text]);
    const FREQ: Kind = Kind::OneOf(&[Kind::integer_from(1), Kind::Choice(&[TENTHS, NEVER])]);
    const REWARD: Kind = Kind::OneOf(&[Kind::Real(Bounds::ANY), Kind::None]);
    const COUNT: Kind = Kind::OneOf(&[Kind::integer_from(1), Kind::None]);
    const HOURS: Kind = Kind::OneOf(&[Kind::Real(Bounds::POSITIVE), Kind::None]);
    let settings = vec![
        Setting::new("seed", seed, "What everything random comes from."),
        Setting::new(
            "eval_freq",
            FREQ,
            "Environment steps between evaluations; \"tenths\" for ten in the run.",
        )
        .log(),
        Setting::new(
            "checkpoint_freq",
            FREQ,
            "Environment steps between checkpoints, which ten minutes bring as well; \"tenths\" for ten in the run.",
        )
        .log(),
        Setting::new(
            "histogram_freq",
            COUNT,
            "Environment steps between histograms of parameters and actions in TensorBoard; none for no histograms.",
        )
        .log(),
        Setting::new("film", Kind::Bool, "Whether every evaluation leaves a film of an episode in TensorBoard."),
        Setting::new(
            "stop_at_reward",
            REWARD,
            "The mean return at whose first evaluation the run ends; none for no such end.",
        ),
        Setting::new("max_hours", HOURS, "Hours after which the run ends, evaluations included; none for no such end."),
        Setting::new(
            "init",
            LABEL,
            "The saved policy whose parameters the run begins with, or the directory of its run; none for random ones.",
        ),
        Setting::new(
            "label",
            LABEL,
            "What tells the run from others of its algorithm; part of its directory's name.",
        ),
    ];
    let defaults = json!({
        "seed": 0, "eval_freq": TENTHS, "checkpoint_freq": TENTHS, "histogram_freq": null, "film": false, "stop_at_reward": null, "max_hours": null,
        "init": null, "label": null,
    });
    Schema::of(&defaults, "", settings)
}

/// The algorithm's own name of a key or alias.
pub(crate) fn canonical(spec: &AlgorithmSpec, key: &str) -> Option<String> {
    if sections(spec).iter().any(|section| section.schema.get(key).is_some()) {
        return Some(key.to_owned());
    }
    spec.aliases.iter().find(|(alias, _)| *alias == key).map(|(_, name)| (*name).to_owned())
}

/// Every key and alias.
pub(crate) fn keys(spec: &AlgorithmSpec) -> Vec<String> {
    let sections = sections(spec);
    let keys = sections.iter().flat_map(|section| section.schema.iter()).map(|s| s.key.clone().into_owned());
    keys.chain(spec.aliases.iter().map(|(alias, _)| (*alias).to_owned())).collect()
}

/// The setting that somebody means by a name, perhaps a flag's: the one of this name, with these initials, or with this as its first or last word; or else
/// the nearest. Where the nearest is not asked for, only the one of this name.
pub(crate) fn setting_meant(flag: &str, known: &[String], with_nearest: bool) -> Option<String> {
    let name = flag.trim_start_matches('-').replace('-', "_").to_lowercase();
    let find = |fits: &dyn Fn(&str) -> bool| known.iter().find(|key| fits(key)).cloned();
    let initials = |key: &str| key.split('_').filter_map(|word| word.chars().next()).collect::<String>();
    if let Some(key) = find(&|key| key == name) {
        return Some(key);
    }
    if !with_nearest {
        return None;
    }
    let by_initials = find(&|key| key.contains('_') && initials(key) == name);
    let by_word = || {
        let ends = |key: &str| key.strip_suffix(&name).is_some_and(|rest| rest.ends_with('_'));
        let begins = |key: &str| key.strip_prefix(&name).is_some_and(|rest| rest.starts_with('_'));
        find(&begins).or_else(|| find(&ends))
    };
    by_initials.or_else(by_word).or_else(|| nearest(&name, known.iter().map(String::as_str)))
}

/// `key=value` as it stands after `--set`.
pub(crate) fn parse_set(text: &str) -> Result<Given> {
    let Some((key, value)) = text.split_once('=').filter(|(key, _)| !key.trim().is_empty()) else {
        bail!(usage(format!("--set {text}: expected key=value, such as --set learning_rate=0.001")));
    };
    let value = parse_value(value.trim());
    check_brackets(&format!("--set {text}"), &value)?;
    Ok(Given { key: key.trim().to_owned(), value, source: Source::Set })
}

/// Checks that what begins as a list or a table was read as one.
///
/// # Errors
///
/// An error of usage.
pub(crate) fn check_brackets(place: &str, value: &Value) -> Result<()> {
    let (what, example) = match value.as_str().and_then(|text| text.chars().next()) {
        Some('[') => ("list", "[64, 64]"),
        Some('{') => ("table", "{ pi = [64], vf = [64] }"),
        _ => return Ok(()),
    };
    bail!(usage(format!("{place}: this begins like a {what} and is none; expected one such as {example}")))
}

/// A value as it is written on the command line: what is no number, boolean, list, table or `none` is a string.
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
    // Lists and tables as TOML has them, which are JSON's as well where it has only numbers.
    let compound = format!("x = {text}").parse::<toml::Table>().ok().filter(|_| text.starts_with(['[', '{']));
    let value = compound.and_then(|mut table| table.remove("x")).and_then(|value| value.try_into().ok());
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_are_written() {
        for (text, value) in [
            ("none", json!(null)),
            ("true", json!(true)),
            ("64", json!(64)),
            ("-3", json!(-3)),
            ("1e-3", json!(0.001)),
            ("lin_0.1", json!("lin_0.1")),
            ("nan", json!("nan")),
            ("[64, 64]", json!([64, 64])),
            ("{ pi = [64], vf = [] }", json!({"pi": [64], "vf": []})),
            ("[64", json!("[64")),
        ] {
            assert_eq!(parse_value(text), value, "{text}");
        }
    }

    #[test]
    fn fuzz_setting() {
        let specs: Vec<_> = crate::builtin_algorithms().iter().cloned().collect();
        let keys: Vec<String> = specs.iter().flat_map(keys).collect();
        let words = [
            "lin_",
            "cos_",
            "exp_",
            "steps_",
            "piecewise_",
            "warmup_",
            "0.5:",
            "_",
            "batch",
            "none",
            "never",
            "true",
            "[",
            "]",
            "{",
            "}",
            "=",
            ",",
            "pi",
            "vf",
            "64",
            "1e-3",
            "-",
            "0x",
            "inf",
            "nan",
        ];
        let words: Vec<&str> = keys.iter().map(String::as_str).chain(words).collect();
        let sections: Vec<Section> = specs.iter().flat_map(sections).collect();
        rl_test_support::fuzz("setting", &words, |bytes| {
            let Ok(given) = parse_set(&String::from_utf8_lossy(bytes)) else { return false };
            let mut understood = false;
            for section in &sections {
                if let Some(setting) = section.schema.get(&given.key) {
                    understood |= setting.read(&given.value).is_ok();
                }
            }
            understood
        });
    }

    #[test]
    fn a_flag_that_is_a_setting_is_known() {
        let known =
            ["learning_rate", "n_epochs", "clip_range", "clip_range_vf", "gamma", "n_steps", "ent_coef"];
        let known = known.map(str::to_owned);
        let meant = |flag: &str| setting_meant(flag, &known, true);
        for (flag, key) in [
            ("--lr", "learning_rate"),
            ("--learning-rate", "learning_rate"),
            ("--epochs", "n_epochs"),
            ("--ent", "ent_coef"),
            ("--clip-range", "clip_range"),
            ("--gama", "gamma"),
            ("--clip", "clip_range"),
            ("--rate", "learning_rate"),
        ] {
            assert_eq!(meant(flag).as_deref(), Some(key), "{flag}");
        }
        assert_eq!(meant("--verbose"), None);
        assert_eq!(setting_meant("--lr", &known, false), None);
        assert_eq!(setting_meant("--gamma", &known, false).as_deref(), Some("gamma"));
    }

    #[test]
    fn no_key_stands_twice() {
        for spec in crate::builtin_algorithms().iter() {
            let mut keys = keys(spec);
            let all = keys.len();
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), all);
        }
    }
}
