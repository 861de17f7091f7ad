//! The built-in CartPole against Gymnasium's, started anew from Gymnasium's own state at every step.

#![allow(clippy::float_cmp, clippy::unwrap_used, reason = "a test that compares bits")]

mod common;

use common::{interpreter, name};
use rand::Rng;
use rl_env::envs::CartPole;
use rl_env::rng::stream;
use rl_env::{ActionRef, ActionsRef, DynEnv, StepEnd, TimeLimit, VecEnv};
use rl_gym::spec;

const N: usize = 4;
const STEPS: usize = 2500;
const LIMIT: u32 = 30;

/// The double-precision state behind an observation of `tests/python/cartpole_state.py`.
fn state(row: &[f32]) -> [f64; 4] {
    std::array::from_fn(|k| [4, 8, 12].map(|part| f64::from(row[part + k])).iter().sum())
}

/// Bounds as in the golden test of `rl-env`: four times the largest deviation that docs/environments.md states, on the scale of the largest
/// of the element's magnitudes before and after the step and of what a step adds to it.
const BOUND: f64 = 1.2e-15;
const CHANGE: [f64; 4] = [0.02, 0.18, 0.02, 0.29];

#[test]
fn the_built_in_cartpole_is_gymnasiums_step_by_step() {
    let Some(interpreter) = interpreter() else { return };
    let text = format!(
        r#"gym:CartPole-v1?{{"kwargs":{{"max_episode_steps":{LIMIT}}},"wrappers":["tests.python.cartpole_state:WithState"]}}"#
    );
    let mut theirs = spec(&name(&text), &interpreter).unwrap().make_vec(N).unwrap();
    theirs.reset(6, "env").unwrap();
    let mut ours: Vec<_> = (0..N).map(|_| TimeLimit::new(CartPole::new(), LIMIT)).collect();
    let (mut rng, mut obs) = (stream(6, "native", 0), [0.0; 4]);
    ours.iter_mut().for_each(|env| DynEnv::reset(env, &mut rng, &mut obs).unwrap());
    let mut counts = [0; 3];
    for t in 0..STEPS {
        let before: Vec<_> = theirs.observations().chunks(16).map(state).collect();
        // Balancing, more or less, so that some episodes last until they are cut.
        let push = |s: &[f64; 4], rng: &mut _| {
            usize::from(s[2] + 0.5 * s[3] > 0.0) ^ usize::from(Rng::random_bool(rng, 0.4))
        };
        let actions: Vec<usize> = before.iter().map(|s| push(s, &mut rng)).collect();
        theirs.step(ActionsRef::Discrete(&actions)).unwrap();
        for (i, env) in ours.iter_mut().enumerate() {
            env.inner_mut().set_state(before[i]);
            let step = DynEnv::step(env, ActionRef::Discrete(&actions[i..=i]), &mut rng, &mut obs).unwrap();
            let at = format!("environment {i}, step {t}");
            assert_eq!((step.end, step.reward), (theirs.ends()[i], theirs.rewards()[i]), "{at}");
            let rows = if step.end.is_over() { theirs.final_observations() } else { theirs.observations() };
            let row = &rows[16 * i..16 * (i + 1)];
            assert_eq!(obs, row[..4], "{at}");
            for (k, (a, b)) in env.inner().state().into_iter().zip(state(row)).enumerate() {
                let scale = b.abs().max(before[i][k].abs()).max(CHANGE[k]);
                assert!(
                    (a - b).abs() <= BOUND * scale,
                    "{at}: element {k} of the state is {a}, Gymnasium's {b}"
                );
            }
            counts[step.end as usize] += 1;
            if step.end.is_over() {
                DynEnv::reset(env, &mut rng, &mut obs).unwrap();
            }
        }
    }
    let [goes_on, terminated, truncated] = counts;
    assert_eq!(goes_on + terminated + truncated, N * STEPS);
    assert!(
        counts[StepEnd::Terminated as usize] > 50 && counts[StepEnd::Truncated as usize] > 50,
        "{counts:?}"
    );
}
