//! `rl train`

use std::fmt::{Display, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use rl_gym::GymName;
use rl_train::{Checkpoint, RunDir, Status, Summary, shown};
use serde_json::{Value, json};

use super::resume::{Outlook, outlook, run_in};
use crate::args::TrainArgs;
use crate::config_file::ConfigFile;
use crate::errors::usage;
use crate::output::program;
use crate::plan::plan_one;
use crate::run::{Files, Screen, run, threads};
use crate::run_config::RunConfig;
use crate::stop::Stop;
use crate::{Known, output, warm_start};

pub(crate) fn train(args: &TrainArgs, known: &Known, json: bool) -> Result<ExitCode> {
    // clap asks for no argument that would stand in conflict with one that is there.
    if args.extend_schedule && args.resume.is_none() {
        bail!(usage("--extend-schedule is for a run that goes on: --resume RUN_DIR"));
    }
    let (config, dir) = match &args.resume {
        Some(run_dir) => run_in(run_dir, &args.run.settings, known)?,
        None => {
            let file = ConfigFile::given(args.run.settings.config.as_deref(), &known.algorithms)?;
            let config = plan_one(known, what_to_train(args, &file, known)?, &file, &args.run.settings)?;
            warm_start::check(&config, &known.builders)?;
            check_film(&config)?;
            let dir = RunDir::create(args.run.out(), &config.env.id, &config.name(), config.seed)?;
            (config, dir)
        }
    };
    let Some(_held) = dir.lock() else {
        bail!("{}: another process is at work on this run", dir.path().display())
    };
    let place = dir.path().display();
    let files = match args.resume.as_ref().map(|_| outlook(&config, &dir)).transpose()? {
        None => Files::New(&dir),
        Some(Outlook::BeginsAgain) => {
            eprintln!("{}: {place}: it ended before its first checkpoint, and begins again", program());
            dir.clear()?;
            Files::New(&dir)
        }
        Some(Outlook::GoesOn) => {
            Files::Resumed { dir: &dir, extend_schedule: args.extend_schedule, with_gaps: true }
        }
        Some(Outlook::Finished(summary)) => {
            let mut note = format!("{place}: the run has finished already, there is nothing to do");
            if can_go_on(&dir) {
                let _ = write!(note, "; --total-steps above {} trains on", summary.total_steps);
            }
            output::tell(&format!("{note}\n"), json)?;
            return end(&config, &summary, &dir, json, ExitCode::SUCCESS);
        }
    };
    if !args.run.quiet {
        eprintln!("{}", begun(&config, &dir));
        if config.checkpoints.is_some() && config.make_algorithm()?.state()?.is_none() {
            eprintln!("{}: warning: {}", program(), rl_train::no_state(&config.algo.id));
        }
    }
    let stop = Stop::on_signals()?;
    let progress = Screen::new(args.run.quiet).progress();
    let summary = run(&config, known, files, threads(args.run.threads), progress, &stop).ended?;
    let interrupted =
        if summary.status == Status::Interrupted { stop.exit_code() } else { ExitCode::SUCCESS };
    end(&config, &summary, &dir, json, interrupted)
}

/// The algorithm and the environment: the arguments, and what the file of settings says where there are none.
fn what_to_train<'a>(args: &'a TrainArgs, file: &'a ConfigFile, known: &Known) -> Result<(&'a str, &'a str)> {
    let is_env = |name: &str| {
        known.algorithms.get(name).is_err() && (known.envs.get(name).is_ok() || GymName::is_meant_by(name))
    };
    let (algo, env) = match (args.algo.as_deref(), args.env.as_deref()) {
        (Some(algo), Some(env)) => return Ok((algo, env)),
        // The only argument may be either.
        (Some(env), None) if is_env(env) => (None, Some(env)),
        arguments => arguments,
    };
    let missing =
        |what: &str| usage(format!("{}: it says no {what}, and neither does the command line", file.name));
    let of_file = |e: &dyn Display| usage(format!("{}: {e}", file.name));
    let algo = match (algo, file.algo.as_deref()) {
        (Some(algo), _) => algo,
        (None, Some(algo)) => known.algorithms.get(algo).map(|_| algo).map_err(|e| of_file(&e))?,
        (None, None) => bail!(missing("algorithm (algo = \"ppo\")")),
    };
    let env = match (env, file.env.as_deref()) {
        (Some(env), _) => env,
        (None, Some(env)) if GymName::is_meant_by(env) => env,
        (None, Some(env)) => known.envs.get(env).map(|_| env).map_err(|e| of_file(&e))?,
        (None, None) => bail!(missing("environment (env = \"CartPole-v1\")")),
    };
    Ok((algo, env))
}

/// Refuses films of what does not draw itself, before there is anything of the run.
pub(super) fn check_film(config: &RunConfig) -> Result<()> {
    if config.film {
        rl_train::check_films(&config.env, config.seed)?;
    }
    Ok(())
}

/// Tells how a run ended; what is no success in spite of its end is an error.
fn end(config: &RunConfig, summary: &Summary, dir: &RunDir, json: bool, code: ExitCode) -> Result<ExitCode> {
    if json {
        output::print_json(&document(summary, Some(dir.path())))?;
    } else {
        output::print(&told(config, summary, dir))?;
    }
    if let Some(fault) = summary.fault() {
        bail!("{fault}");
    }
    Ok(code)
}

/// Whether there is a checkpoint that the run could go on from.
fn can_go_on(dir: &RunDir) -> bool {
    Checkpoint::list(dir).is_ok_and(|checkpoints| !checkpoints.is_empty())
}

/// A run as people are told of it when it begins: what it is, and what its settings started from.
fn begun(config: &RunConfig, dir: &RunDir) -> String {
    format!(
        "{} on {}, seed {}, preset {}: {} steps, in {}",
        config.name(),
        config.env.id,
        config.seed,
        config.preset,
        config.train.total_steps,
        dir.path().display()
    )
}

/// A run as `--json` prints it.
pub(super) fn document(s: &Summary, dir: Option<&Path>) -> Value {
    let mut document = json!({
        "algo": s.algo,
        "env": s.env,
        "seed": s.seed,
        "status": s.status,
        "stopped_because": s.stopped_because,
        "total_steps": s.total_steps,
        "wall_seconds": s.wall_seconds,
        "steps_per_second": s.steps_per_second,
        "episodes": s.episodes,
        "mean_return_100": s.mean_return_100,
        "eval": s.eval.as_ref().map(output::evaluation_json),
        "updates": s.updates,
        "rejected_updates": s.rejected_updates,
        "run_dir": dir,
    });
    if !s.mean_metrics_100.is_empty() {
        document["mean_metrics_100"] = json!(s.mean_metrics_100);
    }
    document
}

/// A run as people read it.
fn told(config: &RunConfig, s: &Summary, dir: &RunDir) -> String {
    let mut text = format!(
        "{} on {}, seed {}, preset {}: {} steps in {:.1} s ({:.0} steps/s), {} episodes, {} updates",
        config.name(),
        s.env,
        s.seed,
        config.preset,
        s.total_steps,
        s.wall_seconds,
        s.steps_per_second,
        s.episodes,
        s.updates
    );
    // Writing to a string cannot fail.
    let _ = match s.rejected_updates {
        0 => writeln!(text),
        n => writeln!(text, " ({n} rejected)"),
    };
    if let Some(mean) = s.mean_return_100 {
        let metrics = output::metrics(&s.mean_metrics_100);
        let _ = writeln!(text, "last 100 training episodes: mean return {}{metrics}", shown(mean, mean));
    }
    if let Some(e) = &s.eval {
        let _ = writeln!(text, "evaluation, {}", output::evaluation(e));
    }
    if let (Some(threshold), Some(steps), Some(seconds)) =
        (s.threshold, s.steps_to_threshold, s.seconds_to_threshold)
    {
        let _ = writeln!(
            text,
            "an evaluation reached {threshold} at {steps} steps, after {seconds:.1} s of training"
        );
    }
    if let (Status::Stopped, Some(reason)) = (s.status, &s.stopped_because) {
        let _ = writeln!(text, "stopped: {reason}");
    }
    if s.status == Status::Interrupted {
        let _ = match can_go_on(dir) {
            true => {
                writeln!(
                    text,
                    "interrupted; go on with: {} train --resume {}",
                    program(),
                    dir.path().display()
                )
            }
            false => writeln!(text, "interrupted; it left no checkpoint to go on from"),
        };
    }
    for warning in &s.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    let path = dir.path().display();
    let _ = writeln!(text, "in {path}; curves: tensorboard --logdir {path}");
    text
}
