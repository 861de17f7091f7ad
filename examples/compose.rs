//! TRPO assembled by hand from the crates: environment, policy, rollout, advantages, update.
//!
//!     cargo run --release -p examples --example compose
//!
//! CartPole's mean return rises from about 20 to near 500 in a few seconds.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::sync::Arc;

use rl::algo::{PolicyBatch, Reducer};
use rl::env::rng::stream;
use rl::env::{SyncVecEnv, TimeLimit, envs::CartPole};
use rl::gae::Trajectories;
use rl::nn::distribution::Categorical;
use rl::nn::{Activation, Mlp, Network, PolicyModel, Shards, States};
use rl::optim::{Adam, AdamParams};
use rl::rollout::{Collector, Rollout};
use rl::trpo::{TrpoConfig, policy_step};

fn main() -> anyhow::Result<()> {
    let (n_envs, n_steps, gamma, lambda) = (8, 256, 0.99, 0.97);
    let mut rng = stream(0, "compose", 0);

    // Eight cart-poles, a policy and a value function over plain parameter vectors.
    let env = SyncVecEnv::new((0..n_envs).map(|_| TimeLimit::new(CartPole::new(), 500)).collect())?;
    let mut collector = Collector::new(Box::new(env), 0)?;
    let actor = Mlp::new(&[4, 64, 64, 2], Activation::Tanh)?;
    let critic = Mlp::new(&[4, 64, 64, 1], Activation::Tanh)?;
    let mut theta = vec![0.0_f32; Network::<f32>::n_params(&actor)];
    let mut critic_theta = vec![0.0_f32; Network::<f32>::n_params(&critic)];
    actor.init_orthogonal(&mut theta, 0.01, &mut rng)?;
    critic.init_orthogonal(&mut critic_theta, 1.0, &mut rng)?;
    let policy = PolicyModel::new(Arc::new(actor), Arc::new(Categorical { n: 2 }))?;
    let mut adam = Adam::new(critic_theta.len(), AdamParams::default());

    let config = TrpoConfig { cg_iters: 10, cg_damping: 0.01, ..TrpoConfig::default() }.step(1.0);
    let mut rollout = Rollout::new(policy.distribution.new_actions());
    let (mut shards, mut episodes) = (Shards::new(), Vec::new());
    for update in 1..=60 {
        // Collect T x N steps with the current policy, then value every state in one pass.
        collector.collect(&policy, &theta, n_steps, &mut rollout, &mut episodes)?;
        let mut value = |obs: &[f32]| -> anyhow::Result<Vec<f32>> {
            let mut v = vec![0.0; obs.len() / 4];
            shards.forward(&critic, &critic_theta, &States::new(obs, 4)?, &mut v)?;
            Ok(v)
        };
        let (values, last_values) = (value(&rollout.observations)?, value(&rollout.last_observations)?);
        let mut final_values = vec![0.0; rollout.len()];
        for (&row, v) in rollout.truncated_rows.iter().zip(value(&rollout.final_observations)?) {
            final_values[row] = v;
        }

        // Generalised advantage estimation: termination bootstraps from 0, truncation from the final state's value.
        let (rewards, terminated, truncated) = (&rollout.rewards, &rollout.terminated, &rollout.truncated);
        let (values, last_values, final_values) = (&values, &last_values, &final_values);
        let t = Trajectories { n_envs, rewards, values, last_values, final_values, terminated, truncated };
        let (mut advantages, mut returns) = (vec![0.0; rollout.len()], vec![0.0; rollout.len()]);
        rl::gae::gae(&t, gamma, lambda, &mut advantages)?;
        rl::gae::lambda_returns(&t, gamma, lambda, &mut returns)?;
        rl::gae::normalize(&mut advantages);

        // One trust-region step of the policy, then some regression steps of the critic.
        let observations = States::new(&rollout.observations, 4)?;
        let (actions, old_log_probs) = (rollout.actions.as_ref(), &rollout.log_probs[..]);
        let batch = PolicyBatch { observations, actions, advantages: &advantages, old_log_probs };
        let step = policy_step(Reducer, &policy, &mut theta, &batch, &config, &mut shards)?;
        for _ in 0..40 {
            let mut v = shards.linearize(&critic, &critic_theta, observations)?;
            let scale = 2.0 / returns.len() as f32;
            let dv: Vec<f32> = v.output().iter().zip(&returns).map(|(v, r)| scale * (v - r)).collect();
            let mut grad = vec![0.0; critic_theta.len()];
            v.vjp(&dv, &mut grad)?;
            adam.step(&mut critic_theta, &grad, 1e-2)?;
        }

        if update % 10 == 0 {
            let mean = episodes.iter().map(|e| e.ret).sum::<f64>() / episodes.len() as f64;
            println!(
                "update {update:3}  mean return {mean:6.1}  KL {:.4}  gain {:.4}",
                step.kl, step.improvement
            );
            episodes.clear();
        }
    }
    Ok(())
}
