//! `rl check-env`

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::args::CheckEnvArgs;
use crate::{Known, environments, output};

pub(crate) fn check_env(args: &CheckEnvArgs, known: &Known, json: bool) -> Result<ExitCode> {
    let env = environments::find(known, &args.env, &args.gym)?;
    let env = args.waive.iter().fold(env, |env, rule| env.with_waived(*rule));
    let findings = env.check();
    if json {
        let of =
            |f: &rl_env::Finding| json!({"rule": f.rule.to_string(), "step": f.step, "message": f.message});
        let findings: Vec<_> = findings.iter().map(of).collect();
        output::print_json(&json!({"env": env.id, "findings": findings}))?;
    } else if findings.is_empty() {
        output::print(&format!("{}: nothing found\n", env.id))?;
    } else {
        let lines: Vec<_> = findings.iter().map(|f| format!("{f}\n")).collect();
        output::print(&lines.concat())?;
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
