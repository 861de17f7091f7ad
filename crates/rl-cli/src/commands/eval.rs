//! `rl eval`

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use rl_nn::Builders;
use rl_train::{Acting, Checkpoint, Policy, RunDir};
use serde_json::json;

use super::{is_run, no_run};
use crate::args::{EvalArgs, PolicyArgs};
use crate::{Known, environments, output};

pub(crate) fn eval(args: &EvalArgs, known: &Known, json: bool) -> Result<ExitCode> {
    let policy = saved_policy(&args.policy, &known.builders)?;
    let run_dir = &args.policy.run_dir;
    let env =
        environments::find(known, policy.env(), &args.gym).with_context(|| run_dir.display().to_string())?;
    let acting = if args.stochastic { Acting::Stochastic } else { Acting::Deterministic };
    let e = policy.evaluate(&env, args.episodes as usize, acting)?;
    if json {
        output::print_json(&json!({
            "run_dir": run_dir,
            "env": policy.env(),
            "seed": policy.seed(),
            "total_steps": policy.steps(),
            "stochastic": args.stochastic,
            "eval": output::evaluation_json(&e),
            "mean_length": e.mean_length,
        }))?;
    } else {
        let (env, steps, length) = (policy.env(), policy.steps(), e.mean_length);
        let evaluation = output::evaluation(&e);
        output::print(&format!("{env} after {steps} steps, {evaluation}, mean length {length:.1}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks that a run is there, or where that is enough the file of a policy.
///
/// # Errors
///
/// Where none is, with those that are near.
pub(crate) fn check_place(place: &Path, a_policy_is_enough: bool) -> Result<()> {
    let is_policy = || place.is_file() || place.join("policy.safetensors").is_file();
    let enough = if a_policy_is_enough { is_policy() } else { place.join("checkpoints").is_dir() };
    if is_run(place) || enough {
        return Ok(());
    }
    bail!(no_run(place))
}

/// The policy that a run left, or that one of its checkpoints holds.
pub(super) fn saved_policy(args: &PolicyArgs, builders: &Builders) -> Result<Policy> {
    check_place(&args.run_dir, args.checkpoint.is_none())?;
    let Some(step) = args.checkpoint else { return Ok(Policy::load_with(&args.run_dir, builders)?) };
    let dir = RunDir::open(&args.run_dir)?;
    let checkpoint = step.map_or_else(|| Checkpoint::latest(&dir), |step| Checkpoint::at(&dir, step))?;
    Ok(Policy::from_checkpoint(&checkpoint, builders)?)
}
