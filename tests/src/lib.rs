//! What the integration tests share: golden files and norm-wise comparison.

use std::path::Path;

use rl_nn::Real;
use serde::de::DeserializeOwned;

/// Reads a golden file of the mathematics; `tests/golden/make_math.py` made it, with PyTorch in `f64`.
///
/// # Panics
///
/// If the file is not there or is not what the test expects.
pub fn golden<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/math").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// `‖a − b‖ / ‖b‖`, or `‖a‖` where `b` is zero.
///
/// # Panics
///
/// If the lengths differ.
pub fn distance<F: Real>(a: &[F], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "arrays of different lengths");
    let square = |x: f64| x * x;
    let difference: f64 = a.iter().zip(b).map(|(a, b)| square(a.widen() - b)).sum();
    let norm: f64 = b.iter().map(|b| square(*b)).sum();
    (if norm > 0.0 { difference / norm } else { difference }).sqrt()
}

/// Asserts that `a` lies within `tolerance` of `b`, norm-wise.
///
/// # Panics
///
/// If it does not.
#[track_caller]
pub fn assert_near<F: Real>(what: &str, a: &[F], b: &[f64], tolerance: f64) {
    let distance = distance(a, b);
    assert!(distance <= tolerance, "{what}: distance {distance:.3e} above {tolerance:.0e}");
}

/// Rounds a golden array to the scalar type under test.
pub fn narrow<F: Real>(x: &[f64]) -> Vec<F> {
    x.iter().map(|&x| F::narrow(x)).collect()
}

/// Rounds a golden matrix to the scalar type under test, flattened.
pub fn narrow_rows<F: Real>(x: &[Vec<f64>]) -> Vec<F> {
    x.iter().flatten().map(|&x| F::narrow(x)).collect()
}
