//! The Fisher operator of policies on convolutional, normalised and candle networks, in `f64`: symmetric, positive, and the Hessian of the mean
//! divergence at equality.

use std::sync::Arc;

use candle_core::{Device, Module};
use candle_nn::linear;
use rand::{Rng, SeedableRng};
use rl_algo::LinearizedPolicy;
use rl_env::EnvRng;
use rl_nn::distribution::{Categorical, DiagGaussian};
use rl_nn::{
    Activation, CandleNetwork, Chain, Cnn, CnnSpec, Convolution, DistGrad, DistParams, Distribution,
    Initialization, LayerNorm, Mlp, Network, PolicyModel, Shards, States,
};
use rl_optim::LinearOperator;
use rl_optim::vector::{dot, norm};
use rl_test_support::assert_near;

type Net = Arc<dyn Network<f64>>;

fn chain(parts: Vec<(&str, Net)>) -> Net {
    Arc::new(Chain::new(parts.into_iter().map(|(name, net)| (name.to_owned(), net)).collect()).unwrap())
}

/// Networks with three outputs.
fn networks() -> Vec<(&'static str, Net)> {
    let cnn = CnnSpec {
        image: [2, 5, 6],
        convolutions: vec![
            Convolution { channels: 3, kernel: 3, stride: 1 },
            Convolution { channels: 4, kernel: 2, stride: 2 },
        ],
        features: 7,
        activation: Activation::Tanh,
        scale: Some(0.5),
    };
    let candle = CandleNetwork::new(6, 3, &Device::Cpu, |vb, x| {
        let h = linear(6, 8, vb.pp("a"))?.forward(x)?.silu()?;
        linear(8, 3, vb.pp("b"))?.forward(&(h.tanh()? + h)?)
    });
    vec![
        (
            "images",
            chain(vec![
                ("cnn", Arc::new(Cnn::new(&cnn).unwrap())),
                ("head", Arc::new(Mlp::new(&[7, 3], Activation::Tanh).unwrap())),
            ]),
        ),
        ("normalised", Arc::new(LayerNorm::mlp(&[6, 9, 8, 3], Activation::Silu, false).unwrap())),
        ("a candle module", Arc::new(candle.unwrap())),
    ]
}

#[test]
fn fisher_operators_are_hessians() {
    for (what, net) in networks() {
        let distributions: [Arc<dyn Distribution<f64>>; 2] =
            [Arc::new(Categorical { n: 3 }), Arc::new(DiagGaussian { dim: 3 })];
        for distribution in distributions {
            let policy = PolicyModel::new(net.clone(), distribution).unwrap();
            is_hessian(what, &policy);
        }
    }
}

fn is_hessian(what: &str, policy: &PolicyModel<f64>) {
    let (mut rng, rows) = (EnvRng::seed_from_u64(1), 11);
    let n = policy.network.n_params();
    let mut theta = vec![0.0; policy.n_params()];
    let how = Initialization::Orthogonal { output_gain: 1.0 };
    policy.network.init(&mut theta[..n], how, &mut rng).unwrap();
    let mut draw = |n: usize| (0..n).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<f64>>();
    theta.iter_mut().zip(draw(policy.n_params())).for_each(|(t, d)| *t += 0.1 * d);
    let [u, v] = [0; 2].map(|_| draw(theta.len()));
    let x = draw(rows * policy.network.n_inputs());
    let states = States::new(&x, policy.network.n_inputs()).unwrap();
    let mut shards = Shards::new();
    let mut pi = LinearizedPolicy::new(policy, &theta, states, &mut shards).unwrap();
    let old_y = pi.params().y.to_vec();
    let mut fisher = pi.fisher(1.0);
    let [mut fu, mut fv] = [vec![0.0; u.len()], vec![0.0; v.len()]];
    fisher.apply(&u, &mut fu).unwrap();
    fisher.apply(&v, &mut fv).unwrap();
    // A candle module's tangents are differences.
    let asymmetry = (dot(&u, &fv) - dot(&v, &fu)).abs() / (norm(&u) * norm(&fv));
    assert!(asymmetry < 1e-8, "{what}: {asymmetry:e}");
    assert!(dot(&u, &fu) > 0.0 && dot(&v, &fv) > 0.0, "{what}");

    // ∇KL(θ‖θ + hv) by a fresh linearisation.
    let gradient_at = |h: f64| {
        let moved: Vec<f64> = theta.iter().zip(&v).map(|(t, v)| t + h * v).collect();
        let mut shards = Shards::new();
        let mut pi = LinearizedPolicy::new(policy, &moved, states, &mut shards).unwrap();
        let old = DistParams { y: &old_y, globals: &theta[n..] };
        let (mut dy, mut dglobals) = (vec![0.0; old_y.len()], vec![0.0; theta.len() - n]);
        let grad = DistGrad { y: &mut dy, globals: &mut dglobals };
        policy.distribution.kl_grad(old, pi.params(), 1.0 / rows as f64, grad).unwrap();
        let mut grad = vec![0.0; theta.len()];
        pi.pull_back(&dy, &dglobals, &mut grad).unwrap();
        grad
    };
    let h = 1e-5;
    let hessian: Vec<f64> =
        gradient_at(h).iter().zip(gradient_at(-h)).map(|(a, b)| (a - b) / (2.0 * h)).collect();
    assert_near(what, &fv, &hessian, 1e-6);
}
