//! Comparing runs that are finished.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use anyhow::{Result, bail};
use rl_algo::{Settings, shown};

use super::differences::differences;
use super::records::{Found, Record, Unended, identity};
use super::results::{Group, Run};

/// More runs without an end than this are not all named.
const A_FEW: usize = 20;

/// All runs in these directories or below.
///
/// # Errors
///
/// When a directory cannot be read, or there is no run.
pub(crate) fn found_in(dirs: &[PathBuf]) -> Result<Found> {
    let mut found = Found::default();
    for dir in dirs {
        Record::below(dir, &mut found)?;
    }
    if found.records.is_empty() && found.unended.is_empty() {
        let dirs: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        let notes: String = found.notes.iter().map(|note| format!("; {note}")).collect();
        bail!("no run that ended in {}{notes}", dirs.join(", "));
    }
    Ok(found)
}

/// Runs that differ in nothing but the seed together, with what must be known of them. A run that is there several times counts once, for it would
/// say the same again. Those without a usable end are there as ones that were interrupted, and named.
pub(crate) fn grouped(found: Found) -> (Vec<Group>, Vec<String>) {
    let Found { records, unended, mut notes } = found;
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut seen = HashSet::new();
    let mut repeats = 0;
    // Of a run that is there several times one that is finished counts.
    let (finished, others): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| record.summary.status.is_done());
    let whole = finished.into_iter().chain(others).map(|record| (record, None));
    let unended = unended.into_iter().map(|Unended { record, why }| (record, Some(why)));
    let mut lost = Vec::new();
    for (record, why) in whole.chain(unended) {
        let column = column(&record.config);
        if !seen.insert((column.clone(), record.summary.seed)) {
            // What was begun in vain beside one that ended says nothing.
            repeats += usize::from(why.is_none());
            continue;
        }
        let place = *places.entry(column).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Group::new(&record.config, record.summary.threshold, record.summary.worst_return));
        }
        if let (Some(why), Some(dir)) = (&why, &record.dir) {
            lost.push(format!("{}: {why}", dir.display()));
        }
        groups[place].runs.push(Run { fault: why, ..Run::of_record(record) });
    }
    groups.iter_mut().for_each(|group| group.runs.sort_by_key(|run| run.seed));
    tell_apart(&mut groups);
    if !lost.is_empty() {
        let (runs, count) = match lost.len() {
            1 => ("1 run has".to_owned(), "counts"),
            n => (format!("{n} runs have"), "count"),
        };
        let more = lost.len().saturating_sub(A_FEW);
        lost.truncate(A_FEW);
        let more = if more == 0 { String::new() } else { format!("; and {more} more") };
        notes.push(format!(
            "{runs} no usable end and {count} as interrupted, in no final score: {}{more}.",
            lost.join("; ")
        ));
    }
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
