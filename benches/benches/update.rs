//! The inner loops of both algorithms, part by part.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a benchmark that fails should stop")]

use std::hint::black_box;
use std::time::Instant;

use benches::{agent, fma_peak, minibatch, reals, rng};
use criterion::{Criterion, criterion_group, criterion_main};
use rl_algo::{Batch, LinearizedPolicy, PolicyBatch, Reducer};
use rl_env::Registry;
use rl_nn::{Input, Pair, Shards, Workspace};
use rl_optim::{Adam, AdamParams, LinearOperator, clip_scale, vector};
use rl_ppo::{PpoConfig, Scratch, minibatch_loss};
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

fn ppo_minibatch(c: &mut Criterion) {
    for threads in [1, 2] {
        let mut agent = agent(64);
        let batch = minibatch(64);
        let config = PpoConfig::default().loss(1.0);
        let mut grad = vec![0.0; agent.theta().len()];
        // The learning rate below is next to nothing, so that the same minibatch stays as hard as it is.
        let sizes = [agent.policy_theta().len(), agent.critic_theta().len()];
        let mut adam = sizes.map(|n| Adam::new(n, AdamParams { eps: 1e-5, ..AdamParams::default() }));
        let mut scratch: [Scratch<f32>; 2] = Default::default();
        bench_in_pool(c, "ppo_minibatch_64", threads, |iters| {
            Pair::with(|mut pair| {
                (0..iters).for_each(|_| {
                    let (policy, critic, theta) = (agent.policy(), agent.critic(), agent.theta());
                    let loss = minibatch_loss(
                        &mut pair,
                        Reducer,
                        policy,
                        critic,
                        theta,
                        &batch,
                        &config,
                        &mut grad,
                        &mut scratch,
                    );
                    let scale = clip_scale(loss.unwrap().grad_norm, 0.5);
                    let (policy, policy_theta, _, critic_theta) = agent.parts_mut();
                    let (policy_grad, critic_grad) = grad.split_at(policy.n_params());
                    let [policy_adam, critic_adam] = &mut adam;
                    let (policy, critic) = pair.join(
                        || policy_adam.step_scaled(policy_theta, policy_grad, scale, 1e-12),
                        || critic_adam.step_scaled(critic_theta, critic_grad, scale, 1e-12),
                    );
                    policy.and(critic).unwrap();
                })
            });
        });
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
            b.iter(|| policy.network.forward(net, Input::new(&x, 4).unwrap(), &mut y, &mut ws).unwrap());
        });
    }
    let grad = reals(&mut rng(), agent.theta().len());
    let mut theta = agent.theta().to_vec();
    let mut adam = Adam::new(grad.len(), AdamParams::default());
    c.bench_function("adam", |b| b.iter(|| adam.step(&mut theta, &grad, 1e-4).unwrap()));
    c.bench_function("norm", |b| b.iter(|| vector::norm(&grad)));
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
        let input = Input::new(&x, 4).unwrap();
        let mut pi = LinearizedPolicy::new(agent.policy(), agent.policy_theta(), input, &mut shards).unwrap();
        let mut fisher = pi.fisher(1.0);
        bench_in_pool(c, "fisher_2048", threads, |iters| {
            (0..iters).for_each(|_| fisher.apply(&v, &mut out).unwrap())
        });
    }
}

fn trpo_step(c: &mut Criterion) {
    for threads in [1, 2] {
        let agent = agent(64);
        let batch = minibatch(2048);
        let mut shards = Shards::new();
        let config = TrpoConfig::default();
        let batch = PolicyBatch {
            observations: Input::new(&batch.observations, 4).unwrap(),
            actions: batch.actions.as_ref(),
            advantages: &batch.advantages,
            old_log_probs: &batch.old_log_probs,
        };
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

fn wide(c: &mut Criterion) {
    for width in [256, 1024] {
        let agent = agent(width);
        let batch = minibatch(256);
        let config = PpoConfig::default().loss(1.0);
        let mut grad = vec![0.0; agent.theta().len()];
        let mut scratch: [Scratch<f32>; 2] = Default::default();
        bench_in_pool(c, &format!("ppo_gradient_256_wide_{width}"), 2, |iters| {
            Pair::with(|mut pair| {
                for _ in 0..iters {
                    let (policy, critic, theta) = (agent.policy(), agent.critic(), agent.theta());
                    minibatch_loss(
                        &mut pair,
                        Reducer,
                        policy,
                        critic,
                        theta,
                        &batch,
                        &config,
                        &mut grad,
                        &mut scratch,
                    )
                    .unwrap();
                }
            });
        });
    }
}

fn peak(c: &mut Criterion) {
    c.bench_function("fma_peak", |b| b.iter(|| fma_peak(black_box(0.999))));
}

criterion_group!(benches, peak, ppo_minibatch, parts, fisher, trpo_step, rollout, wide);
criterion_main!(benches);
