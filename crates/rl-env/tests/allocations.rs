//! No step and no reset allocates.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use rl_env::rng::stream;
use rl_env::wrappers::{ClipAction, EpisodeStatistics, FrameStack, RescaleAction};
use rl_env::{
    Action, ActionsRef, DynEnv, NormalizeObservation, NormalizeReward, Registry, SyncVecEnv, TimeLimit,
    VecEnv, envs,
};
use rl_test_support as _;

/// The system's allocator, counting this thread's calls.
struct Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.with(|calls| calls.set(calls.get() + 1));
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const STEPS: usize = 2000;

fn allocations(mut work: impl FnMut()) -> u64 {
    let before = CALLS.with(Cell::get);
    work();
    CALLS.with(Cell::get) - before
}

fn step_alone(name: &str, mut env: impl DynEnv) {
    // Drawn on a first run, from what is allowed there, and so in the second that is the same.
    let (mut rng, mut drawn) = (stream(0, "env", 0), stream(0, "actions", 0));
    let mut obs = vec![0.0; env.observation_space().flat_len()];
    env.reset(&mut rng, &mut obs).unwrap();
    let mut actions = Vec::new();
    for _ in 0..STEPS {
        let action = env.sample_action(&mut drawn).unwrap();
        if env.step(action.as_ref(), &mut rng, &mut obs).unwrap().end.is_over() {
            env.reset(&mut rng, &mut obs).unwrap();
        }
        actions.push(action);
    }
    rng = stream(0, "env", 0);
    let count = allocations(|| {
        env.reset(&mut rng, &mut obs).unwrap();
        for action in &actions {
            if env.step(action.as_ref(), &mut rng, &mut obs).unwrap().end.is_over() {
                env.reset(&mut rng, &mut obs).unwrap();
            }
        }
    });
    assert_eq!(count, 0, "{name} alone");
}

/// The indices, or the reals where there are none.
fn as_row((indices, reals): &(Vec<usize>, Vec<f32>)) -> ActionsRef<'_> {
    if reals.is_empty() { ActionsRef::Discrete(indices) } else { ActionsRef::Continuous(reals) }
}

fn step_vector(name: &str, envs: &mut dyn VecEnv) {
    let (space, mut rng) = (envs.action_space().clone(), stream(0, "actions", 0));
    envs.reset(0, "env").unwrap();
    let mut rows = Vec::new();
    for _ in 0..STEPS {
        let mut row = (Vec::new(), Vec::new());
        for i in 0..envs.n_envs() {
            let m = space.mask_len();
            let action = match envs.action_masks() {
                Some(masks) => space.sample_allowed(&masks[i * m..(i + 1) * m], &mut rng).unwrap(),
                None => space.sample(&mut rng),
            };
            match action {
                Action::Discrete(a) => row.0.extend(a),
                Action::Continuous(a) => row.1.extend(a),
            }
        }
        envs.step(as_row(&row)).unwrap();
        rows.push(row);
    }
    envs.reset(0, "env").unwrap();
    let count = allocations(|| {
        for row in &rows {
            envs.step(as_row(row)).unwrap();
        }
    });
    assert_eq!(count, 0, "{name} in a vector");
}

#[test]
fn no_step_allocates() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1]))), 1, "the counter counts");
    for spec in Registry::builtin().iter() {
        step_alone(&spec.id, spec.make());
        step_vector(&spec.id, &mut *spec.make_vec(8).unwrap());
        step_vector(&spec.id, &mut SyncVecEnv::new((0..8).map(|_| spec.make()).collect()).unwrap());
        let normalized = NormalizeReward::new(NormalizeObservation::new(spec.make_vec(8).unwrap()), 0.99);
        step_vector(&format!("{} normalised", spec.id), &mut { normalized });
    }
}

#[test]
fn no_wrapper_allocates() {
    let pendulum = || TimeLimit::new(envs::Pendulum::new(), 50);
    step_alone("clipped", ClipAction::new(pendulum()).unwrap());
    step_alone("rescaled", RescaleAction::new(pendulum(), -1.0, 1.0).unwrap());
    step_alone("stacked", FrameStack::new(pendulum(), 4).unwrap());
    step_alone("with statistics", EpisodeStatistics::new(pendulum()));
}
