//! The workspace's own tasks: `cargo xtask ci`, `cargo xtask tidy`, `cargo xtask docs`, `cargo xtask bench`, `cargo xtask golden`,
//! `cargo xtask results`, `cargo xtask torture`, `cargo xtask fuzz` and `cargo xtask new`.
//!
//! Small and quick to compile on purpose: it knows cargo, git and the text of the sources, and of our crates the statistics alone.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a terminal")]

mod bench;
mod browser;
mod ci;
mod docs;
mod fuzz;
mod golden;
mod gymnasium;
mod metadata;
mod results;
mod template;
mod tidy;
mod torture;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  ci      everything that must hold before a change is accepted, cheapest first
  tidy    the rules on dependencies and sources alone
  docs    the commands of README.md and the pages below docs, run with small budgets (after a build in release)
  bench   measures the parts and whole training runs, as a table and target/bench.json
            --save    also writes benches/results.json, what --check compares with
            --check   names what has become more than 10 % slower, relative to the processor's peak
            --peers   measures Stable-Baselines3, sb3-contrib and rejax beside it (installs them)
  golden  the golden tests on PyTorch's numbers of other seeds, and how close all of them came
            --seeds N        how many (20)
            --first-seed S   from which on (100)
            --python PATH    a Python that has torch and numpy (python3)
  results what TRPO and PPO learn on the classic environments, as the pages of docs/results; goes on where it was interrupted
            --seeds N        of each algorithm, preset and environment (20)
            --first-seed N   from which on (0)
            --env ENV        one environment only
            --quick          five seeds of CartPole-v1, judged, without pages: what CI runs
  torture runs that are killed, or ended at any change they make to files, and go on: they must leave what they leave undisturbed
            --kills N        kills of each case (50)
            --short          2 kills and 5 changes of each case
            --seed N         of the moments of killing (0)
  fuzz    readers of files, fed with random changes of their corpora
            --minutes N      for each reader (5)
            --seed N         of the changes (1)
  new DIR a project of your own, with an environment to change, the whole command line and a test, that depends on this workspace";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args.as_slice() {
        ["ci"] => ci::run(),
        ["tidy"] => tidy::run(),
        ["docs"] => docs::run_with_gymnasium(),
        ["bench", flags @ ..] => match bench::Options::parse(flags) {
            Ok(options) => bench::run(&options),
            Err(what) => return misused(&what),
        },
        ["golden", flags @ ..] => match golden::Options::parse(flags) {
            Ok(options) => golden::run(&options),
            Err(what) => return misused(&what),
        },
        ["results", flags @ ..] => match results::Options::parse(flags) {
            Ok(options) => results::run(&options),
            Err(what) => return misused(&what),
        },
        ["fuzz", flags @ ..] => match fuzz::Options::parse(flags) {
            Ok(options) => fuzz::run(&options),
            Err(what) => return misused(&what),
        },
        ["torture", flags @ ..] => match torture::Options::parse(flags) {
            Ok(options) => torture::run(&options),
            Err(what) => return misused(&what),
        },
        ["new", dir] => template::new(dir),
        ["new"] => return misused("new needs the directory of the project to make: cargo xtask new DIR"),
        ["new", _, extra, ..] => return misused(&format!("unexpected argument `{extra}` of new")),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        [] => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
        ["ci" | "docs" | "tidy", extra, ..] => return misused(&format!("unexpected argument `{extra}`")),
        [unknown, ..] => {
            return misused(&format!(
                "unknown command `{unknown}`, expected ci, tidy, docs, bench, golden, results, torture, fuzz or new DIR"
            ));
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn misused(what: &str) -> ExitCode {
    eprintln!("xtask: {what}");
    ExitCode::from(2)
}
