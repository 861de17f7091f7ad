//! Training on normalised observations and rewards, from the settings to the policy that is left.

use std::fs;
use std::path::Path;

use crate::helpers::command_line::{Place, SHORT, progress, result};
use rl_env::{ActionsRef, NormalizeObservation, Registry, VecEnv};
use rl_nn::{Archive, Data};
use rl_train::{Acting, Policy};

const OBSERVATIONS: &[&str] = &["--set", "normalize_observation=true"];
const REWARDS: &[&str] = &["--set", "normalize_reward=true"];

fn archive(dir: &Path) -> Archive {
    Archive::from_bytes(&fs::read(dir.join("policy.safetensors")).unwrap()).unwrap()
}

/// The latest and the best policy carry the statistics of their time, and evaluations do not add to them.
#[test]
fn a_policy_carries_its_statistics() {
    let place = Place::new();
    let seen = |dir: &Path| archive(dir).about["observation"]["count"].as_f64().unwrap();
    let dir = place.train("trpo", "Acrobot-v1", &[SHORT, OBSERVATIONS].concat());
    for place in [dir.clone(), dir.join("checkpoints/best")] {
        // Four environments: their first observations, then one a step, beside the weight of the initial statistics.
        let steps = archive(&place).about["steps"].as_f64().unwrap();
        assert!((seen(&place) - (4.0 + steps)).abs() < 1e-3, "{} after {steps} steps", seen(&place));
    }
    let unevaluated = [&SHORT[..SHORT.len() - 2], OBSERVATIONS, &["--no-eval"]].concat();
    let unevaluated = place.train("trpo", "Acrobot-v1", &unevaluated);
    assert_eq!(archive(&unevaluated), archive(&dir));

    // Without the setting there are none.
    let plain = place.train("trpo", "Acrobot-v1", &[SHORT, &["--preset", "sb3"], REWARDS].concat());
    assert_eq!(archive(&plain).about.get("observation"), None);
}

/// What a saved policy does with a raw observation is what the network does with the normalised one.
#[test]
fn a_policy_takes_raw_observations() {
    let place = Place::new();
    let dir = place.train("trpo", "Pendulum-v1", &[SHORT, OBSERVATIONS, REWARDS].concat());
    let (mut policy, mut bare) = (Policy::load(&dir).unwrap(), Policy::load(&dir).unwrap());
    bare = bare.seeing_through(None).unwrap();
    let normalizer = policy.observation_normalizer().unwrap().clone();

    let spec = Registry::builtin().get("Pendulum-v1").unwrap().clone();
    let mut raw = spec.make_vec(3).unwrap();
    let mut normalized = NormalizeObservation::frozen(spec.make_vec(3).unwrap(), normalizer).unwrap();
    raw.reset(9, "env").unwrap();
    normalized.reset(9, "env").unwrap();
    for _ in 0..20 {
        for (raw, normalized) in raw.observations().chunks(3).zip(normalized.observations().chunks(3)) {
            assert_ne!(raw, normalized);
            assert_eq!(policy.act(raw, true).unwrap(), bare.act(normalized, true).unwrap());
        }
        let torques = ActionsRef::Continuous(&[0.3, -1.0, 2.0]);
        raw.step(torques).unwrap();
        normalized.step(torques).unwrap();
    }
    assert!(policy.act(&[0.0; 4], true).is_err());

    let (seen, blind) = (
        policy.evaluate(&spec, 20, Acting::Deterministic).unwrap(),
        bare.evaluate(&spec, 20, Acting::Deterministic).unwrap(),
    );
    assert_ne!(seen, blind);
}

/// Statistics of other observations than the policy's are refused where they are read.
#[test]
fn a_policy_with_foreign_statistics_is_refused() {
    let place = Place::new();
    let dir = place.train("lazy", "Pendulum-v1", &[SHORT, OBSERVATIONS].concat());
    let mut archive = archive(&dir);
    archive.insert("observation.var", &[2], Data::F64(vec![1.0; 2]));
    fs::write(dir.join("policy.safetensors"), archive.to_bytes().unwrap()).unwrap();
    let error = Policy::load(&dir).err().unwrap().to_string();
    assert!(error.contains("policy.safetensors") && error.contains("observation.var"), "{error}");
}

/// Learning sees normalised rewards; whatever is reported counts raw ones.
#[test]
fn returns_are_raw() {
    let place = Place::new();
    let train = |more: &[&str]| {
        // An algorithm that leaves the policy alone plays the same episodes whatever it learns from.
        place.train("lazy", "Pendulum-v1", &[SHORT, &["--set", "n_steps=256"], more].concat())
    };
    let (plain, normalized) = (train(&[]), train(REWARDS));
    assert_eq!(progress(&plain), progress(&normalized));
    let rows = progress(&normalized);
    let column = rows[0].iter().position(|c| c == "rollout/ep_rew_mean").unwrap();
    assert!(rows[1][column].parse::<f64>().unwrap() < -100.0, "{}", rows[1][column]);

    let (plain, normalized) = (
        place.train("ppo", "Pendulum-v1", &[SHORT, &["--set", "normalize_reward=false"]].concat()),
        place.train("ppo", "Pendulum-v1", &[SHORT, REWARDS].concat()),
    );
    assert!(result(&plain).1 != result(&normalized).1, "the policies are the same");
}

/// The evaluation of a run, its policy's own afterwards, and the statistics between.
#[test]
fn a_normalised_run_is_evaluated_as_it_was_trained() {
    let place = Place::new();
    let document = place
        .json(&[&["train", "ppo", "MountainCar-v0"], SHORT, OBSERVATIONS, REWARDS, &["--quiet"]].concat());
    let dir = document["run_dir"].as_str().unwrap();
    assert_eq!(place.json(&["eval", dir])["eval"], document["eval"]);
}

/// The tuned settings of a task that is hopeless without normalisation: every episode would end at the limit, -200.
#[test]
fn the_mountain_is_climbed() {
    let place = Place::new();
    let document = place.json(&["train", "trpo", "MountainCar-v0", "--quiet"]);
    let mean = document["eval"]["mean"].as_f64().unwrap();
    assert!(mean > -140.0, "mean return {mean}");
}
