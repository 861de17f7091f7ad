//! Verdicts of the backtracking line search.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers included")]

use rl_optim::{LineSearchInfo, LineSearchParams, OptimError, Trial, backtracking_line_search};
use rl_test_support::golden;
use serde_json::Value;

fn search(params: &LineSearchParams, expected: f64, trial: impl Fn(f64) -> Trial) -> LineSearchInfo {
    backtracking_line_search(params, expected, |fraction| Ok::<_, OptimError>(trial(fraction))).unwrap()
}

/// The verdicts `tests/golden/make_math.py` reached on its candidates, from its own surrogates and divergences.
#[test]
fn the_golden_searches() {
    for name in ["gaussian", "categorical", "backtracking", "exhausted", "accept_ratio"] {
        let case: Value = golden(&format!("trpo_{name}.json"));
        let number = |v: &Value| v.as_f64().unwrap();
        let golden = case["line_search"].as_array().unwrap();
        let params = LineSearchParams {
            max_kl: number(&case["max_kl"]),
            backtrack_coeff: number(&case["shrink"]),
            backtrack_iters: case["max_backtracks"].as_u64().unwrap() as usize,
            accept_ratio: number(&case["accept_ratio"]),
        };
        let mut candidates = golden.iter();
        let info = search_mut(&params, number(&golden[0]["expected_improvement"]), |_| {
            let candidate = candidates.next().unwrap();
            let improvement = number(&candidate["surrogate"]) - number(&case["surrogate"]);
            Trial { improvement, kl: number(&candidate["kl"]) }
        });
        assert_eq!(info.accepted.map(|a| a.index as u64), case["accepted_index"].as_u64(), "{name}");
        assert_eq!(info.trials.len(), golden.len(), "{name}");
        for (trial, golden) in info.trials.iter().zip(golden) {
            assert_eq!(Some(trial.kl_ok), golden["kl_ok"].as_bool(), "{name}");
            assert_eq!(Some(trial.improvement_ok), golden["improvement_ok"].as_bool(), "{name}");
            assert!((trial.fraction - number(&golden["step_fraction"])).abs() < 1e-15, "{name}");
            let expected = number(&golden["expected_improvement"]);
            assert!((trial.expected_improvement / expected - 1.0).abs() < 1e-12, "{name}");
        }
    }
}

fn search_mut(
    params: &LineSearchParams,
    expected: f64,
    mut trial: impl FnMut(f64) -> Trial,
) -> LineSearchInfo {
    backtracking_line_search(params, expected, |fraction| Ok::<_, OptimError>(trial(fraction))).unwrap()
}

const PARAMS: LineSearchParams =
    LineSearchParams { max_kl: 0.1, backtrack_coeff: 0.5, backtrack_iters: 4, accept_ratio: 0.5 };

#[test]
fn both_tests_must_pass() {
    // Index 0 fails the KL, 1 the improvement, 2 both; 3 passes.
    let kl = |fraction: f64| {
        if fraction > 0.9 || (fraction > 0.2 && fraction < 0.3) { 0.2 } else { 0.1 }
    };
    let gain = |fraction: f64| {
        if !(0.2..0.9).contains(&fraction) { fraction } else { 0.4 * fraction }
    };
    let info = search(&PARAMS, 1.0, |fraction| Trial { improvement: gain(fraction), kl: kl(fraction) });
    let verdicts: Vec<_> = info.trials.iter().map(|t| (t.kl_ok, t.improvement_ok)).collect();
    assert_eq!(verdicts, [(false, true), (true, false), (false, false), (true, true)]);
    let accepted = info.accepted.unwrap();
    assert_eq!((accepted.index, info.backtracks), (3, 3));
    assert!((accepted.fraction - 0.125).abs() < 1e-15);
}

#[test]
fn the_boundary_is_inside_and_no_improvement_is_not_enough() {
    let any = LineSearchParams { accept_ratio: 0.0, ..PARAMS };
    assert!(search(&any, 1.0, |_| Trial { improvement: 1e-300, kl: 0.1 }).accepted.is_some());
    assert!(search(&any, 1.0, |_| Trial { improvement: 0.0, kl: 0.0 }).accepted.is_none());
    assert!(search(&any, -1.0, |_| Trial { improvement: -0.0, kl: 0.0 }).accepted.is_none());
    assert!(
        search(&PARAMS, 1.0, |fraction| Trial { improvement: 0.5 * fraction, kl: 0.1 }).accepted.is_some()
    );
}

#[test]
fn numbers_that_are_not_finite_are_never_accepted() {
    let bad = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    for x in bad {
        for accept_ratio in [0.0, 0.5] {
            let params = LineSearchParams { accept_ratio, ..PARAMS };
            let info = search(&params, 1.0, |_| Trial { improvement: x, kl: 0.0 });
            assert_eq!((info.accepted, info.backtracks, info.trials.len()), (None, 4, 4));
            assert!(search(&params, 1.0, |_| Trial { improvement: 1.0, kl: x }).accepted.is_none());
            assert!(search(&params, f64::NAN, |_| Trial { improvement: 1.0, kl: 0.0 }).accepted.is_none());
        }
    }
}

#[test]
fn no_trials_is_a_rejection() {
    let none = LineSearchParams { backtrack_iters: 0, ..PARAMS };
    let info = search(&none, 1.0, |_| Trial { improvement: 1.0, kl: 0.0 });
    assert_eq!((info.accepted, info.backtracks), (None, 0));
}

#[test]
fn errors_keep_the_callers_type() {
    #[derive(Debug)]
    enum Mine {
        Optim(OptimError),
        Broken,
    }
    impl From<OptimError> for Mine {
        fn from(error: OptimError) -> Self {
            Self::Optim(error)
        }
    }
    assert!(matches!(backtracking_line_search(&PARAMS, 1.0, |_| Err(Mine::Broken)), Err(Mine::Broken)));
    let grows = LineSearchParams { backtrack_coeff: 1.0, ..PARAMS };
    let error = backtracking_line_search(&grows, 1.0, |_| Err(Mine::Broken)).unwrap_err();
    let Mine::Optim(error) = error else { panic!("{error:?}") };
    assert_eq!(error.to_string(), "backtrack_coeff is 1, expected a number between 0 and 1");
    let none = LineSearchParams { max_kl: 0.0, ..PARAMS };
    let error = backtracking_line_search::<OptimError>(&none, 1.0, |_| unreachable!()).unwrap_err();
    assert_eq!(error.to_string(), "max_kl is 0, expected a positive number");
    let vanishes = LineSearchParams { backtrack_coeff: 0.0, ..PARAMS };
    let error = backtracking_line_search::<OptimError>(&vanishes, 1.0, |_| unreachable!()).unwrap_err();
    assert_eq!(error.to_string(), "backtrack_coeff is 0, expected a number between 0 and 1");
}
