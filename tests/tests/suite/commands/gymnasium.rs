//! Environments of Python's Gymnasium through the whole command line, and what is left of them when a run ends in whatever way.

#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::helpers::command_line::{Place, result};
use serde_json::Value;

/// A place with the faulty environments in it, and the Python that `RL_GYM_PYTHON` names; without one the test is skipped, and says so.
struct Gym {
    place: Place,
    python: String,
}

impl Gym {
    fn new() -> Option<Self> {
        let Ok(python) = std::env::var("RL_GYM_PYTHON") else {
            eprintln!("skipped: RL_GYM_PYTHON names no Python with Gymnasium");
            return None;
        };
        let place = Place::new();
        let faulty = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/rl-gym/tests/python/faulty.py");
        fs::copy(faulty, place.path().join("faulty.py")).unwrap();
        Some(Gym { place, python })
    }

    fn args<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        [args, &["--python", &self.python]].concat()
    }

    fn json(&self, args: &[&str]) -> Value {
        self.place.json(&self.args(args))
    }

    fn run(&self, args: &[&str]) -> Output {
        self.place.run(&self.args(args))
    }

    /// Starts a training that goes on for long, in a process group of its own, as a shell does.
    fn train(&self, env: &str, more: &[&str]) -> Trainer {
        let args = [&["train", "ppo", env, "--quiet", "--total-steps", "100000000"], TINY, more].concat();
        let mut command = self.place.command(&self.args(&args));
        let child = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        Trainer { child }
    }
}

const TINY: &[&str] =
    &["--set", "n_steps=32", "--set", "batch_size=64", "--n-envs", "4", "--env-workers", "2"];

/// A running `rl train`, killed where a test ends early.
struct Trainer {
    child: Child,
}

impl Trainer {
    /// The processes of the environments, once so many run.
    fn workers(&self, n: usize) -> Vec<u32> {
        let mut found = Vec::new();
        eventually("the workers run", || {
            found = children_of(self.child.id());
            found.len() == n
        });
        found
    }

    /// A signal to the trainer's whole group, as Ctrl-C and `timeout` send it.
    fn signal_group(&self, signal: &str) {
        let group = format!("-{}", self.child.id());
        let sent = Command::new("kill").args([&format!("-{signal}"), "--", &group]).status().unwrap();
        assert!(sent.success());
    }

    fn ended(&mut self) -> (Option<i32>, String) {
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (self.child.wait().unwrap().code(), stderr)
    }
}

impl Drop for Trainer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn children_of(parent: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let (state, its_parent) = state_of(pid)?;
        (its_parent == parent && state != "Z").then_some(pid)
    });
    pids.collect()
}

fn state_of(pid: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

fn runs(pid: u32) -> bool {
    state_of(pid).is_some_and(|(state, _)| state != "Z")
}

#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn all_end(workers: &[u32]) {
    eventually("no worker is left", || !workers.iter().any(|pid| runs(*pid)));
}

const SHORT: &[&str] = &[
    "--set",
    "n_steps=64",
    "--set",
    "batch_size=64",
    "--n-envs",
    "4",
    "--total-steps",
    "512",
    "--eval-freq",
    "256",
];

#[test]
fn everything_works_through_it() {
    let Some(gym) = Gym::new() else { return };
    let env = r#"gym:CartPole-v1?{"kwargs":{"max_episode_steps":50}}"#;
    let kwargs = ["--env-kwargs", r#"{"max_episode_steps": 50}"#];
    for algo in ["trpo", "ppo"] {
        let train = |workers: &str| {
            let args = [
                &["train", algo, "gym:CartPole-v1", "--quiet", "--env-workers", workers][..],
                &kwargs,
                SHORT,
            ];
            gym.json(&args.concat())
        };
        let (one, two) = (train("1"), train("2"));
        assert_eq!((&one["env"], &one["total_steps"]), (&env.into(), &512.into()));
        assert!(one["eval"]["max"].as_f64().unwrap() <= 50.0);
        let dir = |document: &Value| gym.place.path().join(document["run_dir"].as_str().unwrap());
        // However many processes step them, and beside each other.
        assert_eq!(result(&dir(&one)), result(&dir(&two)));

        // The file it leaves gives the same run again; a saved policy finds its environment by itself.
        let config = dir(&one).join("config.toml");
        let again = gym.json(&["train", algo, env, "--quiet", "--config", config.to_str().unwrap()]);
        assert_eq!(result(&dir(&again)), result(&dir(&one)));
        let eval = gym.json(&["eval", one["run_dir"].as_str().unwrap()]);
        assert_eq!((&eval["eval"], &eval["env"]), (&one["eval"], &one["env"]));
    }
    let normalized = gym.json(
        &[
            &["train", "ppo", "gym:CartPole-v1", "--quiet", "--set", "normalize_observation=true"][..],
            &["--set", "normalize_reward=true"],
            SHORT,
        ]
        .concat(),
    );
    assert_eq!(normalized["total_steps"], 512);
}

#[test]
fn environments_are_compared_listed_checked_and_played() {
    let Some(gym) = Gym::new() else { return };
    let compare =
        [&["compare", "--env", "gym:CartPole-v1", "--env", "CartPole-v1", "--seeds", "2", "--quiet"], SHORT];
    let document = gym.json(&compare.concat());
    let envs: Vec<&str> =
        document["environments"].as_array().unwrap().iter().map(|e| e["env"].as_str().unwrap()).collect();
    assert_eq!(envs, ["gym:CartPole-v1", "CartPole-v1"]);

    let listed = gym.json(&["envs", "gym:faulty"]);
    let ids: Vec<&str> = listed.as_array().unwrap().iter().map(|env| env["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"gym:CartPole-v1") && ids.contains(&"gym:Faulty-v0"), "{ids:?}");

    let checked = gym.json(&["check-env", "gym:CartPole-v1"]);
    assert_eq!(checked["findings"], serde_json::json!([]));

    let run = gym.json(&[&["train", "trpo", "gym:faulty:Structured-v0", "--quiet"], SHORT].concat());
    assert!(run["mean_return_100"].as_f64().unwrap() > 2.0, "{run}");
    let faulty = gym.json(
        &[&["train", "trpo", "gym:faulty:Faulty-v0", "--quiet", "--no-eval", "--total-steps", "256"], TINY]
            .concat(),
    );
    let (dir, gif) = (faulty["run_dir"].as_str().unwrap(), "film.gif");
    let played = gym.json(&["play", dir, "--gif", gif, "--max-steps", "6"]);
    assert_eq!(played["episodes"], serde_json::json!([{"return": 6.0, "length": 6}]));
    assert!(fs::read(gym.place.path().join(gif)).unwrap().starts_with(b"GIF89a"));
}

#[test]
fn a_fault_ends_the_run_in_one_line_and_its_files_are_safe() {
    let Some(gym) = Gym::new() else { return };
    for (fault, parts) in [
        (
            "exception",
            &["update 2", "environment 0, step 40", "ZeroDivisionError: the cable broke", "faulty.py"][..],
        ),
        ("nan", &["environment 0, step 40", "element 1 of the observation is NaN"]),
        ("info", &["environment 0, step 40", "info['odd'] is 'perhaps', and no finite number or flag"]),
        ("killed", &["environments 0 to 1", "signal: 6"]),
        ("shape", &["environment 0, step 40", "the observation has shape [3]"]),
        ("hang", &["environments 0 to 1", "no answer to step in 2 s"]),
    ] {
        let kwargs = format!(r#"{{"fault":"{fault}","at":40}}"#);
        let out = format!("runs-{fault}");
        let train = ["train", "ppo", "gym:faulty:Faulty-v0", "--quiet", "--env-kwargs", &kwargs, "--no-eval"];
        let info = if fault == "info" { &["--env-info", "t,odd=mean"][..] } else { &[] };
        let train = [&train[..], info, &["--env-timeout", if fault == "hang" { "2" } else { "60" }]].concat();
        let output = gym.run(&[&train[..], &["--out", &out], TINY].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        // What the environment itself said stands before it.
        let ours: Vec<&str> = stderr.lines().filter(|line| line.starts_with("rl-under-test: ")).collect();
        assert_eq!(ours.len(), 1, "{stderr}");
        assert_eq!(stderr.lines().last(), Some(ours[0]), "{stderr}");
        assert!(parts.iter().all(|part| ours[0].contains(part)), "{parts:?} in {}", ours[0]);
        let envs = fs::read_dir(gym.place.path().join(out)).unwrap().next().unwrap().unwrap();
        let run = envs.path().join("ppo/s0");
        let summary: Value = serde_json::from_slice(&fs::read(run.join("summary.json")).unwrap()).unwrap();
        assert_eq!((&summary["status"], &summary["updates"]), (&"failed".into(), &1.into()));
        assert!(run.join("policy.safetensors").exists());
    }
}

/// Numbers and flags of `info` are logged as an environment's own metrics are, whichever way the worker hands them over; a key that is never there is named.
#[test]
fn what_info_tells_is_logged() {
    let Some(gym) = Gym::new() else { return };
    let wrapped = ["--env-wrapper", "faulty:Timed", "--env-info", "t,odd=mean,t10=sum,nowhere"];
    let train = ["train", "ppo", "gym:faulty:Faulty-v0", "--quiet", "--eval-freq", "64"];
    let run = gym.json(&[&train[..], &wrapped, TINY].concat());
    // Episodes of 10 steps: the last t is 10 · episode, half of all steps are odd.
    assert_eq!(run["mean_metrics_100"]["odd"], 0.5, "{run}");
    assert_eq!(run["mean_metrics_100"]["t10"], 10.0);
    assert_eq!(run["eval"]["metrics"]["odd"], 0.5);
    assert!(run["mean_metrics_100"].get("nowhere").is_none());
    let dir = run["run_dir"].as_str().unwrap();
    let table = fs::read_to_string(gym.place.path().join(dir).join("progress.csv")).unwrap();
    let header: Vec<&str> = table.lines().next().unwrap().split(',').collect();
    for tag in ["rollout/t", "rollout/odd", "rollout/nowhere", "eval/t10"] {
        assert!(header.contains(&tag), "{tag} in {header:?}");
    }
    let summary = fs::read_to_string(gym.place.path().join(dir).join("summary.json")).unwrap();
    assert!(summary.contains("no value of \\\"nowhere\\\""), "{summary}");
    let evaluated = gym.json(&["eval", dir, "--episodes", "3"]);
    assert_eq!(evaluated["eval"]["metrics"]["odd"], 0.5);
    let wrong = gym.run(&["train", "ppo", "gym:faulty:Faulty-v0", "--env-info", "t=max"]);
    let stderr = String::from_utf8(wrong.stderr).unwrap();
    assert!(wrong.status.code() == Some(2) && stderr.contains("none of last, mean and sum"), "{stderr}");
    let builtin = gym.run(&["train", "ppo", "CartPole-v1", "--env-info", "t"]);
    assert!(
        String::from_utf8(builtin.stderr).unwrap().contains("--env-info is for environments of Python's")
    );
}

/// The guide's environment with a mask is the file beside the other examples, and keeps its contract: it raises for a move that it masks.
#[test]
fn the_guides_environment_is_sound() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let source = fs::read_to_string(root.join("examples/python/courier.py")).unwrap();
    let guide = fs::read_to_string(root.join("docs/guides/gymnasium.md")).unwrap();
    assert!(guide.contains(&format!("```python\n{source}```")), "the guide shows another courier.py");
    let Some(gym) = Gym::new() else { return };
    fs::write(gym.place.path().join("courier.py"), source).unwrap();
    let checked = gym.json(&["check-env", "gym:courier:Courier-v0"]);
    assert_eq!(checked["findings"], serde_json::json!([]), "{checked}");
}

/// Masked environments train, and are evaluated, without a forbidden action, which would be an error of theirs.
#[test]
fn masked_actions_are_never_taken() {
    let Some(gym) = Gym::new() else { return };
    for algo in ["trpo", "ppo"] {
        let train =
            ["train", algo, "gym:faulty:Structured-v0", "--quiet", "--env-kwargs", r#"{"masked":true}"#];
        let output = gym.run(&[&train[..], SHORT].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{stderr}");
    }
}

#[test]
fn an_interrupted_run_saves_its_work_before_its_workers_end() {
    let Some(gym) = Gym::new() else { return };
    for (signal, expected) in [("INT", 130), ("TERM", 143)] {
        let mut trainer = gym.train("gym:CartPole-v1", &["--no-eval", "--out", signal]);
        let workers = trainer.workers(2);
        let policy = gym.place.path().join(signal).join("gym-CartPole-v1/ppo/s0/policy.safetensors");
        let progress = policy.with_file_name("progress.csv");
        eventually("it trains", || fs::read_to_string(&progress).is_ok_and(|text| text.lines().count() > 2));
        assert!(!policy.exists());
        trainer.signal_group(signal);
        let (code, stderr) = trainer.ended();
        assert_eq!(code, Some(expected), "{stderr}");
        assert!(stderr.contains("leaving the unfinished iteration"), "{stderr}");
        assert!(policy.exists());
        assert!(!workers.iter().any(|pid| runs(*pid)), "none outlives the trainer");
    }
}

/// A trainer that is killed cannot clean up: its workers must end by themselves, even in code that never lets Python's other threads run.
#[test]
fn a_killed_trainer_leaves_no_worker() {
    let Some(gym) = Gym::new() else { return };
    for fault in ["none", "hang", "hang_in_c", "child"] {
        let kwargs = format!(r#"{{"fault":"{fault}","at":40}}"#);
        let more = ["--no-eval", "--env-kwargs", &kwargs, "--out", fault];
        let trainer = gym.train("gym:faulty:Faulty-v0", &more);
        let workers = trainer.workers(2);
        std::thread::sleep(Duration::from_millis(500));
        assert!(workers.iter().all(|pid| runs(*pid)), "{fault}");
        // With their guards and with what the environments have started, a process each.
        let (mut all, expected) = (Vec::new(), if fault == "child" { 8 } else { 4 });
        eventually("all of them run", || {
            all = workers.iter().flat_map(|pid| [vec![*pid], children_of(*pid)].concat()).collect();
            all.len() == expected
        });
        trainer.signal_group("KILL");
        all_end(&all);
    }
}

#[test]
fn a_second_interruption_ends_everything_at_once() {
    let Some(gym) = Gym::new() else { return };
    let kwargs = r#"{"fault":"hang","at":40}"#;
    let mut trainer = gym.train("gym:faulty:Faulty-v0", &["--no-eval", "--env-kwargs", kwargs]);
    let workers = trainer.workers(2);
    std::thread::sleep(Duration::from_millis(500));
    trainer.signal_group("INT");
    std::thread::sleep(Duration::from_millis(200));
    trainer.signal_group("INT");
    assert_eq!(trainer.ended().0, Some(130));
    all_end(&workers);
}

#[test]
fn what_cannot_be_used_is_one_line() {
    let place = Place::new();
    for (args, parts) in [
        (
            &["train", "ppo", "CartPole-v1", "--env-kwargs", "{}"][..],
            &["--env-kwargs is for", "not for CartPole-v1"][..],
        ),
        (&["train", "ppo", "gym:CartPole-v1", "--env-kwargs", "[1]"], &["--env-kwargs [1]", "a JSON object"]),
        (&["train", "ppo", "gym:"], &["gym:", "expected gym:ID"]),
        (&["train", "ppo", "gym:CartPole-v1?{}x"], &["after the `?`"]),
        (&["check-env", "gym:CartPole-v1", "--python", "no-such-python"], &["no-such-python"]),
        (&["envs", "gymnasium"], &["\"gymnasium\": expected gym"]),
        (&["train", "ppo", "gym:CartPole-v1", "--env-workers", "0"], &["--env-workers"]),
    ] {
        let stderr = place.refuses(2, args);
        assert!(parts.iter().all(|part| stderr.contains(part)), "{args:?}: {stderr}");
    }
    let Some(gym) = Gym::new() else { return };
    let refused = gym.run(&["train", "ppo", "gym:CartPol-v1"]);
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert_eq!((refused.status.code(), stderr.lines().count()), (Some(2), 1), "{stderr}");
    assert!(stderr.contains("did you mean 'CartPole-v1'"), "{stderr}");
    // What is known of an environment counts before anything is collected in it.
    let kwargs = r#"{"vectorization_mode":"sync","vector_kwargs":{"autoreset_mode":"NextStep"}}"#;
    let refused = gym.run(
        &[
            &["train", "ppo", "gymvec:CartPole-v1", "--env-kwargs", kwargs][..],
            &["--set", "recompute_advantage=true"],
        ]
        .concat(),
    );
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert_eq!((refused.status.code(), stderr.lines().count()), (Some(2), 1), "{stderr}");
    assert!(
        stderr.contains("recompute_advantage = true: expected false for environments whose vector"),
        "{stderr}"
    );
}
