//! What several runs of several algorithms amount to, for people and for programs.

mod differences;
mod display;
mod document;
mod files;
mod finished;
mod foreign;
mod progress;
mod records;
mod results;
mod runner;
mod study;
mod until;

use std::collections::BTreeSet;
use std::fmt::Write;

use rl_stats::{Interval, MIN_RUNS, iqm, mean, std};
use rl_train::{Evaluation, shown};

use crate::output;
use results::{Improvement, Narrowed, Reaching, improvements};

pub(super) use display::Display;
pub(super) use finished::{found_in, grouped};
pub(super) use foreign::add_foreign;
pub(super) use records::{Table, config_in, curve_in, identity, in_order};
pub(super) use results::{Group, Run};
pub(super) use runner::{Grid, Job, Shard, Share};
pub(super) use until::Until;

/// More seeds than this are told in sum.
const A_FEW: usize = 12;

/// All algorithms in all environments.
pub(super) struct Comparison {
    pub(super) groups: Vec<Group>,
    improvements: Vec<Improvement>,
    /// What it took, if anything was run.
    effort: Option<Effort>,
    /// What must be known to read it.
    notes: Vec<String>,
    /// The command that ran it, if anything was run.
    command: Option<String>,
}

/// What a comparison took.
#[derive(Clone, Copy)]
pub(super) struct Effort {
    pub(super) at_once: usize,
    pub(super) wall_seconds: f64,
}

impl Comparison {
    /// Compares what ran.
    pub(super) fn new(groups: Vec<Group>, effort: Option<Effort>, notes: Vec<String>) -> Self {
        let mut comparison = Comparison { groups, improvements: Vec::new(), effort, notes, command: None };
        let of_env = |env: &str| improvements(&comparison.groups_in(env));
        comparison.improvements = comparison.envs().into_iter().flat_map(of_env).collect();
        comparison
    }

    /// The same with the command that ran it.
    pub(super) fn run_by(self, command: String) -> Self {
        Comparison { command: Some(command), ..self }
    }

    /// The comparison as people read it.
    pub(super) fn report(&self) -> String {
        let mut text = String::new();
        for env in self.envs() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n{env}\n{}", self.table(env));
            self.improvements_in(env).for_each(|improvement| text += &told(improvement));
            let here = self.groups_in(env);
            metrics(&here).iter().for_each(|line| text += line);
            let notes = here.iter().flat_map(|group| notes(group));
            for note in notes.chain(differences::told(&here)) {
                let _ = writeln!(text, "{note}");
            }
        }
        let runs: usize = self.groups.iter().map(|g| g.runs.len()).sum();
        let failed: usize = self.groups.iter().map(Group::n_failed).sum();
        let failed = if failed == 0 { String::new() } else { format!(" ({failed} failed)") };
        let effort = self.effort.map_or_else(String::new, |Effort { at_once, wall_seconds }| match at_once {
            1 => format!(" in {wall_seconds:.1} s, one at a time"),
            n => format!(
                " in {wall_seconds:.1} s, {n} at once: seconds are those of runs that shared the machine"
            ),
        });
        let runs = if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") };
        let _ = writeln!(text, "\n{runs}{failed}{effort}.");
        for note in &self.notes {
            let _ = writeln!(text, "{note}");
        }
        text += "On the same seed all start from the same weights, where their networks agree, and in the same states.\n";
        text += "Final evaluation: the deterministic policy's mean return, mean ± std over seeds. Seconds exclude evaluations.\n";
        text += "To the threshold: Kaplan-Meier medians over seeds, where one that does not reach it counts as not having done so.\n";
        text += &self.on_intervals();
        let dirs = self.groups.iter().flat_map(|g| &g.runs).filter_map(|run| run.dir.as_ref());
        let dirs: Vec<String> = dirs.map(|dir| dir.display().to_string()).collect();
        if (1..=A_FEW).contains(&dirs.len()) {
            let _ = writeln!(text, "Runs: {}", dirs.join(" "));
        }
        text
    }

    /// What the intervals are, in a line.
    fn on_intervals(&self) -> String {
        let least = self.groups.iter().map(|g| g.runs.len()).min().unwrap_or(MIN_RUNS);
        if least < MIN_RUNS {
            // What is there already cannot be told how many seeds to run.
            let more = if self.effort.is_some() {
                format!("; --seeds {MIN_RUNS} gives some")
            } else {
                String::new()
            };
            return format!("Intervals (–): none from fewer than {MIN_RUNS} seeds{more}.\n");
        }
        let caveat =
            rl_stats::bootstrap_caveat(least).map_or_else(String::new, |caveat| format!("{caveat}\n"));
        let others = format!("bootstrap over seeds; log-log for medians to the threshold.\n{caveat}");
        if self.groups.iter().any(|group| group.narrowed.is_some()) {
            return format!(
                "Intervals: 95 %, that of the study valid whenever one stops; the others {others}"
            );
        }
        format!("Intervals: 95 %, {others}")
    }

    fn table(&self, env: &str) -> String {
        let here = self.groups_in(env);
        let threshold =
            here.iter().find_map(|g| g.threshold).map_or("threshold".to_owned(), |t| t.to_string());
        let (steps, seconds) = (format!("steps to {threshold}"), format!("seconds to {threshold}"));
        let header =
            ["algorithm", "preset", "final evaluation", "IQM [interval]", &steps, &seconds, "per seed"];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        rows.extend(here.iter().map(|group| row(group)));
        output::table(&rows)
    }

    fn envs(&self) -> Vec<&str> {
        let mut envs: Vec<&str> = Vec::new();
        for group in &self.groups {
            if !envs.contains(&&*group.env) {
                envs.push(&group.env);
            }
        }
        envs
    }

    fn groups_in(&self, env: &str) -> Vec<&Group> {
        self.groups.iter().filter(|group| group.env == env).collect()
    }

    fn improvements_in(&self, env: &str) -> impl Iterator<Item = &Improvement> {
        self.improvements.iter().filter(move |improvement| improvement.env == env)
    }
}

/// What the environment measures beside rewards: a line for each metric, with the mean over the final evaluations of every column.
fn metrics(here: &[&Group]) -> Vec<String> {
    let evaluations = |group: &Group| group.summaries().filter_map(|s| s.eval.clone()).collect::<Vec<_>>();
    let of_groups: Vec<(&str, Vec<Evaluation>)> =
        here.iter().map(|group| (&*group.name, evaluations(group))).collect();
    let names: BTreeSet<&String> =
        of_groups.iter().flat_map(|(_, runs)| runs.iter().flat_map(|e| e.metrics.keys())).collect();
    let line = |name: &&String| {
        let of_group = |(group, runs): &(&str, Vec<Evaluation>)| {
            let values: Vec<f64> = runs.iter().filter_map(|e| e.metrics.get(*name).copied()).collect();
            let mean = (!values.is_empty()).then(|| mean(&values))?;
            Some(format!("{group} {}", shown(mean, mean)))
        };
        let told: Vec<String> = of_groups.iter().filter_map(of_group).collect();
        format!("{name} in final evaluations: {}\n", told.join(", "))
    };
    names.iter().map(line).collect()
}

fn row(group: &Group) -> Vec<String> {
    let scores = group.scores();
    let largest = group.ranked().iter().filter(|x| x.is_finite()).fold(0.0, |m: f64, x| m.max(x.abs()));
    let (evaluation, interval) = match &scores {
        Err(_) if group.withholds() => ("withheld".to_owned(), "withheld".to_owned()),
        Err(_) => ("-".to_owned(), "-".to_owned()),
        Ok(scores) => (
            format!("{} ± {}", shown(mean(scores), largest), shown(std(scores), largest)),
            format!("{} {}", shown(iqm(scores), largest), interval(group.iqm_interval(), largest)),
        ),
    };
    let seed = |run: &Run| match run.summary() {
        None => "failed".to_owned(),
        Some(summary) => summary.eval.as_ref().map_or("-".to_owned(), |e| shown(e.mean, largest)),
    };
    vec![
        group.name.clone(),
        group.preset.to_owned(),
        evaluation,
        interval,
        reaching(group.steps_to_threshold(), 0),
        seconds(group.seconds_to_threshold()),
        match group.runs.len() {
            0..=A_FEW => group.runs.iter().map(seed).collect::<Vec<_>>().join(" "),
            _ => in_sum(group, largest),
        },
    ]
}

/// Many seeds in a few words.
fn in_sum(group: &Group, largest: f64) -> String {
    let mut scores: Vec<f64> = group.summaries().filter_map(|s| Some(s.eval.as_ref()?.mean)).collect();
    scores.sort_by(f64::total_cmp);
    let failed = match group.n_failed() {
        0 => String::new(),
        n => format!(", {n} failed"),
    };
    match &scores[..] {
        [] => format!("{} seeds{failed}", group.runs.len()),
        [least, .., most] => {
            let [least, most] = [least, most].map(|x| shown(*x, largest));
            format!("{} seeds from {least} to {most}{failed}", group.runs.len())
        }
        [one] => format!("{} seeds, {}{failed}", group.runs.len(), shown(*one, largest)),
    }
}

/// An interval in brackets; a dash in them where there are too few runs for one.
fn interval(interval: Option<Interval>, beside: f64) -> String {
    interval.map_or("[–]".to_owned(), |i| format!("[{}, {}]", shown(i.low, beside), shown(i.high, beside)))
}

/// With two decimals where one would round to nothing.
fn seconds(time: Option<Reaching>) -> String {
    let small = time.as_ref().is_some_and(|t| t.median.is_some_and(|median| median < 1.0));
    reaching(time, if small { 2 } else { 1 })
}

fn reaching(reaching: Option<Reaching>, d: usize) -> String {
    let Some(Reaching { median, interval, reached, runs, .. }) = reaching else { return "-".to_owned() };
    let time = |t: Option<f64>| t.map_or("–".to_owned(), |t| format!("{t:.d$}"));
    let interval = interval.map_or("[–]".to_owned(), |i| format!("[{}, {}]", time(i.low), time(i.high)));
    let median = median.map_or("not reached".to_owned(), |t| format!("{t:.d$}"));
    if reached == runs {
        return format!("{median} {interval}");
    }
    format!("{median} {interval} ({reached} of {runs} reached it)")
}

fn told(i: &Improvement) -> String {
    let Improvement { algo, over, probability, .. } = i;
    let p = i.interval.map_or("[–]".to_owned(), |i| format!("[{:.2}, {:.2}]", i.low, i.high));
    let mut text = format!("P({algo} ends better than {over}) = {probability:.2} {p}");
    if let Some(mean) = i.difference {
        let interval = interval(i.difference_interval, mean);
        text += &format!("; {algo} − {over} on the same seed: {} {interval}", shown(mean, mean));
    }
    text + "\n"
}

/// What must be known to read a group's row.
fn notes(group: &Group) -> Vec<String> {
    let (failed, runs, algo) = (group.n_failed(), group.runs.len(), &group.name);
    let mut notes = Vec::new();
    if let Some(worst) = group.failed_counts_as() {
        notes.push(format!(
            "{algo}: {failed} of {runs} runs failed; each counts as {worst}, the worst return of {}, and as not \
             reaching the threshold.",
            group.env
        ));
    } else if group.withholds() {
        notes.push(format!(
            "{algo}: mean, std and IQM are withheld: {}.",
            group.scores().err().unwrap_or_default()
        ));
    } else if failed > 0 {
        notes.push(format!("{algo}: {failed} of {runs} runs failed."));
    }
    if let Some(Narrowed::Mean(Interval { low, high })) = group.narrowed {
        notes.push(format!("{algo}: the mean is from {low} to {high}, whenever one stops."));
    }
    if group.n_interrupted() > 0 {
        notes.push(format!(
            "{algo}: {} of {runs} runs were interrupted, and have no final evaluation.",
            group.n_interrupted()
        ));
    }
    notes
}
