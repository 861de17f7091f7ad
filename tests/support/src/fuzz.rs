//! Readers fed with files that nobody wrote.

use std::fmt::Write;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The environment variable that says for how many seconds every reader is fed; without it the corpus is read, and a few thousand files made of it.
pub const RL_FUZZ_SECONDS: &str = "RL_FUZZ_SECONDS";
/// The environment variable with the seed of what is made.
pub const RL_FUZZ_SEED: &str = "RL_FUZZ_SEED";

/// Files made where nobody says for how long.
const EXECUTIONS: u64 = 3000;
/// The longest file that is made.
const LONGEST: usize = 1 << 14;
/// Numbers at which readers break.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1e308",
    "1e-320",
    "NaN",
    "inf",
    "18446744073709551615",
    "9223372036854775808",
    "4294967296",
    "00",
    "",
];

/// Gives a reader every file in `tests/corpus/<name>`, and then what becomes of them by random changes: bits, bytes, blocks, numbers, words of the
/// dictionary, and pieces of other files. The reader must come back, and say whether it understood the file.
///
/// Nothing guides the changes, which is why the dictionary matters: it has the words that the format is made of.
///
/// # Panics
///
/// With the reader, after the file at which it did was printed as a Rust literal; without a corpus; and when no file was understood.
#[expect(clippy::print_stderr, reason = "what a test says is read by who runs it")]
pub fn fuzz(name: &str, dictionary: &[&str], mut read: impl FnMut(&[u8]) -> bool) {
    let corpus = corpus(name);
    let mut feed = |file: &[u8]| {
        let understood = catch_unwind(AssertUnwindSafe(|| read(file))).unwrap_or_else(|panic| {
            eprintln!("the reader of {name} panics at b\"{}\"", file.escape_ascii());
            resume_unwind(panic)
        });
        u64::from(understood)
    };
    let of_corpus: u64 = corpus.iter().map(|file| feed(file)).sum();
    assert!(of_corpus > 0, "the reader of {name} understands no file of its corpus");
    let seconds = number(RL_FUZZ_SECONDS).map(Duration::from_secs);
    let mut rng = Rng(number(RL_FUZZ_SEED).unwrap_or(0));
    let begun = Instant::now();
    let (mut executions, mut understood) = (0u64, 0u64);
    let goes_on = |executions| seconds.map_or(executions < EXECUTIONS, |seconds| begun.elapsed() < seconds);
    while goes_on(executions) {
        for _ in 0..100 {
            understood += feed(&changed(&corpus, dictionary, &mut rng));
            executions += 1;
        }
    }
    if seconds.is_some() {
        let mut line = String::new();
        // On a line of its own, where a harness has begun one. Writing to a string cannot fail.
        let _ = write!(
            line,
            "\nfuzz {name}: {executions} files made of {}, {understood} understood",
            corpus.len()
        );
        eprintln!("{line}, in {:.0} s", begun.elapsed().as_secs_f64());
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|value| value.parse().unwrap_or_else(|_| panic!("{variable}={value} is no number")))
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(name);
    let entries = fs::read_dir(&dir).unwrap_or_else(|e| panic!("no corpus in {}: {e}", dir.display()));
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no corpus in {}", dir.display());
    let read = |path: &PathBuf| fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    paths.iter().map(read).collect()
}

/// A file of the corpus after a few changes.
fn changed(corpus: &[Vec<u8>], dictionary: &[&str], rng: &mut Rng) -> Vec<u8> {
    let mut file = corpus[rng.below(corpus.len())].clone();
    for _ in 0..=rng.below(6) {
        let at = rng.below(file.len() + 1);
        let longest = 1 << rng.below(12);
        let until = (at + 1 + rng.below(longest)).min(file.len());
        match rng.below(10) {
            0 if at < file.len() => file[at] ^= 1 << rng.below(8),
            1 if at < file.len() => file[at] = rng.next() as u8,
            2 => file.insert(at, rng.next() as u8),
            3 => drop(file.drain(at..until.max(at))),
            4 => {
                let block = file[at..until.max(at)].to_vec();
                let to = rng.below(file.len() + 1);
                file.splice(to..to, block);
            }
            5 => {
                let other = &corpus[rng.below(corpus.len())];
                let from = rng.below(other.len() + 1);
                let to = (from + rng.below(256)).min(other.len());
                file.splice(at..at, other[from..to].iter().copied());
            }
            6 | 7 if !dictionary.is_empty() => {
                let word = dictionary[rng.below(dictionary.len())].bytes();
                let replaced = if rng.below(2) == 0 { at..at } else { at..until.max(at) };
                file.splice(replaced, word);
            }
            8 => {
                let digits = (at..file.len()).find(|&i| file[i].is_ascii_digit()).unwrap_or(at);
                let end = (digits..file.len()).find(|&i| !file[i].is_ascii_digit()).unwrap_or(file.len());
                file.splice(digits..end, NUMBERS[rng.below(NUMBERS.len())].bytes());
            }
            9 => {
                // A length or an offset.
                let bytes = [rng.next(), u64::MAX, 1 << 63, 1 << 32, 0][rng.below(5)].to_le_bytes();
                let n = [1, 4, 8][rng.below(3)].min(file.len() - at);
                file[at..at + n].copy_from_slice(&bytes[..n]);
            }
            _ => file.truncate(at),
        }
        file.truncate(LONGEST);
    }
    file
}

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}
