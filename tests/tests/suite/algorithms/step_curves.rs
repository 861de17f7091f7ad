//! The update microscope: what lies along a step agrees with what the update reported, and with its local models.

use std::fs;
use std::path::Path;

use crate::helpers::command_line::{Place, files};
use rl_algo::{Algorithm, NetConfig, Reducer, StepCurves, step_curves};
use rl_nn::Shards;
use rl_ppo::{Ppo, PpoConfig};
use rl_train::{Replay, RunDir, TrainConfig, TrainError, Trainer, new_agent, replay};
use rl_trpo::{Trpo, TrpoConfig};
use serde_json::Value;

type Make = fn() -> Box<dyn Algorithm>;

/// The third update of a short run that was never written down, and the curves along its step.
fn third_update(env: &str, make: Make, fractions: &[f64]) -> (Replay, StepCurves) {
    let place = Place::new();
    let dir = RunDir::create(place.path(), env, "none", 0).unwrap();
    let env = rl_env::Registry::builtin().get(env).unwrap().clone();
    let config = TrainConfig { n_envs: 4, n_steps: 128, total_steps: 4096, ..TrainConfig::default() };
    let trainer = || -> Result<Trainer, TrainError> {
        Trainer::new(&env, config, new_agent(&env, &NetConfig::default(), 3)?, make(), 3)
    };
    let replayed = replay(&dir, 3, trainer).unwrap();
    assert_eq!(replayed.from, None);
    let advantages = replayed.batch.normalized_advantages();
    let Replay { before, agent, batch, .. } = &replayed;
    let batch = batch.policy_batch(agent, &advantages).unwrap();
    let ends = (&before[..agent.policy().n_params()], agent.policy_theta());
    let curves = step_curves(Reducer, agent.policy(), ends, &batch, fractions, &mut Shards::new()).unwrap();
    (replayed, curves)
}

fn trpo() -> Box<dyn Algorithm> {
    Box::new(Trpo::new(TrpoConfig::default()).unwrap())
}

fn ppo() -> Box<dyn Algorithm> {
    Box::new(Ppo::new(PpoConfig::default()).unwrap())
}

#[track_caller]
fn close(a: f64, b: f64, tolerance: f64, what: &str) {
    assert!((a - b).abs() <= tolerance * b.abs().max(1e-9), "{what}: {a}, expected {b}");
}

/// At 0 nothing has changed; at 1 it is what the update reported.
#[test]
fn the_ends_are_the_reported_ones() {
    for env in ["CartPole-v1", "Pendulum-v1"] {
        let algorithms: [(&str, Make, f64); 2] = [("trpo", trpo, 1e-4), ("ppo", ppo, 0.0)];
        for (name, make, tolerance) in algorithms {
            let (replayed, curves) = third_update(env, make, &[0.0, 1.0]);
            let ((_, start), (_, end)) = (curves.points[0], curves.points[1]);
            assert_eq!((start.kl_mean, start.kl_max), (0.0, 0.0), "{name} on {env}");
            assert!(start.surrogate_gain.abs() < 1e-6, "{name} on {env}: {}", start.surrogate_gain);
            let report = &replayed.update.report;
            close(end.kl_mean, report.approx_kl.unwrap(), tolerance, "KL");
            close(end.kl_max, report.kl_max.unwrap(), tolerance, "largest KL");
            close(end.entropy, report.entropy.unwrap(), tolerance, "entropy");
            close(end.surrogate_gain, report.surrogate_gain.unwrap(), tolerance.max(1e-12), "gain");
            assert!(end.kl_mean > 0.0 && curves.step_size > 0.0, "the case must be able to fail");
        }
    }
}

/// The models are those of the first and second order: near 0 they are what there is. For TRPO they are what the step was made of.
#[test]
fn the_models_are_the_local_ones() {
    let t = 0.1;
    for env in ["CartPole-v1", "Pendulum-v1"] {
        let (replayed, curves) = third_update(env, trpo, &[-t, t]);
        let (back, forth) = (curves.points[0].1, curves.points[1].1);
        let slope = (forth.surrogate_gain - back.surrogate_gain) / (2.0 * t);
        close(slope, curves.slope, 1e-2, "slope");
        let curvature = (forth.kl_mean + back.kl_mean) / (t * t);
        close(curvature, curves.curvature, 1e-2, "curvature");
        let expected =
            replayed.update.report.extra.iter().find(|(name, _)| *name == "expected_gain").unwrap().1;
        close(curves.slope, expected, 1e-3, "the gain that the line search expected");
        // xᵀ(F + λI)x of the full step is 2δ, of which the damping has a part.
        assert!(
            0.5 * curves.curvature <= TrpoConfig::default().max_kl.initial() * 1.001,
            "{}",
            curves.curvature
        );
    }
}

/// `rl inspect` finds the run's own update again, from any checkpoint or none, and leaves nothing but its file.
#[test]
fn an_update_is_found_again() {
    let place = Place::new();
    for algo in ["trpo", "ppo"] {
        let run = place.train(
            algo,
            "CartPole-v1",
            &["--preset", "sb3", "--total-steps", "20480", "--set", "checkpoint_freq=4096"],
        );
        let before = contents(&run);
        let run_dir = run.to_str().unwrap();
        for (update, is_from_checkpoint) in [("1", false), ("10", true)] {
            let found = place.json(&["inspect", run_dir, "--update", update]);
            assert_eq!(found["same_as_progress_csv"], true, "{algo}, update {update}: {found}");
            assert_eq!(found["from_checkpoint"].is_u64(), is_from_checkpoint, "{algo}, update {update}");
            assert_eq!(found["candidates"].as_array().unwrap().is_empty(), algo == "ppo");
            let page = fs::read_to_string(found["file"].as_str().unwrap()).unwrap();
            assert!(page.contains("quadratic model") && page.contains(&format!("Update {update} of {algo}")));
        }
        let mut after = contents(&run);
        after.retain(|(name, _)| !name.starts_with("update-"));
        assert_eq!(after, before, "{algo}: the run is another one now");
        let picture = place.path().join(format!("{algo}.svg"));
        let found: Value =
            place.json(&["inspect", run_dir, "--update", "2", "--out", picture.to_str().unwrap()]);
        assert_eq!(found["update"], 2);
        assert!(fs::read_to_string(picture).unwrap().starts_with("<svg "));
        let line = place.refuses(1, &["inspect", run_dir, "--update", "11"]);
        assert!(line.contains("there is no update 11: the run has updates 1 to 10"), "{line}");
    }
}

/// A run that was ended has no updates beyond its end, and schedules end where they did at the time.
#[test]
fn what_is_drawn_is_what_the_run_did() {
    let place = Place::new();
    let set = [
        "--set",
        "n_steps=256",
        "--set",
        "learning_rate=lin_0.001",
        "--set",
        "checkpoint_freq=256",
        "--no-eval",
    ];
    let run =
        place.train("ppo", "CartPole-v1", &[&set[..], &["--n-envs", "1", "--total-steps", "768"]].concat());
    let run_dir = run.to_str().unwrap();
    let more = ["train", "--resume", run_dir, "--total-steps", "2048", "--extend-schedule", "--quiet"];
    assert!(place.run(&more).status.success());
    // Its checkpoints are of after the extension; it began with the shorter schedule.
    for update in ["2", "7"] {
        let found = place.json(&["inspect", run_dir, "--update", update]);
        assert_eq!(found["same_as_progress_csv"], true, "update {update}: {found}");
    }
    assert_eq!(
        place.json(&["inspect", run_dir, "--update", "1", "--out", "a.html"])["from_checkpoint"],
        Value::Null
    );

    // As a killed run leaves it.
    fs::remove_file(run.join("summary.json")).unwrap();
    fs::remove_dir_all(run.join("checkpoints")).unwrap();
    let table = fs::read_to_string(run.join("progress.csv")).unwrap();
    let three: Vec<&str> = table.lines().take(4).collect();
    fs::write(run.join("progress.csv"), three.join("\n") + "\n").unwrap();
    let line = place.refuses(1, &["inspect", run_dir, "--update", "4"]);
    assert!(line.contains("there is no update 4: the run has updates 1 to 3"), "{line}");
    let line = place.refuses(1, &["inspect", run_dir, "--update", "3", "--out", "a.html"]);
    assert!(line.contains("a.html exists"), "{line}");
}

/// The limit is the one of the update, whatever made it that; where what is drawn is not all that the algorithm looked at, the page says so.
#[test]
fn the_limit_is_that_of_the_update() {
    let place = Place::new();
    let short = ["--preset", "sb3", "--no-eval", "--set", "n_steps=256", "--total-steps", "768"];
    let run = |algo: &str, more: &[&str]| {
        let sets: Vec<&str> = more.iter().flat_map(|set| ["--set", *set]).collect();
        place.train(algo, "CartPole-v1", &[&short[..], &sets].concat()).to_str().unwrap().to_owned()
    };
    let look = |run: &str, update: &str| place.json(&["inspect", run, "--update", update]);
    let scheduled = run("trpo", &["max_kl=lin_0.03", "kl_direction=new_old", "ent_coef=0.01"]);
    let found = look(&scheduled, "2");
    close(found["max_kl"].as_f64().unwrap(), 0.01, 1e-9, "a third of 0.03 is left");
    let remarks = found["remarks"].to_string();
    assert!(remarks.contains("KL(new, old)") && remarks.contains("entropy bonus"), "{remarks}");
    let page = fs::read_to_string(found["file"].as_str().unwrap()).unwrap();
    assert!(page.contains("limit δ of KL(new, old)") && page.contains("without the entropy bonus"));
    // The last update has no trust region: it moves nothing, and is no refusal.
    let line = place.refuses(1, &["inspect", &scheduled, "--update", "3"]);
    assert!(line.contains("update 3 moved the policy by nothing"), "{line}");
    let summary = fs::read_to_string(Path::new(&scheduled).join("summary.json")).unwrap();
    assert!(summary.contains("\"updates\": 3") && summary.contains("\"rejected_updates\": 0"), "{summary}");
    let floored = look(&run("trpo", &["advantage_std_floor=100", "label=floor"]), "2");
    let limit = floored["max_kl"].as_f64().unwrap();
    assert!(limit > 0.0 && limit < 0.001 && floored["remarks"] == serde_json::json!([]), "{limit}");
    let npg = look(&run("npg", &[]), "2");
    assert!(fs::read_to_string(npg["file"].as_str().unwrap()).unwrap().contains("δ of the quadratic model"));
    let ppo = look(&run("ppo", &["target_kl=0.5"]), "2");
    assert!(ppo["max_kl"].is_null());
}

/// Every file of a directory with what is in it.
fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let all = files(dir).into_iter().filter(|path| path.is_file());
    all.map(|path| (path.strip_prefix(dir).unwrap().display().to_string(), fs::read(&path).unwrap()))
        .collect()
}
