//! The command line: what it prints and what it leaves.

use std::fs;
use std::path::Path;

use crate::helpers::command_line::{Place, SHORT, files, progress, result};
use serde_json::Value;

#[test]
fn a_run_leaves_what_it_should_and_overwrites_nothing() {
    let place = Place::new();
    let document = place.json(&[&["train", "trpo", "CartPole-v1", "--seed", "3"], SHORT].concat());
    let fields: Vec<&String> = document.as_object().unwrap().keys().collect();
    assert_eq!(
        fields,
        [
            "algo",
            "env",
            "seed",
            "status",
            "stopped_because",
            "total_steps",
            "wall_seconds",
            "steps_per_second",
            "episodes",
            "mean_return_100",
            "eval",
            "updates",
            "rejected_updates",
            "run_dir"
        ]
    );
    assert_eq!(
        document["eval"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["episodes", "mean", "std", "min", "max"]
    );
    assert_eq!((&document["total_steps"], &document["updates"]), (&Value::from(2048), &Value::from(4)));
    assert_eq!(document["eval"]["episodes"], 100);

    let dir = place.path().join("runs/CartPole-v1/trpo/s3");
    assert_eq!(document["run_dir"], "runs/CartPole-v1/trpo/s3");
    let names: Vec<String> =
        files(&dir).iter().map(|f| f.strip_prefix(&dir).unwrap().display().to_string()).collect();
    let events = names.iter().find(|name| name.starts_with("events.out.tfevents.")).unwrap();
    let best = [
        "checkpoints",
        "checkpoints/best",
        "checkpoints/best/policy.safetensors",
        "checkpoints/step-000000000001536.safetensors",
        "checkpoints/step-000000000002048.safetensors",
    ];
    let others = ["config.toml", events, "policy.safetensors", "progress.csv", "summary.json"];
    assert_eq!(names, [&best[..], &others[..]].concat());
    assert_eq!(progress(&dir).len(), 1 + 4);
    let summary: Value = serde_json::from_slice(&fs::read(dir.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["reproducible"], "everywhere");

    // The file it leaves gives the same run again, beside the first.
    let again = place.train("trpo", "CartPole-v1", &["--config", "runs/CartPole-v1/trpo/s3/config.toml"]);
    assert_eq!(again, place.path().join("runs/CartPole-v1/trpo/s3-2"));
    assert_eq!(result(&again), result(&dir));
    assert_eq!(fs::read(again.join("config.toml")).unwrap(), fs::read(dir.join("config.toml")).unwrap());

    // The policy evaluated by itself is the one evaluated at the end.
    let eval = place.json(&["eval", "runs/CartPole-v1/trpo/s3", "--episodes", "100"]);
    assert_eq!(eval["eval"], document["eval"]);
    place.json(&["eval", "runs/CartPole-v1/trpo/s3/checkpoints/best", "--episodes", "3", "--stochastic"]);
}

/// Defaults < preset < file < `--set` < flags; aliases count as what they stand for.
#[test]
fn later_settings_win() {
    let place = Place::new();
    fs::write(
        place.path().join("mine.toml"),
        "n_envs = 3\nn_steps = 100\ngae_lambda = 0.5\nseed = 9\n[trpo]\nmax_kl = 0.03\n",
    )
    .unwrap();
    let more = [
        "--config",
        "mine.toml",
        "--set",
        "n_envs=5",
        "--set",
        "target_kl=0.04",
        "--set",
        "n_steps=1e2",
        "--set",
        "batch_size=100",
        "--n-envs",
        "2",
    ];
    let dir =
        place.train("trpo", "CartPole-v1", &[&more[..], &["--total-steps", "1e2", "--no-eval"]].concat());
    let config = fs::read_to_string(dir.join("config.toml")).unwrap();
    for line in [
        "seed = 9",
        "n_envs = 2",
        "n_steps = 100",
        "gae_lambda = 0.5",
        "max_kl = 0.04",
        "total_steps = 100",
        "cg_damping = 0.1",
        "cg_iters = 15",
        "eval_freq = \"never\"",
    ] {
        assert!(config.lines().any(|l| l == line), "no `{line}` in\n{config}");
    }
    // `none` is no value, and stays so in the file.
    let dir = place.train(
        "ppo",
        "CartPole-v1",
        &[
            "--preset",
            "sb3",
            "--set",
            "clip_range_vf=0.2",
            "--set",
            "clip_range_vf=none",
            "--total-steps",
            "1",
        ],
    );
    let config = fs::read_to_string(dir.join("config.toml")).unwrap();
    assert!(config.contains("clip_range_vf = \"none\"\n") && config.contains("n_steps = 2048\n"), "{config}");
}

/// Rollouts of whole episodes are there for every algorithm, A2C's own default of `n_steps` notwithstanding.
#[test]
fn episodes_are_rollouts_of_every_algorithm() {
    let place = Place::new();
    let short = ["--preset", "sb3", "--total-steps", "100", "--n-envs", "1", "--no-eval"];
    for algo in ["a2c", "ppo", "ppo-kl", "trpo", "npg"] {
        // Whoever says the one says that the other is not to be.
        let episodes = ["--set", "n_episodes=1"];
        let dir = place.train(algo, "CartPole-v1", &[&short[..], &episodes].concat());
        let config = fs::read_to_string(dir.join("config.toml")).unwrap();
        assert!(config.contains("n_steps = \"none\"\n") && config.contains("n_episodes = 1\n"), "{config}");
    }
    // A file that says both is all there is, without a word of what is trained.
    fs::write(
        place.path().join("whole.toml"),
        fs::read(place.path().join("runs/CartPole-v1/ppo/s0/config.toml")).unwrap(),
    )
    .unwrap();
    let again = place.run(&["train", "--config", "whole.toml", "--quiet"]);
    assert!(String::from_utf8(again.stdout).unwrap().starts_with("ppo on CartPole-v1, seed 0, preset sb3: "));
    let steps = place.train("ppo", "CartPole-v1", &["--config", "whole.toml", "--set", "n_steps=64"]);
    let config = fs::read_to_string(steps.join("config.toml")).unwrap();
    assert!(config.contains("n_steps = 64\n") && config.contains("n_episodes = \"none\"\n"), "{config}");
    let shown_of = |args: &[&str]| String::from_utf8(place.run(args).stdout).unwrap();
    // What is none, or was taken back, takes nothing back.
    fs::write(place.path().join("none.toml"), "n_episodes = \"none\"\n").unwrap();
    fs::write(place.path().join("four.toml"), "n_episodes = 4\n").unwrap();
    let none = shown_of(&["show-config", "a2c", "CartPole-v1", "--config", "none.toml"]);
    let back =
        shown_of(&["show-config", "a2c", "CartPole-v1", "--config", "four.toml", "--set", "n_episodes=none"]);
    assert!(none.contains("n_steps = 5 ") && back.contains("n_steps = 5 "), "{none}{back}");
    // The only argument may be the environment.
    let other = shown_of(&["train", "Acrobot-v1", "--config", "whole.toml", "--quiet"]);
    assert_eq!(other, "");
    fs::write(place.path().join("algo.toml"), "algo = \"a2c\"\ntotal_steps = 100\n").unwrap();
    let other = shown_of(&["train", "Acrobot-v1", "--config", "algo.toml", "--quiet"]);
    assert!(other.starts_with("a2c on Acrobot-v1, seed 0"), "{other}");
    let shown = shown_of(&["show-config", "a2c", "Acrobot-v1"]);
    assert!(shown.contains("n_steps = 5 ") && shown.contains("gae_lambda = 1.0 "), "{shown}");
}

#[test]
fn a_shown_config_is_a_config() {
    let place = Place::new();
    for (algo, env) in
        [("ppo", "CartPole-v1"), ("trpo", "Pendulum-v1"), ("ppo", "Acrobot-v1"), ("lazy", "CartPole-v1")]
    {
        let shown = place.run(&["show-config", algo, env]).stdout;
        fs::write(place.path().join("shown.toml"), &shown).unwrap();
        let dir = place.train(
            algo,
            env,
            &["--config", "shown.toml", "--preset", "sb3", "--total-steps", "1", "--no-eval"],
        );
        let left = fs::read_to_string(dir.join("config.toml")).unwrap();
        let settings = |text: &str| -> Vec<String> {
            let changed = ["eval_freq", "total_steps", "preset", "#"];
            let lines = text.lines().filter(|l| !changed.iter().any(|c| l.starts_with(c)));
            lines.map(|l| l.split("  # ").next().unwrap().trim_end().to_owned()).collect()
        };
        assert_eq!(settings(&left), settings(&String::from_utf8(shown).unwrap()));
    }
}

/// Every value is shown with who said it last.
#[test]
fn a_shown_config_says_where_values_come_from() {
    let place = Place::new();
    fs::write(place.path().join("mine.toml"), "gae_lambda = 0.5\n[trpo]\nmax_kl = 0.03\n").unwrap();
    let args =
        ["show-config", "trpo", "CartPole-v1", "--config", "mine.toml", "--set", "gamma=1", "--seed", "4"];
    let text = String::from_utf8(place.run(&args).stdout).unwrap();
    let document = place.json(&args);
    for (key, value, source) in [
        ("max_kl", "0.03", "mine.toml"),
        ("gae_lambda", "0.5", "mine.toml"),
        ("gamma", "1.0", "--set"),
        ("seed", "4", "--seed"),
        ("cg_damping", "0.1", "preset best"),
        ("cg_iters", "15", "default of sb3-contrib"),
        ("net_arch", "[32, 32]", "preset best"),
        ("activation", "\"tanh\"", "default of Stable-Baselines3"),
        ("eval_freq", "\"tenths\"", "default"),
    ] {
        let line = text.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
        let (set, comment) = line.split_once("  # ").unwrap();
        assert_eq!((set.trim_end(), comment), (&*format!("{key} = {value}"), source));
        assert_eq!(document["sources"][key], source);
        // TOML has no null: what is off is written "none" there.
        let expected = if value == "\"none\"" { "null" } else { value };
        assert_eq!(document["settings"][key].to_string().replace(',', ", "), expected);
    }
    assert_eq!((&document["algo"], &document["preset"]), (&Value::from("trpo"), &Value::from("best")));
}

/// What can be set is listed, for a user's own algorithm too.
#[test]
fn settings_are_listed() {
    let place = Place::new();
    let of = |algo: &str, key: &str| {
        let settings = place.json(&["settings", algo]);
        let found = settings.as_array().unwrap().iter().find(|setting| setting["key"] == key);
        found.unwrap_or_else(|| panic!("no {key}")).clone()
    };
    let clip = of("ppo", "clip_range");
    assert_eq!((&clip["default"], &clip["source"]), (&Value::from(0.2), &Value::from("Stable-Baselines3")));
    assert_eq!(
        (&clip["kind"]["kinds"][0]["type"], &clip["scale"]),
        (&Value::from("schedule"), &Value::from("log"))
    );
    assert_eq!(of("trpo", "max_kl")["aliases"], serde_json::json!(["target_kl"]));
    assert_eq!(of("ppo", "gamma")["allowed"], "a number from 0 to 1");
    assert_eq!(of("lazy", "ambition")["kind"]["type"], "real");
    assert_eq!(of("lazy", "seed")["default"], 0);
    let text = String::from_utf8(place.run(&["settings", "trpo"]).stdout).unwrap();
    let mut lines = text.lines().skip_while(|line| !line.starts_with("backtrack_coeff "));
    let mut entry = lines.next().unwrap().to_owned();
    lines.take_while(|line| line.starts_with(' ')).for_each(|line| entry += &format!(" {}", line.trim()));
    for part in ["0.8", "sb3-contrib", "a number between 0 and 1", "line_search_shrinking_factor"] {
        assert!(entry.contains(part), "no {part:?} in {entry}");
    }
}

/// A label tells runs apart, in the directory and in a file that gives the run again.
#[test]
fn a_label_names_the_directory() {
    let place = Place::new();
    let dir = place.train("lazy", "CartPole-v1", &[SHORT, &["--label", "a/b"]].concat());
    assert_eq!(dir, place.path().join("runs/CartPole-v1/lazy-a-b/s0"));
    let again = place.train("lazy", "CartPole-v1", &["--config", dir.join("config.toml").to_str().unwrap()]);
    assert_eq!(again, place.path().join("runs/CartPole-v1/lazy-a-b/s0-2"));
}

/// What one run of a comparison gives is what it gives alone.
#[test]
fn a_comparison_is_made_of_runs() {
    let place = Place::new();
    let more = [
        "--set",
        "ppo.clip_range=0.1",
        "--set",
        "trpo.target_kl=0.02",
        "--set",
        "max_kl=0.03",
        "--seed",
        "5",
    ];
    let args = [&["compare", "lazy", "ppo", "trpo", "--seeds", "2", "--threads", "3"], SHORT, &more].concat();
    let document = place.json(&args);
    assert_eq!(document["runs_at_once"], 3);
    let env = &document["environments"][0];
    assert_eq!((&env["env"], &env["threshold"]), (&Value::from("CartPole-v1"), &Value::from(475.0)));
    assert_eq!(env["improvement"].as_array().unwrap().len(), 3);
    for (i, algo) in ["lazy", "ppo", "trpo"].into_iter().enumerate() {
        let of_algo = &env["algorithms"][i];
        assert_eq!(of_algo["algo"], algo);
        assert_eq!(of_algo["seeds"].as_array().unwrap().len(), 2);
        assert!(of_algo["iqm"]["value"].is_f64() && of_algo["mean"]["value"].is_f64());
    }
    assert_eq!(env["algorithms"][0]["seeds"][0]["rejected_updates"], 3);

    let own =
        |key: &str| more.iter().filter(|m| m.starts_with(key)).flat_map(|m| ["--set", m]).collect::<Vec<_>>();
    let alone = place.train("ppo", "CartPole-v1", &[SHORT, &own("ppo."), &["--seed", "6"]].concat());
    assert_eq!(result(&alone), result(&place.path().join("runs/CartPole-v1/ppo/s6")));
    let alone =
        place.train("trpo", "CartPole-v1", &[SHORT, &["--set", "max_kl=0.03", "--seed", "6"]].concat());
    assert_eq!(result(&alone), result(&place.path().join("runs/CartPole-v1/trpo/s6")));
}

/// A user's algorithm reports its own scalars; one without meaning is an empty cell.
#[test]
fn own_scalars_get_columns() {
    let place = Place::new();
    let dir = place.train("lazy", "Pendulum-v1", SHORT);
    let rows = progress(&dir);
    let column = |name: &str| rows[0].iter().position(|c| c == name).unwrap();
    for row in &rows[1..] {
        assert_eq!((&*row[column("train/naps")], &*row[column("train/mood")]), ("1", ""));
        assert_eq!((&*row[column("train/std")], &*row[column("train/approx_kl")]), ("1", ""));
        assert!(row[column("eval/mean_reward")].parse::<f64>().unwrap() < 0.0);
    }
}

/// A run that fails says where, and leaves what it had written.
#[test]
fn a_failed_run_leaves_what_was_written() {
    let place = Place::new();
    let output = place.run(&["train", "ppo", "Faulty-v0", "--set", "n_steps=128", "--quiet", "--no-eval"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
    for part in [
        "ppo on Faulty-v0",
        "runs/Faulty-v0/ppo/s0",
        "update 3 (from step 256)",
        "environment 0",
        "the cable broke",
    ] {
        assert!(stderr.contains(part), "no {part:?} in {stderr}");
    }
    let dir = place.path().join("runs/Faulty-v0/ppo/s0");
    assert_eq!(progress(&dir).len(), 1 + 2);
    let summary: Value = serde_json::from_slice(&fs::read(dir.join("summary.json")).unwrap()).unwrap();
    assert_eq!((&summary["status"], &summary["total_steps"]), (&Value::from("failed"), &Value::from(256)));
    assert!(summary["error"].as_str().unwrap().contains("the cable broke"));
}

/// Ctrl-C finishes the update in progress and saves.
#[cfg(unix)]
#[test]
fn an_interrupted_run_is_saved() {
    let place = Place::new();
    let more = ["--total-steps", "1e12", "--eval-freq", "2048", "--quiet", "--json"];
    let mut child = place.command(&[&["train", "ppo", "CartPole-v1"][..], &more].concat());
    let child =
        child.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let dir = place.path().join("runs/CartPole-v1/ppo/s0");
    let started = std::time::Instant::now();
    while !dir.join("checkpoints/best/policy.safetensors").exists() {
        assert!(started.elapsed().as_secs() < 60, "no evaluation within a minute");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["eval"], Value::Null);
    assert_eq!(progress(&dir).len() as u64, 1 + document["updates"].as_u64().unwrap());
    assert_eq!(document["total_steps"], rl_train::Policy::load(&dir).unwrap().steps());
    place.json(&["eval", "runs/CartPole-v1/ppo/s0", "--episodes", "2"]);
}

#[test]
fn lists_are_complete() {
    let place = Place::new();
    let envs = place.json(&["envs"]);
    let pole = envs.as_array().unwrap().iter().find(|e| e["id"] == "CartPole-v1").unwrap();
    assert_eq!(
        (&pole["max_episode_steps"], &pole["reward_threshold"]),
        (&Value::from(500), &Value::from(475.0))
    );
    assert!(envs.as_array().unwrap().iter().any(|e| e["id"] == "Faulty-v0"));
    let presets = place.json(&["presets"]);
    let zoo = presets
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["preset"] == "zoo" && p["algo"] == "ppo" && p["env"] == "CartPole-v1")
        .unwrap();
    assert_eq!(zoo["settings"]["clip_range"], "lin_0.2");
    assert!(presets.as_array().unwrap().iter().any(|p| p["preset"] == "defaults" && p["algo"] == "lazy"));
}

#[test]
fn two_runs_are_told_apart() {
    let place = Place::new();
    let train = |seed: &str, out: &str| {
        let more = [SHORT, &["--seed", seed, "--out", out, "--set", "n_epochs=2"]].concat();
        place.train("ppo", "CartPole-v1", &more)
    };
    let (a, twin, other) = (train("1", "a"), train("1", "b"), train("2", "a"));
    let diff = |b: &Path| {
        let output = place.run(&["diff", a.to_str().unwrap(), b.to_str().unwrap()]);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let same = "progress.csv: the same, times aside\npolicy: the same bytes\n";
    assert_eq!(diff(&twin), (Some(0), same.to_owned()));
    let (code, told) = diff(&other);
    assert_eq!(code, Some(1), "{told}");
    for word in ["setting", "seed ", "eval.mean ", "the same up to step 512", "policy: another one"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    // 1 says that runs differ, and not that one cannot be read.
    place.refuses(2, &["diff", a.to_str().unwrap(), "nowhere"]);
    fs::create_dir(twin.join("unreadable")).unwrap();
    fs::remove_file(twin.join("policy.safetensors")).unwrap();
    fs::rename(twin.join("unreadable"), twin.join("policy.safetensors")).unwrap();
    place.refuses(2, &["diff", a.to_str().unwrap(), twin.to_str().unwrap()]);
    // Two runs that left nothing are not told to be the same.
    for run in [&a, &twin] {
        fs::remove_file(run.join("progress.csv")).unwrap();
        fs::remove_file(run.join("summary.json")).unwrap();
    }
    fs::remove_file(a.join("policy.safetensors")).unwrap();
    fs::remove_dir(twin.join("policy.safetensors")).unwrap();
    let neither = "summary.json: neither has one\nprogress.csv: neither has one\npolicy: neither has one\n";
    assert_eq!(diff(&twin), (Some(0), neither.to_owned()));
}

#[test]
fn shells_and_the_manual_know_the_commands() {
    let place = Place::new();
    let script = place.run(&["completions", "bash"]);
    assert!(script.status.success() && String::from_utf8(script.stdout).unwrap().contains("check-env"));
    assert!(place.run(&["man", "pages"]).status.success());
    let pages: Vec<_> =
        fs::read_dir(place.path().join("pages")).unwrap().flatten().map(|e| e.file_name()).collect();
    assert!(
        pages.len() > 10 && pages.iter().any(|page| page.to_string_lossy().contains("compare")),
        "{pages:?}"
    );
}
