//! Which settings differ between the columns of a comparison.

use rl_algo::{AlgorithmRegistry, shown};
use serde_json::{Map, Value, json};

use super::results::Group;
use crate::presets::is_same;

/// A setting that several columns have, with different values.
pub(super) struct Difference<'g> {
    pub(super) key: &'g str,
    /// The columns that have it, with their values.
    pub(super) values: Vec<(&'g str, &'g Value)>,
}

/// Every setting that at least two of the groups have and that is not the same for all that have it.
pub(super) fn differences<'g>(groups: &[&'g Group]) -> Vec<Difference<'g>> {
    let mut keys: Vec<&str> = Vec::new();
    for key in groups.iter().flat_map(|group| group.settings.keys()) {
        if !keys.contains(&key.as_str()) {
            keys.push(key);
        }
    }
    let difference = |key: &'g str| {
        let values = groups.iter().filter_map(|group| Some((&*group.name, group.settings.get(key)?)));
        let values: Vec<_> = values.collect();
        let differs = values.iter().any(|(_, value)| *value != values[0].1);
        differs.then_some(Difference { key, values })
    };
    keys.into_iter().filter_map(difference).collect()
}

impl Difference<'_> {
    pub(super) fn document(&self) -> Value {
        let values: Map<String, Value> =
            self.values.iter().map(|(name, value)| ((*name).to_owned(), (*value).clone())).collect();
        json!({"key": self.key, "values": values})
    }

    /// `gamma 0.99 (trpo), 0.98 (ppo)`; said too where the algorithms have only the name in common.
    fn told(&self, groups: &[&Group], algorithms: &AlgorithmRegistry) -> String {
        let values = self.values.iter().map(|(name, value)| (shown(value), *name));
        let meaning = |group: &&&Group| Some(&*algorithms.get(&group.algo).ok()?.schema.get(self.key)?.doc);
        let mut meanings: Vec<&str> = groups
            .iter()
            .filter(|group| group.settings.contains_key(self.key))
            .filter_map(|group| meaning(&group))
            .collect();
        meanings.sort_unstable();
        meanings.dedup();
        let which = if meanings.len() > 1 { " (not the same setting in all)" } else { "" };
        format!("{}{which} {}", self.key, by_value(values))
    }
}

/// Each value once, with the columns that have it.
fn by_value<'n>(values: impl Iterator<Item = (String, &'n str)>) -> String {
    let mut together: Vec<(String, Vec<&str>)> = Vec::new();
    for (value, name) in values {
        match together.iter_mut().find(|(other, _)| *other == value) {
            Some((_, names)) => names.push(name),
            None => together.push((value, vec![name])),
        }
    }
    let told = together.into_iter().map(|(value, names)| format!("{value} ({})", names.join(", ")));
    told.collect::<Vec<_>>().join(", ")
}

/// What must be known before a difference between columns is put down to the algorithms: other presets and budgets loudly, other settings.
pub(super) fn told(groups: &[&Group]) -> Vec<String> {
    let mut lines = Vec::new();
    if groups.iter().any(|group| !is_same(&group.preset, &groups[0].preset)) {
        lines.push(format!(
            "CAUTION: different presets, {}: what differs may be the settings, not the algorithms.",
            by_value(groups.iter().map(|group| (group.preset.clone(), &*group.name)))
        ));
    }
    let (found, algorithms) = (differences(groups), crate::builtin_algorithms());
    if let Some(budgets) = found.iter().find(|difference| difference.key == "total_steps") {
        lines.push(format!("CAUTION: different budgets, {}.", budgets.told(groups, &algorithms)));
    }
    if !found.is_empty() {
        let told: Vec<String> = found.iter().map(|difference| difference.told(groups, &algorithms)).collect();
        lines.push(format!("Settings that differ: {}.", told.join("; ")));
    }
    lines
}
