//! TRPO against PyTorch (`tests/golden/make_math.py`, `trpo_*.json`), in f64 and f32.
//!
//! Conjugate gradient that stops before it has converged amplifies rounding, in the ill-conditioned cases a billionfold: another order
//! of one sum moves `x` in its fifth digit in f64. So `x` itself is never compared. Compared is what is well-posed: the value that it
//! minimises, that its residual is the true one, and every later stage as it follows from PyTorch's `x`. Of the step as a whole, which
//! has an `x` of its own: the decisions, which the cases keep clear, and that everything it says of itself is so.

mod case;

use self::case::{Case, Data, evaluate, gradient};
use rl_algo::{LinearizedPolicy, Outcome, Reducer};
use rl_nn::{DistGrad, PolicyModel, Real, Shards};
use rl_optim::vector::{axpy, dot, norm};
use rl_optim::{
    CgParams, CgWorkspace, Damped, HessianVectorProduct, LineSearchParams, LinearOperator, OptimError, Trial,
    backtracking_line_search, conjugate_gradient, quadratic_form,
};
use rl_test_support::{assert_near, assert_near_terms, assert_within, golden};
use rl_tests::narrow;
use rl_trpo::{PolicyStep, TrpoConfig, policy_step};

const CASES: [&str; 5] = [
    "trpo_gaussian.json",
    "trpo_categorical.json",
    "trpo_backtracking.json",
    "trpo_exhausted.json",
    "trpo_accept_ratio.json",
];

/// Rounding of a few sums of a few hundred terms in f64.
const ROUNDING: f64 = 1e-12;

fn take_step(case: &Case, config: &TrpoConfig) -> (PolicyStep, Vec<f64>) {
    let (policy, data, mut theta) = (case.policy::<f64>(), case.data::<f64>(), case.theta.clone());
    let batch = data.batch();
    let step =
        policy_step(Reducer, &policy, &mut theta, &batch, &config.step(1.0), &mut Shards::new()).unwrap();
    (step, theta)
}

/// `(F + λI) v` at the golden parameters.
fn damped_fisher(case: &Case, v: &[f64]) -> Vec<f64> {
    let (policy, data, mut shards) = (case.policy::<f64>(), case.data::<f64>(), Shards::new());
    let observations = data.batch().observations;
    let mut pi = LinearizedPolicy::new(&policy, &case.theta, observations, &mut shards).unwrap();
    let mut out = vec![0.0; v.len()];
    Damped { operator: &mut pi.fisher(1.0), damping: case.damping }.apply(v, &mut out).unwrap();
    out
}

/// The whole step takes PyTorch's decisions.
#[test]
fn the_decisions_of_a_step() {
    for name in CASES {
        let case: Case = golden(name);
        let (step, theta) = take_step(&case, &case.config());
        let cg = step.cg.as_ref().unwrap();
        assert_eq!(cg.iters, case.cg_residual_norms.len(), "{name}: iterations of conjugate gradient");
        let search = step.line_search.as_ref().unwrap();
        assert_eq!(search.trials.len(), case.line_search.len(), "{name}: the number of candidates");
        for (k, (got, expected)) in search.trials.iter().zip(&case.line_search).enumerate() {
            assert_near(&format!("{name}: fraction"), &[got.fraction], &[expected.step_fraction], 1e-15);
            let verdict = (got.kl_ok, got.improvement_ok);
            assert_eq!(verdict, (expected.kl_ok, expected.improvement_ok), "{name}: candidate {k}");
        }
        assert_eq!(search.accepted.map(|a| a.index), case.accepted_index, "{name}: the accepted candidate");
        match case.accepted_index {
            Some(k) => {
                assert_eq!(step.outcome, Outcome::Applied);
                let accepted = &search.trials[k];
                assert_eq!(step.constraint_kl.to_bits(), accepted.kl.to_bits(), "{name}");
                assert_eq!(step.improvement.to_bits(), accepted.improvement.to_bits(), "{name}");
                assert!(step.constraint_kl <= case.max_kl && step.kl_max >= step.kl);
                let mut moved = theta.clone();
                axpy(-1.0, &case.theta, &mut moved);
                assert_near(&format!("{name}: the step size"), &[step.step_size], &[norm(&moved)], ROUNDING);
            }
            None => {
                assert!(matches!(step.outcome, Outcome::Rejected(_)));
                let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                let what = "a refused step leaves the parameters alone";
                assert_eq!(bits(&theta), bits(&case.theta), "{name}: {what}");
            }
        }
    }
}

/// What a step reports is true of the direction that it took.
#[test]
fn what_a_step_says_is_so() {
    for name in CASES {
        let case: Case = golden(name);
        let (step, theta) = take_step(&case, &case.config());
        // A refused step leaves nothing to look at: the same one, given more candidates, accepts, and shows its direction.
        let longer = TrpoConfig { backtrack_iters: 40, backtrack_coeff: 0.5, ..case.config() };
        let (accepted, moved_to) = match case.accepted_index {
            Some(_) => (step.clone(), theta),
            None => take_step(&case, &longer),
        };
        assert_eq!(accepted.cg, step.cg, "{name}: the same linear system");
        let mut full = moved_to;
        axpy(-1.0, &case.theta, &mut full);
        let fraction = accepted.line_search.as_ref().unwrap().accepted.unwrap().fraction;
        full.iter_mut().for_each(|s| *s /= fraction);

        assert_near(&format!("{name}: ‖g‖"), &[step.grad_norm], &[norm(&case.gradient)], ROUNDING);
        // The full step is βx, on the boundary of the quadratic model.
        let product = damped_fisher(&case, &full);
        let what = format!("{name}: sᵀ(F + λI)s of the full step is 2δ");
        assert_near(&what, &[dot(&full, &product)], &[2.0 * case.max_kl], OWN);
        let cg = step.cg.as_ref().unwrap();
        let beta = (2.0 * case.max_kl / cg.quadratic_form).sqrt();
        let mut residual = product;
        residual.iter_mut().for_each(|x| *x /= beta);
        axpy(-1.0, &case.gradient, &mut residual);
        let what = format!("{name}: the true residual is the reported one, in units of ‖g‖");
        assert_within(&what, (norm(&residual) - cg.residual_norm).abs() / step.grad_norm, OWN);

        let (policy, data) = (case.policy::<f64>(), case.data::<f64>());
        let y_old = outputs(&policy, &case.theta, &data);
        let old = policy.params(&y_old, &case.theta).unwrap();
        for trial in &step.line_search.as_ref().unwrap().trials {
            let mut candidate = case.theta.clone();
            axpy(trial.fraction, &full, &mut candidate);
            let (kl, surrogate) = evaluate(&policy, old, &candidate, &data);
            assert_near(&format!("{name}: KL of a candidate"), &[trial.kl], &[kl], OWN);
            let (what, improvement) = (format!("{name}: improvement"), surrogate - case.surrogate);
            assert_near_terms(&what, &[trial.improvement], &[improvement], &[case.surrogate_terms], OWN);
            let expected = trial.fraction * dot(&case.gradient, &full);
            let what = format!("{name}: expected improvement");
            assert_near(&what, &[trial.expected_improvement], &[expected], OWN);
        }
    }
}

/// The direction is known from `θ_new − θ_old` alone, rounded to `2⁻⁵³ ‖θ‖`; steps are a hundredth of `‖θ‖` and more.
const OWN: f64 = 1e-12;

fn outputs<F: Real>(policy: &PolicyModel<F>, theta: &[F], data: &Data<F>) -> Vec<F> {
    let mut shards = Shards::new();
    let pi = LinearizedPolicy::new(policy, theta, data.batch().observations, &mut shards).unwrap();
    pi.params().y.to_vec()
}

/// What conjugate gradient reaches in f64 in so many iterations.
fn truncated_solution(case: &Case, max_iters: usize) -> Vec<f64> {
    let (policy, data, mut shards) = (case.policy::<f64>(), case.data::<f64>(), Shards::new());
    let observations = data.batch().observations;
    let mut pi = LinearizedPolicy::new(&policy, &case.theta, observations, &mut shards).unwrap();
    let mut damped = Damped { operator: &mut pi.fisher(1.0), damping: case.damping };
    let (mut x, params) = (vec![0.0; case.theta.len()], CgParams { max_iters, ..CgParams::default() });
    conjugate_gradient(&mut damped, &case.gradient, &mut x, &params, &mut CgWorkspace::new()).unwrap();
    x
}

/// How close the stages of a step must come to PyTorch's, each from PyTorch's own inputs.
struct Tolerances {
    /// Surrogate, gradient and Fisher product, and what conjugate gradient says of its own solution.
    linear: f64,
    /// The residuals of conjugate gradient while rounding has not grown, in units of ‖g‖.
    first_residuals: f64,
    /// How many iterations of conjugate gradient rounding may cost.
    iterations_lost: usize,
    /// β, and what follows from it: divergences, surrogates, the new parameters.
    later: f64,
}

fn stages<F: Real + Into<f64>>(tolerances: &Tolerances) {
    for name in CASES {
        let case: Case = golden(name);
        let (policy, data) = (case.policy::<F>(), case.data::<F>());
        let theta = narrow::<F>(&case.theta);

        let (surrogate, g) = gradient(&policy, &theta, &data);
        let what = format!("{name}: the surrogate");
        let terms = [case.surrogate_terms];
        assert_near_terms(&what, &[surrogate], &[case.surrogate], &terms, tolerances.linear);
        assert_near(&format!("{name}: the gradient"), &g, &case.gradient, tolerances.linear);

        let mut shards = Shards::new();
        let mut pi = LinearizedPolicy::new(&policy, &theta, data.batch().observations, &mut shards).unwrap();
        let mut fisher = pi.fisher(1.0);
        let mut damped = Damped { operator: &mut fisher, damping: case.damping };
        let mut out = vec![F::zero(); theta.len()];
        damped.apply(&narrow::<F>(&case.probe), &mut out).unwrap();
        assert_near(&format!("{name}: the Fisher product"), &out, &case.fisher_probe, tolerances.linear);

        solve(name, &case, &mut damped, tolerances);

        // β from the golden x.
        let x = narrow::<F>(&case.cg_x);
        let x_fx = quadratic_form(&mut damped, &x, &mut out).unwrap();
        let beta = (2.0 * case.max_kl / x_fx).sqrt();
        assert_near(&format!("{name}: xᵀFx"), &[x_fx], &[case.x_fx], tolerances.later);
        assert_near(&format!("{name}: β"), &[beta], &[case.beta], tolerances.later);
        search(name, &case, (&policy, &data), (&theta, &x, beta), tolerances);
    }
}

/// Conjugate gradient iteration by iteration. Its residual goes up and down on the way (in the ill-conditioned cases by a factor of two
/// from one iteration to the next), what it minimises, `φ(x) = ½ xᵀAx − gᵀx`, only down.
///
/// Rounding grows from iteration to iteration: the first few agree with PyTorch's, all of them where the system is well conditioned.
/// Later it acts as if some iterations had not been (Greenbaum 1989, "Behavior of slightly perturbed Lanczos and conjugate-gradient
/// recurrences"), so how far φ lies above PyTorch's is measured in what the last few iterations gain.
fn solve<F: Real + Into<f64>>(
    name: &str,
    case: &Case,
    damped: &mut dyn LinearOperator<F>,
    tolerances: &Tolerances,
) {
    let golden_g = narrow::<F>(&case.gradient);
    let mut out = vec![F::zero(); golden_g.len()];
    let mut x = out.clone();
    // In f64, whatever conjugate gradient ran in.
    let phi = |x: &[f64]| 0.5 * dot(x, &damped_fisher(case, x)) - dot(&case.gradient, x);
    let mut minimum = 0.0;
    for (k, golden_residual) in (1..).zip(&case.cg_residual_norms) {
        let params = CgParams { max_iters: k, ..CgParams::default() };
        let cg = conjugate_gradient(damped, &golden_g, &mut x, &params, &mut CgWorkspace::new()).unwrap();
        assert_eq!(cg.iters, k, "{name}: iterations of conjugate gradient");
        if k <= 3 || case.damping >= 0.1 {
            let what = format!("{name}: the first residuals, in units of ‖g‖");
            let off = (cg.residual_norm - golden_residual).abs() / norm(&case.gradient);
            assert_within(&what, off, tolerances.first_residuals);
        }
        let x_ax = quadratic_form(damped, &x, &mut out).unwrap();
        let what = format!("{name}: xᵀAx from the residual");
        assert_near(&what, &[cg.quadratic_form], &[x_ax], tolerances.linear);
        axpy(-1.0, &golden_g, &mut out);
        let what = format!("{name}: the true residual is the reported one, in units of ‖g‖");
        assert_within(&what, (norm(&out) - cg.residual_norm).abs() / norm(&golden_g), tolerances.linear);

        let wide: Vec<f64> = x.iter().map(|x| x.widen()).collect();
        let before = std::mem::replace(&mut minimum, phi(&wide));
        let what = format!("{name}: an iteration of conjugate gradient goes up");
        assert_within(
            &what,
            ((minimum - before) / before.abs().max(f64::MIN_POSITIVE)).max(0.0),
            tolerances.linear,
        );
    }
    let golden_minimum = phi(&case.cg_x);
    let earlier = phi(&truncated_solution(case, case.cg_residual_norms.len() - tolerances.iterations_lost));
    let what = format!(
        "{name}: above PyTorch's minimum, in units of what the last {} gained",
        tolerances.iterations_lost
    );
    assert_within(&what, ((minimum - golden_minimum) / (earlier - golden_minimum)).max(0.0), 1.0);
}

/// The line search and the new parameters, from the golden `x`.
fn search<F: Real + Into<f64>>(
    name: &str,
    case: &Case,
    (policy, data): (&PolicyModel<F>, &Data<F>),
    (theta, x, beta): (&[F], &[F], f64),
    tolerances: &Tolerances,
) {
    let y_old = outputs(policy, theta, data);
    let old = policy.params(&y_old, theta).unwrap();
    let (surrogate_old, _) = gradient(policy, theta, data);
    let expected = beta * dot(&narrow::<F>(&case.gradient), x);
    let (mut candidate, mut k) = (theta.to_vec(), 0);
    let params = LineSearchParams {
        max_kl: case.max_kl,
        backtrack_coeff: case.shrink,
        backtrack_iters: case.max_backtracks,
        accept_ratio: case.accept_ratio,
    };
    let info = backtracking_line_search(&params, expected, |fraction| {
        candidate.copy_from_slice(theta);
        axpy(fraction * beta, x, &mut candidate);
        let (kl, surrogate) = evaluate(policy, old, &candidate, data);
        let golden = &case.line_search[k];
        assert_near(&format!("{name}: KL of candidate {k}"), &[kl], &[golden.kl], tolerances.later);
        let (what, terms) = (format!("{name}: surrogate of candidate {k}"), [golden.surrogate_terms]);
        assert_near_terms(&what, &[surrogate], &[golden.surrogate], &terms, tolerances.later);
        let what = format!("{name}: expected improvement of candidate {k}");
        assert_near(&what, &[fraction * expected], &[golden.expected_improvement], tolerances.later);
        k += 1;
        Ok::<_, OptimError>(Trial { improvement: surrogate - surrogate_old, kl })
    })
    .unwrap();
    assert_eq!(info.accepted.map(|a| a.index), case.accepted_index, "{name}: accepted from the golden x");
    let new = if info.accepted.is_some() { &candidate } else { theta };
    assert_near(&format!("{name}: the new parameters"), new, &case.new_theta, tolerances.later);
}

#[test]
fn stage_by_stage_in_f64() {
    stages::<f64>(&Tolerances { linear: 1e-13, first_residuals: 1e-13, iterations_lost: 1, later: 1e-13 });
}

#[test]
fn stage_by_stage_in_f32() {
    stages::<f32>(&Tolerances { linear: 1e-5, first_residuals: 1e-5, iterations_lost: 3, later: 1e-5 });
}

/// The Fisher product is the Hessian of the mean KL at the old parameters, here by central differences of its gradient.
#[test]
fn the_fisher_product_is_the_hessian_of_the_kl() {
    for name in CASES {
        let case: Case = golden(name);
        let (policy, data) = (case.policy::<f64>(), case.data::<f64>());
        let mut shards = Shards::new();
        let mut pi =
            LinearizedPolicy::new(&policy, &case.theta, data.batch().observations, &mut shards).unwrap();
        let y_old = pi.params().y.to_vec();
        let mut product = vec![0.0; case.theta.len()];
        pi.fisher(1.0).apply(&case.probe, &mut product).unwrap();

        let old = policy.params(&y_old, &case.theta).unwrap();
        let mut kl_shards = Shards::new();
        let mut hessian = HessianVectorProduct::new(&case.theta, |theta: &[f64], grad: &mut [f64]| {
            let mut pi =
                LinearizedPolicy::new(&policy, theta, data.batch().observations, &mut kl_shards).unwrap();
            let (mut dy, mut dglobals) = (vec![0.0; y_old.len()], vec![0.0; old.globals.len()]);
            let weight = 1.0 / data.advantages.len() as f64;
            let kl_grad = DistGrad { y: &mut dy, globals: &mut dglobals };
            policy.distribution.kl_grad(old, pi.params(), weight, kl_grad).unwrap();
            pi.pull_back(&dy, &dglobals, grad).unwrap();
            Ok(())
        });
        let mut differences = vec![0.0; case.theta.len()];
        hessian.apply(&case.probe, &mut differences).unwrap();
        assert_near(&format!("{name}: by differences"), &differences, &product, 1e-6);
    }
}

/// Along any direction `d`, `KL(θ‖θ + εd) = ½ε² dᵀFd` up to third order: with a step of length `√δ` the divergence is δ, and
/// `|KL/δ − 1|`, the larger of both signs, falls at least like `√δ`.
#[test]
fn the_kl_of_the_natural_step_approaches_delta() {
    for name in CASES {
        let case: Case = golden(name);
        let (policy, data) = (case.policy::<f64>(), case.data::<f64>());
        let x = &case.cg_x;
        let curvature = dot(x, &damped_fisher(&case, x)) - case.damping * dot(x, x);
        let y_old = outputs(&policy, &case.theta, &data);
        let old = policy.params(&y_old, &case.theta).unwrap();
        let errors = [1e-4_f64, 1e-6, 1e-8].map(|delta| {
            let step = (2.0 * delta / curvature).sqrt();
            let error = |step: f64| {
                let mut theta = case.theta.clone();
                axpy(step, x, &mut theta);
                (evaluate(&policy, old, &theta, &data).0 / delta - 1.0).abs()
            };
            error(step).max(error(-step))
        });
        for (larger, smaller) in [(errors[0], errors[1]), (errors[1], errors[2])] {
            // δ falls a hundredfold, √δ tenfold.
            assert!(larger / smaller > 5.0, "{name}: |KL/δ − 1| = {errors:?}");
        }
    }
}
