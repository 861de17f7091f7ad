//! Golden files, and how close a result is to them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// Reads a golden file of the mathematics, made by `tests/golden/make_math.py` with PyTorch in `f64`: the committed one, or the one
/// in the directory that the environment variable `GOLDEN_MATH` names.
///
/// # Panics
///
/// If the file is not there or is not what the test expects.
#[must_use]
pub fn golden<T: DeserializeOwned>(name: &str) -> T {
    let committed = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden/math");
    let path = std::env::var_os("GOLDEN_MATH").map_or_else(committed, PathBuf::from).join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// `‖a − b‖ / ‖b‖`, or `‖a‖` where `b` is zero.
///
/// # Panics
///
/// If the lengths differ.
#[must_use]
pub fn distance<F: Copy + Into<f64>>(a: &[F], b: &[f64]) -> f64 {
    relative(a, b, b)
}

/// Asserts that `a` lies within `tolerance` of `b`: `‖a − b‖ ≤ tolerance · ‖b‖`.
///
/// # Panics
///
/// If it does not.
#[track_caller]
pub fn assert_near<F: Copy + Into<f64>>(what: &str, a: &[F], b: &[f64], tolerance: f64) {
    assert_within(what, distance(a, b), tolerance);
}

/// Asserts that `a` lies within `tolerance` of `b` on the scale of the terms that `b` is a sum of:
/// `‖a − b‖ ≤ tolerance · ‖terms‖`, with `terms` the sums of the terms' absolute values. A sum of cancelling terms has no
/// relative accuracy of its own.
///
/// # Panics
///
/// If it does not.
#[track_caller]
pub fn assert_near_terms<F: Copy + Into<f64>>(what: &str, a: &[F], b: &[f64], terms: &[f64], tolerance: f64) {
    assert_within(what, relative(a, b, terms), tolerance);
}

/// Asserts that a distance found by other means is at most `tolerance`.
///
/// # Panics
///
/// If it is not.
#[track_caller]
pub fn assert_within(what: &str, distance: f64, tolerance: f64) {
    report(what, distance, tolerance);
    assert!(distance <= tolerance, "{what}: distance {distance:.3e} above {tolerance:.0e}");
}

fn relative<F: Copy + Into<f64>>(a: &[F], b: &[f64], scale: &[f64]) -> f64 {
    assert_eq!((a.len(), b.len()), (b.len(), scale.len()), "arrays of different lengths");
    let square = |x: f64| x * x;
    let difference: f64 = a.iter().zip(b).map(|(&a, b)| square(a.into() - b)).sum();
    let norm: f64 = scale.iter().map(|x| square(*x)).sum();
    (if norm > 0.0 { difference / norm } else { difference }).sqrt()
}

/// Adds a line to the file that the environment variable `GOLDEN_REPORT` names: quantity, distance, tolerance.
fn report(what: &str, distance: f64, tolerance: f64) {
    let Some(path) = std::env::var_os("GOLDEN_REPORT") else { return };
    let mut line = String::new();
    let written = writeln!(line, "{what}\t{distance:e}\t{tolerance:e}");
    let file = std::fs::OpenOptions::new().append(true).create(true).open(&path);
    // One write a line: tests append at the same time.
    let appended = file.and_then(|mut file| file.write_all(line.as_bytes()));
    assert!(written.is_ok() && appended.is_ok(), "cannot write to {}", Path::new(&path).display());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_relative_to_what_is_expected_or_to_its_terms() {
        assert!((distance(&[3.0_f64, 5.0], &[3.0, 4.0]) - 0.2).abs() < 1e-15);
        assert!((distance(&[0.5_f32], &[0.0]) - 0.5).abs() < 1e-15);
        assert_near_terms("a sum of ±1e3", &[1.0_f64], &[0.999], &[2e3], 1e-6);
    }

    #[test]
    #[should_panic(expected = "the answer: distance 1.000e0 above 5e-1")]
    fn what_is_far_is_named() {
        assert_near("the answer", &[2.0_f32], &[1.0], 0.5);
    }

    #[test]
    #[should_panic(expected = "nothing: distance NaN")]
    fn nan_is_never_near() {
        assert_near("nothing", &[f64::NAN], &[1.0], 1e9);
    }
}
