//! Where a run's files lie, and how they get there.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::TrainError;
use crate::failpoints::{self, failpoint};
use crate::sinks::is_event_file;

/// The directory of one run, `<out>/<env>/<name>/s<seed>`, where the name is the algorithm's with the run's label behind it (`ppo-wide`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

/// Keeps others from writing into a run's directory, until it is dropped or the process ends.
#[derive(Debug)]
#[must_use]
pub struct RunLock(
    #[expect(dead_code, reason = "what is locked is unlocked when it is dropped")] Option<fs::File>,
);

impl RunDir {
    /// Makes the directory; where it exists already, another one with a suffix (`s0-2`, `s0-3`, …), so that nothing is overwritten.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] when it cannot be made.
    pub fn create(out: &Path, env: &str, name: &str, seed: u64) -> Result<Self, TrainError> {
        let parent = RunDir::parent(out, env, name)?;
        for path in candidates(&parent, seed) {
            failpoint("make the run's directory");
            match fs::create_dir(&path) {
                Ok(()) => return Ok(RunDir { path }),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(TrainError::io("create the directory", &path)(e)),
            }
        }
        Err(TrainError::io("create a directory in", &parent)(ErrorKind::AlreadyExists.into()))
    }

    /// The directory that runs of this name are in, made if it is not there.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] when it cannot be made.
    pub fn parent(out: &Path, env: &str, name: &str) -> Result<PathBuf, TrainError> {
        let parent = out.join(as_name(env)).join(as_name(name));
        fs::create_dir_all(&parent).map_err(TrainError::io("create the directory", &parent))?;
        Ok(parent)
    }

    /// The directories that [`create`](Self::create) would go past: `s0`, `s0-2`, … as far as they exist.
    pub fn existing(out: &Path, env: &str, name: &str, seed: u64) -> Vec<Self> {
        let parent = out.join(as_name(env)).join(as_name(name));
        candidates(&parent, seed).take_while(|path| path.is_dir()).map(|path| RunDir { path }).collect()
    }

    /// Keeps others that ask from writing into it; `None` while somebody else does. Where the system gives no locks everybody gets one.
    pub fn lock(&self) -> Option<RunLock> {
        let Ok(dir) = fs::File::open(&self.path) else { return Some(RunLock(None)) };
        match dir.try_lock() {
            Ok(()) => Some(RunLock(Some(dir))),
            Err(fs::TryLockError::WouldBlock) => None,
            Err(fs::TryLockError::Error(_)) => Some(RunLock(None)),
        }
    }

    /// Removes what an earlier beginning of the same run left but its `config.toml`, which says what run it is; what runs do not leave stays.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] when that fails.
    pub fn clear(&self) -> Result<(), TrainError> {
        let failed = |path: &Path| TrainError::io("clear", path);
        for entry in fs::read_dir(&self.path).map_err(failed(&self.path))? {
            let path = entry.map_err(failed(&self.path))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            failpoint("clear the run's directory");
            let removed = match &*name {
                "checkpoints" => self.clear_checkpoints(),
                "progress.csv" | "summary.json" | "policy.json" | "policy.safetensors" => {
                    fs::remove_file(&path)
                }
                name if is_event_file(name) || name.starts_with("dump-step-") || is_temporary(name) => {
                    fs::remove_file(&path)
                }
                _ => Ok(()),
            };
            removed.map_err(failed(&path))?;
        }
        Ok(())
    }

    /// Removes checkpoints, the best policy, and the directories that are empty then.
    fn clear_checkpoints(&self) -> std::io::Result<()> {
        for dir in [self.best(), self.checkpoints()] {
            let entries = match fs::read_dir(&dir) {
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let is_ours = (name.starts_with("step-") && name.ends_with(".safetensors"))
                    || ["policy.safetensors", "policy.json"].contains(&&*name)
                    || is_temporary(&name);
                if is_ours && path.is_file() {
                    fs::remove_file(&path)?;
                }
            }
            match fs::remove_dir(&dir) {
                Err(e) if e.kind() != ErrorKind::DirectoryNotEmpty => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes sure that the logs are on disk as far as they are written, where that can be had.
    pub(crate) fn sync_logs(&self) {
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if (name == "progress.csv" || is_event_file(&name))
                && let Ok(log) = fs::File::options().append(true).open(entry.path())
            {
                failpoint("sync a log");
                // One that cannot be synced costs its last rows after a crash of the system, not the checkpoint.
                let _ = log.sync_data();
            }
        }
    }

    /// Removes files that were being written when the process ended: nobody reads them.
    pub(crate) fn remove_temporaries(&self) -> Result<(), TrainError> {
        for dir in [self.path.clone(), self.checkpoints(), self.best()] {
            let entries = match fs::read_dir(&dir) {
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                entries => entries.map_err(TrainError::io("read the directory", &dir))?,
            };
            for entry in entries {
                let path = entry.map_err(TrainError::io("read the directory", &dir))?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if is_temporary(&name) && path.is_file() {
                    failpoint("remove a temporary file");
                    fs::remove_file(&path).map_err(TrainError::io("remove", &path))?;
                }
            }
        }
        Ok(())
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where the latest policy is saved: the directory itself.
    pub fn latest(&self) -> PathBuf {
        self.path.clone()
    }

    /// Where checkpoints are.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// A directory that is there.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] where it is not.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        fs::read_dir(path).map_err(TrainError::io("open the directory", path))?;
        Ok(RunDir { path: path.to_owned() })
    }

    /// Where the policy of the best evaluation is saved.
    pub fn best(&self) -> PathBuf {
        self.path.join("checkpoints").join("best")
    }

    /// Removes a file from it, if it is there.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] when that fails.
    pub fn remove(&self, name: &str) -> Result<(), TrainError> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(TrainError::io("remove", &path)(e)),
            _ => sync_dir(&self.path),
        }
    }

    /// Writes a file into it, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] when that fails.
    pub fn write(&self, name: &str, contents: &str) -> Result<(), TrainError> {
        write_atomically(&self.file(name), contents.as_bytes())
    }
}

/// The places of a run in the order in which they are taken: `s7`, `s7-2`, `s7-3`, …
fn candidates(parent: &Path, seed: u64) -> impl Iterator<Item = PathBuf> {
    let parent = parent.to_owned();
    let first = parent.join(format!("s{seed}"));
    std::iter::once(first).chain((2..=u64::MAX).map(move |n| parent.join(format!("s{seed}-{n}"))))
}

/// A name as one component of a path: separators (as in `ALE/Pong-v5`) become `-`, options after a `?` a checksum of them.
fn as_name(name: &str) -> String {
    let name = match name.split_once('?') {
        // FNV-1a.
        Some((name, options)) => {
            let hash =
                options.bytes().fold(0x811c_9dc5, |h: u32, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
            format!("{name}-{hash:08x}")
        }
        None => name.to_owned(),
    };
    match name.replace(['/', '\\', ':'], "-") {
        dots if dots.chars().all(|c| c == '.') => format!("-{dots}"),
        name => name,
    }
}

/// Whether it is the name of a file that [`write_atomically`] was writing: `….PROCESS.NUMBER.tmp`.
fn is_temporary(name: &str) -> bool {
    let mut parts = name.rsplit('.');
    let is_number = |part: Option<&str>| part.is_some_and(|part| part.parse::<u64>().is_ok());
    parts.next() == Some("tmp")
        && is_number(parts.next())
        && is_number(parts.next())
        && parts.next().is_some()
}

/// Writes a file so that a reader sees the old contents or the new, never a part: a temporary file beside it, then a rename.
///
/// # Errors
///
/// [`TrainError::Io`] when that fails; the temporary file is removed.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), TrainError> {
    replace(path, contents).map_err(TrainError::io("write", path))
}

/// The same with the system's error.
pub(crate) fn replace(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    // Two threads may write the same file.
    static WRITES: AtomicU64 = AtomicU64::new(0);
    temporary.push(format!(".{}.{}.tmp", std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed)));
    let temporary = PathBuf::from(temporary);
    let write = || -> std::io::Result<()> {
        failpoint("make a temporary file");
        let mut file = fs::File::create(&temporary)?;
        failpoints::write_all(&mut file, contents, "write into a temporary file")?;
        failpoint("sync a temporary file");
        file.sync_all()?;
        failpoint("rename a temporary file");
        fs::rename(&temporary, path)?;
        // Without this a crash of the system could undo the renaming.
        path.parent().filter(|dir| !dir.as_os_str().is_empty()).map_or(Ok(()), sync)
    };
    write().inspect_err(|_| {
        // The error that matters is the first one.
        let _ = fs::remove_file(&temporary);
    })
}

/// Makes a directory where it is missing, with those above it.
pub(crate) fn make_dir(dir: &Path) -> Result<(), TrainError> {
    failpoint("make a directory");
    fs::create_dir_all(dir).map_err(TrainError::io("create the directory", dir))
}

/// Makes sure that the names in a directory are on disk.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), TrainError> {
    sync(dir).map_err(TrainError::io("sync", dir))
}

fn sync(dir: &Path) -> std::io::Result<()> {
    failpoint("sync a directory");
    if cfg!(unix) { fs::File::open(dir)?.sync_all() } else { Ok(()) }
}

/// Writes a file where there is none yet, whole or not at all.
///
/// # Errors
///
/// [`TrainError::Io`] when that fails, or when there is one already, which then stays as it was.
pub fn write_new(path: &Path, contents: &[u8]) -> Result<(), TrainError> {
    let mut file = fs::File::create_new(path).map_err(TrainError::io("create", path))?;
    let written = file.write_all(contents).and_then(|()| file.sync_all());
    written.map_err(|e| {
        // The error that matters is the first one.
        let _ = fs::remove_file(path);
        TrainError::io("write", path)(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_overwritten() {
        let out = tempfile::tempdir().unwrap();
        let names = [(); 3].map(|()| RunDir::create(out.path(), "CartPole-v1", "ppo", 7).unwrap().path);
        let names = names.map(|p| p.strip_prefix(out.path()).unwrap().to_str().unwrap().to_owned());
        assert_eq!(names, ["CartPole-v1/ppo/s7", "CartPole-v1/ppo/s7-2", "CartPole-v1/ppo/s7-3"]);
    }

    #[test]
    fn a_run_begins_again_where_it_was() {
        let out = tempfile::tempdir().unwrap();
        let existing = || RunDir::existing(out.path(), "CartPole-v1", "ppo-wide", 7);
        assert_eq!(existing(), []);
        let made = [(); 2].map(|()| RunDir::create(out.path(), "CartPole-v1", "ppo-wide", 7).unwrap());
        assert_eq!(existing(), made);
        let ours =
            ["summary.json", "events.out.tfevents.1.2.0", "policy.json.41.3.tmp", "dump-step-7.safetensors"];
        let ours_below =
            ["step-000000000512.safetensors", "step-1.safetensors.41.4.tmp", "best/policy.safetensors"];
        let others = ["config.toml", "events.out.tfevents.1.x.2.0", "notes", "notes.tmp", "v1.2.tmp"];
        for name in ours.iter().chain(&others) {
            made[0].write(name, "x").unwrap();
        }
        fs::create_dir_all(made[0].best()).unwrap();
        for name in ours_below {
            fs::write(made[0].checkpoints().join(name), "x").unwrap();
        }
        let names = || -> Vec<_> {
            let entries = fs::read_dir(made[0].path()).unwrap();
            let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        made[0].clear().unwrap();
        assert_eq!(names(), others);
        // What somebody keeps beside checkpoints stays, and what is being written goes.
        fs::create_dir_all(made[0].best()).unwrap();
        fs::write(made[0].checkpoints().join("backup.safetensors"), "x").unwrap();
        made[0].write("summary.json.7.0.tmp", "x").unwrap();
        made[0].remove_temporaries().unwrap();
        made[0].clear().unwrap();
        assert_eq!(names(), [&["checkpoints"], &others[..]].concat());
        assert!(made[0].checkpoints().join("backup.safetensors").exists() && !made[0].best().exists());
    }

    #[cfg(unix)]
    #[test]
    fn one_at_a_time_writes_into_a_directory() {
        let out = tempfile::tempdir().unwrap();
        let dir = RunDir::create(out.path(), "CartPole-v1", "ppo", 0).unwrap();
        let lock = dir.lock().unwrap();
        assert!(dir.lock().is_none());
        drop(lock);
        assert!(dir.lock().is_some());
    }

    #[test]
    fn a_name_is_one_component() {
        assert_eq!(as_name("ALE/Pong-v5"), "ALE-Pong-v5");
        assert_eq!(as_name(".."), "-..");
        let (one, other) = (as_name(r#"gym:A-v0?{"a":1}"#), as_name(r#"gym:A-v0?{"a":2}"#));
        assert!(one.starts_with("gym-A-v0-") && one.len() == 17 && one != other, "{one} {other}");
    }

    #[test]
    fn a_new_file_replaces_none() {
        let out = tempfile::tempdir().unwrap();
        let path = out.path().join("film.gif");
        write_new(&path, b"first").unwrap();
        assert!(write_new(&path, b"second").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"first");
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let out = tempfile::tempdir().unwrap();
        let file = out.path().join("file");
        write_atomically(&file, b"x").unwrap();
        let error = RunDir::create(&file, "CartPole-v1", "ppo", 0).unwrap_err().to_string();
        assert!(error.starts_with("cannot create the directory ") && error.contains("file"), "{error}");
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1);
    }
}
