//! Vector environments of Gymnasium's, whichever way they begin their next episodes: the transitions are those of single ones.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{interpreter, name};
use rl_env::{ActionsRef, NormalizeObservation, NormalizeReward, StepEnd, VecEnv};
use rl_gym::{GymName, Interpreter, spec};

/// One transition in bits: where it began, what it earned (as it is and normalised), how it ended, where it led.
#[derive(Clone, Debug, PartialEq)]
struct Transition {
    from: Vec<u32>,
    raw_reward: u64,
    reward: u64,
    end: StepEnd,
    to: Vec<u32>,
}

const N: usize = 3;
const LIMIT: usize = 20;
const MODES: [&str; 3] = ["SameStep", "NextStep", "Disabled"];

fn single() -> GymName {
    name(&format!(r#"gym:CartPole-v1?{{"kwargs":{{"max_episode_steps":{LIMIT}}}}}"#))
}

fn vector(mode: &str) -> GymName {
    name(&format!(
        r#"gymvec:CartPole-v1?{{"kwargs":{{"max_episode_steps":{LIMIT},"vectorization_mode":"sync","vector_kwargs":{{"autoreset_mode":"{mode}"}}}}}}"#
    ))
}

fn make(name: &GymName, interpreter: &Interpreter, n: usize) -> Box<dyn VecEnv> {
    spec(name, interpreter).unwrap().make_vec(n).unwrap()
}

/// The first `count` transitions of every environment. Actions depend on how many an environment has taken, for some take a step in
/// between that is none.
fn transitions(envs: &mut dyn VecEnv, count: usize) -> Vec<Vec<Transition>> {
    let (n, o) = (envs.n_envs(), envs.observation_space().flat_len());
    let bits = |row: &[f32]| row.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let mut taken: Vec<Vec<Transition>> = vec![Vec::new(); n];
    let mut skipped = 0;
    envs.reset(4, "env").unwrap();
    while taken.iter().any(|taken| taken.len() < count) {
        let before = envs.observations().to_vec();
        let actions: Vec<usize> = taken
            .iter()
            .enumerate()
            .map(|(i, taken)| (taken.len() / (i + 1) + taken.len() / 7) % 2)
            .collect();
        envs.step(ActionsRef::Discrete(&actions)).unwrap();
        for i in 0..n {
            if envs.valid().is_some_and(|valid| !valid[i]) {
                skipped += 1;
                assert_eq!(envs.ends()[i], StepEnd::Continues, "a step that is none ends nothing");
                continue;
            }
            let (row, end) = (i * o..(i + 1) * o, envs.ends()[i]);
            let to = if end.is_over() { envs.final_observations() } else { envs.observations() };
            taken[i].push(Transition {
                from: bits(&before[row.clone()]),
                raw_reward: envs.raw_rewards()[i].to_bits(),
                reward: envs.rewards()[i].to_bits(),
                end,
                to: bits(&to[row]),
            });
        }
    }
    assert_eq!(skipped > 0, envs.valid().is_some());
    taken.iter_mut().for_each(|taken| taken.truncate(count));
    taken
}

#[test]
fn every_way_to_begin_an_episode_gives_the_same_transitions() {
    let Some(interpreter) = interpreter() else { return };
    let expected = transitions(&mut *make(&single(), &interpreter, N), 400);
    for end in [StepEnd::Terminated, StepEnd::Truncated] {
        let count = expected.iter().flatten().filter(|t| t.end == end).count();
        assert!(count >= 5, "only {count} episodes end by {end:?}");
    }
    for mode in MODES {
        let spec = spec(&vector(mode), &interpreter).unwrap();
        let mut envs = spec.make_vec(N).unwrap();
        // Whoever plans a run knows it before any vector is made.
        assert_eq!((envs.valid().is_some(), spec.resets_in_steps), (mode == "NextStep", mode == "NextStep"));
        assert!(transitions(&mut *envs, 400) == expected, "{mode}");
    }
}

/// With one environment, so that statistics take in the observations one by one, in the same order in every mode.
#[test]
fn every_way_to_begin_an_episode_is_normalised_alike() {
    let Some(interpreter) = interpreter() else { return };
    let run = |name: &GymName| {
        let envs = make(name, &interpreter, 1);
        let mut envs = NormalizeReward::new(NormalizeObservation::new(envs), 0.9);
        let taken = transitions(&mut envs, 400).remove(0);
        let observations = envs.observation_normalizer().unwrap().clone();
        (taken, observations, envs.normalizer().clone())
    };
    let (expected, observations, rewards) = run(&single());
    assert!(expected.iter().any(|t| t.end.is_over()) && expected.iter().any(|t| t.reward != t.raw_reward));
    for mode in MODES {
        let (taken, its_observations, its_rewards) = run(&vector(mode));
        assert_eq!((&its_observations, &its_rewards), (&observations, &rewards), "{mode}");
        for (t, (ours, theirs)) in taken.iter().zip(&expected).enumerate() {
            let end = theirs.end.is_over();
            assert_eq!(
                (&ours.from, ours.reward, ours.end),
                (&theirs.from, theirs.reward, theirs.end),
                "{mode}, {t}"
            );
            if !end || mode != "NextStep" {
                assert_eq!(ours.to, theirs.to, "{mode}, {t}");
                continue;
            }
            // The statistics that a final observation is seen through do not know yet where the next episode begins.
            for (a, b) in ours.to.iter().zip(&theirs.to) {
                let (a, b) = (f32::from_bits(*a), f32::from_bits(*b));
                assert!((a - b).abs() < if t < 100 { 0.3 } else { 0.03 }, "{mode}, {t}: {a}, not {b}");
            }
        }
    }
}

/// What is masked arrives in every mode, and where the next action is ignored, all are allowed.
#[test]
fn masks_of_vectors_arrive() {
    let Some(interpreter) = interpreter() else { return };
    for mode in MODES {
        let text = format!(
            r#"gymvec:tests.python.faulty:Structured-v0?{{"kwargs":{{"masked":true,"vectorization_mode":"sync","vector_kwargs":{{"autoreset_mode":"{mode}"}}}}}}"#
        );
        let mut envs = make(&name(&text), &interpreter, 2);
        envs.reset(0, "env").unwrap();
        for step in 0..25 {
            let masks = envs.action_masks().unwrap().to_vec();
            for (i, mask) in masks.chunks(3).enumerate() {
                let light = envs.observations()[4 * i..4 * i + 3].iter().position(|x| *x > 0.5).unwrap();
                let between = envs.ends()[i].is_over() && envs.valid().is_some();
                let expected: Vec<bool> = (0..3).map(|place| between || place != (light + 1) % 3).collect();
                assert_eq!(mask, expected, "{mode}, step {step}");
            }
            envs.step(ActionsRef::Discrete(&[0, 1])).unwrap();
        }
    }
}
