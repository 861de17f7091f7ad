//! Runs of Stable-Baselines3 beside ours: a `progress.csv` of its logger, or what its `Monitor` wrote.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rl_report::{Column, Curve, Run, Study, Task};
use serde_json::Value;

use super::progress::Progress;
use super::records::in_order;

/// Episodes of a moving mean, as Stable-Baselines3's own.
const EPISODES: usize = 100;

/// A run that somebody else's program left.
struct Foreign {
    /// What its column is called: the directory, or that above where it is called by a seed.
    name: String,
    env: Option<String>,
    run: Run,
}

/// Adds every run of Stable-Baselines3 below some directories to a study: to the environment that its monitor names or a part of its path is called by,
/// else to the only one there is.
///
/// # Errors
///
/// When a directory cannot be read.
pub(crate) fn add_foreign(study: &mut Study, dirs: &[PathBuf]) -> Result<()> {
    let mut found = Vec::new();
    for dir in dirs {
        find(dir, &mut found)?;
    }
    for Foreign { name, env, run } in found {
        let only = (study.tasks.len() == 1).then(|| study.tasks[0].env.clone());
        let env = env.or_else(|| in_path(study, &run.name)).or(only);
        let env = env.unwrap_or_else(|| "unknown environment".to_owned());
        let place = study.tasks.iter().position(|task| task.env == env).unwrap_or(study.tasks.len());
        if place == study.tasks.len() {
            study.tasks.push(Task { env, ..Task::default() });
        }
        let columns = &mut study.tasks[place].columns;
        let column = columns.iter().position(|column| column.name == name).unwrap_or(columns.len());
        if column == columns.len() {
            columns.push(Column { name, preset: "–".to_owned(), ..Column::default() });
        }
        columns[column].runs.push(run);
    }
    Ok(())
}

/// The environment of the study that a part of a path is called by.
fn in_path(study: &Study, path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split(['/', '\\']).collect();
    study.tasks.iter().map(|task| &task.env).find(|env| parts.contains(&env.as_str())).cloned()
}

fn find(dir: &Path, found: &mut Vec<Foreign>) -> Result<()> {
    if dir.join("config.toml").exists() {
        return Ok(());
    }
    let failed = || format!("cannot read {}", dir.display());
    let entries = fs::read_dir(dir).with_context(failed)?.collect::<std::io::Result<Vec<_>>>();
    let mut paths: Vec<PathBuf> = entries.with_context(failed)?.iter().map(|entry| entry.path()).collect();
    paths.sort_by_key(|path| in_order(path));
    let is_monitor = |path: &&PathBuf| path.is_file() && path.to_string_lossy().ends_with("monitor.csv");
    let mut monitors = Vec::new();
    for path in paths.iter().filter(is_monitor) {
        monitors.extend(monitor(&String::from_utf8_lossy(&fs::read(path).with_context(failed)?)));
    }
    let env = monitors.iter().find_map(|monitor| monitor.env.clone());
    let progress = Progress::in_dir(dir);
    if !progress.scalars.is_empty() || !monitors.is_empty() {
        let mut run = Run {
            name: dir.display().to_string(),
            status: "finished".to_owned(),
            evaluations: progress.evaluations,
            scalars: progress.scalars,
            clock: progress.clock,
            ..Run::default()
        };
        if run.scalar("rollout/ep_rew_mean").is_none() {
            let (returns, clock) = together(&monitors);
            run.scalars.push(("rollout/ep_rew_mean".to_owned(), returns));
            run.clock = clock;
        }
        run.steps = run.clock.x.last().map(|step| *step as u64);
        run.training_seconds = run.clock.y.last().copied();
        run.steps_per_second = run.clock.points().last().filter(|(_, s)| *s > 0.0).map(|(step, s)| step / s);
        found.push(Foreign { name: column_name(dir), env, run });
    }
    paths.iter().filter(|path| path.is_dir()).try_for_each(|path| find(path, found))
}

/// What runs are called together: `ppo` for `ppo/s3`, `ppo/7` and `ppo/seed_1`.
fn column_name(dir: &Path) -> String {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let own = name(dir);
    let word = own.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_seed =
        ["", "s", "seed", "seed_", "seed-", "run", "run_"].contains(&word) && word.len() < own.len();
    let above = dir.parent().map(name).filter(|above| is_seed && !above.is_empty());
    format!("sb3: {}", above.unwrap_or(own))
}

/// What one monitor saw: episodes with return, length and seconds since its beginning.
struct Monitor {
    env: Option<String>,
    episodes: Vec<[f64; 3]>,
}

/// A line of JSON after `#`, a header with `r`, `l` and `t`, and a row for every episode.
fn monitor(text: &str) -> Option<Monitor> {
    let (first, rest) = text.split_once('\n')?;
    let about: Value = serde_json::from_str(first.trim().strip_prefix('#')?).ok()?;
    let mut lines = rest.lines();
    let header: Vec<&str> = lines.next()?.split(',').map(str::trim).collect();
    let columns = ["r", "l", "t"].map(|name| header.iter().position(|column| *column == name));
    let [Some(r), Some(l), Some(t)] = columns else { return None };
    let episode = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let cell = |column: usize| cells.get(column)?.trim().parse::<f64>().ok();
        Some([cell(r)?, cell(l)?, cell(t)?])
    };
    let env = about.get("env_id").and_then(Value::as_str).filter(|id| !id.is_empty() && *id != "None");
    Some(Monitor { env: env.map(str::to_owned), episodes: lines.filter_map(episode).collect() })
}

/// The mean return of the last episodes and the seconds, against steps, of environments that were stepped side by side.
fn together(monitors: &[Monitor]) -> (Curve, Curve) {
    let mut episodes: Vec<[f64; 3]> = monitors.iter().flat_map(|monitor| monitor.episodes.clone()).collect();
    episodes.sort_by(|a, b| a[2].total_cmp(&b[2]));
    let (mut steps, mut returns, mut clock) = (0.0, Vec::new(), Vec::new());
    for (i, [_, length, seconds]) in episodes.iter().enumerate() {
        steps += length;
        let last = &episodes[(i + 1).saturating_sub(EPISODES)..=i];
        returns.push((steps, last.iter().map(|[r, ..]| r).sum::<f64>() / last.len() as f64));
        clock.push((steps, *seconds));
    }
    (Curve::new(returns), Curve::new(clock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monitors_are_read() {
        let text = "#{\"t_start\": 1.5, \"env_id\": \"CartPole-v1\"}\nr,l,t\n10.0,10,0.5\n20.0,20,1.5\n";
        let one = monitor(text).unwrap();
        assert_eq!(one.env.as_deref(), Some("CartPole-v1"));
        let (returns, clock) = together(&[one]);
        assert_eq!((returns.x, returns.y), (vec![10.0, 30.0], vec![10.0, 15.0]));
        assert_eq!(clock.y, [0.5, 1.5]);
        assert!(monitor("r,l,t\n1,2,3\n").is_none());
    }

    #[test]
    fn seeds_are_of_one_column() {
        for (dir, name) in [
            ("a/ppo/s3", "sb3: ppo"),
            ("ppo/seed_1", "sb3: ppo"),
            ("a/ppo", "sb3: ppo"),
            ("a/ppo2", "sb3: ppo2"),
        ] {
            assert_eq!(column_name(Path::new(dir)), name, "{dir}");
        }
    }
}
