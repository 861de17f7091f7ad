//! What must hold for any rollout.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers included")]

use proptest::prelude::*;
use rl_gae::{
    GaeError, Trajectories, discounted_returns, explained_variance, gae, lambda_returns, normalize, td_errors,
};
use rl_test_support as _;

/// A rollout that owns its arrays.
#[derive(Debug, Clone)]
struct Rollout {
    n_envs: usize,
    rewards: Vec<f64>,
    values: Vec<f64>,
    last_values: Vec<f64>,
    final_values: Vec<f64>,
    terminated: Vec<bool>,
    truncated: Vec<bool>,
}

impl Rollout {
    fn view(&self) -> Trajectories<'_, f64> {
        Trajectories {
            n_envs: self.n_envs,
            rewards: &self.rewards,
            values: &self.values,
            last_values: &self.last_values,
            final_values: &self.final_values,
            terminated: &self.terminated,
            truncated: &self.truncated,
        }
    }

    fn gae(&self, gamma: f64, lambda: f64) -> Vec<f64> {
        let mut advantages = vec![f64::NAN; self.rewards.len()];
        gae(&self.view(), gamma, lambda, &mut advantages).unwrap();
        advantages
    }

    /// Only environment `n`.
    fn only(&self, n: usize) -> Self {
        fn column<T: Copy>(xs: &[T], n_envs: usize, n: usize) -> Vec<T> {
            xs.iter().skip(n).step_by(n_envs).copied().collect()
        }
        Self {
            n_envs: 1,
            rewards: column(&self.rewards, self.n_envs, n),
            values: column(&self.values, self.n_envs, n),
            last_values: vec![self.last_values[n]],
            final_values: column(&self.final_values, self.n_envs, n),
            terminated: column(&self.terminated, self.n_envs, n),
            truncated: column(&self.truncated, self.n_envs, n),
        }
    }
}

// Up to 40 environments: more than one block of the sweep.
fn rollouts() -> impl Strategy<Value = Rollout> {
    (1..40_usize, 0..12_usize).prop_flat_map(|(n_envs, n_steps)| {
        let n = n_envs * n_steps;
        let floats = |n| prop::collection::vec(-10.0..10.0_f64, n);
        let flags = |n| prop::collection::vec(prop::bool::weighted(0.2), n);
        (floats(n), floats(n), floats(n_envs), floats(n), flags(n), flags(n)).prop_map(
            move |(rewards, values, last_values, final_values, terminated, truncated)| Rollout {
                n_envs,
                rewards,
                values,
                last_values,
                final_values,
                terminated,
                truncated,
            },
        )
    })
}

proptest! {
    // A failing case prints itself; there is no source file beside which to keep it.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lambda_0_is_the_td_error(r in rollouts(), gamma in 0.0..=1.0) {
        let mut errors = vec![f64::NAN; r.rewards.len()];
        td_errors(&r.view(), gamma, &mut errors).unwrap();
        prop_assert_eq!(r.gae(gamma, 0.0), errors);
    }

    #[test]
    fn lambda_1_is_the_return_minus_the_value(r in rollouts(), gamma in 0.0..=1.0) {
        let mut returns = vec![f64::NAN; r.rewards.len()];
        discounted_returns(&r.view(), gamma, &mut returns).unwrap();
        let advantages = r.gae(gamma, 1.0);
        for i in 0..returns.len() {
            prop_assert!((advantages[i] - (returns[i] - r.values[i])).abs() < 1e-10);
        }
    }

    #[test]
    fn lambda_returns_are_advantages_plus_values(r in rollouts(), gamma in 0.0..=1.0, lambda in 0.0..=1.0) {
        let mut returns = vec![f64::NAN; r.rewards.len()];
        lambda_returns(&r.view(), gamma, lambda, &mut returns).unwrap();
        let advantages = r.gae(gamma, lambda);
        for i in 0..returns.len() {
            prop_assert_eq!(returns[i].to_bits(), (advantages[i] + r.values[i]).to_bits());
        }
    }

    #[test]
    fn environments_are_independent(r in rollouts(), gamma in 0.0..=1.0, lambda in 0.0..=1.0) {
        let together = r.gae(gamma, lambda);
        for n in 0..r.n_envs {
            let alone = r.only(n).gae(gamma, lambda);
            let column: Vec<f64> = together.iter().skip(n).step_by(r.n_envs).copied().collect();
            prop_assert_eq!(alone, column);
        }
    }

    /// What comes after the end of an episode does not reach it, not even as NaN.
    #[test]
    fn the_future_stops_at_an_episodes_end(r in rollouts(), gamma in 0.0..=1.0, lambda in 0.0..=1.0) {
        let before = r.gae(gamma, lambda);
        let n_steps = r.view().n_steps();
        for n in 0..r.n_envs {
            let Some(end) = (0..n_steps).rfind(|t| {
                let i = t * r.n_envs + n;
                r.terminated[i] || r.truncated[i]
            }) else { continue };
            let mut poisoned = r.clone();
            poisoned.last_values[n] = f64::NAN;
            for t in end + 1..n_steps {
                poisoned.rewards[t * r.n_envs + n] = f64::INFINITY;
                poisoned.values[t * r.n_envs + n] = f64::NAN;
            }
            let after = poisoned.gae(gamma, lambda);
            for t in 0..=end {
                let i = t * r.n_envs + n;
                prop_assert_eq!(before[i].to_bits(), after[i].to_bits());
            }
        }
    }

    #[test]
    fn final_values_are_read_only_where_truncated(r in rollouts(), gamma in 0.0..=1.0, lambda in 0.0..=1.0) {
        let before = r.gae(gamma, lambda);
        let mut poisoned = r.clone();
        for i in 0..r.rewards.len() {
            if r.terminated[i] || !r.truncated[i] {
                poisoned.final_values[i] = f64::NAN;
            }
        }
        prop_assert_eq!(before, poisoned.gae(gamma, lambda));
    }

    #[test]
    fn normalised_advantages_have_mean_0_and_deviation_1(mut x in prop::collection::vec(-100.0..100.0_f64, 2..200)) {
        x[0] = 200.0;
        normalize(&mut x);
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0);
        prop_assert!(mean.abs() < 1e-12);
        prop_assert!((variance - 1.0).abs() < 1e-6);
    }
}

/// One step, reward 1, value 2, next value 10, final observation worth 100.
fn one_step(terminated: bool, truncated: bool) -> f64 {
    let r = Rollout {
        n_envs: 1,
        rewards: vec![1.0],
        values: vec![2.0],
        last_values: vec![10.0],
        final_values: vec![100.0],
        terminated: vec![terminated],
        truncated: vec![truncated],
    };
    r.gae(0.5, 1.0)[0]
}

#[test]
fn termination_and_truncation_bootstrap_differently() {
    let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
    assert!(close(one_step(false, false), 1.0 + 0.5 * 10.0 - 2.0));
    assert!(close(one_step(true, false), 1.0 - 2.0));
    assert!(close(one_step(false, true), 1.0 + 0.5 * 100.0 - 2.0));
    // Where both hold, the state is terminal.
    assert!(close(one_step(true, true), 1.0 - 2.0));
}

#[test]
fn equal_returns_have_no_explained_variance() {
    // A sum of 0.1s is rounded, so a variance about the mean would be tiny but not 0.
    assert_eq!(explained_variance(&[1.0; 10], &[0.1; 10]), None);
    assert_eq!(explained_variance::<f64>(&[], &[]), None);
    assert_eq!(explained_variance(&[1.0], &[1.0, 2.0]), None);
    assert_eq!(explained_variance(&[1.0_f32, 2.0], &[1.0, 2.0]), Some(1.0));
    assert_eq!(explained_variance(&[7.0_f32, 7.0], &[1.0, 2.0]), Some(0.0));
    assert!(explained_variance(&[1.0, 2.0], &[f64::NAN, 2.0]).is_some_and(f64::is_nan));
}

#[test]
fn normalising_little() {
    normalize::<f64>(&mut []);
    let mut equal = [3.0; 4];
    normalize(&mut equal);
    assert_eq!(equal.map(f64::to_bits), [0.0_f64.to_bits(); 4]);
}

#[test]
fn what_does_not_fit_is_an_error_and_writes_nothing() {
    let r = Rollout {
        n_envs: 2,
        rewards: vec![0.0; 4],
        values: vec![0.0; 4],
        last_values: vec![0.0; 2],
        final_values: vec![0.0; 4],
        terminated: vec![false; 4],
        truncated: vec![false; 4],
    };
    let mut out = [7.0; 4];
    let mut error = |t: Trajectories<'_, f64>, gamma, lambda| gae(&t, gamma, lambda, &mut out).unwrap_err();

    assert_eq!(error(Trajectories { n_envs: 0, ..r.view() }, 0.9, 0.9), GaeError::NoEnvs);
    let ragged = error(Trajectories { n_envs: 3, ..r.view() }, 0.9, 0.9);
    assert_eq!(ragged, GaeError::RaggedRewards { got: 4, n_envs: 3 });
    let short = error(Trajectories { values: &[0.0; 3], ..r.view() }, 0.9, 0.9);
    assert_eq!(short, GaeError::WrongLength { what: "values", got: 3, expected: 4 });
    assert_eq!(short.to_string(), "values has length 3, expected 4");
    let lambda = error(r.view(), 0.9, 1.5);
    assert_eq!(lambda, GaeError::OutOfRange { what: "lambda", got: 1.5 });
    assert!(matches!(error(r.view(), f64::NAN, 0.5), GaeError::OutOfRange { what: "gamma", .. }));
    let output = gae(&r.view(), 0.9, 0.9, &mut [0.0; 5]).unwrap_err();
    assert_eq!(output, GaeError::WrongLength { what: "advantages", got: 5, expected: 4 });

    assert_eq!(out.map(f64::to_bits), [7.0_f64.to_bits(); 4]);
}

/// Returns and what the values leave of them, of different shapes: the variances are about their own means, 2 and 26/9.
#[test]
fn a_variance_is_about_its_own_mean() {
    let share = rl_gae::explained_variance(&[0.0, 0.0, 1.0], &[0.0, 3.0, 0.0]).unwrap();
    assert!((share - (1.0 - 13.0 / 9.0)).abs() < 1e-12, "{share}");
}

/// A deviation is a sum of squares of differences: one of differences of squares is lost in numbers as large as these.
#[test]
fn normalising_loses_nothing_to_a_large_mean() {
    let mut x = [1e15, 1e15 + 1.0, 1e15 + 3.0];
    rl_gae::normalize(&mut x);
    let std = (14.0_f64 / 6.0).sqrt();
    assert!(((x[2] - x[0]) - 3.0 / std).abs() < 0.1, "{x:?}");
}

/// What is not a number shows in the share; without numbers there is none.
#[test]
fn a_share_of_what_is_no_number_is_none_either() {
    let share = rl_gae::advantage_share(&[1.0, 2.0], &[f64::NAN, 1.0]);
    assert!(share.is_some_and(f64::is_nan), "{share:?}");
    assert_eq!(rl_gae::advantage_share::<f64>(&[], &[]), None);
}
