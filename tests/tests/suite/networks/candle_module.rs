//! A user's candle module as a network: the same as ours where it computes the same, through every check, in compositions, and its mistakes named.

use std::sync::Arc;

use candle_core::{DType, Device, IndexOp, Module, Tensor};
use candle_nn::{Conv2dConfig, Init, VarBuilder, conv2d, layer_norm, linear};
use rand::{Rng, SeedableRng};
use rl_env::EnvRng;
use rl_nn::{
    Activation, Builders, CandleNetwork, Chain, CheckConfig, Finding, Fork, Forward, Initialization,
    Linearized, Mlp, Network, NetworkSpec, NnError, Property, Real, Reproducible, States, Workspace,
    check_network,
};
use rl_test_support::assert_near;
use rl_tests::narrow;

fn draw<F: Real>(rng: &mut EnvRng, n: usize) -> Vec<F> {
    narrow(&(0..n).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<f64>>())
}

fn perceptron(vb: VarBuilder<'static>, x: &Tensor) -> candle_core::Result<Tensor> {
    let h = linear(3, 16, vb.pp("0"))?.forward(x)?.tanh()?;
    let h = linear(16, 9, vb.pp("1"))?.forward(&h)?.tanh()?;
    linear(9, 2, vb.pp("2"))?.forward(&h)
}

fn network() -> CandleNetwork {
    CandleNetwork::new(3, 2, &Device::Cpu, perceptron).unwrap()
}

/// `(y, J_θᵀ dy, J_xᵀ dy, J_θ v + J_x ẋ)`
fn products<F: Real>(net: &dyn Network<F>, seed: u64) -> [Vec<F>; 4] {
    let mut rng = EnvRng::seed_from_u64(seed);
    let [theta, v] = [0; 2].map(|_| draw::<F>(&mut rng, net.n_params()));
    let [x, x_dot] = [0; 2].map(|_| draw::<F>(&mut rng, 7 * net.n_inputs()));
    let dy = draw::<F>(&mut rng, 7 * net.n_outputs());
    let mut ws = Workspace::default();
    let mut linearized =
        Linearized::new(net, &theta, States::new(&x, net.n_inputs()).unwrap(), &mut ws).unwrap();
    let (mut grad, mut dx, mut jv) = (theta.clone(), x.clone(), dy.clone());
    linearized.vjp(&dy, &mut grad, Some(&mut dx)).unwrap();
    linearized.jvp(&v, Some(&x_dot), &mut jv).unwrap();
    [linearized.output().to_vec(), grad, dx, jv]
}

fn equals_ours<F: Real>(theirs: &dyn Network<F>, ours: &dyn Network<F>, tolerances: [f64; 2]) {
    assert_eq!(theirs.shape(), ours.shape());
    let names = ["the output", "the gradient", "the input gradient", "the tangent"];
    for ((name, theirs), ours) in names.into_iter().zip(products(theirs, 1)).zip(products(ours, 1)) {
        let wide = |x: &[F]| x.iter().map(|x| x.widen()).collect::<Vec<_>>();
        let tolerance = tolerances[usize::from(name == "the tangent")];
        assert_near(name, &wide(&theirs), &wide(&ours), tolerance);
    }
}

/// A perceptron written with candle's layers has the names, places, outputs and products of ours; tangents by differences to 1e-8.
#[test]
fn a_perceptron_of_candles_layers_is_ours() {
    let ours = Mlp::new(&[3, 16, 9, 2], Activation::Tanh).unwrap();
    equals_ours::<f64>(&network(), &ours, [1e-14, 1e-8]);
    equals_ours::<f32>(&network(), &ours, [3e-6, 3e-6]);
}

/// What is documented: exact gradients, tangents to 1e-7 relative by differences, which is the precision of f32.
fn check<F: Real>(what: &str, net: &dyn Network<F>, adjoint: f64) {
    let mut rng = EnvRng::seed_from_u64(2);
    let mut theta = vec![F::nan(); net.n_params()];
    net.init(&mut theta, Initialization::Uniform, &mut rng).unwrap();
    theta.iter_mut().for_each(|t| *t += F::narrow(rng.random_range(-0.1..0.1)));
    let x = draw::<F>(&mut rng, 6 * net.n_inputs());
    let defaults = CheckConfig::of::<F>();
    let config = CheckConfig { adjoint, rounding: defaults.rounding.max(adjoint), ..defaults };
    let findings = check_network(net, &theta, &x, &config).unwrap();
    let list: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(findings.is_empty(), "{what}: {list:#?}");
}

/// A convolution before normalised layers, with a tensor that is used twice.
fn images(vb: VarBuilder<'static>, x: &Tensor) -> candle_core::Result<Tensor> {
    let x = x.reshape(((), 2, 5, 5))?;
    let h = conv2d(2, 4, 3, Conv2dConfig::default(), vb.pp("conv"))?.forward(&x)?.silu()?.flatten_from(1)?;
    let scale = vb.get_with_hints((), "scale", Init::Const(0.5))?;
    let h = linear(36, 8, vb.pp("linear"))?.forward(&h)?.broadcast_mul(&scale)?;
    // The slow path of candle's layer norm, for its fast one has no backward.
    let mean = h.mean_keepdim(1)?;
    let h = h.broadcast_sub(&mean)?;
    let h = h.broadcast_div(&(h.sqr()?.mean_keepdim(1)? + 1e-5)?.sqrt()?)?;
    h.broadcast_mul(&vb.get_with_hints(8, "norm", Init::Const(1.0))?)?.broadcast_mul(&scale)
}

#[test]
fn modules_and_compositions_with_them_pass_the_checks() {
    check::<f64>("a perceptron", &network(), 1e-7);
    check::<f32>("a perceptron", &network(), 1e-4);
    let net = || CandleNetwork::new(50, 8, &Device::Cpu, images).unwrap();
    check::<f64>("images", &net(), 1e-7);
    check::<f32>("images", &net(), 1e-4);
    let heads: Vec<(String, Arc<dyn Network<f64>>)> = vec![
        ("policy".into(), Arc::new(Mlp::new(&[8, 7, 3], Activation::Tanh).unwrap())),
        (
            "value".into(),
            Arc::new(CandleNetwork::new(8, 1, &Device::Cpu, |vb, x| linear(8, 1, vb)?.forward(x)).unwrap()),
        ),
    ];
    let fork = Fork::new(Arc::new(net()), heads).unwrap();
    assert_eq!(fork.reproducible(), Reproducible::ThisProcessor);
    check::<f64>("a module as trunk and as head", &fork, 1e-7);
}

/// `J v` of one linear layer, by hand.
#[test]
fn a_users_own_tangent_is_exact() {
    let net = CandleNetwork::new(3, 2, &Device::Cpu, |vb, x| linear(3, 2, vb)?.forward(x));
    let net = net.unwrap().with_jvp(|theta, v, x, dx| {
        let moved = linear(3, 2, v)?.forward(x)?;
        match dx {
            Some(dx) => moved + dx.matmul(&theta.get((2, 3), "weight")?.t()?)?,
            None => Ok(moved),
        }
    });
    check::<f64>("linear", &net, 1e-12);
    let wrong =
        CandleNetwork::new(3, 2, &Device::Cpu, perceptron).unwrap().with_jvp(|_, v, x, _| perceptron(v, x));
    let mut rng = EnvRng::seed_from_u64(2);
    let theta = draw::<f64>(&mut rng, Network::<f64>::n_params(&wrong));
    let x = draw::<f64>(&mut rng, 6);
    let findings = check_network(&wrong, &theta, &x, &CheckConfig::of::<f64>()).unwrap();
    assert!(findings.iter().any(|finding| finding.property == Property::Adjoint));
    assert!(findings.iter().any(|finding| finding.property == Property::Derivative));
}

#[test]
fn a_missing_gradient_is_named() {
    let new = |module: fn(VarBuilder<'static>, &Tensor) -> candle_core::Result<Tensor>| {
        CandleNetwork::new(3, 2, &Device::Cpu, module).err().unwrap()
    };
    let unused = new(|vb, x| {
        vb.get(4, "unused")?;
        perceptron(vb, x)
    });
    assert!(matches!(&unused, NnError::MissingGradient { tensor } if tensor == "unused"), "{unused}");
    let detached =
        new(|vb, x| linear(9, 2, vb.pp("b"))?.forward(&linear(3, 9, vb.pp("a"))?.forward(x)?.detach()));
    assert!(matches!(&detached, NnError::MissingGradient { tensor } if tensor == "a.weight"), "{detached}");
    // An operation of candle's without a backward.
    let normalised =
        new(|vb, x| layer_norm(2, 1e-5, vb.pp("norm"))?.forward(&linear(3, 2, vb.pp("a"))?.forward(x)?));
    let message = normalised.to_string();
    assert!(message.contains("a.weight") || message.contains("norm.weight"), "{message}");
}

/// A module that changes its mind after it was made a network.
#[test]
fn other_mistakes_are_errors() {
    let new = |n_outputs, module: fn(VarBuilder<'static>, &Tensor) -> candle_core::Result<Tensor>| {
        CandleNetwork::new(3, n_outputs, &Device::Cpu, module).err().map(|e| e.to_string())
    };
    let message = new(3, perceptron).unwrap();
    assert!(message.contains("an output row of a candle module has 2 elements, expected 3"), "{message}");
    assert!(
        new(2, |vb, x| perceptron(vb, x)?.i(0)).unwrap().contains("the shape of a candle module's output")
    );
    let two_shapes = new(2, |vb, x| {
        vb.pp("0").get(7, "weight")?;
        perceptron(vb, x)
    });
    assert!(two_shapes.unwrap().contains("\"0.weight\" in the shapes [7] and [16, 3]"));
    assert!(
        new(2, |vb, x| perceptron(vb.clone(), x)? + vb.get_unchecked("mystery")?)
            .unwrap()
            .contains("mystery")
    );

    let fickle = CandleNetwork::new(3, 2, &Device::Cpu, |vb, x| {
        let name = if x.dim(0)? == 1 { "a" } else { "b" };
        linear(3, 2, vb.pp(name))?.forward(x)
    });
    let fickle = fickle.unwrap();
    let (theta, x) = ([0.0_f32; 8], [0.0_f32; 6]);
    let error = Linearized::new(&fickle, &theta, States::new(&x, 3).unwrap(), &mut Workspace::default())
        .err()
        .unwrap();
    assert!(error.to_string().contains("\"b.weight\", for which it did not ask"), "{error}");
    let insists =
        CandleNetwork::new(3, 2, &Device::Cpu, |vb, x| perceptron(vb, x)?.to_dtype(DType::F32)).unwrap();
    let mut forward_ws = Workspace::default();
    let theta = vec![0.0_f64; Network::<f64>::n_params(&insists)];
    let mut forward = Forward::new(&insists, &theta, &mut forward_ws).unwrap();
    assert!(forward.run(&States::new(&[0.0; 3], 3).unwrap(), &mut [0.0; 2]).is_err());
    assert!(Forward::<f32>::new(&insists, &[0.0; 3], &mut Workspace::default()).is_err());
}

#[test]
fn initial_parameters_are_what_the_layers_hint_at() {
    let net = CandleNetwork::new(50, 8, &Device::Cpu, images).unwrap();
    let shape = Network::<f32>::shape(&net).clone();
    let of = |how: Initialization, seed: u64| {
        let mut theta = vec![f32::NAN; shape.layout.n_params()];
        net.init(&mut theta, how, &mut EnvRng::seed_from_u64(seed)).unwrap();
        theta
    };
    let part = |theta: &[f32], name: &str| {
        let param = shape.layout.params().iter().find(|param| param.name == name).unwrap();
        theta[param.range()].to_vec()
    };
    let orthogonal = Initialization::Orthogonal { output_gain: 1.0 };
    assert_eq!(of(orthogonal, 3), of(orthogonal, 3));
    for how in [Initialization::Uniform, orthogonal] {
        let theta = of(how, 3);
        assert!(theta.iter().all(|x| x.is_finite()) && theta != of(how, 4));
        assert_eq!((part(&theta, "scale"), part(&theta, "norm")), (vec![0.5], vec![1.0; 8]));
    }
    let bias = part(&of(Initialization::Uniform, 3), "linear.bias");
    assert!(bias.iter().all(|b| b.abs() <= 1.0 / 6.0) && bias.iter().any(|b| b.abs() > 0.02));
    let orthogonal = of(orthogonal, 3);
    assert_eq!(part(&orthogonal, "linear.bias"), [0.0; 8]);
    // The rows of the last matrix are an orthonormal set.
    let rows = part(&orthogonal, "linear.weight");
    let dot = rl_kernels::dot(&rows[..36], &rows[36..72]);
    assert!(dot.abs() < 1e-6 && (rl_kernels::sum_of_squares(&rows[..36]) - 1.0).abs() < 1e-6);
}

/// A module with a description comes back through a registered builder; without, nothing that holds it can be saved.
#[test]
fn a_described_module_can_be_saved() {
    let builders = Builders::default().network("perceptron", |_| Ok(Arc::new(network())));
    let net = Arc::new(network().described("perceptron", serde_json::json!({"width": 16})));
    let chain = |net: CandleNetwork| {
        let parts: Vec<(String, Arc<dyn Network<f32>>)> = vec![("all".into(), Arc::new(net))];
        Chain::new(parts).unwrap().spec()
    };
    let spec = Network::<f32>::spec(&*net).unwrap();
    let text = serde_json::to_string(&spec).unwrap();
    assert_eq!(text, r#"{"kind":"custom","name":"perceptron","value":{"width":16}}"#);
    let back = serde_json::from_str::<NetworkSpec>(&text).unwrap().build_with(&builders).unwrap();
    assert_eq!(back.shape(), Network::<f32>::shape(&*net));
    assert_eq!(chain(network()), None);
    assert!(chain(network().described("perceptron", serde_json::Value::Null)).is_some());
}
