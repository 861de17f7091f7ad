//! `rl tensorboard`: TensorBoard over the runs below a directory, where it is installed.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::args::TensorBoardArgs;
use crate::output::program;

pub(crate) fn tensorboard(args: &TensorBoardArgs) -> Result<ExitCode> {
    let dir = &args.dir;
    if !dir.is_dir() {
        bail!("{}: there is no such directory", dir.display());
    }
    let Some(mut command) = found(args.python.as_deref()) else {
        bail!(
            "TensorBoard is not installed: pip install tensorboard, or name a Python that has it with --python; then {} tensorboard {}",
            program(),
            dir.display()
        )
    };
    let status =
        command.arg("--logdir").arg(dir).args(&args.more).status().context("TensorBoard does not start")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The command that is TensorBoard: that of a Python, else the one on the path, else that of `python3`.
fn found(python: Option<&Path>) -> Option<Command> {
    let module = |python: &Path| {
        let mut command = Command::new(python);
        command.args(["-m", "tensorboard.main"]);
        command
    };
    let candidates: Vec<Command> = match python {
        Some(python) => vec![module(python)],
        None => vec![Command::new("tensorboard"), module(Path::new("python3"))],
    };
    let runs = |command: &Command| {
        let mut trial = Command::new(command.get_program());
        trial.args(command.get_args()).arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        trial.status().is_ok_and(|status| status.success())
    };
    candidates.into_iter().find(runs)
}
