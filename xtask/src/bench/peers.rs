//! Other systems beside ours: the same workloads, in turn, several times.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{median, runs};
use crate::ci::execute;

/// Runs of every system and workload.
const REPEATS: usize = 5;

/// What is installed, in an environment outside the repository.
const PACKAGES: [&str; 4] =
    ["stable-baselines3>=2.4,<3", "sb3-contrib>=2.4,<3", "rejax>=0.1,<0.2", "gymnax<1"];

/// (system, algorithm, environment) as `benches/peers.py` knows them.
const PEERS: [(&str, &str, &str); 5] = [
    ("sb3", "ppo", "CartPole-v1"),
    ("sb3", "ppo", "Pendulum-v1"),
    ("sb3", "trpo", "CartPole-v1"),
    ("sb3", "trpo", "Pendulum-v1"),
    ("rejax", "ppo", "CartPole-v1"),
];

/// Installs the peers, measures in turn, prints medians and ratios.
pub(super) fn run(root: &Path) -> Result<()> {
    let venv = std::env::temp_dir().join("rl-peers");
    let python = venv.join("bin/python");
    if !python.exists() {
        execute(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    execute(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;

    let mut ours: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    let mut theirs: BTreeMap<(&str, &str, &str), Vec<f64>> = BTreeMap::new();
    for repeat in 1..=REPEATS {
        for (system, algo, env) in PEERS {
            let rate = peer(root, &python, system, algo, env)?;
            let own = runs::ours(root, algo, env, 2)?;
            println!("{repeat}/{REPEATS} {algo} {env}: {system} {rate:.0}, ours {own:.0} steps/s");
            theirs.entry((system, algo, env)).or_default().push(rate);
            ours.entry((algo, env)).or_default().push(own);
        }
    }
    println!("\n{:30} {:>12} {:>12} {:>8}", "workload and peer", "peer", "ours", "ratio");
    for ((system, algo, env), rates) in theirs {
        let (rate, own) = (median(rates), median(ours[&(algo, env)].clone()));
        println!("{:30} {rate:>12.0} {own:>12.0} {:>8.1}", format!("{algo} {env} {system}"), own / rate);
    }
    println!("\nMedians of {REPEATS} alternating runs, steps a second.");
    Ok(())
}

fn peer(root: &Path, python: &Path, system: &str, algo: &str, env: &str) -> Result<f64> {
    let mut command = Command::new(python);
    command.arg(root.join("benches/peers.py")).args([system, algo, env]);
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .last()
        .and_then(|line| line.trim().parse().ok())
        .with_context(|| format!("{command:?} printed {text:?}"))
}
