//! The `rl` command line as a function of environments and algorithms.
//!
//! A program of your own gets all of it, `train`, `compare` and the rest, with its environments and algorithms among the others:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     let mut envs = rl_env::Registry::builtin();
//!     let pole = rl_env::EnvSpec::with_time_limit("ShortPole-v0", 100, rl_env::envs::CartPole::new);
//!     if let Err(error) = envs.register(pole) {
//!         eprintln!("{error}");
//!         return ExitCode::FAILURE;
//!     }
//!     rl_cli::main_with(envs, rl_cli::builtin_algorithms())
//! }
//! ```
//!
//! # Invariant
//!
//! The only crate that parses arguments and chooses where output goes. Parsing has no effect: arguments become a
//! `RunConfig`, resolved and checked as a whole, before a directory is made or a thread started.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "talking to people is this crate's purpose")]

mod args;
mod commands;
mod config_file;
mod environments;
mod errors;
mod output;
mod plan;
mod presets;
mod recorder;
mod routing;
mod run;
mod run_config;
mod settings;
mod stop;
mod variants;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use rl_algo::AlgorithmRegistry;
use rl_env::Registry;

use crate::args::{Cli, Command};
use crate::errors::Usage;

/// What is known by name.
pub(crate) struct Known {
    pub(crate) envs: Registry,
    pub(crate) algorithms: AlgorithmRegistry,
}

/// The algorithms of this workspace: `ppo` and `trpo`.
pub fn builtin_algorithms() -> AlgorithmRegistry {
    let mut algorithms = AlgorithmRegistry::new();
    for spec in [rl_ppo::spec(), rl_trpo::spec()] {
        let registered = algorithms.register(spec);
        debug_assert!(registered.is_ok(), "the built-in names differ");
    }
    algorithms
}

/// Runs the command line of the process with these environments and algorithms, and says how the process should end:
/// 0 for success, 1 when something failed, 2 for a command line that cannot be used, 130 when interrupted.
pub fn main_with(envs: Registry, algorithms: AlgorithmRegistry) -> ExitCode {
    main_with_args(std::env::args_os(), envs, algorithms)
}

/// The same for a command line of one's own, which begins with the program's name.
pub fn main_with_args(
    args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    envs: Registry,
    algorithms: AlgorithmRegistry,
) -> ExitCode {
    #[cfg(feature = "failpoints")]
    watch_failpoints();
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return output::print(&e.render().to_string()).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
        }
        Err(e) => {
            eprintln!("rl: {}", errors::clap_in_one_line(&e));
            return ExitCode::from(2);
        }
    };
    match select_isa().and_then(|()| dispatch(&cli, &Known { envs, algorithms })) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("rl: {}", errors::message(&error));
            if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Makes the kernels use the instruction set that the environment variable `RL_ISA` names, if it is set: for tests, as no result depends on it.
fn select_isa() -> anyhow::Result<()> {
    let Some(name) = std::env::var_os("RL_ISA") else { return Ok(()) };
    let isa: rl_kernels::Isa =
        name.to_string_lossy().parse().map_err(|e| errors::usage(format!("RL_ISA: {e}")))?;
    isa.select().map_err(|e| errors::usage(format!("RL_ISA: {e}")))
}

/// Says on stderr what is done with files, and ends the process before the operation whose number, from 1, the environment variable `RL_ABORT_AT` has.
#[cfg(feature = "failpoints")]
fn watch_failpoints() {
    let Some(at) = std::env::var("RL_ABORT_AT").ok().and_then(|at| at.parse::<u64>().ok()) else { return };
    rl_train::watch_failpoints(move |n, next| {
        eprintln!("failpoint {n}: {next}");
        if n == at {
            std::process::abort();
        }
    });
}

fn dispatch(cli: &Cli, known: &Known) -> anyhow::Result<ExitCode> {
    match &cli.command {
        Command::Train(args) => commands::train(args, known, cli.json),
        Command::Compare(args) => commands::compare(args, known, cli.json),
        Command::Eval(args) => commands::eval(args, known, cli.json),
        Command::Play(args) => commands::play(args, known, cli.json),
        Command::CheckEnv(args) => commands::check_env(args, known, cli.json),
        Command::Envs(args) => commands::envs(args, known, cli.json),
        Command::Presets => commands::presets(known, cli.json),
        Command::Settings(args) => commands::settings(args, known, cli.json),
        Command::ShowConfig(args) => commands::show_config(args, known, cli.json),
    }
}
