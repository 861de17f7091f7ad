//! Advantages and returns against PyTorch (`tests/golden/make_math.py`, `gae.json`).

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers included")]

use num_traits::Float;
use rl_gae::{Trajectories, gae, lambda_returns};
use serde_json::Value;

const GOLDEN: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/math/gae.json"));

#[test]
fn f64_matches_element_by_element() {
    for case in cases() {
        let [advantages, returns] = estimate::<f64>(&case);
        for (got, want) in advantages.iter().zip(floats::<f64>(&case["advantages"])) {
            assert!((got - want).abs() < 1e-12 * (1.0 + want.abs()), "advantage {got}, expected {want}");
        }
        for (got, want) in returns.iter().zip(floats::<f64>(&case["returns"])) {
            assert!((got - want).abs() < 1e-12 * (1.0 + want.abs()), "return {got}, expected {want}");
        }
    }
}

#[test]
fn f32_matches_in_the_norm() {
    for case in cases() {
        let [advantages, returns] = estimate::<f32>(&case);
        assert!(distance(&advantages, &floats::<f64>(&case["advantages"])) < 1e-6);
        assert!(distance(&returns, &floats::<f64>(&case["returns"])) < 1e-6);
    }
}

fn estimate<F: Float>(case: &Value) -> [Vec<F>; 2] {
    let rewards = floats::<F>(&case["rewards"]);
    let t = Trajectories {
        n_envs: case["N"].as_u64().unwrap() as usize,
        rewards: &rewards,
        values: &floats(&case["values"]),
        last_values: &floats(&case["last_values"]),
        final_values: &floats(&case["final_obs_values"]),
        terminated: &flags(&case["terminated"]),
        truncated: &flags(&case["truncated"]),
    };
    assert_eq!(t.n_steps() as u64, case["T"].as_u64().unwrap());
    let (gamma, lambda) = (case["gamma"].as_f64().unwrap(), case["lam"].as_f64().unwrap());
    let mut advantages = vec![F::zero(); rewards.len()];
    let mut returns = advantages.clone();
    gae(&t, gamma, lambda, &mut advantages).unwrap();
    lambda_returns(&t, gamma, lambda, &mut returns).unwrap();
    [advantages, returns]
}

fn cases() -> Vec<Value> {
    let cases: Vec<Value> = serde_json::from_str(GOLDEN).unwrap();
    assert_eq!(cases.len(), 5);
    cases
}

fn leaves(v: &Value) -> Vec<&Value> {
    match v {
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        leaf => vec![leaf],
    }
}

fn floats<F: Float>(v: &Value) -> Vec<F> {
    leaves(v).into_iter().map(|x| F::from(x.as_f64().unwrap()).unwrap()).collect()
}

fn flags(v: &Value) -> Vec<bool> {
    leaves(v).into_iter().map(|x| x.as_bool().unwrap()).collect()
}

fn distance(a: &[f32], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let difference: f64 = a.iter().zip(b).map(|(&a, b)| f64::from(a) - b).map(|d| d * d).sum();
    (difference / b.iter().map(|b| b * b).sum::<f64>()).sqrt()
}
