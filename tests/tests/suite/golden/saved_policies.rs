//! Policies that were saved once are read today, and give what PyTorch says they give (`tests/golden/load_policy.py`).
//!
//! `POLICIES=write` writes the files anew, for a new version of the format; the outputs must then be computed anew as well.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rand::Rng;
use rl_algo::{ActorCritic, Features, LogStd, NetConfig};
use rl_env::rng::stream;
use rl_env::{BoxSpace, ObservationNormalizer, Space};
use rl_nn::{Actions, ActionsRef, Activation, Forward, States, TrainedPolicy, Workspace};
use rl_test_support::assert_near;
use rl_tests::narrow_rows;
use rl_train::Policy;
use serde::Deserialize;

/// What PyTorch says of a policy, row by row.
#[derive(Deserialize)]
struct Outputs {
    obs: Vec<Vec<f64>>,
    masks: Option<Vec<Vec<bool>>>,
    y: Vec<Vec<f64>>,
    samples: Vec<Vec<f64>>,
    log_prob: Vec<f64>,
    actions: Vec<Vec<f64>>,
}

fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join("policies")
}

#[test]
fn policies_saved_before_give_what_they_gave() {
    if std::env::var_os("POLICIES").is_some_and(|what| what == "write") {
        write();
    }
    let outputs = fs::read_to_string(place().join("outputs.json")).unwrap();
    let outputs: BTreeMap<String, Outputs> = serde_json::from_str(&outputs).unwrap();
    assert_eq!(outputs.keys().collect::<Vec<_>>(), cases().iter().map(|case| case.0).collect::<Vec<_>>());
    for (name, expected) in outputs {
        check(&name, &expected);
    }
}

/// To 1e-6 in the norm, which is what `f32` gives; the outputs were computed in `f64`.
fn check(name: &str, expected: &Outputs) {
    let mut policy = Policy::load(place().join(format!("{name}.safetensors"))).unwrap();
    let (model, theta) = (policy.trained().model().clone(), policy.trained().theta().to_vec());
    let mut obs = narrow_rows::<f32>(&expected.obs);
    if let Some(normalizer) = policy.observation_normalizer() {
        normalizer.normalize(&mut obs);
    }
    let masks = expected.masks.as_ref().map(|masks| masks.concat());
    let states = States::new(&obs, model.network.n_inputs()).unwrap().with_masks(masks.as_deref()).unwrap();
    let mut y = vec![0.0; expected.y.concat().len()];
    let mut ws = Workspace::default();
    let (net, _) = model.split(&theta).unwrap();
    Forward::new(&*model.network, net, &mut ws).unwrap().run(&states, &mut y).unwrap();
    let wide = |x: &[f32]| x.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
    assert_near(&format!("{name}: outputs"), &wide(&y), &expected.y.concat(), 1e-6);

    model.mask(&states, &mut y).unwrap();
    let params = model.params(&y, &theta).unwrap();
    let reals = narrow_rows::<f32>(&expected.samples);
    let indices: Vec<usize> = expected.samples.concat().iter().map(|a| *a as usize).collect();
    let samples = match model.distribution.new_actions() {
        Actions::Discrete(_) => ActionsRef::Discrete(&indices),
        Actions::Continuous(_) => ActionsRef::Continuous(&reals),
    };
    let mut log_prob = vec![0.0; expected.log_prob.len()];
    model.distribution.log_prob(params, samples, &mut log_prob).unwrap();
    assert_near(&format!("{name}: log-probabilities"), &wide(&log_prob), &expected.log_prob, 1e-6);

    let raw = narrow_rows::<f32>(&expected.obs);
    let mut actions = Vec::new();
    for (i, obs) in raw.chunks_exact(model.network.n_inputs()).enumerate() {
        let mask = expected.masks.as_ref().map(|masks| &*masks[i]);
        match policy.act_masked(obs, mask, true).unwrap() {
            Actions::Discrete(a) => actions.extend(a.into_iter().map(|a| a as f64)),
            Actions::Continuous(a) => actions.extend(wide(&a)),
        }
    }
    assert_near(&format!("{name}: actions"), &actions, &expected.actions.concat(), 1e-6);
}

/// The guide shows the program that CI runs.
#[test]
fn the_guide_is_the_program() {
    let read = |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let (program, guide) = (read("golden/load_policy.py"), read("../docs/guides/pytorch.md"));
    let shown = program.split("# ----\n").nth(1).unwrap();
    assert!(
        guide.contains(&format!("import json\n\n{shown}")),
        "docs/guides/pytorch.md shows another program"
    );
}

/// A name, the spaces, the networks, and whether observations are normalised. Names with "masked" get masks.
type Case = (&'static str, Space, Space, NetConfig, bool);

/// Small ones of every kind, in the order of their names.
fn cases() -> Vec<Case> {
    let small = |activation| NetConfig { net_arch: [8, 6].into(), activation, ..NetConfig::default() };
    let plain = |n: usize| Space::from(BoxSpace::uniform(-3.0, 3.0, &[n]));
    let half_open =
        Space::from(BoxSpace { shape: vec![2], low: vec![-1.0, f32::NEG_INFINITY], high: vec![0.5, 0.25] });
    let closed = Space::from(BoxSpace { shape: vec![2], low: vec![-2.0, 0.0], high: vec![2.0, 1.0] });
    let images = Space::from(BoxSpace::uniform(0.0, 255.0, &[2, 6, 6]));
    let (tanh, relu) = (Activation::Tanh, Activation::Relu);
    vec![
        ("bernoulli", plain(3), Space::MultiBinary(4), small(relu), false),
        ("bernoulli_masked", plain(3), Space::MultiBinary(4), small(tanh), false),
        ("categorical", plain(4), Space::Discrete(3), small(tanh), true),
        ("categorical_masked", plain(4), Space::Discrete(5), small(Activation::Elu), false),
        (
            "cnn",
            images,
            Space::Discrete(3),
            NetConfig {
                features: Features::Cnn,
                net_arch: [8].into(),
                shared_layers: 1,
                ..small(Activation::LeakyRelu)
            },
            false,
        ),
        ("diag_gaussian", plain(3), half_open, small(tanh), true),
        ("gsde", plain(3), closed.clone(), NetConfig { use_sde: true, ..small(Activation::Silu) }, false),
        (
            "gsde_squashed",
            plain(3),
            closed.clone(),
            NetConfig { use_sde: true, squash_output: true, shared_layers: 1, ..small(tanh) },
            true,
        ),
        ("multi_categorical_masked", plain(3), Space::MultiDiscrete(vec![2, 4, 3]), small(tanh), false),
        (
            "shared_trunk",
            plain(4),
            Space::MultiDiscrete(vec![3, 2]),
            NetConfig { shared_layers: 1, layer_norm: true, ..small(Activation::Gelu) },
            false,
        ),
        ("squashed", plain(3), closed.clone(), NetConfig { squash_output: true, ..small(tanh) }, false),
        (
            "state_gaussian",
            plain(3),
            closed.clone(),
            NetConfig { log_std: LogStd::State, ..small(tanh) },
            false,
        ),
        (
            "state_squashed",
            plain(3),
            closed,
            NetConfig { log_std: LogStd::State, squash_output: true, ..small(relu) },
            false,
        ),
    ]
}

/// Writes all policies, with parameters some way from their initial ones.
fn write() {
    for (seed, (name, observations, actions, config, normalized)) in (0..).zip(cases()) {
        let mut rng = stream(seed, "parameters", 0);
        let agent = ActorCritic::for_spaces(&observations, &actions, &config, &mut rng).unwrap();
        let model = agent.policy().clone();
        let theta = agent.policy_theta().iter().map(|x| x + rng.random_range(-0.3..0.3_f32)).collect();
        let n = observations.flat_len();
        let normalizer = normalized.then(|| ObservationNormalizer {
            mean: (0..n).map(|_| rng.random_range(-1.0..1.0)).collect(),
            var: (0..n).map(|_| rng.random_range(0.1..4.0)).collect(),
            count: 1000.0,
            // Some observations are beyond it.
            clip: 1.5,
            ..ObservationNormalizer::new(n)
        });
        let policy = Policy::new(name, seed, 1000, TrainedPolicy::new(model, theta).unwrap());
        policy.seeing_through(normalizer).unwrap().save(place()).unwrap();
        let file = place().join(format!("{name}.safetensors"));
        fs::rename(place().join("policy.safetensors"), file).unwrap();
    }
}
