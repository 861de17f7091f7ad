//! The bridge against Python's own loop: the same bits.

#![allow(clippy::float_cmp, clippy::unwrap_used, reason = "a test that compares bits")]

mod common;

use std::io::Write;
use std::process::{Command, Stdio};

use common::{can_import, can_make, interpreter, name};
use rand::RngCore;
use rl_env::rng::stream;
use rl_env::{Action, ActionRef, ActionsRef, DynEnv, Space, StepEnd, VecEnv};
use rl_gym::{GymName, Interpreter, spec};

/// What a run was, in bits: first observations, then observation, final observation, reward and end of every environment at every step.
type Record = Vec<u8>;

const N: usize = 4;
const STEPS: usize = 2500;

/// The actions of all steps, held for a while now and then.
fn actions(space: &Space) -> Vec<Vec<Action>> {
    let mut rng = stream(5, "bridge", 0);
    (0..STEPS).map(|_| (0..N).map(|_| space.sample(&mut rng)).collect()).collect()
}

fn through_the_bridge(name: &GymName, interpreter: &Interpreter, actions: &[Vec<Action>]) -> Record {
    let mut envs = spec(name, interpreter).unwrap().make_vec(N).unwrap();
    envs.reset(3, "env").unwrap();
    let o = envs.observation_space().flat_len();
    let bytes = |row: &[f32]| row.iter().flat_map(|x| x.to_ne_bytes()).collect::<Vec<u8>>();
    let mut record = bytes(envs.observations());
    for row in actions {
        let (mut indices, mut reals) = (Vec::new(), Vec::new());
        for action in row {
            match action.as_ref() {
                ActionRef::Discrete(a) => indices.extend_from_slice(a),
                ActionRef::Continuous(a) => reals.extend_from_slice(a),
            }
        }
        let is_discrete = reals.is_empty();
        envs.step(if is_discrete { ActionsRef::Discrete(&indices) } else { ActionsRef::Continuous(&reals) })
            .unwrap();
        for i in 0..N {
            let cells = i * o..(i + 1) * o;
            record.extend(bytes(&envs.observations()[cells.clone()]));
            let end = envs.ends()[i];
            let none = vec![0.0; o];
            record.extend(bytes(if end.is_over() { &envs.final_observations()[cells] } else { &none }));
            record.extend(envs.rewards()[i].to_ne_bytes());
            record.push(match end {
                StepEnd::Continues => 0,
                StepEnd::Terminated => 1,
                StepEnd::Truncated => 2,
            });
        }
    }
    record
}

fn in_python(name: &GymName, interpreter: &Interpreter, space: &Space, actions: &[Vec<Action>]) -> Record {
    let seeds: Vec<u64> = (0..N).map(|i| stream(3, "env", i as u64).next_u64() >> 33).collect();
    let mut input = serde_json::json!({
        "id": name.id,
        "kwargs": name.options.kwargs,
        "seeds": seeds,
        "steps": STEPS,
        "width": space.action_len(),
        "discrete": !matches!(space, Space::Box(_)),
    })
    .to_string()
    .into_bytes();
    input.push(b'\n');
    for action in actions.iter().flatten() {
        match action.as_ref() {
            ActionRef::Discrete(a) => input.extend(a.iter().flat_map(|x| (*x as i64).to_ne_bytes())),
            ActionRef::Continuous(a) => input.extend(a.iter().flat_map(|x| x.to_ne_bytes())),
        }
    }
    let mut python = Command::new(&interpreter.python)
        .arg("tests/python/own_loop.py")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = python.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn same_bits(id: &str, limit: u32) {
    let Some(mut interpreter) = interpreter() else { return };
    if !can_make(&interpreter, id) {
        return;
    }
    let name = name(&format!(r#"gym:{id}?{{"kwargs":{{"max_episode_steps":{limit}}}}}"#));
    let made = spec(&name, &interpreter).unwrap();
    assert_eq!(made.max_episode_steps, Some(limit));
    let (o, actions) = (made.observation_space.flat_len(), actions(&made.action_space));
    let expected = in_python(&name, &interpreter, &made.action_space, &actions);
    assert_eq!(expected.len(), 4 * N * o + STEPS * N * (8 * o + 9));
    let ends: Vec<u8> = (0..STEPS * N).map(|row| expected[4 * N * o + (row + 1) * (8 * o + 9) - 1]).collect();
    for end in [1, 2] {
        let count = ends.iter().filter(|x| **x == end).count();
        assert!(count >= 20, "{id}: only {count} episodes end by {end}");
    }
    // However the environments are shared out, and however bits travel.
    for (workers, pipe_only) in [(Some(1), false), (Some(3), false), (Some(2), true)] {
        interpreter = Interpreter { workers, pipe_only, ..interpreter };
        let record = through_the_bridge(&name, &interpreter, &actions);
        let different = record.iter().zip(&expected).position(|(a, b)| a != b);
        assert_eq!(different, None, "{id}, {workers:?} workers: the first byte that differs");
        assert_eq!(record.len(), expected.len());
    }
}

#[test]
fn cartpole_is_pythons_own() {
    same_bits("CartPole-v1", 30);
}

#[test]
fn lunar_lander_is_pythons_own() {
    same_bits("LunarLander-v3", 90);
}

#[test]
fn hopper_is_pythons_own() {
    same_bits("Hopper-v5", 20);
}

/// Alone it starts as the first of a vector does, with the stream that the vector would draw from, and again with its own next episodes.
#[test]
fn alone_it_is_the_first_of_a_vector() {
    let Some(interpreter) = interpreter() else { return };
    let spec = spec(&name(r#"gym:CartPole-v1?{"kwargs":{"max_episode_steps":12}}"#), &interpreter).unwrap();
    let mut envs = spec.make_vec(2).unwrap();
    envs.reset(9, "eval").unwrap();
    let (mut one, mut rng, mut obs) = (spec.make(), stream(9, "eval", 0), [0.0; 4]);
    assert!(one.render().is_none(), "nothing to be seen before the first reset");
    one.reset(&mut rng, &mut obs).unwrap();
    let mut ends = 0;
    for t in 0..60 {
        assert_eq!(obs, envs.observations()[..4], "step {t}");
        envs.step(ActionsRef::Discrete(&[t % 2, 0])).unwrap();
        let step = one.step(ActionRef::Discrete(&[t % 2]), &mut rng, &mut obs).unwrap();
        assert_eq!((step.reward, step.end), (envs.rewards()[0], envs.ends()[0]));
        if step.end.is_over() {
            ends += 1;
            assert_eq!(obs, envs.final_observations()[..4]);
            assert!(one.step(ActionRef::Discrete(&[0]), &mut rng, &mut obs).is_err());
            one.reset(&mut rng, &mut obs).unwrap();
        }
    }
    assert!(ends >= 4, "{ends} episodes");
    // From the start again: the same episode again.
    let first = envs.observations().to_vec();
    envs.reset(9, "eval").unwrap();
    one.reset(&mut stream(9, "eval", 0), &mut obs).unwrap();
    assert!(obs == envs.observations()[..4] && first != envs.observations());
}

#[test]
fn spaces_wrappers_and_masks_arrive() {
    let Some(interpreter) = interpreter() else { return };
    let text = r#"gym:tests.python.faulty:Structured-v0?{"wrappers":["tests.python.faulty:Doubled"]}"#;
    let plain = spec(&name(text), &interpreter).unwrap();
    assert_eq!(plain.id, text);
    assert_eq!(plain.observation_space.to_string(), "Dict(light: Discrete(3), noise: Box(0, 1, [1]))");
    assert_eq!(plain.action_space, Space::Discrete(3));
    let mut envs = plain.make_vec(3).unwrap();
    envs.reset(0, "env").unwrap();
    assert!(envs.action_masks().is_none() && envs.valid().is_none() && envs.told_episodes().is_none());
    for _ in 0..9 {
        // The place of the light, as the observation has it one-hot.
        let lights: Vec<usize> =
            envs.observations().chunks(4).map(|row| row.iter().position(|x| *x == 1.0).unwrap()).collect();
        envs.step(ActionsRef::Discrete(&lights)).unwrap();
        assert_eq!(envs.rewards(), [2.0; 3]);
    }

    let masked = name(r#"gym:tests.python.faulty:Structured-v0?{"kwargs":{"masked":true}}"#);
    let mut envs = spec(&masked, &interpreter).unwrap().make_vec(2).unwrap();
    envs.reset(0, "env").unwrap();
    for _ in 0..12 {
        for (row, mask) in envs.observations().chunks(4).zip(envs.action_masks().unwrap().chunks(3)) {
            let light = row.iter().position(|x| *x == 1.0).unwrap();
            let expected: Vec<bool> = (0..3).map(|place| place != (light + 1) % 3).collect();
            assert_eq!(mask, expected);
        }
        envs.step(ActionsRef::Discrete(&[0, 1])).unwrap();
    }
}

/// An environment that raises for what it masks, of several dimensions and of bits: no action drawn from the masks is refused.
#[test]
fn masks_over_dimensions_and_bits_are_the_environments_own() {
    let Some(interpreter) = interpreter() else { return };
    for (bits, width) in [(false, 5), (true, 6)] {
        let text = format!(r#"gym:tests.python.faulty:Locked-v0?{{"kwargs":{{"bits":{bits}}}}}"#);
        let interpreter = Interpreter { workers: Some(2), ..interpreter.clone() };
        let spec = spec(&name(&text), &interpreter).unwrap();
        let (space, mut rng) = (spec.action_space.clone(), stream(1, "locked", 0));
        assert_eq!(space.mask_len(), width);
        let mut envs = spec.make_vec(N).unwrap();
        envs.reset(0, "env").unwrap();
        let mut forbidden = 0;
        for _ in 0..300 {
            let mut actions = Vec::new();
            for mask in envs.action_masks().unwrap().chunks(width) {
                forbidden += mask.iter().filter(|allowed| !**allowed).count();
                match space.sample_allowed(mask, &mut rng).unwrap() {
                    Action::Discrete(a) => actions.extend(a),
                    Action::Continuous(_) => unreachable!(),
                }
            }
            envs.step(ActionsRef::Discrete(&actions)).unwrap();
        }
        assert!(forbidden > 300, "only {forbidden} choices were ever masked");
        // And one that is masked is its error.
        loop {
            let masks = envs.action_masks().unwrap();
            let first = space.mask_blocks().next().unwrap();
            let locked = (0..N).find(|i| masks[i * width..][first.clone()].contains(&false));
            let mut actions: Vec<usize> = Vec::new();
            for (i, mask) in masks.chunks(width).enumerate() {
                match space.sample_allowed(mask, &mut rng).unwrap() {
                    Action::Discrete(mut a) => {
                        a[0] = if Some(i) == locked { 1 - a[0] } else { a[0] };
                        actions.extend(a);
                    }
                    Action::Continuous(_) => unreachable!(),
                }
            }
            match (locked, envs.step(ActionsRef::Discrete(&actions))) {
                (None, taken) => taken.unwrap(),
                (Some(_), taken) => {
                    assert!(taken.unwrap_err().to_string().contains("is locked by"));
                    break;
                }
            }
        }
    }
}

#[test]
fn an_environment_is_drawn_where_it_can_be() {
    let Some(interpreter) = interpreter() else { return };
    let spec = spec(&common::faulty("none", 0), &interpreter).unwrap();
    let (mut one, mut rng, mut obs) = (spec.make(), stream(0, "draw", 0), [0.0; 2]);
    one.reset(&mut rng, &mut obs).unwrap();
    for t in 1..4 {
        one.step(ActionRef::Discrete(&[0]), &mut rng, &mut obs).unwrap();
        let frame = one.render().unwrap();
        assert_eq!((frame.width, frame.height, frame.rgb), (3, 2, vec![t; 18]));
    }
    // A picture that cannot be drawn is none, and the environment goes on.
    let faulty = common::faulty("picture", 0);
    let mut other = rl_gym::spec(&faulty, &interpreter).unwrap().make();
    other.reset(&mut rng, &mut obs).unwrap();
    assert_eq!(other.render(), None);
    other.step(ActionRef::Discrete(&[0]), &mut rng, &mut obs).unwrap();
}

/// Pictures arrive as a network of convolutions takes them: channels first, narrowed once, unscaled; and the game tells its own returns.
#[test]
fn atari_games_arrive_as_four_pictures() {
    let Some(interpreter) = interpreter() else { return };
    if !can_import(&interpreter, "ale_py, cv2") {
        return;
    }
    let interpreter = Interpreter { workers: Some(1), ..interpreter };
    let spec = spec(&name(r#"gym:ALE/Breakout-v5?{"wrappers":["atari"]}"#), &interpreter).unwrap();
    assert_eq!(spec.observation_space.to_string(), "Box(0, 255, [4, 84, 84])");
    assert_eq!(spec.action_space, Space::Discrete(4));
    let mut envs = spec.make_vec(2).unwrap();
    envs.reset(0, "env").unwrap();
    let (picture, o) = (84 * 84, 4 * 84 * 84);
    let mut games = 0;
    for t in 0..400 {
        let before = envs.observations().to_vec();
        envs.step(ActionsRef::Discrete(&[t % 4, 2])).unwrap();
        for i in 0..2 {
            let (row, old) = (&envs.observations()[i * o..(i + 1) * o], &before[i * o..(i + 1) * o]);
            assert!(row.iter().all(|x| x.fract() == 0.0 && (0.0..=255.0).contains(x)));
            assert!(row.iter().any(|x| *x > 1.0), "it is not scaled");
            let (reward, (total, length)) = (envs.rewards()[i], envs.told_episodes().unwrap()[i]);
            assert!([-1.0, 0.0, 1.0].contains(&reward));
            if envs.ends()[i] == StepEnd::Continues {
                assert_eq!(row[..3 * picture], old[picture..], "the oldest picture goes");
                assert_eq!(length, 0);
            } else if length > 0 {
                // All five lives, four frames an action.
                assert!(total >= 0.0 && length > 100, "{total} in {length}");
                games += 1;
            }
        }
    }
    assert!(games > 0);
}

#[test]
fn the_contract_holds() {
    let Some(interpreter) = interpreter() else { return };
    assert_eq!(spec(&name("gym:CartPole-v1"), &interpreter).unwrap().check(), []);
}

/// Through a rollout a quick environment holds on to the processor of this thread, and afterwards the thread has its own again: the processors it may use
/// are those from before, whatever ends the rollout.
#[cfg(target_os = "linux")]
#[test]
fn a_processor_is_given_back_after_many_steps() {
    use rustix::thread::sched_getaffinity;

    let Some(interpreter) = interpreter() else { return };
    let before = sched_getaffinity(None).unwrap();
    let one_worker = Interpreter { workers: Some(1), ..interpreter };
    let mut envs = spec(&name("gym:CartPole-v1"), &one_worker).unwrap().make_vec(N).unwrap();
    envs.reset(0, "env").unwrap();
    let mut was_held = false;
    for _ in 0..3 {
        envs.set_stepping(true);
        for _ in 0..100 {
            envs.step(ActionsRef::Discrete(&[0, 1, 0, 1])).unwrap();
            was_held |= sched_getaffinity(None).unwrap() != before;
        }
        envs.set_stepping(false);
        assert_eq!(sched_getaffinity(None).unwrap(), before);
    }
    assert_eq!(was_held, before.count() > 1);
    // One by one it is given back after each; and by a vector that goes in the middle of a rollout.
    envs.step(ActionsRef::Discrete(&[1, 0, 1, 0])).unwrap();
    assert_eq!(sched_getaffinity(None).unwrap(), before);
    envs.set_stepping(true);
    envs.step(ActionsRef::Discrete(&[1, 0, 1, 0])).unwrap();
    drop(envs);
    assert_eq!(sched_getaffinity(None).unwrap(), before);
}
