//! `rl completions` and `rl man`: the command line as shells and the manual know it.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::json;

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::output::{self, program};

pub(crate) fn completions(args: &CompletionsArgs, json: bool) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command_as(program()), program(), &mut script);
    let script = String::from_utf8(script)?;
    if json {
        output::print_json(&json!({"shell": args.shell.to_string(), "script": script}))?;
    } else {
        output::print(&script)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A page for the program and one for each of its commands; pages that are there already are written anew.
pub(crate) fn man(args: &ManArgs, json: bool) -> Result<ExitCode> {
    let dir = &args.dir;
    fs::create_dir_all(dir).with_context(|| format!("cannot create the directory {}", dir.display()))?;
    clap_mangen::generate_to(Cli::command_as(program()), dir)
        .with_context(|| format!("cannot write the manual's pages into {}", dir.display()))?;
    if json {
        output::print_json(&json!({"dir": dir}))?;
    } else {
        output::print(&format!("in {}\n", dir.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
