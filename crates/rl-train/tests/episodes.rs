//! Rollouts of whole episodes: as long as they are, and otherwise what rollouts of steps are.

#![allow(clippy::unwrap_used, reason = "a failure in a helper is a failed test")]

use std::sync::{Arc, Mutex};

use rl_algo::{ActorCritic, AlgoError, Algorithm, Batch, NetConfig, Outcome, Report, UpdateContext};
use rl_test_support as _;
use rl_train::{TrainConfig, Trainer, new_agent};

/// Keeps every batch, and learns nothing.
#[derive(Clone, Default)]
struct Keeps(Arc<Mutex<Vec<Batch>>>);

impl Algorithm for Keeps {
    fn update(
        &mut self,
        _: &mut ActorCritic,
        batch: &Batch,
        _: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError> {
        self.0.lock().unwrap().push(batch.clone());
        Ok(Report::new(Outcome::Applied))
    }
}

/// Every rollout begins and ends with an episode, and is as long as its episodes are.
#[test]
fn rollouts_of_whole_episodes() {
    let env = rl_env::Registry::builtin().get("CartPole-v1").unwrap().clone();
    let agent = new_agent(&env, &NetConfig::default(), 0).unwrap();
    let config = TrainConfig { n_steps: 0, n_episodes: Some(3), total_steps: 500, ..TrainConfig::default() };
    let kept = Keeps::default();
    let summary = Trainer::new(&env, config, agent, Box::new(kept.clone()), 0).unwrap().run().unwrap();
    let batches = kept.0.lock().unwrap();
    for batch in batches.iter() {
        let rollout = &batch.rollout;
        let over = |t: usize| rollout.terminated[t] || rollout.truncated[t];
        let ends = (0..batch.len()).filter(|&t| over(t)).count();
        assert_eq!((rollout.n_envs, ends), (1, 3));
        assert!(rollout.episode_starts[0] && over(batch.len() - 1));
    }
    let lengths: Vec<usize> = batches.iter().map(Batch::len).collect();
    assert_eq!(lengths.iter().sum::<usize>() as u64, summary.total_steps);
    assert_eq!(summary.episodes, 3 * lengths.len() as u64);
    assert!(lengths.iter().any(|len| *len != lengths[0]), "{lengths:?}");
    let several = TrainConfig { n_envs: 2, ..config };
    assert_eq!(several.validate().unwrap_err().key, "n_episodes");
}

/// Cut into episodes the experience is what it is cut into steps, normalisers included; and an episode that was cut at its limit, as all of Pendulum's are, goes on
/// with the value of its last observation.
#[test]
fn rollouts_of_episodes_are_cut_elsewhere_and_nothing_else() {
    let (gamma, lambda) = (0.9, 0.8);
    for (env, normalize) in [("CartPole-v1", false), ("Pendulum-v1", false), ("Pendulum-v1", true)] {
        let spec = rl_env::Registry::builtin().get(env).unwrap().clone();
        let by_steps = TrainConfig {
            n_steps: 50,
            total_steps: 800,
            gamma,
            gae_lambda: lambda,
            normalize_observation: normalize,
            normalize_reward: normalize,
            ..TrainConfig::default()
        };
        let of = |config: TrainConfig| {
            let kept = Keeps::default();
            let agent = new_agent(&spec, &NetConfig::default(), 0).unwrap();
            Trainer::new(&spec, config, agent, Box::new(kept.clone()), 5).unwrap().run().unwrap();
            std::mem::take(&mut *kept.0.lock().unwrap())
        };
        let (steps, episodes) =
            (of(by_steps), of(TrainConfig { n_steps: 0, n_episodes: Some(2), ..by_steps }));
        let all = |batches: &[Batch], of: fn(&Batch) -> &[f32]| -> Vec<f32> {
            batches.iter().flat_map(|batch| of(batch).to_vec()).collect()
        };
        let parts: [fn(&Batch) -> &[f32]; 4] = [
            |batch| &batch.rollout.observations,
            |batch| &batch.rollout.rewards,
            |batch| &batch.rollout.log_probs,
            |batch| &batch.values,
        ];
        for part in parts {
            let (cut, expected) = (all(&episodes, part), all(&steps, part));
            let n = cut.len().min(expected.len());
            assert!(n >= 800 && cut[..n] == expected[..n], "{env}");
        }
        for batch in &episodes {
            let mut advantage = 0.0;
            for t in (0..batch.len()).rev() {
                let rollout = &batch.rollout;
                let is_over = rollout.terminated[t] || rollout.truncated[t];
                let next = match () {
                    () if rollout.terminated[t] => 0.0,
                    () if rollout.truncated[t] => f64::from(batch.final_values[t]),
                    () => f64::from(batch.values[t + 1]),
                };
                assert_eq!(rollout.truncated[t], batch.final_values[t] != 0.0, "{env}, row {t}");
                let delta = f64::from(rollout.rewards[t]) + gamma * next - f64::from(batch.values[t]);
                advantage = if is_over { delta } else { delta + gamma * lambda * advantage };
                let got = f64::from(batch.advantages[t]);
                assert!(
                    (got - advantage).abs() < 1e-4 * advantage.abs().max(1.0),
                    "{env}, row {t}: {got}, not {advantage}"
                );
            }
        }
        let is_cut = episodes.iter().any(|batch| batch.rollout.truncated.iter().any(|cut| *cut));
        assert_eq!(is_cut, env == "Pendulum-v1");
    }
}
