//! Files that grow at their end.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::SinkError;
use crate::failpoints::{failpoint, write_all};

/// A file that a run's log goes to.
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
    /// Whether it was made here, and not gone on with.
    is_new: bool,
}

impl LogFile {
    /// Makes the file.
    ///
    /// # Errors
    ///
    /// [`SinkError::Io`] when it exists already or cannot be made.
    pub(crate) fn create(path: &Path) -> Result<Self, SinkError> {
        failpoint("make a log");
        Ok(LogFile { is_new: true, ..LogFile::opened(path, File::create_new(path))? })
    }

    /// Opens a file that is there, to go on at its end.
    ///
    /// # Errors
    ///
    /// [`SinkError::Io`] when it cannot be opened.
    pub(crate) fn append(path: &Path) -> Result<Self, SinkError> {
        LogFile::opened(path, File::options().append(true).open(path))
    }

    fn opened(path: &Path, file: io::Result<File>) -> Result<Self, SinkError> {
        match file {
            Ok(file) => Ok(LogFile { path: path.to_owned(), file, is_new: false }),
            Err(source) => Err(SinkError::Io { path: path.to_owned(), source }),
        }
    }

    /// The same file once more.
    ///
    /// # Errors
    ///
    /// [`SinkError::Io`] when the system allows no more open files.
    pub(crate) fn again(&self) -> Result<Self, SinkError> {
        Ok(LogFile { is_new: self.is_new, ..LogFile::opened(&self.path, self.file.try_clone())? })
    }

    /// Whether it was made here: it holds nothing of an earlier part of the run.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its bytes so far.
    ///
    /// # Errors
    ///
    /// [`SinkError::Log`] where somebody removed it: what is written into it is lost, although the system reports no error.
    pub(crate) fn len(&self) -> Result<u64, SinkError> {
        let about = self.file.metadata().map_err(self.io())?;
        if is_removed(&about) {
            return Err(self.differs("it was removed while the run went on".to_owned()));
        }
        Ok(about.len())
    }

    /// Makes sure that it is on disk.
    ///
    /// # Errors
    ///
    /// [`SinkError::Io`] when that fails.
    pub(crate) fn sync(&self) -> Result<(), SinkError> {
        failpoint("sync a log");
        self.file.sync_data().map_err(self.io())
    }

    /// Refuses one that is shorter than it once was.
    ///
    /// # Errors
    ///
    /// [`SinkError::Log`].
    pub(crate) fn has(&self, length: u64) -> Result<(), SinkError> {
        let found = self.len()?;
        if found >= length {
            return Ok(());
        }
        Err(self.differs(format!("it has {found} bytes, and had {length} when the checkpoint was written")))
    }

    /// Has other contents from now on. Who reads it, or finds it after the process or the system broke down, sees the old or the new.
    ///
    /// # Errors
    ///
    /// [`SinkError::Io`] when that fails; it is then as before, unless it can no longer be opened.
    pub(crate) fn replace(&mut self, contents: &[u8]) -> Result<(), SinkError> {
        // One that was removed would come back with what was written before.
        self.len()?;
        crate::files::replace(&self.path, contents).map_err(self.io())?;
        *self = LogFile { is_new: self.is_new, ..LogFile::append(&self.path)? };
        Ok(())
    }

    /// Cuts it back to a length that it once had.
    ///
    /// # Errors
    ///
    /// [`SinkError::Log`] where it is shorter, [`SinkError::Io`] when that fails.
    pub(crate) fn cut(&self, length: u64) -> Result<(), SinkError> {
        self.has(length)?;
        failpoint("cut a log");
        self.file.set_len(length).map_err(self.io())?;
        self.sync()
    }

    /// The error of a log that is not what it should be.
    pub(crate) fn differs(&self, reason: String) -> SinkError {
        SinkError::Log { path: self.path.clone(), reason }
    }

    /// An error with the path.
    pub(crate) fn io(&self) -> impl Fn(io::Error) -> SinkError + use<> {
        let path = self.path.clone();
        move |source| SinkError::Io { path: path.clone(), source }
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if cfg!(feature = "failpoints") {
            return write_all(&mut self.file, bytes, "write into a log").map(|()| bytes.len());
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(unix)]
fn is_removed(about: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    about.nlink() == 0
}

/// Elsewhere a file that is open cannot be removed.
#[cfg(not(unix))]
fn is_removed(_about: &std::fs::Metadata) -> bool {
    false
}
