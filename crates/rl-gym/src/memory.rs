//! Memory that a worker sees too. All unsafe code of the crate is here.

use crate::system;

/// Bytes that are copied in and out, never borrowed: whoever shares them may write at any time.
pub(crate) enum Memory {
    /// Seen by the worker under a path.
    #[cfg(target_os = "linux")]
    Shared { map: memmap2::MmapRaw, path: String, _file: std::os::fd::OwnedFd },
    /// Sent through the pipe in both directions.
    Local(Vec<u8>),
}

impl Memory {
    /// Memory that a worker of the same user can open; `None` where the system has none.
    #[cfg(target_os = "linux")]
    pub(crate) fn shared(size: usize) -> Option<Self> {
        let (file, path) = system::anonymous_memory(size)?;
        let map = memmap2::MmapOptions::new().len(size).map_raw(&file).ok()?;
        Some(Memory::Shared { map, path, _file: file })
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn shared(_size: usize) -> Option<Self> {
        None
    }

    pub(crate) fn local(size: usize) -> Self {
        Memory::Local(vec![0; size])
    }

    /// Where a worker finds it, if it can.
    pub(crate) fn path(&self) -> Option<&str> {
        match self {
            #[cfg(target_os = "linux")]
            Memory::Shared { path, .. } => Some(path),
            Memory::Local(_) => None,
        }
    }

    /// Copies `bytes` to offset `at`.
    ///
    /// # Panics
    ///
    /// If they do not fit.
    pub(crate) fn write(&mut self, at: usize, bytes: &[u8]) {
        match self {
            #[cfg(target_os = "linux")]
            Memory::Shared { map, .. } => {
                assert!(
                    at.checked_add(bytes.len()).is_some_and(|end| end <= map.len()),
                    "outside of the memory"
                );
                // SAFETY: the mapping is valid for writes of `map.len()` bytes as long as `map` lives; the assertion keeps the copy within;
                // `bytes` is a borrow of ordinary memory, so it cannot overlap the mapping, to which no reference is ever made.
                unsafe {
                    std::ptr::copy_nonoverlapping(bytes.as_ptr(), map.as_mut_ptr().add(at), bytes.len())
                }
            }
            Memory::Local(local) => local[at..at + bytes.len()].copy_from_slice(bytes),
        }
    }

    /// Copies from offset `at` into `bytes`.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub(crate) fn read(&self, at: usize, bytes: &mut [u8]) {
        match self {
            #[cfg(target_os = "linux")]
            Memory::Shared { map, .. } => {
                assert!(
                    at.checked_add(bytes.len()).is_some_and(|end| end <= map.len()),
                    "outside of the memory"
                );
                // SAFETY: the mapping is valid for reads of `map.len()` bytes as long as `map` lives, for its file is sealed against
                // shrinking; the assertion keeps the copy within; any bytes are valid bytes, whatever the other process is writing; and
                // `bytes` is a unique borrow of ordinary memory, so it cannot overlap the mapping.
                unsafe {
                    std::ptr::copy_nonoverlapping(map.as_ptr().add(at), bytes.as_mut_ptr(), bytes.len())
                }
            }
            Memory::Local(local) => bytes.copy_from_slice(&local[at..at + bytes.len()]),
        }
    }

    /// The bytes that are sent through the pipe; none where they are shared.
    pub(crate) fn sent(&mut self) -> Option<&mut [u8]> {
        match self {
            #[cfg(target_os = "linux")]
            Memory::Shared { .. } => None,
            Memory::Local(local) => Some(local),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for mut memory in [Memory::shared(192), Some(Memory::local(192))].into_iter().flatten() {
            memory.write(64, &[1, 2, 3]);
            let mut read = [9; 5];
            memory.read(63, &mut read);
            assert_eq!(read, [0, 1, 2, 3, 0]);
            memory.write(189, &[7; 3]);
            assert!(std::panic::catch_unwind(move || memory.write(190, &[7; 3])).is_err());
        }
    }

    /// Another process, or this one, sees the same bytes under the path.
    #[cfg(target_os = "linux")]
    #[test]
    fn shared_memory_is_seen_under_its_path() {
        let mut memory = Memory::shared(64).unwrap();
        memory.write(3, b"seen");
        let bytes = std::fs::read(memory.path().unwrap()).unwrap();
        assert_eq!((bytes.len(), &bytes[3..7]), (64, &b"seen"[..]));
    }
}
