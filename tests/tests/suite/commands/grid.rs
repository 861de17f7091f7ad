//! `rl compare` as a grid: variants, environments, parts of it, what is finished already, and seeds until it is clear.

use std::fs;
use std::path::Path;

use crate::helpers::command_line::{Place, SHORT, files, result};
use serde_json::{Value, json};

/// Runs a comparison that must succeed, and gives its document.
#[track_caller]
fn compare(place: &Place, args: &[&str], more: &[&str]) -> Value {
    place.json(&[&["compare"], args, &["--quiet"], more].concat())
}

/// What does not depend on when and where the runs ran, and on what was there before.
fn outcome(document: &Value) -> Value {
    const ASIDE: [&str; 8] = [
        "command",
        "wall_seconds",
        "steps_per_second",
        "seconds_to_threshold",
        "run_dir",
        "runs_at_once",
        "taken_over",
        "notes",
    ];
    match document {
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, _)| !ASIDE.contains(&key.as_str()));
            Value::Object(kept.map(|(key, value)| (key.clone(), outcome(value))).collect())
        }
        Value::Array(list) => list.iter().map(outcome).collect(),
        value => value.clone(),
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn names(document: &Value, env: usize) -> Vec<&str> {
    let algorithms = document["environments"][env]["algorithms"].as_array().unwrap();
    algorithms.iter().map(|of_algo| of_algo["name"].as_str().unwrap()).collect()
}

/// The values of a setting that differs.
fn differs(document: &Value, env: usize, key: &str) -> Option<Value> {
    let differences = document["environments"][env]["differences"].as_array().unwrap();
    differences.iter().find(|d| d["key"] == key).map(|d| d["values"].clone())
}

/// Variants of one algorithm, several environments and presets in one command; each column is the run it would be alone.
#[test]
fn variants_are_columns_of_their_own() {
    let place = Place::new();
    let variants =
        ["ppo", "ppo:clip_range=0.1,net_arch=[8,8]", "ppo@sb3:label=plain", "lazy", "--env", "CartPole-v1"];
    let args = [&variants[..], &["--env", "Acrobot-v1", "--seeds", "2"], SHORT].concat();
    let document = compare(&place, &args, &["--set", "batch_size=64"]);
    for env in [0, 1] {
        assert_eq!(names(&document, env), ["ppo", "ppo-clip_range=0.1,net_arch=[8,8]", "ppo-plain", "lazy"]);
        assert_eq!(
            differs(&document, env, "net_arch"),
            Some(
                json!({"ppo": [64, 64], "ppo-clip_range=0.1,net_arch=[8,8]": [8, 8], "ppo-plain": [64, 64], "lazy": [64, 64]})
            )
        );
        assert_eq!(differs(&document, env, "n_envs"), None);
        assert_eq!(document["environments"][env]["improvement"].as_array().unwrap().len(), 6);
    }
    let column = &document["environments"][0]["algorithms"][1];
    assert_eq!((&column["algo"], &column["preset"]), (&json!("ppo"), &json!("best")));
    let dir = place.path().join("runs/CartPole-v1/ppo-clip_range=0.1,net_arch=[8,8]/s1");
    let alone =
        ["--set", "clip_range=0.1", "--set", "net_arch=[8,8]", "--set", "batch_size=64", "--seed", "1"];
    let alone = place.train("ppo", "CartPole-v1", &[SHORT, &alone].concat());
    assert_eq!(result(&alone), result(&dir));

    // Different presets are said aloud.
    let text = place.run(&[&["compare"], &args[..], &["--set", "batch_size=64"]].concat());
    let text = String::from_utf8(text.stdout).unwrap();
    for part in [
        "CAUTION: different presets, best (ppo, ppo-clip_range=0.1,net_arch=[8,8]), sb3 (ppo-plain), defaults (lazy)",
        "Settings that differ: ",
        "gae_lambda 0.9 (ppo, ",
        "; clip_range \"lin_0.2\" (ppo), 0.1 (ppo-clip_range=0.1,net_arch=[8,8]), 0.2 (ppo-plain)",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

#[test]
fn other_budgets_are_said_aloud() {
    let place = Place::new();
    let args =
        ["compare", "lazy", "lazy:total_steps=512", "--seeds", "1", "--set", "n_steps=64", "--no-eval"];
    let text = place.run(&[&args[..], &["--total-steps", "128"]].concat());
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("CAUTION: different budgets, total_steps 128 (lazy), 512 (lazy-total"), "{text}");
    assert!(!text.contains("different presets"), "{text}");
}

/// The same command again continues: what is finished is taken over, what is not is begun again in its place.
#[test]
fn a_grid_that_was_left_is_continued() {
    let (whole, left) = (Place::new(), Place::new());
    let args = |seeds| [&["lazy", "ppo:clip_range=0.1", "--seeds", seeds], SHORT].concat();
    let expected = compare(&whole, &args("6"), &[]);
    compare(&left, &args("3"), &[]);
    // One run was killed in the middle, another before it wrote anything.
    let runs = left.path().join("runs/CartPole-v1");
    let killed = runs.join("ppo-clip_range=0.1/s1");
    fs::remove_file(killed.join("summary.json")).unwrap();
    fs::write(killed.join("notes"), "mine").unwrap();
    fs::remove_dir_all(runs.join("lazy/s2")).unwrap();
    let stamp = |dir: &str| fs::metadata(runs.join(dir).join("summary.json")).unwrap().modified().unwrap();
    let before = stamp("lazy/s0");

    let continued = compare(&left, &args("6"), &[]);
    assert_eq!(outcome(&continued), outcome(&expected));
    assert_eq!((&continued["taken_over"], &expected["taken_over"]), (&json!(4), &json!(0)));
    assert_eq!(stamp("lazy/s0"), before);
    assert_eq!(fs::read_to_string(killed.join("notes")).unwrap(), "mine");
    for seed in 0..6 {
        let dir = format!("runs/CartPole-v1/ppo-clip_range=0.1/s{seed}");
        assert_eq!(result(&left.path().join(&dir)), result(&whole.path().join(&dir)));
        assert!(!left.path().join(format!("{dir}-2")).exists());
    }
    let text =
        String::from_utf8(left.run(&[&["compare", "--quiet"], &args("6")[..]].concat()).stdout).unwrap();
    assert!(text.contains("12 of 12 runs were finished already") && text.contains("--fresh"), "{text}");

    // One whose table is not the one that its checkpoints speak of cannot go on. It stays, and is begun again beside.
    let damaged = runs.join("ppo-clip_range=0.1/s4");
    fs::remove_file(damaged.join("summary.json")).unwrap();
    fs::write(damaged.join("progress.csv"), "time/total_timesteps\n512\n").unwrap();
    assert_eq!(outcome(&compare(&left, &args("6"), &[])), outcome(&expected));
    assert_eq!(fs::read_to_string(damaged.join("progress.csv")).unwrap(), "time/total_timesteps\n512\n");
    assert!(runs.join("ppo-clip_range=0.1/s4-2/summary.json").exists());

    // Whoever asks for it gets them anew, beside the others; so does another configuration of the same name.
    compare(&left, &args("1"), &["--fresh"]);
    assert!(runs.join("lazy/s0-2").exists() && !runs.join("lazy/s1-2").exists());
    let other = compare(&left, &args("1"), &["--set", "gamma=0.5"]);
    assert_eq!(
        other["environments"][0]["algorithms"][0]["seeds"][0]["run_dir"],
        "runs/CartPole-v1/lazy/s0-3"
    );
    let again = compare(&left, &args("1"), &["--set", "gamma=0.5"]);
    assert_eq!((outcome(&again), &again["taken_over"]), (outcome(&other), &json!(2)));
}

/// Ctrl-C keeps what is finished, and the same command goes on from there.
#[cfg(unix)]
#[test]
fn an_interrupted_grid_is_continued() {
    let (whole, left) = (Place::new(), Place::new());
    let args = ["lazy", "trpo", "--seeds", "6", "--threads", "1", "--set", "n_steps=128", "--n-envs", "4"];
    let args = [&args[..], &["--total-steps", "10240", "--eval-freq", "5120"]].concat();
    let mut child = left.command(&[&["compare", "--quiet", "--json"], &args[..]].concat());
    let child =
        child.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let started = std::time::Instant::now();
    while !left.path().join("runs/CartPole-v1/trpo/s1/summary.json").exists() {
        assert!(started.elapsed().as_secs() < 60, "no run within a minute");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let first: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (runs, interrupted) = (&first["runs"], &first["environments"][0]["algorithms"]);
    let interrupted: u64 =
        interrupted.as_array().unwrap().iter().map(|a| a["interrupted"].as_u64().unwrap()).sum();
    assert!((4..12).contains(&runs.as_u64().unwrap()), "{runs} runs");

    let continued = compare(&left, &args, &[]);
    assert_eq!(continued["taken_over"].as_u64().unwrap(), runs.as_u64().unwrap() - interrupted);
    assert_eq!(outcome(&continued), outcome(&compare(&whole, &args, &[])));
}

/// Three parts, run by whoever, are the whole once their directories are put together.
#[test]
fn shards_put_together_are_the_whole() {
    for lean in [&[][..], &["--lean"]] {
        let (whole, together) = (Place::new(), Place::new());
        let args = [&["lazy", "ppo", "--env", "CartPole-v1", "--env", "Acrobot-v1"], SHORT, lean].concat();
        let args = [&args[..], &["--set", "batch_size=64", "--seeds", "3"]].concat();
        let expected = compare(&whole, &args, &[]);
        for shard in ["1/3", "2/3", "3/3"] {
            let part = Place::new();
            let document = compare(&part, &args, &["--shard", shard]);
            assert_eq!(document["runs"], 4);
            copy(&part.path().join("runs"), &together.path().join("runs"));
        }
        let document = compare(&together, &args, &[]);
        assert_eq!(document["taken_over"], 12);
        assert_eq!(outcome(&document), outcome(&expected));
        let table = |place: &Place| {
            let text = fs::read_to_string(place.path().join("runs/compare-evaluations.csv")).unwrap();
            let timeless = |line: &str| -> Vec<String> {
                line.split(',')
                    .enumerate()
                    .filter(|(i, _)| *i != 6)
                    .map(|(_, cell)| cell.to_owned())
                    .collect()
            };
            text.lines().map(timeless).collect::<Vec<_>>()
        };
        assert_eq!(table(&together).len(), 1 + 4 * 3 * 4);
        assert_eq!(table(&together), table(&whole));
    }
}

/// Without files of single runs the comparison is the same.
#[test]
fn a_lean_comparison_is_the_same() {
    let (full, lean) = (Place::new(), Place::new());
    let args = [&["lazy", "trpo", "--seeds", "5"], SHORT].concat();
    let expected = compare(&full, &args, &[]);
    let document = compare(&lean, &args, &["--lean"]);
    assert_eq!(outcome(&document), outcome(&expected));
    let left: Vec<String> = files(&lean.path().join("runs"))
        .iter()
        .map(|file| file.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    let others = ["compare-evaluations.csv", "compare-marl-eval.json", "compare-runs.csv", "compare.json"];
    assert_eq!(left, [&others[..], &["lean.jsonl", "report.html"]].concat());
    // A line that was cut off in the middle is a run that did not end.
    let table = lean.path().join("runs/lean.jsonl");
    let text = fs::read_to_string(&table).unwrap();
    fs::write(&table, &text[..text.len() - 200]).unwrap();
    let continued = compare(&lean, &args, &["--lean"]);
    assert_eq!((outcome(&continued), &continued["taken_over"]), (outcome(&expected), &json!(9)));
    let finished = compare(&lean, &["--runs", "runs"], &[]);
    assert_eq!(outcome(&finished["environments"]), outcome(&expected["environments"]));
}

/// Finished runs are compared as they lie there, whoever made them.
#[test]
fn finished_runs_are_compared() {
    let place = Place::new();
    let expected = compare(&place, &[&["lazy", "trpo", "--seeds", "5"], SHORT].concat(), &[]);
    let finished = compare(&place, &["--runs", "runs/CartPole-v1/lazy", "runs/CartPole-v1/trpo"], &[]);
    assert_eq!(outcome(&finished["environments"]), outcome(&expected["environments"]));
    assert_eq!(finished["wall_seconds"], Value::Null);
    assert!(!place.path().join("runs/compare-2.json").exists());

    // A run of other settings under the same name is a column of its own; the same run again counts once.
    place.train("lazy", "CartPole-v1", &[SHORT, &["--set", "gamma=0.5"]].concat());
    place.train("lazy", "CartPole-v1", SHORT);
    let finished = compare(&place, &["--runs", "runs"], &["--out", "elsewhere"]);
    assert_eq!(names(&finished, 0), ["lazy:gamma=0.99", "lazy:gamma=0.5", "trpo"]);
    assert_eq!(finished["runs"], 11);
    assert!(finished["notes"][0].as_str().unwrap().starts_with("1 run is there again"));
    assert!(place.path().join("elsewhere/compare.json").exists());
    // What calls itself the same run and came to something else is named, and is no run of that column.
    let table = place.path().join("runs/CartPole-v1/lazy/s0-3/progress.csv");
    let text = fs::read_to_string(&table).unwrap();
    let (header, first) = (text.lines().next().unwrap(), text.lines().nth(1).unwrap());
    let at = header.split(',').position(|tag| tag == "eval/mean_reward").unwrap();
    let mut cells: Vec<&str> = first.split(',').collect();
    cells[at] = "12.5";
    fs::write(&table, text.replace(first, &cells.join(","))).unwrap();
    let finished = compare(&place, &["--runs", "runs"], &["--out", "elsewhere"]);
    assert_eq!(finished["runs"], 11);
    let note = finished["notes"][0].as_str().unwrap();
    assert!(note.starts_with("1 run has the settings and the seed of another but other results"), "{note}");
    assert!(note.contains("runs/CartPole-v1/lazy/s0-3 (beside runs/CartPole-v1/lazy/s0)"), "{note}");
    // What is damaged is named too.
    fs::write(&table, text.replace(first, "\u{1}\u{2}")).unwrap();
    let finished = compare(&place, &["--runs", "runs"], &["--out", "elsewhere"]);
    let notes = finished["notes"].to_string();
    assert!(notes.contains("lazy/s0-3: 1 row of its progress.csv cannot be read"), "{notes}");
    fs::write(&table, "step,loss\n").unwrap();
    // One that is being written is none of those.
    fs::write(place.path().join("runs/lean-old.jsonl"), "\n{\"config\":\n\n{\"con").unwrap();
    let notes = compare(&place, &["--runs", "runs"], &["--out", "elsewhere"])["notes"].to_string();
    assert!(
        notes.contains("lazy/s0-3: its progress.csv is no table of a run (no column time/total_timesteps)"),
        "{notes}"
    );
    assert!(notes.contains("lean-old.jsonl: 1 line cannot be read"), "{notes}");
    fs::remove_file(place.path().join("runs/lean-old.jsonl")).unwrap();
    fs::write(&table, text.replace(first, "\u{1}\u{2}")).unwrap();
    fs::write(place.path().join("runs/CartPole-v1/lazy/s0-3/summary.json"), "{").unwrap();
    let told = String::from_utf8(place.run(&["runs"]).stdout).unwrap();
    assert!(told.contains("lazy/s0-3: its summary.json cannot be read"), "{told}");
    assert!(told.contains("lazy/s0-3: rows of its progress.csv that cannot be read: 1"), "{told}");
    fs::remove_dir_all(place.path().join("runs/CartPole-v1/lazy/s0-3")).unwrap();
    let line = place.refuses(1, &["compare", "--runs", "elsewhere"]);
    assert!(line.contains("no run that ended in elsewhere"), "{line}");
}

/// A run's own file makes it a column of a comparison; sections belong to their algorithm.
#[test]
fn files_feed_a_comparison() {
    let place = Place::new();
    let changed = ["--set", "clip_range=0.3", "--set", "gamma=0.9", "--set", "batch_size=32"];
    let run = place.train("ppo", "Acrobot-v1", &[SHORT, &changed, &["--seed", "4"]].concat());
    let config = run.join("config.toml");
    let document =
        compare(&place, &["ppo", "lazy", "--seeds", "1", "--config", config.to_str().unwrap()], &[]);
    assert_eq!(document["environments"][0]["env"], "Acrobot-v1");
    let [ppo, lazy] = [0, 1].map(|i| &document["environments"][0]["algorithms"][i]);
    // It is that very run, and is there already.
    assert_eq!((&document["taken_over"], &ppo["seeds"][0]["seed"]), (&json!(1), &json!(4)));
    assert_eq!(ppo["settings"]["clip_range"], 0.3);
    assert_eq!((&lazy["settings"]["gamma"], &lazy["settings"]["n_envs"]), (&json!(0.9), &json!(4)));

    fs::write(
        place.path().join("both.toml"),
        "n_steps = 128\n[ppo]\nbatch_size = 32\n[trpo]\nbatch_size = 64\n",
    )
    .unwrap();
    let both = ["trpo", "ppo", "ppo:batch_size=16", "--config", "both.toml", "--seeds", "1"];
    let document = compare(&place, &both, &["--total-steps", "512", "--no-eval"]);
    assert_eq!(
        differs(&document, 0, "batch_size"),
        Some(json!({"trpo": 64, "ppo": 32, "ppo-batch_size=16": 16}))
    );
}

/// A name that is an alias in one algorithm and a setting of its own in another is told apart by the algorithm before it.
#[test]
fn one_name_in_two_algorithms_is_two_settings() {
    let place = Place::new();
    let (of_ppo, of_trpo) = (["--set", "ppo.target_kl=0.5"], ["--set", "trpo.max_kl=0.02"]);
    for sets in [[of_ppo, of_trpo], [of_trpo, of_ppo]] {
        let document =
            compare(&place, &[&["trpo", "ppo", "--seeds", "1"], SHORT, &sets.concat()].concat(), &[]);
        let settings = |i: usize| &document["environments"][0]["algorithms"][i]["settings"];
        assert_eq!((&settings(0)["max_kl"], &settings(1)["target_kl"]), (&json!(0.02), &json!(0.5)));
    }
}

/// Seeds are added at looks that are fixed beforehand, until the interval is narrow or there are enough.
#[test]
fn seeds_are_added_until_it_is_clear() {
    let place = Place::new();
    let args = ["lazy", "--set", "n_steps=16", "--total-steps", "16", "--eval-freq", "16", "--lean"];
    let document = compare(&place, &args, &["--until", "1000"]);
    let lazy = &document["environments"][0]["algorithms"][0];
    assert_eq!((&document["runs"], &lazy["intervals"]), (&json!(40), &json!("valid under stopping")));
    let width = |lazy: &Value| lazy["iqm"]["high"].as_f64().unwrap() - lazy["iqm"]["low"].as_f64().unwrap();
    assert!(width(lazy) > 0.0 && lazy["mean"]["low"].is_null(), "{lazy}");
    assert!(
        document["notes"][0].as_str().unwrap().contains("reached with 40 seeds"),
        "{}",
        document["notes"]
    );

    // More seeds are needed for less; those that are there are taken over.
    let narrower = 0.9 * width(lazy);
    let document = compare(&place, &args, &["--until", &narrower.to_string()]);
    let (runs, lazy) = (document["runs"].as_u64().unwrap(), &document["environments"][0]["algorithms"][0]);
    assert!([60, 90, 135].contains(&runs) && width(lazy) <= narrower, "{runs}, {}", width(lazy));
    assert_eq!(document["taken_over"], 40);
    let document = compare(&place, &args, &["--until", "1e-9", "--max-seeds", "50"]);
    assert_eq!(document["runs"], 50);
    assert!(document["notes"][0].as_str().unwrap().contains("not reached by 50 seeds"));

    let document = compare(&place, &args, &["--until", "400", "--bounds", "0,500"]);
    let lazy = &document["environments"][0]["algorithms"][0];
    assert!(lazy["mean"]["high"].as_f64().unwrap() - lazy["mean"]["low"].as_f64().unwrap() <= 400.0);
    assert_eq!(lazy["iqm"]["low"], Value::Null);

    // Scores beyond the bounds end the study with what there is.
    let beyond =
        ["compare", "lazy", "--until", "1", "--bounds", "0,1", "--max-seeds", "5", "--total-steps", "512"];
    let output = place.run(&[&beyond[..], &["--quiet", "--out", "beyond"]].concat());
    let (table, line) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(
        output.status.code() == Some(2) && line.contains("outside of its bounds 0 to 1; without --bounds"),
        "{line}"
    );
    assert!(table.contains("CartPole-v1") && place.path().join("beyond/report.html").exists(), "{table}");

    // Where scores are withheld more seeds tell nothing: the study is over at its first look.
    let faulty = [
        "compare",
        "lazy",
        "--env",
        "Faulty-v0",
        "--until",
        "1",
        "--set",
        "n_steps=400",
        "--json",
        "--quiet",
    ];
    let output = place.run(&faulty);
    assert_eq!(output.status.code(), Some(1));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&document["runs"], &document["failed"]), (&json!(40), &json!(40)));
    assert!(
        document["notes"][0].as_str().unwrap().contains("But for lazy on Faulty-v0"),
        "{}",
        document["notes"]
    );
}

/// Columns with the same settings are named, in the environments where they have them.
#[test]
fn columns_with_the_same_settings_are_named() {
    let place = Place::new();
    // The preset `sb3` is what Catch-v0 has anyway, and not what CartPole-v1 has.
    let args = ["compare", "ppo", "ppo@sb3", "--env", "CartPole-v1", "--env", "Catch-v0", "--seeds", "1"];
    let output = place.run(&[&args[..], &["--total-steps", "512", "--no-eval", "--lean"]].concat());
    let told = String::from_utf8(output.stderr).unwrap();
    let same: Vec<&str> = told.lines().filter(|line| line.contains("the same settings")).collect();
    assert_eq!(
        same,
        ["rl-under-test: in Catch-v0, ppo and ppo-sb3 have the same settings, and so the same runs"]
    );
}
