//! Runs of the `rl` command in directories of their own, and how they are ended.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

/// Longer than any run here takes by far.
const HUNG: Duration = Duration::from_secs(120);
/// Environment steps of a rollout: 8 environments, 4 shards.
const ROLLOUT: u64 = 512;

/// What is trained.
pub(crate) struct Case {
    pub(crate) algo: &'static str,
    pub(crate) env: &'static str,
    pub(crate) set: &'static [&'static str],
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} {}", self.algo, self.env, self.set.join(" "))
    }
}

/// A directory for one run, which is removed in the end.
pub(crate) struct Place<'a> {
    dir: TempDir,
    rl: &'a Path,
    case: &'a Case,
    updates: u64,
}

impl<'a> Place<'a> {
    /// An empty directory for a run of so many updates.
    pub(crate) fn new(rl: &'a Path, case: &'a Case, updates: u64) -> Result<Self> {
        Ok(Place { dir: tempfile::tempdir()?, rl, case, updates })
    }

    /// The same with a copy of everything that is there.
    pub(crate) fn copy(&self) -> Result<Self> {
        let place = Place::new(self.rl, self.case, self.updates)?;
        copy_all(self.dir.path(), place.dir.path())?;
        Ok(place)
    }

    /// Where the run's files are.
    pub(crate) fn run_dir(&self) -> PathBuf {
        self.dir.path().join("runs").join(self.case.env).join(self.case.algo).join("s7")
    }

    /// Moves what is there to a place where it stays, and gives its name.
    pub(crate) fn keep(&self, to: &Path) -> String {
        let kept = fs::remove_dir_all(to).or(Ok(())).and_then(|()| copy_all(self.dir.path(), to));
        kept.map_or_else(|error| format!("nothing ({error})"), |()| to.display().to_string())
    }

    /// Starts the run; it ends before the given change to files, or says them all for 0.
    pub(crate) fn start(&self, abort_at: Option<u64>) -> Result<Process> {
        // Evaluations and checkpoints are neither at the same steps nor never.
        let (total, eval, checkpoint) = (self.updates * ROLLOUT, 3 * ROLLOUT, 2 * ROLLOUT);
        let mut rl = self.command(abort_at);
        rl.args(["train", self.case.algo, self.case.env, "--seed", "7", "--preset", "sb3", "--n-envs", "8"])
            .args([
                "--total-steps",
                &total.to_string(),
                "--eval-freq",
                &eval.to_string(),
                "--quiet",
                "--threads",
                "2",
            ])
            .args([
                "--set",
                &format!("n_steps={}", ROLLOUT / 8),
                "--set",
                &format!("checkpoint_freq={checkpoint}"),
            ])
            .args(self.case.set.iter().flat_map(|set| ["--set", set]));
        self.spawn(rl, abort_at)
    }

    /// Lets the run go on; where it left not even its settings, there is no run, and it starts.
    pub(crate) fn resume(&self, abort_at: Option<u64>) -> Result<Process> {
        if !self.run_dir().join("config.toml").exists() {
            fs::remove_dir_all(self.dir.path().join("runs")).or_else(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })?;
            return self.start(abort_at);
        }
        let mut rl = self.command(abort_at);
        rl.args(["train", "--quiet", "--threads", "2", "--resume"]).arg(self.run_dir());
        self.spawn(rl, abort_at)
    }

    /// Lets the run go on to its end.
    pub(crate) fn go_on(&self) -> Result<()> {
        self.resume(None)?.must_end().map(|_| ())
    }

    fn command(&self, abort_at: Option<u64>) -> Command {
        let mut rl = Command::new(self.rl);
        rl.current_dir(self.dir.path()).env_remove("RL_ABORT_AT");
        if let Some(n) = abort_at {
            rl.env("RL_ABORT_AT", n.to_string());
        }
        rl
    }

    fn spawn(&self, mut rl: Command, abort_at: Option<u64>) -> Result<Process> {
        let stderr = self.dir.path().join("stderr");
        rl.stdout(Stdio::null()).stderr(File::create(&stderr)?);
        let child = rl.spawn().with_context(|| format!("starting {rl:?}"))?;
        Ok(Process { child, stderr, abort_at })
    }
}

/// A run that is going on.
pub(crate) struct Process {
    child: Child,
    stderr: PathBuf,
    abort_at: Option<u64>,
}

/// Who ended a run.
#[derive(PartialEq, Eq)]
pub(crate) enum Ended {
    ByItself,
    Killed,
}

/// A run that ended well.
pub(crate) struct Done {
    /// What it did with files, where it was asked to say so.
    pub(crate) failpoints: Vec<String>,
}

impl Process {
    /// Kills it after a while, unless it ended before.
    pub(crate) fn kill_after(&mut self, time: Duration) -> Result<Ended> {
        std::thread::sleep(time);
        if self.child.try_wait()?.is_some() {
            return Ok(Ended::ByItself);
        }
        self.child.kill()?;
        // It may have ended in between.
        Ok(if self.child.wait()?.code().is_some() { Ended::ByItself } else { Ended::Killed })
    }

    /// Waits for it to end, which it must do well.
    pub(crate) fn must_end(mut self) -> Result<Done> {
        let status = self.wait()?;
        let told = self.told();
        ensure!(status.success(), "a run ended with {status}: {told}");
        let failpoints = told.lines().filter_map(|line| line.strip_prefix("failpoint ")?.split_once(": "));
        Ok(Done { failpoints: failpoints.map(|(_, what)| what.to_owned()).collect() })
    }

    /// Waits for it to end where it was told to.
    pub(crate) fn must_abort(mut self) -> Result<()> {
        let status = self.wait()?;
        let at = self.abort_at.unwrap_or_default();
        ensure!(
            status.code().is_none(),
            "no failpoint {at} ended a run, it ended with {status}: {}",
            self.told()
        );
        Ok(())
    }

    fn wait(&mut self) -> Result<std::process::ExitStatus> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if begun.elapsed() > HUNG {
                self.child.kill()?;
                self.child.wait()?;
                bail!("a run did not end within {} s: {}", HUNG.as_secs(), self.told());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn told(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
