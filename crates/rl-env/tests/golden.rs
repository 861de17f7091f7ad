//! The classic-control suite against transitions and episodes recorded from Gymnasium.
//!
//! The recordings in `tests/golden/envs` were made by `python tests/golden/make_envs.py SEED tests/golden/envs`. Set
//! `GOLDEN_ENVS` to a directory of further recordings to replay those instead.

#![allow(clippy::float_cmp, clippy::unwrap_used, clippy::print_stdout, reason = "a test that compares bits")]

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

/// What the comparison has seen.
#[derive(Default, Debug)]
struct Worst {
    state: f64,
    reward: f64,
    obs_ulps: u32,
    steps: usize,
}

/// How an environment's states must agree.
#[derive(Clone, Copy)]
enum States {
    Close,
    Bits,
}

#[test]
fn cart_pole_v0() {
    replay::<CartPole>("CartPole-v0", States::Close);
}

#[test]
fn cart_pole_v1() {
    replay::<CartPole>("CartPole-v1", States::Close);
}

#[test]
fn mountain_car() {
    replay::<MountainCar>("MountainCar-v0", States::Close);
}

#[test]
fn mountain_car_continuous() {
    replay::<MountainCarContinuous>("MountainCarContinuous-v0", States::Bits);
}

#[test]
fn acrobot() {
    replay::<Acrobot>("Acrobot-v1", States::Close);
}

#[test]
fn pendulum() {
    replay::<Pendulum>("Pendulum-v1", States::Close);
}

fn replay<E: Place>(id: &str, states: States) {
    let golden = read(id);
    let registry = Registry::builtin();
    let spec = registry.get(id).unwrap();
    assert_eq!(spec.max_episode_steps.map(u64::from), golden["max_episode_steps"].as_u64());
    assert_eq!(spec.reward_threshold, golden["reward_threshold"].as_f64());

    let mut worst = Worst::default();
    for (i, t) in array(&golden["transitions"]).iter().enumerate() {
        let mut env = E::default();
        env.place(&floats(&t["state"]));
        let (step, obs) = take(&mut env, &t["action"]);
        assert_eq!(step.end == StepEnd::Terminated, t["terminated"] == true, "{id}, transition {i}");
        assert_ne!(step.end, StepEnd::Truncated);
        compare(
            &mut worst,
            (&env.state(), &obs, step.reward),
            (&floats(&t["next_state"]), &floats(&t["obs"]), t["reward"].as_f64().unwrap()),
            states,
            &format!("{id}, transition {i}"),
        );
    }
    for (k, episode) in array(&golden["episodes"]).iter().enumerate() {
        let mut env = TimeLimit::new(E::default(), spec.max_episode_steps.unwrap());
        let mut scratch = vec![0.0; Env::observation_space(&env).flat_len()];
        Env::reset(&mut env, &mut EnvRng::seed_from_u64(0), &mut scratch).unwrap();
        let golden_states: Vec<_> = array(&episode["states"]).iter().map(floats).collect();
        let mut before = floats(&episode["state0"]);
        for t in 0..golden_states.len() {
            let at = format!("{id}, episode {k}, step {t}");
            env.inner_mut().place(&before);
            let (step, obs) = take(&mut env, &episode["actions"][t]);
            let last = t + 1 == golden_states.len();
            let expected = match (last, episode["terminated"] == true) {
                (false, _) => StepEnd::Continues,
                (true, true) => StepEnd::Terminated,
                (true, false) => StepEnd::Truncated,
            };
            assert_eq!(step.end, expected, "{at}");
            compare(
                &mut worst,
                (&env.inner().state(), &obs, step.reward),
                (&golden_states[t], &floats(&episode["obs"][t]), episode["rewards"][t].as_f64().unwrap()),
                states,
                &at,
            );
            before.clone_from(&golden_states[t]);
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

fn compare(
    worst: &mut Worst,
    ours: (&[f64], &[f32], f64),
    golden: (&[f64], &[f64], f64),
    states: States,
    at: &str,
) {
    for (i, (&a, &b)) in ours.0.iter().zip(golden.0).enumerate() {
        let error =
            if a.to_bits() == b.to_bits() { 0.0 } else { (a - b).abs() / b.abs().max(f64::MIN_POSITIVE) };
        let allowed = if matches!(states, States::Bits) { 0.0 } else { 1e-12 };
        assert!(error <= allowed || a == b, "{at}: state[{i}] is {a}, Gymnasium's {b}");
        worst.state = worst.state.max(error);
    }
    assert_eq!((ours.0.len(), ours.1.len()), (golden.0.len(), golden.1.len()), "{at}");
    for (i, (&a, &b)) in ours.1.iter().zip(golden.1).enumerate() {
        let ulps = ulps_apart(a, b as f32);
        assert!(ulps <= 1, "{at}: obs[{i}] is {a}, Gymnasium's {b}");
        worst.obs_ulps = worst.obs_ulps.max(ulps);
    }
    let error = (ours.2 - golden.2).abs() / golden.2.abs().max(1e-300);
    assert!(error <= 1e-12 || ours.2 == golden.2, "{at}: reward {}, Gymnasium's {}", ours.2, golden.2);
    worst.reward = worst.reward.max(if ours.2 == golden.2 { 0.0 } else { error });
    worst.steps += 1;
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
