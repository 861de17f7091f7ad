//! The bits of whole episodes and of sampled elements: another machine must produce them.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers included")]

use rl_env::rng::stream;
use rl_env::{
    Action, ActionsRef, BoxSpace, EnvRng, NormalizeObservation, NormalizeReward, Registry, Space, VecEnv,
};

/// Folds words into one.
#[derive(Default)]
struct Fingerprint(u64);

impl Fingerprint {
    fn add(&mut self, words: impl Iterator<Item = u64>) {
        for word in words {
            self.0 = self.0.rotate_left(5) ^ word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
}

const STEPS: usize = 1_500;
const N: usize = 3;

/// Of every built-in environment, random actions, normalised observations and rewards.
#[test]
fn episodes() {
    let expected: &[(&str, u64)] = &[
        ("Acrobot-v1", 0x8e00_1dc7_ecba_47af),
        ("CartPole-v0", 0x8be2_26ef_6ba9_f666),
        ("CartPole-v1", 0x8be2_26ef_6ba9_f666),
        ("Catch-v0", 0x8737_fbc4_ff8b_98da),
        ("Crane-v0", 0x5ec1_4c3e_3d9b_1cfa),
        ("FrozenLake-v1", 0x2887_4504_1001_238c),
        ("FrozenLake8x8-v1", 0x3daa_6fc5_a111_b648),
        ("GridWorld-v0", 0x02e8_74ef_2953_a78d),
        ("Harbour-v0", 0x7880_fc31_4efc_ee08),
        ("Lights-v0", 0xbbbb_58c8_190b_3c1a),
        ("MountainCar-v0", 0x46d4_1768_faef_7317),
        ("MountainCarContinuous-v0", 0x91a8_6555_04fe_8da5),
        ("Nim-v0", 0x1d35_e1e0_7f93_4cf3),
        ("Pendulum-v1", 0xfdb7_b181_dc4c_fa54),
    ];
    let (mut seen, registry) = (Vec::new(), Registry::builtin());
    for spec in registry.iter() {
        let envs = spec.make_vec(N).unwrap();
        let mut envs = NormalizeReward::new(NormalizeObservation::new(envs), 0.99);
        let mut rng = stream(1, "actions", 0);
        envs.reset(1, "env").unwrap();
        let mut fingerprint = Fingerprint::default();
        for _ in 0..STEPS {
            let actions: Vec<Action> = (0..N).map(|i| sample(&envs, i, &mut rng)).collect();
            let (mut indices, mut reals) = (Vec::new(), Vec::new());
            for action in &actions {
                match action {
                    Action::Discrete(a) => indices.extend(a),
                    Action::Continuous(a) => reals.extend(a),
                }
            }
            envs.step(if reals.is_empty() {
                ActionsRef::Discrete(&indices)
            } else {
                ActionsRef::Continuous(&reals)
            })
            .unwrap();
            fingerprint.add(envs.observations().iter().map(|x| x.to_bits().into()));
            fingerprint.add(envs.rewards().iter().map(|x| x.to_bits()));
        }
        seen.push((spec.id.as_str(), fingerprint.0));
    }
    assert_eq!(seen, expected, "{seen:#x?}");
}

/// A random action for one of the environments, of those that it allows.
fn sample(envs: &dyn VecEnv, i: usize, rng: &mut EnvRng) -> Action {
    let (space, m) = (envs.action_space(), envs.action_space().mask_len());
    match envs.action_masks() {
        Some(masks) => space.sample_allowed(&masks[i * m..(i + 1) * m], rng).unwrap(),
        None => space.sample(rng),
    }
}

/// Uniform, exponential from either side, and normal.
#[test]
fn samples() {
    let inf = f32::INFINITY;
    let space: Space =
        BoxSpace { shape: vec![4], low: vec![-1.0, 2.0, -inf, -inf], high: vec![1.5, inf, 3.0, inf] }.into();
    let (mut rng, mut fingerprint) = (stream(2, "sample", 0), Fingerprint::default());
    for _ in 0..10_000 {
        let Action::Continuous(x) = space.sample(&mut rng) else { panic!("{space} has reals") };
        fingerprint.add(x.iter().map(|x| x.to_bits().into()));
    }
    assert_eq!(fingerprint.0, 0xc13c_b25e_6f3e_4f2d, "{:#x}", fingerprint.0);
}
