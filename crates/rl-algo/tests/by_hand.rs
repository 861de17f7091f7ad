//! What algorithms share, computed by hand beside it: estimates of a batch, the critic's fit, the change of a policy.

#![allow(clippy::unwrap_used, reason = "a failure in a helper is a failed test")]
#![allow(clippy::float_cmp, reason = "the values compared are the same number")]
#![allow(clippy::disallowed_methods, reason = "an independent computation")]

use std::sync::Arc;

use rand::SeedableRng;
use rl_algo::{
    ActorCritic, Batch, CriticFit, CriticReport, CriticTargets, NetConfig, PolicyBatch, Reducer, fit_critic,
    policy_change,
};
use rl_env::{EnvRng, Registry};
use rl_nn::distribution::Categorical;
use rl_nn::{ActionsRef, Activation, DistParams, Mlp, PolicyModel, Shards, States};
use rl_optim::{Adam, AdamParams};
use rl_test_support as _;

fn near(got: f64, expected: f64, tolerance: f64) {
    assert!((got - expected).abs() <= tolerance * expected.abs().max(1.0), "{got}, not {expected}");
}

/// Two environments, four steps: the first is terminated at its second step, the second is cut at its first and its third.
fn batch() -> (ActorCritic, Batch) {
    let spec = Registry::builtin().get("CartPole-v1").unwrap().clone();
    let mut rng = EnvRng::seed_from_u64(0);
    let net = NetConfig { net_arch: [8].into(), ..NetConfig::default() };
    let agent = ActorCritic::for_spaces(&spec.observation_space, &spec.action_space, &net, &mut rng).unwrap();
    let mut batch = Batch::new(&agent);
    let obs = |n: usize, by: f32| (0..4 * n).map(|i| by * (i as f32 * 0.7).sin()).collect::<Vec<_>>();
    let rollout = &mut batch.rollout;
    (rollout.n_steps, rollout.n_envs) = (4, 2);
    rollout.observations = obs(8, 1.0);
    rollout.last_observations = obs(2, -2.0);
    rollout.final_observations = obs(2, 3.0);
    rollout.truncated_rows = vec![1, 5];
    rollout.rewards = vec![1.0, 2.0, -1.0, 0.5, 0.25, 3.0, 4.0, -2.0];
    rollout.terminated = (0..8).map(|row| row == 2).collect();
    rollout.truncated = (0..8).map(|row| row == 1 || row == 5).collect();
    (rollout.episode_starts, rollout.log_probs) = (vec![false; 8], vec![0.0; 8]);
    rollout.policy_outputs = vec![0.0; 16];
    rollout.actions = rl_nn::Actions::Discrete(vec![0; 8]);
    (agent, batch)
}

fn values(agent: &ActorCritic, obs: &[f32]) -> Vec<f32> {
    let mut values = Vec::new();
    agent.values(&States::new(obs, 4).unwrap(), &mut values, &mut Shards::new()).unwrap();
    values
}

/// What follows a step is worth nothing after an end, the value of its own last observation after a cut, and the next row's value else.
#[test]
fn advantages_bootstrap_from_what_follows() {
    let (agent, mut batch) = batch();
    let (gamma, lambda) = (0.9, 0.6);
    batch.estimate_advantages(&agent, gamma, lambda, &mut Shards::new()).unwrap();
    let v = values(&agent, &batch.rollout.observations);
    let last = values(&agent, &batch.rollout.last_observations);
    let cut = values(&agent, &batch.rollout.final_observations);
    assert_eq!((&batch.values, &batch.last_values), (&v, &last));
    assert_eq!(batch.final_values, [0.0, cut[0], 0.0, 0.0, 0.0, cut[1], 0.0, 0.0]);
    let next = [v[2], cut[0], 0.0, v[5], v[6], cut[1], last[0], last[1]];
    let delta =
        |row: usize| f64::from(batch.rollout.rewards[row]) + gamma * f64::from(next[row]) - f64::from(v[row]);
    for (row, value) in v.iter().enumerate() {
        let goes_on = [0, 3, 4].contains(&row);
        let expected = if goes_on { delta(row) + gamma * lambda * delta(row + 2) } else { delta(row) };
        near(f64::from(batch.advantages[row]), expected, 1e-6);
        near(f64::from(batch.returns[row]), expected + f64::from(*value), 1e-6);
    }
    assert!(cut.iter().all(|value| value.abs() > 1e-3), "the case must be able to fail");
    // A network sees of whom the rows are.
    assert_eq!(batch.policy_batch(&agent, &batch.advantages).unwrap().observations.n_envs(), 2);

    // Rows that are no transitions go, with everything of theirs; the others keep what they had.
    let (_, mut partial) = self::batch();
    partial.rollout.valid = (0..8).map(|row| row != 3).collect();
    partial.estimate_advantages(&agent, gamma, lambda, &mut Shards::new()).unwrap();
    let kept = |of: &[f32]| [&of[..3], &of[4..]].concat();
    assert_eq!((partial.len(), &partial.advantages), (7, &kept(&batch.advantages)));
    assert_eq!((&partial.values, &partial.returns), (&kept(&batch.values), &kept(&batch.returns)));
    assert_eq!(partial.policy_batch(&agent, &partial.advantages).unwrap().observations.n_envs(), 1);
}

const OBS: [f32; 8] = [1.0, 0.5, -1.0, 2.0, 0.25, -0.5, 3.0, 1.0];
const RETURNS: [f32; 4] = [1.0, -2.0, 0.5, 4.0];
const OLD: [f32; 4] = [0.1, 0.2, 0.5, 1.0];
const THETA: [f32; 3] = [0.5, -0.25, 0.125];

/// A fit of `V = w·s + b` by Adam with an ε of 1, whose first step is `lr g / (|g| + 1)`: it shows the gradient's scale.
fn fit(fit: &CriticFit, returns: &[f32]) -> (Vec<f32>, CriticReport, Adam<f32>) {
    let critic = Mlp::new(&[2, 1], Activation::Tanh).unwrap();
    let mut adam = Adam::new(3, AdamParams { eps: 1.0, ..AdamParams::default() });
    let (mut theta, mut rng) = (THETA.to_vec(), EnvRng::seed_from_u64(1));
    let states = States::new(&OBS, 2).unwrap();
    let targets = CriticTargets { returns, old_values: &OLD };
    let mut shards = Shards::new();
    let report =
        fit_critic(Reducer, &critic, &mut theta, states, targets, fit, &mut adam, &mut rng, &mut shards);
    (theta, report.unwrap(), adam)
}

/// The loss of all rows, and its gradient: `mean (V − R)²`, or what clipping makes of it.
fn loss(theta: &[f64], clip: Option<f64>) -> (f64, Vec<f64>) {
    let (mut loss, mut grad) = (0.0, vec![0.0; 3]);
    for (row, obs) in OBS.chunks(2).enumerate() {
        let inputs = [f64::from(obs[0]), f64::from(obs[1]), 1.0];
        let v: f64 = theta.iter().zip(inputs).map(|(w, s)| w * s).sum();
        let (target, old) = (f64::from(RETURNS[row]), f64::from(OLD[row]));
        let clipped = clip.map_or(v, |range| old + (v - old).clamp(-range, range));
        let is_cut = (clipped - target).powi(2) > (v - target).powi(2);
        loss += (if is_cut { clipped } else { v } - target).powi(2) / 4.0;
        let slope = if is_cut { 0.0 } else { 2.0 * (v - target) / 4.0 };
        grad.iter_mut().zip(inputs).for_each(|(g, s)| *g += slope * s);
    }
    (loss, grad)
}

#[test]
fn a_critic_is_fitted_along_the_gradient_of_its_squared_error() {
    let theta = THETA.map(f64::from);
    let whole = CriticFit { learning_rate: 0.1, n_epochs: 1, batch_size: None, clip_range: None };
    for clip_range in [None, Some(0.3), Some(100.0)] {
        let (fitted, report, _) = fit(&CriticFit { clip_range, ..whole }, &RETURNS);
        let (loss, grad) = loss(&theta, clip_range);
        near(report.value_loss, loss, 1e-6);
        assert!(report.finite);
        for ((new, old), g) in fitted.iter().zip(theta).zip(&grad) {
            near(f64::from(*new), old - 0.1 * g / (g.abs() + 1.0), 1e-6);
        }
    }
    assert_ne!(loss(&theta, Some(0.3)).1, loss(&theta, None).1, "the case must be able to fail");
    // The second pass begins where the first ended; the loss told is the mean of both.
    let (after, first, _) = fit(&whole, &RETURNS);
    let wide: Vec<f64> = after.iter().map(|x| f64::from(*x)).collect();
    let (twice, both, _) = fit(&CriticFit { n_epochs: 2, ..whole }, &RETURNS);
    near(both.value_loss, (first.value_loss + loss(&wide, None).0) / 2.0, 1e-6);
    assert_ne!(twice, after);
    // Minibatches of all rows are the same rows in another order; of fewer, more steps.
    let (shuffled, ..) = fit(&CriticFit { batch_size: Some(4), ..whole }, &RETURNS);
    shuffled.iter().zip(&after).for_each(|(a, b)| near(f64::from(*a), f64::from(*b), 1e-6));
    let steps = |batch_size| fit(&CriticFit { batch_size, ..whole }, &RETURNS).2.t;
    assert_eq!([None, Some(4), Some(3), Some(1)].map(steps), [1, 1, 2, 4]);
    let (none, report, _) = fit(&CriticFit { n_epochs: 0, ..whole }, &RETURNS);
    assert_eq!((none, report.value_loss), (THETA.to_vec(), 0.0));
}

#[test]
fn a_fit_that_is_not_finite_leaves_everything_as_it_was() {
    let config = CriticFit { learning_rate: 0.1, n_epochs: 2, batch_size: None, clip_range: Some(0.3) };
    for bad in [f32::NAN, f32::INFINITY, 1e30] {
        let (theta, report, adam) = fit(&config, &[1.0, bad, 0.5, 4.0]);
        assert!(!report.finite, "{bad}");
        assert_eq!((theta, adam.t), (THETA.to_vec(), 0));
    }
}

/// `log π` of both actions of a policy whose logits in a state s are `(w₀ s + b₀, w₁ s + b₁)`.
fn log_probs(theta: &[f32], state: f32) -> [f64; 2] {
    let y = [theta[0] * state + theta[2], theta[1] * state + theta[3]].map(f64::from);
    let sum = (y[0].exp() + y[1].exp()).ln();
    y.map(|y| y - sum)
}

/// Divergence, entropy and gain by their definitions, for ratios near 1 and far from it.
#[test]
fn the_change_of_a_policy_is_that_of_its_distributions() {
    let network = Arc::new(Mlp::new(&[1, 2], Activation::Tanh).unwrap());
    let policy = PolicyModel::new(network, Arc::new(Categorical { n: 2 })).unwrap();
    let states = [-1.0_f32, 0.5, 2.0];
    let (actions, advantages) = ([0, 1, 1], [1.5_f32, -1.0, 2.0]);
    let old = [0.5_f32, -0.5, 0.0, 0.25];
    let p = states.map(|s| log_probs(&old, s));
    let y_old: Vec<f32> = p.iter().flatten().map(|p| *p as f32).collect();
    let old_log_probs: Vec<f32> = p.iter().zip(actions).map(|(p, a)| p[a] as f32).collect();
    let batch = PolicyBatch {
        observations: States::new(&states, 1).unwrap(),
        actions: ActionsRef::Discrete(&actions),
        advantages: &advantages,
        old_log_probs: &old_log_probs,
    };
    let change = |new: &[f32]| {
        let before = DistParams { y: &y_old, globals: &[] };
        policy_change(Reducer, &policy, new, &batch, before, &mut Shards::new()).unwrap()
    };
    for new in
        [[0.5_f32, -0.5, 0.0, 0.25], [0.6, -0.5, 0.0, 0.2], [-1.5, 2.0, 0.0, 0.25], [4.0, -4.0, 1.0, 0.0]]
    {
        let (change, q) = (change(&new), states.map(|s| log_probs(&new, s)));
        let kl = [0, 1, 2].map(|i| (0..2).map(|a| p[i][a].exp() * (p[i][a] - q[i][a])).sum::<f64>());
        let entropy = -q.iter().flatten().map(|q| q.exp() * q).sum::<f64>() / 3.0;
        let gain = |i: usize| ((q[i][actions[i]] - p[i][actions[i]]).exp() - 1.0) * f64::from(advantages[i]);
        near(change.kl_mean, kl.iter().sum::<f64>() / 3.0, 1e-6);
        near(change.kl_max, kl.iter().copied().fold(0.0, f64::max), 1e-6);
        near(change.entropy, entropy, 1e-6);
        near(change.surrogate_gain, (0..3).map(gain).sum::<f64>() / 3.0, 2e-6);
        assert_eq!(change.non_finite(), None);
    }
    assert_eq!(change(&[f32::NAN; 4]).non_finite(), Some("mean KL divergence"));
}
