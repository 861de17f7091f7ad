//! One PPO minibatch against PyTorch (`tests/golden/make_math.py`, `ppo.json`), in f64 and f32.

use std::sync::Arc;

use rl_algo::{PolicyBatch, Reducer};
use rl_nn::distribution::{Categorical, DiagGaussian};
use rl_nn::{Actions, Activation, DistParams, Distribution, Mlp, Network, PolicyModel, Real, States};
use rl_optim::{Adam, AdamParams, Element, clip_scale};
use rl_ppo::{
    Clip, KlEstimator, Learner, Ledger, LossConfig, Minibatch, MinibatchLoss, Objective, Pair, Scratch,
    ValueClip, critic_loss, minibatch_loss,
};
use rl_test_support::{assert_near, assert_near_terms, golden};
use rl_tests::{narrow, narrow_rows};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Case {
    kind: String,
    sizes: Vec<usize>,
    clip: f64,
    ent_coef: f64,
    vf_coef: f64,
    max_grad_norm: f64,
    lr: f64,
    theta_policy: Vec<f64>,
    theta_value: Vec<f64>,
    obs: Vec<Vec<f64>>,
    actions: Value,
    advantages: Vec<f64>,
    returns: Vec<f64>,
    old_values: Vec<f64>,
    old_log_prob: Vec<f64>,
    policy_loss: f64,
    policy_loss_terms: f64,
    value_loss: f64,
    value_loss_clipped: f64,
    entropy: f64,
    loss: f64,
    clip_fraction: f64,
    approx_kl_k3: f64,
    gradient: Vec<f64>,
    grad_norm: f64,
    theta_after_adam: Vec<f64>,
}

fn check<F: Real + Element + Into<f64>>(tolerance: f64) {
    for case in golden::<Vec<Case>>("ppo.json") {
        let n = case.sizes[case.sizes.len() - 1];
        let (distribution, actions): (Arc<dyn Distribution<F>>, Actions<F>) = match case.kind.as_str() {
            "gaussian" => {
                let rows: Vec<Vec<f64>> = serde_json::from_value(case.actions).unwrap();
                (Arc::new(DiagGaussian { dim: n }), Actions::Continuous(narrow_rows(&rows)))
            }
            _ => (
                Arc::new(Categorical { n }),
                Actions::Discrete(serde_json::from_value(case.actions).unwrap()),
            ),
        };
        let policy =
            PolicyModel::new(Arc::new(Mlp::new(&case.sizes, Activation::Tanh).unwrap()), distribution)
                .unwrap();
        let critic_sizes: Vec<usize> =
            case.sizes[..case.sizes.len() - 1].iter().copied().chain([1]).collect();
        let critic = Mlp::new(&critic_sizes, Activation::Tanh).unwrap();
        let observations = narrow_rows::<F>(&case.obs);
        let (old_log_probs, advantages) = (narrow(&case.old_log_prob), narrow(&case.advantages));
        let (returns, old_values) = (narrow(&case.returns), narrow(&case.old_values));
        let rows: Vec<usize> = (0..advantages.len()).collect();
        let minibatch = Minibatch {
            policy: PolicyBatch {
                observations: States::new(&observations, case.sizes[0]).unwrap(),
                actions: actions.as_ref(),
                advantages: &advantages,
                old_log_probs: &old_log_probs,
            },
            old: DistParams { y: &[], globals: &[] },
            returns: &returns,
            old_values: &old_values,
            rows: &rows,
        };
        let mut config = LossConfig {
            objective: Objective::Clipped(Clip::symmetric(case.clip)),
            kl_coef: 0.0,
            value_clip: None,
            kl_estimator: KlEstimator::K3,
            exact_kl: false,
            ent_coef: case.ent_coef,
            vf_coef: case.vf_coef,
            normalize_advantage: true,
        };
        let (mut policy_theta, mut value_theta) = (narrow(&case.theta_policy), narrow(&case.theta_value));
        let params = AdamParams { eps: 1e-5, ..AdamParams::default() };
        let mut adams = [Adam::new(policy_theta.len(), params), Adam::new(value_theta.len(), params)];
        let mut scratch: [Scratch<F>; 2] = Default::default();
        let ([policy_adam, value_adam], [policy_scratch, value_scratch]) = (&mut adams, &mut scratch);
        let mut learners = [
            Learner::new(&mut policy_theta, policy_adam, policy_scratch),
            Learner::new(&mut value_theta, value_adam, value_scratch),
        ];
        let models: (_, &dyn Network<F>) = (&policy, &critic);
        let minibatch_loss = |learners: &mut [Learner<'_, F>; 2]| {
            Pair::with(&mut Ledger::default(), |mut pair| {
                minibatch_loss(&mut pair, Reducer, models, learners, &minibatch, &config)
            })
        };
        let loss = minibatch_loss(&mut learners);
        let MinibatchLoss { policy: p, critic: c, grad_norm } = loss.unwrap();

        let loss = p.policy_loss - case.ent_coef * p.entropy + case.vf_coef * c.value_loss;
        // The policy's loss is a mean of terms of both signs, so what it is near to is judged by their size; so is the whole.
        let terms = case.policy_loss_terms;
        let all_terms = terms + case.ent_coef * case.entropy.abs() + case.vf_coef * case.value_loss;
        for (what, got, expected, terms) in
            [("policy loss", p.policy_loss, case.policy_loss, terms), ("loss", loss, case.loss, all_terms)]
        {
            assert_near_terms(&format!("{}: {what}", case.kind), &[got], &[expected], &[terms], tolerance);
        }
        for (what, got, expected) in [
            ("entropy", p.entropy, case.entropy),
            ("clip fraction", p.clip_fraction, case.clip_fraction),
            ("k3", p.approx_kl, case.approx_kl_k3),
            ("value loss", c.value_loss, case.value_loss),
            ("gradient norm", grad_norm, case.grad_norm),
        ] {
            assert_near(&format!("{}: {what}", case.kind), &[got], &[expected], tolerance);
        }
        let grad = [learners[0].grad(), learners[1].grad()].concat();
        let (golden_policy, golden_value) = case.gradient.split_at(case.theta_policy.len());
        assert_near("the gradient", &grad, &case.gradient, tolerance);
        assert_near("the policy's gradient", learners[0].grad(), golden_policy, tolerance);
        assert_near("the critic's gradient", learners[1].grad(), golden_value, tolerance);

        let scale = clip_scale(grad_norm, case.max_grad_norm);
        assert!(scale < 1.0, "the case clips its gradient");
        learners.iter_mut().for_each(|learner| learner.step(scale, case.lr));
        // The step that is due comes before the next loss.
        let next = minibatch_loss(&mut learners).unwrap();
        assert!((next.grad_norm - grad_norm).abs() > 1e-6);
        let theta = [learners[0].theta(), learners[1].theta()].concat();
        assert_near("the parameters after Adam", &theta, &case.theta_after_adam, tolerance);

        config.value_clip = Some(ValueClip::Max(case.clip));
        let value_theta = narrow::<F>(&case.theta_value);
        let (mut grad, mut scratch) = (vec![F::zero(); value_theta.len()], Scratch::default());
        let clipped =
            critic_loss(Reducer, &critic, &value_theta, &minibatch, &config, &mut grad, &mut scratch)
                .unwrap();
        assert_near("the clipped value loss", &[clipped.value_loss], &[case.value_loss_clipped], tolerance);
    }
}

#[test]
fn a_minibatch_in_f64() {
    check::<f64>(1e-13);
}

#[test]
fn a_minibatch_in_f32() {
    check::<f32>(1e-5);
}
