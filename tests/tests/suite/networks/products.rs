//! Hand-derived products against candle's graph, central differences and each other.

use std::sync::Arc;

use candle_core::{Device, Tensor, Var};
use rand::{Rng, SeedableRng};
use rl_algo::LinearizedPolicy;
use rl_env::EnvRng;
use rl_nn::distribution::{Categorical, DiagGaussian};
use rl_nn::{
    Activation, Chain, Cnn, CnnSpec, Convolution, DistGrad, DistParams, Distribution, Fork, Forward,
    Identity, LayerNorm, Linearized, Mirror, Mlp, Network, PolicyModel, Real, SHARD_ROWS, Shards, States,
    TensorNetwork, Workspace,
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

/// What ours and candle's networks are: the same function in both precisions and in a graph.
trait Both: Network<f32> + Network<f64> + TensorNetwork {}
impl<N: Network<f32> + Network<f64> + TensorNetwork> Both for N {}

/// `(y, J_θᵀ dy, J_xᵀ dy)` of a network in its own precision.
fn products<F: Real>(net: &dyn Network<F>, theta: &[F], x: &[F], dy: &[F]) -> [Vec<F>; 3] {
    let input = States::new(x, net.n_inputs()).unwrap();
    let (mut y, mut grad, mut dx) =
        (vec![F::nan(); dy.len()], vec![F::nan(); theta.len()], vec![F::nan(); x.len()]);
    let mut ws = Workspace::default();
    Forward::new(net, theta, &mut ws).unwrap().run(&input, &mut y).unwrap();
    let mut linearized = Linearized::new(net, theta, input, &mut ws).unwrap();
    let wide = |x: &[F]| x.iter().map(|x| x.widen()).collect::<Vec<_>>();
    assert_near("the recorded output", &wide(linearized.output()), &wide(&y), 1e-6);
    linearized.vjp(dy, &mut grad, Some(&mut dx)).unwrap();
    [y, grad, dx]
}

/// A network against its function in candle's graph.
fn equals_candle(what: &str, net: &impl Both, rows: usize, tolerances: [f64; 2], rng: &mut EnvRng) {
    let graph = |theta: &Tensor, x: &Tensor| net.forward_tensor(theta, x).unwrap();
    equals_graph(what, (net, net), &graph, rows, tolerances, rng);
}

/// candle's graph in `f64` is the reference: for the same numbers, ours in `f64` to `tolerances[0]`, and ours in `f32` to `tolerances[1]`.
fn equals_graph(
    what: &str,
    (net, net64): (&dyn Network<f32>, &dyn Network<f64>),
    graph: &dyn Fn(&Tensor, &Tensor) -> Tensor,
    rows: usize,
    tolerances: [f64; 2],
    rng: &mut EnvRng,
) {
    let (n_params, n_inputs, n_outputs) = (net.n_params(), net.n_inputs(), net.n_outputs());
    let mut draw = |n: usize| narrow::<f32>(&draw(rng, n));
    let [theta, x, dy] = [draw(n_params), draw(rows * n_inputs), draw(rows * n_outputs)];
    let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
    let [theta64, x64, dy64] = [&theta, &x, &dy].map(|x| wide(x));

    let theta_var = Var::from_slice(&theta64, n_params, &Device::Cpu).unwrap();
    let x_var = Var::from_slice(&x64, (rows, n_inputs), &Device::Cpu).unwrap();
    let y_tensor = graph(theta_var.as_tensor(), x_var.as_tensor());
    let weights = Tensor::from_slice(&dy64, (rows, n_outputs), &Device::Cpu).unwrap();
    let grads = (&y_tensor * weights).unwrap().sum_all().unwrap().backward().unwrap();
    let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let gradient = |var: &Var| match grads.get(var.as_tensor()) {
        Some(gradient) => values(gradient),
        None => vec![0.0; var.elem_count()],
    };
    let expected = [values(&y_tensor), gradient(&theta_var), gradient(&x_var)];
    let names = ["forward", "vjp", "vjp of the input"];
    let (ours64, ours32) = (products(net64, &theta64, &x64, &dy64), products(net, &theta, &x, &dy));
    for (((name, expected), ours64), ours32) in names.iter().zip(expected).zip(ours64).zip(ours32) {
        let [tolerance64, tolerance32] = if *name == "forward" { [1e-13, tolerances[1]] } else { tolerances };
        assert_near(&format!("{name} of {what}, {rows} rows, in f64"), &ours64, &expected, tolerance64);
        assert_near(&format!("{name} of {what}, {rows} rows, in f32"), &ours32, &expected, tolerance32);
    }
}

/// candle's own slope of gelu has constants of f32.
fn tolerances(activation: Activation) -> [f64; 2] {
    [if activation == Activation::Gelu { 5e-6 } else { 1e-14 }, 2e-6]
}

#[test]
fn perceptrons_equal_candles() {
    let mut rng = EnvRng::seed_from_u64(1);
    for (sizes, activation) in SHAPES {
        let [linear, activated] = [Mlp::new, Mlp::trunk].map(|make| make(sizes, activation).unwrap());
        for (net, rows) in [(&linear, 1), (&linear, 7), (&linear, 64), (&activated, 7), (&activated, 64)] {
            let mut tolerances = tolerances(activation);
            if sizes.iter().all(|&n| n == 1) {
                // A chain of single neurons has a gradient of five slopes 1 − a² in a row, each of which cancels where a neuron saturates.
                tolerances[1] = 1e-5;
            }
            equals_candle(&format!("{sizes:?}, {activation:?}"), net, rows, tolerances, &mut rng);
        }
    }
}

/// Kernels of all kinds: of one pixel, of the whole image, that overlap or leave pixels out. (candle's backward fails where the stride leaves
/// another number of pixels over in one direction than in the other.)
#[test]
fn convolutions_equal_candles() {
    let mut rng = EnvRng::seed_from_u64(6);
    let shapes: [([usize; 3], &[_]); 6] = [
        ([1, 10, 5], &[(16, 3, 1), (32, 3, 1)]),
        ([3, 5, 4], &[(2, 1, 1)]),
        ([2, 4, 4], &[(3, 4, 1)]),
        ([2, 12, 9], &[(5, 2, 3), (4, 2, 1)]),
        ([4, 36, 44], &[(32, 8, 4), (64, 4, 2), (64, 3, 1)]),
        ([20, 7, 9], &[(7, 3, 2), (18, 1, 1)]),
    ];
    for (image, convolutions) in shapes {
        for (activation, scale) in [
            (Activation::Relu, None),
            (Activation::Tanh, Some(0.5)),
            (Activation::Elu, Some(3.0)),
            (Activation::Gelu, None),
            (Activation::Silu, None),
            (Activation::LeakyRelu, None),
        ] {
            let convolutions = convolutions.iter();
            let convolutions = convolutions
                .map(|&(channels, kernel, stride)| Convolution { channels, kernel, stride })
                .collect();
            let net = Cnn::new(&CnnSpec { image, convolutions, features: 9, activation, scale }).unwrap();
            // Sums over more elements than a perceptron's here.
            let [tolerance, _] = tolerances(activation);
            for rows in [1, 6, 33] {
                let what = format!("{image:?}, {activation:?}");
                equals_candle(&what, &net, rows, [tolerance.max(1e-13), 5e-5], &mut rng);
            }
        }
    }
}

#[test]
fn layer_normalisation_equals_candles() {
    let mut rng = EnvRng::seed_from_u64(7);
    for activation in [None, Some(Activation::Tanh), Some(Activation::Gelu), Some(Activation::Relu)] {
        let [tolerance, _] = activation.map_or([1e-13, 0.0], tolerances);
        for (n, rows) in [(2, 9), (7, 1), (64, 33), (300, 5)] {
            let net = LayerNorm::new(n, activation).unwrap();
            // A row of two elements that lie close has a derivative that cancels.
            let tolerances = [tolerance.max(1e-12), if n == 2 { 1e-3 } else { 1e-5 }];
            equals_candle(&format!("{n}, {activation:?}"), &net, rows, tolerances, &mut rng);
        }
    }
}

/// A chain of images, layer norm and a perceptron as the trunk of a fork with free parameters: parts composed by hand in a graph.
#[test]
fn compositions_equal_candles() {
    let mut rng = EnvRng::seed_from_u64(9);
    let spec = CnnSpec {
        image: [2, 6, 6],
        convolutions: vec![Convolution { channels: 3, kernel: 3, stride: 1 }],
        features: 10,
        activation: Activation::Silu,
        scale: Some(0.3),
    };
    let (cnn, norm) = (Cnn::new(&spec).unwrap(), LayerNorm::new(10, Some(Activation::Tanh)).unwrap());
    let (policy, value) = (mlp(&[10, 7, 3]), mlp(&[10, 1]));
    fn compose<F: Real>(cnn: &Cnn, norm: &LayerNorm, policy: &Mlp, value: &Mlp) -> Fork<F> {
        let trunk: Vec<(String, Arc<dyn Network<F>>)> =
            vec![("cnn".into(), Arc::new(cnn.clone())), ("norm".into(), Arc::new(norm.clone()))];
        let heads: Vec<(String, Arc<dyn Network<F>>)> =
            vec![("policy".into(), Arc::new(policy.clone())), ("value".into(), Arc::new(value.clone()))];
        let fork = Fork::new(Arc::new(Chain::new(trunk).unwrap()), heads).unwrap();
        fork.with_free_parameters(0, "log_std", 4).unwrap()
    }
    let fork = compose::<f64>(&cnn, &norm, &policy, &value);
    let n_cnn = Network::<f64>::n_params(&cnn);
    let graph = |theta: &Tensor, x: &Tensor| {
        let part = |range: std::ops::Range<usize>| theta.narrow(0, range.start, range.len()).unwrap();
        let h = cnn.forward_tensor(&part(0..n_cnn), x).unwrap();
        let h = norm.forward_tensor(&part(n_cnn..fork.trunk_theta().end), &h).unwrap();
        let policy = policy.forward_tensor(&part(fork.head(0).0), &h).unwrap();
        let value = value.forward_tensor(&part(fork.head(1).0), &h).unwrap();
        Tensor::cat(&[policy, value], 1).unwrap()
    };
    let narrow = compose::<f32>(&cnn, &norm, &policy, &value);
    for rows in [1, 8, 40] {
        equals_graph("a composition", (&narrow, &fork), &graph, rows, [1e-12, 1e-4], &mut rng);
    }
}

fn mlp(sizes: &[usize]) -> Mlp {
    Mlp::new(sizes, Activation::Tanh).unwrap()
}

#[test]
fn the_identity_equals_candles() {
    let (net, mut rng) = (Identity::new(3).unwrap(), EnvRng::seed_from_u64(8));
    let x = Tensor::new(&[[1.0, 2.0, 3.0]], &Device::Cpu).unwrap();
    assert_eq!(net.forward_tensor(&x, &x).unwrap().to_vec2::<f64>().unwrap(), [[1.0, 2.0, 3.0]]);
    let [y, grad, dx] = products::<f64>(&net, &[], &[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]);
    assert_eq!((&y[..], &grad[..], &dx[..]), (&[1.0, 2.0, 3.0][..], &[][..], &[4.0, 5.0, 6.0][..]));
    assert!(
        Linearized::new(&net, &[1.0], States::new(&draw(&mut rng, 3), 3).unwrap(), &mut Workspace::default())
            .is_err()
    );
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
