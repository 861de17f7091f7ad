//! Normalisation over a vector of environments against a plain recomputation from everything seen so far.

#![allow(clippy::float_cmp, clippy::unwrap_used, reason = "a test")]

use rl_env::{
    ActionsRef, NormalizeObservation, NormalizeReward, ObservationNormalizer, Registry, RewardNormalizer,
    VecEnv,
};
use rl_test_support as _;

/// Mean and population variance, as if a sample of weight 1e-4 with mean 0 and variance 1 came first.
fn moments(xs: &[f64]) -> (f64, f64) {
    let n = xs.len() as f64 + 1e-4;
    let mean = xs.iter().sum::<f64>() / n;
    let second = (xs.iter().map(|x| x * x).sum::<f64>() + 1e-4) / n;
    (mean, second - mean * mean)
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (1.0 + b.abs())
}

#[test]
fn observations_and_rewards_follow_the_definition() {
    const N: usize = 3;
    let registry = Registry::builtin();
    let make = || registry.get("MountainCarContinuous-v0").unwrap().make_vec(N).unwrap();
    let mut plain = make();
    let mut normalized = NormalizeReward::new(NormalizeObservation::new(make()), 0.9);
    plain.reset(1, "env").unwrap();
    normalized.reset(1, "env").unwrap();
    let mut seen: Vec<Vec<f64>> = vec![vec![]; 2];
    let mut returns_seen = vec![];
    let mut returns = [0.0; N];
    let mut ends = 0;
    for step in 0..2100 {
        for (j, seen) in seen.iter_mut().enumerate() {
            seen.extend(plain.observations().iter().skip(j).step_by(2).map(|&x| f64::from(x)));
        }
        let (mean, var): (Vec<f64>, Vec<f64>) = seen.iter().map(|xs| moments(xs)).unzip();
        let normalize =
            |x: f32, j: usize| ((f64::from(x) - mean[j]) / (var[j] + 1e-8).sqrt()).clamp(-10.0, 10.0);
        for (k, (&raw, &ours)) in plain.observations().iter().zip(normalized.observations()).enumerate() {
            assert!((f64::from(ours) - normalize(raw, k % 2)).abs() < 1e-4, "step {step}");
        }
        for i in (0..N).filter(|&i| plain.ends()[i].is_over()) {
            ends += 1;
            for j in 0..2 {
                let ours = f64::from(normalized.final_observations()[2 * i + j]);
                assert!((ours - normalize(plain.final_observations()[2 * i + j], j)).abs() < 1e-4);
            }
        }
        let actions: Vec<f32> =
            (0..N).map(|i| rl_kernels::elementary::sin((step * (i + 1)) as f64 * 0.37) as f32).collect();
        plain.step(ActionsRef::Continuous(&actions)).unwrap();
        normalized.step(ActionsRef::Continuous(&actions)).unwrap();
        for (i, g) in returns.iter_mut().enumerate() {
            *g = *g * 0.9 + plain.rewards()[i];
        }
        returns_seen.extend(returns);
        let (_, var) = moments(&returns_seen);
        assert_eq!(normalized.raw_rewards(), plain.rewards());
        for (i, discounted) in returns.iter_mut().enumerate() {
            let expected = (plain.rewards()[i] / (var + 1e-8).sqrt()).clamp(-10.0, 10.0);
            assert!(close(normalized.rewards()[i], expected), "{} {expected}", normalized.rewards()[i]);
            if plain.ends()[i].is_over() {
                *discounted = 0.0;
            }
        }
    }
    assert!(ends >= N, "no episode ended");
    assert_eq!(normalized.ends(), plain.ends());
}

#[test]
fn frozen_statistics_do_not_move() {
    let registry = Registry::builtin();
    let make = || registry.get("CartPole-v1").unwrap().make_vec(2).unwrap();
    let mut training = NormalizeReward::new(NormalizeObservation::new(make()), 0.99);
    training.reset(0, "env").unwrap();
    for _ in 0..50 {
        training.step(ActionsRef::Discrete(&[0, 1])).unwrap();
    }
    let statistics = training.observation_normalizer().unwrap().clone();
    let mut evaluation = NormalizeObservation::frozen(make(), statistics.clone()).unwrap();
    evaluation.reset(1, "eval").unwrap();
    evaluation.step(ActionsRef::Discrete(&[0, 1])).unwrap();
    assert_eq!(evaluation.observation_normalizer(), Some(&statistics));
    let mut obs = evaluation.inner().observations().to_vec();
    statistics.normalize(&mut obs);
    assert_eq!(obs, evaluation.observations());

    let rewards = training.normalizer().clone();
    training.set_training(false);
    training.step(ActionsRef::Discrete(&[0, 1])).unwrap();
    assert_eq!(training.normalizer(), &rewards);
    assert_eq!(training.observation_normalizer(), Some(&statistics));
    assert!(NormalizeObservation::frozen(make(), ObservationNormalizer::new(3)).is_err());
}

#[test]
fn statistics_survive_json() {
    let mut observations = ObservationNormalizer::new(2);
    observations.update(&[0.1, -3.7, 2.9, 1e-7]).unwrap();
    assert!(observations.clone().update(&[1.0; 3]).is_err());
    let mut rewards = RewardNormalizer::new(2, 0.97);
    rewards.update(&[0.3, -1.0 / 3.0]);
    let text = serde_json::to_string(&(&observations, &rewards)).unwrap();
    let back: (ObservationNormalizer, RewardNormalizer) = serde_json::from_str(&text).unwrap();
    assert_eq!(back, (observations, rewards));
}

#[test]
fn normalised_elements_are_clipped() {
    let mut normalizer = ObservationNormalizer::new(1);
    normalizer.update(&[0.0, 0.0, 0.0]).unwrap();
    let mut obs = [1.0, -1.0, 0.0];
    normalizer.normalize(&mut obs);
    assert_eq!(obs, [10.0, -10.0, 0.0]);
}
