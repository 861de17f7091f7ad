//! An environment of Python's Gymnasium, trained by TRPO.
//!
//!     cargo run --release -p examples --example gymnasium [-- PYTHON]
//!
//! CartPole as Python computes it is solved in 30,000 steps: a mean return near 500. Without Gymnasium for that Python it says so, and is done.
#![allow(clippy::print_stdout, reason = "an example prints")]

use rl::algo::NetConfig;
use rl::gym::{GymError, GymName, Interpreter, spec};
use rl::train::{EvalConfig, TrainConfig, Trainer, new_agent};
use rl::trpo::{Trpo, TrpoConfig};

fn main() -> anyhow::Result<()> {
    let python = std::env::args().nth(1).unwrap_or_else(|| "python3".to_owned());
    let name: GymName = "gym:CartPole-v1".parse()?;
    // Asked once what it is; every vector made of it starts worker processes of its own.
    let env = match spec(&name, &Interpreter::new(python)) {
        Err(error @ (GymError::NoGymnasium { .. } | GymError::Start { .. })) => {
            println!("{error}");
            return Ok(());
        }
        env => env?,
    };
    println!("{}: {} -> {}", env.id, env.observation_space, env.action_space);
    let config = TrainConfig { n_envs: 8, n_steps: 128, total_steps: 30_000, ..TrainConfig::default() };
    let trpo = TrpoConfig { cg_damping: 1e-3, n_critic_updates: 20, ..TrpoConfig::default() };
    let agent = new_agent(&env, &NetConfig::default(), 0)?;
    let summary = Trainer::new(&env, config, agent, Box::new(Trpo::new(trpo)?), 0)?
        .with_evaluation(&env, EvalConfig { final_episodes: 20, ..EvalConfig::every(30_000) })?
        .run()?;
    let eval = summary.eval.ok_or_else(|| anyhow::anyhow!("the run ended before its evaluation"))?;
    println!("{} steps: mean return {:.1} ± {:.1}", summary.total_steps, eval.mean, eval.std);
    Ok(())
}
