//! Where a run's files lie, and how they get there.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::TrainError;

/// The directory of one run, `<out>/<env>/<algo>/s<seed>`; made for it, so nothing is ever overwritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Makes the directory; where it exists already, another one with a suffix (`s0-2`, `s0-3`, …).
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] when it cannot be made.
    pub fn create(out: &Path, env: &str, algo: &str, seed: u64) -> Result<Self, TrainError> {
        let parent = out.join(as_name(env)).join(as_name(algo));
        fs::create_dir_all(&parent).map_err(TrainError::io("create the directory", &parent))?;
        let first = parent.join(format!("s{seed}"));
        let others = (2..=u64::MAX).map(|n| parent.join(format!("s{seed}-{n}")));
        for path in std::iter::once(first).chain(others) {
            match fs::create_dir(&path) {
                Ok(()) => return Ok(RunDir { path }),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(TrainError::io("create the directory", &path)(e)),
            }
        }
        Err(TrainError::io("create a directory in", &parent)(ErrorKind::AlreadyExists.into()))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Removes the directory if nothing was written into it, as when its run never began.
    pub fn discard_if_empty(self) {
        // It fails where there is a file in it, and then it should.
        let _ = fs::remove_dir(&self.path);
    }

    /// Where the latest policy is saved: the directory itself.
    pub fn latest(&self) -> PathBuf {
        self.path.clone()
    }

    /// Where the policy of the best evaluation is saved.
    pub fn best(&self) -> PathBuf {
        self.path.join("checkpoints").join("best")
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

/// Writes a file so that a reader sees the old contents or the new, never a part: a temporary file beside it, then a rename.
///
/// # Errors
///
/// [`TrainError::Io`] when that fails; the temporary file is removed.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), TrainError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create(&temporary)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|e| {
        // The error that matters is the first one.
        let _ = fs::remove_file(&temporary);
        TrainError::io("write", path)(e)
    })
}

/// Writes a file where there is none yet, whole or not at all.
///
/// # Errors
///
/// [`TrainError::Io`] when that fails, or when there is one already, which then stays as it was.
pub fn write_new(path: &Path, contents: &[u8]) -> Result<(), TrainError> {
    let mut file = fs::File::create_new(path).map_err(TrainError::io("create", path))?;
    file.write_all(contents).map_err(|e| {
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
