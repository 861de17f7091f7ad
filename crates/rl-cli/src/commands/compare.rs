//! `rl compare`: the runs side by side, then what they amount to.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use anyhow::{Result, bail};
use rl_train::{RunDir, Summary};

use super::comparison::{Comparison, Ended, Group, Run};
use crate::args::CompareArgs;
use crate::errors::{message, usage};
use crate::plan::plan;
use crate::run::{INTERRUPTED, Screen, run, stop_on_interrupt, threads};
use crate::run_config::RunConfig;
use crate::variants::Variant;
use crate::{Known, output};

/// A run to do, and its place.
struct Job {
    config: RunConfig,
    dir: RunDir,
}

/// How the runs share the machine, which changes no result.
#[derive(Clone, Copy)]
struct Share {
    at_once: usize,
    threads_each: usize,
}

pub(crate) fn compare(args: &CompareArgs, known: &Known, json: bool) -> Result<ExitCode> {
    let variants = args.variants.iter().map(|text| Variant::parse(text)).collect::<Result<Vec<_>>>()?;
    let runs = plan(known, &variants, &args.envs, &args.run.settings)?;
    let configs = with_seeds(&runs, args.seeds)?;
    let threads = threads(args.run.threads);
    let at_once = threads.min(configs.len()).max(1);
    let threads_each = (threads / at_once).max(1);

    let jobs = make_places(configs, args)?;
    let stop = stop_on_interrupt()?;
    if !args.run.quiet {
        let threads = if threads_each == 1 { "thread" } else { "threads" };
        eprintln!("{} runs, {at_once} at once, {threads_each} {threads} each", jobs.len());
    }
    let started = Instant::now();
    let share = Share { at_once, threads_each };
    let outcomes = run_all(&jobs, share, &Screen::new(args.run.quiet), &stop);
    let wall_seconds = started.elapsed().as_secs_f64();

    let groups = runs.iter().map(|run| group(run, &jobs, &outcomes)).collect();
    let comparison = Comparison { groups, out: &args.run.out, at_once, wall_seconds };
    if json {
        output::print_json(&comparison.document())?;
    }
    output::tell(&comparison.report(), json)?;
    if comparison.groups.iter().any(|group| !group.runs.is_empty()) {
        output::tell(&comparison.save()?, json)?;
    }
    conclude(jobs, outcomes, &stop)
}

/// The jobs that are of this algorithm in this environment and were begun, with how they ended.
fn group<'a>(config: &'a RunConfig, jobs: &'a [Job], outcomes: &'a [Option<Result<Summary>>]) -> Group<'a> {
    let is_here = |job: &Job| job.config.name() == config.name() && job.config.env.id == config.env.id;
    let run = |(job, outcome): (&'a Job, &'a Option<Result<Summary>>)| {
        let ended = match outcome.as_ref()? {
            Ok(summary) => Ended::Well(summary),
            Err(error) => Ended::Badly(message(error)),
        };
        Some(Run { seed: job.config.seed, dir: &job.dir, ended })
    };
    let here = jobs.iter().zip(outcomes).filter(|(job, _)| is_here(job));
    Group::new(config, here.filter_map(run).collect())
}

/// Every run with every seed.
fn with_seeds(runs: &[RunConfig], seeds: u64) -> Result<Vec<RunConfig>> {
    let last = |run: &RunConfig| run.seed.checked_add(seeds - 1).filter(|last| i64::try_from(*last).is_ok());
    if let Some(run) = runs.iter().find(|run| last(run).is_none()) {
        bail!(usage(format!("--seeds {seeds}: from seed {} on they go beyond 2^63 - 1", run.seed)));
    }
    let of_run =
        |run: &RunConfig| (run.seed..run.seed + seeds).map(|seed| run.with_seed(seed)).collect::<Vec<_>>();
    Ok(runs.iter().flat_map(of_run).collect())
}

/// A directory for every run, or none for any.
fn make_places(configs: Vec<RunConfig>, args: &CompareArgs) -> Result<Vec<Job>> {
    let mut jobs: Vec<Job> = Vec::with_capacity(configs.len());
    for config in configs {
        match RunDir::create(&args.run.out, &config.env.id, &config.name(), config.seed) {
            Ok(dir) => jobs.push(Job { config, dir }),
            Err(error) => {
                jobs.into_iter().for_each(|job| job.dir.discard_if_empty());
                return Err(error.into());
            }
        }
    }
    Ok(jobs)
}

/// Runs the jobs in order, each on a pool of its own; `None` for those that did not begin before the interruption.
fn run_all(
    jobs: &[Job],
    share: Share,
    screen: &Screen,
    stop: &Arc<AtomicBool>,
) -> Vec<Option<Result<Summary>>> {
    let next = AtomicUsize::new(0);
    let outcomes: Vec<OnceLock<Result<Summary>>> = jobs.iter().map(|_| OnceLock::new()).collect();
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let (Some(job), Some(outcome)) = (jobs.get(i), outcomes.get(i)) else {
                return;
            };
            let ended = run(&job.config, &job.dir, share.threads_each, screen, stop);
            // Each index is taken once.
            let _ = outcome.set(ended);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..share.at_once {
            scope.spawn(work);
        }
    });
    outcomes.into_iter().map(OnceLock::into_inner).collect()
}

fn conclude(jobs: Vec<Job>, outcomes: Vec<Option<Result<Summary>>>, stop: &AtomicBool) -> Result<ExitCode> {
    let mut failures = Vec::new();
    for (job, outcome) in jobs.into_iter().zip(outcomes) {
        match outcome {
            None => job.dir.discard_if_empty(),
            Some(Err(error)) => failures.push(error),
            Some(Ok(_)) => {}
        }
    }
    let mut failures = failures.into_iter();
    if let Some(first) = failures.next() {
        failures.for_each(|error| eprintln!("rl: {}", message(&error)));
        return Err(first);
    }
    Ok(if stop.load(Ordering::Relaxed) { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
}
