//! `rl compare`

use std::fmt::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use anyhow::Result;
use rl_env::EnvRng;
use rl_env::rng::stream;
use rl_stats::{
    Interval, bootstrap_interval, iqm, mean, probability_of_improvement, probability_of_improvement_interval,
    std,
};
use rl_train::{RunDir, Status, Summary};
use serde_json::{Value, json};

use super::train::document;
use crate::args::CompareArgs;
use crate::errors::{one_line, usage};
use crate::plan::{RunConfig, plan};
use crate::run::{INTERRUPTED, Screen, run, stop_on_interrupt, threads};
use crate::{Known, output};

const CONFIDENCE: f64 = 0.95;
const RESAMPLES: usize = 10_000;

/// A run to do, and its place.
struct Job {
    config: RunConfig,
    dir: RunDir,
}

/// All seeds of one algorithm in one environment.
struct Group<'a> {
    algo: &'a str,
    env: &'a str,
    preset: &'a str,
    jobs: Vec<(&'a Job, &'a Summary)>,
}

pub(crate) fn compare(args: &CompareArgs, known: &Known, json: bool) -> Result<ExitCode> {
    let runs = plan(known, &args.algos, &args.envs, &args.run)?;
    let seeds = |config: &RunConfig| config.seed..config.seed.saturating_add(args.seeds);
    let configs: Vec<RunConfig> = runs
        .iter()
        .flat_map(|config| seeds(config).map(|seed| config.with_seed(seed)))
        .collect();
    if configs.iter().any(|config| config.seed > i64::MAX as u64) {
        anyhow::bail!(usage(format!(
            "--seeds {}: the last seed is beyond 2^63 - 1",
            args.seeds
        )));
    }
    let threads = threads(args.run.threads);
    let at_once = threads.min(configs.len()).max(1);

    let jobs = configs.into_iter().map(|config| {
        let dir = RunDir::create(&args.run.out, &config.env.id, &config.algo.id, config.seed)?;
        Ok(Job { config, dir })
    });
    let jobs = jobs.collect::<Result<Vec<Job>>>()?;
    let stop = stop_on_interrupt()?;
    if !args.run.quiet {
        let each = (threads / at_once).max(1);
        eprintln!(
            "{} runs, {at_once} at once, {each} {} each",
            jobs.len(),
            if each == 1 { "thread" } else { "threads" }
        );
    }
    let started = Instant::now();
    let outcomes = run_all(
        &jobs,
        at_once,
        (threads / at_once).max(1),
        &Screen::new(args.run.quiet),
        &stop,
    );
    let wall_seconds = started.elapsed().as_secs_f64();

    let done: Vec<(&Job, &Summary)> = jobs
        .iter()
        .zip(&outcomes)
        .filter_map(|(job, o)| Some((job, o.as_ref().ok()?)))
        .collect();
    let groups = groups(&runs, &done);
    if json {
        let document = json!({
            "runs_at_once": at_once,
            "wall_seconds": wall_seconds,
            "environments": runs_envs(&runs).iter().map(|env| environment(env, &groups)).collect::<Vec<_>>(),
        });
        output::print_json(&document)?;
    }
    output::tell(
        &report(&runs, &groups, &args.run.out, at_once, wall_seconds),
        json,
    )?;
    if stop.load(Ordering::Relaxed) {
        return Ok(ExitCode::from(INTERRUPTED));
    }
    let mut errors = outcomes.into_iter().filter_map(Result::err);
    match errors.next() {
        None => Ok(ExitCode::SUCCESS),
        Some(first) => {
            errors.for_each(|e| eprintln!("rl: {}", one_line(&format!("{e:#}"))));
            Err(first)
        }
    }
}

/// Runs every job on `at_once` threads, each with a pool of its own: how they share the machine changes no result.
fn run_all(
    jobs: &[Job],
    at_once: usize,
    threads: usize,
    screen: &Screen,
    stop: &Arc<AtomicBool>,
) -> Vec<Result<Summary>> {
    let next = AtomicUsize::new(0);
    let outcomes: Vec<OnceLock<Result<Summary>>> = jobs.iter().map(|_| OnceLock::new()).collect();
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(i) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&i| i < jobs.len()) {
                    let _ = outcomes[i].set(run(&jobs[i].config, &jobs[i].dir, threads, screen, stop));
                }
            });
        }
    });
    outcomes
        .into_iter()
        .map(|o| {
            o.into_inner()
                .unwrap_or_else(|| Err(anyhow::anyhow!("the run was not started")))
        })
        .collect()
}

fn groups<'a>(runs: &'a [RunConfig], done: &[(&'a Job, &'a Summary)]) -> Vec<Group<'a>> {
    let group = |config: &'a RunConfig| {
        let (algo, env) = (config.algo.id.as_str(), config.env.id.as_str());
        let jobs = done
            .iter()
            .copied()
            .filter(|(_, s)| s.algo == algo && s.env == env)
            .collect();
        Group {
            algo,
            env,
            preset: config.preset,
            jobs,
        }
    };
    runs.iter().map(group).collect()
}

fn runs_envs(runs: &[RunConfig]) -> Vec<&str> {
    let mut envs: Vec<&str> = runs.iter().map(|run| run.env.id.as_str()).collect();
    envs.dedup();
    envs
}

impl Group<'_> {
    /// The means of the final evaluations.
    fn finals(&self) -> Vec<f64> {
        self.jobs.iter().filter_map(|(_, s)| Some(s.eval?.mean)).collect()
    }

    fn steps_to_threshold(&self) -> Vec<f64> {
        self.jobs
            .iter()
            .filter_map(|(_, s)| s.steps_to_threshold)
            .map(|steps| steps as f64)
            .collect()
    }

    fn seconds_to_threshold(&self) -> Vec<f64> {
        self.jobs
            .iter()
            .filter_map(|(_, s)| s.seconds_to_threshold)
            .collect()
    }

    fn threshold(&self) -> Option<f64> {
        self.jobs.iter().find_map(|(_, s)| s.threshold)
    }

    fn interval(&self, statistic: fn(&[f64]) -> f64) -> Option<Interval> {
        bootstrap_interval(
            statistic,
            &self.finals(),
            CONFIDENCE,
            RESAMPLES,
            &mut resampling(),
        )
        .ok()
    }

    fn document(&self) -> Value {
        let finals = self.finals();
        let statistic = |f: fn(&[f64]) -> f64| {
            let value = (!finals.is_empty()).then(|| f(&finals));
            let interval = self.interval(f);
            json!({"value": value, "low": interval.map(|i| i.low), "high": interval.map(|i| i.high)})
        };
        let seed = |(job, s): &(&Job, &Summary)| {
            let mut run = document(s, &job.dir);
            run["steps_to_threshold"] = json!(s.steps_to_threshold);
            run["seconds_to_threshold"] = json!(s.seconds_to_threshold);
            run
        };
        json!({
            "algo": self.algo,
            "preset": self.preset,
            "mean": statistic(mean),
            "iqm": statistic(iqm),
            "std": (!finals.is_empty()).then(|| std(&finals)),
            "reached_threshold": self.steps_to_threshold().len(),
            "seeds": self.jobs.iter().map(seed).collect::<Vec<_>>(),
        })
    }
}

/// The generator of bootstrap resamples: the same one every time.
fn resampling() -> EnvRng {
    stream(0, "bootstrap", 0)
}

/// Pairs of algorithms with the probability that a run of the first ends better than one of the second.
fn improvements<'g>(groups: &[&'g Group<'g>]) -> Vec<(&'g str, &'g str, f64, Option<Interval>)> {
    let mut pairs = Vec::new();
    for (i, x) in groups.iter().enumerate() {
        for y in &groups[i + 1..] {
            let (a, b) = (x.finals(), y.finals());
            if !a.is_empty() && !b.is_empty() {
                let interval =
                    probability_of_improvement_interval(&a, &b, CONFIDENCE, RESAMPLES, &mut resampling());
                pairs.push((x.algo, y.algo, probability_of_improvement(&a, &b), interval.ok()));
            }
        }
    }
    pairs
}

fn environment(env: &str, groups: &[Group<'_>]) -> Value {
    let here: Vec<&Group<'_>> = groups.iter().filter(|g| g.env == env).collect();
    let improvement = improvements(&here)
        .into_iter()
        .map(|(algo, over, probability, interval)| {
            let (low, high) = (interval.map(|i| i.low), interval.map(|i| i.high));
            json!({"algo": algo, "over": over, "probability": probability, "low": low, "high": high})
        });
    json!({
        "env": env,
        "threshold": here.iter().find_map(|g| g.threshold()),
        "improvement": improvement.collect::<Vec<_>>(),
        "algorithms": here.iter().map(|g| g.document()).collect::<Vec<_>>(),
    })
}

/// The comparison as people read it.
fn report(
    runs: &[RunConfig],
    groups: &[Group<'_>],
    out: &std::path::Path,
    at_once: usize,
    wall_seconds: f64,
) -> String {
    let mut text = String::new();
    for env in runs_envs(runs) {
        let here: Vec<&Group<'_>> = groups.iter().filter(|g| g.env == env).collect();
        let threshold = here
            .iter()
            .find_map(|g| g.threshold())
            .map_or("threshold".to_owned(), |t| t.to_string());
        let (steps, seconds) = (format!("steps to {threshold}"), format!("seconds to {threshold}"));
        let header = [
            "algorithm",
            "preset",
            "final evaluation",
            "IQM [95 %]",
            &steps,
            &seconds,
            "per seed",
        ];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        rows.extend(here.iter().map(|group| row(group)));
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{env}\n{}", output::table(&rows));
        for (algo, over, probability, interval) in improvements(&here) {
            let interval = interval.map_or(String::new(), |i| format!(" [{:.2}, {:.2}]", i.low, i.high));
            let _ = writeln!(
                text,
                "P({algo} ends better than {over}) = {probability:.2}{interval}"
            );
        }
    }
    let _ = writeln!(
        text,
        "\n{} runs in {wall_seconds:.1} s, {at_once} at once: seconds are those of runs that shared the machine.",
        runs_done(groups)
    );
    let _ = writeln!(
        text,
        "Final evaluation: mean ± std over seeds of the mean return, deterministic policy. Intervals: bootstrap over seeds."
    );
    let mut dirs: Vec<String> = Vec::new();
    for (job, _) in groups.iter().flat_map(|g| &g.jobs) {
        dirs.push(job.dir.path().display().to_string());
    }
    let _ = writeln!(text, "Runs: {}", dirs.join(" "));
    let _ = writeln!(text, "Curves: tensorboard --logdir {}", out.display());
    text
}

fn runs_done(groups: &[Group<'_>]) -> usize {
    groups
        .iter()
        .map(|g| {
            g.jobs
                .iter()
                .filter(|(_, s)| s.status == Status::Finished)
                .count()
        })
        .sum()
}

fn row(group: &Group<'_>) -> Vec<String> {
    let finals = group.finals();
    let n = group.jobs.len();
    let reached = |xs: &[f64], digits: usize| match xs.len() {
        0 => "-".to_owned(),
        k if k == n => format!("{:.digits$}", mean(xs)),
        k => format!("{:.digits$} ({k} of {n} runs)", mean(xs)),
    };
    let (evaluation, interval) = match group.interval(iqm) {
        None => ("-".to_owned(), "-".to_owned()),
        Some(i) => (
            format!("{:.1} ± {:.1}", mean(&finals), std(&finals)),
            format!("{:.1} [{:.1}, {:.1}]", iqm(&finals), i.low, i.high),
        ),
    };
    vec![
        group.algo.to_owned(),
        group.preset.to_owned(),
        evaluation,
        interval,
        reached(&group.steps_to_threshold(), 0),
        reached(&group.seconds_to_threshold(), 1),
        finals
            .iter()
            .map(|x| format!("{x:.1}"))
            .collect::<Vec<_>>()
            .join(" "),
    ]
}
