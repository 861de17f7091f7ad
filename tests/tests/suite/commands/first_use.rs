//! What somebody meets who uses the program for the first time: what is told without being asked for, and what is said of a slip.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::helpers::command_line::{Place, SHORT, files, text};
use rl_env::EnvSpec;
use rl_env::envs::CartPole;
use serde_json::json;

/// A run that has come to its end is not falsified by a smaller budget, and says that there is nothing to do.
#[test]
fn a_finished_run_stays_what_it_is() {
    let place = Place::new();
    let dir = place.train("ppo", "CartPole-v1", SHORT);
    let run = "runs/CartPole-v1/ppo/s0";
    let contents = || -> Vec<(PathBuf, Vec<u8>)> {
        files(&dir).into_iter().filter(|f| f.is_file()).map(|f| (f.clone(), fs::read(f).unwrap())).collect()
    };
    let before = contents();
    for budget in ["1000", "2047"] {
        let line = place.refuses(2, &["train", "--resume", run, "--total-steps", budget]);
        let expected = format!("total_steps = {budget}: the run in {run} has done 2048 steps already");
        assert!(line.contains(&expected), "{line}");
    }
    let again = place.run(&["train", "--resume", run]);
    assert!(again.status.success());
    let told = text(again.stdout);
    let note = "the run has finished already, there is nothing to do; --total-steps above 2048 trains on";
    assert!(told.starts_with(&format!("{run}: {note}\nppo on CartPole-v1, seed 0, preset best: ")), "{told}");
    assert_eq!(place.json(&["train", "--resume", run, "--total-steps", "2048"])["status"], "finished");
    assert!(contents() == before, "something was written");
    let more = place.json(&["train", "--resume", run, "--total-steps", "2560", "--quiet"]);
    assert_eq!((&more["status"], &more["total_steps"]), (&json!("finished"), &json!(2560)));
}

/// Whoever changes the settings of a finished run in its file is told that they are another run's, and not that there is nothing to do.
#[test]
fn a_finished_run_with_other_settings_is_refused() {
    let place = Place::new();
    let file = place.train("ppo", "CartPole-v1", SHORT).join("config.toml");
    let config = fs::read_to_string(&file).unwrap();
    let gamma = config.lines().find(|line| line.starts_with("gamma = ")).unwrap();
    fs::write(&file, config.replace(gamma, "gamma = 0.5")).unwrap();
    let line = place.refuses(1, &["train", "--resume", "runs/CartPole-v1/ppo/s0"]);
    assert!(line.contains("its run has gamma = 0.99, this one 0.5; only total_steps, "), "{line}");
    // What is only looked at may differ.
    fs::write(&file, config.replace("eval_freq = ", "eval_freq = 1024 # ")).unwrap();
    assert_eq!(place.json(&["train", "--resume", "runs/CartPole-v1/ppo/s0"])["status"], "finished");
}

/// Beyond its first budget a run is as good as over where its schedules have come to 0: that is said, and what helps.
#[test]
fn schedules_that_have_ended_are_told() {
    let place = Place::new();
    place.train("ppo", "CartPole-v1", &[SHORT, &["--set", "learning_rate=lin_0.001"]].concat());
    let resume = ["train", "--resume", "runs/CartPole-v1/ppo/s0", "--total-steps"];
    let ended = |args: &[&str]| {
        let told = place.run(&[&resume[..], args].concat());
        assert!(told.status.success());
        (text(told.stderr), text(told.stdout))
    };
    let (begun, over) = ended(&["4096"]);
    let warning = "warning: learning_rate = lin_0.001 is 0 from here on, for it ended at step 2048; with --extend-schedule";
    assert!(begun.contains(warning) && over.contains(warning), "{begun}{over}");
    let (begun, over) = ended(&["8192", "--extend-schedule"]);
    assert!(!begun.contains("ended at step") && !over.contains("ended at step"), "{begun}{over}");
    // Before it ends that is said otherwise, and a text that looks like a schedule is none.
    let train = ["--set", "learning_rate=lin_0.001", "--label", "lin_0.5", "--stop-at-reward", "1"];
    place.train("ppo", "CartPole-v1", &[SHORT, &train[..]].concat());
    let resume = [
        "train",
        "--resume",
        "runs/CartPole-v1/ppo-lin_0.5/s0",
        "--total-steps",
        "4096",
        "--stop-at-reward",
        "none",
    ];
    let begun = text(place.run(&resume).stderr);
    assert!(
        begun.contains("learning_rate = lin_0.001 is 0 from step 2048 on, where it ends; with"),
        "{begun}"
    );
    assert!(!begun.contains("label"), "{begun}");
}

/// A budget of one rollout leaves a falling schedule nothing but its end.
#[test]
fn schedules_without_a_course_are_told() {
    let place = Place::new();
    let train = ["train", "ppo", "CartPole-v1", "--preset", "sb3", "--set", "learning_rate=lin_0.001"];
    let told = |steps: &str| {
        text(place.run(&[&train[..], &["--total-steps", steps, "--out", steps]].concat()).stdout)
    };
    let warning = "warning: learning_rate = lin_0.001 is 0 in the only update, for a rollout of 2048 steps is the whole budget of 2000";
    assert!(told("2000").contains(warning), "{}", told("2000"));
    assert!(!told("4096").contains("warning"));
}

/// What cannot be is refused before a run has a directory.
#[test]
fn nothing_is_made_for_a_run_that_cannot_be() {
    let place = Place::new();
    let train = ["train", "ppo", "Faulty-v0"];
    let line = place.refuses(1, &[&train[..], SHORT, &["--film"]].concat());
    assert!(line.contains("Faulty-v0") && line.contains("draw"), "{line}");
    let line = place.refuses(2, &[&train[..], SHORT, &["--label", ""]].concat());
    assert!(line.contains("label = \"\": expected a name"), "{line}");
    place.refuses(1, &[&["compare", "ppo", "--env", "Faulty-v0", "--film", "--quiet"], SHORT].concat());
    assert!(!place.path().join("runs").exists());
    place.train("ppo", "CartPole-v1", SHORT);
    let line = place.refuses(2, &["inspect", "runs/CartPole-v1/ppo/s0", "--update", "1", "--out", "x.pdf"]);
    assert!(line.contains("--out x.pdf: the file's name must end in .html or .svg"), "{line}");
}

/// Of a run whose environment cannot begin there is no empty directory.
#[test]
fn a_run_that_cannot_begin_leaves_no_directory() {
    let place = Place::new();
    let output = place.run(&[&["train", "ppo", "Stuck-v0", "--quiet"], SHORT].concat());
    let line = text(output.stderr);
    assert!(output.status.code() == Some(1) && line.contains("the door is stuck"), "{line}");
    assert!(!line.contains("runs/") && !place.path().join("runs/Stuck-v0/ppo/s0").exists(), "{line}");
    place.run(&[&["compare", "ppo", "--env", "Stuck-v0", "--seeds", "2"], SHORT].concat());
    assert!(!place.path().join("runs/Stuck-v0/ppo/s1").exists());
}

/// A run without checkpoints is not said to be able to go on.
#[test]
fn nobody_is_sent_to_a_checkpoint_that_is_not_there() {
    let place = Place::new();
    place.train("ppo", "CartPole-v1", &[SHORT, &["--set", "checkpoint_freq=never"]].concat());
    let told = text(place.run(&["train", "--resume", "runs/CartPole-v1/ppo/s0"]).stdout);
    assert!(told.contains("the run has finished already, there is nothing to do\n"), "{told}");
}

/// Without an interruption a budget may also be made smaller, as long as it is not spent.
#[test]
fn an_interrupted_run_may_become_shorter() {
    let place = Place::new();
    let dir = place.train("ppo", "CartPole-v1", &[SHORT, &["--stop-at-reward", "1"]].concat());
    let resume =
        ["train", "--resume", "runs/CartPole-v1/ppo/s0", "--stop-at-reward", "none", "--total-steps"];
    let line = place.refuses(2, &[&resume[..], &["511"]].concat());
    assert!(line.contains("has done 512 steps already"), "{line}");
    // In the file it is the same mistake.
    let file = dir.join("config.toml");
    let config = fs::read_to_string(&file).unwrap();
    fs::write(&file, config.replace("total_steps = 2048", "total_steps = 100")).unwrap();
    let line = place.refuses(2, &resume[..5]);
    assert!(line.contains("total_steps = 100: ") && line.contains("512 steps already"), "{line}");
    fs::write(&file, config).unwrap();
    assert_eq!(place.json(&[&resume[..], &["1024"]].concat())["total_steps"], 1024);
    assert!(fs::read_to_string(dir.join("config.toml")).unwrap().contains("total_steps = 1024\n"));
}

/// The first line says what is trained and with which settings; that a run cannot go on is said when it begins, and why when it should.
#[test]
fn a_run_says_what_it_is_and_whether_it_can_go_on() {
    let place = Place::new();
    let begun = |args: &[&str]| text(place.run(&[args, SHORT].concat()).stderr);
    let told = begun(&["train", "ppo", "CartPole-v1"]);
    let first = "ppo on CartPole-v1, seed 0, preset best: 2048 steps, in runs/CartPole-v1/ppo/s0\n";
    assert!(told.starts_with(first) && !told.contains("saves no state"), "{told}");

    let told = begun(&["train", "lazy", "CartPole-v1"]);
    assert!(told.starts_with("lazy on CartPole-v1, seed 0, preset defaults: 2048 steps, in runs/"), "{told}");
    let why = "algorithm lazy saves no state (`Algorithm::state`): its runs have no checkpoints and cannot be resumed";
    assert!(told.contains(&format!("warning: {why}")), "{told}");
    let run = "runs/CartPole-v1/lazy/s0";
    let summary = fs::read_to_string(place.path().join(run).join("summary.json")).unwrap();
    assert!(summary.contains(why), "{summary}");
    for more in [&[][..], &["--total-steps", "4096"]] {
        let line = place.refuses(1, &[&["train", "--resume", run][..], more].concat());
        assert!(line.contains(&format!("{run}: {why}")), "{line}");
    }
    // One that was killed before it left anything but its logs is not begun again over them.
    for file in ["summary.json", "policy.safetensors"] {
        fs::remove_file(place.path().join(run).join(file)).unwrap();
    }
    let rows = fs::read(place.path().join(run).join("progress.csv")).unwrap();
    let line = place.refuses(1, &["train", "--resume", run]);
    assert!(line.contains(why), "{line}");
    assert!(fs::read(place.path().join(run).join("progress.csv")).unwrap() == rows);
    // Who wants no checkpoints is not warned.
    let told = begun(&["train", "lazy", "CartPole-v1", "--set", "checkpoint_freq=never"]);
    assert!(!told.contains("saves no state"), "{told}");
}

/// Presets and environments of a program's own that cannot be meant end it at its start.
#[test]
fn slips_of_a_program_are_told_at_its_start() {
    let ends = |app: rl_cli::App| format!("{:?}", app.main_with_args(["rl", "presets"]));
    let (good, bad) = (format!("{:?}", ExitCode::SUCCESS), format!("{:?}", ExitCode::FAILURE));
    let tuned =
        |algo: &str, env: &str| ends(rl_cli::App::new().preset("tuned", algo, env, [("gamma", 0.9.into())]));
    assert_eq!(tuned("ppo", "CartPole-v1"), good);
    assert_eq!(tuned("ppo", "*"), good);
    assert_eq!(tuned("ppo", "CartPol-v1"), bad);
    assert_eq!(tuned("pp", "CartPole-v1"), bad);
    assert_eq!(ends(rl_cli::App::new().env(EnvSpec::new("Pole-v0", CartPole::new))), good);
    assert_eq!(ends(rl_cli::App::new().env(EnvSpec::new("weird name", CartPole::new))), bad);
}

/// What comes from nobody is not called Stable-Baselines3's, and two names of the defaults are no difference.
#[test]
fn defaults_of_an_own_algorithm_are_nobodys() {
    let place = Place::new();
    let compare = ["compare", "lazy", "ppo", "--seeds", "1", "--quiet"];
    let told = text(place.run(&[&compare[..], SHORT].concat()).stdout);
    assert!(told.contains("CAUTION: different presets, defaults (lazy), best (ppo)"), "{told}");
    let told = text(place.run(&[&compare[..], &["--preset", "sb3"], SHORT].concat()).stdout);
    assert!(
        told.contains("defaults") && told.contains("sb3") && !told.contains("different presets"),
        "{told}"
    );
}

/// Lists fit the terminal: 100 columns where there is none.
#[test]
fn lists_fit_the_terminal() {
    let place = Place::new();
    for args in [&["settings", "ppo"][..], &["presets"]] {
        for (columns, most) in [(None, 100), (Some("70"), 70)] {
            let mut command = place.command(args);
            command.env_remove("COLUMNS").envs(columns.map(|columns| ("COLUMNS", columns)));
            let told = text(command.output().unwrap().stdout);
            let widest = told.lines().map(|line| line.chars().count()).max().unwrap();
            assert!((most - 20..=most).contains(&widest), "{args:?}: {widest} of {most}");
        }
    }
    let told = text(place.run(&["settings", "ppo"]).stdout);
    let at = told.lines().position(|line| line.starts_with("net_arch = ")).unwrap();
    assert!(told.lines().nth(at + 1).unwrap().starts_with("    "), "{told}");
}

/// What is no option of Python's environments does not stand below their heading.
#[test]
fn help_has_options_below_their_headings() {
    let place = Place::new();
    for command in ["train", "compare"] {
        let help = text(place.run(&[command, "--help"]).stdout);
        let heading = help.find("Environments of Python's Gymnasium:").unwrap();
        for flag in ["--threads", "--out", "--quiet", "--json", "--set"] {
            assert!(help.find(&format!("{flag} ")).or(help.find(&format!("{flag}\n"))).unwrap() < heading);
        }
        assert!(help.find("--env-kwargs").unwrap() > heading, "{help}");
    }
}

/// An error of usage names the help that says more, once.
#[test]
fn errors_of_usage_name_the_commands_own_help() {
    let place = Place::new();
    for args in [
        &["eval", "runs/x", "--episodes", "0"][..],
        &["compare", "--seeds", "0"],
        &["train", "ppo", "CartPole-v1", "--threads", "0"],
        &["report", "runs", "--format", "pdf"],
        &["train", "ppo", "CartPole-v1", "--thread", "2"],
        &["eval", "runs/x", "--lr", "0.1"],
        &["train", "ppo"],
    ] {
        let line = place.refuses(2, args);
        assert!(line.ends_with(&format!("; see `rl-under-test {} --help`\n", args[0])), "{line}");
        assert!(!line.contains("For more information") && !line.contains("as a value"), "{line}");
    }
    assert!(place.refuses(2, &["trian"]).ends_with("; see `rl-under-test --help`\n"));
}

/// A place without a run is called that by every command, with the runs that are near.
#[test]
fn places_without_a_run_are_told_alike() {
    let place = Place::new();
    place.train("lazy", "CartPole-v1", SHORT);
    let commands: [(i32, &[&str], &[&str]); 6] = [
        (1, &["train", "--resume"], &[]),
        (1, &["eval"], &[]),
        (1, &["eval"], &["--checkpoint"]),
        (1, &["play"], &["--png", "x.png"]),
        (1, &["inspect"], &["--update", "1"]),
        (2, &["diff"], &["runs/CartPole-v1/lazy/s0"]),
    ];
    for (code, before, behind) in commands {
        for (dir, near) in [
            ("runs/nope", ""),
            ("runs", "; there are runs below it: runs/CartPole-v1/lazy/s0"),
            ("runs/CartPole-v1/lazy", "; there are runs below it: runs/CartPole-v1/lazy/s0"),
            ("runs/CartPole-v1/lazy/s0/checkpoints", "; it is below that of a run, runs/CartPole-v1/lazy/s0"),
        ] {
            let line = place.refuses(code, &[before, &[dir], behind].concat());
            let expected = format!("{dir}: no run is there (a run's directory has a config.toml){near}\n");
            assert!(line.ends_with(&expected), "{before:?}: {line}");
        }
    }
}

/// Why a run failed stands below the list.
#[test]
fn the_list_of_runs_says_why_one_failed() {
    let place = Place::new();
    place.run(&["train", "lazy", "Faulty-v0", "--set", "n_steps=128", "--no-eval", "--quiet"]);
    let told = text(place.run(&["runs"]).stdout);
    let last = told.lines().last().unwrap();
    assert!(
        last.starts_with("runs/Faulty-v0/lazy/s0 failed: ") && last.contains("the cable broke"),
        "{told}"
    );
}

/// Where no checkpoint can be used, each is named with its fault, and as what it is.
#[test]
fn all_damaged_checkpoints_are_named() {
    let place = Place::new();
    let dir = place.train("ppo", "CartPole-v1", SHORT);
    let checkpoints = ["step-000000000002048.safetensors", "step-000000000001536.safetensors"];
    let damage = |name: &str, len: u64| {
        let file = fs::File::options().write(true).open(dir.join("checkpoints").join(name)).unwrap();
        file.set_len(len).unwrap();
    };
    checkpoints.iter().for_each(|name| damage(name, 4));
    let resume = ["train", "--quiet", "--resume", "runs/CartPole-v1/ppo/s0", "--total-steps", "4096"];
    let line = place.refuses(1, &resume);
    assert!(line.contains("no checkpoint can be read from it (") && !line.contains("saved policy"), "{line}");
    assert!(line.contains(checkpoints[0]), "{line}");
    assert!(line.contains(&format!("the older {} has the same fault", checkpoints[1])), "{line}");
    damage(checkpoints[1], 0);
    let line = place.refuses(1, &resume);
    assert!(line.contains(checkpoints[1]), "{line}");
}

/// A file that is no saved policy is told what it is.
#[test]
fn a_file_that_is_no_policy_is_told_what_it_is() {
    let place = Place::new();
    for (name, bytes, what) in [
        (
            "model.zip",
            &b"PK\x03\x04 and more"[..],
            "it is a zip archive, such as Stable-Baselines3 writes, and no",
        ),
        ("config.toml", b"gamma = 0.9\n", "it is a text and no safetensors file"),
        ("empty", b"", "it is empty and no safetensors file"),
        ("torn", &[0xff, 0, 0, 0], "it is no whole safetensors file ("),
    ] {
        fs::write(place.path().join(name), bytes).unwrap();
        let line = place.refuses(1, &["train", "ppo", "CartPole-v1", "--init", name]);
        assert!(line.contains(what), "{line}");
    }
}
