//! One flat space of keys: which algorithm a key belongs to.

use anyhow::{Result, bail};
use rl_algo::{AlgorithmRegistry, AlgorithmSpec, shown};

use crate::errors::usage;
use crate::output::program;
use crate::settings::{Given, Source, canonical, keys, sections, setting_meant};

/// Which algorithms run, among all that could; one that runs in several variants is there for each.
pub(crate) struct Selected<'a> {
    pub(crate) specs: Vec<&'a AlgorithmSpec>,
    pub(crate) all: &'a AlgorithmRegistry,
}

impl Selected<'_> {
    /// What was given for each of the selected algorithms, by its own keys.
    ///
    /// # Errors
    ///
    /// For a key that no selected algorithm has, for one that means different settings in two of them, and for a setting that is given by two of its names.
    pub(crate) fn route(&self, given: &[Given]) -> Result<Vec<Vec<Given>>> {
        let keys = given.iter().map(|given| self.keys_of(given)).collect::<Result<Vec<_>>>()?;
        let mut routed = vec![Vec::new(); self.specs.len()];
        for ((i, said), of_said) in given.iter().enumerate().zip(&keys) {
            for ((column, settings), key) in routed.iter_mut().enumerate().zip(of_said) {
                let Some(key) = key else { continue };
                // Of one name the last value counts, and one with its algorithm before it is more than one without. Of two names nobody knows which was meant.
                let is_same = |(other, of_other): &(&Given, &Vec<Option<String>>)| {
                    let is_as_special = said.key.contains('.') == other.key.contains('.');
                    let has_other_name = bare(&said.key) != bare(&other.key);
                    let is_beside = is_as_special && other.source == said.source;
                    is_beside && has_other_name && of_other[column].as_ref() == Some(key)
                };
                if let Some((other, _)) = given[..i].iter().zip(&keys).find(is_same) {
                    let (other, said, algo) = (told(other), told(said), &self.specs[column].id);
                    bail!(usage(format!(
                        "{other} and {said} are one setting of {algo}, {key}: give it once"
                    )));
                }
                settings.push(Given { key: key.clone(), ..said.clone() });
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
            let spec = self.all.get(algo).map_err(|e| usage(format!("{}: {e}", told(given))))?;
            if !self.specs.iter().any(|spec| spec.id == algo) {
                if matches!(given.source, Source::File(_)) {
                    // It is not used here, but a slip in it is one all the same.
                    let Some(key) = canonical(spec, key) else {
                        let other = Selected { specs: vec![spec], all: self.all };
                        return Err(other.unknown(given, key, |_| true));
                    };
                    let all = sections(spec);
                    if let Some(setting) = all.iter().find_map(|section| section.schema.get(&key)) {
                        setting
                            .read(&given.value)
                            .map_err(|e| usage(format!("{}: {algo}.{e}", given.source)))?;
                    }
                    return Ok(vec![None; self.specs.len()]);
                }
                bail!(usage(format!(
                    "{}: {algo} is not among the algorithms here ({})",
                    told(given),
                    names(&self.specs)
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
                    told(given)
                )))
            }
        }
    }

    fn unknown(&self, given: &Given, key: &str, concerns: impl Fn(&AlgorithmSpec) -> bool) -> anyhow::Error {
        let specs: Vec<_> = self.specs.iter().copied().filter(|spec| concerns(spec)).collect();
        let mut known: Vec<String> = specs.iter().flat_map(|spec| keys(spec)).collect();
        known.sort();
        known.dedup();
        let hint = setting_meant(key, &known, true).map(|n| format!(", did you mean {n:?}?"));
        let elsewhere = self.all.iter().filter(|spec| canonical(spec, key).is_some());
        let elsewhere = elsewhere.map(|spec| spec.id.as_str()).collect::<Vec<_>>().join(", ");
        let hint = match &*elsewhere {
            "" => hint.unwrap_or_default(),
            others => format!(", it is a setting of {others}"),
        };
        let of = names(&specs);
        let algo = if of.contains(", ") { "ALGO" } else { &of };
        usage(format!(
            "{}: unknown setting of {of}{hint}; `{} settings {algo}` lists them",
            told(given),
            program()
        ))
    }
}

/// A key without the algorithm that may stand before it.
fn bare(key: &str) -> &str {
    key.split_once('.').map_or(key, |(_, key)| key)
}

/// The algorithms' names, each once.
fn names(specs: &[&AlgorithmSpec]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for spec in specs {
        if !names.contains(&spec.id.as_str()) {
            names.push(&spec.id);
        }
    }
    names.join(", ")
}

/// A given value as an error shows it.
fn told(given: &Given) -> String {
    format!("{} = {} ({})", given.key, shown(&given.value), given.source)
}
