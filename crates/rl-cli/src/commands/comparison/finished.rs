//! Comparing runs that are finished.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use anyhow::{Result, bail};
use rl_algo::{Settings, shown};

use super::differences::differences;
use super::records::{Record, identity};
use super::results::{Group, Run};

/// All runs that ended in these directories or below.
///
/// # Errors
///
/// When a directory cannot be read, or there is no run.
pub(crate) fn found_in(dirs: &[PathBuf]) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for dir in dirs {
        records.extend(Record::below(dir)?);
    }
    if records.is_empty() {
        let dirs: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        bail!("no run that ended in {}", dirs.join(", "));
    }
    Ok(records)
}

/// Runs that differ in nothing but the seed together, with what must be known of them. A run that is there several times counts once, for it would
/// say the same again.
pub(crate) fn grouped(records: Vec<Record>) -> (Vec<Group>, Vec<String>) {
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut seen = HashSet::new();
    let mut repeats = 0;
    // Of a run that is there several times one that is finished counts.
    let (finished, others): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| record.summary.status.is_done());
    for record in finished.into_iter().chain(others) {
        let column = column(&record.config);
        if !seen.insert((column.clone(), record.summary.seed)) {
            repeats += 1;
            continue;
        }
        let place = *places.entry(column).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Group::new(&record.config, record.summary.threshold, record.summary.worst_return));
        }
        groups[place].runs.push(Run::of_record(record));
    }
    groups.iter_mut().for_each(|group| group.runs.sort_by_key(|run| run.seed));
    tell_apart(&mut groups);
    let mut notes = Vec::new();
    if repeats > 0 {
        let runs = if repeats == 1 { "1 run is".to_owned() } else { format!("{repeats} runs are") };
        notes.push(format!("{runs} there again, with the same settings and seed: each counts once."));
    }
    (groups, notes)
}

/// What runs of a column have in common, as one text.
fn column(config: &Settings) -> String {
    let mut parts: Vec<String> = identity(config)
        .iter()
        .filter(|(key, _)| *key != "seed")
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    parts.sort();
    parts.join("\n")
}

/// Columns of one name are told apart by what differs between them, or by number where that is much.
fn tell_apart(groups: &mut [Group]) {
    let twins = |group: &Group| -> Vec<usize> {
        let is_twin = |other: &&Group| other.env == group.env && other.name == group.name;
        (0..groups.len()).filter(|&i| is_twin(&&groups[i])).collect()
    };
    let mut names = Vec::new();
    for group in groups.iter() {
        let twins = twins(group);
        let members: Vec<&Group> = twins.iter().map(|&i| &groups[i]).collect();
        let differing = differences(&members);
        let number = members.iter().position(|other| std::ptr::eq(*other, group)).unwrap_or(0) + 1;
        names.push(match (members.len(), differing.len()) {
            (1, _) => group.name.clone(),
            (_, 1..=3) => {
                let own = differing.iter().filter_map(|difference| {
                    Some(format!("{}={}", difference.key, shown(group.settings.get(difference.key)?)))
                });
                format!("{}:{}", group.name, own.collect::<Vec<_>>().join(","))
            }
            _ => format!("{} ({number})", group.name),
        });
    }
    groups.iter_mut().zip(names).for_each(|(group, name)| group.name = name);
}
