//! Damaged, foreign and newer files in the place of a checkpoint and of a policy: each is refused with its name and its fault.

#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::helpers::small_run::{finished, newest, only, trainer};
use rand::Rng;
use rl_env::EnvRng;
use rl_env::rng::stream;
use rl_nn::Archive;
use rl_train::{Policy, RunDir};

const CORRUPTIONS: u64 = 1000;

/// What a file became, and how.
struct Corrupted {
    how: &'static str,
    bytes: Vec<u8>,
}

/// Damages a file in one of many ways; never leaves it as it was.
fn corrupted(file: &[u8], foreign: &[Vec<u8>], rng: &mut EnvRng) -> Corrupted {
    let mut bytes = file.to_vec();
    let n = bytes.len();
    let (mut from, mut to) = (rng.random_range(0..n), rng.random_range(0..n));
    if from > to {
        (from, to) = (to, from);
    }
    to += 1;
    let how = match rng.random_range(0..10) {
        0 | 1 => {
            bytes[from] ^= 1 << rng.random_range(0..8);
            "a bit flipped"
        }
        2 => {
            for _ in 0..rng.random_range(2..20) {
                bytes[rng.random_range(0..n)] ^= 1 << rng.random_range(0..8);
            }
            "many bits flipped"
        }
        3 => {
            bytes.truncate(from);
            "the end cut off"
        }
        4 => {
            bytes.drain(from..to);
            "a block lost"
        }
        5 => {
            let block = rng.random_range(1..=n / 4);
            let (a, b) = (rng.random_range(0..n / 2 - block), rng.random_range(n / 2..n - block));
            let (front, back) = bytes.split_at_mut(b);
            front[a..a + block].swap_with_slice(&mut back[..block]);
            "two blocks swapped"
        }
        6 => {
            bytes[from..to].fill(0);
            "a block of zeros"
        }
        7 => {
            bytes[from..to].fill_with(|| rng.random());
            "a block of noise"
        }
        8 => {
            let more = (0..rng.random_range(1..64)).map(|_| rng.random()).collect::<Vec<u8>>();
            bytes.splice(from..from, more);
            "bytes inserted"
        }
        _ => {
            bytes = foreign[rng.random_range(0..foreign.len())].clone();
            "another file"
        }
    };
    if bytes == file {
        bytes[from] ^= 1;
    }
    Corrupted { how, bytes }
}

/// The same archive in a later form, with a checksum that is right.
fn newer(file: &[u8]) -> Vec<u8> {
    let mut archive = Archive::from_bytes(file).unwrap();
    archive.about.insert("version".to_owned(), 2.into());
    archive.to_bytes().unwrap()
}

/// Every file that a run leaves, and some that it does not.
fn foreign_files(dir: &RunDir) -> Vec<Vec<u8>> {
    let events = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let events = events.into_iter().find(|path| path.to_string_lossy().contains("tfevents")).unwrap();
    let mut files = vec![
        fs::read(dir.file("progress.csv")).unwrap(),
        fs::read(dir.file("summary.json")).unwrap(),
        fs::read(events).unwrap(),
        Vec::new(),
        b"\x89PNG\r\n\x1a\n".to_vec(),
        vec![0xff; 4096],
    ];
    // A safetensors file of somebody else's, and one that promises a header without end.
    let header = br#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    files.push([&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat());
    files.push([&u64::MAX.to_le_bytes()[..], header].concat());
    files
}

/// Writes every corruption to the path; `load` must refuse each with the path and a reason.
fn each_is_refused(path: &Path, foreign: &[Vec<u8>], load: impl Fn() -> Result<(), String>) {
    let whole = fs::read(path).unwrap();
    load().expect("the file as it is can be loaded");
    for n in 0..CORRUPTIONS {
        let mut rng = stream(11, "corruption", n);
        let Corrupted { how, bytes } = corrupted(&whole, foreign, &mut rng);
        let newer = (n % 50 == 0).then(|| Corrupted { how: "a newer version", bytes: newer(&whole) });
        for Corrupted { how, bytes } in [Some(Corrupted { how, bytes }), newer].into_iter().flatten() {
            fs::write(path, &bytes).unwrap();
            let loaded = catch_unwind(AssertUnwindSafe(&load));
            let refused = loaded.unwrap_or_else(|_| panic!("corruption {n}, {how}: a panic"));
            let message = refused.expect_err(&format!("corruption {n}, {how}: it was loaded"));
            let fault = message.strip_prefix(&*path.display().to_string());
            let fault = fault.and_then(|fault| fault.strip_prefix(": ")).unwrap_or_default();
            assert!(fault.len() > 10, "corruption {n}, {how}: {message}");
            assert!(how != "a newer version" || fault.contains("version 2"), "{message}");
        }
    }
    fs::write(path, whole).unwrap();
    load().expect("the file as it was can be loaded");
}

#[test]
fn no_damaged_policy_is_loaded() {
    let out = tempfile::tempdir().unwrap();
    let dir = finished(out.path(), "CartPole-v1", 2);
    let mut foreign = foreign_files(&dir);
    foreign.push(fs::read(newest(&dir)).unwrap());
    let path = dir.file("policy.safetensors");
    each_is_refused(&path, &foreign, || Policy::load(dir.path()).map(drop).map_err(|e| e.to_string()));
}

#[test]
fn no_damaged_checkpoint_is_loaded() {
    let out = tempfile::tempdir().unwrap();
    let dir = finished(out.path(), "CartPole-v1", 2);
    let mut foreign = foreign_files(&dir);
    foreign.push(fs::read(dir.file("policy.safetensors")).unwrap());
    // One of another environment, whose checksum is right.
    foreign.push(fs::read(newest(&finished(out.path(), "Nim-v0", 2))).unwrap());
    let path = only(&dir);
    // Without sinks, whose part of a checkpoint is read last.
    let resume = || trainer("CartPole-v1", 2, &dir).resumed_from(&dir).map(drop).map_err(|e| e.to_string());
    let logs = fs::read_dir(dir.path()).unwrap().count();
    let mut archive = Archive::from_bytes(&fs::read(&path).unwrap()).unwrap();
    let sinks = archive.about.get_mut("sinks").unwrap();
    sinks["parts"] = serde_json::json!([]);
    fs::write(&path, archive.to_bytes().unwrap()).unwrap();
    each_is_refused(&path, &foreign, resume);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), logs);
}
