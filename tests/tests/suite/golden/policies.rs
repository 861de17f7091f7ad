//! The distributions beyond the two simplest against PyTorch (`tests/golden/make_math.py`, `policies.json`), in f64 and f32, each made from the
//! description that a saved policy has of it.

use std::collections::BTreeMap;

use rl_nn::{ActionsRef, DistGrad, DistParams, DistributionSpec, Real};
use rl_test_support::golden;
use rl_tests::{narrow, narrow_rows};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    spec: DistributionSpec,
    old_y: Vec<Vec<f64>>,
    old_globals: Vec<f64>,
    new_y: Vec<Vec<f64>>,
    new_globals: Vec<f64>,
    actions: Vec<Vec<f64>>,
    log_prob: Vec<f64>,
    entropy: Vec<f64>,
    kl: Vec<f64>,
    gradients: BTreeMap<String, (Vec<Vec<f64>>, Vec<f64>)>,
}

/// The largest distance, on the scale of 1 and of the number itself.
fn assert_close<F: Real>(what: &str, spec: &DistributionSpec, got: &[F], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{spec:?}: {what}");
    for (got, expected) in got.iter().zip(expected) {
        let distance = (got.widen() - expected).abs() / (1.0 + expected.abs());
        assert!(distance < tolerance, "{spec:?}: {what}: {got} instead of {expected}");
    }
}

/// The quadrature of a squashed entropy has 20 nodes, the reference's 120: exact to 5e-5 at the standard deviations here, mostly below 1.
fn check<F: Real>(tolerance: f64) {
    let cases: Vec<Case> = golden("policies.json");
    for case in &cases {
        let spec = &case.spec;
        let dist = spec.build::<F>().unwrap();
        let (old_y, new_y) = (narrow_rows::<F>(&case.old_y), narrow_rows::<F>(&case.new_y));
        let (old_g, new_g) = (narrow::<F>(&case.old_globals), narrow::<F>(&case.new_globals));
        let (old, new) =
            (DistParams { y: &old_y, globals: &old_g }, DistParams { y: &new_y, globals: &new_g });
        let reals = narrow_rows::<F>(&case.actions);
        let indices: Vec<usize> = case.actions.concat().iter().map(|a| *a as usize).collect();
        let actions = match dist.new_actions() {
            rl_nn::Actions::Discrete(_) => ActionsRef::Discrete(&indices),
            rl_nn::Actions::Continuous(_) => ActionsRef::Continuous(&reals),
        };
        let squashed = serde_json::to_value(spec).unwrap()["squashed"] == true;
        let of_entropy = if squashed { tolerance.max(5e-5) } else { tolerance };
        let rows = case.log_prob.len();
        let mut out = vec![F::zero(); rows];
        dist.log_prob(new, actions, &mut out).unwrap();
        assert_close("log-probability", spec, &out, &case.log_prob, tolerance);
        dist.entropy(new, &mut out).unwrap();
        assert_close("entropy", spec, &out, &case.entropy, of_entropy);
        dist.kl(old, new, &mut out).unwrap();
        assert_close("KL", spec, &out, &case.kl, tolerance);
        for (name, (y, globals)) in &case.gradients {
            let (mut dy, mut dglobals) = (vec![F::zero(); new_y.len()], vec![F::zero(); new_g.len()]);
            let grad = DistGrad { y: &mut dy, globals: &mut dglobals };
            match name.as_str() {
                "log_prob" => dist.log_prob_grad(new, actions, &vec![F::one(); rows], grad).unwrap(),
                "entropy" => dist.entropy_grad(new, F::one(), grad).unwrap(),
                "kl" => dist.kl_grad(old, new, F::one(), grad).unwrap(),
                other => panic!("an unknown gradient {other:?}"),
            }
            let tolerance = if name == "entropy" { of_entropy } else { tolerance };
            assert_close(&format!("gradient of {name} by the outputs"), spec, &dy, &y.concat(), tolerance);
            assert_close(
                &format!("gradient of {name} by the free parameters"),
                spec,
                &dglobals,
                globals,
                tolerance,
            );
        }
    }
}

#[test]
fn policies_in_f64() {
    check::<f64>(1e-12);
}

#[test]
fn policies_in_f32() {
    check::<f32>(2e-5);
}
