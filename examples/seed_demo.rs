//! The demonstration that many tutorials have of TRPO, put together from the crates: CartPole-v0, one whole episode an update.
//!
//!     cargo run --release -p examples --example seed_demo -- [SEEDS] [PICTURE.svg]
//!
//! As in the tutorial: 500 episodes, every one from the same state; actor and critic with one hidden layer of 128; one-step advantages
//! `r + γV(s') − V(s)` from a critic that takes one step of Adam before they are computed; an episode that is cut at 200 steps counts as a fall. When the mean
//! return of the last ten episodes is a new best, five episodes with the policy's sampled actions are its test. The picture has the return smoothed over ten
//! episodes, in a band of 1.2 standard deviations. The logits are limited to ±20 by a network of its own behind the actor, which shows how small one can be.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example prints")]

use std::path::PathBuf;
use std::sync::Arc;

use rl::algo::{PolicyBatch, Reducer};
use rl::env::envs::CartPole;
use rl::env::rng::stream;
use rl::env::{Env, EnvError, EnvRng, Space, Step, SyncVecEnv, TimeLimit};
use rl::nn::distribution::Categorical;
use rl::nn::{
    Activation, Carry, Chain, Layout, Mlp, Network, NnError, PolicyModel, Shape as Sizes, Shards, States,
    Workspace,
};
use rl::optim::{Adam, AdamParams};
use rl::report::{Axis, Chart, Curve, Layer, Mark, Scale, Shape};
use rl::rollout::{Collector, Rollout};
use rl::trpo::{TrpoConfig, policy_step};

const EPISODES: usize = 500;
const STEPS: u32 = 200;
const GAMMA: f32 = 0.98;
const CRITIC_LEARNING_RATE: f64 = 4.5e-2;
/// How many episodes a mean return is over.
const RECENT: usize = 10;
const TESTS: usize = 5;

/// An environment of which every episode begins alike.
struct SameStart {
    inner: CartPole,
    start: EnvRng,
}

impl Env for SameStart {
    type Action = usize;

    fn observation_space(&self) -> Space {
        self.inner.observation_space()
    }

    fn action_space(&self) -> Space {
        self.inner.action_space()
    }

    fn reset(&mut self, _: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        self.inner.reset(&mut self.start.clone(), obs)
    }

    fn step(&mut self, action: &usize, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.inner.step(action, rng, obs)
    }
}

/// `y = max(−20, min(20, x))`, with slope 0 outside: a network without parameters.
struct Clamp {
    shape: Sizes,
}

const LIMIT: f32 = 20.0;

impl Clamp {
    fn slope(x: &States<'_, f32>, moved: &[f32], out: &mut [f32]) {
        for ((out, &x), &moved) in out.iter_mut().zip(x.obs()).zip(moved) {
            *out = if x.abs() <= LIMIT { moved } else { 0.0 };
        }
    }
}

impl Network<f32> for Clamp {
    fn shape(&self) -> &Sizes {
        &self.shape
    }

    fn prepare(&self, _: &[f32], _: &mut Workspace<f32>) -> Result<(), NnError> {
        Ok(())
    }

    fn forward(
        &self,
        _: &[f32],
        x: &States<'_, f32>,
        _: &mut Carry<f32>,
        y: &mut [f32],
        _: &mut Workspace<f32>,
    ) -> Result<(), NnError> {
        for (y, &x) in y.iter_mut().zip(x.obs()) {
            *y = x.clamp(-LIMIT, LIMIT);
        }
        Ok(())
    }

    fn record(&self, theta: &[f32], x: &States<'_, f32>, ws: &mut Workspace<f32>) -> Result<(), NnError> {
        let mut y = std::mem::take(&mut ws.output);
        y.resize(x.obs().len(), 0.0);
        self.forward(theta, x, &mut Carry::default(), &mut y, ws)?;
        ws.output = y;
        Ok(())
    }

    fn vjp(
        &self,
        _: &[f32],
        x: &States<'_, f32>,
        _: &mut Workspace<f32>,
        dy: &[f32],
        _: &mut [f32],
        dx: Option<&mut [f32]>,
    ) -> Result<(), NnError> {
        if let Some(dx) = dx {
            Self::slope(x, dy, dx);
        }
        Ok(())
    }

    fn jvp(
        &self,
        _: &[f32],
        x: &States<'_, f32>,
        _: &mut Workspace<f32>,
        _: &[f32],
        dx: Option<&[f32]>,
        dy: &mut [f32],
    ) -> Result<(), NnError> {
        match dx {
            Some(dx) => Self::slope(x, dx, dy),
            None => dy.fill(0.0),
        }
        Ok(())
    }
}

fn collector(seed: u64, purpose: &str) -> anyhow::Result<Collector> {
    let env = SameStart { inner: CartPole::new(), start: stream(seed, "start", 0) };
    let actions = rl::rand::RngCore::next_u64(&mut stream(seed, purpose, 0));
    Ok(Collector::new(Box::new(SyncVecEnv::new(vec![TimeLimit::new(env, STEPS)])?), actions)?)
}

/// What a demonstration came to.
struct Outcome {
    returns: Vec<f64>,
    best_test: f64,
    solved_after: Option<usize>,
}

fn demonstrate(seed: u64) -> anyhow::Result<Outcome> {
    let mut rng = stream(seed, "networks", 0);
    let (actor, critic) =
        (Mlp::new(&[4, 128, 2], Activation::Relu)?, Mlp::new(&[4, 128, 1], Activation::Relu)?);
    let mut theta = vec![0.0_f32; Network::<f32>::n_params(&actor)];
    let mut critic_theta = vec![0.0_f32; Network::<f32>::n_params(&critic)];
    actor.init_uniform(&mut theta, &mut rng)?;
    critic.init_uniform(&mut critic_theta, &mut rng)?;
    let clamp = Clamp { shape: Sizes { n_inputs: 2, n_outputs: 2, layout: Layout::new() } };
    let actor = Chain::new(vec![
        ("actor".to_owned(), Arc::new(actor) as _),
        ("clamp".to_owned(), Arc::new(clamp) as _),
    ])?;
    let policy = PolicyModel::new(Arc::new(actor), Arc::new(Categorical { n: 2 }))?;
    let mut adam = Adam::new(critic_theta.len(), AdamParams { eps: 1e-8, ..AdamParams::default() });
    let settings = TrpoConfig {
        cg_iters: 10,
        cg_damping: 0.0,
        cg_rtol: None,
        backtrack_coeff: 0.5,
        backtrack_iters: 15,
        ..TrpoConfig::default()
    };
    let step = rl::trpo::StepConfig { max_kl: 5e-4, ..settings.step(1.0) };

    let (mut training, mut tests) = (collector(seed, "training")?, collector(seed, "tests")?);
    let mut rollout = Rollout::new(policy.distribution.new_actions());
    let mut tested = Rollout::new(policy.distribution.new_actions());
    let mut shards = Shards::new();
    let (mut episodes, mut test_episodes) = (Vec::new(), Vec::new());
    let (mut best, mut best_test, mut solved_after) = (f64::MIN, f64::MIN, None);
    for episode in 1..=EPISODES {
        training.collect_episodes(&policy, &theta, 1, &mut rollout, &mut episodes)?;
        let recent = &episodes[episodes.len().saturating_sub(RECENT)..];
        let last = recent.iter().map(|e| e.ret).sum::<f64>() / recent.len() as f64;
        if episode > RECENT && last > best {
            best = last;
            test_episodes.clear();
            tests.collect_episodes(&policy, &theta, TESTS, &mut tested, &mut test_episodes)?;
            let test = test_episodes.iter().map(|e| e.ret).sum::<f64>() / TESTS as f64;
            best_test = best_test.max(test);
            if test >= f64::from(STEPS) && solved_after.is_none() {
                solved_after = Some(episode);
            }
        }

        // The critic: one step towards r + γV(s'), where V is 0 after the episode's end, whatever ended it.
        let n = rollout.len();
        let observations = States::new(&rollout.observations, 4)?;
        let mut v = vec![0.0; n];
        shards.forward(&critic, &critic_theta, &observations, &mut v)?;
        let next = v[1..].iter().copied().chain([0.0]);
        let targets: Vec<f32> = rollout.rewards.iter().zip(next).map(|(r, next)| r + GAMMA * next).collect();
        let dv: Vec<f32> = v.iter().zip(&targets).map(|(v, target)| 2.0 / n as f32 * (v - target)).collect();
        let mut grad = vec![0.0; critic_theta.len()];
        shards.linearize(&critic, &critic_theta, observations)?.vjp(&dv, &mut grad)?;
        adam.step(&mut critic_theta, &grad, CRITIC_LEARNING_RATE)?;

        // The policy: A = r + γV(s') − V(s), the first two as they were, the last from the critic that has learned.
        shards.forward(&critic, &critic_theta, &observations, &mut v)?;
        let advantages: Vec<f32> = targets.iter().zip(&v).map(|(target, v)| target - v).collect();
        let (actions, old_log_probs) = (rollout.actions.as_ref(), &rollout.log_probs[..]);
        let batch = PolicyBatch { observations, actions, advantages: &advantages, old_log_probs };
        policy_step(Reducer, &policy, &mut theta, &batch, &step, &mut shards)?;

        if episode % 50 == 0 {
            let last_episode = episodes.last().map_or(0, |e| e.len);
            println!(
                "episode {episode} / {EPISODES}: steps {last_episode}, last mean return {last:.2}, best {best:.2}, best test {best_test:.2}"
            );
        }
    }
    let returns = episodes.iter().map(|e| e.ret).collect();
    Ok(Outcome { returns, best_test, solved_after })
}

/// The return smoothed over the last ten episodes, in a band of 1.2 standard deviations.
fn picture(returns: &[f64]) -> String {
    let smoothed: Vec<(f64, f64, f64)> = (1..=returns.len())
        .map(|end| {
            let recent = &returns[end.saturating_sub(RECENT)..end];
            let mean = recent.iter().sum::<f64>() / recent.len() as f64;
            let variance = recent.iter().map(|r| (r - mean) * (r - mean)).sum::<f64>() / recent.len() as f64;
            (end as f64, mean, 1.2 * variance.sqrt())
        })
        .collect();
    let band = smoothed.iter().map(|&(x, mean, width)| (x, mean - width, mean + width)).collect();
    let line = Curve::new(smoothed.iter().map(|&(x, mean, _)| (x, mean)));
    let ends = smoothed.iter().flat_map(|&(_, mean, width)| [mean - width, mean + width]);
    Chart {
        id: "seed-demo".to_owned(),
        title: "TRPO on CartPole-v0".to_owned(),
        note: "Mean of the last ten episodes, in a band of 1.2 standard deviations.".to_owned(),
        x: Axis::over("episode", smoothed.iter().map(|&(x, ..)| x), Scale::Linear, 0.0),
        y: Axis::over("return, mean of ten episodes", ends, Scale::Linear, 0.03),
        marks: vec![
            Mark::new(Shape::Band(band), Some(0), Layer::Fixed, "1.2 standard deviations"),
            Mark::new(Shape::Line(line), Some(0), Layer::Fixed, "return"),
        ],
        labels: Vec::new(),
        height: 260.0,
    }
    .to_svg()
}

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let seeds = match args.next() {
        None => 1,
        Some(seeds) => seeds.parse().map_err(|_| anyhow::anyhow!("{seeds}: expected a number of seeds"))?,
    };
    let path = args.next().map_or_else(|| std::env::temp_dir().join("seed-demo.svg"), PathBuf::from);
    let mut solved = 0;
    for seed in 0..seeds {
        println!("seed {seed}");
        let Outcome { returns, best_test, solved_after } = demonstrate(seed)?;
        let after = solved_after.map_or("never".to_owned(), |episode| format!("after {episode} episodes"));
        println!("seed {seed}: best test {best_test:.1}, 200 {after}");
        solved += u64::from(solved_after.is_some());
        if seed == 0 {
            std::fs::write(&path, picture(&returns))?;
            println!("seed 0's picture: {}", path.display());
        }
    }
    println!("{solved} of {seeds} seeds had a test in which every episode reached 200");
    Ok(())
}
