//! One step, by itself, in f64: what every setting of it changes, against objectives and divergences computed here.

#![allow(clippy::unwrap_used, reason = "a failure in a helper is a failed test")]
#![allow(clippy::float_cmp, reason = "the values compared are the same number")]
#![allow(clippy::disallowed_methods, reason = "the system's functions as references")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use rand::Rng;
use rl_algo::{LinearizedPolicy, Outcome, PolicyBatch, Reducer};
use rl_env::rng::stream;
use rl_nn::distribution::{Categorical, DiagGaussian};
use rl_nn::{
    Actions, ActionsRef, Activation, Carry, DistParams, Distribution, Mlp, Network, NnError, PolicyModel,
    Shape, Shards, States, Workspace,
};
use rl_optim::vector::{dot, norm};
use rl_optim::{CgParams, CgStop, Damped, LinearOperator};
use rl_rollout as _;
use rl_test_support as _;
use rl_trpo::{KlDirection, KlReduction, PolicyStep, Search, StepConfig, TrpoConfig, policy_step};

/// A policy and a batch whose ratios are 1.
#[derive(Clone)]
struct Case {
    policy: PolicyModel<f64>,
    theta: Vec<f64>,
    obs: Vec<f64>,
    actions: Actions<f64>,
    advantages: Vec<f64>,
    old_log_probs: Vec<f64>,
}

const ROWS: usize = 40;

impl Case {
    fn new(continuous: bool) -> Self {
        let mut rng = stream(11, "step", 0);
        let mut draw = |n: usize| -> Vec<f64> { (0..n).map(|_| rng.random_range(-1.0..1.0)).collect() };
        let network = Arc::new(Mlp::new(&[2, 6, 3], Activation::Tanh).unwrap());
        let (distribution, actions): (Arc<dyn Distribution<f64>>, _) = if continuous {
            (Arc::new(DiagGaussian { dim: 3 }), Actions::Continuous(draw(3 * ROWS)))
        } else {
            let actions = (0..ROWS).map(|i| i * i * 7 % 3);
            (Arc::new(Categorical { n: 3 }), Actions::Discrete(actions.collect()))
        };
        let policy = PolicyModel::new(network, distribution).unwrap();
        let theta = draw(policy.n_params());
        let mut case = Case {
            theta,
            obs: draw(2 * ROWS),
            advantages: draw(ROWS),
            actions,
            old_log_probs: vec![0.0; ROWS],
            policy,
        };
        case.old_log_probs = case.log_probs(&case.theta);
        case
    }

    fn both() -> [Case; 2] {
        [Case::new(false), Case::new(true)]
    }

    fn batch(&self) -> PolicyBatch<'_, f64> {
        PolicyBatch {
            observations: States::new(&self.obs, 2).unwrap(),
            actions: self.actions.as_ref(),
            advantages: &self.advantages,
            old_log_probs: &self.old_log_probs,
        }
    }

    fn outputs(&self, theta: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; self.obs.len() / 2 * self.policy.network.n_outputs()];
        let (net, _) = self.policy.split(theta).unwrap();
        let states = States::new(&self.obs, 2).unwrap();
        Shards::new().forward(&*self.policy.network, net, &states, &mut y).unwrap();
        y
    }

    fn per_row(&self, theta: &[f64], of: impl Fn(DistParams<'_, f64>, &mut [f64])) -> Vec<f64> {
        let (y, mut out) = (self.outputs(theta), vec![0.0; self.obs.len() / 2]);
        of(self.policy.params(&y, theta).unwrap(), &mut out);
        out
    }

    fn log_probs(&self, theta: &[f64]) -> Vec<f64> {
        let distribution = &self.policy.distribution;
        self.per_row(theta, |p, out| distribution.log_prob(p, self.actions.as_ref(), out).unwrap())
    }

    fn entropy(&self, theta: &[f64]) -> f64 {
        mean(&self.per_row(theta, |p, out| self.policy.distribution.entropy(p, out).unwrap()))
    }

    /// `mean[(π/π_old) A] + c · mean H`.
    fn objective(&self, theta: &[f64], ent_coef: f64) -> f64 {
        let terms = self.log_probs(theta).into_iter().zip(&self.old_log_probs).zip(&self.advantages);
        let surrogate: Vec<f64> = terms.map(|((new, old), a)| (new - old).exp() * a).collect();
        mean(&surrogate) + ent_coef * self.entropy(theta)
    }

    /// Every state's divergence of `p` from `q`, policies of these parameters.
    fn kl(&self, p: &[f64], q: &[f64]) -> Vec<f64> {
        let y = self.outputs(q);
        let q = self.policy.params(&y, q).unwrap();
        self.per_row(p, |p, out| self.policy.distribution.kl(p, q, out).unwrap())
    }

    fn step(&self, config: &StepConfig) -> (PolicyStep, Vec<f64>) {
        let mut theta = self.theta.clone();
        let step = policy_step(Reducer, &self.policy, &mut theta, &self.batch(), config, &mut Shards::new());
        (step.unwrap(), theta)
    }

    /// `θ_new − θ_old` of a step that must be taken.
    fn moved(&self, config: &StepConfig) -> Vec<f64> {
        let (step, theta) = self.step(config);
        assert_eq!(step.outcome, Outcome::Applied);
        theta.iter().zip(&self.theta).map(|(new, old)| new - old).collect()
    }

    fn fisher_product(&self, v: &[f64], damping: f64) -> Vec<f64> {
        let mut shards = Shards::new();
        let states = States::new(&self.obs, 2).unwrap();
        let mut pi = LinearizedPolicy::new(&self.policy, &self.theta, states, &mut shards).unwrap();
        let mut out = vec![0.0; v.len()];
        Damped { operator: &mut pi.fisher(1.0), damping }.apply(v, &mut out).unwrap();
        out
    }
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn config() -> StepConfig {
    TrpoConfig { cg_iters: 60, cg_damping: 0.01, cg_atol: Some(1e-9), ..TrpoConfig::default() }.step(1.0)
}

/// One iteration of conjugate gradient goes along the gradient itself.
fn along_the_gradient() -> StepConfig {
    let cg = CgParams { max_iters: 1, ..CgParams::default() };
    StepConfig { cg, search: Search::FullStep, ..config() }
}

fn near(got: &[f64], expected: &[f64], tolerance: f64) {
    let difference: Vec<f64> = got.iter().zip(expected).map(|(a, b)| a - b).collect();
    let distance = norm(&difference) / norm(expected);
    assert!(distance < tolerance, "{distance}: {got:?} instead of {expected:?}");
}

#[test]
fn the_gradient_is_that_of_the_objective_with_its_entropy_bonus() {
    for case in Case::both() {
        for ent_coef in [0.0, 0.3] {
            let h = 1e-5;
            let slope = |i: usize| {
                let at = |h: f64| {
                    let mut theta = case.theta.clone();
                    theta[i] += h;
                    case.objective(&theta, ent_coef)
                };
                (at(h) - at(-h)) / (2.0 * h)
            };
            let g: Vec<f64> = (0..case.theta.len()).map(slope).collect();
            let config = StepConfig { ent_coef, ..along_the_gradient() };
            let (moved, step) = (case.moved(&config), case.step(&config).0);
            assert!((step.grad_norm / norm(&g) - 1.0).abs() < 1e-6);
            let (length, g_length) = (norm(&moved), norm(&g));
            let unit = |x: &[f64], length: f64| x.iter().map(|x| x / length).collect::<Vec<_>>();
            near(&unit(&moved, length), &unit(&g, g_length), 1e-6);
        }
    }
}

#[test]
fn what_a_step_reports_is_so() {
    for case in Case::both() {
        for (ent_coef, kl_direction) in [(0.0, KlDirection::OldNew), (0.2, KlDirection::NewOld)] {
            let config = StepConfig { ent_coef, kl_direction, ..config() };
            let (step, theta) = case.step(&config);
            assert_eq!(step.outcome, Outcome::Applied);
            let gain = case.objective(&theta, ent_coef) - case.objective(&case.theta, ent_coef);
            assert!((step.improvement - gain).abs() < 1e-12, "{} {gain}", step.improvement);
            let kl = case.kl(&case.theta, &theta);
            let constrained = match kl_direction {
                KlDirection::OldNew => kl.clone(),
                KlDirection::NewOld => case.kl(&theta, &case.theta),
            };
            assert!((step.constraint_kl - mean(&constrained)).abs() < 1e-12);
            // What is reported is KL(old‖new), whatever is bounded.
            assert!((step.kl - mean(&kl)).abs() < 1e-12);
            assert!((step.kl_max - kl.iter().fold(0.0, |a: f64, &b| a.max(b))).abs() < 1e-12);
            assert!(step.constraint_kl <= config.max_kl && step.kl_max > step.kl);
            assert!((step.entropy - case.entropy(&theta)).abs() < 1e-12);
        }
    }
}

/// Both divergences have the Fisher matrix as their Hessian where old and new agree.
#[test]
fn the_fisher_matrix_is_the_hessian_of_either_divergence() {
    for case in Case::both() {
        let v = case.moved(&config());
        let h = 1e-3 / norm(&v);
        let to = |t: f64| -> Vec<f64> { case.theta.iter().zip(&v).map(|(theta, v)| theta + t * v).collect() };
        let curvature = dot(&v, &case.fisher_product(&v, 0.0));
        let second = |kl: &dyn Fn(f64) -> f64| (kl(h) - 2.0 * kl(0.0) + kl(-h)) / (h * h);
        let (theta, kl) = (&case.theta, |p: &[f64], q: &[f64]| mean(&case.kl(p, q)));
        for hessian in [second(&|t| kl(theta, &to(t))), second(&|t| kl(&to(t), theta))] {
            assert!((hessian / curvature - 1.0).abs() < 1e-4, "{hessian} {curvature}");
        }
    }
}

/// A divergence that the one direction accepts and the other does not: the trust region is the one that was asked for.
#[test]
fn the_direction_decides_what_is_accepted() {
    for case in Case::both() {
        let of = |kl_direction| {
            let full = StepConfig { max_kl: 0.5, kl_direction, search: Search::FullStep, ..config() };
            case.step(&full).0.constraint_kl
        };
        let (old_new, new_old) = (of(KlDirection::OldNew), of(KlDirection::NewOld));
        let (smaller, larger) = if old_new < new_old {
            (KlDirection::OldNew, KlDirection::NewOld)
        } else {
            (KlDirection::NewOld, KlDirection::OldNew)
        };
        // The same directions and lengths; only the verdict on the full step differs.
        let between = (old_new + new_old) / 2.0;
        let steps = [smaller, larger].map(|kl_direction| {
            let radius = StepConfig { max_kl: 0.5, kl_direction, ..config() };
            case.step(&radius).0
        });
        assert_eq!(steps[0].cg, steps[1].cg);
        let of = |step: &PolicyStep| step.line_search.as_ref().unwrap().trials[0];
        assert!(of(&steps[0]).kl < between && between < of(&steps[1]).kl);
        assert!(steps.iter().all(|step| step.outcome == Outcome::Applied && step.constraint_kl <= 0.5));
    }
}

/// The mean over the three dimensions of an action is a third of the sum: the same step as with radius and damping three times as large.
#[test]
fn a_mean_over_dimensions_is_a_share_of_the_sum() {
    let case = Case::new(true);
    let sum = StepConfig { max_kl: 0.03, damping: 0.03, ..config() };
    let mean = StepConfig { max_kl: 0.01, damping: 0.01, kl_reduction: KlReduction::MeanPerDim, ..config() };
    near(&case.moved(&mean), &case.moved(&sum), 1e-6);
    let step = case.step(&mean).0;
    assert!((step.kl / step.constraint_kl - 3.0).abs() < 1e-12 && step.constraint_kl <= 0.01);
}

#[test]
fn a_full_step_ends_on_the_boundary_of_the_quadratic_model() {
    for case in Case::both() {
        let config = StepConfig { max_kl: 0.3, search: Search::FullStep, ..config() };
        let (step, moved) = (case.step(&config).0, case.moved(&config));
        let quadratic = dot(&moved, &case.fisher_product(&moved, config.damping));
        assert!((quadratic / (2.0 * 0.3) - 1.0).abs() < 1e-6, "{quadratic}");
        assert!((step.step_size / norm(&moved) - 1.0).abs() < 1e-9);
        assert_eq!(step.line_search, None);
        // The line search goes the same way, less far where the divergence is over the radius.
        let searched = case.moved(&StepConfig { search: TrpoConfig::default().step(1.0).search, ..config });
        let cosine = dot(&moved, &searched) / (norm(&moved) * norm(&searched));
        assert!(cosine > 1.0 - 1e-12 && norm(&searched) <= norm(&moved) * (1.0 + 1e-12));
    }
}

/// Where every state stands twice, one behind the other, half of them are all of them.
#[test]
fn a_fraction_of_the_states_is_spread_over_the_batch() {
    for case in Case::both() {
        let doubled = case.repeated_twice();
        let all = doubled.moved(&config());
        near(&doubled.moved(&StepConfig { fisher_fraction: 0.5, ..config() }), &all, 1e-6);
        near(&case.moved(&config()), &all, 1e-6);
        // Of the single ones a half is another matrix, and less than one state is one.
        let half = case.moved(&StepConfig { fisher_fraction: 0.5, ..config() });
        assert!(half.iter().zip(&all).any(|(half, all)| (half - all).abs() > 1e-4));
        let one = StepConfig { fisher_fraction: 1e-9, search: Search::FullStep, ..config() };
        assert_eq!(case.step(&one).0.outcome, Outcome::Applied);
    }
}

/// Of two environments in turn, half of the states are of both: those of the first alone would be every second row.
#[test]
fn a_fraction_of_the_states_is_of_every_environment() {
    for case in Case::both() {
        let config =
            StepConfig { fisher_fraction: 0.5, cg: CgParams { atol: 1e-12, ..config().cg }, ..config() };
        let batch =
            PolicyBatch { observations: States::new(&case.obs, 2).unwrap().of_envs(2), ..case.batch() };
        let mut theta = case.theta.clone();
        policy_step(Reducer, &case.policy, &mut theta, &batch, &config, &mut Shards::new()).unwrap();
        let moved: Vec<f64> = theta.iter().zip(&case.theta).map(|(new, old)| new - old).collect();
        // (F + λI) s is along the gradient, with F that of these rows.
        let chosen = (0..ROWS / 2).flat_map(|i| case.obs[2 * (2 * i + i % 2)..][..2].to_vec());
        let product = Case { obs: chosen.collect(), ..case.clone() }.fisher_product(&moved, config.damping);
        let gradient = case.moved(&along_the_gradient());
        let cosine = dot(&product, &gradient) / (norm(&product) * norm(&gradient));
        assert!(cosine > 1.0 - 1e-9, "{cosine}");
    }
}

/// No gradient is too small to be followed: its direction is the same, and the length of the step as well.
#[test]
fn the_scale_of_the_advantages_is_none_of_the_steps() {
    for mut case in Case::both() {
        let config =
            StepConfig { cg: CgParams { atol: f64::INFINITY, rtol: 1e-9, ..config().cg }, ..config() };
        let large = case.moved(&config);
        case.advantages.iter_mut().for_each(|a| *a *= 1e-12);
        assert!(case.step(&config).0.grad_norm < 1e-12);
        near(&case.moved(&config), &large, 1e-6);
    }
}

/// A perceptron whose products are, after some good ones, what they should not be.
struct Poisoned {
    mlp: Mlp,
    /// The products that are still good.
    left: AtomicUsize,
    /// What the others consist of.
    poison: f64,
}

impl Network<f64> for Poisoned {
    fn shape(&self) -> &Shape {
        Network::<f64>::shape(&self.mlp)
    }
    fn prepare(&self, theta: &[f64], ws: &mut Workspace<f64>) -> Result<(), NnError> {
        self.mlp.prepare(theta, ws)
    }
    fn forward(
        &self,
        theta: &[f64],
        x: &States<'_, f64>,
        carry: &mut Carry<f64>,
        y: &mut [f64],
        ws: &mut Workspace<f64>,
    ) -> Result<(), NnError> {
        self.mlp.forward(theta, x, carry, y, ws)
    }
    fn record(&self, theta: &[f64], x: &States<'_, f64>, ws: &mut Workspace<f64>) -> Result<(), NnError> {
        self.mlp.record(theta, x, ws)
    }
    fn vjp(
        &self,
        theta: &[f64],
        x: &States<'_, f64>,
        ws: &mut Workspace<f64>,
        dy: &[f64],
        grad: &mut [f64],
        dx: Option<&mut [f64]>,
    ) -> Result<(), NnError> {
        self.mlp.vjp(theta, x, ws, dy, grad, dx)
    }
    fn jvp(
        &self,
        theta: &[f64],
        x: &States<'_, f64>,
        ws: &mut Workspace<f64>,
        v: &[f64],
        dx: Option<&[f64]>,
        dy: &mut [f64],
    ) -> Result<(), NnError> {
        self.mlp.jvp(theta, x, ws, v, dx, dy)?;
        if self.left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_err() {
            dy.fill(self.poison);
        }
        Ok(())
    }
}

/// The first products were good, and there is a direction: it is not followed all the same.
#[test]
fn a_product_that_is_not_finite_refuses_the_step() {
    for case in Case::both() {
        for good in [0, 1, 3] {
            let mlp = Mlp::new(&[2, 6, 3], Activation::Tanh).unwrap();
            let network = Arc::new(Poisoned { mlp, left: good.into(), poison: f64::NAN });
            let policy = PolicyModel::new(network, case.policy.distribution.clone()).unwrap();
            let poisoned = Case { policy, ..case.clone() };
            let (step, theta) = poisoned.step(&config());
            assert_eq!(step.outcome, Outcome::NonFinite("a Fisher-vector product".to_owned()), "{good}");
            assert_eq!((step.cg.unwrap().iters, theta), (good, case.theta.clone()));
        }
    }
}

/// A direction along which no output moves has no curvature, and so no length.
#[test]
fn a_direction_without_curvature_is_refused() {
    let case = Case::new(false);
    let mlp = Mlp::new(&[2, 6, 3], Activation::Tanh).unwrap();
    let network = Arc::new(Poisoned { mlp, left: 0.into(), poison: 0.0 });
    let policy = PolicyModel::new(network, case.policy.distribution.clone()).unwrap();
    let flat = Case { policy, ..case };
    let (step, theta) = flat.step(&StepConfig { damping: 0.0, ..config() });
    let reason = "the curvature along the step is not positive".to_owned();
    assert_eq!((step.outcome, theta), (Outcome::Rejected(reason), flat.theta));
}

impl Case {
    fn repeated_twice(&self) -> Case {
        let twice = |x: &[f64], width: usize| -> Vec<f64> {
            x.chunks(width).flat_map(|row| [row, row].concat()).collect()
        };
        let actions = match self.actions.as_ref() {
            ActionsRef::Discrete(a) => Actions::Discrete(a.iter().flat_map(|&a| [a, a]).collect()),
            ActionsRef::Continuous(a) => Actions::Continuous(twice(a, 3)),
        };
        Case {
            policy: self.policy.clone(),
            theta: self.theta.clone(),
            obs: twice(&self.obs, 2),
            actions,
            advantages: twice(&self.advantages, 1),
            old_log_probs: twice(&self.old_log_probs, 1),
        }
    }
}

#[test]
fn a_small_gradient_is_solved_as_exactly_as_a_large_one() {
    for mut case in Case::both() {
        let config = StepConfig { cg: TrpoConfig::default().step(1.0).cg, ..config() };
        let large = case.moved(&config);
        case.advantages.iter_mut().for_each(|a| *a *= 1e-6);
        let cg = case.step(&config).0.cg.unwrap();
        assert!(cg.iters > 2 && cg.residual_norm < 0.01 * cg.rhs_norm, "{cg:?}");
        // Its residual is 1 % of the gradient's.
        near(&case.moved(&config), &large, 0.3);
        // By the absolute tolerance alone one iteration is enough.
        let absolute = StepConfig { cg: CgParams { rtol: f64::INFINITY, ..config.cg }, ..config };
        let cg = case.step(&absolute).0.cg.unwrap();
        assert_eq!((cg.iters, cg.stop), (1, CgStop::Converged));
    }
}

#[test]
fn what_cannot_be_stepped_along_leaves_the_policy_as_it_was() {
    let refused = |case: &Case, config: &StepConfig| {
        let (step, theta) = case.step(config);
        assert_eq!(theta, case.theta);
        assert_eq!((step.step_size, step.improvement, step.kl, step.kl_max), (0.0, 0.0, 0.0, 0.0));
        assert!((step.entropy - case.entropy(&case.theta)).abs() < 1e-12);
        step.outcome
    };
    let rejected = |reason: &str| Outcome::Rejected(reason.to_owned());
    for continuous in [false, true] {
        let case = Case::new(continuous);
        // A region without size holds the old policy: nothing is refused, and nothing moves.
        for search in [config().search, Search::FullStep] {
            let none = StepConfig { max_kl: 0.0, search, ..config() };
            assert_eq!(refused(&case, &none), Outcome::Applied);
        }
        let search = Search::Backtracking { coeff: 0.5, iters: 0, accept_ratio: 0.0 };
        let without_trials = StepConfig { search, ..config() };
        assert_eq!(refused(&case, &without_trials), rejected("no step of the line search was accepted"));

        let mut flat = Case::new(continuous);
        flat.advantages.fill(0.0);
        assert_eq!(refused(&flat, &config()), rejected("the policy gradient is zero"));
        let mut broken = Case::new(continuous);
        broken.advantages[3] = f64::NAN;
        assert_eq!(refused(&broken, &config()), Outcome::NonFinite("the policy gradient".to_owned()));
        // The objective is a number, and the gradient's length is too large for one.
        let mut huge = Case::new(continuous);
        huge.advantages.iter_mut().for_each(|a| *a *= 1e200);
        assert!(huge.objective(&huge.theta, 0.0).is_finite());
        assert_eq!(refused(&huge, &config()), Outcome::NonFinite("the policy gradient".to_owned()));
    }
    // So far that the new distribution is no distribution.
    let wide = StepConfig { max_kl: 1e9, search: Search::FullStep, ..config() };
    assert!(matches!(refused(&Case::new(true), &wide), Outcome::NonFinite(_)));
}

#[test]
fn what_does_not_fit_is_an_error() {
    let case = Case::new(true);
    let mut theta = case.theta.clone();
    let batch = PolicyBatch { advantages: &case.advantages[1..], ..case.batch() };
    let mut step = |batch: &PolicyBatch<'_, f64>, config: &StepConfig| {
        policy_step(Reducer, &case.policy, &mut theta, batch, config, &mut Shards::new())
    };
    assert!(step(&batch, &config()).unwrap_err().to_string().contains("the advantages"));
    let batch = PolicyBatch { old_log_probs: &case.old_log_probs[1..], ..case.batch() };
    assert!(step(&batch, &config()).unwrap_err().to_string().contains("the old log-probabilities"));
    let search = Search::Backtracking { coeff: 1.5, iters: 3, accept_ratio: 0.0 };
    let error = step(&case.batch(), &StepConfig { search, ..config() }).unwrap_err();
    assert!(error.to_string().contains("backtrack_coeff"), "{error}");
}
