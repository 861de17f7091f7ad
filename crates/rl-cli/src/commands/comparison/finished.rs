//! Comparing runs that are finished.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use anyhow::{Result, bail};
use rl_algo::{Settings, shown};

use super::differences::differences;
use super::records::{Found, Record, Unended, identity};
use super::results::{Group, Run};

/// More runs than this are not all named.
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
    let mut seen: HashMap<(String, u64), (Outcome, Option<PathBuf>)> = HashMap::new();
    let (mut repeats, mut others_alike) = (0, Vec::new());
    // Of a run that is there several times one that is finished counts.
    let (finished, others): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| record.summary.status.is_done());
    let whole = finished.into_iter().chain(others).map(|record| (record, None));
    let unended = unended.into_iter().map(|Unended { record, why }| (record, Some(why)));
    let mut lost = Vec::new();
    for (record, why) in whole.chain(unended) {
        let column = column(&record.config);
        if let Some((known, dir)) = seen.get(&(column.clone(), record.summary.seed)) {
            // What was begun in vain beside one that ended says nothing.
            if why.is_none() && differ(known, &outcome(&record)) {
                let path = |dir: &Option<PathBuf>| {
                    dir.as_ref().map_or_else(|| "a table".to_owned(), |dir| dir.display().to_string())
                };
                others_alike.push(format!("{} (beside {})", path(&record.dir), path(dir)));
            } else {
                repeats += usize::from(why.is_none());
            }
            continue;
        }
        seen.insert((column.clone(), record.summary.seed), (outcome(&record), record.dir.clone()));
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
        notes.push(format!(
            "{runs} no usable end and {count} as interrupted, in no final score: {}.",
            few(lost)
        ));
    }
    if repeats > 0 {
        let runs = if repeats == 1 { "1 run is".to_owned() } else { format!("{repeats} runs are") };
        notes.push(format!("{runs} there again, with the same settings and seed: each counts once."));
    }
    if !others_alike.is_empty() {
        let (runs, count) = match others_alike.len() {
            1 => ("1 run has".to_owned(), "counts"),
            n => (format!("{n} runs have"), "count"),
        };
        notes.push(format!(
            "{runs} the settings and the seed of another but other results, and {count} nowhere: {}. Either their config.toml does not say in what they \
             differ, which Algorithm::description and Trainer::named make a program's runs say, or another version or kind of processor made them.",
            few(others_alike)
        ));
    }
    (groups, notes)
}

/// What a finished run came to, to the bit: the last mean at every step of an evaluation, and that of the last one.
type Outcome = Option<(BTreeMap<u64, u64>, Option<u64>)>;

fn outcome(record: &Record) -> Outcome {
    let curve = record.curve.iter().map(|point| (point.step, point.mean.to_bits())).collect();
    let last = record.summary.eval.as_ref().map(|eval| eval.mean.to_bits());
    record.summary.status.is_done().then_some((curve, last))
}

/// Whether two runs came to something else, as far as both say what: a log may have lost rows.
fn differ(a: &Outcome, b: &Outcome) -> bool {
    let (Some((a, a_last)), Some((b, b_last))) = (a, b) else { return false };
    let differs = |(a, b): (&u64, &u64)| a != b;
    let at_a_step = a.iter().any(|(step, mean)| b.get(step).is_some_and(|other| differs((mean, other))));
    at_a_step || a_last.as_ref().zip(b_last.as_ref()).is_some_and(differs)
}

/// Not more of them than somebody would read.
fn few(mut all: Vec<String>) -> String {
    let more = all.len().saturating_sub(A_FEW);
    all.truncate(A_FEW);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    format!("{}{more}", all.join("; "))
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
