//! `cargo xtask ci`: everything that must hold before a change is accepted, cheapest first.
//!
//! Everything but the task itself is built in release, so that heavy dependencies are compiled once.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::browser;
use crate::docs;
use crate::gymnasium;
use crate::metadata::{Workspace, cargo};
use crate::results;
use crate::template;
use crate::tidy;
use crate::torture;

/// The virtual environment of the steps that need Python, under the target directory.
pub(crate) const VENV: &str = "ci-venv";
/// Bounded, so that a new major version is a choice.
const TENSORBOARD: &str = "tensorboard>=2.16,<3";

/// Runs every step, and stops at the first that fails.
pub(crate) fn run() -> Result<()> {
    // Downloads take as long as compilers, and other parts of the machine. The scope waits for them, whatever fails meanwhile.
    thread::scope(|scope| steps(scope.spawn(python_packages)))
}

fn steps(packages: ScopedJoinHandle<'_, Result<()>>) -> Result<()> {
    let start = Instant::now();
    step("format", || cargo_step(&["fmt", "--all", "--check"]))?;
    step("tidy", tidy::run)?;
    step("dependencies", || dependencies(&Workspace::load()?))?;
    step("clippy", || {
        cargo_step(&["clippy", "--workspace", "--all-targets", "--release", "--", "-D", "warnings"])
    })?;
    step("build", || cargo_step(&["build", "--release", "--workspace", "--all-targets"]))?;
    let workspace = Workspace::load()?;
    let mut python = None;
    step("Gymnasium", || {
        // What could not be installed there is tried again, and told, by who needs it.
        let _ = packages.join();
        python = gymnasium::interpreter(&workspace)?;
        python.as_deref().map_or(Ok(()), |python| gymnasium::python_tests(&workspace, python))
    })?;
    step("tests", || {
        let arguments: &[&str] = if has_nextest() {
            &["nextest", "run", "--release", "--workspace"]
        } else {
            &["test", "--release", "--workspace", "--all-targets"]
        };
        let mut tests = Command::new(cargo());
        tests.args(arguments).envs(python.as_ref().map(|python| (gymnasium::VARIABLE, python)));
        execute(&mut tests)
    })?;
    for isa in other_instruction_sets(&workspace)? {
        let which = if isa == "portable" { PORTABLE_TESTS } else { "all()" };
        step(&format!("tests with {isa}"), || {
            let mut tests = Command::new(cargo());
            if has_nextest() {
                tests.args(["nextest", "run", "--release", "--workspace", "-E", which]);
            } else {
                // Without nextest's filters, the fingerprints alone.
                tests.args(["test", "--release", "--workspace", "--test", "suite", "runs_leave"]);
            }
            execute(tests.env("RL_ISA", isa))
        })?;
    }
    step("documentation tests", || cargo_step(&["test", "--doc", "--release", "--workspace"]))?;
    step("documentation", || {
        // In release too: it needs the dependencies as clippy left them.
        let mut doc = Command::new(cargo());
        doc.args(["doc", "--no-deps", "--workspace", "--release"]).env("RUSTDOCFLAGS", "-D warnings");
        execute(&mut doc)
    })?;
    let examples = workspace.packages.iter().find(|p| p.name == "examples");
    for name in &examples.context("the workspace has no package named examples")?.examples {
        step(&format!("example {name}"), || {
            // As built above: `cargo run -p examples` would resolve features for that package alone and build candle again.
            let program = format!("{name}{}", std::env::consts::EXE_SUFFIX);
            execute(&mut Command::new(workspace.target.join("release/examples").join(program)))
        })?;
    }
    step("commands of the documentation", || docs::run(&workspace, python.as_deref()))?;
    step("a project of one's own", || template::check(&workspace))?;
    step("PyTorch", || pytorch(&workspace))?;
    step("TensorBoard", || tensorboard(&workspace))?;
    step("reports in a browser", || browser::check(&workspace))?;
    step("learning results", || results::run(&results::Options::QUICK))?;
    step("torture", || torture::run(&torture::Options::SHORT))?;
    println!("all of it passed in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Installs what later steps need, in the virtual environment that they share.
fn python_packages() -> Result<()> {
    let python = virtual_environment(&Workspace::load()?.target.join(VENV))?;
    let wanted = gymnasium::packages().into_iter().chain([TENSORBOARD, browser::PLAYWRIGHT]);
    let mut install = Command::new(python);
    install.args(["-m", "pip", "install", "--quiet"]).args(wanted);
    ensure!(succeeds(&mut install), "pip cannot install all of it");
    Ok(())
}

/// Licences, bans and sources of what we depend on, as `deny.toml` has them; known vulnerabilities too where their database can be reached.
fn dependencies(workspace: &Workspace) -> Result<()> {
    if !succeeds(Command::new(cargo()).args(["deny", "--version"])) {
        println!("skipped: cargo-deny is not installed (cargo install cargo-deny --locked)");
        return Ok(());
    }
    let deny = |checks: &[&str]| {
        let mut deny = Command::new(cargo());
        deny.current_dir(&workspace.root).args(["deny", "--all-features", "check"]).args(checks);
        deny
    };
    if succeeds(Command::new(cargo()).current_dir(&workspace.root).args(["deny", "fetch", "db"])) {
        execute(deny(&["advisories"]).arg("--disable-fetch"))?;
    } else {
        println!("skipped: known vulnerabilities, whose database cannot be reached");
    }
    execute(&mut deny(&["licenses", "bans", "sources"]))
}

/// What is tested with the portable kernels, which are slow where a fused multiply-add is a function call: whole short runs of both
/// algorithms, golden numbers, and what the command line says. (Kernels are compared with every instruction set by their own tests.)
const PORTABLE_TESTS: &str = "binary(suite) \
     & test(/^(instruction_set|golden::(ppo|trpo|distributions))::|::runs_leave_the_committed_fingerprints$/)";

/// The instruction sets that this machine has beside the one it uses by itself, as the command line takes them.
fn other_instruction_sets(workspace: &Workspace) -> Result<Vec<&'static str>> {
    let rl = workspace.target.join("release").join(format!("rl{}", std::env::consts::EXE_SUFFIX));
    ensure!(rl.is_file(), "there is no {} although the workspace was built", rl.display());
    let has = |isa: &&'static str| succeeds(Command::new(&rl).arg("envs").env("RL_ISA", isa));
    let mut found: Vec<&str> = ["avx512", "avx2", "neon", "portable"].into_iter().filter(has).collect();
    ensure!(found.contains(&"portable"), "`RL_ISA=portable rl envs` fails");
    found.remove(0);
    Ok(found)
}

fn step(name: &str, run: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("==> {name}");
    let start = Instant::now();
    let result = run();
    let seconds = start.elapsed().as_secs_f64();
    match &result {
        Ok(()) => println!("==> {name}: passed in {seconds:.1} s"),
        Err(_) => println!("==> {name}: FAILED after {seconds:.1} s"),
    }
    result.with_context(|| format!("ci stopped at the step `{name}`"))
}

fn cargo_step(args: &[&str]) -> Result<()> {
    execute(Command::new(cargo()).args(args))
}

pub(crate) fn execute(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let status = command.status().with_context(|| format!("cannot start `{shown}`"))?;
    ensure!(status.success(), "`{shown}` failed ({status})");
    Ok(())
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn has_nextest() -> bool {
    succeeds(Command::new(cargo()).args(["nextest", "--version"]))
}

/// Reads what runs leave with TensorBoard's own reader, in a virtual environment kept under the target directory.
fn tensorboard(workspace: &Workspace) -> Result<()> {
    let python = virtual_environment(&workspace.target.join(VENV))?;
    if !succeeds(Command::new(&python).args(["-c", "import tensorboard"])) {
        execute(Command::new(&python).args(["-m", "pip", "install", "--quiet", TENSORBOARD]))
            .context("pip cannot install TensorBoard (no network?)")?;
    }
    let rl = workspace.target.join("release").join(format!("rl{}", std::env::consts::EXE_SUFFIX));
    ensure!(rl.is_file(), "there is no {} although the workspace was built", rl.display());
    let script = workspace.root.join("tests").join("tensorboard_check.py");
    execute(Command::new(python).arg(script).arg(rl))
}

/// The variable that names a Python with torch, numpy and safetensors.
const TORCH_PYTHON: &str = "RL_TORCH_PYTHON";

/// Reads saved policies with PyTorch where a Python has it, which is too large to be installed for this alone.
fn pytorch(workspace: &Workspace) -> Result<()> {
    let python = std::env::var_os(TORCH_PYTHON).unwrap_or_else(|| "python3".into());
    if !succeeds(Command::new(&python).args(["-c", "import torch, numpy, safetensors"])) {
        let python = python.to_string_lossy();
        println!(
            "skipped: saved policies in PyTorch ({python} has not all of torch, numpy and safetensors; {TORCH_PYTHON} names another Python)"
        );
        return Ok(());
    }
    let golden = workspace.root.join("tests").join("golden");
    execute(Command::new(python).arg(golden.join("load_policy.py")).arg(golden.join("policies")))
}

/// The interpreter of a virtual environment, which is made where it is missing.
pub(crate) fn virtual_environment(dir: &Path) -> Result<PathBuf> {
    let python = dir.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    if !succeeds(Command::new(&python).args(["-m", "pip", "--version"])) {
        if !succeeds(Command::new("python3").arg("--version")) {
            bail!("there is no python3, which this step needs");
        }
        execute(Command::new("python3").args(["-m", "venv", "--clear"]).arg(dir)).context(
            "python3 cannot make a virtual environment with pip (on Debian: apt install python3-venv)",
        )?;
    }
    Ok(python)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_names_itself_and_its_command() {
        let error = step("nonsense", || cargo_step(&["no-such-command-of-cargo"])).unwrap_err();
        let message = format!("{error:#}");
        assert!(message.starts_with("ci stopped at the step `nonsense`: `cargo"), "{message}");
        assert!(message.contains("no-such-command-of-cargo` failed"), "{message}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = execute(&mut Command::new("no-such-program-anywhere")).unwrap_err();
        assert_eq!(error.to_string(), "cannot start `no-such-program-anywhere`");
    }
}
