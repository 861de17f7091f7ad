//! Reports in a real browser, where one can be had.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::ci::{VENV, execute, succeeds, virtual_environment};
use crate::metadata::Workspace;

/// Bounded, so that a new major version is a choice.
pub(crate) const PLAYWRIGHT: &str = "playwright>=1.45,<2";
/// How the check says that no browser starts.
const NO_BROWSER: i32 = 77;

/// Opens reports in headless Chromium, in a virtual environment kept under the target directory. Where Playwright or a browser cannot be had, one line
/// says that this is skipped.
///
/// # Errors
///
/// When a report is not as it should be.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let skipped = |why: &str| println!("skipped: reports in a browser ({why})");
    let python = match virtual_environment(&workspace.target.join(VENV)) {
        Ok(python) => python,
        Err(error) => {
            skipped(&format!("{error:#}"));
            return Ok(());
        }
    };
    if !succeeds(Command::new(&python).args(["-c", "import playwright"]))
        && execute(Command::new(&python).args(["-m", "pip", "install", "--quiet", PLAYWRIGHT])).is_err()
    {
        skipped("pip cannot install Playwright");
        return Ok(());
    }
    let rl = workspace.target.join("release").join(format!("rl{}", std::env::consts::EXE_SUFFIX));
    ensure!(rl.is_file(), "there is no {} although the workspace was built", rl.display());
    let script = workspace.root.join("tests").join("report_check.py");
    let run =
        || Command::new(&python).arg(&script).arg(&rl).status().context("cannot start the check of reports");
    let mut status = run()?;
    if status.code() == Some(NO_BROWSER) {
        // A browser of Playwright's own, if it can be fetched.
        let mut install = Command::new(&python);
        install.args(["-m", "playwright", "install", "chromium"]).stdout(Stdio::null()).stderr(Stdio::null());
        if !install.status().is_ok_and(|status| status.success()) {
            skipped("there is no Chromium, and Playwright cannot fetch one; CHROMIUM names another");
            return Ok(());
        }
        status = run()?;
    }
    if status.code() == Some(NO_BROWSER) {
        skipped("Chromium does not start");
        return Ok(());
    }
    ensure!(status.success(), "tests/report_check.py failed ({status})");
    Ok(())
}
