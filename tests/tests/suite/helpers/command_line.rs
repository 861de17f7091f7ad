//! Running the command line in a directory of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A short run: four rollouts of 512 steps, in two shards each, and four evaluations.
pub(crate) const SHORT: &[&str] =
    &["--set", "n_steps=128", "--n-envs", "4", "--total-steps", "2048", "--eval-freq", "512"];

/// An empty directory to run commands in.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rl-under-test"));
        command.args(args).current_dir(self.path());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that must succeed, with `--json`.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--json"]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?} ended with {:?}: {stderr}", output.status.code());
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs `train` that must succeed, and gives its directory.
    #[track_caller]
    pub(crate) fn train(&self, algo: &str, env: &str, more: &[&str]) -> PathBuf {
        let document = self.json(&[&["train", algo, env, "--quiet"], more].concat());
        self.path().join(document["run_dir"].as_str().unwrap())
    }

    /// Asserts that a command fails with this code and one line, which it gives, and leaves nothing.
    #[track_caller]
    pub(crate) fn refuses(&self, code: i32, args: &[&str]) -> String {
        let before = files(self.path());
        let output = self.run(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
        assert_eq!(output.stdout, b"", "{args:?}");
        assert_eq!(files(self.path()), before, "{args:?}");
        stderr
    }
}

/// Every file and directory below a directory.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

/// `progress.csv` without its columns of time.
pub(crate) fn progress(run_dir: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(run_dir.join("progress.csv")).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let timeless = |column: &usize| !["time/fps", "time/time_elapsed"].contains(&rows[0][*column]);
    let columns: Vec<usize> = (0..rows[0].len()).filter(timeless).collect();
    assert_eq!(columns.len() + 2, rows[0].len());
    rows.iter().map(|row| columns.iter().map(|&c| row[c].to_owned()).collect()).collect()
}

/// Everything of a run that must not depend on the machine's mood.
pub(crate) fn result(run_dir: &Path) -> (Vec<Vec<String>>, Vec<u8>, Vec<u8>) {
    let policy = |place: &str| fs::read(run_dir.join(place).join("policy.safetensors")).unwrap();
    (progress(run_dir), policy(""), policy("checkpoints/best"))
}

/// What a program printed, which is text.
pub(crate) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}
