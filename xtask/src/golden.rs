//! `cargo xtask golden`: the golden tests on the numbers of other seeds than the committed ones.
//!
//! A test that passes on one set of numbers may owe it to them. Here PyTorch makes new ones, seed by seed, and every golden test runs on
//! each; a table says how close all of them came to their tolerances. Not part of `cargo xtask ci`, for PyTorch is large.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::metadata::{Workspace, cargo};

/// What to run on what.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    seeds: u64,
    first: u64,
    python: String,
}

impl Options {
    /// Reads the flags; the error says what is wrong with them.
    pub(crate) fn parse(flags: &[&str]) -> std::result::Result<Self, String> {
        let mut options = Options { seeds: 20, first: 100, python: "python3".to_owned() };
        let mut flags = flags.iter();
        while let Some(&flag) = flags.next() {
            let mut value = || flags.next().ok_or_else(|| format!("`{flag}` needs a value"));
            let number = |text: &str| {
                text.parse().map_err(|_| format!("`{flag} {text}`: expected a whole number from 0 up"))
            };
            match flag {
                "--seeds" => options.seeds = number(value()?)?,
                "--first-seed" => options.first = number(value()?)?,
                "--python" => options.python = (*value()?).to_owned(),
                _ => {
                    let known = "--seeds, --first-seed or --python";
                    return Err(format!("unknown flag `{flag}`, expected {known}"));
                }
            }
        }
        if options.seeds == 0 {
            return Err("`--seeds 0`: expected at least 1".to_owned());
        }
        options.first.checked_add(options.seeds).ok_or("there are no such seeds")?;
        Ok(options)
    }
}

/// The tests that read golden numbers of the mathematics: those of crates, and of the tests across crates those that are called `golden::…`.
const TESTS: [&[&str]; 2] = [
    &["--package=rl-gae", "--package=rl-optim", "--test=golden", "--test=adam_golden", "--test=line_search"],
    &["--package=rl-tests", "--test=suite", "golden::"],
];

fn tests(which: &[&str], root: &Path) -> Command {
    let mut command = Command::new(cargo());
    command.args(["test", "--release", "--no-fail-fast"]).args(which).current_dir(root);
    command
}

/// Makes the numbers of every seed, runs the tests on them, and prints how close they came.
pub(crate) fn run(options: &Options) -> Result<()> {
    let workspace = Workspace::load()?;
    check_python(&options.python)?;
    for which in TESTS {
        let built = tests(which, &workspace.root).arg("--no-run").status().context("cannot start cargo")?;
        ensure!(built.success(), "the golden tests cannot be built");
    }

    let place = std::env::temp_dir().join(format!("rl-golden-{}", std::process::id()));
    let result = seeds(options, &workspace.root, &place);
    if result.is_ok() {
        std::fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))?;
    } else {
        eprintln!("the numbers are left in {}", place.display());
    }
    result
}

fn seeds(options: &Options, root: &Path, place: &Path) -> Result<()> {
    let mut worst = Worst::default();
    let mut failed = Vec::new();
    for seed in options.first..options.first + options.seeds {
        let dir = place.join(seed.to_string());
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let mut make = Command::new(&options.python);
        make.arg(root.join("tests/golden/make_math.py")).arg(seed.to_string()).arg(&dir);
        let made = make.stdout(Stdio::null()).status().context("cannot start Python")?;
        ensure!(made.success(), "tests/golden/make_math.py fails for seed {seed}");

        let report = dir.join("distances.tsv");
        let variables: [(&str, &OsStr); 2] =
            [("GOLDEN_MATH", dir.as_os_str()), ("GOLDEN_REPORT", report.as_os_str())];
        let mut passed = true;
        for which in TESTS {
            let output = tests(which, root).envs(variables).output()?;
            if !output.status.success() {
                passed = false;
                println!("seed {seed}: FAILED\n{}", String::from_utf8_lossy(&output.stdout));
            }
        }
        if passed {
            println!("seed {seed}: every golden test passes");
        } else {
            failed.push(seed.to_string());
        }
        let text = std::fs::read_to_string(&report)
            .with_context(|| format!("the tests left no {}", report.display()))?;
        worst.read(seed, &text).with_context(|| format!("reading {}", report.display()))?;
    }
    println!("\n{worst}");
    let (failures, seeds) = (failed.len(), options.seeds);
    ensure!(failures == 0, "golden tests fail for {failures} of {seeds} seeds: {}", failed.join(", "));
    println!("every golden test passes for every seed ({seeds})");
    Ok(())
}

fn check_python(python: &str) -> Result<()> {
    let mut command = Command::new(python);
    let found = command.args(["-c", "import torch, numpy"]).stdout(Stdio::null()).stderr(Stdio::null());
    match found.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => bail!(
            "`{python}` has no torch or no numpy; make an environment that has both and name its Python:\n  \
             python3 -m venv DIR && DIR/bin/pip install torch numpy\n  \
             cargo xtask golden --python DIR/bin/python"
        ),
        Err(error) => bail!("cannot start `{python}`: {error}; name a Python that has torch with --python"),
    }
}

/// Of every quantity and tolerance, the largest distance, its seed, and how many were judged.
#[derive(Default)]
struct Worst(BTreeMap<(String, String), (f64, u64, usize)>);

impl Worst {
    /// Adds the lines that tests left: quantity, distance, tolerance.
    fn read(&mut self, seed: u64, text: &str) -> Result<()> {
        for line in text.lines() {
            let mut columns = line.split('\t');
            let (Some(what), Some(distance), Some(tolerance), None) =
                (columns.next(), columns.next(), columns.next(), columns.next())
            else {
                bail!("`{line}` has not three columns");
            };
            let distance: f64 = distance.parse().with_context(|| format!("`{line}`"))?;
            let entry = self.0.entry((quantity(what), tolerance.to_owned())).or_insert((0.0, seed, 0));
            entry.2 += 1;
            // A NaN, once seen, stays.
            if !(distance <= entry.0 || entry.0.is_nan()) {
                (entry.0, entry.1) = (distance, seed);
            }
        }
        Ok(())
    }
}

/// The candidates of a search are one quantity.
fn quantity(what: &str) -> String {
    match what.rsplit_once(" of candidate ") {
        Some((head, number)) if number.parse::<u32>().is_ok() => format!("{head} of a candidate"),
        _ => what.to_owned(),
    }
}

impl std::fmt::Display for Worst {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{:>10} {:>10} {:>7} {:>6} {:>7}  quantity",
            "worst", "tolerance", "share", "seed", "judged"
        )?;
        for ((what, tolerance), (distance, seed, judged)) in &self.0 {
            let share = distance / tolerance.parse().unwrap_or(f64::NAN);
            writeln!(f, "{distance:>10.1e} {tolerance:>10} {share:>7.3} {seed:>6} {judged:>7}  {what}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_or_named() {
        let default = Options { seeds: 20, first: 100, python: "python3".to_owned() };
        assert_eq!(Options::parse(&[]), Ok(default));
        let other = Options { seeds: 3, first: 7, python: "p".to_owned() };
        assert_eq!(Options::parse(&["--first-seed", "7", "--seeds", "3", "--python", "p"]), Ok(other));
        for (flags, what) in [
            (&["--seed", "3"][..], "unknown flag `--seed`"),
            (&["--seeds"], "`--seeds` needs a value"),
            (&["--seeds", "many"], "`--seeds many`"),
            (&["--seeds", "0"], "at least 1"),
            (&["--first-seed", "18446744073709551615"], "no such seeds"),
        ] {
            let error = Options::parse(flags).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn the_worst_distance_of_every_quantity_is_kept() {
        let mut worst = Worst::default();
        worst
            .read(1, "a\t1e-3\t1e-2\nKL of candidate 0\t2e-9\t1e-6\nKL of candidate 11\t3e-9\t1e-6\n")
            .unwrap();
        worst.read(2, "a\t5e-4\t1e-2\na\tNaN\t1e-10\na\t1.0\t1e-10\n").unwrap();
        let of = |what: &str, tolerance: &str| worst.0[&(what.to_owned(), tolerance.to_owned())];
        assert_eq!(of("a", "1e-2"), (1e-3, 1, 2));
        assert_eq!(of("KL of a candidate", "1e-6"), (3e-9, 1, 2));
        assert!(of("a", "1e-10").0.is_nan());
        assert!(worst.to_string().contains("quantity"));
        assert!(worst.read(3, "a\t1e-3\n").is_err());
        assert!(worst.read(3, "a\tnear\t1\n").is_err());
    }

    #[test]
    fn a_missing_python_is_named() {
        let error = check_python("no-such-python-anywhere").unwrap_err().to_string();
        assert!(error.starts_with("cannot start `no-such-python-anywhere`"), "{error}");
    }
}
