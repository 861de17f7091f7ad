//! `rl train`

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use rl_train::{Checkpoint, RunDir, Status, Summary, shown};
use serde_json::{Value, json};

use crate::args::{SettingArgs, TrainArgs};
use crate::errors::usage;
use crate::output::program;
use crate::plan::plan_one;
use crate::run::{Files, Screen, run, threads};
use crate::run_config::RunConfig;
use crate::stop::Stop;
use crate::{Known, config_file, output, warm_start};

pub(crate) fn train(args: &TrainArgs, known: &Known, json: bool) -> Result<ExitCode> {
    let (config, dir) = match (&args.resume, &args.algo, &args.env) {
        (Some(run_dir), ..) => resumed(run_dir, args, known)?,
        (None, Some(algo), Some(env)) => {
            let config = plan_one(known, algo, env, &args.run.settings)?;
            warm_start::check(&config, &known.builders)?;
            let dir = RunDir::create(args.run.out(), &config.env.id, &config.name(), config.seed)?;
            (config, dir)
        }
        _ => bail!(usage("an algorithm and an environment, or --resume RUN_DIR")),
    };
    let Some(_held) = dir.lock() else {
        bail!("{}: another process is at work on this run", dir.path().display())
    };
    let files = match args.resume {
        Some(_) if begins_again(&config, &dir)? => {
            let place = dir.path().display();
            eprintln!("{}: {place}: it ended before its first checkpoint, and begins again", program());
            dir.clear()?;
            Files::New(&dir)
        }
        Some(_) => Files::Resumed { dir: &dir, extend_schedule: args.extend_schedule, with_gaps: true },
        None => Files::New(&dir),
    };
    let stop = Stop::on_signals()?;
    let progress = Screen::new(args.run.quiet).progress();
    let summary = run(&config, known, files, threads(args.run.threads), progress, &stop).ended?;
    if json {
        output::print_json(&document(&summary, Some(dir.path())))?;
    } else {
        output::print(&told(&summary, &dir))?;
    }
    if let Some(fault) = summary.fault() {
        bail!("{fault}");
    }
    Ok(if summary.status == Status::Interrupted { stop.exit_code() } else { ExitCode::SUCCESS })
}

/// The run that a directory is of, by the `config.toml` in it and what is said beside.
fn resumed(run_dir: &Path, args: &TrainArgs, known: &Known) -> Result<(RunConfig, RunDir)> {
    run_in(run_dir, &args.run.settings, known)
}

/// The same with other settings beside.
pub(super) fn run_in(run_dir: &Path, settings: &SettingArgs, known: &Known) -> Result<(RunConfig, RunDir)> {
    let dir = RunDir::open(run_dir)?;
    let path = dir.file("config.toml");
    let file = config_file::read(&path, &known.algorithms)?;
    let (Some(algo), Some(env)) = (file.algo, file.env) else {
        bail!(usage(format!(
            "{}: it does not say which algorithm and environment its run is of",
            path.display()
        )))
    };
    let settings = SettingArgs { config: Some(path), ..settings.clone() };
    Ok((plan_one(known, &algo, &env, &settings)?, dir))
}

/// Whether a run ended before anything was computed that is not computed again: it would have checkpoints, had it come so far.
fn begins_again(config: &RunConfig, dir: &RunDir) -> Result<bool> {
    let left = ["summary.json", "policy.safetensors"].iter().any(|name| dir.file(name).exists());
    Ok(config.checkpoints.is_some() && !left && Checkpoint::list(dir)?.is_empty())
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
fn told(s: &Summary, dir: &RunDir) -> String {
    let mut text = format!(
        "{} on {}, seed {}: {} steps in {:.1} s ({:.0} steps/s), {} episodes, {} updates",
        s.algo, s.env, s.seed, s.total_steps, s.wall_seconds, s.steps_per_second, s.episodes, s.updates
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
        let _ =
            writeln!(text, "interrupted; go on with: {} train --resume {}", program(), dir.path().display());
    }
    for warning in &s.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    let path = dir.path().display();
    let _ = writeln!(text, "in {path}; curves: tensorboard --logdir {path}");
    text
}
