//! Places where a test may end the process: before every change that is made to files, and in the middle of every write.
//!
//! Without the feature `failpoints` nothing here does anything.

use std::fs::File;
use std::io::{self, Write};

#[cfg(feature = "failpoints")]
mod watched {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Who is told of a failpoint's number, from 1, and of what would be done next.
    type Watcher = Box<dyn Fn(u64, &str) + Send + Sync>;

    static PASSED: AtomicU64 = AtomicU64::new(0);
    static WATCHER: OnceLock<Watcher> = OnceLock::new();

    /// Calls a function at every failpoint that the process reaches, with its number, from 1, and what would be done next. Who is told may end the process.
    /// Only the first watcher of a process is.
    pub fn watch_failpoints(watcher: impl Fn(u64, &str) + Send + Sync + 'static) {
        // A second watcher is not one, as said.
        let _ = WATCHER.set(Box::new(watcher));
    }

    pub(crate) fn failpoint(next: &str) {
        if let Some(watcher) = WATCHER.get() {
            watcher(PASSED.fetch_add(1, Ordering::Relaxed) + 1, next);
        }
    }
}

#[cfg(feature = "failpoints")]
pub(crate) use watched::failpoint;
#[cfg(feature = "failpoints")]
pub use watched::watch_failpoints;

/// Says what would be done next.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn failpoint(_next: &str) {}

/// Writes everything; under test in two halves, so that the process can end between them.
pub(crate) fn write_all(file: &mut File, bytes: &[u8], what: &str) -> io::Result<()> {
    failpoint(what);
    let (first, second) = bytes.split_at(if cfg!(feature = "failpoints") { bytes.len() / 2 } else { 0 });
    file.write_all(first)?;
    failpoint("the second half of it");
    file.write_all(second)
}
