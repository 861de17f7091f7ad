//! TRPO against PyTorch (`tests/golden/make_math.py`, `trpo_*.json`): the whole chain in f64, f32 stage by stage.

#![allow(clippy::unwrap_used, reason = "a failure in a helper is a failed test")]
#![allow(clippy::disallowed_methods, reason = "the system's functions as references")]

use std::sync::Arc;

use rl_algo::{LinearizedPolicy, Outcome, PolicyBatch, Reducer};
use rl_nn::dist::{Categorical, DiagGaussian};
use rl_nn::{
    Actions, Activation, DistGrad, DistParams, Distribution, Input, Mlp, PolicyModel, Real, Shards, Workspace,
};
use rl_optim::vector::{axpy, dot, norm};
use rl_optim::{
    CgParams, CgWorkspace, Damped, HessianVectorProduct, LinearOperator, conjugate_gradient, quadratic_form,
};
use rl_tests::{assert_near, golden, narrow, narrow_rows};
use rl_trpo::{TrpoConfig, policy_step};
use serde::Deserialize;
use serde_json::Value;

const CASES: [&str; 5] = [
    "trpo_gaussian.json",
    "trpo_categorical.json",
    "trpo_backtracking.json",
    "trpo_exhausted.json",
    "trpo_accept_ratio.json",
];

#[derive(Deserialize)]
struct Case {
    kind: String,
    sizes: Vec<usize>,
    max_kl: f64,
    cg_iters: usize,
    damping: f64,
    shrink: f64,
    max_backtracks: usize,
    accept_ratio: f64,
    theta: Vec<f64>,
    obs: Vec<Vec<f64>>,
    actions: Value,
    advantages: Vec<f64>,
    old_log_prob: Vec<f64>,
    surrogate: f64,
    gradient: Vec<f64>,
    probe: Vec<f64>,
    fisher_probe: Vec<f64>,
    cg_x: Vec<f64>,
    cg_residual_norms: Vec<f64>,
    #[serde(rename = "xFx")]
    x_fx: f64,
    beta: f64,
    line_search: Vec<GoldenTrial>,
    accepted_index: Option<usize>,
    new_theta: Vec<f64>,
}

#[derive(Deserialize)]
struct GoldenTrial {
    step_fraction: f64,
    surrogate: f64,
    kl: f64,
    expected_improvement: f64,
    kl_ok: bool,
    improvement_ok: bool,
}

impl Case {
    fn policy<F: Real>(&self) -> PolicyModel<F> {
        let n = self.sizes[self.sizes.len() - 1];
        let distribution: Arc<dyn Distribution<F>> = match self.kind.as_str() {
            "gaussian" => Arc::new(DiagGaussian { dim: n }),
            _ => Arc::new(Categorical { n }),
        };
        PolicyModel::new(Arc::new(Mlp::new(&self.sizes, Activation::Tanh).unwrap()), distribution).unwrap()
    }

    fn config(&self) -> TrpoConfig {
        TrpoConfig {
            max_kl: self.max_kl,
            cg_iters: self.cg_iters,
            cg_damping: self.damping,
            backtrack_coeff: self.shrink,
            backtrack_iters: self.max_backtracks,
            accept_ratio: self.accept_ratio,
            ..TrpoConfig::default()
        }
    }

    fn data<F: Real>(&self) -> Data<F> {
        let actions = match self.kind.as_str() {
            "gaussian" => {
                let rows: Vec<Vec<f64>> = serde_json::from_value(self.actions.clone()).unwrap();
                Actions::Continuous(narrow_rows(&rows))
            }
            _ => Actions::Discrete(serde_json::from_value(self.actions.clone()).unwrap()),
        };
        Data {
            obs: narrow_rows(&self.obs),
            width: self.sizes[0],
            actions,
            advantages: narrow(&self.advantages),
            old_log_probs: narrow(&self.old_log_prob),
        }
    }

    /// The ill-conditioned cases amplify rounding: the order of the sums in a dot product alone moves the divergence of the
    /// exhausted case by 1e-5.
    fn chain_tolerance(&self) -> f64 {
        if self.max_kl > 1.0 { 1e-5 } else { 1e-6 }
    }
}

struct Data<F> {
    obs: Vec<F>,
    width: usize,
    actions: Actions<F>,
    advantages: Vec<F>,
    old_log_probs: Vec<F>,
}

impl<F: Real> Data<F> {
    fn batch(&self) -> PolicyBatch<'_, F> {
        PolicyBatch {
            observations: Input::new(&self.obs, self.width).unwrap(),
            actions: self.actions.as_ref(),
            advantages: &self.advantages,
            old_log_probs: &self.old_log_probs,
        }
    }
}

/// `∇L` as the step computes it: one trial with a vanishing trust region leaves everything else out.
fn gradient<F: Real>(policy: &PolicyModel<F>, theta: &[F], data: &Data<F>) -> (f64, Vec<F>) {
    let mut shards = Shards::new();
    let batch = data.batch();
    let mut pi = LinearizedPolicy::new(policy, theta, batch.observations, &mut shards).unwrap();
    let rows = data.advantages.len();
    let mut w = vec![F::zero(); rows];
    policy.distribution.log_prob(pi.params(), batch.actions, &mut w).unwrap();
    for ((w, &old), &advantage) in w.iter_mut().zip(&data.old_log_probs).zip(&data.advantages) {
        *w = (*w - old).exp() * advantage;
    }
    let surrogate = Reducer.mean(&w);
    w.iter_mut().for_each(|w| *w *= F::narrow(1.0 / rows as f64));
    let mut dy = vec![F::zero(); pi.params().y.len()];
    let mut dglobals = vec![F::zero(); pi.params().globals.len()];
    let grad = DistGrad { y: &mut dy, globals: &mut dglobals };
    policy.distribution.log_prob_grad(pi.params(), batch.actions, &w, grad).unwrap();
    let mut g = vec![F::zero(); theta.len()];
    pi.pull_back(&dy, &dglobals, &mut g).unwrap();
    (surrogate, g)
}

/// `(mean KL(old‖θ), L(θ))` by a forward pass.
fn evaluate<F: Real>(
    policy: &PolicyModel<F>,
    old: DistParams<'_, F>,
    theta: &[F],
    data: &Data<F>,
) -> (f64, f64) {
    let batch = data.batch();
    let mut y = vec![F::zero(); old.y.len()];
    let (net, _) = policy.split(theta).unwrap();
    policy.network.forward(net, batch.observations, &mut y, &mut Workspace::default()).unwrap();
    let new = policy.params(&y, theta).unwrap();
    let mut x = vec![F::zero(); data.advantages.len()];
    policy.distribution.kl(old, new, &mut x).unwrap();
    let kl = Reducer.mean(&x);
    policy.distribution.log_prob(new, batch.actions, &mut x).unwrap();
    for ((x, &old), &advantage) in x.iter_mut().zip(&data.old_log_probs).zip(&data.advantages) {
        *x = (*x - old).exp() * advantage;
    }
    (kl, Reducer.mean(&x))
}

#[test]
fn the_whole_chain_in_f64() {
    for name in CASES {
        let case: Case = golden(name);
        let tolerance = case.chain_tolerance();
        let (policy, data) = (case.policy::<f64>(), case.data::<f64>());
        let mut theta = case.theta.clone();
        let step =
            policy_step(Reducer, &policy, &mut theta, &data.batch(), &case.config(), &mut Shards::new())
                .unwrap();

        let cg = step.cg.as_ref().unwrap();
        assert_eq!(cg.iters, case.cg_residual_norms.len(), "{name}: iterations of conjugate gradient");
        let last = case.cg_residual_norms[case.cg_residual_norms.len() - 1];
        assert_near(&format!("{name}: the residual"), &[cg.residual_norm], &[last], 1e-4);

        let search = step.line_search.as_ref().unwrap();
        assert_eq!(search.trials.len(), case.line_search.len(), "{name}: the number of candidates");
        for (k, (got, expected)) in search.trials.iter().zip(&case.line_search).enumerate() {
            let what = format!("{name}: candidate {k}");
            assert_near(&what, &[got.fraction], &[expected.step_fraction], 1e-15);
            assert_near(&what, &[got.kl], &[expected.kl], tolerance);
            assert_near(&what, &[case.surrogate + got.improvement], &[expected.surrogate], tolerance);
            assert_near(&what, &[got.expected_improvement], &[expected.expected_improvement], tolerance);
            assert_eq!((got.kl_ok, got.improvement_ok), (expected.kl_ok, expected.improvement_ok), "{what}");
        }
        assert_eq!(search.accepted.map(|a| a.index), case.accepted_index, "{name}: the accepted candidate");
        assert_near(&format!("{name}: the new parameters"), &theta, &case.new_theta, tolerance);

        // What the report says of the step is what happened.
        let mut moved = theta.clone();
        axpy(-1.0, &case.theta, &mut moved);
        assert_near(&format!("{name}: the step size"), &[step.step_size], &[norm(&moved)], 1e-9);
        match case.accepted_index {
            Some(k) => {
                assert_eq!(step.outcome, Outcome::Applied);
                assert_near(name, &[step.kl], &[case.line_search[k].kl], tolerance);
                assert!(step.kl <= case.max_kl && step.kl_max >= step.kl);
            }
            None => {
                assert!(matches!(step.outcome, Outcome::Rejected(_)));
                let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(
                    bits(&theta),
                    bits(&case.theta),
                    "{name}: a refused step leaves the parameters alone"
                );
            }
        }
    }
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

fn stages<F: Real>(tolerance: f64, beta_tolerance: f64, minimum_tolerance: f64, residual_tolerance: f64) {
    for name in CASES {
        let case: Case = golden(name);
        let (policy, data) = (case.policy::<F>(), case.data::<F>());
        let theta = narrow::<F>(&case.theta);

        let (surrogate, g) = gradient(&policy, &theta, &data);
        assert_near(&format!("{name}: the surrogate"), &[surrogate], &[case.surrogate], tolerance);
        assert_near(&format!("{name}: the gradient"), &g, &case.gradient, tolerance);

        let mut shards = Shards::new();
        let mut pi = LinearizedPolicy::new(&policy, &theta, data.batch().observations, &mut shards).unwrap();
        let y_old = pi.params().y.to_vec();
        let mut fisher = pi.fisher(1.0);
        let mut damped = Damped { operator: &mut fisher, damping: case.damping };
        let mut out = vec![F::zero(); theta.len()];
        damped.apply(&narrow::<F>(&case.probe), &mut out).unwrap();
        assert_near(&format!("{name}: the Fisher product"), &out, &case.fisher_probe, tolerance);

        // Conjugate gradient by what it minimises, ½ xᵀAx − gᵀx: the residual goes up and down on the way (in the
        // ill-conditioned cases by a factor of two from one iteration to the next), this only down. Rounding may cost an
        // iteration: noise of 1e-7 in the products costs the f64 run as much in the ill-conditioned cases.
        let golden_g = narrow::<F>(&case.gradient);
        let minimised = |damped: &mut dyn LinearOperator<F>, x: &[F]| {
            let x_ax = quadratic_form(damped, x, &mut vec![F::zero(); x.len()]).unwrap();
            0.5 * x_ax - dot(&golden_g, x)
        };
        let golden_minimum = minimised(&mut damped, &narrow::<F>(&case.cg_x));
        let mut x = vec![F::zero(); theta.len()];
        let params = CgParams { max_iters: case.cg_iters, ..CgParams::default() };
        let cg =
            conjugate_gradient(&mut damped, &golden_g, &mut x, &params, &mut CgWorkspace::new()).unwrap();
        let minimum = minimised(&mut damped, &x);
        let allowed = golden_minimum + minimum_tolerance * golden_minimum.abs();
        let allowed = if F::epsilon().widen() > 1e-10 {
            let without_the_last = narrow::<F>(&truncated_solution(&case, case.cg_iters - 1));
            allowed.max(minimised(&mut damped, &without_the_last))
        } else {
            allowed
        };
        assert!(minimum <= allowed, "{name}: {minimum} > {golden_minimum}");
        let x_ax = quadratic_form(&mut damped, &x, &mut out).unwrap();
        let what = format!("{name}: xᵀAx from the residual");
        assert_near(&what, &[cg.quadratic_form], &[x_ax], 1e-2 * residual_tolerance);
        axpy(-1.0, &golden_g, &mut out);
        let what = format!("{name}: the true residual is the reported one");
        assert_near(&what, &[norm(&out)], &[cg.residual_norm], residual_tolerance);

        // β and the candidates from the golden x.
        let x = narrow::<F>(&case.cg_x);
        let x_fx = quadratic_form(&mut damped, &x, &mut out).unwrap();
        let beta = (2.0 * case.max_kl / x_fx).sqrt();
        assert_near(&format!("{name}: xᵀFx"), &[x_fx], &[case.x_fx], beta_tolerance);
        assert_near(&format!("{name}: β"), &[beta], &[case.beta], beta_tolerance);
        let old = policy.params(&y_old, &theta).unwrap();
        for (k, trial) in case.line_search.iter().enumerate() {
            let mut candidate = theta.clone();
            axpy(trial.step_fraction * beta, &x, &mut candidate);
            let (kl, surrogate) = evaluate(&policy, old, &candidate, &data);
            let what = format!("{name}: candidate {k}");
            assert_near(&what, &[kl], &[trial.kl], beta_tolerance);
            assert_near(&what, &[surrogate], &[trial.surrogate], beta_tolerance);
            let expected = trial.step_fraction * beta * dot(&golden_g, &x);
            assert_near(&what, &[expected], &[trial.expected_improvement], beta_tolerance);
        }
    }
}

#[test]
fn stage_by_stage_in_f64() {
    stages::<f64>(1e-10, 1e-6, 1e-9, 1e-6);
}

#[test]
fn stage_by_stage_in_f32() {
    stages::<f32>(1e-5, 1e-4, 2e-2, 1e-3);
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

/// For the undamped natural-gradient step the divergence is δ up to third order: |KL/δ − 1| falls like √δ.
#[test]
fn the_kl_of_the_natural_step_approaches_delta() {
    let case: Case = golden("trpo_gaussian.json");
    let (policy, data) = (case.policy::<f64>(), case.data::<f64>());
    let (_, g) = gradient(&policy, &case.theta, &data);
    let mut shards = Shards::new();
    let mut pi = LinearizedPolicy::new(&policy, &case.theta, data.batch().observations, &mut shards).unwrap();
    let y_old = pi.params().y.to_vec();
    let mut x = vec![0.0; g.len()];
    let params = CgParams { max_iters: 60, ..CgParams::default() };
    let mut fisher = pi.fisher(1.0);
    conjugate_gradient(&mut fisher, &g, &mut x, &params, &mut CgWorkspace::new()).unwrap();
    let curvature = quadratic_form(&mut fisher, &x, &mut vec![0.0; g.len()]).unwrap();
    let old = policy.params(&y_old, &case.theta).unwrap();
    let errors = [1e-9_f64, 1e-11, 1e-13].map(|delta| {
        let mut theta = case.theta.clone();
        axpy((2.0 * delta / curvature).sqrt(), &x, &mut theta);
        (evaluate(&policy, old, &theta, &data).0 / delta - 1.0).abs()
    });
    for (larger, smaller) in [(errors[0], errors[1]), (errors[1], errors[2])] {
        // δ falls a hundredfold, √δ tenfold.
        assert!((5.0..20.0).contains(&(larger / smaller)), "|KL/δ − 1| = {errors:?}");
    }
}
