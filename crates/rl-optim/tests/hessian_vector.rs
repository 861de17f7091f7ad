//! Hessian-vector products by central differences, against Hessians known in closed form.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers included")]
#![allow(clippy::disallowed_methods, reason = "the system's functions are the reference")]
#![allow(clippy::float_cmp, reason = "the values compared are exact")]

use rl_kernels::Real;
use rl_optim::{HessianVectorProduct, LinearOperator, OptimError};
use rl_test_support as _;

/// The quadratic `f(x, y) = x² + 3xy + 2y²`, whose second-order Taylor expansion is itself: f(1, 2) = 15, gradient
/// (8, 11), Hessian ((2, 3), (3, 4)).
fn f(p: &[f64]) -> f64 {
    p[0] * p[0] + 3.0 * p[0] * p[1] + 2.0 * p[1] * p[1]
}

fn gradient<F: Real>(p: &[F], g: &mut [F]) -> Result<(), OptimError> {
    let [two, three, four] = [2.0, 3.0, 4.0].map(|c| F::from(c).unwrap());
    g[0] = two * p[0] + three * p[1];
    g[1] = three * p[0] + four * p[1];
    Ok(())
}

#[test]
fn the_taylor_example() {
    let p = [1.0, 2.0];
    assert!((f(&p) - 15.0).abs() < 1e-15);
    let mut g = [0.0; 2];
    gradient(&p, &mut g).unwrap();
    assert_eq!(g, [8.0, 11.0]);

    let mut hessian = HessianVectorProduct::new(&p, gradient);
    for (v, hv) in [([1.0, 0.0], [2.0, 3.0]), ([0.0, 1.0], [3.0, 4.0]), ([1e6, -1e6], [-1e6, -1e6])] {
        let mut out = [f64::NAN; 2];
        hessian.apply(&v, &mut out).unwrap();
        for (out, want) in out.iter().zip(hv) {
            assert!((out - want).abs() < 1e-9 * (1.0 + want.abs()), "{out}, expected {want}");
        }
    }

    // The expansion around p is exact: f(p + d) = f(p) + gᵀd + ½ dᵀHd.
    let d = [0.3, -0.7];
    let mut hd = [0.0; 2];
    hessian.apply(&d, &mut hd).unwrap();
    let expansion = f(&p) + g[0] * d[0] + g[1] * d[1] + 0.5 * (d[0] * hd[0] + d[1] * hd[1]);
    assert!((expansion - f(&[p[0] + d[0], p[1] + d[1]])).abs() < 1e-9);
}

/// `f(θ) = Σ cosh θᵢ + (Σ θᵢ)⁴ / 12`: `H v = cosh θ ∘ v + s² (Σ v) 1`, with `s = Σ θᵢ`.
fn worst_error<F: Real>(n: usize, length: f64) -> f64 {
    let wave = |i: usize, k: f64| (k * (1 + i) as f64).sin();
    let theta: Vec<F> = (0..n).map(|i| F::from(0.5 * wave(i, 1.3)).unwrap()).collect();
    let v: Vec<F> = (0..n).map(|i| F::from(length * wave(i, 0.7)).unwrap()).collect();
    let gradient = |p: &[F], g: &mut [F]| {
        let s: f64 = p.iter().map(|x| x.to_f64().unwrap()).sum();
        for (g, x) in g.iter_mut().zip(p) {
            *g = F::from(x.to_f64().unwrap().sinh() + s.powi(3) / 3.0).unwrap();
        }
        Ok(())
    };
    let mut out = vec![F::nan(); n];
    HessianVectorProduct::new(&theta, gradient).apply(&v, &mut out).unwrap();

    let s: f64 = theta.iter().map(|x| x.to_f64().unwrap()).sum();
    let sum_v: f64 = v.iter().map(|x| x.to_f64().unwrap()).sum();
    let (mut error, mut total) = (0.0, 0.0);
    for i in 0..n {
        let want = theta[i].to_f64().unwrap().cosh() * v[i].to_f64().unwrap() + s * s * sum_v;
        error += (out[i].to_f64().unwrap() - want).powi(2);
        total += want * want;
    }
    (error / total).sqrt()
}

#[test]
fn the_step_suits_both_precisions_and_any_length_of_v() {
    for n in [3, 300] {
        for length in [1e-6, 1.0, 1e6] {
            let (double, single) = (worst_error::<f64>(n, length), worst_error::<f32>(n, length));
            println!("n {n} |v| {length:e}: f64 {double:.1e} f32 {single:.1e}");
            assert!(double < 1e-8, "f64 {double:e} at n = {n}, length {length:e}");
            assert!(single < 2e-3, "f32 {single:e} at n = {n}, length {length:e}");
        }
    }
}

#[test]
fn zero_gives_zero_and_costs_no_gradient() {
    let never = |_: &[f64], _: &mut [f64]| Err(OptimError::operator("not needed"));
    let mut out = [f64::NAN; 2];
    HessianVectorProduct::new(&[1.0, 2.0], never).apply(&[0.0, 0.0], &mut out).unwrap();
    assert_eq!(out, [0.0, 0.0]);
}

#[test]
fn errors_reach_the_caller() {
    let broken = |_: &[f64], _: &mut [f64]| Err(OptimError::operator("no device"));
    let mut hessian = HessianVectorProduct::new(&[1.0], broken);
    assert!(matches!(hessian.apply(&[1.0], &mut [0.0]), Err(OptimError::Operator(_))));
    assert!(matches!(hessian.apply(&[1.0], &mut [0.0; 2]), Err(OptimError::DimensionMismatch { .. })));
    assert!(matches!(hessian.with_step(0.0), Err(OptimError::InvalidParameter { name: "step", .. })));
}

/// The central difference of `θ³` over a step `s` is `3θ² + s²`.
#[test]
fn a_step_set_by_hand_is_the_one_that_is_taken() {
    let cube = |theta: &[f64], grad: &mut [f64]| {
        grad[0] = theta[0].powi(3);
        Ok(())
    };
    let mut out = [0.0];
    let theta = [1.0];
    HessianVectorProduct::new(&theta, cube).with_step(0.5).unwrap().apply(&[1.0], &mut out).unwrap();
    assert!((out[0] - 3.25).abs() < 1e-12, "{}", out[0]);
    for step in [-0.5, f64::INFINITY] {
        let refused = HessianVectorProduct::new(&theta, cube).with_step(step);
        assert!(matches!(refused, Err(OptimError::InvalidParameter { name: "step", .. })));
    }
}
