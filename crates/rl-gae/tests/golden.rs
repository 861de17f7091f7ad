//! Advantages and returns against PyTorch (`tests/golden/make_math.py`, `gae.json`).

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers included")]

use num_traits::Float;
use rl_gae::{Trajectories, gae, lambda_returns};
use rl_test_support::{assert_near, assert_within, golden};
use serde_json::Value;

/// Every element on the scale of the terms that it is a sum of, `Σ_k (γλ)ᵏ (|r| + γ|V'| + |V|)`: a few roundings of each.
#[test]
fn f64_matches_element_by_element() {
    element_by_element::<f64>(1e-14);
}

/// Everything is carried in f64, so that rewards and values are rounded to f32 once and the result once: at most `2⁻²⁴` of every
/// term, and of their sum.
#[test]
fn f32_is_rounded_twice() {
    element_by_element::<f32>(1.01 * f64::from(f32::EPSILON));
}

fn element_by_element<F: Float + Into<f64>>(tolerance: f64) {
    for case in cases() {
        let [advantages, returns] = estimate::<F>(&case);
        let (steps, envs) = (&case["T"], &case["N"]);
        let (terms, values) = (floats::<f64>(&case["advantages_terms"]), floats::<f64>(&case["values"]));
        let returns_terms: Vec<f64> = terms.iter().zip(&values).map(|(a, v)| a + v.abs()).collect();
        for (name, got, terms) in [("advantages", advantages, terms), ("returns", returns, returns_terms)] {
            let got = got.iter().zip(floats::<f64>(&case[name]));
            let worst = got.zip(terms).map(|((&got, want), terms)| (got.into() - want).abs() / terms);
            let worst = worst.fold(0.0, |worst, x| if x <= worst { worst } else { x });
            assert_within(&format!("{name} of {steps} x {envs}"), worst, tolerance);
        }
    }
}

/// Where many elements leave no chance that all of them cancel, the norm alone is a scale.
#[test]
fn f32_matches_in_the_norm() {
    for case in cases().into_iter().filter(|case| case["T"] != 1) {
        let [advantages, returns] = estimate::<f32>(&case);
        assert_near("advantages, in the norm", &advantages, &floats(&case["advantages"]), 1e-6);
        assert_near("returns, in the norm", &returns, &floats(&case["returns"]), 1e-6);
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
    let cases: Vec<Value> = golden("gae.json");
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
