//! How runs end, what is seen of them afterwards, and how others begin with what they learned.

use std::fs;
use std::sync::Arc;

use crate::helpers::command_line::{Place, SHORT, progress};
use rl_nn::distribution::Categorical;
use rl_nn::{PolicyModel, TrainedPolicy};
use rl_train::{Policy, RunDir};
use serde_json::{Value, json};

fn summary(dir: &std::path::Path) -> Value {
    serde_json::from_slice(&fs::read(dir.join("summary.json")).unwrap()).unwrap()
}

/// A return that every evaluation reaches ends the run at the first, with its evaluation at the end; one that none reaches does not.
#[test]
fn a_return_that_is_reached_ends_a_run() {
    let place = Place::new();
    let stopped = place.json(&[&["train", "ppo", "CartPole-v1", "--stop-at-reward", "1"], SHORT].concat());
    assert_eq!((&stopped["status"], &stopped["total_steps"]), (&json!("stopped"), &json!(512)));
    assert!(stopped["stopped_because"].as_str().unwrap().contains("step 512 reached 1"), "{stopped}");
    assert_eq!(stopped["eval"]["episodes"], 100);
    let on = place.json(&[&["train", "ppo", "CartPole-v1", "--stop-at-reward", "501"], SHORT].concat());
    assert_eq!((&on["status"], &on["total_steps"]), (&json!("finished"), &json!(2048)));

    // The run's file says so too, people are told why, and whoever wants the rest of it goes on without.
    let text = place.run(&["train", "ppo", "CartPole-v1", "--config", "runs/CartPole-v1/ppo/s0/config.toml"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.lines().any(|line| line.starts_with("stopped: the evaluation at step 512")), "{text}");
    let again = ["train", "--resume", "runs/CartPole-v1/ppo/s0", "--stop-at-reward", "none"];
    let whole = place.json(&again);
    assert_eq!((&whole["status"], &whole["total_steps"]), (&json!("finished"), &json!(2048)));
    assert_eq!(whole["eval"], on["eval"]);
}

#[test]
fn time_that_is_over_ends_a_run() {
    let place = Place::new();
    let more = ["train", "trpo", "CartPole-v1", "--total-steps", "1e12", "--no-eval", "--max-hours", "1e-7"];
    let document = place.json(&more);
    assert_eq!((&document["status"], &document["updates"]), (&json!("stopped"), &json!(1)));
    assert!(document["stopped_because"].as_str().unwrap().contains("seconds are over"), "{document}");

    // Whoever goes on with it has as much time again, or all of it, and then the run that nobody ended.
    let begin = |more: &[&str]| {
        let place = Place::new();
        place.json(&[&["train", "trpo", "CartPole-v1", "--total-steps", "4096"], more].concat());
        place
    };
    let (whole, ended) = (begin(&[]), begin(&["--max-hours", "1e-7"]));
    let resume = ["train", "--resume", "runs/CartPole-v1/trpo/s0"];
    let document = ended.json(&resume);
    assert_eq!((&document["status"], &document["updates"]), (&json!("stopped"), &json!(2)));
    let document = ended.json(&[&resume[..], &["--max-hours", "none"]].concat());
    assert_eq!((&document["status"], &document["total_steps"]), (&json!("finished"), &json!(4096)));
    let policy =
        |place: &Place| fs::read(place.path().join("runs/CartPole-v1/trpo/s0/policy.safetensors")).unwrap();
    assert!(policy(&ended) == policy(&whole), "another policy");
}

/// A run that ended early on purpose has ended: a comparison counts it, and takes it over the next time.
#[test]
fn a_comparison_counts_stopped_runs() {
    let place = Place::new();
    let args = [&["compare", "ppo", "--seeds", "2", "--stop-at-reward", "1", "--quiet"], SHORT].concat();
    let first = place.json(&args);
    let of_seed =
        |document: &Value, i: usize| document["environments"][0]["algorithms"][0]["seeds"][i].clone();
    assert_eq!(
        (&of_seed(&first, 0)["status"], &of_seed(&first, 1)["total_steps"]),
        (&json!("stopped"), &json!(512))
    );
    let dir = place.path().join("runs/CartPole-v1/ppo/s0");
    let before = fs::metadata(dir.join("summary.json")).unwrap().modified().unwrap();
    let again = place.json(&args);
    assert_eq!(of_seed(&again, 0), of_seed(&first, 0));
    assert_eq!(fs::metadata(dir.join("summary.json")).unwrap().modified().unwrap(), before);
    // Without the end that it had it is another run.
    let args = [&["compare", "ppo", "--seeds", "1", "--quiet"], SHORT].concat();
    assert_eq!(of_seed(&place.json(&args), 0)["status"], "finished");
    assert!(place.path().join("runs/CartPole-v1/ppo/s0-2").exists());
}

/// A policy that nothing was learned for, and one that is not there: both are failures, whatever the loop says.
#[test]
fn a_run_that_was_worth_nothing_fails() {
    let place = Place::new();
    let output =
        place.run(&[&["train", "lazy", "CartPole-v1", "--set", "ambition=-1", "--quiet"], SHORT].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
    assert!(stderr.contains("lazy on CartPole-v1, seed 0: all 4 updates were rejected"), "{stderr}");
    let compare = ["compare", "lazy", "--seeds", "1", "--set", "ambition=-1", "--quiet"];
    let output = place.run(&[&compare, SHORT].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("all 4 updates were rejected"));

    let one = ["--set", "n_steps=64", "--n-envs", "1", "--total-steps", "64", "--no-eval", "--quiet"];
    let output = place.run(&[&["train", "ruinous", "CartPole-v1"], &one[..]].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
    assert!(stderr.contains("the update of \"ruinous\" left parameters that are not finite"), "{stderr}");
    let dir = place.path().join("runs/CartPole-v1/ruinous/s0");
    assert_eq!(summary(&dir)["status"], "failed");
    assert!(!dir.join("policy.safetensors").exists());
}

#[test]
fn the_progress_names_the_label() {
    let place = Place::new();
    let output = place.run(&[&["train", "lazy", "CartPole-v1", "--label", "wide"], SHORT].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.lines().any(|line| line.starts_with("lazy-wide CartPole-v1 s0: ")), "{stderr}");
}

/// A checkpoint holds the policy that was evaluated at its step, with the statistics it saw observations through.
#[test]
fn a_checkpoints_policy_can_be_evaluated() {
    let place = Place::new();
    let more =
        ["--set", "normalize_observation=true", "--set", "checkpoint_freq=1024", "--set", "shared_layers=1"];
    let dir = place.train("ppo", "Pendulum-v1", &[SHORT, &more].concat());
    let run = "runs/Pendulum-v1/ppo/s0";
    let rows = progress(&dir);
    let column = |name: &str| rows[0].iter().position(|c| c == name).unwrap();
    let evaluated = rows.iter().find(|row| row[column("time/total_timesteps")] == "1024").unwrap();
    let mean: f64 = evaluated[column("eval/mean_reward")].parse().unwrap();
    let at = place.json(&["eval", run, "--checkpoint", "1024", "--episodes", "20"]);
    assert_eq!((&at["total_steps"], at["eval"]["mean"].as_f64()), (&json!(1024), Some(mean)));

    let latest = place.json(&["eval", run, "--checkpoint"]);
    assert_eq!(latest["eval"], place.json(&["eval", run])["eval"]);
    let checkpoint = rl_train::Checkpoint::latest(&RunDir::open(&dir).unwrap()).unwrap();
    let of_checkpoint = Policy::from_checkpoint(&checkpoint, &rl_nn::Builders::default()).unwrap();
    let saved = Policy::load(&dir).unwrap();
    assert_eq!(of_checkpoint.trained().theta(), saved.trained().theta());
    assert_eq!(of_checkpoint.observation_normalizer(), saved.observation_normalizer());
    assert!(saved.observation_normalizer().unwrap().count > 2048.0);

    for args in
        [&["eval", run, "--checkpoint", "7"][..], &["play", run, "--checkpoint", "7", "--png", "a.png"]]
    {
        let line = place.refuses(1, args);
        assert!(line.contains("no checkpoint at step 7; steps of checkpoints: 1024, 2048"), "{line}");
    }
    // What is played is the checkpoint's policy too: another one than that of the end.
    let played = |more: &[&str], png: &str| {
        let document = place.json(&[&["play", run, "--png", png], more].concat());
        (document["total_steps"].clone(), document["episodes"].clone())
    };
    let (early, late) =
        (played(&["--checkpoint", "1024"], "early.png"), played(&["--checkpoint"], "late.png"));
    assert_eq!((&early.0, &late.0), (&json!(1024), &json!(2048)));
    assert_ne!(early.1, late.1);
    assert_eq!(late, played(&[], "end.png"));

    place.train("lazy", "Pendulum-v1", SHORT);
    let line = place.refuses(1, &["eval", "runs/Pendulum-v1/lazy/s0", "--checkpoint"]);
    assert!(line.contains("there is no checkpoint"), "{line}");
}

/// What there is, how it ended, what can go on.
#[test]
fn runs_are_listed() {
    let place = Place::new();
    let finished = place.train("ppo", "CartPole-v1", SHORT);
    place.train("ppo", "CartPole-v1", &[SHORT, &["--seed", "1", "--stop-at-reward", "1"]].concat());
    let failed = ["train", "lazy", "Faulty-v0", "--set", "n_steps=128", "--no-eval", "--quiet"];
    assert_eq!(place.run(&failed).status.code(), Some(1));
    // One that was killed leaves no summary.
    let killed = place.train("ppo", "CartPole-v1", &[SHORT, &["--seed", "10"]].concat());
    fs::remove_file(killed.join("summary.json")).unwrap();
    let running = place.train("ppo", "CartPole-v1", &[SHORT, &["--seed", "2", "--label", "busy"]].concat());
    let _lock = RunDir::open(&running).unwrap().lock().unwrap();

    let document = place.json(&["runs"]);
    let told: Vec<[&Value; 5]> = document
        .as_array()
        .unwrap()
        .iter()
        .map(|run| ["run_dir", "state", "resumable", "steps", "budget"].map(|key| &run[key]))
        .collect();
    let expected = [
        ("runs/CartPole-v1/ppo/s0", "finished", false, 2048, 2048),
        ("runs/CartPole-v1/ppo/s1", "stopped", false, 512, 2048),
        ("runs/CartPole-v1/ppo/s10", "interrupted", true, 2048, 2048),
        ("runs/CartPole-v1/ppo-busy/s2", "running", false, 2048, 2048),
        ("runs/Faulty-v0/lazy/s0", "failed", false, 256, 100_000),
    ];
    let expected: Vec<[Value; 5]> = expected
        .into_iter()
        .map(|(dir, state, resumable, steps, budget)| {
            [json!(dir), json!(state), json!(resumable), json!(steps), json!(budget)]
        })
        .collect();
    assert_eq!(told.len(), expected.len());
    for (told, expected) in told.iter().zip(&expected) {
        assert_eq!(told.map(Value::clone), *expected);
    }
    let of_finished = &document[0];
    assert_eq!(
        of_finished["last_evaluation"],
        json!({"mean": summary(&finished)["eval"]["mean"], "step": 2048})
    );
    assert!(
        of_finished["bytes"].as_u64().unwrap()
            > fs::metadata(finished.join("policy.safetensors")).unwrap().len()
    );
    assert_eq!((&of_finished["checkpoint"], &document[4]["last_evaluation"]), (&json!(2048), &Value::Null));
    assert!(document[4]["error"].as_str().unwrap().contains("the cable broke"));

    let table = String::from_utf8(place.run(&["runs", "runs/CartPole-v1"]).stdout).unwrap();
    assert_eq!(table.lines().count(), 1 + 4);
    let line = table.lines().find(|line| line.contains("/s10 ")).unwrap();
    assert!(line.contains("interrupted  2048"), "{table}");
    assert!(place.refuses(1, &["runs", "nowhere"]).contains("cannot read nowhere"));
}

/// A run begins with the parameters of a saved policy, statistics of observations included; the critic is a new one.
#[test]
fn a_run_begins_with_a_saved_policy() {
    let place = Place::new();
    let normalized = ["--set", "normalize_observation=true"];
    let of = |dir: &std::path::Path| Policy::load(dir).unwrap();
    let taught = place.train("ppo", "CartPole-v1", &[SHORT, &normalized].concat());
    let init = ["--init", "runs/CartPole-v1/ppo/s0"];
    // An algorithm that leaves the agent as it is shows what it began with.
    let heir = place.train("lazy", "CartPole-v1", &[SHORT, &normalized, &init].concat());
    assert_eq!(of(&heir).trained().theta(), of(&taught).trained().theta());
    let count = |dir: &std::path::Path| of(dir).observation_normalizer().unwrap().count;
    assert!(count(&heir) > count(&taught) + 2048.0);
    let config = fs::read_to_string(heir.join("config.toml")).unwrap();
    assert!(config.contains("init = \"runs/CartPole-v1/ppo/s0\""), "{config}");
    // The file itself is as good, in a comparison too.
    let file = "runs/CartPole-v1/ppo/s0/policy.safetensors";
    let args = ["compare", "lazy", "--label", "b", "--seeds", "1", "--quiet", "--init", file];
    place.json(&[&args[..], SHORT, &normalized].concat());
    let other = place.path().join("runs/CartPole-v1/lazy-b/s0");
    assert_eq!(of(&other).trained().theta(), of(&taught).trained().theta());

    for (env, more, parts) in [
        ("CartPole-v1", &[][..], &["normalised observations", "normalize_observation = false"][..]),
        ("CartPole-v1", &["--set", "net_arch=[32]"], &["its network.sizes is [4,64,64,2]", "agent [4,32,2]"]),
        (
            "CartPole-v1",
            &["--set", "net_arch=[32]", "--set", "activation=relu"],
            &[
                "sizes is [4,64,64,2]",
                "activation is \"tanh\", that of the run's agent \"relu\"",
                "normalised",
            ],
        ),
        ("CartPole-v1", &["--set", "shared_layers=1"], &["its network.kind is \"mlp\"", "agent \"chain\""]),
        ("Acrobot-v1", &["--preset", "sb3"], &["its network.sizes is [4,64,64,2]", "agent [6,64,64,3]"]),
        ("Pendulum-v1", &[], &["its network.kind is \"mlp\"", "agent \"fork\""]),
    ] {
        let line = place.refuses(2, &[&["train", "ppo", env], more, &init].concat());
        parts.iter().for_each(|part| assert!(line.contains(part), "no {part:?} in {line}"));
    }
    let line = place.refuses(1, &["train", "ppo", "CartPole-v1", "--init", "nowhere"]);
    assert!(line.contains("init = \"nowhere\": nowhere: no run is there"), "{line}");
}

/// A policy whose network only the program's own builder can make is evaluated by the command line, and named where a run cannot begin with it.
#[test]
fn builders_reach_the_command_line() {
    let place = Place::new();
    let network = Arc::new(rl_tests::described_module().unwrap());
    let model = PolicyModel::new(network, Arc::new(Categorical { n: 2 })).unwrap();
    let theta = vec![0.0, 0.0, -1.0, -1.0, 0.0, 0.0, 1.0, 1.0];
    let policy = Policy::new("CartPole-v1", 3, 0, TrainedPolicy::new(model, theta).unwrap());
    policy.save(place.path().join("mine")).unwrap();
    // Pushing to where the pole falls balances it for a while.
    let document = place.json(&["eval", "mine", "--episodes", "10"]);
    assert!(document["eval"]["mean"].as_f64().unwrap() > 100.0, "{document}");
    place.json(&["play", "mine", "--png", "last.png"]);
    let line = place.refuses(2, &["train", "ppo", "CartPole-v1", "--init", "mine"]);
    assert!(line.contains("its network.kind is \"custom\""), "{line}");
    let reason = Policy::load(place.path().join("mine")).err().unwrap().to_string();
    assert!(reason.contains("no builder of networks is called \"matrix\""), "{reason}");
}

/// A program of one's own is called by its name.
#[test]
fn messages_and_help_have_the_programs_name() {
    let place = Place::new();
    for args in [&["train", "pppo", "CartPole-v1"][..], &["trian"], &[]] {
        let line = place.refuses(2, args);
        assert!(line.starts_with("rl-under-test: ") && !line.contains("`rl "), "{line}");
    }
    let help = String::from_utf8(place.run(&["train", "--help"]).stdout).unwrap();
    assert!(
        help.contains("Usage: rl-under-test train") && help.contains("`rl-under-test envs` lists"),
        "{help}"
    );
    assert!(!help.contains("`rl "), "{help}");
    let dir = place.train("lazy", "CartPole-v1", SHORT);
    let config = fs::read_to_string(dir.join("config.toml")).unwrap();
    assert!(config.starts_with("# rl-under-test train lazy CartPole-v1 "), "{config}");
}

/// What a program could not add is said before anything else happens.
#[test]
fn a_name_that_is_taken_ends_the_program() {
    let twin = rl_env::EnvSpec::with_time_limit("CartPole-v1", 10, rl_env::envs::CartPole::new);
    let code = rl_cli::App::new().env(twin).main_with_args(["rl", "envs"]);
    assert_eq!(format!("{code:?}"), format!("{:?}", std::process::ExitCode::FAILURE));
}
