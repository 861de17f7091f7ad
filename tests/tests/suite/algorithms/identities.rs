//! Identities of the source documents: sampled divergences, worked numbers, the first ratio of an update.

#![allow(clippy::disallowed_methods, reason = "the system's functions as references")]

use std::sync::Arc;

use rand::SeedableRng;
use rl_algo::{LinearizedPolicy, Reducer};
use rl_env::EnvRng;
use rl_nn::distribution::{Categorical, DiagGaussian, Noise, SampleRng};
use rl_nn::{ActionsRef, Activation, DistGrad, DistParams, Distribution, Mlp, PolicyModel, Shards, States};
use rl_optim::LinearOperator;
use rl_optim::vector::{dot, norm};

/// The Monte-Carlo estimate `mean log(π_old(a)/π_new(a))`, `a ~ π_old`, lies within four standard errors of the closed form.
fn sampled_kl(dist: &dyn Distribution<f64>, old: (&[f64], &[f64]), new: (&[f64], &[f64])) {
    const N: usize = 100_000;
    let repeat = |y: &[f64]| y.iter().copied().cycle().take(N * y.len()).collect::<Vec<_>>();
    let (old_y, new_y) = (repeat(old.0), repeat(new.0));
    let old = DistParams { y: &old_y, globals: old.1 };
    let new = DistParams { y: &new_y, globals: new.1 };
    let rngs: Vec<SampleRng> = (0..N).map(|i| rl_env::rng::stream(5, "kl", i as u64)).collect();
    let (mut actions, mut log_old) = (dist.new_actions(), vec![0.0; N]);
    dist.sample(old, &mut Noise::new(rngs), &mut actions, &mut log_old).unwrap();
    let mut log_new = vec![0.0; N];
    dist.log_prob(new, actions.as_ref(), &mut log_new).unwrap();
    let terms: Vec<f64> = log_old.iter().zip(&log_new).map(|(o, n)| o - n).collect();
    let mean = Reducer.mean(&terms);
    let variance = terms.iter().map(|t| (t - mean).powi(2)).sum::<f64>() / (N - 1) as f64;
    let mut kl = vec![0.0; N];
    dist.kl(old, new, &mut kl).unwrap();
    let standard_error = (variance / N as f64).sqrt();
    assert!((mean - kl[0]).abs() < 4.0 * standard_error, "sampled {mean}, closed form {}", kl[0]);
    assert!(kl[0] > 20.0 * standard_error, "the case must be able to fail");

    // The same sample gives the entropy: H = −mean log π.
    let mut entropy = vec![0.0; N];
    dist.entropy(old, &mut entropy).unwrap();
    assert!((Reducer.mean(&log_old) + entropy[0]).abs() < 0.01);
}

#[test]
fn sampled_divergences_agree_with_the_closed_forms() {
    sampled_kl(&Categorical { n: 4 }, (&[0.1, -0.5, 1.0, 0.0], &[]), (&[0.6, -0.2, 0.4, -1.0], &[]));
    sampled_kl(&DiagGaussian { dim: 2 }, (&[0.3, -0.1], &[-0.2, 0.4]), (&[0.0, 0.3], &[0.1, 0.2]));
}

/// Source document 000, section 6.2: ratios 0.3/0.2 and 0.6/0.5 with advantages 5 and −1. The surrogate is their mean, 3.15
/// (the document prints the sum, 6.3).
#[test]
fn the_two_sample_surrogate() {
    let logits = |p: f64| [p.ln(), (1.0 - p).ln()];
    let log_prob = |p: &[f64; 2]| {
        let y = [logits(p[0]), logits(p[1])].concat();
        let mut out = [0.0; 2];
        let params = DistParams { y: &y, globals: &[] };
        Categorical { n: 2 }.log_prob(params, ActionsRef::Discrete(&[0, 0]), &mut out).unwrap();
        out
    };
    let (old, new) = (log_prob(&[0.2, 0.5]), log_prob(&[0.3, 0.6]));
    let terms: Vec<f64> = (0..2).map(|i| (new[i] - old[i]).exp() * [5.0, -1.0][i]).collect();
    assert!((Reducer.mean(&terms) - 3.15).abs() < 1e-12);
}

/// The Fisher operator is symmetric and positive semi-definite, and its metric is `E[∇log π ∇log πᵀ]`.
#[test]
fn the_fisher_operator_is_symmetric_and_positive() {
    let mut rng = EnvRng::seed_from_u64(4);
    let draw = |rng: &mut EnvRng, n: usize| -> Vec<f64> {
        use rand::Rng;
        (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
    };
    let dists: [Arc<dyn Distribution<f64>>; 2] =
        [Arc::new(Categorical { n: 3 }), Arc::new(DiagGaussian { dim: 3 })];
    for dist in dists {
        let net = Arc::new(Mlp::new(&[2, 8, 3], Activation::Tanh).unwrap());
        let policy = PolicyModel::new(net, dist).unwrap();
        let (theta, x) = (draw(&mut rng, policy.n_params()), draw(&mut rng, 20));
        let mut shards = Shards::new();
        let mut pi =
            LinearizedPolicy::new(&policy, &theta, States::new(&x, 2).unwrap(), &mut shards).unwrap();
        let mut fisher = pi.fisher(1.0);
        for _ in 0..20 {
            let (u, v) = (draw(&mut rng, theta.len()), draw(&mut rng, theta.len()));
            let (mut fu, mut fv) = (vec![0.0; u.len()], vec![0.0; u.len()]);
            fisher.apply(&u, &mut fu).unwrap();
            fisher.apply(&v, &mut fv).unwrap();
            assert!((dot(&u, &fv) - dot(&v, &fu)).abs() < 1e-12 * norm(&u) * norm(&v));
            assert!(dot(&u, &fu) >= 0.0);
        }
    }
}

/// `M` by its definition for a categorical: the probability-weighted outer products of `∇log π(a)`.
#[test]
fn the_metric_is_the_expected_outer_product_of_scores() {
    let (dist, y) = (Categorical { n: 3 }, [0.2, -0.7, 1.1]);
    let p = DistParams { y: &y, globals: &[] };
    let t = [0.5, -1.0, 2.0];
    let mut expected = [0.0; 3];
    for a in 0..3 {
        let (mut score, mut log_prob) = ([0.0; 3], [0.0]);
        dist.log_prob(p, ActionsRef::Discrete(&[a]), &mut log_prob).unwrap();
        dist.log_prob_grad(
            p,
            ActionsRef::Discrete(&[a]),
            &[1.0],
            DistGrad { y: &mut score, globals: &mut [] },
        )
        .unwrap();
        let along: f64 = score.iter().zip(&t).map(|(s, t)| s * t).sum();
        expected.iter_mut().zip(score).for_each(|(e, s)| *e += log_prob[0].exp() * along * s);
    }
    let mut got = t;
    dist.fisher(p, 1.0, DistGrad { y: &mut got, globals: &mut [] }).unwrap();
    got.iter().zip(expected).for_each(|(g, e)| assert!((g - e).abs() < 1e-14));
}
