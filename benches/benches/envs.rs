//! One step of every built-in environment, alone and in vectors of 8, 64 and 1,024; times are for one step of one environment.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a benchmark that fails should stop")]

use std::hint::black_box;
use std::ops::Range;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use rl_env::rng::stream;
use rl_env::{Action, ActionRef, ActionsRef, Registry, Space};

/// Vector steps with actions drawn beforehand.
const ROUNDS: usize = 64;

/// `count` random actions one behind the other.
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

fn rows(all: &Action, rows: Range<usize>, width: usize) -> ActionsRef<'_> {
    let range = rows.start * width..rows.end * width;
    match all {
        Action::Discrete(a) => ActionsRef::Discrete(&a[range]),
        Action::Continuous(a) => ActionsRef::Continuous(&a[range]),
    }
}

/// Criterion asks for `iters` steps; whole rounds of `n` are taken and the time scaled.
fn time_steps(iters: u64, n: usize, mut round: impl FnMut(usize)) -> Duration {
    let rounds = iters.div_ceil(n as u64).max(1);
    let start = Instant::now();
    (0..rounds).for_each(|r| round(r as usize % ROUNDS));
    start.elapsed().mul_f64(iters as f64 / (rounds * n as u64) as f64)
}

fn envs(c: &mut Criterion) {
    for spec in Registry::builtin().iter() {
        let mut env = spec.make();
        let (space, mut rng) = (env.action_space(), stream(0, "env", 0));
        let (all, width) = (actions(&space, ROUNDS), space.action_len());
        let mut obs = vec![0.0; env.observation_space().flat_len()];
        env.reset(&mut rng, &mut obs).unwrap();
        if env.action_mask(&mut vec![true; space.mask_len()]) {
            // Actions that were drawn beforehand are not always allowed.
            continue;
        }
        c.bench_function(&format!("env/{}/alone", spec.id), |b| {
            b.iter_custom(|iters| {
                time_steps(iters, 1, |i| {
                    let action = match rows(&all, i..i + 1, width) {
                        ActionsRef::Discrete(a) => ActionRef::Discrete(a),
                        ActionsRef::Continuous(a) => ActionRef::Continuous(a),
                    };
                    if env.step(action, &mut rng, &mut obs).unwrap().end.is_over() {
                        env.reset(&mut rng, &mut obs).unwrap();
                    }
                })
            });
        });
        for n in [8, 64, 1024] {
            let mut envs = spec.make_vec(n).unwrap();
            let all = actions(&space, n * ROUNDS);
            envs.reset(0, "bench").unwrap();
            c.bench_function(&format!("env/{}/{n}", spec.id), |b| {
                b.iter_custom(|iters| {
                    time_steps(iters, n, |r| envs.step(rows(&all, r * n..(r + 1) * n, width)).unwrap())
                });
            });
        }
    }
}

/// The sine and cosine of a pole's angle: a part of every step of a cart-pole.
fn sin_cos(c: &mut Criterion) {
    let mut angle = 0.0_f64;
    c.bench_function("env/sin_cos", |b| {
        b.iter(|| {
            angle = if angle > 0.2 { -0.2 } else { angle + 1e-3 };
            rl_kernels::elementary::sin_cos(black_box(angle))
        });
    });
}

criterion_group!(benches, envs, sin_cos);
criterion_main!(benches);
