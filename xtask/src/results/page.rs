//! The page of results, and the figures of other systems beside them.

use std::fmt::Write;

use anyhow::{Context, Result};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use serde_json::Value;

use super::{ALGORITHMS, PRESETS, Task};

/// Final returns of another system's runs of one algorithm in one environment.
#[derive(Debug, PartialEq)]
pub(super) struct Others {
    system: String,
    algo: String,
    env: String,
    steps: u64,
    finals: Vec<f64>,
}

/// The rows `system,algo,env,steps,seed,mean,…` as they belong together.
pub(super) fn others(csv: &str) -> Result<Vec<Others>> {
    let mut all: Vec<Others> = Vec::new();
    for (i, line) in csv.lines().enumerate().skip(1) {
        let field =
            |k: usize| line.split(',').nth(k).with_context(|| format!("sb3.csv, line {}: too short", i + 1));
        let (system, algo, env) = (field(0)?, field(1)?, field(2)?);
        let steps = field(3)?.parse().with_context(|| format!("sb3.csv, line {}: steps", i + 1))?;
        let mean = field(5)?.parse().with_context(|| format!("sb3.csv, line {}: mean", i + 1))?;
        match all.iter_mut().find(|o| (&*o.algo, &*o.env, o.steps) == (algo, env, steps)) {
            Some(others) => others.finals.push(mean),
            None => all.push(Others {
                system: system.to_owned(),
                algo: algo.to_owned(),
                env: env.to_owned(),
                steps,
                finals: vec![mean],
            }),
        }
    }
    Ok(all)
}

/// The column of an algorithm with a preset.
pub(super) fn column<'a>(result: &'a Value, algo: &str, preset: &str) -> Result<&'a Value> {
    let columns = result["columns"].as_array().context("results without columns")?;
    let is = |column: &&Value| column["algo"] == algo && column["preset"] == preset;
    columns.iter().find(is).with_context(|| format!("no column of {algo} with the preset {preset}"))
}

/// JSON whose outermost entries, and those of its columns, have a line each: it is read by people and compared by git.
pub(super) fn one_line_an_entry(value: &Value) -> Result<String> {
    fn write(value: &Value, depth: usize, text: &mut String) -> Result<()> {
        let indent = "  ".repeat(depth + 1);
        match value {
            Value::Object(entries)
                if depth < 4 && entries.values().any(|v| v.is_object() || v.is_array()) =>
            {
                text.push_str("{\n");
                for (i, (key, value)) in entries.iter().enumerate() {
                    write!(text, "{indent}{}: ", serde_json::to_string(key)?)?;
                    write(value, depth + 1, text)?;
                    text.push_str(if i + 1 < entries.len() { ",\n" } else { "\n" });
                }
                write!(text, "{}}}", "  ".repeat(depth))?;
            }
            Value::Array(items) if depth < 4 && items.iter().any(Value::is_object) => {
                text.push_str("[\n");
                for (i, item) in items.iter().enumerate() {
                    text.push_str(&indent);
                    write(item, depth + 1, text)?;
                    text.push_str(if i + 1 < items.len() { ",\n" } else { "\n" });
                }
                write!(text, "{}]", "  ".repeat(depth))?;
            }
            plain => text.push_str(&serde_json::to_string(plain)?),
        }
        Ok(())
    }
    let mut text = String::new();
    write(value, 0, &mut text)?;
    text.push('\n');
    Ok(text)
}

const HEAD: &str = "\
# What TRPO and PPO learn

Written by `cargo xtask results`, which runs what is missing with `rl compare` and goes on where it was interrupted. Every run has the whole budget, and is
judged by its *last* policy, deterministic, over 100 episodes: there is no early stop and no best checkpoint. The mean is over seeds, with a 95 % bootstrap interval; the
lowest is the worst seed's mean.

Steps to the threshold are those of the first evaluation (at every 2 % of the budget, 20 episodes) whose mean reaches it, averaged over all seeds, where a seed that
never does counts with its whole budget (the restricted mean; ± is its standard error).

`best` is this project's own preset, found by a search on other seeds (10000 and up); how is in [search.md](search.md). `zoo` has the published
settings of rl-baselines3-zoo. The rows of Stable-Baselines3 and sb3-contrib are theirs with the same settings as `zoo` and the final policy evaluated in the same way, on seeds of
their own ([sb3.csv](sb3.csv) has every one; [benches/sb3_results.py](../../benches/sb3_results.py) measures more).

The files beside this page have every seed's figures, all settings and the learning curves. [More results](more.md): a thousand seeds of CartPole-v1, CleanRL's settings,
and environments of Gymnasium.
";

/// The page.
pub(super) fn render(results: &[(&Task, Value)], others: &[Others]) -> Result<String> {
    let mut page = String::from(HEAD);
    for (task, result) in results {
        let threshold = result["threshold"].as_f64().context("results without a threshold")?;
        write!(page, "\n## {}\n\nThreshold {threshold}. [Figures]({}.json).\n\n", task.env, task.env)?;
        page.push_str("| algorithm | settings | steps | seeds | mean [95 %] | lowest | steps to the threshold |\n|-|-|-|-|-|-|-|\n");
        for (algo, steps) in ALGORITHMS.iter().zip(task.budgets) {
            for preset in PRESETS {
                row(&mut page, column(result, algo, preset)?, steps)?;
            }
            let theirs = |o: &&Others| (&*o.algo, &*o.env, o.steps) == (*algo, task.env, steps);
            for other in others.iter().filter(theirs) {
                other_row(&mut page, other)?;
            }
        }
        write!(page, "\n![Evaluation against steps in {}]({}.svg)\n", task.env, task.env)?;
    }
    Ok(page)
}

fn row(page: &mut String, column: &Value, steps: u64) -> Result<()> {
    let finals: Vec<f64> =
        column["final_means"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    let lowest = finals.iter().copied().fold(f64::INFINITY, f64::min);
    let number = |value: &Value| value.as_f64().map_or("–".to_owned(), |x| format!("{x:.1}"));
    let mean = &column["mean"];
    let to_threshold = &column["steps_to_threshold"];
    let whole = |value: &Value| value.as_f64().map_or("–".to_owned(), |x| format!("{x:.0}"));
    writeln!(
        page,
        "| {} | {} | {steps} | {} | {} [{}, {}] | {lowest:.1} | {} ± {}{} |",
        text(&column["algo"]),
        text(&column["preset"]),
        finals.len(),
        number(&mean["value"]),
        number(&mean["low"]),
        number(&mean["high"]),
        whole(&to_threshold["restricted_mean"]),
        whole(&to_threshold["restricted_mean_standard_error"]),
        reached(column)?,
    )?;
    Ok(())
}

/// How many seeds never reached the threshold, where some did not.
fn reached(column: &Value) -> Result<String> {
    let count = |key: &str| column[key].as_u64().with_context(|| format!("a column without {key}"));
    let never = count("runs")? - count("reached_threshold")?;
    Ok(if never == 0 { String::new() } else { format!(", {never} never") })
}

fn other_row(page: &mut String, other: &Others) -> Result<()> {
    let n = other.finals.len();
    let lowest = other.finals.iter().copied().fold(f64::INFINITY, f64::min);
    let mean = rl_stats::mean(&other.finals);
    // The resamples of a page that is written again are those it was written with.
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
    let interval = match rl_stats::bootstrap_interval(rl_stats::mean, &other.finals, 0.95, 2000, &mut rng) {
        Ok(interval) => format!("{:.1}, {:.1}", interval.low, interval.high),
        Err(_) => "–".to_owned(),
    };
    writeln!(
        page,
        "| {} | {}, zoo | {} | {n} | {mean:.1} [{interval}] | {lowest:.1} | |",
        other.algo, other.system, other.steps
    )?;
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("–")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_of_others_belong_together_by_algorithm_environment_and_steps() {
        let csv = "system,algo,env,steps,seed,mean,std,seconds\na 1,ppo,E,10,0,1.5,0,1\na 1,ppo,E,10,1,2.5,0,1\na 1,trpo,E,10,0,3,0,1\n";
        let all = others(csv).expect("a table");
        assert_eq!(all.len(), 2);
        assert_eq!((&*all[0].algo, &*all[0].finals), ("ppo", &[1.5, 2.5][..]));
        assert_eq!((&*all[1].algo, &*all[1].finals), ("trpo", &[3.0][..]));
        assert!(others("head\na,ppo,E,10,0,much,0,1\n").is_err());
    }

    #[test]
    fn files_say_the_same_in_lines() {
        let value = json!({"env": "E", "columns": [{"algo": "ppo", "mean": {"value": 1.5}, "finals": [1, 2]}], "none": null});
        let text = one_line_an_entry(&value).expect("text");
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), value);
        assert!(
            text.lines().count() > 5 && text.lines().any(|line| line.trim() == "\"finals\": [1,2]"),
            "{text}"
        );
    }

    #[test]
    fn a_row_has_mean_interval_worst_seed_and_steps() {
        let column = json!({
            "algo": "ppo", "preset": "best", "runs": 3, "reached_threshold": 2, "final_means": [500.0, 499.0, 480.25],
            "mean": {"value": 493.1, "low": 480.3, "high": 500.0},
            "steps_to_threshold": {"restricted_mean": 12000.4, "restricted_mean_standard_error": 350.0},
        });
        let mut page = String::new();
        row(&mut page, &column, 100_000).expect("a row");
        assert_eq!(
            page,
            "| ppo | best | 100000 | 3 | 493.1 [480.3, 500.0] | 480.2 | 12000 ± 350, 1 never |\n"
        );
    }
}
