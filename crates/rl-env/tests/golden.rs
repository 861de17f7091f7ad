//! The classic-control suite against transitions and episodes recorded from Gymnasium.
//!
//! The recordings in `tests/golden/envs` were made by `python tests/golden/make_envs.py SEED tests/golden/envs`. Set
//! `GOLDEN_ENVS` to a directory of further recordings to replay those instead.
//!
//! Gymnasium calls the C library's sine and cosine, which differ from ours (the same on every machine) by an ulp in a few
//! cases of a hundred. So states agree within a small multiple of the rounding unit per transition, which every test states;
//! every step starts from the recorded state, for CartPole and Acrobot amplify one rounding over hundreds of steps.

#![allow(clippy::float_cmp, clippy::unwrap_used, clippy::print_stdout, reason = "a test that compares bits")]

use std::f64::consts::PI;

use rand::SeedableRng;
use rl_env::envs::{Acrobot, CartPole, MountainCar, MountainCarContinuous, Pendulum};
use rl_env::{ActionRef, DynEnv, Env, EnvRng, Registry, Step, StepEnd, TimeLimit};
use rl_test_support as _;
use serde_json::Value;

/// An environment whose state can be set from outside.
trait Place: Env + Default {
    fn place(&mut self, state: &[f64]);
    fn state(&self) -> Vec<f64>;
}

macro_rules! place {
    ($($env:ty),*) => {$(
        impl Place for $env {
            fn place(&mut self, state: &[f64]) {
                self.set_state(state.try_into().unwrap());
            }
            fn state(&self) -> Vec<f64> {
                <$env>::state(self).to_vec()
            }
        }
    )*};
}
place!(Acrobot, CartPole, MountainCar, MountainCarContinuous, Pendulum);

/// How far an environment may be from the recordings.
struct Bounds {
    /// Of an element of the state, on the scale of the terms it is a sum of: relative to the largest of its magnitudes before and
    /// after the step and of `change`. (A velocity that turns round is a small difference of large terms.)
    state: f64,
    /// The size of the terms that one step adds to each element.
    change: &'static [f64],
    /// Whether Pendulum's squared torque may be an ulp away.
    torque: bool,
}

// About four times the largest deviations that docs/environments.md states.

/// τ times the accelerations of 10 N: 10 / 1.1, and that over 0.63.
const CART_POLE: Bounds = Bounds { state: 1.2e-15, change: &[0.02, 0.18, 0.02, 0.29], torque: false };
/// The slope's pull is at most 0.0025.
const MOUNTAIN_CAR: Bounds = Bounds { state: 9e-16, change: &[0.0025, 0.0025], torque: false };
/// Stored as `f32`, so that the last bit of a cosine is rounded away but for one case in 2²⁹.
const MOUNTAIN_CAR_CONTINUOUS: Bounds = Bounds { state: 0.0, change: &[0.0025, 0.0025], torque: false };
/// 0.05 s times 3g/2, and that over a step.
const PENDULUM: Bounds = Bounds { state: 1.3e-15, change: &[0.0375, 0.75], torque: true };
/// 0.2 s times g, and that over a step. One Runge-Kutta step at 28 rad/s amplifies an ulp of a sine some sixty times.
const ACROBOT: Bounds = Bounds { state: 6e-14, change: &[0.4, 0.4, 2.0, 2.0], torque: false };

/// The largest deviations seen.
#[derive(Default, Debug)]
struct Worst {
    /// As [`Bounds::state`] has it.
    state: f64,
    /// Relative to the recorded element itself.
    state_strict: f64,
    /// In ulps of an `f32`.
    obs_ulps: u32,
    /// Relative.
    reward: f64,
    states_that_differ: usize,
    observations_that_differ: usize,
    rewards_that_differ: usize,
    steps: usize,
}

/// What one step gave.
struct Taken<'a> {
    state: &'a [f64],
    obs: &'a [f32],
    reward: f64,
}

#[test]
fn cart_pole_v0() {
    replay::<CartPole>("CartPole-v0", CART_POLE);
}

#[test]
fn cart_pole_v1() {
    replay::<CartPole>("CartPole-v1", CART_POLE);
}

#[test]
fn mountain_car() {
    replay::<MountainCar>("MountainCar-v0", MOUNTAIN_CAR);
}

#[test]
fn mountain_car_continuous() {
    replay::<MountainCarContinuous>("MountainCarContinuous-v0", MOUNTAIN_CAR_CONTINUOUS);
}

#[test]
fn acrobot() {
    replay::<Acrobot>("Acrobot-v1", ACROBOT);
}

#[test]
fn pendulum() {
    replay::<Pendulum>("Pendulum-v1", PENDULUM);
}

fn replay<E: Place>(id: &str, bounds: Bounds) {
    let golden = read(id);
    let registry = Registry::builtin();
    let spec = registry.get(id).unwrap();
    assert_eq!(spec.max_episode_steps.map(u64::from), golden["max_episode_steps"].as_u64());
    assert_eq!(spec.reward_threshold, golden["reward_threshold"].as_f64());

    let mut worst = Worst::default();
    for (i, t) in array(&golden["transitions"]).iter().enumerate() {
        let (mut env, before) = (E::default(), floats(&t["state"]));
        env.place(&before);
        let (step, obs) = take(&mut env, &t["action"]);
        assert_eq!(step.end == StepEnd::Terminated, t["terminated"] == true, "{id}, transition {i}");
        assert_ne!(step.end, StepEnd::Truncated);
        let ours = Taken { state: &env.state(), obs: &obs, reward: step.reward };
        let recorded = (&t["next_state"], &t["obs"], &t["reward"], &t["action"]);
        compare(&mut worst, &before, &ours, recorded, &bounds, &format!("{id}, transition {i}"));
    }
    for (k, episode) in array(&golden["episodes"]).iter().enumerate() {
        let mut env = TimeLimit::new(E::default(), spec.max_episode_steps.unwrap());
        let mut scratch = vec![0.0; Env::observation_space(&env).flat_len()];
        Env::reset(&mut env, &mut EnvRng::seed_from_u64(0), &mut scratch).unwrap();
        let n_steps = array(&episode["states"]).len();
        let mut before = floats(&episode["state0"]);
        for t in 0..n_steps {
            let at = format!("{id}, episode {k}, step {t}");
            env.inner_mut().place(&before);
            let (step, obs) = take(&mut env, &episode["actions"][t]);
            let expected = match (t + 1 == n_steps, episode["terminated"] == true) {
                (false, _) => StepEnd::Continues,
                (true, true) => StepEnd::Terminated,
                (true, false) => StepEnd::Truncated,
            };
            assert_eq!(step.end, expected, "{at}");
            let ours = Taken { state: &env.inner().state(), obs: &obs, reward: step.reward };
            let recorded =
                (&episode["states"][t], &episode["obs"][t], &episode["rewards"][t], &episode["actions"][t]);
            compare(&mut worst, &before, &ours, recorded, &bounds, &at);
            before = floats(&episode["states"][t]);
        }
    }
    println!("{id}: {worst:?}");
}

fn take<E: Env>(env: &mut E, action: &Value) -> (Step, Vec<f32>) {
    let mut obs = vec![f32::NAN; Env::observation_space(env).flat_len()];
    let mut rng = EnvRng::seed_from_u64(0);
    let step = match action {
        Value::Array(a) => {
            let a: Vec<f32> = a.iter().map(|x| x.as_f64().unwrap() as f32).collect();
            DynEnv::step(env, ActionRef::Continuous(&a), &mut rng, &mut obs)
        }
        a => DynEnv::step(env, ActionRef::Discrete(&[a.as_u64().unwrap() as usize]), &mut rng, &mut obs),
    };
    (step.unwrap(), obs)
}

/// Compares a step with the recorded state, observation, reward and action.
fn compare(
    worst: &mut Worst,
    before: &[f64],
    ours: &Taken<'_>,
    (state, obs, reward, action): (&Value, &Value, &Value, &Value),
    bounds: &Bounds,
    at: &str,
) {
    let (state, obs, reward) = (floats(state), floats(obs), reward.as_f64().unwrap());
    assert_eq!((ours.state.len(), ours.obs.len()), (state.len(), obs.len()), "{at}");
    for (i, (&a, &b)) in ours.state.iter().zip(&state).enumerate() {
        let distance = (a - b).abs();
        let error = distance / b.abs().max(before[i].abs()).max(bounds.change[i]);
        assert!(error <= bounds.state, "{at}: state[{i}] is {a}, Gymnasium's {b}, apart by {error:e}");
        worst.state = worst.state.max(error);
        worst.state_strict = worst.state_strict.max(distance / b.abs().max(f64::MIN_POSITIVE));
    }
    worst.states_that_differ += usize::from(ours.state != state);
    for (i, (&a, &b)) in ours.obs.iter().zip(&obs).enumerate() {
        let ulps = ulps_apart(a, b as f32);
        assert!(ulps <= 1, "{at}: obs[{i}] is {a}, Gymnasium's {b}");
        worst.obs_ulps = worst.obs_ulps.max(ulps);
        worst.observations_that_differ += usize::from(ulps > 0);
    }
    if bounds.torque {
        let torque = (array(action)[0].as_f64().unwrap() as f32).clamp(-2.0, 2.0);
        let allowed = rewards_around(before, torque);
        assert_eq!(ours.reward, allowed[1], "{at}");
        let nearest =
            allowed.map(|r| (r - reward).abs() / reward.abs()).into_iter().fold(f64::INFINITY, f64::min);
        assert!(nearest <= 1e-15, "{at}: reward {}, Gymnasium's {reward}", ours.reward);
    } else {
        assert_eq!(ours.reward, reward, "{at}");
    }
    worst.reward = worst.reward.max((ours.reward - reward).abs() / reward.abs().max(f64::MIN_POSITIVE));
    worst.rewards_that_differ += usize::from(ours.reward != reward);
    worst.steps += 1;
}

/// Pendulum's rewards with `u²` an ulp down, rounded to nearest (ours), and an ulp up. NumPy squares an `f32` through the C library's
/// `powf`, which is within an ulp, and the `f64` through `pow`, whose last bit may differ; all else is arithmetic.
fn rewards_around(state: &[f64], u: f32) -> [f64; 3] {
    let (theta, speed) = (state[0], state[1]);
    let wrapped = (theta + PI).rem_euclid(2.0 * PI) - PI;
    let square = u * u;
    [square.next_down(), square, square.next_up()]
        .map(|square| -(wrapped * wrapped + 0.1 * (speed * speed) + f64::from(0.001 * square)))
}

fn ulps_apart(a: f32, b: f32) -> u32 {
    let ordered = |x: f32| {
        let bits = x.to_bits() as i32;
        i64::from(if bits < 0 { i32::MIN.wrapping_sub(bits) } else { bits })
    };
    ordered(a).abs_diff(ordered(b)) as u32
}

fn read(id: &str) -> Value {
    let directory = std::env::var("GOLDEN_ENVS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/envs").to_owned());
    let text = std::fs::read_to_string(format!("{directory}/{id}.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn array(v: &Value) -> &[Value] {
    v.as_array().unwrap()
}

fn floats(v: &Value) -> Vec<f64> {
    array(v).iter().map(|x| x.as_f64().unwrap()).collect()
}
