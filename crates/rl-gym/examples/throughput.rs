//! How many steps a second go through the bridge, with random actions drawn beforehand as in Python's plain loop.
//!
//!     cargo run --release -p rl-gym --example throughput -- PYTHON gym:CartPole-v1 N WORKERS STEPS
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::time::Instant;

use rl_env::rng::stream;
use rl_env::{Action, ActionsRef, Space};
use rl_gym::{GymName, Interpreter, spec};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [python, name, n, workers, steps] = &args[..] else {
        println!("usage: throughput PYTHON gym:ID N WORKERS STEPS");
        return Ok(());
    };
    let (n, workers, steps): (usize, usize, usize) = (n.parse()?, workers.parse()?, steps.parse()?);
    let spec =
        spec(&name.parse::<GymName>()?, &Interpreter { workers: Some(workers), ..Interpreter::new(python) })?;
    let mut envs = spec.make_vec(n)?;
    envs.reset(0, "env")?;
    let mut rng = stream(0, "throughput", 0);
    let (mut indices, mut reals) = (Vec::new(), Vec::new());
    for _ in 0..200 * n {
        match spec.action_space.sample(&mut rng) {
            Action::Discrete(a) => indices.extend(a),
            Action::Continuous(a) => reals.extend(a),
        }
    }
    let width = n * spec.action_space.action_len();
    for _ in 0..3 {
        let begun = Instant::now();
        for k in 0..steps {
            let cells = (k % 200) * width..(k % 200 + 1) * width;
            envs.step(match spec.action_space {
                Space::Box(_) => ActionsRef::Continuous(&reals[cells]),
                _ => ActionsRef::Discrete(&indices[cells]),
            })?;
        }
        println!("{}: {:.0} steps/s", spec.id, (n * steps) as f64 / begun.elapsed().as_secs_f64());
    }
    Ok(())
}
