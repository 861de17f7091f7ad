//! Runs of Stable-Baselines3 beside ours: a `progress.csv` of its logger, or what its `Monitor` wrote.

use std::collections::HashSet;
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
    /// The directory that its column is called by: its own, or that above where it is called by a seed or an environment.
    place: PathBuf,
    env: Option<String>,
    run: Run,
}

/// Adds every run of Stable-Baselines3 below some directories to a study: to the environment that its monitor names or a part of its path is called by,
/// else to the only one there is. A directory that is given twice counts once.
///
/// # Errors
///
/// When a directory cannot be read.
pub(crate) fn add_foreign(study: &mut Study, dirs: &[PathBuf]) -> Result<()> {
    let mut found = Found::default();
    for dir in dirs {
        find(dir, &mut found)?;
    }
    let Found { runs, repeats, notes, .. } = found;
    study.notes.extend(notes);
    if repeats > 0 {
        let runs = if repeats == 1 { "1 run".to_owned() } else { format!("{repeats} runs") };
        study.notes.push(format!(
            "{runs} of Stable-Baselines3's would be there again by another path: each counts once."
        ));
    }
    let only = (study.tasks.len() == 1).then(|| study.tasks[0].env.clone());
    let names = column_names(&runs);
    for (Foreign { env, run, .. }, name) in runs.into_iter().zip(names) {
        let env = env.map(|env| ours(study, &env).unwrap_or(env));
        let env = env.or_else(|| in_path(study, &run.name)).or_else(|| only.clone());
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

/// The environment of the study that somebody else's program calls by this name: `gym:Hopper-v5` is `Hopper-v5` there.
fn ours(study: &Study, theirs: &str) -> Option<String> {
    let envs = || study.tasks.iter().map(|task| task.env.as_str());
    envs().find(|env| *env == theirs).or_else(|| envs().find(|env| bare(env) == theirs)).map(str::to_owned)
}

/// An environment's name as Gymnasium has it: without `gym:` or `gymvec:`, module and options.
fn bare(env: &str) -> &str {
    match env.strip_prefix("gym:").or_else(|| env.strip_prefix("gymvec:")) {
        None => env,
        Some(rest) => {
            let path = rest.split_once('?').map_or(rest, |(path, _)| path);
            path.rsplit_once(':').map_or(path, |(_, id)| id)
        }
    }
}

/// The environment of the study that a part of a path is called by, with or without a number behind it.
fn in_path(study: &Study, path: &str) -> Option<String> {
    path.split(['/', '\\']).find_map(|part| ours(study, part).or_else(|| ours(study, without_number(part))))
}

/// `CartPole-v1` for `CartPole-v1_3`.
fn without_number(name: &str) -> &str {
    match name.rsplit_once('_') {
        Some((before, number)) if is_number(number) => before,
        _ => name,
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// What was found.
#[derive(Default)]
struct Found {
    runs: Vec<Foreign>,
    /// Where, by its one true path.
    seen: HashSet<PathBuf>,
    repeats: usize,
    /// What cannot be read.
    notes: Vec<String>,
}

fn find(dir: &Path, found: &mut Found) -> Result<()> {
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
        let monitor = monitor(&String::from_utf8_lossy(&fs::read(path).with_context(failed)?));
        let fault = match &monitor {
            None => Some("it is no log of Stable-Baselines3's Monitor, and counts nowhere".to_owned()),
            Some(Monitor { damaged: 0, .. }) => None,
            Some(Monitor { damaged: 1, .. }) => Some("1 row cannot be read and is left out".to_owned()),
            Some(Monitor { damaged, .. }) => Some(format!("{damaged} rows cannot be read and are left out")),
        };
        found.notes.extend(fault.map(|fault| format!("{}: {fault}.", path.display())));
        monitors.extend(monitor);
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
            if run.clock.is_empty() {
                run.clock = clock;
            }
        }
        run.steps = run.clock.x.last().map(|step| *step as u64);
        run.training_seconds = run.clock.y.last().copied();
        run.steps_per_second = run.clock.points().last().filter(|(_, s)| *s > 0.0).map(|(step, s)| step / s);
        let path = fs::canonicalize(dir).with_context(failed)?;
        if found.seen.insert(path.clone()) {
            found.runs.push(Foreign { place: column_place(&path), env, run });
        } else {
            found.repeats += 1;
        }
    }
    paths.iter().filter(|path| path.is_dir()).try_for_each(|path| find(path, found))
}

/// The directory that runs are called by together: `ppo` for `ppo/s3`, `ppo/seed_1`, and `ppo/CartPole-v1_3` of rl-zoo.
fn column_place(dir: &Path) -> PathBuf {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let tells = |path: &&Path| !name(path).is_empty() && !is_seed(&name(path)) && !is_env(&name(path));
    dir.ancestors().find(tells).unwrap_or(dir).to_owned()
}

/// Whether a directory is called by a seed.
fn is_seed(name: &str) -> bool {
    let word = name.trim_end_matches(|c: char| c.is_ascii_digit());
    ["", "s", "seed", "seed_", "seed-", "run", "run_"].contains(&word) && word.len() < name.len()
}

/// Whether a directory is called by an environment, as Gymnasium calls them, with or without a number of the run.
fn is_env(name: &str) -> bool {
    without_number(name).rsplit_once("-v").is_some_and(|(id, version)| !id.is_empty() && is_number(version))
}

/// What every run's column is called: by its directory, and where several are called alike, by as much of their paths as tells them apart.
fn column_names(runs: &[Foreign]) -> Vec<String> {
    let last = |place: &Path, n: usize| -> String {
        let parts: Vec<String> = place.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        parts[parts.len().saturating_sub(n)..].join("/")
    };
    let mut places: Vec<&Path> = runs.iter().map(|run| run.place.as_path()).collect();
    places.sort();
    places.dedup();
    let is_clear =
        |place: &Path, n: usize| places.iter().filter(|other| last(other, n) == last(place, n)).count() == 1;
    let longest = places.iter().map(|place| place.iter().count()).max().unwrap_or(1);
    let name = |run: &Foreign| {
        // All that share a name go equally far.
        let twins = || places.iter().filter(|place| last(place, 1) == last(&run.place, 1));
        let n = (1..longest).find(|n| twins().all(|twin| is_clear(twin, *n))).unwrap_or(longest);
        format!("sb3: {}", last(&run.place, n))
    };
    runs.iter().map(name).collect()
}

/// What one monitor saw: episodes with return, length and seconds since its beginning.
struct Monitor {
    env: Option<String>,
    episodes: Vec<[f64; 3]>,
    /// Rows that cannot be read, other than one at the end that was cut off.
    damaged: usize,
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
    let episodes: Vec<Option<[f64; 3]>> = lines.filter(|line| !line.is_empty()).map(episode).collect();
    let cut_off = usize::from(episodes.last().is_some_and(Option::is_none) && !rest.ends_with('\n'));
    let damaged = episodes.iter().filter(|episode| episode.is_none()).count() - cut_off;
    Some(Monitor { env: env.map(str::to_owned), episodes: episodes.into_iter().flatten().collect(), damaged })
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
        let torn = monitor("#{}\nr,l,t\n1,2,3\nx,y\n4,5,6\n7,8").unwrap();
        assert_eq!((torn.episodes.len(), torn.damaged), (2, 1));
    }

    #[test]
    fn seeds_are_of_one_column() {
        let names = |dirs: &[&str]| {
            let run =
                |dir: &&str| Foreign { place: column_place(Path::new(dir)), env: None, run: Run::default() };
            column_names(&dirs.iter().map(run).collect::<Vec<_>>())
        };
        assert_eq!(
            names(&["/a/ppo/s3", "/a/ppo/seed_1", "/a/ppo", "/a/ppo2"]),
            ["sb3: ppo", "sb3: ppo", "sb3: ppo", "sb3: ppo2"]
        );
        // rl-zoo's.
        let zoo = [
            "/logs/ppo/CartPole-v1_1",
            "/logs/ppo/CartPole-v1_2",
            "/logs/trpo/CartPole-v1_1",
            "/logs/a2c/ALE/Pong-v5",
        ];
        assert_eq!(names(&zoo[..3]), ["sb3: ppo", "sb3: ppo", "sb3: trpo"]);
        assert_eq!(names(&["/CartPole-v1_1"]), ["sb3: CartPole-v1_1"]);
        assert_eq!(
            names(&["/old/ppo/s0", "/new/ppo/s0", "/new/dqn"]),
            ["sb3: old/ppo", "sb3: new/ppo", "sb3: dqn"]
        );
    }

    #[test]
    fn environments_are_found_again() {
        let task = |env: &str| Task { env: env.to_owned(), ..Task::default() };
        let tasks =
            ["gym:Hopper-v5", "gym:my.envs:Corridor-v0?{\"kwargs\":{}}", "CartPole-v1"].map(task).to_vec();
        let study = Study { tasks, ..Study::default() };
        for (theirs, here) in
            [("Hopper-v5", Some(0)), ("Corridor-v0", Some(1)), ("CartPole-v1", Some(2)), ("Ant-v5", None)]
        {
            assert_eq!(ours(&study, theirs), here.map(|i: usize| study.tasks[i].env.clone()), "{theirs}");
        }
        assert_eq!(in_path(&study, "logs/ppo/Hopper-v5_2").as_deref(), Some("gym:Hopper-v5"));
    }
}
