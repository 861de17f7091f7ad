//! Every variant of the loss of PPO and A2C: against PyTorch (`tests/golden/make_math.py`, `ppo_variants.json`), and its gradient against
//! finite differences of itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use rl_algo::{PolicyBatch, Reducer};
use rl_nn::distribution::{Categorical, DiagGaussian};
use rl_nn::{Actions, Activation, DistParams, Distribution, Mlp, Network, PolicyModel, Real, States};
use rl_optim::{Adam, AdamParams, Element};
use rl_ppo::{
    Clip, KlEstimator, Learner, Ledger, LossConfig, Minibatch, MinibatchLoss, Objective, Pair, Scratch,
    ValueClip, minibatch_loss,
};
use rl_test_support::{assert_near, assert_near_terms, golden};
use rl_tests::{narrow, narrow_rows};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Case {
    kind: String,
    sizes: Vec<usize>,
    theta_policy: Vec<f64>,
    theta_value: Vec<f64>,
    obs: Vec<Vec<f64>>,
    actions: Value,
    advantages: Vec<f64>,
    returns: Vec<f64>,
    old_values: Vec<f64>,
    old_log_prob: Vec<f64>,
    old_y: Vec<Vec<f64>>,
    old_globals: Vec<f64>,
    entropy: f64,
    vf_coef: f64,
    k1: f64,
    k1_terms: f64,
    k3: f64,
    exact_kl: f64,
    variants: BTreeMap<String, Variant>,
}

#[derive(Deserialize)]
struct Variant {
    settings: Settings,
    policy_loss: f64,
    policy_loss_terms: f64,
    value_loss: f64,
    clip_fraction: f64,
    loss: f64,
    gradient: Vec<f64>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    clip: Option<[f64; 2]>,
    dual: Option<f64>,
    kl_coef: f64,
    ent_coef: f64,
    vf_clip: Option<(String, f64)>,
    normalise: bool,
    log_prob: bool,
}

impl Settings {
    fn loss(&self, vf_coef: f64, kl_estimator: KlEstimator) -> LossConfig {
        LossConfig {
            objective: match self.clip {
                _ if self.log_prob => Objective::LogProb,
                Some([low, high]) => Objective::Clipped(Clip { low, high, dual: self.dual }),
                None => Objective::Ratio,
            },
            kl_coef: self.kl_coef,
            ent_coef: self.ent_coef,
            vf_coef,
            value_clip: self.vf_clip.as_ref().map(|(how, range)| match &**how {
                "max" => ValueClip::Max(*range),
                _ => ValueClip::Clipped(*range),
            }),
            normalize_advantage: self.normalise,
            kl_estimator,
            exact_kl: false,
        }
    }
}

/// A case in one precision.
struct Problem<F: Real> {
    policy: PolicyModel<F>,
    critic: Mlp,
    observations: Vec<F>,
    width: usize,
    actions: Actions<F>,
    arrays: [Vec<F>; 6],
    rows: Vec<usize>,
}

impl<F: Real + Element> Problem<F> {
    fn new(case: &Case) -> Self {
        let n = case.sizes[case.sizes.len() - 1];
        let (distribution, actions): (Arc<dyn Distribution<F>>, Actions<F>) = match case.kind.as_str() {
            "gaussian" => {
                let rows: Vec<Vec<f64>> = serde_json::from_value(case.actions.clone()).unwrap();
                (Arc::new(DiagGaussian { dim: n }), Actions::Continuous(narrow_rows(&rows)))
            }
            _ => (
                Arc::new(Categorical { n }),
                Actions::Discrete(serde_json::from_value(case.actions.clone()).unwrap()),
            ),
        };
        let network = Arc::new(Mlp::new(&case.sizes, Activation::Tanh).unwrap());
        let critic_sizes: Vec<usize> =
            case.sizes[..case.sizes.len() - 1].iter().copied().chain([1]).collect();
        Problem {
            policy: PolicyModel::new(network, distribution).unwrap(),
            critic: Mlp::new(&critic_sizes, Activation::Tanh).unwrap(),
            observations: narrow_rows(&case.obs),
            width: case.sizes[0],
            actions,
            arrays: [
                narrow(&case.advantages),
                narrow(&case.old_log_prob),
                narrow(&case.returns),
                narrow(&case.old_values),
                narrow_rows(&case.old_y),
                narrow(&case.old_globals),
            ],
            rows: (0..case.advantages.len()).collect(),
        }
    }

    /// The loss at θ, and its gradient.
    fn loss(&self, theta: &[F], config: &LossConfig) -> (MinibatchLoss, Vec<F>) {
        let [advantages, old_log_probs, returns, old_values, old_y, old_globals] = &self.arrays;
        let minibatch = Minibatch {
            policy: PolicyBatch {
                observations: States::new(&self.observations, self.width).unwrap(),
                actions: self.actions.as_ref(),
                advantages,
                old_log_probs,
            },
            old: DistParams { y: old_y, globals: old_globals },
            returns,
            old_values,
            rows: &self.rows,
        };
        let (mut policy_theta, mut value_theta) = (theta.to_vec(), theta.to_vec());
        policy_theta.truncate(self.policy.n_params());
        value_theta.drain(..self.policy.n_params());
        let mut adams = [policy_theta.len(), value_theta.len()].map(|n| Adam::new(n, AdamParams::default()));
        let mut scratch: [Scratch<F>; 2] = Default::default();
        let ([a, b], [c, d]) = (&mut adams, &mut scratch);
        let mut learners = [Learner::new(&mut policy_theta, a, c), Learner::new(&mut value_theta, b, d)];
        let models: (_, &dyn Network<F>) = (&self.policy, &self.critic);
        let loss = Pair::with(&mut Ledger::default(), |mut pair| {
            minibatch_loss(&mut pair, Reducer, models, &mut learners, &minibatch, config)
        });
        (loss.unwrap(), [learners[0].grad(), learners[1].grad()].concat())
    }
}

fn check<F: Real + Element + Into<f64>>(tolerance: f64) {
    for case in golden::<Vec<Case>>("ppo_variants.json") {
        let problem = Problem::<F>::new(&case);
        let theta: Vec<F> = narrow(&[&case.theta_policy[..], &case.theta_value].concat());
        assert_eq!(case.variants.len(), 11);
        for (name, variant) in &case.variants {
            let title = |what: &str| format!("{}, {name}: {what}", case.kind);
            let config = variant.settings.loss(case.vf_coef, KlEstimator::K3);
            let (loss, grad) = problem.loss(&theta, &config);
            let MinibatchLoss { policy: p, critic: c, grad_norm } = loss;
            let terms = variant.policy_loss_terms;
            let all = terms
                + config.kl_coef * case.exact_kl
                + config.ent_coef * case.entropy.abs()
                + case.vf_coef * variant.value_loss;
            for (what, got, expected, terms) in [
                ("policy loss", p.policy_loss, variant.policy_loss, terms),
                ("loss", loss.total(&config), variant.loss, all),
            ] {
                assert_near_terms(&title(what), &[got], &[expected], &[terms], tolerance);
            }
            for (what, got, expected) in [
                ("value loss", c.value_loss, variant.value_loss),
                ("entropy", p.entropy, case.entropy),
                ("clip fraction", p.clip_fraction, variant.clip_fraction),
                ("k3", p.approx_kl, case.k3),
                ("exact divergence", p.kl, if config.compares() { case.exact_kl } else { 0.0 }),
            ] {
                assert_near(&title(what), &[got], &[expected], tolerance);
            }
            assert_near(&title("gradient"), &grad, &variant.gradient, tolerance);
            let norm = variant.gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            assert_near(&title("gradient norm"), &[grad_norm], &[norm], tolerance);

            // The other estimators change what is measured, and nothing else.
            for (estimator, expected, terms) in [
                (KlEstimator::K1, case.k1, case.k1_terms),
                (KlEstimator::Exact, case.exact_kl, case.exact_kl),
            ] {
                let config = LossConfig { kl_estimator: estimator, ..config };
                let (other, other_grad) = problem.loss(&theta, &config);
                let got = other.policy.approx_kl;
                assert_near_terms(&title("divergence"), &[got], &[expected], &[terms], tolerance);
                assert_eq!((other.policy.policy_loss, other_grad), (p.policy_loss, grad.clone()));
            }
        }
    }
}

#[test]
fn every_variant_in_f64() {
    check::<f64>(1e-13);
}

#[test]
fn every_variant_in_f32() {
    check::<f32>(1e-5);
}

/// The golden cases keep every row away from where a variant's gradient jumps.
#[test]
fn every_gradient_is_the_slope_of_its_loss() {
    for case in golden::<Vec<Case>>("ppo_variants.json") {
        let problem = Problem::<f64>::new(&case);
        let theta = [&case.theta_policy[..], &case.theta_value].concat();
        for (name, variant) in &case.variants {
            let config = variant.settings.loss(case.vf_coef, KlEstimator::K3);
            let (_, grad) = problem.loss(&theta, &config);
            let at = |i: usize, h: f64| {
                let mut theta = theta.clone();
                theta[i] += h;
                problem.loss(&theta, &config).0.total(&config)
            };
            let h = 1e-5;
            let slopes: Vec<f64> = (0..theta.len()).map(|i| (at(i, h) - at(i, -h)) / (2.0 * h)).collect();
            assert_near(&format!("{}, {name}: slopes", case.kind), &slopes, &grad, 1e-8);
        }
    }
}
