//! `cargo xtask results`: what TRPO and PPO learn on the classic environments, over many seeds, as files and pages of `docs/results/`.
//!
//! Every number comes from `rl compare`, whose tables stay under the target directory: the same command goes on where it was interrupted.

mod page;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::ci::execute;
use crate::metadata::{Workspace, cargo};

/// An environment, and the budgets that results are published for.
pub(crate) struct Task {
    pub(crate) env: &'static str,
    /// What the mean over seeds is to reach, by the requirements of this project: TRPO and PPO.
    pub(crate) goals: [f64; 2],
    /// Environment steps: TRPO and PPO.
    pub(crate) budgets: [u64; 2],
}

/// The tasks, with the budgets of rl-baselines3-zoo's published results.
pub(crate) const TASKS: [Task; 5] = [
    Task { env: "CartPole-v1", goals: [499.0, 499.0], budgets: [100_000, 100_000] },
    Task { env: "Acrobot-v1", goals: [-82.0, -75.0], budgets: [100_000, 1_000_000] },
    Task { env: "MountainCar-v0", goals: [-107.0, -110.0], budgets: [100_000, 1_000_000] },
    Task { env: "MountainCarContinuous-v0", goals: [92.0, 90.0], budgets: [50_000, 20_000] },
    Task { env: "Pendulum-v1", goals: [-165.0, -165.0], budgets: [100_000, 100_000] },
];

const ALGORITHMS: [&str; 2] = ["trpo", "ppo"];
const PRESETS: [&str; 2] = ["best", "zoo"];

/// What is run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    seeds: u64,
    first_seed: u64,
    env: Option<&'static str>,
    quick: bool,
}

impl Options {
    /// The subset that CI runs: it is judged, and leaves no pages.
    pub(crate) const QUICK: Options =
        Options { seeds: 5, first_seed: 0, env: Some("CartPole-v1"), quick: true };

    pub(crate) fn parse(flags: &[&str]) -> Result<Self, String> {
        let mut options = Options { seeds: 20, first_seed: 0, env: None, quick: false };
        let mut flags = flags.iter();
        while let Some(&flag) = flags.next() {
            if flag == "--quick" {
                options = Options { ..Self::QUICK };
                continue;
            }
            let value = flags.next().ok_or_else(|| format!("{flag} needs a value"))?;
            let number = || value.parse().map_err(|_| format!("{flag} {value}: expected a number"));
            match flag {
                "--seeds" => options.seeds = number()?,
                "--first-seed" => options.first_seed = number()?,
                "--env" => {
                    let task = TASKS.iter().find(|task| task.env == *value);
                    let known = || TASKS.map(|task| task.env).join(", ");
                    options.env =
                        Some(task.ok_or_else(|| format!("--env {value}: expected one of {}", known()))?.env);
                }
                unknown => return Err(format!("unexpected argument `{unknown}` of results")),
            }
        }
        if options.seeds < 5 {
            return Err(format!("--seeds {}: intervals need five", options.seeds));
        }
        Ok(options)
    }
}

/// Builds the program, runs what is missing, and writes the pages.
pub(crate) fn run(options: &Options) -> Result<()> {
    let workspace = Workspace::load()?;
    if !options.quick {
        // As CI builds it, with examples: without them features differ, and candle is built again.
        execute(Command::new(cargo()).args(["build", "--release", "--workspace", "--bins", "--examples"]))?;
    }
    let rl = workspace.target.join("release").join(format!("rl{}", std::env::consts::EXE_SUFFIX));
    ensure!(rl.is_file(), "there is no {} although the workspace was built", rl.display());
    let docs = workspace.root.join("docs").join("results");
    let mut measured = Vec::new();
    for task in TASKS.iter().filter(|task| options.env.is_none_or(|env| env == task.env)) {
        let out =
            workspace.target.join("results").join(format!("from-seed-{}", options.first_seed)).join(task.env);
        let result = measure(&rl, task, options, &out)?;
        if options.quick {
            judge(task, &result)?;
        } else {
            write_files(&rl, task, &result, &out, &docs)?;
        }
        measured.push((task, result));
    }
    // The page is about all tasks: one that was not run now is read from where it was written.
    if !options.quick {
        let stored = TASKS.iter().filter_map(|task| {
            let file = fs::read(docs.join(format!("{}.json", task.env))).ok()?;
            Some(serde_json::from_slice(&file).map(|result| (task, result)))
        });
        let stored: Vec<(&Task, Value)> = stored.collect::<Result<_, _>>().context("reading docs/results")?;
        let others = fs::read_to_string(docs.join("sb3.csv")).context("reading docs/results/sb3.csv")?;
        let path = docs.join("README.md");
        fs::write(&path, page::render(&stored, &page::others(&others)?)?)
            .with_context(|| format!("writing {}", path.display()))?;
        println!("written: docs/results/README.md");
    }
    Ok(())
}

/// Runs the comparison of a task, or what is missing of it, and gives what is kept of its report.
fn measure(rl: &Path, task: &Task, options: &Options, out: &Path) -> Result<Value> {
    let columns = ALGORITHMS.iter().zip(task.budgets).flat_map(|(algo, budget)| {
        // An evaluation at every fiftieth of the budget: the steps to the threshold are known to 2 %.
        PRESETS.map(|preset| {
            format!("{algo}@{preset}:label={preset},total_steps={budget},eval_freq={}", budget / 50)
        })
    });
    let mut compare = Command::new(rl);
    compare.arg("compare").args(columns).args(["--env", task.env, "--lean", "--quiet"]);
    compare.args(["--seeds", &options.seeds.to_string(), "--seed", &options.first_seed.to_string()]);
    let output = compare.arg("--json").arg("--out").arg(out).output().context("cannot start rl compare")?;
    ensure!(output.status.success(), "{compare:?}: {}", String::from_utf8_lossy(&output.stderr));
    let report: Value =
        serde_json::from_slice(&output.stdout).context("rl compare --json printed no JSON")?;
    let environment = &report["environments"][0];
    let columns = environment["algorithms"].as_array().context("the comparison has no algorithms")?;
    Ok(json!({
        "env": task.env,
        "threshold": environment["threshold"],
        "first_seed": options.first_seed,
        "columns": columns.iter().map(kept).collect::<Vec<_>>(),
        "improvement": environment["improvement"],
    }))
}

/// What is kept of a column: its settings, what it reached, and the seeds' own figures; no times, which are the machine's.
fn kept(column: &Value) -> Value {
    let seeds = column["seeds"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_seeds = |value: fn(&Value) -> &Value| seeds.iter().map(value).cloned().collect::<Value>();
    json!({
        "algo": column["algo"], "preset": column["preset"], "runs": column["runs"], "failed": column["failed"],
        "mean": column["mean"], "iqm": column["iqm"], "std": column["std"],
        "reached_threshold": column["reached_threshold"], "steps_to_threshold": column["steps_to_threshold"],
        "seeds": of_seeds(|seed| &seed["seed"]),
        "final_means": of_seeds(|seed| &seed["eval"]["mean"]),
        "final_stds": of_seeds(|seed| &seed["eval"]["std"]),
        "seeds_steps_to_threshold": of_seeds(|seed| &seed["steps_to_threshold"]),
        "settings": column["settings"],
    })
}

/// Writes what is kept, and the learning curves.
fn write_files(rl: &Path, task: &Task, result: &Value, out: &Path, docs: &Path) -> Result<()> {
    fs::create_dir_all(docs).with_context(|| format!("creating {}", docs.display()))?;
    let path = docs.join(format!("{}.json", task.env));
    let text = page::one_line_an_entry(result)?;
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    let pictures = out.join("svg");
    // A report never writes over another one: those of an earlier run of this command go first.
    if pictures.exists() {
        fs::remove_dir_all(&pictures).with_context(|| format!("removing {}", pictures.display()))?;
    }
    execute(Command::new(rl).arg("report").arg(out).args(["--format", "svg", "--out"]).arg(&pictures))?;
    let curve = pictures.join(format!("{}-evaluation-steps.svg", task.env));
    fs::copy(&curve, docs.join(format!("{}.svg", task.env)))
        .with_context(|| format!("copying {}", curve.display()))?;
    Ok(())
}

/// The quick subset: nothing failed, and `best` reaches what it is there for.
fn judge(task: &Task, result: &Value) -> Result<()> {
    for (algo, goal) in ALGORITHMS.iter().zip(task.goals) {
        let column = page::column(result, algo, "best")?;
        let mean = column["mean"]["value"].as_f64().context("the comparison has no mean")?;
        let steps = |preset| -> Result<f64> {
            let column = page::column(result, algo, preset)?;
            column["steps_to_threshold"]["restricted_mean"].as_f64().context("no steps to the threshold")
        };
        let (best, zoo) = (steps("best")?, steps("zoo")?);
        println!(
            "{algo} {}: mean {mean:.1} (goal {goal}), threshold after {best:.0} steps ({zoo:.0} with zoo)",
            task.env
        );
        ensure!(
            mean >= goal,
            "{algo} with the preset best has a mean return of {mean:.1} in {}, expected {goal}",
            task.env
        );
        ensure!(
            best < zoo,
            "{algo} with the preset best needs {best:.0} steps in {}, zoo {zoo:.0}",
            task.env
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read() {
        let plain = Options { seeds: 20, first_seed: 0, env: None, quick: false };
        assert_eq!(Options::parse(&[]), Ok(plain));
        let some = Options { seeds: 8, first_seed: 30, env: Some("Acrobot-v1"), quick: false };
        assert_eq!(Options::parse(&["--seeds", "8", "--first-seed", "30", "--env", "Acrobot-v1"]), Ok(some));
        assert_eq!(Options::parse(&["--quick"]), Ok(Options::QUICK));
        for wrong in
            [&["--seeds"][..], &["--seeds", "x"], &["--seeds", "4"], &["--env", "Catch-v0"], &["--fast", "1"]]
        {
            assert!(Options::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
