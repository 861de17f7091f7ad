//! A Python with Gymnasium for the tests of the bridge, where one can be had.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::ci::{VENV, execute, succeeds, virtual_environment};
use crate::metadata::Workspace;

/// How tests are told of the interpreter; without it they skip what needs one, and say so.
pub(crate) const VARIABLE: &str = "RL_GYM_PYTHON";

/// What must be there, and how pip calls it. Bounded, so that a new major version is a choice.
const NEEDED: [(&str, &[&str]); 1] =
    [("import gymnasium, numpy, pytest", &["gymnasium>=1.0,<2", "numpy", "pytest>=8,<10"])];
/// What is tested where it installs.
const WELCOME: [(&str, &[&str]); 3] = [
    ("import Box2D", &["gymnasium[box2d]>=1.0,<2"]),
    ("import mujoco, gymnasium; gymnasium.make('Hopper-v5')", &["gymnasium[mujoco]>=1.0,<2", "mujoco<4"]),
    ("import ale_py, cv2", &["ale-py>=0.10,<1", "opencv-python-headless"]),
];

/// All of it, as pip calls it.
pub(crate) fn packages() -> Vec<&'static str> {
    NEEDED.iter().chain(&WELCOME).flat_map(|(_, packages)| packages.iter().copied()).collect()
}

/// The interpreter that `RL_GYM_PYTHON` names, else one in a virtual environment under the target directory. Where there is no Python, or
/// Gymnasium cannot be installed, one line says that its tests are skipped.
///
/// # Errors
///
/// None of its own: what is missing is skipped.
pub(crate) fn interpreter(workspace: &Workspace) -> Result<Option<PathBuf>> {
    if let Some(python) = std::env::var_os(VARIABLE) {
        return Ok(Some(python.into()));
    }
    let python = match virtual_environment(&workspace.target.join(VENV)) {
        Ok(python) => python,
        Err(error) => {
            println!("skipped: the tests of Gymnasium's environments ({error:#})");
            return Ok(None);
        }
    };
    for (test, packages) in NEEDED {
        if !has(&python, test, packages) {
            println!(
                "skipped: the tests of Gymnasium's environments (pip cannot install {})",
                packages.join(", ")
            );
            return Ok(None);
        }
    }
    for (test, packages) in WELCOME {
        if !has(&python, test, packages) {
            println!("skipped: tests that need {} (pip cannot install it)", packages[0]);
        }
    }
    Ok(Some(python))
}

/// Whether a line of Python runs, if need be after an installation.
fn has(python: &Path, test: &str, packages: &[&str]) -> bool {
    let runs = || succeeds(Command::new(python).args(["-c", test]));
    runs()
        || (succeeds(Command::new(python).args(["-m", "pip", "install", "--quiet"]).args(packages)) && runs())
}

/// The tests of the side that Python runs.
///
/// # Errors
///
/// When one fails.
pub(crate) fn python_tests(workspace: &Workspace, python: &Path) -> Result<()> {
    let place = workspace.root.join("crates").join("rl-gym").join("python");
    execute(
        Command::new(python).args(["-m", "pytest", "--quiet", "-p", "no:cacheprovider"]).current_dir(place),
    )
}
