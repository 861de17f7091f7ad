//! The Mlp's hand-derived products against candle's graph, central differences and each other.

#![allow(clippy::unwrap_used, reason = "a failure in a helper is a failed test")]

use std::sync::Arc;

use candle_core::{Device, Tensor, Var};
use rand::{Rng, SeedableRng};
use rl_algo::LinearizedPolicy;
use rl_env::EnvRng;
use rl_nn::distribution::{Categorical, DiagGaussian};
use rl_nn::{
    Activation, DistGrad, DistParams, Distribution, Forward, Linearized, Mirror, Mlp, Network, PolicyModel,
    Real, SHARD_ROWS, Shards, States, TensorNetwork, Workspace,
};
use rl_optim::{GaussNewton, LinearOperator, OptimError};
use rl_test_support::assert_near;
use rl_tests::narrow;

fn draw(rng: &mut EnvRng, n: usize) -> Vec<f64> {
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

const SHAPES: [(&[usize], Activation); 11] = [
    (&[20, 3], Activation::Tanh),
    (&[24, 40, 40, 18], Activation::Relu),
    (&[3, 2], Activation::Tanh),
    (&[4, 64, 64, 2], Activation::Tanh),
    (&[3, 17, 5, 1], Activation::Tanh),
    (&[5, 33, 6], Activation::Relu),
    (&[1, 1, 1, 1, 1], Activation::Tanh),
    (&[5, 20, 33, 6], Activation::Elu),
    (&[5, 20, 33, 6], Activation::Gelu),
    (&[5, 20, 33, 6], Activation::Silu),
    (&[5, 20, 33, 6], Activation::LeakyRelu),
];

/// `(y, Jᵀ dy)` of a network in its own precision.
fn products<F: Real>(net: &Mlp, theta: &[F], x: &[F], dy: &[F]) -> (Vec<F>, Vec<F>) {
    let (net, input): (&dyn Network<F>, _) = (net, States::new(x, net.sizes()[0]).unwrap());
    let (mut y, mut grad) = (vec![F::nan(); dy.len()], vec![F::nan(); theta.len()]);
    let mut ws = Workspace::default();
    Forward::new(net, theta, &mut ws).unwrap().run(&input, &mut y).unwrap();
    let mut linearized = Linearized::new(net, theta, input, &mut ws).unwrap();
    let wide = |x: &[F]| x.iter().map(|x| x.widen()).collect::<Vec<_>>();
    assert_near("the recorded output", &wide(linearized.output()), &wide(&y), 1e-6);
    linearized.vjp(dy, &mut grad, None).unwrap();
    (y, grad)
}

/// candle's graph in `f64` is the reference: for the same numbers, ours in `f64` to rounding, and ours in `f32` to that of `f32`.
#[test]
fn forward_and_gradient_equal_candles() {
    let mut rng = EnvRng::seed_from_u64(1);
    for (sizes, activation) in SHAPES {
        let [linear, activated] = [Mlp::new, Mlp::trunk].map(|make| make(sizes, activation).unwrap());
        for (net, rows) in [(&linear, 1), (&linear, 7), (&linear, 64), (&activated, 7), (&activated, 64)] {
            let n_outputs = sizes[sizes.len() - 1];
            let n_params = Network::<f64>::n_params(net);
            let mut draw = |n: usize| narrow::<f32>(&draw(&mut rng, n));
            let [theta, x, dy] = [draw(n_params), draw(rows * sizes[0]), draw(rows * n_outputs)];
            let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
            let [theta64, x64, dy64] = [&theta, &x, &dy].map(|x| wide(x));

            let var = Var::from_slice(&theta64, n_params, &Device::Cpu).unwrap();
            let x_tensor = Tensor::from_slice(&x64, (rows, sizes[0]), &Device::Cpu).unwrap();
            let y_tensor = net.forward_tensor(var.as_tensor(), &x_tensor).unwrap();
            let weights = Tensor::from_slice(&dy64, (rows, n_outputs), &Device::Cpu).unwrap();
            let grads = (&y_tensor * weights).unwrap().sum_all().unwrap().backward().unwrap();
            let grad_tensor = grads.get(var.as_tensor()).expect("a gradient reaches theta");
            let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            let (y_expected, grad_expected) = (values(&y_tensor), values(grad_tensor));

            let (y, grad) = products(net, &theta64, &x64, &dy64);
            assert_near("forward in f64", &y, &y_expected, 1e-14);
            // candle's own slope of gelu has constants of f32.
            let tolerance = if activation == Activation::Gelu { 1e-6 } else { 1e-14 };
            assert_near(&format!("vjp in f64 of {activation:?}"), &grad, &grad_expected, tolerance);
            let (y, grad) = products(net, &theta, &x, &dy);
            assert_near("forward", &y, &y_expected, 1e-6);
            // A chain of single neurons has a gradient of five slopes 1 − a² in a row, each of which cancels where a neuron saturates.
            let tolerance = if sizes.iter().all(|&n| n == 1) { 1e-5 } else { 2e-6 };
            assert_near(
                &format!("vjp of {sizes:?}, {activation:?}, {rows} rows"),
                &grad,
                &grad_expected,
                tolerance,
            );
        }
    }
}

/// A refreshed mirror shows the new parameters; an unchanged version costs nothing and changes nothing.
#[test]
fn the_mirror_follows_the_host() {
    let mut mirror = Mirror::new(&[1.0, 2.0], &Device::Cpu).unwrap();
    let snapshot: Var = mirror.var().clone();
    assert_eq!(mirror.refresh(&[3.0, 4.0], 7).unwrap().to_vec1::<f32>().unwrap(), [3.0, 4.0]);
    assert_eq!(mirror.refresh(&[5.0, 6.0], 7).unwrap().to_vec1::<f32>().unwrap(), [3.0, 4.0]);
    assert_eq!(snapshot.to_vec1::<f32>().unwrap(), [3.0, 4.0]);
    assert!(mirror.refresh(&[1.0], 8).is_err());
}

/// `J v` by central differences, and `⟨dy, J v⟩ = ⟨Jᵀ dy, v⟩`.
#[test]
fn forward_mode_is_the_derivative_and_the_adjoint_of_reverse_mode() {
    let mut rng = EnvRng::seed_from_u64(2);
    for (sizes, activation) in SHAPES {
        let net = Mlp::new(sizes, activation).unwrap();
        let net: &dyn Network<f64> = &net;
        let rows = 9;
        let (theta, v) = (draw(&mut rng, net.n_params()), draw(&mut rng, net.n_params()));
        let (x, dy) = (draw(&mut rng, rows * sizes[0]), draw(&mut rng, rows * net.n_outputs()));
        let input = States::new(&x, sizes[0]).unwrap();
        let mut ws = Workspace::default();
        let mut linearized = Linearized::new(net, &theta, input, &mut ws).unwrap();
        let (mut jv, mut jt_dy) = (vec![0.0; dy.len()], vec![0.0; v.len()]);
        linearized.jvp(&v, None, &mut jv).unwrap();
        linearized.vjp(&dy, &mut jt_dy, None).unwrap();

        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        assert!((dot(&dy, &jv) - dot(&jt_dy, &v)).abs() < 1e-10 * dot(&v, &v));

        let at = |h: f64| {
            let moved: Vec<f64> = theta.iter().zip(&v).map(|(t, v)| t + h * v).collect();
            let mut y = vec![0.0; dy.len()];
            let mut ws = Workspace::default();
            Forward::new(net, &moved, &mut ws).unwrap().run(&input, &mut y).unwrap();
            y
        };
        let differences: Vec<f64> = at(1e-6).iter().zip(at(-1e-6)).map(|(p, m)| (p - m) / 2e-6).collect();
        assert_near("jvp", &jv, &differences, 1e-7);
    }
}

/// Passes that share what depends on θ are the passes alone: for few rows and many in turn, and again with another θ.
#[test]
fn prepared_passes_equal_single_ones() {
    let mut rng = EnvRng::seed_from_u64(5);
    let (mut ws, mut other_ws) = (Workspace::default(), Workspace::default());
    for sizes in [&[3, 20, 7, 2][..], &[3, 300, 300, 2], &[3, 2]] {
        let net = Mlp::new(sizes, Activation::Tanh).unwrap();
        for _ in 0..2 {
            let theta: Vec<f32> = narrow(&draw(&mut rng, Network::<f32>::n_params(&net)));
            let mut forward = Forward::new(&net, &theta, &mut ws).unwrap();
            for rows in [1, 16, 17, 40, 1, 8] {
                let x: Vec<f32> = narrow(&draw(&mut rng, rows * 3));
                let (mut got, mut expected) = (vec![0.0; rows * 2], vec![1.0; rows * 2]);
                let input = States::new(&x, 3).unwrap();
                forward.run(&input, &mut got).unwrap();
                let mut alone = Forward::new(&net, &theta, &mut other_ws).unwrap();
                alone.run(&input, &mut expected).unwrap();
                assert_eq!(got, expected, "{rows} rows through {sizes:?}");
            }
        }
    }
    let net = Mlp::new(&[3, 2], Activation::Tanh).unwrap();
    assert!(Forward::<f32>::new(&net, &[0.0; 7], &mut ws).is_err());
    let mut forward = Forward::new(&net, &[0.0_f32; 8], &mut ws).unwrap();
    assert!(forward.run(&States::new(&[0.0; 3], 3).unwrap(), &mut [0.0; 3]).is_err());
}

fn sharded_equals_whole<F: Real + Into<f64>>(tolerance: f64) {
    let mut rng = EnvRng::seed_from_u64(3);
    // The wider one has more than 2¹⁶ parameters, and larger shards.
    let small = [1, SHARD_ROWS, SHARD_ROWS + 1, 5 * SHARD_ROWS + 17].map(|rows| (32, rows));
    for (width, rows) in small.into_iter().chain([(260, 3 * SHARD_ROWS + 5)]) {
        let net = Mlp::new(&[4, width, width, 3], Activation::Tanh).unwrap();
        let net: &dyn Network<F> = &net;
        let theta = narrow::<F>(&draw(&mut rng, net.n_params()));
        let (v, x) = (narrow::<F>(&draw(&mut rng, net.n_params())), narrow::<F>(&draw(&mut rng, rows * 4)));
        let dy = narrow::<F>(&draw(&mut rng, rows * 3));
        let input = States::new(&x, 4).unwrap();
        let (mut ws, mut shards) = (Workspace::default(), Shards::new());

        let mut forward = vec![F::zero(); rows * 3];
        shards.forward(net, &theta, &input, &mut forward).unwrap();
        let mut whole = Linearized::new(net, &theta, input, &mut ws).unwrap();
        let mut sharded = shards.linearize(net, &theta, input).unwrap();
        let (mut jv, mut grad) = ([forward.clone(), forward.clone()], [theta.clone(), theta.clone()]);
        whole.jvp(&v, None, &mut jv[0]).unwrap();
        sharded.jvp(&v, &mut jv[1]).unwrap();
        // Whatever was there before is gone.
        grad[0].fill(F::one());
        whole.vjp(&dy, &mut grad[0], None).unwrap();
        sharded.vjp(&dy, &mut grad[1]).unwrap();

        let wide = |x: &[F]| x.iter().map(|x| x.widen()).collect::<Vec<_>>();
        assert_near("forward", &forward, &wide(whole.output()), tolerance);
        assert_near("the recorded output", sharded.output(), &wide(whole.output()), tolerance);
        assert_near("jvp", &jv[1], &wide(&jv[0]), tolerance);
        assert_near("vjp adds", &grad[1], &wide(&grad[0]), tolerance);
    }
}

#[test]
fn shards_change_nothing_but_rounding() {
    sharded_equals_whole::<f64>(1e-13);
    sharded_equals_whole::<f32>(1e-5);
}

#[test]
fn slices_that_do_not_fit_are_errors() {
    let net = Mlp::new(&[2, 3, 1], Activation::Tanh).unwrap();
    let net: &dyn Network<f32> = &net;
    let (theta, mut ws) = (vec![0.0; net.n_params()], Workspace::default());
    let x = States::new(&[0.0_f32; 4], 2).unwrap();
    assert!(Forward::new(net, &theta[1..], &mut ws).is_err());
    assert!(Linearized::new(net, &theta[1..], x, &mut Workspace::default()).is_err());
    let mut forward = Forward::new(net, &theta, &mut ws).unwrap();
    assert!(forward.run(&x, &mut [0.0; 3]).is_err());
    assert!(forward.run(&States::new(&[0.0; 6], 3).unwrap(), &mut [0.0; 2]).is_err());
    let mut other = Workspace::default();
    let mut linearized = Linearized::new(net, &theta, x, &mut other).unwrap();
    assert!(linearized.vjp(&[0.0; 2], &mut vec![0.0; theta.len()], Some(&mut [0.0; 3])).is_err());
    assert!(linearized.jvp(&theta, Some(&[0.0; 3]), &mut [0.0; 2]).is_err());
    assert!(States::new(&[0.0_f32; 5], 2).is_err());
    assert!(Mlp::new(&[2], Activation::Tanh).is_err());
    assert!(Mlp::new(&[2, 0, 1], Activation::Tanh).is_err());
}

/// The Fisher product goes through a shard at a time; composed of whole products it is the same operator.
#[test]
fn the_fisher_product_is_the_composition_of_its_parts() {
    let mut rng = EnvRng::seed_from_u64(4);
    let distributions: [(usize, Arc<dyn Distribution<f64>>); 2] =
        [(3, Arc::new(Categorical { n: 3 })), (2, Arc::new(DiagGaussian { dim: 2 }))];
    for (n, distribution) in distributions {
        let net = Arc::new(Mlp::new(&[4, 20, 20, n], Activation::Tanh).unwrap());
        let policy = PolicyModel::new(net, distribution).unwrap();
        for rows in [1, SHARD_ROWS, 3 * SHARD_ROWS + 17] {
            let (theta, v) = (draw(&mut rng, policy.n_params()), draw(&mut rng, policy.n_params()));
            let x = draw(&mut rng, rows * 4);
            let mut shards = Shards::new();
            let mut pi =
                LinearizedPolicy::new(&policy, &theta, States::new(&x, 4).unwrap(), &mut shards).unwrap();
            let (mut fused, mut composed) = (vec![1.0; v.len()], vec![2.0; v.len()]);
            pi.fisher(0.7).apply(&v, &mut fused).unwrap();

            let (y, globals) = (pi.params().y.to_vec(), pi.params().globals.to_vec());
            let params = DistParams { y: &y, globals: &globals };
            let metric = |t: &mut [f64]| {
                let (t_y, t_globals) = t.split_at_mut(y.len());
                let tangent = DistGrad { y: t_y, globals: t_globals };
                policy.distribution.fisher(params, 0.7 / rows as f64, tangent).map_err(OptimError::operator)
            };
            GaussNewton::new(&mut pi, metric).apply(&v, &mut composed).unwrap();
            assert_near(&format!("{rows} rows"), &fused, &composed, 1e-13);
        }
    }
}
