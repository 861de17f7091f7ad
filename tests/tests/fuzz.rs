//! Readers of whole files, fed with what nobody wrote: a checkpoint or policy as a file, the same with a checksum that is right, an event file, a name.
//! (Those of the command line are tested where they are: `rl-cli` and `rl-train`, tests called `fuzz_…`.) None panics, and none allocates beyond
//! what its file and a small network need.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use rl_env::{Registry, VecEnvState};
use rl_gym::GymName;
use rl_nn::{Archive, Builders, State, TrainedPolicy};
use rl_test_support::fuzz;
use rl_train::scalars_in;

/// Keeps the size of the largest single allocation.
struct Watching;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps this function's contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// The most that may be allocated at once: the parameters of a described network are counted before, and files here have 16 KiB.
const MOST: usize = 16 << 20;

/// Words of the descriptions in archives.
const WORDS: &[&str] = &[
    "kind",
    "checkpoint",
    "policy",
    "network",
    "distribution",
    "bounding",
    "mlp",
    "fork",
    "chain",
    "cnn",
    "identity",
    "layer_norm",
    "custom",
    "sizes",
    "activation",
    "tanh",
    "trunk",
    "heads",
    "parts",
    "free",
    "categorical",
    "diag_gaussian",
    "gsde",
    "multi_categorical",
    "bernoulli",
    "dim",
    "n",
    "owner",
    "version",
    "values",
    "arrays",
    "dtype",
    "F32",
    "F64",
    "U8",
    "U64",
    "shape",
    "data_offsets",
    "__metadata__",
    "checksum",
    "\\\"",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "null",
    "true",
    "1e400",
    "-1",
];

#[track_caller]
fn check_allocations() {
    let largest = LARGEST.swap(0, Ordering::Relaxed);
    assert!(largest <= MOST, "{largest} bytes allocated at once");
}

/// Whether it is an archive that holds a policy or a state.
fn read_archive(bytes: &[u8]) -> bool {
    let Ok(archive) = Archive::from_bytes(bytes) else { return false };
    let is_policy = TrainedPolicy::restore(&archive, &Builders::default()).is_ok();
    let parts = ["algorithm", "collector", "run", "sinks"];
    let states = parts.iter().filter(|name| State::load(&archive, name).is_ok()).count();
    assert!(archive.to_bytes().is_ok());
    is_policy || states > 0
}

#[test]
fn fuzz_archive() {
    fuzz("archive", WORDS, |bytes| {
        let understood = read_archive(bytes);
        check_allocations();
        understood
    });
}

/// The same with a checksum that is right, for what nobody can have written by accident.
#[test]
fn fuzz_sealed_archive() {
    let table: Vec<u32> =
        (0..256).map(|byte| (0..8).fold(byte, |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))).collect();
    let label = br#"\"checksum\":\""#;
    fuzz("archive", WORDS, |bytes| {
        let mut file = bytes.to_vec();
        // The length of the header may have changed with it.
        if file.len() > 8
            && let Some(end) = file.windows(3).position(|window| window == b"}} ")
        {
            let padding = file[end + 2..].iter().take_while(|byte| **byte == b' ').count();
            let header = (end + 2 - 8 + padding) as u64;
            file[..8].copy_from_slice(&header.to_le_bytes());
        }
        if let Some(at) = file.windows(label.len()).rposition(|window| window == label) {
            let digits = at + label.len()..at + label.len() + 8;
            if digits.end <= file.len() {
                file[digits.clone()].fill(b'0');
                let crc =
                    file.iter().fold(!0u32, |crc, byte| table[usize::from(crc as u8 ^ byte)] ^ (crc >> 8));
                file[digits].copy_from_slice(format!("{:08x}", !crc).as_bytes());
            }
        }
        let understood = read_archive(&file);
        check_allocations();
        understood
    });
}

#[test]
fn fuzz_event_file() {
    fuzz("events", &["train/std", "\u{a}", "\u{15}", "\u{2a}", "\u{0b}"], |bytes| {
        let understood = scalars_in(bytes).is_ok();
        check_allocations();
        understood
    });
}

#[test]
fn fuzz_gym_name() {
    let words =
        ["gym:", "gymvec:", "?", "{", "}", "\"kwargs\"", "\"wrappers\"", "[", "]", ":", "atari", ",", "null"];
    fuzz("gym-name", &words, |bytes| {
        let Ok(name) = String::from_utf8_lossy(bytes).parse::<GymName>() else {
            return false;
        };
        // What is a name can be written and read again.
        assert_eq!(name.to_string().parse::<GymName>().ok().as_ref(), Some(&name));
        true
    });
}

/// The saved state of environments, which is JSON within a checkpoint.
#[test]
fn fuzz_environments() {
    let specs: Vec<_> = Registry::builtin().iter().cloned().collect();
    let mut envs: Vec<_> = specs.iter().map(|spec| spec.make_vec(2).expect("they can be made")).collect();
    fuzz(
        "environments",
        &["owner", "words", "inner", "Terminated", "Truncated", "Continues", "[", "]", ","],
        |bytes| {
            let Ok(state) = serde_json::from_slice::<VecEnvState>(bytes) else { return false };
            envs.iter_mut().filter_map(|env| env.restore(&state).ok()).count() > 0
        },
    );
}
