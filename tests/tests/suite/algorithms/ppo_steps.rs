//! PPO takes one optimiser's step a minibatch: none is lost at the end of an update, none taken twice.

use crate::helpers::small_batch;
use rand::SeedableRng;
use rl_algo::{ActorCritic, Algorithm, Batch, Outcome, Parts, PolicyBatch, Reducer, UpdateContext};
use rl_env::EnvRng;
use rl_nn::DistParams;
use rl_optim::{Adam, AdamParams, clip_scale};
use rl_ppo::{Learner, Ledger, Minibatch, Pair, Ppo, PpoConfig, Scratch, minibatch_loss};
use rl_rollout::Minibatches;

fn collected() -> (ActorCritic, Batch) {
    small_batch::collected("CartPole-v1")
}

fn update(config: PpoConfig) -> (Outcome, Vec<f32>) {
    let (mut agent, batch) = collected();
    let mut rng = EnvRng::seed_from_u64(7);
    let mut ctx = UpdateContext::new(&mut rng);
    let report = Ppo::new(config).unwrap().update(&mut agent, &batch, &mut ctx).unwrap();
    (report.outcome, agent.theta().to_vec())
}

/// The first `steps` steps of the same update, each taken at once.
fn step_by_step(config: &PpoConfig, steps: usize) -> Vec<f32> {
    let (mut agent, batch) = collected();
    let mut rng = EnvRng::seed_from_u64(7);
    let params = AdamParams { eps: 1e-5, ..AdamParams::default() };
    let sizes = [agent.policy_theta().len(), agent.critic_theta().len()];
    let [mut policy_adam, mut critic_adam] = sizes.map(|n| Adam::new(n, params));
    let [mut policy_scratch, mut critic_scratch]: [Scratch<f32>; 2] = Default::default();
    let policy_batch: PolicyBatch<'_, f32> = batch.policy_batch(&agent, &batch.advantages).unwrap();
    let Parts { policy, policy_theta, critic, critic_theta, .. } = agent.parts_mut();
    let mut learners = [
        Learner::new(policy_theta, &mut policy_adam, &mut policy_scratch),
        Learner::new(critic_theta, &mut critic_adam, &mut critic_scratch),
    ];
    let (mut minibatches, mut taken) = (Minibatches::new(batch.len()), 0);
    for _ in 0..config.n_epochs {
        for rows in minibatches.epoch(config.batch_size, &mut rng) {
            if taken == steps {
                break;
            }
            taken += 1;
            let (returns, old_values) = (&batch.returns[..], &batch.values[..]);
            let old = DistParams { y: &[], globals: &[] };
            let minibatch = Minibatch { policy: policy_batch, old, returns, old_values, rows };
            let loss = Pair::with(&mut Ledger::default(), |mut pair| {
                let models = (policy, critic);
                minibatch_loss(&mut pair, Reducer, models, &mut learners, &minibatch, &config.loss(1.0))
            });
            let scale = clip_scale(loss.unwrap().grad_norm, config.max_grad_norm.unwrap());
            for learner in &mut learners {
                learner.step(scale, config.learning_rate.at(1.0));
                learner.finish().unwrap();
            }
        }
    }
    assert_eq!(taken, steps);
    agent.theta().to_vec()
}

#[test]
fn every_minibatch_takes_one_step() {
    // 100 rows in minibatches of 32: three whole ones and a rest of 4.
    for (n_epochs, batch_size, steps) in [(1, 100, 1), (1, 32, 4), (3, 32, 12)] {
        let config = PpoConfig { n_epochs, batch_size, ..PpoConfig::default() };
        let expected = step_by_step(&config, steps);
        let (outcome, theta) = update(config);
        assert_eq!(outcome, Outcome::Applied);
        assert_eq!(theta, expected, "{n_epochs} epochs of {batch_size}");
    }
}

/// The first minibatch finds the policy unchanged; after its step the second exceeds any bound, and its gradient is not used.
#[test]
fn an_early_stop_keeps_the_steps_before_it() {
    let config = PpoConfig { n_epochs: 3, batch_size: 32, target_kl: Some(1e-12), ..PpoConfig::default() };
    let expected = step_by_step(&config, 1);
    let (outcome, theta) = update(config);
    assert_eq!(outcome, Outcome::EarlyStopped);
    assert_eq!(theta, expected);
}
