//! What the tests of the bridge share: an interpreter with Gymnasium, and a list of its processes.

#![allow(dead_code, clippy::print_stderr, reason = "a helper of tests; each file uses its part")]

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rl_gym::{GymName, Interpreter};

/// The interpreter that `RL_GYM_PYTHON` names. Without one the test is skipped, and says so: `cargo xtask ci` makes one.
pub(crate) fn interpreter() -> Option<Interpreter> {
    let python = std::env::var_os("RL_GYM_PYTHON");
    if python.is_none() {
        eprintln!("skipped: RL_GYM_PYTHON names no Python with Gymnasium");
    }
    python.map(Interpreter::new)
}

/// Whether the interpreter can make an environment; a skipped test says so.
pub(crate) fn can_make(interpreter: &Interpreter, id: &str) -> bool {
    can(interpreter, &format!("import gymnasium; gymnasium.make({id:?})"), &format!("make {id}"))
}

/// Whether the interpreter has some modules; a skipped test says so.
pub(crate) fn can_import(interpreter: &Interpreter, modules: &str) -> bool {
    can(interpreter, &format!("import {modules}"), &format!("import {modules}"))
}

fn can(interpreter: &Interpreter, program: &str, what: &str) -> bool {
    let ran = std::process::Command::new(&interpreter.python)
        .args(["-c", program])
        .stderr(std::process::Stdio::null())
        .status();
    let can = ran.is_ok_and(|status| status.success());
    if !can {
        eprintln!("skipped: the interpreter of RL_GYM_PYTHON cannot {what}");
    }
    can
}

pub(crate) fn name(text: &str) -> GymName {
    text.parse().unwrap()
}

/// `Faulty-v0` of `tests/python/faulty.py`; tests run in the package's directory.
pub(crate) fn faulty(fault: &str, at: u32) -> GymName {
    name(&format!(r#"gym:tests.python.faulty:Faulty-v0?{{"kwargs":{{"fault":"{fault}","at":{at}}}}}"#))
}

/// Only one test of a process looks at its workers at a time.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The workers that this process has started and that still run, or wait to be reaped.
#[cfg(target_os = "linux")]
pub(crate) fn workers() -> Vec<u32> {
    children_of(std::process::id())
}

/// All processes of the groups that these lead, themselves included.
#[cfg(target_os = "linux")]
pub(crate) fn groups_of(leaders: &[u32]) -> Vec<u32> {
    processes(|fields| fields[2].parse().is_ok_and(|group| leaders.contains(&group)))
}

#[cfg(target_os = "linux")]
fn children_of(parent: u32) -> Vec<u32> {
    processes(|fields| fields[1].parse() == Ok(parent))
}

/// The processes whose state, parent, group and so on fulfil a condition.
#[cfg(target_os = "linux")]
fn processes(wanted: impl Fn(&[&str]) -> bool) -> Vec<u32> {
    let pids = std::fs::read_dir(Path::new("/proc")).unwrap().filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // After the name in parentheses: the state, then the parent.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        wanted(&fields).then_some(pid)
    });
    pids.collect()
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
