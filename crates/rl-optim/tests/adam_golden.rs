//! Adam against `torch.optim.Adam` (`tests/golden/make_math.py`, `adam.json`), and gradient clipping.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers included")]

use num_traits::Float;
use rl_optim::{Adam, AdamParams, Element, OptimError, clip_grad_norm, clip_scale};
use rl_test_support::{assert_near, golden};
use serde_json::Value;

#[test]
fn f64_matches_at_every_step() {
    every_step::<f64>(1e-14);
}

#[test]
fn f32_matches_at_every_step() {
    every_step::<f32>(1e-6);
}

fn every_step<F: Element + Into<f64>>(tolerance: f64) {
    let cases: Vec<Value> = golden("adam.json");
    assert_eq!(cases.len(), 2);
    for case in cases {
        let params = AdamParams {
            beta1: case["betas"][0].as_f64().unwrap(),
            beta2: case["betas"][1].as_f64().unwrap(),
            eps: case["eps"].as_f64().unwrap(),
            ..AdamParams::default()
        };
        let mut theta = floats::<F>(&case["theta"]);
        let mut adam = Adam::new(theta.len(), params);
        for (grad, want) in
            case["gradients"].as_array().unwrap().iter().zip(case["thetas"].as_array().unwrap())
        {
            adam.step(&mut theta, &floats(grad), case["lr"].as_f64().unwrap()).unwrap();
            assert_near("the parameters after a step of Adam", &theta, &floats::<f64>(want), tolerance);
        }
        assert_eq!(adam.t, 10);
    }
}

/// AdamW and RMSprop (`optimisers.json`).
#[test]
fn the_other_optimisers_match_at_every_step() {
    other_optimisers::<f64>(1e-14);
    other_optimisers::<f32>(1e-6);
}

fn other_optimisers<F: Element + Into<f64>>(tolerance: f64) {
    let cases: Vec<Value> = golden("optimisers.json");
    assert_eq!(cases.len(), 2);
    for case in cases {
        let setting = |name: &str| case["settings"][name].as_f64().unwrap();
        let params = match case["optimiser"].as_str().unwrap() {
            "AdamW" => AdamParams {
                beta1: case["settings"]["betas"][0].as_f64().unwrap(),
                beta2: case["settings"]["betas"][1].as_f64().unwrap(),
                eps: setting("eps"),
                weight_decay: setting("weight_decay"),
                ..AdamParams::default()
            },
            _ => AdamParams::rms_prop(setting("alpha"), setting("eps")),
        };
        let mut theta = floats::<F>(&case["theta"]);
        let mut adam = Adam::new(theta.len(), params);
        for (grad, want) in
            case["gradients"].as_array().unwrap().iter().zip(case["thetas"].as_array().unwrap())
        {
            adam.step(&mut theta, &floats(grad), setting("lr")).unwrap();
            assert_near("the parameters after a step", &theta, &floats::<f64>(want), tolerance);
        }
    }
}

fn floats<F: Float>(v: &Value) -> Vec<F> {
    v.as_array().unwrap().iter().map(|x| F::from(x.as_f64().unwrap()).unwrap()).collect()
}

#[test]
fn a_restored_adam_continues_to_the_bit() {
    let grad = |k: usize| [0.1 * k as f32, -0.3, 1e-4];
    let mut straight = Adam::new(3, AdamParams::default());
    let mut theta = [0.5_f32, -0.25, 2.0];
    for k in 0..4 {
        straight.step(&mut theta, &grad(k), 1e-2).unwrap();
    }
    let mut resumed: Adam<f32> = serde_json::from_str(&serde_json::to_string(&straight).unwrap()).unwrap();
    let mut theta_resumed = theta;
    for k in 4..8 {
        straight.step(&mut theta, &grad(k), 1e-2).unwrap();
        resumed.step(&mut theta_resumed, &grad(k), 1e-2).unwrap();
    }
    assert_eq!(theta.map(f32::to_bits), theta_resumed.map(f32::to_bits));
    assert_eq!(straight, resumed);
}

#[test]
fn clipping_within_the_step_equals_clipping_before_it() {
    let grad = [3.0_f32, -4.0, 12.0];
    let (mut apart, mut fused) = (Adam::new(3, AdamParams::default()), Adam::new(3, AdamParams::default()));
    let (mut x, mut y) = ([1.0_f32; 3], [1.0_f32; 3]);
    let mut clipped = grad;
    let norm = clip_grad_norm(&mut clipped, 0.5);
    apart.step(&mut x, &clipped, 1e-3).unwrap();
    fused.step_scaled(&mut y, &grad, clip_scale(norm, 0.5), 1e-3).unwrap();
    assert_eq!(x.map(f32::to_bits), y.map(f32::to_bits));
    assert_eq!(apart, fused);
}

#[test]
fn clipping_hides_no_broken_gradient() {
    let mut broken = [1.0, f64::INFINITY];
    assert!(clip_grad_norm(&mut broken, 0.5).is_infinite());
    assert!(broken[1].is_nan());
    let mut broken = [1.0, f64::NAN];
    assert!(clip_grad_norm(&mut broken, 0.5).is_nan());
    assert!(broken[0].is_nan());
}

#[test]
fn what_does_not_fit_is_an_error_and_changes_nothing() {
    let mut adam = Adam::new(2, AdamParams::default());
    let mut theta = [1.0_f64; 3];
    let error = adam.step(&mut theta, &[0.0; 2], 0.1).unwrap_err();
    assert!(matches!(error, OptimError::DimensionMismatch { what: "grad", got: 2, expected: 3 }));
    adam.params.beta2 = 1.0;
    let error = adam.step(&mut theta[..2], &[0.0; 2], 0.1).unwrap_err();
    assert_eq!(error.to_string(), "beta2 is 1, expected a number from 0 to below 1");
    adam.params = AdamParams { weight_decay: -0.1, ..AdamParams::default() };
    let error = adam.step(&mut theta[..2], &[0.0; 2], 0.1).unwrap_err();
    assert_eq!(error.to_string(), "weight_decay is -0.1, expected a number of at least 0");
    assert_eq!(adam.t, 0);
}
