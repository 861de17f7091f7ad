//! Conjugate gradient on systems whose solution is known, and on those that have none.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers included")]
#![allow(clippy::float_cmp, reason = "the values compared are exact")]

mod matrix;

use matrix::{Matrix, spd};
use proptest::prelude::*;
use rl_optim::{
    CgParams, CgStop, CgWorkspace, Damped, FnOperator, GaussNewton, Jacobian, LinearOperator, OptimError,
    conjugate_gradient, quadratic_form, vector,
};
use rl_test_support as _;

fn solve(a: &mut dyn LinearOperator<f64>, b: &[f64], max_iters: usize) -> (Vec<f64>, rl_optim::CgInfo) {
    let params = CgParams { max_iters, atol: 1e-12, rtol: f64::INFINITY };
    let mut x = vec![f64::NAN; b.len()];
    let info = conjugate_gradient(a, b, &mut x, &params, &mut CgWorkspace::new()).unwrap();
    (x, info)
}

proptest! {
    // A failing case prints itself; there is no source file beside which to keep it.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_systems_are_solved_in_n_iterations((mut a, b) in spd(1..9)) {
        let (x, info) = solve(&mut a, &b, b.len() + 2);
        let mut ax = vec![0.0; b.len()];
        a.apply(&x, &mut ax).unwrap();
        let residual: Vec<f64> = ax.iter().zip(&b).map(|(ax, b)| ax - b).collect();
        prop_assert!(vector::norm(&residual) <= 1e-9 * vector::norm(&b), "{:?}", info);
    }

    /// Each iterate minimises the quadratic over a growing subspace, so that falls, whatever the residual does.
    #[test]
    fn the_quadratic_falls_with_every_iteration((mut a, b) in spd(2..9)) {
        let mut last = 0.0;
        for iters in 1..=b.len() {
            let (x, info) = solve(&mut a, &b, iters);
            let mut ax = vec![0.0; b.len()];
            let x_ax = quadratic_form(&mut a, &x, &mut ax).unwrap();
            prop_assert!((info.quadratic_form - x_ax).abs() <= 1e-9 * x_ax, "{:?}, not {}", info, x_ax);
            let value = 0.5 * x_ax - vector::dot(&b, &x);
            prop_assert!(value <= last + 1e-12);
            last = value;
        }
    }

    #[test]
    fn damping_is_that_much_of_the_identity((mut a, b) in spd(1..9), damping in 0.0..10.0) {
        let mut plain = vec![0.0; b.len()];
        a.apply(&b, &mut plain).unwrap();
        let mut damped = vec![0.0; b.len()];
        Damped { operator: &mut a, damping }.apply(&b, &mut damped).unwrap();
        for i in 0..b.len() {
            prop_assert!((damped[i] - (plain[i] + damping * b[i])).abs() < 1e-12);
        }
    }

    /// The step √(2δ / gᵀF⁻¹g) F⁻¹g has the length ½ sᵀFs = δ in the metric, whatever F and g are.
    #[test]
    fn the_natural_gradient_step_fills_the_trust_region((mut f, g) in spd(1..9), delta in 1e-3..1.0_f64) {
        prop_assume!(vector::norm(&g) > 1e-3);
        let (mut step, _) = solve(&mut f, &g, g.len() + 2);
        let beta = (2.0 * delta / vector::dot(&g, &step)).sqrt();
        vector::scale(beta, &mut step);
        let mut f_step = vec![0.0; g.len()];
        let kl = 0.5 * quadratic_form(&mut f, &step, &mut f_step).unwrap();
        prop_assert!((kl / delta - 1.0).abs() < 1e-8);
    }

    #[test]
    fn gauss_newton_is_jt_m_j((mut j, v) in matrix::jacobian()) {
        let metric = [2.0, 0.0, 0.5, 1.0];
        let mut expected = vec![0.0; v.len()];
        let mut dy = vec![0.0; 4];
        j.jvp(&v, &mut dy).unwrap();
        for (dy, m) in dy.iter_mut().zip(metric) {
            *dy *= m;
        }
        j.vjp(&dy, &mut expected).unwrap();

        let mut operator = GaussNewton::new(&mut j, |dy: &mut [f64]| {
            for (dy, m) in dy.iter_mut().zip(metric) {
                *dy *= m;
            }
            Ok(())
        });
        let mut out = vec![f64::NAN; v.len()];
        let curvature = quadratic_form(&mut operator, &v, &mut out).unwrap();
        prop_assert_eq!(out, expected);
        prop_assert!(curvature >= 0.0);
    }
}

#[test]
fn a_known_system() {
    // [[4, 1], [1, 3]] x = (1, 2); the first iterate is b·(bᵀb / bᵀAb) = b/4, its residual (-1/2, 1/4).
    let mut a = Matrix { n: 2, a: vec![4.0, 1.0, 1.0, 3.0] };
    let (x, info) = solve(&mut a, &[1.0, 2.0], 1);
    assert_eq!(x, [0.25, 0.5]);
    assert_eq!((info.iters, info.stop), (1, CgStop::MaxIters));
    assert!((info.rhs_norm - 5.0_f64.sqrt()).abs() < 1e-15);
    assert!((info.residual_norm - 0.3125_f64.sqrt()).abs() < 1e-15);
}

#[test]
fn a_zero_right_hand_side_has_the_solution_zero() {
    let mut a = FnOperator::new(2, |_: &[f64], _: &mut [f64]| panic!("no product is needed"));
    let (x, info) = solve(&mut a, &[0.0, 0.0], 10);
    assert_eq!(x, [0.0, 0.0]);
    assert_eq!((info.iters, info.stop), (0, CgStop::Converged));
}

/// The residual norms of diag(1, 10, 100) x = s (1, 1, 1), in units of ‖b‖: 1.21, 0.68 and 0. Both tolerances must be met.
#[test]
fn it_stops_once_both_tolerances_are_met() {
    let iters = |scale: f64, atol: f64, rtol: f64| {
        let mut a = Matrix { n: 3, a: vec![1.0, 0.0, 0.0, 0.0, 10.0, 0.0, 0.0, 0.0, 100.0] };
        let params = CgParams { max_iters: 9, atol, rtol };
        let b = [scale; 3];
        let info = conjugate_gradient(&mut a, &b, &mut [0.0; 3], &params, &mut CgWorkspace::new()).unwrap();
        assert_eq!(info.stop, CgStop::Converged);
        assert!(info.residual_norm < atol && info.residual_norm < rtol * info.rhs_norm);
        info.iters
    };
    let off = f64::INFINITY;
    // A small right-hand side: an absolute tolerance alone ends it at once, with an x that is a multiple of b.
    assert_eq!((iters(1e-6, 1e-5, off), iters(1e-6, 1e-5, 1e-2)), (1, 3));
    // A large one: the relative tolerance alone leaves what the absolute one does not.
    let (first, later) = (iters(1e3, off, 0.9), iters(1e3, 1e-5, 0.9));
    assert_eq!((first, later), (2, 3));
    // A tolerance relative to b does not see its scale.
    assert_eq!(iters(1e-6, off, 0.7), iters(1e6, off, 0.7));
}

#[test]
fn negative_curvature_is_an_outcome_that_keeps_the_last_good_x() {
    // Positive along b, indefinite in the second direction.
    let mut a = Matrix { n: 2, a: vec![1.0, 0.0, 0.0, -0.5] };
    let (x, info) = solve(&mut a, &[1.0, 1.0], 10);
    assert_eq!((info.iters, info.stop), (1, CgStop::NonPositiveCurvature));
    // α = bᵀb / bᵀAb = 2 / 0.5
    assert_eq!(x, [4.0, 4.0]);

    let mut negative = Matrix { n: 1, a: vec![-1.0] };
    let (x, info) = solve(&mut negative, &[1.0], 10);
    assert_eq!((x[0].to_bits(), info.iters, info.stop), (0, 0, CgStop::NonPositiveCurvature));
    assert!((info.residual_norm - 1.0).abs() < 1e-15);

    let mut zero = Matrix { n: 1, a: vec![0.0] };
    assert_eq!(solve(&mut zero, &[1.0], 10).1.stop, CgStop::NonPositiveCurvature);
}

#[test]
fn numbers_that_are_not_finite_are_an_outcome_that_keeps_the_last_good_x() {
    let mut products = 0;
    let mut breaks_later = FnOperator::new(2, |v: &[f64], out: &mut [f64]| {
        products += 1;
        out.copy_from_slice(&[v[0], if products == 1 { 2.0 * v[1] } else { f64::NAN }]);
        Ok(())
    });
    let (x, info) = solve(&mut breaks_later, &[1.0, 1.0], 10);
    assert_eq!((info.iters, info.stop), (1, CgStop::NonFinite));
    assert!(x.iter().all(|x| (x - 2.0 / 3.0).abs() < 1e-15), "{x:?}");
    // ⅔² + 2 · ⅔²
    assert!((info.quadratic_form - 4.0 / 3.0).abs() < 1e-15, "{info:?}");

    let mut one = Matrix { n: 1, a: vec![1.0] };
    let (x, info) = solve(&mut one, &[f64::NAN], 10);
    assert_eq!((x[0].to_bits(), info.iters, info.stop), (0, 0, CgStop::NonFinite));

    // The solution, 1e45, does not exist in f32.
    let mut tiny = FnOperator::new(1, |v: &[f32], out: &mut [f32]| {
        out[0] = 1e-25 * v[0];
        Ok(())
    });
    let mut x = [f32::NAN];
    let info = conjugate_gradient(&mut tiny, &[1e20], &mut x, &CgParams::default(), &mut CgWorkspace::new())
        .unwrap();
    assert_eq!((x[0].to_bits(), info.stop), (0, CgStop::NonFinite));
}

#[test]
fn a_workspace_serves_systems_of_any_size() {
    let mut ws = CgWorkspace::new();
    for n in [3, 1, 5] {
        let mut a = FnOperator::new(n, |v: &[f32], out: &mut [f32]| {
            for (out, v) in out.iter_mut().zip(v) {
                *out = 2.0 * v;
            }
            Ok(())
        });
        let mut x = vec![0.0; n];
        let info = conjugate_gradient(&mut a, &vec![4.0; n], &mut x, &CgParams::default(), &mut ws).unwrap();
        assert_eq!((info.iters, info.stop), (1, CgStop::Converged));
        assert_eq!(x, vec![2.0; n]);
    }
}

#[test]
fn errors_of_the_operator_and_of_the_caller() {
    let mut broken = FnOperator::new(1, |_: &[f64], _: &mut [f64]| Err(OptimError::operator("no device")));
    let mut ws = CgWorkspace::new();
    let params = CgParams::default();
    let error = conjugate_gradient(&mut broken, &[1.0], &mut [0.0], &params, &mut ws).unwrap_err();
    assert_eq!(error.to_string(), "an operator failed: no device");
    let error = conjugate_gradient(&mut broken, &[1.0, 1.0], &mut [0.0], &params, &mut ws).unwrap_err();
    assert!(matches!(error, OptimError::DimensionMismatch { what: "b", got: 2, expected: 1 }));
    for (name, params) in
        [("atol", CgParams { atol: f64::NAN, ..params }), ("rtol", CgParams { rtol: -1.0, ..params })]
    {
        let error = conjugate_gradient(&mut broken, &[1.0], &mut [0.0], &params, &mut ws).unwrap_err();
        assert!(matches!(error, OptimError::InvalidParameter { name: refused, .. } if refused == name));
    }
}

/// A damped operator is of its own size, and refuses vectors of another.
#[test]
fn damping_changes_no_size() {
    let mut a = FnOperator::new(3, |v: &[f64], out: &mut [f64]| {
        out.copy_from_slice(v);
        Ok(())
    });
    let mut damped = Damped { operator: &mut a, damping: 0.5 };
    assert_eq!(damped.dim(), 3);
    assert_eq!(quadratic_form(&mut damped, &[1.0, 2.0, 3.0], &mut [0.0; 3]).unwrap(), 21.0);
    let error = quadratic_form(&mut damped, &[1.0, 2.0], &mut [0.0; 2]).unwrap_err();
    assert!(matches!(error, OptimError::DimensionMismatch { .. }), "{error}");
}
