//! What differs between systems: groups of processes, waiting with a limit, anonymous memory.

use std::process::{Child, ChildStdout, Command};
use std::time::Instant;

/// Puts a child into a process group of its own, so that Ctrl-C in a terminal does not reach it before this process has saved its work.
pub(crate) fn in_own_group(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(not(unix))]
    let _ = command;
}

/// Ends a child and the processes it started.
pub(crate) fn kill_group(child: &mut Child) {
    #[cfg(unix)]
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        // It may be gone already, and then there is nothing to do.
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
}

/// Whether a child has ended; it is not waited for yet, so that its number stays its own.
#[cfg(unix)]
pub(crate) fn has_ended(child: &mut Child) -> bool {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    // Where it cannot be asked for, it is there no more.
    pid.is_none_or(|pid| waitid(WaitId::Pid(pid), options).map_or(true, |status| status.is_some()))
}

#[cfg(not(unix))]
pub(crate) fn has_ended(child: &mut Child) -> bool {
    child.try_wait().map_or(true, |status| status.is_some())
}

/// Waits until there is something to read, or the other side is gone; false when the time is over.
#[cfg(unix)]
pub(crate) fn wait_readable(pipe: &ChildStdout, deadline: Instant) -> std::io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;

    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(i32::MAX.into()),
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&timeout)) {
            Ok(0) if Instant::now() >= deadline => return Ok(false),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(e) => return Err(e.into()),
        }
    }
}

/// There is no limit to the waiting on this system.
#[cfg(not(unix))]
pub(crate) fn wait_readable(_: &ChildStdout, _: Instant) -> std::io::Result<bool> {
    Ok(true)
}

/// Memory without a file, of a fixed size, and the path under which a child of this process finds it.
#[cfg(target_os = "linux")]
pub(crate) fn anonymous_memory(size: usize) -> Option<(std::os::fd::OwnedFd, String)> {
    use std::os::fd::AsRawFd;

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

    let memory = memfd_create("rl-gym", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).ok()?;
    ftruncate(&memory, size as u64).ok()?;
    fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL).ok()?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), memory.as_raw_fd());
    Some((memory, path))
}
