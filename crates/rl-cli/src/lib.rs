//! The `rl` command line as a function of environments and algorithms.
//!
//! A program of your own gets all of it, `train`, `compare` and the rest, with its environments and algorithms among the others: see [`App`].
//!
//! # Invariant
//!
//! The only crate that parses arguments and chooses where output goes. Parsing has no effect: arguments become a
//! `RunConfig`, resolved and checked as a whole, before a directory is made or a thread started.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "talking to people is this crate's purpose")]

mod app;
mod args;
mod commands;
mod config_file;
mod environments;
mod errors;
mod listeners;
mod misread;
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
mod warm_start;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use rl_algo::{AlgorithmRegistry, FeatureNetwork};
use rl_env::Registry;
use rl_nn::Builders;

pub use crate::app::App;
use crate::args::{Cli, Command};
use crate::errors::Usage;
use crate::listeners::Listeners;
pub use crate::listeners::RunContext;
use crate::output::program;
use crate::presets::Presets;

/// What is known by name.
pub(crate) struct Known {
    pub(crate) envs: Registry,
    pub(crate) algorithms: AlgorithmRegistry,
    /// What makes networks and distributions of a user's own.
    pub(crate) builders: Builders,
    pub(crate) presets: Presets,
    /// Networks that the setting `features` may name.
    pub(crate) networks: Vec<FeatureNetwork>,
    /// What hears of every run.
    pub(crate) listeners: Listeners,
}

/// The algorithms of this workspace: `a2c`, `npg`, `ppo`, `ppo-kl` and `trpo`.
pub fn builtin_algorithms() -> AlgorithmRegistry {
    let mut algorithms = AlgorithmRegistry::new();
    let of_ppo = [rl_ppo::a2c_spec(), rl_ppo::spec(), rl_ppo::kl_penalty_spec()];
    for spec in of_ppo.into_iter().chain([rl_trpo::spec(), rl_trpo::npg_spec()]) {
        let registered = algorithms.register(spec);
        debug_assert!(registered.is_ok(), "the built-in names differ");
    }
    algorithms
}

/// Runs the command line of the process with these environments and algorithms: an [`App`] without anything else of its own.
pub fn main_with(envs: Registry, algorithms: AlgorithmRegistry) -> ExitCode {
    App::new().environments(envs).algorithms(algorithms).main()
}

/// The same for a command line of one's own, which begins with the program's name.
pub fn main_with_args(
    args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    envs: Registry,
    algorithms: AlgorithmRegistry,
) -> ExitCode {
    App::new().environments(envs).algorithms(algorithms).main_with_args(args)
}

/// Runs a command line as the program of this name, unless its making had faults.
fn run_command_line(
    args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    name: &str,
    known: &Known,
    faults: &[String],
) -> ExitCode {
    output::set_program(name);
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    output::set_command(args.get(1..).unwrap_or_default());
    if !faults.is_empty() {
        faults.iter().for_each(|fault| eprintln!("{}: {fault}", program()));
        return ExitCode::FAILURE;
    }
    #[cfg(feature = "failpoints")]
    watch_failpoints();
    rl_env::note_panics();
    let cli = match Cli::parse_as(program(), args.clone()) {
        Ok(cli) => cli,
        Err(e) if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return output::print(&e.render().to_string()).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
        }
        Err(e) => {
            eprintln!("{}: {}", program(), misread::told(&e, &args, &known.algorithms));
            return ExitCode::from(2);
        }
    };
    match errors::contained(|| select_isa().and_then(|()| dispatch(&cli, known))) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{}: {}", program(), errors::message(&error));
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
        Command::Runs(args) => commands::runs(args, cli.json),
        Command::Inspect(args) => commands::inspect(args, known, cli.json),
        Command::Tensorboard(args) => commands::tensorboard(args),
        Command::Report(args) => commands::report(args, cli.json),
        Command::Diff(args) => commands::diff(args, cli.json),
        Command::Play(args) => commands::play(args, known, cli.json),
        Command::CheckEnv(args) => commands::check_env(args, known, cli.json),
        Command::Envs(args) => commands::envs(args, known, cli.json),
        Command::Presets => commands::presets(known, cli.json),
        Command::Settings(args) => commands::settings(args, known, cli.json),
        Command::ShowConfig(args) => commands::show_config(args, known, cli.json),
        Command::Completions(args) => commands::completions(args, cli.json),
        Command::Man(args) => commands::man(args, cli.json),
    }
}
