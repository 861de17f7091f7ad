//! `cargo xtask fuzz`: every reader of files fed for minutes with what becomes of its corpus by random changes.
//!
//! The loop is our own (`rl_test_support::fuzz`): the fuzzers that are guided by coverage need a nightly compiler, and without that guidance a
//! dictionary of the format's words does most of what they do.

use std::process::Command;

use anyhow::Result;

use crate::ci::execute;
use crate::metadata::cargo;

/// Those that have tests called `fuzz_…`: no other package's tests are built.
const PACKAGES: &[&str] = &["rl-cli", "rl-tests", "rl-train"];

/// For how long, and from which seed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    minutes: u64,
    seed: u64,
}

impl Options {
    pub(crate) fn parse(flags: &[&str]) -> Result<Self, String> {
        let mut options = Options { minutes: 5, seed: 1 };
        for pair in flags.chunks(2) {
            let number = pair.get(1).and_then(|value| value.parse().ok());
            let number = number.ok_or_else(|| format!("{} needs a number", pair[0]));
            match pair[0] {
                "--minutes" => options.minutes = number?,
                "--seed" => options.seed = number?,
                unknown => return Err(format!("unexpected argument `{unknown}` of fuzz")),
            }
        }
        Ok(options)
    }
}

/// Runs the tests that are called `fuzz_…` for so many minutes each, two at a time, in a build where an overflow panics.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut tests = Command::new(cargo());
    tests.args(["test", "--profile", "fuzz"]);
    tests.args(PACKAGES.iter().flat_map(|package| ["-p", package]));
    tests.args(["--lib", "--test", "fuzz", "--no-fail-fast", "fuzz_", "--"]);
    tests.args(["--nocapture", "--test-threads", "2"]);
    tests.env("RL_FUZZ_SECONDS", (options.minutes * 60).to_string());
    execute(tests.env("RL_FUZZ_SEED", options.seed.to_string()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::metadata::Workspace;

    fn has_fuzz_test(place: &Path) -> bool {
        if let Ok(entries) = fs::read_dir(place) {
            return entries.flatten().any(|entry| has_fuzz_test(&entry.path()));
        }
        let is_test = |line: &str| line.trim_start().starts_with("fn fuzz_");
        fs::read_to_string(place).is_ok_and(|text| text.lines().any(is_test))
    }

    /// A reader whose package is not listed would never be fed.
    #[test]
    fn the_packages_are_those_with_such_tests() {
        let workspace = Workspace::load().unwrap();
        let has_one = |manifest: &Path| {
            let dir = manifest.parent().unwrap();
            ["src", "tests"].iter().any(|name| has_fuzz_test(&dir.join(name)))
        };
        let mut found: Vec<&str> =
            workspace.packages.iter().filter(|p| has_one(&p.manifest)).map(|p| &*p.name).collect();
        found.sort_unstable();
        assert_eq!(found, PACKAGES);
    }

    #[test]
    fn flags_are_read() {
        assert_eq!(Options::parse(&[]), Ok(Options { minutes: 5, seed: 1 }));
        assert_eq!(Options::parse(&["--seed", "2", "--minutes", "60"]), Ok(Options { minutes: 60, seed: 2 }));
        for wrong in [&["--minutes"][..], &["--minutes", "x"], &["--hours", "1"]] {
            assert!(Options::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
