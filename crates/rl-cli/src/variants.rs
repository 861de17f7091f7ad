//! What a comparison compares: algorithms, each as it is or with a preset and settings of its own.

use anyhow::{Result, bail};
use serde_json::Value;

use crate::errors::usage;
use crate::settings::{Given, Source, check_brackets, parse_value};

/// An algorithm in a comparison: `ALGO`, `ALGO@PRESET`, `ALGO:key=value,…` or both.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    pub(crate) algo: String,
    pub(crate) preset: Option<String>,
    /// Its own settings, a label among them.
    pub(crate) given: Vec<Given>,
}

impl Variant {
    /// An algorithm as it is.
    pub(crate) fn plain(algo: &str) -> Self {
        Variant { algo: algo.to_owned(), preset: None, given: Vec::new() }
    }

    /// A variant as it is written. Its label is what stands behind the algorithm, unless one of its settings is `label`.
    ///
    /// # Errors
    ///
    /// An error of usage for what has not that form.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (head, settings) = match text.split_once(':') {
            Some((head, settings)) => (head, parts(settings)),
            None => (text, Vec::new()),
        };
        let (algo, preset) = match head.split_once('@') {
            Some((algo, preset)) => (algo, Some(preset)),
            None => (head, None),
        };
        if preset == Some("") || text.ends_with(':') {
            bail!(usage(format!("{text:?}: expected ALGO, ALGO@PRESET or ALGO:key=value,key=value")));
        }
        let source = Source::Variant(text.to_owned());
        let mut given = Vec::new();
        let label: Vec<&str> = preset.into_iter().chain(settings.iter().copied()).collect();
        if !label.is_empty() {
            let value = Value::from(label.join(",").replace(' ', ""));
            given.push(Given { key: "label".to_owned(), value, source: source.clone() });
        }
        for setting in settings {
            let Some((key, value)) = setting.split_once('=') else {
                bail!(usage(format!("{text:?}: expected key=value, got {setting:?}")));
            };
            let (key, value) = (key.trim().to_owned(), parse_value(value.trim()));
            check_brackets(text, &value)?;
            given.push(Given { key, value, source: source.clone() });
        }
        Ok(Variant { algo: algo.to_owned(), preset: preset.map(str::to_owned), given })
    }
}

/// The parts between commas that are not inside of brackets.
fn parts(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let at_comma = |c: char| {
        depth += match c {
            '[' | '{' => 1,
            ']' | '}' => -1,
            _ => 0,
        };
        c == ',' && depth == 0
    };
    text.split(at_comma).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn variants_are_read() {
        let given = |text: &str| -> Vec<(String, Value)> {
            Variant::parse(text).unwrap().given.into_iter().map(|g| (g.key, g.value)).collect()
        };
        assert_eq!(given("ppo"), []);
        assert_eq!(given("ppo@sb3"), [("label".to_owned(), json!("sb3"))]);
        assert_eq!(
            given("ppo@sb3:net_arch=[32,32],gamma=0.9"),
            [
                ("label".to_owned(), json!("sb3,net_arch=[32,32],gamma=0.9")),
                ("net_arch".to_owned(), json!([32, 32])),
                ("gamma".to_owned(), json!(0.9)),
            ]
        );
        assert_eq!(Variant::parse("ppo@sb3:gamma=1").unwrap().preset.as_deref(), Some("sb3"));
        // The last one counts.
        assert_eq!(given("ppo:label=wide,gamma=1")[1], ("label".to_owned(), json!("wide")));
        for wrong in ["ppo:", "ppo@", "ppo@:gamma=1", "ppo:gamma", "ppo:net_arch=[64"] {
            assert!(Variant::parse(wrong).is_err(), "{wrong}");
        }
    }
}
