//! What several runs of several algorithms amount to, for people and for programs.

mod document;
mod files;
mod results;

use std::fmt::Write;
use std::path::Path;

use rl_stats::{Interval, MIN_RUNS, iqm, mean, std};

use crate::output;
use results::{Improvement, Reaching, improvements};

pub(super) use results::{Ended, Group, Run};

/// All algorithms in all environments.
pub(super) struct Comparison<'a> {
    pub(super) groups: Vec<Group<'a>>,
    pub(super) out: &'a Path,
    pub(super) at_once: usize,
    pub(super) wall_seconds: f64,
}

impl<'a> Comparison<'a> {
    /// The comparison as people read it.
    pub(super) fn report(&self) -> String {
        let mut text = String::new();
        for env in self.envs() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n{env}\n{}", self.table(env));
            for improvement in improvements(&self.groups_in(env)) {
                text += &told(&improvement);
            }
            for note in self.groups_in(env).into_iter().flat_map(notes) {
                let _ = writeln!(text, "{note}");
            }
        }
        let runs: usize = self.groups.iter().map(|g| g.runs.len()).sum();
        let failed: usize = self.groups.iter().map(Group::n_failed).sum();
        let sharing = match self.at_once {
            1 => "one at a time".to_owned(),
            n => format!("{n} at once: seconds are those of runs that shared the machine"),
        };
        let failed = if failed == 0 { String::new() } else { format!(" ({failed} failed)") };
        let _ = writeln!(text, "\n{runs} runs{failed} in {:.1} s, {sharing}.", self.wall_seconds);
        text += "Final evaluation: the deterministic policy's mean return, mean ± std over seeds. Seconds exclude evaluations.\n";
        text += "To the threshold: Kaplan-Meier medians over seeds, where one that does not reach it counts as not having done so.\n";
        text += &match self.groups.iter().map(|g| g.runs.len()).min() {
            Some(least) if least < MIN_RUNS => {
                format!(
                    "Intervals (–): none from fewer than {MIN_RUNS} seeds; --seeds {MIN_RUNS} gives some.\n"
                )
            }
            _ => "Intervals: 95 %, bootstrap over seeds; log-log for medians to the threshold.\n".to_owned(),
        };
        let dirs = self.groups.iter().flat_map(|g| &g.runs).map(|run| run.dir.path().display().to_string());
        let _ = writeln!(text, "Runs: {}", dirs.collect::<Vec<_>>().join(" "));
        let _ = writeln!(text, "Curves: tensorboard --logdir {}", self.out.display());
        text
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

    fn envs(&self) -> Vec<&'a str> {
        let mut envs: Vec<&str> = self.groups.iter().map(|group| group.env).collect();
        envs.dedup();
        envs
    }

    fn groups_in(&self, env: &str) -> Vec<&Group<'a>> {
        self.groups.iter().filter(|group| group.env == env).collect()
    }
}

fn row(group: &Group<'_>) -> Vec<String> {
    let scores = group.scores();
    let largest = group.ranked().iter().filter(|x| x.is_finite()).fold(0.0, |m: f64, x| m.max(x.abs()));
    let d = output::decimals(largest);
    let (evaluation, interval) = match &scores {
        Err(_) if group.withholds() => ("withheld".to_owned(), "withheld".to_owned()),
        Err(_) => ("-".to_owned(), "-".to_owned()),
        Ok(scores) => (
            format!("{:.d$} ± {:.d$}", mean(scores), std(scores)),
            format!("{:.d$} {}", iqm(scores), interval(group.interval(iqm), d)),
        ),
    };
    let seed = |run: &Run<'_>| match run.summary() {
        None => "failed".to_owned(),
        Some(summary) => summary.eval.map_or("-".to_owned(), |e| format!("{:.d$}", e.mean)),
    };
    vec![
        group.name.clone(),
        group.preset.to_owned(),
        evaluation,
        interval,
        reaching(group.steps_to_threshold(), 0),
        reaching(group.seconds_to_threshold(), 1),
        group.runs.iter().map(seed).collect::<Vec<_>>().join(" "),
    ]
}

/// An interval in brackets; a dash in them where there are too few runs for one.
fn interval(interval: Option<Interval>, d: usize) -> String {
    interval.map_or("[–]".to_owned(), |i| format!("[{:.d$}, {:.d$}]", i.low, i.high))
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

fn told(i: &Improvement<'_>) -> String {
    let Improvement { algo, over, probability, .. } = i;
    let p = i.interval.map_or("[–]".to_owned(), |i| format!("[{:.2}, {:.2}]", i.low, i.high));
    let mut text = format!("P({algo} ends better than {over}) = {probability:.2} {p}");
    if let Some(mean) = i.difference {
        let d = output::decimals(mean);
        text +=
            &format!("; {algo} − {over} on the same seed: {mean:.d$} {}", interval(i.difference_interval, d));
    }
    text + "\n"
}

/// What must be known to read a group's row.
fn notes(group: &Group<'_>) -> Vec<String> {
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
    if group.n_interrupted() > 0 {
        notes.push(format!(
            "{algo}: {} of {runs} runs were interrupted, and have no final evaluation.",
            group.n_interrupted()
        ));
    }
    notes
}
