//! Ends runs in the middle and lets them go on, again and again: what they leave must be what the same run leaves that nobody disturbed.
//!
//! `cargo xtask torture` builds the `rl` command with failpoints and calls this program with it. Every case is trained once undisturbed; then
//! killed at random moments with SIGKILL and resumed; then ended before every change that it makes to files, and in the middle of every write, and
//! resumed; and the same while it resumes.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a terminal")]

mod left;
mod run;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rand::Rng;
use rl_env::EnvRng;
use rl_env::rng::stream;

use crate::left::Left;
use crate::run::{Case, Ended, Place};

/// Both algorithms; normalised, with gSDE, masked, with a shared trunk, on several shards.
const CASES: &[Case] = &[
    Case {
        algo: "trpo",
        env: "Pendulum-v1",
        set: &["normalize_observation=true", "normalize_reward=true", "use_sde=true"],
    },
    Case {
        algo: "ppo",
        env: "Pendulum-v1",
        set: &["normalize_observation=true", "use_sde=true", "sde_sample_freq=5"],
    },
    Case { algo: "trpo", env: "Nim-v0", set: &[] },
    // Its metrics are logged from the first evaluation on: the table gets wider then.
    Case { algo: "ppo", env: "Harbour-v0", set: &[] },
    Case { algo: "ppo", env: "Nim-v0", set: &["ent_coef=0.01"] },
    Case { algo: "trpo", env: "CartPole-v1", set: &["shared_layers=1"] },
    Case { algo: "ppo", env: "CartPole-v1", set: &["shared_layers=1", "learning_rate=lin_0.001"] },
];

/// How far into a run that goes on its failpoints are tried: past the cutting of logs and the first checkpoint.
const INTO_RESUMING: u64 = 40;

struct Options {
    rl: PathBuf,
    /// Kills of each case.
    kills: usize,
    /// Failpoints of each case, evenly spread; all of them where it is `None`.
    failpoints: Option<usize>,
    seed: u64,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let [rl, kills, failpoints, seed] = args else {
            bail!("usage: torture RL KILLS FAILPOINTS|all SEED; `cargo xtask torture` calls it")
        };
        let failpoints = match failpoints.as_str() {
            "all" => None,
            number => Some(number.parse().context("how many failpoints")?),
        };
        let rl = std::path::absolute(rl)?;
        ensure!(rl.is_file(), "there is no program {}", rl.display());
        let kills = kills.parse().context("how many kills")?;
        Ok(Options { rl, kills, failpoints, seed: seed.parse().context("the seed")? })
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match Options::parse(&args).and_then(|options| torture(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("torture: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn torture(options: &Options) -> Result<()> {
    let begun = Instant::now();
    // Only where a run is ended depends on it.
    let mut rng = stream(options.seed, "torture", 0);
    let mut points: BTreeMap<String, usize> = BTreeMap::new();
    for case in CASES {
        let told = each_case(options, case, &mut rng, &mut points)
            .with_context(|| format!("{case}, seed {} of the kills", options.seed))?;
        println!("{case}: {told}");
    }
    println!("operations at which runs were ended:");
    for (what, n) in points {
        println!("  {n:5} x {what}");
    }
    println!("every run left what it leaves undisturbed; {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

fn each_case(
    options: &Options,
    case: &Case,
    rng: &mut EnvRng,
    points: &mut BTreeMap<String, usize>,
) -> Result<String> {
    let long = Place::new(&options.rl, case, 16)?;
    let begun = Instant::now();
    long.start(None)?.must_end()?;
    let lasts = begun.elapsed();
    let expected = Left::by(&long.run_dir())?;
    let (mut kills, mut runs) = (0, 0);
    while kills < options.kills {
        let place = Place::new(&options.rl, case, 16)?;
        kills += killed(&place, lasts, options.kills - kills, rng)?;
        runs += 1;
        same(&place, &expected).with_context(|| format!("killed, run {runs}"))?;
    }

    let short = Place::new(&options.rl, case, 6)?;
    let all = short.start(Some(0))?.must_end()?.failpoints;
    let expected = Left::by(&short.run_dir())?;
    ensure!(!all.is_empty(), "the command was built without failpoints");
    let tried = spread(all.len() as u64, options.failpoints, rng);
    for &n in &tried {
        let what = &all[n as usize - 1];
        let place = Place::new(&options.rl, case, 6)?;
        place.start(Some(n))?.must_abort()?;
        place.go_on()?;
        same(&place, &expected).with_context(|| format!("ended at failpoint {n}: {what}"))?;
        *points.entry(what.clone()).or_default() += 1;
    }

    let resumed = resumed_twice(options, case, &expected, all.len() as u64 * 2 / 3, rng, points)?;
    Ok(format!(
        "{kills} kills of {runs} runs, ended at {} of {} failpoints and at {resumed} while going on",
        tried.len(),
        all.len()
    ))
}

/// Kills a run at random moments, at most so often, and lets it end: how often it was killed.
fn killed(place: &Place<'_>, lasts: Duration, most: usize, rng: &mut EnvRng) -> Result<usize> {
    let mut kills = 0;
    let mut process = place.start(None)?;
    loop {
        // Every second run is killed while it goes on, too.
        let spared = kills > 0 && rng.random_bool(0.5);
        if kills == most || spared || process.kill_after(lasts.mul_f64(rng.random()))? == Ended::ByItself {
            process.must_end()?;
            return Ok(kills);
        }
        kills += 1;
        process = place.resume(None)?;
    }
}

/// Ends a run, then at every failpoint when it goes on, then lets it end: at how many.
fn resumed_twice(
    options: &Options,
    case: &Case,
    expected: &Left,
    at: u64,
    rng: &mut EnvRng,
    points: &mut BTreeMap<String, usize>,
) -> Result<usize> {
    let begun = Place::new(&options.rl, case, 6)?;
    begun.start(Some(at))?.must_abort()?;
    let whole = begun.copy()?;
    let all = whole.resume(Some(0))?.must_end()?.failpoints;
    same(&whole, expected).context("ended once")?;
    let tried = spread((all.len() as u64).min(INTO_RESUMING), options.failpoints, rng);
    for &n in &tried {
        let what = &all[n as usize - 1];
        let place = begun.copy()?;
        place.resume(Some(n))?.must_abort()?;
        place.go_on()?;
        same(&place, expected).with_context(|| format!("ended at {at}, then at {n}: {what}"))?;
        *points.entry(format!("going on, {what}")).or_default() += 1;
    }
    Ok(tried.len())
}

/// Compares what is left, and keeps the directory where it differs.
fn same(place: &Place<'_>, expected: &Left) -> Result<()> {
    let check = || Left::by(&place.run_dir())?.check(expected);
    check().with_context(|| format!("left in {}", place.keep(Path::new("torture-failure"))))
}

/// Numbers from 1 to `n`: all of them, or so many evenly spread ones that begin anywhere.
fn spread(n: u64, wanted: Option<usize>, rng: &mut EnvRng) -> Vec<u64> {
    match wanted.map(|wanted| wanted as u64).filter(|&wanted| wanted < n) {
        None => (1..=n).collect(),
        Some(0) => Vec::new(),
        Some(wanted) => {
            let begin = rng.random_range(0..n);
            (0..wanted).map(|i| (begin + i * n / wanted) % n + 1).collect()
        }
    }
}
