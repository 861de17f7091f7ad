//! `rl compare`: the runs side by side, then what they amount to.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use rl_train::reward_threshold;

use super::comparison::{
    Comparison, Display, Effort, Grid, Group, Job, Run, Shard, Share, Table, Until, found_in, grouped,
    identity,
};
use super::train::check_film;
use crate::args::CompareArgs;
use crate::config_file::{self, ConfigFile};
use crate::errors::usage;
use crate::output::program;
use crate::plan::{plan, shared_names};
use crate::run::threads;
use crate::run_config::RunConfig;
use crate::stop::Stop;
use crate::variants::Variant;
use crate::{Known, output, warm_start};

pub(crate) fn compare(args: &CompareArgs, known: &Known, json: bool) -> Result<ExitCode> {
    if !args.runs.is_empty() {
        return compare_finished(args, json);
    }
    let variants = args.variants.iter().map(|text| Variant::parse(text)).collect::<Result<Vec<_>>>()?;
    let file = ConfigFile::given(args.run.settings.config.as_deref(), &known.algorithms)?;
    let columns = plan(known, &variants, &args.envs, &file, &args.run.settings)?;
    columns.iter().try_for_each(|column| {
        warm_start::check(column, &known.builders)?;
        check_film(column)
    })?;
    let shard = args.shard.as_deref().map(Shard::parse).transpose()?;
    let mut until = Until::new(args, &columns)?;
    let looks = until.as_ref().map_or_else(|| vec![args.seeds.unwrap_or(5)], Until::looks);
    let seeds = looks.last().copied().unwrap_or_default();
    check_seeds(&columns, seeds)?;
    let job =
        |seed: u64| move |column: (usize, &RunConfig)| Job { column: column.0, seed: column.1.seed + seed };
    // Seeds outside, so that what an interruption leaves can be compared.
    let jobs_of = |seeds: std::ops::Range<u64>| -> Vec<Job> {
        let jobs: Vec<Job> = seeds.flat_map(|seed| columns.iter().enumerate().map(job(seed))).collect();
        match shard {
            Some(shard) => shard.part(jobs),
            None => jobs,
        }
    };

    let threads = threads(args.run.threads);
    let at_once = threads.min(jobs_of(0..seeds).len()).max(1);
    let share = Share { at_once, threads_each: (threads / at_once).max(1) };
    let out = args.run.out();
    let part = shard.map_or_else(String::new, |Shard { number, of }| format!("-{number}-of-{of}"));
    let lean = args.lean.then(|| Table::open(out, &format!("lean{part}.jsonl"))).transpose()?;
    let stop = Stop::on_signals()?;
    let grid = Grid { columns: &columns, known, out, lean, fresh: args.fresh, share, stop: &stop };
    grid.prepare()?;

    if !args.run.quiet {
        let sets = &args.run.settings.set;
        let remarks = shared_names(&columns, sets).into_iter().chain(same_columns(&columns));
        remarks.for_each(|told| eprintln!("{}: {told}", program()));
    }
    let started = Instant::now();
    let group = |run: &RunConfig| {
        Group::new(&config_file::values(run), reward_threshold(&run.env), run.env.worst_return)
    };
    let mut groups: Vec<Group> = columns.iter().map(group).collect();
    let (mut done, mut are_narrow, mut fault) = (0, false, None);
    for seeds in looks {
        let jobs = jobs_of(done..seeds);
        if !args.run.quiet {
            let threads = if share.threads_each == 1 { "thread" } else { "threads" };
            eprintln!("{} runs, {at_once} at once, {} {threads} each", jobs.len(), share.threads_each);
        }
        let display = Display::new(args.run.quiet, jobs.len());
        for (job, run) in jobs.iter().zip(grid.run(&jobs, &display)) {
            groups[job.column].runs.extend(run);
        }
        if stop.is_set() {
            break;
        }
        done = seeds;
        match until.as_mut().map(|until| until.look(&mut groups)) {
            Some(Ok(narrow)) => are_narrow = narrow,
            // What there is so far is told all the same.
            Some(Err(error)) => fault = Some(error),
            None => {}
        }
        if are_narrow || fault.is_some() {
            break;
        }
    }
    let effort = Effort { at_once, wall_seconds: started.elapsed().as_secs_f64() };

    let mut notes = Vec::new();
    notes.extend(until.filter(|_| fault.is_none()).map(|until| until.told(done, are_narrow)));
    notes.extend(taken_over(&groups));
    if let Some(Shard { number, of }) = shard {
        notes.push(format!("This is part {number} of {of}; --out of all parts put together is the whole."));
    }
    if args.lean {
        notes.push(format!("Runs: a line for each in {}/lean{part}.jsonl", out.display()));
    } else {
        notes.push(format!("Curves: tensorboard --logdir {}", out.display()));
    }
    let comparison = Comparison::new(groups, Some(effort), notes).run_by(output::command());
    tell(&comparison, Some((out, &format!("compare{part}"))), json)?;
    fault.map_or_else(|| Ok(conclude(&comparison, &stop)), Err)
}

/// A line for every two columns with the same settings in some environment: their runs are the same.
fn same_columns(columns: &[RunConfig]) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for (i, column) in columns.iter().enumerate() {
        let is_same = |other: &&RunConfig| {
            other.env.id == column.env.id
                && other.algo.id == column.algo.id
                && identity(&config_file::values(other)) == identity(&config_file::values(column))
        };
        if let Some(other) = columns[..i].iter().find(is_same) {
            let (env, name) = (&column.env.id, column.name());
            told.push(format!(
                "in {env}, {} and {name} have the same settings, and so the same runs",
                other.name()
            ));
        }
    }
    told
}

/// Compares runs that are finished.
fn compare_finished(args: &CompareArgs, json: bool) -> Result<ExitCode> {
    let (groups, notes) = grouped(found_in(&args.runs)?);
    let comparison = Comparison::new(groups, None, notes);
    tell(&comparison, args.run.out.as_deref().map(|out| (out, "compare")), json)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a comparison, and saves it under this name.
fn tell(comparison: &Comparison, to: Option<(&Path, &str)>, json: bool) -> Result<()> {
    if json {
        output::print_json(&comparison.document())?;
    }
    output::tell(&comparison.report(), json)?;
    let has_runs = comparison.groups.iter().any(|group| !group.runs.is_empty());
    if let Some((out, stem)) = to.filter(|_| has_runs) {
        output::tell(&comparison.save(out, stem)?, json)?;
    }
    Ok(())
}

fn check_seeds(columns: &[RunConfig], seeds: u64) -> Result<()> {
    let last = |run: &RunConfig| run.seed.checked_add(seeds - 1).filter(|last| i64::try_from(*last).is_ok());
    match columns.iter().find(|run| last(run).is_none()) {
        Some(run) => {
            bail!(usage(format!("--seeds {seeds}: from seed {} on they go beyond 2^63 - 1", run.seed)))
        }
        None => Ok(()),
    }
}

/// What was not run because it was there: said aloud, for a changed program gives other results.
fn taken_over(groups: &[Group]) -> Option<String> {
    let runs: usize = groups.iter().map(|group| group.runs.len()).sum();
    let there = groups.iter().flat_map(|group| &group.runs).filter(|run| run.was_there).count();
    (there > 0).then(|| {
        format!(
            "{there} of {runs} runs were finished already, with the same settings, and are taken over; --fresh runs them again, as after a change of the \
             program."
        )
    })
}

/// Says what failed, and how the process should end.
fn conclude(comparison: &Comparison, stop: &Stop) -> ExitCode {
    let runs = || comparison.groups.iter().flat_map(|group| &group.runs);
    let told = |run: &Run| run.error().map(str::to_owned).or_else(|| run.fault());
    let errors: Vec<String> = runs().filter_map(told).collect();
    errors.iter().for_each(|error| eprintln!("{}: {error}", program()));
    match (errors.is_empty(), stop.is_set()) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => stop.exit_code(),
        (true, false) => ExitCode::SUCCESS,
    }
}
