//! `rl compare`: what failed stays in every statistic, and what a comparison leaves.

use std::fs;
use std::process::Output;

use crate::helpers::command_line::{Place, SHORT, text};
use serde_json::Value;

const PENDULUM_WORST: f64 = -3254.72;

/// Runs a comparison that must print its document, and gives it with the exit code.
fn compare(place: &Place, args: &[&str]) -> (Value, Option<i32>, String) {
    let Output { status, stdout, stderr } = place.run(&[&["compare"], args, &["--json", "--quiet"]].concat());
    let stderr = String::from_utf8(stderr).unwrap();
    let document = serde_json::from_slice(&stdout).unwrap_or_else(|e| panic!("{e}: {stderr}"));
    (document, status.code(), stderr)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * b.abs().max(1.0)
}

/// The final evaluations, a failed run's counting as `failed`.
fn scores(of_algo: &Value, failed: f64) -> Vec<f64> {
    let score =
        |seed: &Value| if seed["status"] == "failed" { failed } else { number(&seed["eval"]["mean"]) };
    of_algo["seeds"].as_array().unwrap().iter().map(score).collect()
}

/// A learning rate at which PPO diverges with most seeds: the runs that did not must not speak for all.
#[test]
fn failed_seeds_stay_in_every_statistic() {
    let place = Place::new();
    let args = [
        "ppo",
        "--env",
        "Pendulum-v1",
        "--seeds",
        "6",
        "--set",
        "learning_rate=2.5",
        "--set",
        "use_sde=false",
    ];
    let (document, code, stderr) = compare(&place, &[&args[..], &["--total-steps", "30000"]].concat());
    assert_eq!(code, Some(1), "{stderr}");
    let ppo = &document["environments"][0]["algorithms"][0];
    let failed = ppo["failed"].as_u64().unwrap();
    assert!(failed > 0, "no seed diverged: {ppo}");
    assert_eq!((&document["runs"], &document["failed"]), (&Value::from(6), &ppo["failed"]));
    let seeds = ppo["seeds"].as_array().unwrap();
    let is_failed = |seed: &&Value| seed["status"] == "failed";
    assert_eq!((seeds.len(), seeds.iter().filter(is_failed).count() as u64), (6, failed));
    assert!(
        seeds.iter().filter(is_failed).all(|s| s["error"].as_str().is_some_and(|e| e.contains("update")))
    );

    assert_eq!(ppo["failed_counts_as"], PENDULUM_WORST);
    assert_eq!(ppo["withheld"], Value::Null);
    let mut scores = scores(ppo, PENDULUM_WORST);
    assert!(close(number(&ppo["mean"]["value"]), scores.iter().sum::<f64>() / 6.0));
    scores.sort_by(f64::total_cmp);
    assert!(close(number(&ppo["iqm"]["value"]), scores[1..5].iter().sum::<f64>() / 4.0));
    let (low, high) = (number(&ppo["mean"]["low"]), number(&ppo["mean"]["high"]));
    assert!(low < high && scores[0] <= low && high <= scores[5], "[{low}, {high}]");
    // None reaches the threshold, and each is watched to the end of the budget.
    let steps = &ppo["steps_to_threshold"];
    assert_eq!((&steps["median"], &steps["not_reached"]), (&Value::Null, &Value::from(1.0)));
    assert!(number(&steps["restricted_mean"]) >= 30_000.0);

    // The table is there, says so, and names every failure.
    for part in [" failed", "not reached", "runs failed; each counts as -3254.72", "6 runs ("] {
        assert!(stderr.contains(part), "no {part:?} in {stderr}");
    }
    assert_eq!(
        stderr.lines().filter(|line| line.starts_with("rl-under-test: ppo on Pendulum-v1")).count() as u64,
        failed
    );

    let out = place.path().join("runs");
    let saved: Value = serde_json::from_slice(&fs::read(out.join("compare.json")).unwrap()).unwrap();
    assert_eq!(saved, document);
    let runs = fs::read_to_string(out.join("compare-runs.csv")).unwrap();
    assert_eq!(
        runs.lines().filter(|line| line.contains(",failed,-3254.72,")).count() as u64,
        failed,
        "{runs}"
    );
    let matrix = saved["rliable"]["scores"]["ppo"].as_array().unwrap();
    assert_eq!(matrix.iter().filter(|row| row[0] == PENDULUM_WORST).count() as u64, failed);
    let curves: Value =
        serde_json::from_slice(&fs::read(out.join("compare-marl-eval.json")).unwrap()).unwrap();
    let curves = curves["compare"]["Pendulum-v1"]["ppo"].as_object().unwrap();
    let lengths: Vec<usize> = curves.values().map(|curve| curve.as_object().unwrap().len()).collect();
    assert!(lengths.len() == 6 && lengths.iter().all(|n| *n == lengths[0]), "{lengths:?}");
}

/// A run that failed loses every pair against one that ended.
#[test]
fn failures_lose_comparisons() {
    let place = Place::new();
    let args = ["lazy", "ppo:learning_rate=2.5,use_sde=false", "--env", "Pendulum-v1", "--seeds", "5"];
    let (document, code, stderr) = compare(&place, &[&args[..], &["--total-steps", "30000"]].concat());
    assert_eq!(code, Some(1), "{stderr}");
    let env = &document["environments"][0];
    let (lazy, ppo) = (&env["algorithms"][0], &env["algorithms"][1]);
    assert_eq!(lazy["failed"], 0);
    assert!(ppo["failed"].as_u64().unwrap() > 0);
    let (x, y) = (scores(lazy, f64::NEG_INFINITY), scores(ppo, f64::NEG_INFINITY));
    let wins = |x: f64| y.iter().map(|y| f64::from(x.total_cmp(y) as i8 + 1) / 2.0).sum::<f64>();
    let better = &env["improvement"][0];
    assert!(close(number(&better["probability"]), x.iter().map(|x| wins(*x)).sum::<f64>() / 25.0));
    assert!(number(&better["low"]) <= number(&better["probability"]));
    let (x, y) = (scores(lazy, PENDULUM_WORST), scores(ppo, PENDULUM_WORST));
    let difference = x.iter().zip(&y).map(|(x, y)| x - y).sum::<f64>() / 5.0;
    assert!(close(number(&better["paired_difference"]["mean"]), difference));
}

/// Where nobody says how bad it can get, a failure withholds what would have to count it.
#[test]
fn without_a_worst_return_statistics_are_withheld() {
    let place = Place::new();
    let args = ["lazy", "--env", "Faulty-v0", "--env", "CartPole-v1", "--seeds", "5", "--set", "n_steps=128"];
    let args = [&args[..], &["--total-steps", "1024"]].concat();
    let (document, code, stderr) = compare(&place, &args);
    assert_eq!(code, Some(1), "{stderr}");
    let faulty = &document["environments"][0]["algorithms"][0];
    assert_eq!((&faulty["failed"], &faulty["failed_counts_as"]), (&Value::from(5), &Value::Null));
    for statistic in ["mean", "iqm"] {
        assert_eq!(faulty[statistic], serde_json::json!({"value": null, "low": null, "high": null}));
    }
    let reason = faulty["withheld"].as_str().unwrap();
    assert!(
        reason.contains("5 of 5 runs failed") && reason.contains("no worst return of Faulty-v0"),
        "{reason}"
    );
    // The steps it took before the cable broke are known.
    assert_eq!(faulty["seeds"][0]["total_steps"], 256);
    // The other environment is none the worse.
    let pole = &document["environments"][1]["algorithms"][0];
    assert_eq!((&pole["failed"], &pole["withheld"]), (&Value::from(0), &Value::Null));
    assert!(number(&pole["iqm"]["low"]) <= number(&pole["iqm"]["value"]));
    assert_eq!(document["rliable"]["scores"]["lazy"], Value::Null);
    assert!(!place.path().join("runs/compare-marl-eval.json").exists());

    let text = place.run(&[&["compare", "--quiet"], &args[..]].concat());
    assert_eq!(text.status.code(), Some(1));
    let text = String::from_utf8(text.stdout).unwrap();
    for part in
        ["withheld", "failed failed failed failed failed", "mean, std and IQM are withheld: 5 of 5 runs"]
    {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

#[test]
fn few_seeds_make_no_interval() {
    let place = Place::new();
    let args = [&["compare", "lazy", "ppo", "--seeds", "4", "--quiet"], SHORT].concat();
    let document = place.json(&args);
    let env = &document["environments"][0];
    for of_algo in env["algorithms"].as_array().unwrap() {
        assert!(of_algo["iqm"]["value"].is_f64() && of_algo["mean"]["value"].is_f64());
        for (statistic, end) in [("iqm", "low"), ("iqm", "high"), ("mean", "low"), ("mean", "high")] {
            assert_eq!(of_algo[statistic][end], Value::Null);
        }
        assert_eq!(of_algo["steps_to_threshold"]["low"], Value::Null);
    }
    assert_eq!(env["improvement"][0]["low"], Value::Null);
    assert_eq!(env["improvement"][0]["paired_difference"]["low"], Value::Null);
    let text = String::from_utf8(place.run(&args).stdout).unwrap();
    assert!(text.contains("[–]"), "{text}");
    assert_eq!(text.matches("none from fewer than 5 seeds").count(), 1, "{text}");
}

/// Beside the runs lie the table, a row for every run, a row for every evaluation, and the curves.
#[test]
fn a_comparison_is_saved_and_overwrites_nothing() {
    let place = Place::new();
    let args = [&["lazy", "trpo", "--seeds", "5"], SHORT].concat();
    let (document, code, stderr) = compare(&place, &args);
    assert_eq!(code, Some(0), "{stderr}");
    let out = place.path().join("runs");
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    let first = read("compare.json");
    assert_eq!(serde_json::from_str::<Value>(&first).unwrap(), document);
    let trpo = &document["environments"][0]["algorithms"][1];
    assert!(number(&trpo["iqm"]["low"]) <= number(&trpo["iqm"]["value"]));
    assert!(number(&trpo["iqm"]["value"]) <= number(&trpo["iqm"]["high"]));

    let runs = read("compare-runs.csv");
    assert_eq!(runs.lines().count(), 1 + 10);
    let header: Vec<&str> = runs.lines().next().unwrap().split(',').collect();
    let of_run: Vec<&str> = runs.lines().nth(6).unwrap().split(',').collect();
    let cell = |name: &str| of_run[header.iter().position(|column| *column == name).unwrap()];
    assert_eq!(
        (cell("env"), cell("algo"), cell("seed"), cell("status")),
        ("CartPole-v1", "trpo", "0", "finished")
    );
    assert!(close(cell("score").parse().unwrap(), number(&trpo["seeds"][0]["eval"]["mean"])));
    assert_eq!(cell("total_steps"), "2048");

    let evaluations = read("compare-evaluations.csv");
    assert_eq!(evaluations.lines().count(), 1 + 10 * 4);
    assert!(
        evaluations.lines().nth(1).unwrap().starts_with("CartPole-v1,lazy,,defaults,0,512,"),
        "{evaluations}"
    );

    let curves: Value = serde_json::from_str(&read("compare-marl-eval.json")).unwrap();
    let of_seed = &curves["compare"]["CartPole-v1"]["trpo"]["seed_4"];
    let keys: Vec<&String> = of_seed.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["step_0", "step_1", "step_2", "step_3", "absolute_metrics"]);
    assert_eq!(of_seed["step_3"]["step_count"], 2048);
    let last = &of_seed["absolute_metrics"]["mean_episode_return"][0];
    assert!(close(number(last), number(&trpo["seeds"][4]["eval"]["mean"])));

    let args = [&args[..], &["--fresh"]].concat();
    compare(&place, &args);
    assert_eq!(read("compare.json"), first);
    assert!(read("report.html").starts_with("<!DOCTYPE html>") && read("report-2.html").contains("--fresh"));
    assert!(read("compare-2.json") != first && read("compare-2-runs.csv").contains("s0-2"));

    // What is taken over of the first runs is another comparison than the newest; once more it is not, however it is asked for.
    let again =
        |more: &[&str]| text(place.run(&[&["compare"], &args[..args.len() - 1], more].concat()).stdout);
    assert!(again(&[]).contains("Saved: runs/compare-3.json"));
    let told = again(&["--quiet"]);
    assert!(
        told.ends_with(
            "Nothing has changed since runs/compare-3.json was saved.\nTo look at: runs/report-3.html\n"
        ),
        "{told}"
    );
    assert!(!place.path().join("runs/compare-4.json").exists());
}

/// What a setting of one name is in each of several algorithms is said where it is given to all of them.
#[test]
fn a_setting_that_algorithms_share_by_name_alone_is_told() {
    let place = Place::new();
    let told = |args: &[&str]| {
        let compare = ["compare", "trpo", "ppo", "--seeds", "1", "--preset", "sb3", "--total-steps", "2048"];
        text(place.run(&[&compare[..], args].concat()).stderr)
    };
    let line = "--set learning_rate is of trpo \"The learning rate of the critic's Adam\", of ppo \"Adam's learning rate";
    let all =
        told(&["--set", "learning_rate=0.001", "--set", "gamma=0.9", "--set", "ent_coef=0.01", "--out", "a"]);
    assert!(all.contains(line) && all.contains("--set trpo.learning_rate is that of trpo alone"), "{all}");
    assert!(!all.contains("gamma") && !all.contains("ent_coef"), "{all}");
    let one = told(&["--set", "ppo.learning_rate=0.001", "--out", "b"]);
    assert!(!one.contains("learning_rate"), "{one}");
}

/// A page says aloud which runs it could not use.
#[test]
fn a_page_names_what_it_could_not_use() {
    let place = Place::new();
    let dir = place.train("lazy", "CartPole-v1", SHORT);
    place.train("lazy", "CartPole-v1", &[SHORT, &["--seed", "1"]].concat());
    fs::write(dir.join("summary.json"), "{").unwrap();
    let told = place.run(&["report", "runs"]);
    let said = text(told.stderr);
    assert!(told.status.success() && said.contains("runs/CartPole-v1/lazy/s0"), "{said}");
}

/// A page of finished runs, with somebody else's beside, and pictures for papers.
#[test]
fn finished_runs_become_a_page_and_pictures() {
    let place = Place::new();
    compare(&place, &[&["lazy", "trpo", "--seeds", "5"], SHORT].concat());
    fs::copy(place.path().join("runs/compare.json"), place.path().join("runs/compare-2.json")).unwrap();
    let other =
        fs::read_to_string(place.path().join("runs/compare.json")).unwrap().replace("--seeds 5", "--seeds 3");
    fs::write(place.path().join("runs/compare-3.json"), other).unwrap();
    let theirs = place.path().join("theirs/dqn");
    fs::create_dir_all(&theirs).unwrap();
    let monitor = "#{\"t_start\": 1.0, \"env_id\": \"CartPole-v1\"}\nr,l,t\n10.0,10,0.5\n20.0,20,1.5\n";
    fs::write(theirs.join("monitor.csv"), monitor).unwrap();

    let page = |args: &[&str]| {
        let told = place.json(&[&["report"], args].concat());
        told["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| file.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let read = |path: &str| fs::read_to_string(place.path().join(path)).unwrap();
    // The comparison has left the first page.
    assert_eq!(page(&["runs", "theirs", "theirs/dqn"]), ["runs/report-2.html"]);
    let html = read("runs/report-2.html");
    assert!(html.contains("compare lazy trpo --seeds 5"), "the command is missing");
    assert!(html.contains("compare lazy trpo --seeds 3"), "the other comparison's command is missing");
    assert!(
        html.contains("1 run of Stable-Baselines3&apos;s would")
            || html.contains("1 run of Stable-Baselines3's would")
    );
    for part in ["sb3: dqn", "CartPole-v1-evaluation-steps", "CartPole-v1-trust-kl-mean", "No run failed."] {
        assert!(html.contains(part), "{part} is missing");
    }
    assert!(!html.contains("src=") && !html.contains("http"), "the page asks for something");

    let pictures = page(&["runs", "--format", "svg", "--out", "pictures"]);
    assert!(pictures.len() > 8, "{pictures:?}");
    assert!(pictures.iter().all(|path| read(path).starts_with("<svg xmlns")));
    // Nothing is overwritten, and nothing comes of nothing.
    place.refuses(1, &["report", "runs", "--out", "runs/report.html"]);
    fs::create_dir(place.path().join("empty")).unwrap();
    let line = place.refuses(1, &["report", "empty"]);
    assert!(line.contains("no run that ended in empty"), "{line}");
}

/// Runs without a usable end are named, drawn and counted as interrupted, by `compare` and in the page.
#[test]
fn killed_runs_are_not_passed_over() {
    let place = Place::new();
    compare(&place, &[&["trpo", "--seeds", "5"], SHORT].concat());
    let of = |seed: u64, file: &str| place.path().join(format!("runs/CartPole-v1/trpo/s{seed}/{file}"));
    fs::remove_file(of(1, "summary.json")).unwrap();
    fs::write(of(2, "summary.json"), "{\"algo\": ").unwrap();
    let config = fs::read_to_string(of(3, "config.toml")).unwrap();
    fs::write(of(3, "config.toml"), config.replace("total_steps = 2048", "total_steps = 4096")).unwrap();
    fs::write(of(4, "config.toml"), "algo = ").unwrap();

    let document = place.json(&["compare", "--runs", "runs"]);
    // The one with another budget is another column.
    let algos = document["environments"][0]["algorithms"].as_array().unwrap();
    let counts: Vec<_> = algos.iter().map(|algo| (&algo["runs"], &algo["interrupted"])).collect();
    let [three, two, one] = [3, 2, 1].map(Value::from);
    assert_eq!(counts, [(&three, &two), (&one, &one)]);
    assert_eq!(document["failed"], 0);
    let notes = document["notes"].to_string();
    for part in [
        "3 runs have no usable end",
        "s1: it left no summary.json",
        "s2: its summary.json cannot be read: EOF",
        "s3: it went on from step 2048 to 4096 and has not ended",
        "s4: its config.toml cannot be read",
    ] {
        assert!(notes.contains(part), "{part:?} is missing: {notes}");
    }
    let told = place.json(&["report", "runs"]);
    let html = fs::read_to_string(place.path().join(told["files"][0].as_str().unwrap())).unwrap();
    for part in
        ["3 runs did not end well", "seed 1: interrupted. it left no summary.json", ", seed 2\" d=\"M"]
    {
        assert!(html.contains(part), "{part:?} is missing");
    }
    assert!(html.contains("s4: its config.toml cannot be read"));
}
