//! How many steps a second go through the bridge, beside Python's plain loop over the same environments.
//!
//!     cargo run --release -p rl-gym --example throughput -- PYTHON gym:CartPole-v1 N WORKERS STEPS ROUNDS
//!
//! Bridge and loop take turns of STEPS steps, so that a busy machine is as busy for both. Seeds and actions, drawn beforehand, are the same,
//! and so is every transition. Printed are the best turn and the median one of each, and what share of the loop's the bridge's are.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use rand::RngCore;
use rl_env::rng::stream;
use rl_env::{Action, ActionsRef, Space};
use rl_gym::{GymName, Interpreter, spec};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [python, name, n, workers, steps, rounds] = &args[..] else {
        println!("usage: throughput PYTHON gym:ID N WORKERS STEPS ROUNDS");
        return Ok(());
    };
    let (n, workers, steps): (usize, usize, usize) = (n.parse()?, workers.parse()?, steps.parse()?);
    let rounds: usize = rounds.parse()?;
    let spec =
        spec(&name.parse::<GymName>()?, &Interpreter { workers: Some(workers), ..Interpreter::new(python) })?;
    let mut envs = spec.make_vec(n)?;
    envs.reset(0, "env")?;
    let mut rng = stream(0, "throughput", 0);
    let (mut indices, mut reals) = (Vec::new(), Vec::new());
    let mut told = Vec::new();
    for _ in 0..ROWS {
        let row: Vec<Action> = (0..n).map(|_| spec.action_space.sample(&mut rng)).collect();
        told.push(row.iter().map(as_json).collect::<Vec<_>>());
        for action in row {
            match action {
                Action::Discrete(a) => indices.extend(a),
                Action::Continuous(a) => reals.extend(a),
            }
        }
    }
    let width = n * spec.action_space.action_len();
    // As the bridge draws them.
    let seeds: Vec<u64> = (0..n).map(|i| stream(0, "env", i as u64).next_u64() >> 33).collect();
    let config = serde_json::json!({"id": name.trim_start_matches("gym:"), "seeds": seeds, "actions": told});
    let mut plain = PlainLoop::start(python, &config)?;
    let mut at = 0;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds.max(1) {
        theirs.push(plain.seconds(steps)?);
        let begun = Instant::now();
        envs.set_stepping(true);
        for k in at..at + steps {
            let cells = (k % ROWS) * width..(k % ROWS + 1) * width;
            envs.step(match spec.action_space {
                Space::Box(_) => ActionsRef::Continuous(&reals[cells]),
                _ => ActionsRef::Discrete(&indices[cells]),
            })?;
        }
        envs.set_stepping(false);
        ours.push(begun.elapsed().as_secs_f64());
        at += steps;
    }
    for times in [&mut ours, &mut theirs] {
        times.sort_by(f64::total_cmp);
    }
    println!("{} x {n}, {workers} workers, {rounds} turns of {steps} steps", spec.id);
    for (what, k) in [("best", 0), ("median", ours.len() / 2)] {
        let rate = |seconds: f64| (n * steps) as f64 / seconds;
        let (ours, theirs) = (rate(ours[k]), rate(theirs[k]));
        println!("{what}: bridge {ours:.0} steps/s, plain loop {theirs:.0}, ratio {:.3}", ours / theirs);
    }
    Ok(())
}

/// Steps whose actions are drawn; they come again and again.
const ROWS: usize = 1000;

fn as_json(action: &Action) -> serde_json::Value {
    match action {
        Action::Discrete(a) => a.clone().into(),
        Action::Continuous(a) => a.clone().into(),
    }
}

/// Python's loop, in a process of its own.
struct PlainLoop {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl PlainLoop {
    fn start(python: &str, config: &serde_json::Value) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(python);
        command.args(["-c", include_str!("plain_loop.py")]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(mut orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the loop has no pipes".into());
        };
        writeln!(orders, "{config}")?;
        Ok(PlainLoop { child, orders, answers: BufReader::new(answers) })
    }

    fn seconds(&mut self, steps: usize) -> Result<f64, Box<dyn Error>> {
        writeln!(self.orders, "{steps}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim().parse()?)
    }
}

impl Drop for PlainLoop {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
