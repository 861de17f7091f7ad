//! `rl eval`

use std::process::ExitCode;

use anyhow::{Context, Result};
use rl_train::{Acting, Checkpoint, Policy, RunDir};
use serde_json::json;

use crate::args::EvalArgs;
use crate::{Known, environments, output};

pub(crate) fn eval(args: &EvalArgs, known: &Known, json: bool) -> Result<ExitCode> {
    let policy = match args.checkpoint {
        None => Policy::load_with(&args.run_dir, &known.builders)?,
        Some(step) => {
            let dir = RunDir::open(&args.run_dir)?;
            let checkpoint =
                step.map_or_else(|| Checkpoint::latest(&dir), |step| Checkpoint::at(&dir, step))?;
            Policy::from_checkpoint(&checkpoint, &known.builders)?
        }
    };
    let env = environments::find(known, policy.env(), &args.gym)
        .with_context(|| args.run_dir.display().to_string())?;
    let acting = if args.stochastic { Acting::Stochastic } else { Acting::Deterministic };
    let e = policy.evaluate(&env, args.episodes as usize, acting)?;
    if json {
        output::print_json(&json!({
            "run_dir": args.run_dir,
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
