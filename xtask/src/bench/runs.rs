//! Whole training runs: the two workloads that systems are compared by.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::median;

/// Runs of each workload.
const REPEATS: usize = 5;

/// Environment steps of a run.
pub(super) const STEPS: u64 = 204_800;

/// The workloads: (algorithm, environment). 8 environments x 256 steps, the library's defaults otherwise.
pub(super) const WORKLOADS: [(&str, &str); 4] =
    [("ppo", "CartPole-v1"), ("ppo", "Pendulum-v1"), ("trpo", "CartPole-v1"), ("trpo", "Pendulum-v1")];

/// Median steps a second of every workload on one and two threads, in turn.
pub(super) fn measure(root: &Path) -> Result<BTreeMap<String, f64>> {
    let mut samples: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for _ in 0..REPEATS {
        for (algo, env) in WORKLOADS {
            for threads in [1, 2] {
                let name = format!("{algo} {env} {threads} threads");
                samples.entry(name).or_default().push(ours(root, algo, env, threads)?);
            }
        }
    }
    Ok(samples.into_iter().map(|(name, samples)| (name, median(samples))).collect())
}

/// Steps a second of one run, from the first reset to the last update.
pub(super) fn ours(root: &Path, algo: &str, env: &str, threads: usize) -> Result<f64> {
    let out = root.join("target/bench-runs");
    let mut rl = Command::new(root.join("target/release/rl"));
    rl.args([
        "train",
        algo,
        env,
        "--preset",
        "sb3",
        "--n-envs",
        "8",
        "--set",
        "n_steps=256",
        "--no-eval",
        "--quiet",
        "--json",
    ]);
    rl.args(["--total-steps", &STEPS.to_string(), "--threads", &threads.to_string()]).arg("--out").arg(&out);
    let output = rl.output().with_context(|| format!("starting {rl:?}"))?;
    if out.exists() {
        std::fs::remove_dir_all(&out).with_context(|| format!("clearing {}", out.display()))?;
    }
    if !output.status.success() {
        bail!("{rl:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let summary: Value = serde_json::from_slice(&output.stdout).context("reading the run's summary")?;
    summary["steps_per_second"].as_f64().context("the run's summary has no steps_per_second")
}
