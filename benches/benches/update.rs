//! The inner loops of both algorithms, part by part.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a benchmark that fails should stop")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use benches::{Samples, agent, fma_peak, reals, rng};
use criterion::{Criterion, criterion_group, criterion_main};
use rl_algo::{Batch, LinearizedPolicy, Parts, Reducer};
use rl_env::Registry;
use rl_gae::{Trajectories, gae};
use rl_nn::{Forward, Shards, States, Workspace};
use rl_optim::{
    Adam, AdamParams, CgParams, CgWorkspace, Damped, LinearOperator, clip_scale, conjugate_gradient, vector,
};
use rl_ppo::{Learner, Ledger, Pair, PpoConfig, Scratch, minibatch_loss};
use rl_rollout::Collector;
use rl_trpo::{TrpoConfig, policy_step};

/// Times `body`, which repeats something so many times, inside a pool of `threads`.
fn bench_in_pool(c: &mut Criterion, name: &str, threads: usize, mut body: impl FnMut(u64) + Send) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    c.bench_function(&format!("{name}/{threads}_threads"), |b| {
        b.iter_custom(|iters| {
            pool.install(|| {
                let start = Instant::now();
                body(iters);
                start.elapsed()
            })
        });
    });
}

/// Minibatches of an agent of this width: forward, loss, backward, clip, Adam.
fn bench_minibatches(c: &mut Criterion, name: &str, threads: usize, width: usize, rows: usize) {
    let mut agent = agent(width);
    let samples = Samples::new(rows);
    let config = PpoConfig::default().loss(1.0);
    let sizes = [agent.policy_theta().len(), agent.critic_theta().len()];
    let [mut policy_adam, mut critic_adam] =
        sizes.map(|n| Adam::new(n, AdamParams { eps: 1e-5, ..AdamParams::default() }));
    let [mut policy_scratch, mut critic_scratch]: [Scratch<f32>; 2] = Default::default();
    let Parts { policy, policy_theta, critic, critic_theta, .. } = agent.parts_mut();
    let mut learners = [
        Learner::new(policy_theta, &mut policy_adam, &mut policy_scratch),
        Learner::new(critic_theta, &mut critic_adam, &mut critic_scratch),
    ];
    let mut minibatch = |pair: &mut Pair<'_>| {
        let minibatch = samples.minibatch(rows);
        let loss =
            minibatch_loss(pair, Reducer, (policy, critic), &mut learners, &minibatch, &config).unwrap();
        let scale = clip_scale(loss.grad_norm, 0.5);
        // A learning rate next to nothing, so that the same minibatch stays as hard as it is.
        learners.iter_mut().for_each(|learner| learner.step(scale, 1e-12));
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let mut ledger = Ledger::default();
    c.bench_function(&format!("{name}/{threads}_threads"), |b| {
        b.iter_custom(|iters| {
            pool.install(|| {
                Pair::with(&mut ledger, |mut pair| {
                    // The helper takes its time to come, which an update of hundreds of minibatches does not notice.
                    let begun = Instant::now();
                    while begun.elapsed() < Duration::from_millis(1) {
                        minibatch(&mut pair);
                    }
                    let start = Instant::now();
                    (0..iters).for_each(|_| minibatch(&mut pair));
                    start.elapsed()
                })
            })
        });
    });
}

fn ppo_minibatch(c: &mut Criterion) {
    for threads in [1, 2] {
        bench_minibatches(c, "ppo_minibatch_64", threads, 64, 64);
    }
}

fn wide(c: &mut Criterion) {
    for width in [256, 1024] {
        bench_minibatches(c, &format!("ppo_minibatch_256_wide_{width}"), 2, width, 256);
    }
}

fn parts(c: &mut Criterion) {
    let agent = agent(64);
    let policy = agent.policy();
    let (net, _) = policy.split(agent.policy_theta()).unwrap();
    for rows in [1, 8, 64, 2048] {
        let x = reals(&mut rng(), rows * 4);
        let (mut y, mut ws) = (vec![0.0; rows * 2], Workspace::default());
        c.bench_function(&format!("policy_forward/{rows}"), |b| {
            let mut forward = Forward::new(&*policy.network, net, &mut ws).unwrap();
            b.iter(|| forward.run(&States::new(&x, 4).unwrap(), &mut y).unwrap());
        });
    }
    let grad = reals(&mut rng(), agent.theta().len());
    let mut theta = agent.theta().to_vec();
    let mut adam = Adam::new(grad.len(), AdamParams::default());
    c.bench_function("adam", |b| b.iter(|| adam.step(&mut theta, &grad, 1e-4).unwrap()));
    c.bench_function("norm", |b| b.iter(|| vector::norm(&grad)));
    let (n, columns) = (2048, [0; 4].map(|_| reals(&mut rng(), 2048)));
    let [rewards, values, last_values, final_values] = &columns;
    let (terminated, truncated) = ((0..n).map(|i| i % 41 == 0).collect::<Vec<_>>(), vec![false; n]);
    let trajectories = Trajectories {
        n_envs: 8,
        rewards,
        values,
        last_values: &last_values[..8],
        final_values,
        terminated: &terminated,
        truncated: &truncated,
    };
    let mut advantages = vec![0.0; n];
    c.bench_function("gae_2048", |b| b.iter(|| gae(&trajectories, 0.99, 0.95, &mut advantages).unwrap()));
    let mut x = reals(&mut rng(), 4096);
    c.bench_function("tanh_4096", |b| b.iter(|| <f32 as rl_nn::Real>::tanh_in_place(&mut x)));
}

fn fisher(c: &mut Criterion) {
    for threads in [1, 2] {
        let agent = agent(64);
        let x = reals(&mut rng(), 2048 * 4);
        let v = reals(&mut rng(), agent.policy().n_params());
        let mut out = vec![0.0; v.len()];
        let mut shards = Shards::new();
        let input = States::new(&x, 4).unwrap();
        let mut pi = LinearizedPolicy::new(agent.policy(), agent.policy_theta(), input, &mut shards).unwrap();
        let mut fisher = pi.fisher(1.0);
        bench_in_pool(c, "fisher_2048", threads, |iters| {
            (0..iters).for_each(|_| fisher.apply(&v, &mut out).unwrap())
        });
    }
}

/// The 15 iterations of sb3-contrib's default.
fn solve(c: &mut Criterion) {
    for threads in [1, 2] {
        let agent = agent(64);
        let samples = Samples::new(2048);
        let mut rng = rng();
        let gradient = reals(&mut rng, agent.policy().n_params());
        let (mut x, mut ws, mut shards) = (vec![0.0; gradient.len()], CgWorkspace::new(), Shards::new());
        let states = samples.policy_batch().observations;
        let mut pi =
            LinearizedPolicy::new(agent.policy(), agent.policy_theta(), states, &mut shards).unwrap();
        let mut fisher = pi.fisher(1.0);
        let params = CgParams { max_iters: 15, atol: 0.0, ..CgParams::default() };
        bench_in_pool(c, "conjugate_gradient_2048", threads, |iters| {
            let mut damped = Damped { operator: &mut fisher, damping: 0.1 };
            (0..iters).for_each(|_| {
                conjugate_gradient(&mut damped, &gradient, &mut x, &params, &mut ws).unwrap();
            })
        });
    }
}

fn trpo_step(c: &mut Criterion) {
    for threads in [1, 2] {
        let agent = agent(64);
        let samples = Samples::new(2048);
        let (batch, config) = (samples.policy_batch(), TrpoConfig::default().step(1.0));
        let mut shards = Shards::new();
        bench_in_pool(c, "trpo_step_2048", threads, |iters| {
            for _ in 0..iters {
                let mut theta = agent.policy_theta().to_vec();
                policy_step(Reducer, agent.policy(), &mut theta, &batch, &config, &mut shards).unwrap();
            }
        });
    }
}

fn rollout(c: &mut Criterion) {
    for n in [8, 64] {
        let agent = agent(64);
        let env = Registry::builtin().get("CartPole-v1").unwrap().make_vec(n).unwrap();
        let mut collector = Collector::new(env, 0).unwrap();
        let mut batch = Batch::new(&agent);
        let mut episodes = Vec::new();
        c.bench_function(&format!("rollout_256/{n}_envs"), |b| {
            b.iter(|| {
                episodes.clear();
                let (policy, theta) = (agent.policy(), agent.policy_theta());
                collector.collect(policy, theta, 256, &mut batch.rollout, &mut episodes).unwrap();
            });
        });
        let mut shards = Shards::new();
        c.bench_function(&format!("values_and_gae_256/{n}_envs"), |b| {
            b.iter(|| batch.estimate_advantages(&agent, 0.99, 0.95, &mut shards).unwrap());
        });
    }
}

fn peak(c: &mut Criterion) {
    c.bench_function("fma_peak", |b| b.iter(|| fma_peak(black_box(0.999))));
}

criterion_group!(benches, peak, ppo_minibatch, parts, fisher, solve, trpo_step, rollout, wide);
criterion_main!(benches);
