//! TRPO's promise, recomputed by other means: at every update of whole training runs the mean KL(old‖new), computed in f64 from
//! the parameters before and after by a network and divergences written here, is within the trust region.

#![allow(clippy::disallowed_methods, reason = "the system's functions as references")]
#![allow(clippy::print_stdout, reason = "the distribution is worth reading")]

use std::sync::{Arc, Mutex};

use rl_algo::{ActorCritic, AlgoError, Algorithm, Batch, NetConfig, Outcome, Report, UpdateContext};
use rl_env::{Registry, Space};
use rl_train::{TrainConfig, Trainer, new_agent};
use rl_trpo::{Trpo, TrpoConfig};

const MAX_KL: f64 = 0.01;

/// What was recomputed of one update: KL / max_kl, or `None` for a refused one, which must not have moved the policy.
type Record = Arc<Mutex<Vec<Option<f64>>>>;

/// TRPO, watched: the updates are its own.
struct Watched {
    trpo: Trpo,
    continuous: bool,
    record: Record,
}

impl Algorithm for Watched {
    fn update(
        &mut self,
        agent: &mut ActorCritic,
        batch: &Batch,
        ctx: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError> {
        let before = agent.policy_theta().to_vec();
        let report = self.trpo.update(agent, batch, ctx)?;
        let after = agent.policy_theta();
        let n_in = agent.policy().network.n_inputs();
        let n_out = agent.policy().network.n_outputs();
        let states = batch.rollout.observations.chunks_exact(n_in);
        let n = states.len() as f64;
        let kl = states.map(|s| kl(self.continuous, &before, after, s, n_out)).sum::<f64>() / n;
        let applied = report.outcome == Outcome::Applied;
        assert_eq!(applied, before != after, "a refused update leaves the policy, an accepted one moves it");
        let reported = report.approx_kl.unwrap_or(f64::NAN);
        assert!((reported - kl).abs() <= 1e-4 * MAX_KL + 1e-3 * kl, "reported {reported}, recomputed {kl}");
        self.record.lock().unwrap().push(applied.then_some(kl / MAX_KL));
        Ok(report)
    }
}

/// A 64-64 tanh network in f64, layer by layer.
fn forward(theta: &[f32], x: &[f32], n_out: usize) -> (Vec<f64>, Vec<f64>) {
    let mut h: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
    let mut at = 0;
    for (l, n) in [64, 64, n_out].into_iter().enumerate() {
        let (w, b) = theta[at..at + n * h.len() + n].split_at(n * h.len());
        at += w.len() + b.len();
        let linear = |o: usize| -> f64 {
            let row = &w[o * h.len()..(o + 1) * h.len()];
            f64::from(b[o]) + row.iter().zip(&h).map(|(&w, h)| f64::from(w) * h).sum::<f64>()
        };
        h = (0..n).map(|o| if l < 2 { linear(o).tanh() } else { linear(o) }).collect();
    }
    (h, theta[at..].iter().map(|&x| f64::from(x)).collect())
}

fn kl(continuous: bool, old: &[f32], new: &[f32], x: &[f32], n_out: usize) -> f64 {
    let ((y_old, s_old), (y_new, s_new)) = (forward(old, x, n_out), forward(new, x, n_out));
    if continuous {
        let term = |i: usize| {
            let (v_old, v_new): (f64, f64) = ((2.0 * s_old[i]).exp(), (2.0 * s_new[i]).exp());
            s_new[i] - s_old[i] + (v_old + (y_old[i] - y_new[i]).powi(2)) / (2.0 * v_new) - 0.5
        };
        (0..n_out).map(term).sum()
    } else {
        let softmax = |y: &[f64]| {
            let z: f64 = y.iter().map(|y| y.exp()).sum();
            y.iter().map(|y| y.exp() / z).collect::<Vec<_>>()
        };
        softmax(&y_old).iter().zip(softmax(&y_new)).map(|(p, q)| p * (p / q).ln()).sum()
    }
}

fn check(env: &str, config: TrainConfig, trpo: &TrpoConfig) {
    let env = Registry::builtin().get(env).unwrap().clone();
    let record = Record::default();
    for seed in 0..3 {
        let continuous = matches!(env.make().action_space(), Space::Box(_));
        let watched = Watched { trpo: Trpo::new(trpo.clone()).unwrap(), continuous, record: record.clone() };
        let agent = new_agent(&env, &NetConfig::default(), seed).unwrap();
        Trainer::new(&env, config, agent, Box::new(watched), seed).unwrap().run().unwrap();
    }
    let record = record.lock().unwrap();
    let mut ratios: Vec<f64> = record.iter().filter_map(|r| *r).collect();
    ratios.sort_by(f64::total_cmp);
    let quantile = |q: f64| ratios[((ratios.len() - 1) as f64 * q).round() as usize];
    println!(
        "{}: {} of {} updates accepted; KL/max_kl min {:.3}, quartiles {:.3} {:.3} {:.3}, max {:.6}",
        env.id,
        ratios.len(),
        record.len(),
        quantile(0.0),
        quantile(0.25),
        quantile(0.5),
        quantile(0.75),
        quantile(1.0),
    );
    assert!(quantile(1.0) <= 1.0 + 1e-3, "an update left the trust region");
    assert!(
        ratios.len() as f64 >= 0.9 * record.len() as f64,
        "{} of {} accepted",
        ratios.len(),
        record.len()
    );
}

/// The preset of rl-baselines3-zoo.
#[test]
fn every_update_on_cartpole_is_within_the_trust_region() {
    let config = TrainConfig { n_envs: 2, n_steps: 512, gae_lambda: 0.98, ..TrainConfig::default() };
    let trpo =
        TrpoConfig { cg_damping: 1e-3, n_critic_updates: 20, batch_size: Some(512), ..TrpoConfig::default() };
    check("CartPole-v1", config, &trpo);
}

/// The preset of rl-baselines3-zoo, with a free log standard deviation.
#[test]
fn every_update_on_pendulum_is_within_the_trust_region() {
    let config = TrainConfig { n_envs: 2, n_steps: 1024, gamma: 0.9, ..TrainConfig::default() };
    let trpo = TrpoConfig { n_critic_updates: 15, ..TrpoConfig::default() };
    check("Pendulum-v1", config, &trpo);
}

/// sb3-contrib's divergence is a mean over action dimensions: a radius and a damping that count `d` times. With these written out, the sum takes the
/// same step.
#[test]
fn a_mean_over_dimensions_is_a_sum_with_a_larger_radius_and_damping() {
    use rand::Rng;
    use rl_algo::{PolicyBatch, Reducer};
    use rl_env::rng::stream;
    use rl_nn::{
        ActionsRef, Activation, DistParams, Mlp, PolicyModel, Shards, States, distribution::DiagGaussian,
    };
    use rl_trpo::{KlReduction, policy_step};

    let (dim, rows) = (3, 60);
    let mut rng = stream(4, "mean", 0);
    let mut draw = |n: usize| -> Vec<f64> { (0..n).map(|_| rng.random_range(-1.0..1.0)).collect() };
    let network = Arc::new(Mlp::new(&[2, 8, dim], Activation::Tanh).unwrap());
    let policy = PolicyModel::<f64>::new(network, Arc::new(DiagGaussian { dim })).unwrap();
    let (theta, obs, actions, advantages) =
        (draw(policy.n_params()), draw(2 * rows), draw(dim * rows), draw(rows));
    let observations = States::new(&obs, 2).unwrap();
    let mut y = vec![0.0; dim * rows];
    let (net, globals) = policy.split(&theta).unwrap();
    Shards::new().forward(&*policy.network, net, &observations, &mut y).unwrap();
    let mut old_log_probs = vec![0.0; rows];
    let actions = ActionsRef::Continuous(&actions);
    policy.distribution.log_prob(DistParams { y: &y, globals }, actions, &mut old_log_probs).unwrap();
    let batch = PolicyBatch { observations, actions, advantages: &advantages, old_log_probs: &old_log_probs };
    let step = |config: TrpoConfig| {
        let mut theta = theta.clone();
        let step =
            policy_step(Reducer, &policy, &mut theta, &batch, &config.step(1.0), &mut Shards::new()).unwrap();
        assert_eq!(step.outcome, Outcome::Applied);
        (theta, step.constraint_kl)
    };
    let mean = TrpoConfig { kl_reduction: KlReduction::MeanPerDim, cg_iters: 50, ..TrpoConfig::default() };
    let sum = TrpoConfig { max_kl: 0.03.into(), cg_damping: 3.0 * mean.cg_damping, ..mean.clone() };
    let sum = TrpoConfig { kl_reduction: KlReduction::Sum, ..sum };
    let ((a, kl), (b, kl_sum)) = (step(mean.clone()), step(sum));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-7), "{a:?} {b:?}");
    assert!((3.0 * kl - kl_sum).abs() < 1e-7 && kl <= 0.01, "{kl} {kl_sum}");
    let plain = step(TrpoConfig { kl_reduction: KlReduction::Sum, ..mean });
    assert!(plain.0.iter().zip(&a).any(|(p, a)| (p - a).abs() > 1e-4), "the setting must matter");
}
