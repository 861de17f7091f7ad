//! Steps per second of every built-in environment, alone and in vectors of 8, 64 and 1,024.
//!
//! `cargo bench -p rl-env`. One item is one step of one environment; actions are random and drawn beforehand, episodes
//! reset by themselves. `alone` steps through `Box<dyn DynEnv>`, `vec_env` through `EnvSpec::make_vec`.

use divan::{Bencher, counter::ItemsCount};
use rl_env::rng::stream;
use rl_env::{Action, ActionRef, ActionsRef, EnvSpec, Registry, Space};

fn main() {
    divan::main();
}

const ROUNDS: usize = 64;

fn ids() -> Vec<String> {
    Registry::builtin().iter().map(|spec| spec.id.clone()).collect()
}

fn spec(id: &str) -> EnvSpec {
    Registry::builtin()
        .get(id)
        .expect("a built-in identifier")
        .clone()
}

/// `count` actions one behind the other.
fn actions(space: &Space, count: usize) -> Action {
    let mut rng = stream(0, "actions", 0);
    let mut all = space.sample(&mut rng);
    for _ in 1..count {
        match (&mut all, space.sample(&mut rng)) {
            (Action::Discrete(all), Action::Discrete(a)) => all.extend(a),
            (Action::Continuous(all), Action::Continuous(a)) => all.extend(a),
            _ => unreachable!("a space has one kind of action"),
        }
    }
    all
}

fn rows(all: &Action, rows: std::ops::Range<usize>, width: usize) -> ActionsRef<'_> {
    let range = rows.start * width..rows.end * width;
    match all {
        Action::Discrete(a) => ActionsRef::Discrete(&a[range]),
        Action::Continuous(a) => ActionsRef::Continuous(&a[range]),
    }
}

/// The C library's sine and cosine of a pole's angle: what no exact cart-pole can be faster than.
#[divan::bench(sample_count = 50)]
fn sin_cos(bencher: Bencher<'_, '_>) {
    let angles: Vec<f64> = (0..4096).map(|i| 0.2 * f64::from(i % 97 - 48) / 48.0).collect();
    bencher.counter(ItemsCount::new(angles.len())).bench_local(|| {
        angles
            .iter()
            .map(|x| x.sin_cos())
            .fold(0.0, |sum, (sin, cos)| sum + sin * cos)
    });
}

#[divan::bench(args = ids(), sample_count = 50)]
fn alone(bencher: Bencher<'_, '_>, id: &str) {
    const STEPS: usize = 4096;
    let mut env = spec(id).make();
    let (space, mut rng) = (env.action_space(), stream(0, "env", 0));
    let (all, width) = (actions(&space, STEPS), space.action_len());
    let mut obs = vec![0.0; env.observation_space().flat_len()];
    env.reset(&mut rng, &mut obs).expect("resets");
    bencher.counter(ItemsCount::new(STEPS)).bench_local(|| {
        for i in 0..STEPS {
            let action = match rows(&all, i..i + 1, width) {
                ActionsRef::Discrete(a) => ActionRef::Discrete(a),
                ActionsRef::Continuous(a) => ActionRef::Continuous(a),
            };
            if env.step(action, &mut rng, &mut obs).expect("steps").end.is_over() {
                env.reset(&mut rng, &mut obs).expect("resets");
            }
        }
    });
}

#[divan::bench(args = ids(), consts = [8, 64, 1024], sample_count = 50)]
fn vec_env<const N: usize>(bencher: Bencher<'_, '_>, id: &str) {
    let mut envs = spec(id).make_vec(N).expect("makes");
    let width = envs.action_space().action_len();
    let all = actions(envs.action_space(), N * ROUNDS);
    envs.reset(0, "bench").expect("resets");
    bencher.counter(ItemsCount::new(N * ROUNDS)).bench_local(|| {
        for round in 0..ROUNDS {
            envs.step(rows(&all, round * N..(round + 1) * N, width))
                .expect("steps");
        }
    });
}
