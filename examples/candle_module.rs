//! A user's own candle modules as actor and critic, trained by TRPO and by PPO on CartPole.
//!
//!     cargo run --release -p examples --example candle_module
//!
//! Both end at or near 500 of 500, in some ten seconds each: candle's graph costs ten times what networks of this library do.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::sync::Arc;

use rl::algo::{ActorCritic, Algorithm};
use rl::candle_core::{Device, Module, Tensor};
use rl::candle_nn::{VarBuilder, linear};
use rl::env::Registry;
use rl::env::rng::stream;
use rl::nn::distribution::Categorical;
use rl::nn::{CandleNetwork, Initialization, Network, PolicyModel};
use rl::optim::Schedule;
use rl::ppo::{Ppo, PpoConfig};
use rl::train::{EvalConfig, TrainConfig, Trainer};
use rl::trpo::{Trpo, TrpoConfig};

/// Two hidden layers with a connection past them.
fn module(vb: VarBuilder<'static>, x: &Tensor, n_outputs: usize) -> rl::candle_core::Result<Tensor> {
    let h = linear(4, 32, vb.pp("first"))?.forward(x)?.tanh()?;
    let h = (linear(32, 32, vb.pp("second"))?.forward(&h)?.silu()? + h)?;
    linear(32, n_outputs, vb.pp("out"))?.forward(&h)
}

fn agent(seed: u64) -> anyhow::Result<ActorCritic> {
    let device = Device::Cpu;
    let actor = Arc::new(CandleNetwork::new(4, 2, &device, |vb, x| module(vb, x, 2))?);
    let critic: Arc<dyn Network<f32>> =
        Arc::new(CandleNetwork::new(4, 1, &device, |vb, x| module(vb, x, 1))?);
    let policy = PolicyModel::new(actor, Arc::new(Categorical { n: 2 }))?;
    let mut theta = vec![0.0; policy.n_params() + critic.n_params()];
    let (policy_theta, critic_theta) = theta.split_at_mut(policy.n_params());
    let mut rng = stream(seed, "parameters", 0);
    policy.network.init(policy_theta, Initialization::Orthogonal { output_gain: 0.01 }, &mut rng)?;
    critic.init(critic_theta, Initialization::Orthogonal { output_gain: 1.0 }, &mut rng)?;
    Ok(ActorCritic::new(policy, critic, theta)?)
}

fn main() -> anyhow::Result<()> {
    let env = Registry::builtin().get("CartPole-v1")?.clone();
    let ppo = PpoConfig {
        learning_rate: Schedule::Linear(1e-3),
        batch_size: 256,
        clip_range: Some(Schedule::Linear(0.2)),
        ..PpoConfig::default()
    };
    let trpo = TrpoConfig { n_critic_updates: 15, ..TrpoConfig::default() };
    let algorithms: [(&str, Box<dyn Algorithm>, TrainConfig); 2] = [
        (
            "TRPO",
            Box::new(Trpo::new(trpo)?),
            TrainConfig { n_envs: 8, n_steps: 128, total_steps: 60_000, ..TrainConfig::default() },
        ),
        (
            "PPO",
            Box::new(Ppo::new(ppo)?),
            TrainConfig { n_envs: 8, n_steps: 64, total_steps: 60_000, ..TrainConfig::default() },
        ),
    ];
    for (name, algorithm, config) in algorithms {
        let summary = Trainer::new(&env, config, agent(0)?, algorithm, 0)?
            .with_evaluation(&env, EvalConfig::tenths(config.total_steps))?
            .run()?;
        let eval = summary.eval.ok_or_else(|| anyhow::anyhow!("the run ended before its evaluation"))?;
        println!(
            "{name}: mean return {:.1} over {} episodes after {} steps, {:.0} a second; reproducible on {}",
            eval.mean, eval.episodes, summary.total_steps, summary.steps_per_second, summary.reproducible
        );
    }
    Ok(())
}
