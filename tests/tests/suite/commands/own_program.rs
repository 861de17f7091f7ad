//! What a program of one's own adds to the command line: networks, sinks and watchers.

use std::fs;
use std::path::Path;

use crate::helpers::command_line::{Place, SHORT, result, text};
use rl_algo::FeatureNetwork;
use rl_nn::Builders;
use rl_train::Policy;

/// A network that the program has under a name is chosen by a setting, trained, saved, played and gone on with; another name is refused with the nearest.
#[test]
fn a_network_of_the_program_is_chosen_by_name() {
    let place = Place::new();
    // Settings without schedules, which would depend on the budget.
    let set = ["--preset", "sb3", "--set", "features=crossed", "--set", "net_arch=[]"];
    let dir = place.train("ppo", "CartPole-v1", &[SHORT, &set].concat());
    let run = "runs/CartPole-v1/ppo/s0";
    let reason = Policy::load(&dir).err().unwrap().to_string();
    assert!(reason.contains("no builder of networks is called \"crossed\""), "{reason}");
    assert!(
        reason.contains("the program that made it has one: in Rust, `Policy::load_with` takes its builders"),
        "{reason}"
    );
    let builders = FeatureNetwork::new("crossed", rl_tests::crossed).add_to(Builders::default());
    let theta = |dir: &Path| Policy::load_with(dir, &builders).unwrap().trained().theta().to_vec();
    // A matrix of 8 rows for 4 observations and their squares, then two logits.
    assert_eq!(theta(&dir).len(), 8 * 8 + (8 + 1) * 2);
    let saved = place.json(&["eval", run, "--episodes", "5"]);
    assert_eq!(saved["eval"]["episodes"], 5);
    place.json(&["play", run, "--png", "last.png"]);

    // Its file gives the same run again, and it goes on as one that was never interrupted would have.
    let again = place.train("ppo", "CartPole-v1", &["--config", &format!("{run}/config.toml")]);
    assert_eq!(result(&again), result(&dir));
    let shorter = ["--total-steps", "1024", "--eval-freq", "512", "--label", "short"];
    let short = place.train("ppo", "CartPole-v1", &[&SHORT[..4], &set, &shorter].concat());
    assert_ne!(theta(&short), theta(&dir));
    let resume = ["train", "--resume", "runs/CartPole-v1/ppo-short/s0", "--total-steps", "2048", "--quiet"];
    place.json(&resume);
    assert_eq!(theta(&short), theta(&dir));

    // A shared trunk of it, an action space of reals, and a run that begins with what was trained.
    let shared = ["--set", "features=crossed", "--set", "shared_layers=1"];
    place.train("trpo", "Pendulum-v1", &[SHORT, &shared, &["--set", "use_sde=false"]].concat());
    let heir = place.train("lazy", "CartPole-v1", &[SHORT, &set, &["--init", run]].concat());
    assert_eq!(theta(&heir), theta(&dir));

    let line = place.refuses(2, &["train", "ppo", "CartPole-v1", "--set", "features=crosed"]);
    assert!(line.contains("features = \"crosed\": expected one of \"mlp\", \"cnn\", \"crossed\""), "{line}");
    assert!(line.contains("did you mean \"crossed\"?"), "{line}");
    let told = String::from_utf8(place.run(&["settings", "ppo"]).stdout).unwrap();
    let told = told.split("\nfeatures = ").nth(1).unwrap().replace("\n    ", " ");
    assert!(told.lines().next().unwrap().contains("Here: crossed, torn."), "{told}");
}

/// A sink of the program's own hears of every run, in its directory, and goes on with it.
#[test]
fn a_sink_of_the_program_hears_of_every_run() {
    let place = Place::new();
    let dir = place.train("lazy", "CartPole-v1", &[SHORT, &["--label", "noted"]].concat());
    let notes = |dir: &Path| fs::read_to_string(dir.join("notes.txt")).unwrap();
    let updates = "update 512\nupdate 1024\nupdate 1536\nupdate 2048\n";
    assert_eq!(notes(&dir), format!("lazy CartPole-v1 0, begun\n{updates}finished\n"));

    let set = ["--set", "checkpoint_freq=1024", "--label", "noted", "--seed", "7"];
    let dir = place.train("ppo", "CartPole-v1", &[SHORT, &set].concat());
    assert_eq!(notes(&dir), format!("ppo CartPole-v1 7, begun\n{updates}finished\n"));
    let resume = ["train", "--resume", "runs/CartPole-v1/ppo-noted/s7", "--total-steps", "2560", "--quiet"];
    place.json(&resume);
    let more = "ppo CartPole-v1 7, goes on at 2048\nupdate 2560\nfinished\n";
    assert_eq!(notes(&dir), format!("ppo CartPole-v1 7, begun\n{updates}finished\n{more}"));

    // In a comparison too, where some runs have no directory.
    let compare = ["compare", "lazy", "--label", "noted", "--seeds", "2", "--quiet", "--out", "others"];
    place.json(&[&compare[..], SHORT].concat());
    assert!(notes(&place.path().join("others/CartPole-v1/lazy-noted/s1")).starts_with("lazy CartPole-v1 1"));
    place.json(&[&compare[..8], &["lean", "--lean"], SHORT].concat());

    let output =
        place.run(&[&["train", "lazy", "CartPole-v1", "--label", "deaf", "--quiet"], SHORT].concat());
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(line.contains("lazy-deaf on CartPole-v1, seed 0") && line.contains("nobody listens"), "{line}");
}

/// A watcher of the program's own ends a run, remembers across an interruption what it counted, and is in comparisons too.
#[test]
fn a_watcher_of_the_program_ends_a_run() {
    let place = Place::new();
    let brief = [
        "train",
        "ppo",
        "CartPole-v1",
        "--label",
        "brief",
        "--preset",
        "sb3",
        "--set",
        "n_steps=64",
        "--quiet",
    ];
    let train = |args: &[&str]| place.json(&[&brief[..], args].concat());
    let done = train(&["--total-steps", "10240"]);
    assert_eq!((&done["status"], &done["updates"]), (&"stopped".into(), &3.into()));
    assert_eq!(done["stopped_because"], "three updates are enough");

    let done = train(&["--total-steps", "128", "--seed", "1"]);
    assert_eq!((&done["status"], &done["updates"]), (&"finished".into(), &2.into()));
    let resume = ["train", "--resume", "runs/CartPole-v1/ppo-brief/s1", "--total-steps", "10240", "--quiet"];
    let done = place.json(&resume);
    assert_eq!((&done["status"], &done["updates"]), (&"stopped".into(), &3.into()));

    let compare =
        ["compare", "lazy", "--label", "brief", "--seeds", "1", "--quiet", "--total-steps", "10240"];
    let done = place.json(&compare);
    assert_eq!(done["environments"][0]["algorithms"][0]["interrupted"], 0);
    let summary =
        fs::read_to_string(place.path().join("runs/CartPole-v1/lazy-brief/s0/summary.json")).unwrap();
    assert!(summary.contains("three updates are enough"), "{summary}");
}

/// A panic before a run has begun, in a mask or in what makes a network, is an error of one line, and the others of a comparison go on.
#[test]
fn a_panic_of_the_programs_own_ends_its_run_alone() {
    let place = Place::new();
    let told = |args: &[&str]| {
        let output = place.run(&[args, SHORT].concat());
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, _, line) = told(&["train", "ppo", "Masked-v0", "--quiet"]);
    let of_program = |text: &str| {
        text.lines().any(|line| line.starts_with("rl-under-test: ") && line.contains("out of bounds"))
    };
    assert!(code == Some(1) && of_program(&line), "{code:?} {line}");
    let (code, table, line) = told(&[
        "compare",
        "lazy",
        "--env",
        "Masked-v0",
        "--env",
        "CartPole-v1",
        "--seeds",
        "2",
        "--quiet",
        "--out",
        "both",
    ]);
    assert!(code == Some(1) && of_program(&line), "{code:?} {line}");
    assert!(table.contains("CartPole-v1") && table.contains("Saved: both/compare.json"), "{table}");
    let (code, _, line) = told(&["train", "ppo", "CartPole-v1", "--quiet", "--set", "features=torn"]);
    assert!(
        code == Some(1) && line.contains("rl-under-test: ") && line.contains("the paper is torn"),
        "{code:?} {line}"
    );
}
