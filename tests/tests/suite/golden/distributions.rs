//! Distributions against PyTorch (`tests/golden/make_math.py`, `distributions.json`), in f64 and f32.

use rl_nn::distribution::{Categorical, DiagGaussian};
use rl_nn::{ActionsRef, DistGrad, DistParams, Distribution, Evaluation, Real};
use rl_test_support::{assert_near, assert_near_terms, golden};
use rl_tests::{narrow, narrow_rows};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    categorical: Vec<CategoricalCase>,
    gaussian: Vec<GaussianCase>,
}

#[derive(Deserialize)]
struct CategoricalCase {
    old_logits: Vec<Vec<f64>>,
    new_logits: Vec<Vec<f64>>,
    actions: Vec<usize>,
    log_prob: Vec<f64>,
    entropy: Vec<f64>,
    kl_old_new: Vec<f64>,
    log_prob_terms: Vec<f64>,
    entropy_terms: Vec<f64>,
    kl_terms: Vec<f64>,
    grad_sum_log_prob: Vec<Vec<f64>>,
    grad_sum_entropy: Vec<Vec<f64>>,
    grad_sum_kl: Vec<Vec<f64>>,
    grad_sum_log_prob_terms: Vec<Vec<f64>>,
    grad_sum_entropy_terms: Vec<Vec<f64>>,
    grad_sum_kl_terms: Vec<Vec<f64>>,
}

type GaussianGrad = (Option<Vec<Vec<f64>>>, Option<Vec<f64>>);

#[derive(Deserialize)]
struct GaussianCase {
    old_mean: Vec<Vec<f64>>,
    old_log_std: Vec<f64>,
    new_mean: Vec<Vec<f64>>,
    new_log_std: Vec<f64>,
    actions: Vec<Vec<f64>>,
    log_prob: Vec<f64>,
    entropy: Vec<f64>,
    kl_old_new: Vec<f64>,
    log_prob_terms: Vec<f64>,
    entropy_terms: Vec<f64>,
    kl_terms: Vec<f64>,
    grad_sum_log_prob: GaussianGrad,
    grad_sum_entropy: GaussianGrad,
    grad_sum_kl: GaussianGrad,
    grad_sum_log_prob_terms: (Vec<Vec<f64>>, Vec<f64>),
    grad_sum_kl_terms: (Vec<Vec<f64>>, Vec<f64>),
}

/// What a distribution gives on a case: three per-row values and three gradients as (outputs, globals).
struct Computed<F> {
    values: [Vec<F>; 3],
    gradients: [(Vec<F>, Vec<F>); 3],
}

fn compute<F: Real>(
    dist: &dyn Distribution<F>,
    old: DistParams<'_, F>,
    new: DistParams<'_, F>,
    actions: ActionsRef<'_, F>,
) -> Computed<F> {
    let rows = new.y.len() / dist.n_outputs();
    let zero = || (vec![F::zero(); new.y.len()], vec![F::zero(); new.globals.len()]);
    let mut values = [(); 3].map(|()| vec![F::zero(); rows]);
    dist.log_prob(new, actions, &mut values[0]).unwrap();
    dist.entropy(new, &mut values[1]).unwrap();
    dist.kl(old, new, &mut values[2]).unwrap();
    check_evaluation(dist, new, actions, &values);
    let mut gradients = [zero(), zero(), zero()];
    let [log_prob, entropy, kl] = gradients.each_mut().map(|(y, globals)| DistGrad { y, globals });
    dist.log_prob_grad(new, actions, &vec![F::one(); rows], log_prob).unwrap();
    dist.entropy_grad(new, F::one(), entropy).unwrap();
    dist.kl_grad(old, new, F::one(), kl).unwrap();
    Computed { values, gradients }
}

/// All at once is what each alone is, and every row's score the gradient of its log-probability.
fn check_evaluation<F: Real>(
    dist: &dyn Distribution<F>,
    p: DistParams<'_, F>,
    actions: ActionsRef<'_, F>,
    values: &[Vec<F>; 3],
) {
    let rows = values[0].len();
    let (mut y, mut globals) = (vec![F::one(); p.y.len()], vec![F::one(); rows * p.globals.len()]);
    for wanted in [true, false] {
        let (mut log_prob, mut entropy) = (vec![F::one(); rows], vec![F::one(); rows]);
        let score = wanted.then_some(DistGrad { y: &mut y, globals: &mut globals });
        let out = Evaluation { log_prob: &mut log_prob, entropy: &mut entropy, score };
        dist.evaluate(p, actions, out).unwrap();
        assert!(log_prob == values[0] && entropy == values[1]);
    }
    for b in 0..rows {
        let mut weights = vec![F::zero(); rows];
        weights[b] = F::one();
        let (mut dy, mut dglobals) = (vec![F::zero(); p.y.len()], vec![F::zero(); p.globals.len()]);
        dist.log_prob_grad(p, actions, &weights, DistGrad { y: &mut dy, globals: &mut dglobals }).unwrap();
        let row = b * dist.n_outputs()..(b + 1) * dist.n_outputs();
        assert!(dy[row.clone()] == y[row], "the score of row {b}");
        let row = b * dglobals.len()..(b + 1) * dglobals.len();
        assert!(dglobals == globals[row], "the score of row {b}, free parameters");
    }
}

const NAMES: [&str; 3] = ["log-probability", "entropy", "KL"];

/// Everything on the scale of its terms: a log-probability, a divergence, the gradient of a log standard deviation
/// `Σ_b (z² − 1)` may come out near 0 by cancellation, at whatever seed. Eight roundings of every term are allowed, 2⁻²⁴ of it
/// each in f32, its argument and its elementary function among them; in f64 twice as many, for PyTorch rounds there too.
fn check<F: Real + Into<f64>>(tolerance: f64) {
    let golden: Golden = golden("distributions.json");
    for case in &golden.categorical {
        let (old, new) = (narrow_rows::<F>(&case.old_logits), narrow_rows::<F>(&case.new_logits));
        let dist = Categorical { n: case.old_logits[0].len() };
        let params = |y| DistParams { y, globals: &[] };
        let got = compute(&dist, params(&old), params(&new), ActionsRef::Discrete(&case.actions));
        let expected = [&case.log_prob, &case.entropy, &case.kl_old_new];
        let terms = [&case.log_prob_terms, &case.entropy_terms, &case.kl_terms];
        for (k, name) in NAMES.iter().enumerate() {
            let what = format!("categorical: {name}");
            assert_near_terms(&what, &got.values[k], expected[k], terms[k], tolerance);
        }
        let expected = [&case.grad_sum_log_prob, &case.grad_sum_entropy, &case.grad_sum_kl];
        let terms = [&case.grad_sum_log_prob_terms, &case.grad_sum_entropy_terms, &case.grad_sum_kl_terms];
        for (k, name) in NAMES.iter().enumerate() {
            let (what, terms) = (format!("categorical: gradient of the {name}"), terms[k].concat());
            assert_near_terms(&what, &got.gradients[k].0, &expected[k].concat(), &terms, tolerance);
        }
    }
    for case in &golden.gaussian {
        let (old, new) = (narrow_rows::<F>(&case.old_mean), narrow_rows::<F>(&case.new_mean));
        let (old_std, new_std) = (narrow::<F>(&case.old_log_std), narrow::<F>(&case.new_log_std));
        let actions = narrow_rows::<F>(&case.actions);
        let dist = DiagGaussian { dim: case.old_log_std.len() };
        let old = DistParams { y: &old, globals: &old_std };
        let new = DistParams { y: &new, globals: &new_std };
        let got = compute(&dist, old, new, ActionsRef::Continuous(&actions));
        let expected = [&case.log_prob, &case.entropy, &case.kl_old_new];
        let terms = [&case.log_prob_terms, &case.entropy_terms, &case.kl_terms];
        for (k, name) in NAMES.iter().enumerate() {
            let what = format!("gaussian: {name}");
            assert_near_terms(&what, &got.values[k], expected[k], terms[k], tolerance);
        }
        for (k, expected, terms) in [
            (0, &case.grad_sum_log_prob, &case.grad_sum_log_prob_terms),
            (2, &case.grad_sum_kl, &case.grad_sum_kl_terms),
        ] {
            let ((y, globals), (mean, log_std)) = (&got.gradients[k], expected);
            let (mean, log_std) = (mean.as_ref().unwrap().concat(), log_std.as_ref().unwrap());
            let what = format!("gaussian: gradient of the {} by the means", NAMES[k]);
            assert_near_terms(&what, y, &mean, &terms.0.concat(), tolerance);
            let what = format!("gaussian: gradient of the {} by the log standard deviations", NAMES[k]);
            assert_near_terms(&what, globals, log_std, &terms.1, tolerance);
        }
        // The entropy is a sum of the log standard deviations: the gradients are 0, and the number of rows.
        let ((y, globals), (mean, log_std)) = (&got.gradients[1], &case.grad_sum_entropy);
        assert!(mean.is_none() && y.iter().all(|dy| *dy == F::zero()));
        let what = "gaussian: gradient of the entropy by the log standard deviations";
        assert_near(what, globals, log_std.as_ref().unwrap(), tolerance);
    }
}

#[test]
fn distributions_in_f64() {
    check::<f64>(2e-15);
}

#[test]
fn distributions_in_f32() {
    check::<f32>(5e-7);
}
