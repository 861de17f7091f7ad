//! `cargo xtask bench`: how fast the parts and whole training runs are.
//!
//! Times on a shared machine drift, so what is compared is each time's ratio to what the whole machine does in the same run: to the
//! median part, and to a yardstick, a fixed number of multiply-adds on registers at the processor's arithmetic peak.

mod parts;
mod peers;
mod runs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::ci::execute;
use crate::metadata::{Workspace, cargo};

/// What `--check` lets pass.
const TOLERANCE: f64 = 0.10;

/// What to do beside measuring.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    save: bool,
    check: bool,
    peers: bool,
}

impl Options {
    /// Reads the flags.
    pub(crate) fn parse(flags: &[&str]) -> Result<Self, String> {
        let mut options = Options::default();
        for flag in flags {
            match *flag {
                "--save" => options.save = true,
                "--check" => options.check = true,
                "--peers" => options.peers = true,
                other => {
                    return Err(format!("unknown flag `{other}`, expected --save, --check or --peers"));
                }
            }
        }
        Ok(options)
    }
}

/// Measures, prints, writes, and compares where asked to.
pub(crate) fn run(options: &Options) -> Result<()> {
    let workspace = Workspace::load()?;
    let root = PathBuf::from(&workspace.root);
    execute(Command::new(cargo()).args(["build", "--release", "-p", "rl-cli"]))?;
    if options.peers {
        return peers::run(&root);
    }
    let parts = parts::measure(&root)?;
    let runs = runs::measure(&root)?;
    let peak = parts.get(parts::YARDSTICK).copied().context("the yardstick was not measured")?;
    print(&parts, &runs, peak);

    let results = json!({
        "host": host(),
        "revision": git(&["rev-parse", "--short", "HEAD"]),
        "yardstick_ns": peak,
        "parts_ns": parts,
        "steps_per_second": runs,
    });
    let text = format!("{results:#}\n");
    write(&root.join("target/bench.json"), &text)?;
    let committed = root.join("benches/results.json");
    if options.check {
        check(&committed, &parts, peak)?;
    }
    if options.save {
        write(&committed, &text)?;
    }
    Ok(())
}

fn print(parts: &BTreeMap<String, f64>, runs: &BTreeMap<String, f64>, peak: f64) {
    println!("\n{:44} {:>12} {:>12}", "part", "time", "/ yardstick");
    for (name, ns) in parts {
        println!("{name:44} {:>12} {:>12.4}", time(*ns), ns / peak);
    }
    println!("\n{:44} {:>12}", "whole run", "steps/s");
    for (name, steps_per_second) in runs {
        println!("{name:44} {steps_per_second:>12.0}");
    }
    println!("\nPeak of one core: {:.0} GFLOP/s.", parts::PEAK_FLOPS / peak);
}

fn time(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns:.1} ns"),
        ns if ns < 1e6 => format!("{:.2} µs", ns / 1e3),
        ns => format!("{:.2} ms", ns / 1e6),
    }
}

/// Compares with the committed results, the machine's speed apart.
fn check(committed: &Path, parts: &BTreeMap<String, f64>, peak: f64) -> Result<()> {
    let text =
        std::fs::read_to_string(committed).with_context(|| format!("reading {}", committed.display()))?;
    let before: Value =
        serde_json::from_str(&text).with_context(|| format!("parsing {}", committed.display()))?;
    let slower = regressions(&before, parts, peak);
    if slower.is_empty() {
        println!("No part is more than {:.0} % slower than the committed results.", 100.0 * TOLERANCE);
        return Ok(());
    }
    bail!("slower than the committed results:\n{}", slower.join("\n"));
}

/// Parts that are slower by more than what has become slower as a whole: the yardstick, or the median part, whichever more. The
/// yardstick is one moment of a machine whose speed drifts by a tenth while the parts are measured.
fn regressions(before: &Value, parts: &BTreeMap<String, f64>, peak: f64) -> Vec<String> {
    let Some(peak_before) = before["yardstick_ns"].as_f64() else {
        return vec!["the committed results have no yardstick".to_owned()];
    };
    let ratio = |name: &str, ns: f64| Some(ns / before["parts_ns"][name].as_f64()?);
    let ratios: Vec<_> = parts.iter().filter_map(|(name, ns)| Some((name, ratio(name, *ns)?))).collect();
    let machine = median(ratios.iter().map(|(_, ratio)| *ratio).collect()).max(peak / peak_before);
    ratios
        .into_iter()
        .map(|(name, ratio)| (name, ratio / machine - 1.0))
        .filter(|(_, change)| *change > TOLERANCE)
        .map(|(name, change)| format!("  {name}: {:+.0} %", 100.0 * change))
        .collect()
}

fn host() -> Value {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .map(|l| l.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    json!({ "cpu": model, "cores": cores, "os": std::env::consts::OS, "arch": std::env::consts::ARCH })
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    println!("Wrote {}", path.display());
    Ok(())
}

/// The middle one of some measurements.
fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    let n = samples.len();
    if n == 0 { f64::NAN } else { 0.5 * (samples[(n - 1) / 2] + samples[n / 2]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags() {
        let expected = Options { save: true, check: true, peers: false };
        assert_eq!(Options::parse(&["--check", "--save"]), Ok(expected));
        assert!(Options::parse(&["--peer"]).is_err());
    }

    #[test]
    fn a_slower_machine_is_no_regression_and_a_slower_part_is() {
        let before = json!({ "yardstick_ns": 10.0, "parts_ns": { "a": 100.0, "b": 100.0, "c": 100.0 } });
        let named = |a, b, c| {
            let parts = [("a", a), ("b", b), ("c", c), ("new", 1.0)];
            parts.map(|(name, ns)| (name.to_owned(), ns)).into_iter().collect::<BTreeMap<_, _>>()
        };
        assert_eq!(regressions(&before, &named(200.0, 230.0, 200.0), 20.0), ["  b: +15 %"]);
        // The yardstick was measured in a fast moment, or in a slow one.
        assert_eq!(regressions(&before, &named(200.0, 230.0, 200.0), 15.0), ["  b: +15 %"]);
        assert!(regressions(&before, &named(200.0, 230.0, 200.0), 22.0).is_empty());
        assert!(regressions(&before, &named(200.0, 205.0, 195.0), 10.0).is_empty());
    }

    #[test]
    fn medians() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-12);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-12);
        assert!(median(vec![]).is_nan());
    }
}
