//! The parts, timed by criterion.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::ci::execute;
use crate::metadata::cargo;

/// The name of the yardstick among the parts.
pub(super) const YARDSTICK: &str = "fma_peak";

/// Floating-point operations of the yardstick (`benches::PEAK_FMAS`, two each).
pub(super) const PEAK_FLOPS: f64 = 2.0 * 64.0 * 12.0 * 1000.0;

/// Median nanoseconds of every part.
pub(super) fn measure(root: &Path) -> Result<BTreeMap<String, f64>> {
    let folder = root.join("target/criterion");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("clearing {}", folder.display()))?;
    }
    let times = ["--warm-up-time", "0.5", "--measurement-time", "1.5"];
    execute(Command::new(cargo()).args(["bench", "-p", "benches", "--"]).args(times).current_dir(root))?;
    let mut parts = BTreeMap::new();
    collect(&folder, &mut parts)?;
    Ok(parts)
}

/// Criterion leaves `<part>/new/{benchmark,estimates}.json`, at any depth.
fn collect(folder: &Path, parts: &mut BTreeMap<String, f64>) -> Result<()> {
    let new = folder.join("new");
    if new.join("estimates.json").exists() {
        let name = read(new.join("benchmark.json"))?["title"].as_str().unwrap_or_default().to_owned();
        let median = read(new.join("estimates.json"))?["median"]["point_estimate"].as_f64();
        parts.insert(name, median.context("criterion's estimates have no median")?);
        return Ok(());
    }
    let entries = std::fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, parts)?;
        }
    }
    Ok(())
}

fn read(path: PathBuf) -> Result<Value> {
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("parsing {}", path.display()))
}
