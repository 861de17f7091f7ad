//! Every network and composition of ours through `check_network`, in both precisions, and with the same bits under every instruction set.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rl_env::EnvRng;
use rl_kernels::Isa;
use rl_nn::{
    Activation, Carry, Chain, CheckConfig, Cnn, CnnSpec, Convolution, Finding, Fork, Forward, Identity,
    Initialization, LayerNorm, Linearized, Mlp, Network, NnError, Property, Real, SHARD_ROWS, Shape, Shards,
    States, Workspace, check_network,
};
use rl_test_support::RL_ISA;
use rl_tests::narrow;

const ACTIVATIONS: [Activation; 6] = [
    Activation::Tanh,
    Activation::Relu,
    Activation::Elu,
    Activation::Gelu,
    Activation::Silu,
    Activation::LeakyRelu,
];

fn draw(rng: &mut EnvRng, n: usize) -> Vec<f64> {
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Initial parameters, moved a little so that no bias is 0.
fn parameters<F: Real>(net: &dyn Network<F>, rng: &mut EnvRng) -> Vec<F> {
    let mut theta = vec![F::nan(); net.n_params()];
    net.init(&mut theta, Initialization::Orthogonal { output_gain: 1.0 }, rng).unwrap();
    theta.iter_mut().for_each(|t| *t += F::narrow(rng.random_range(-0.1..0.1)));
    theta
}

fn findings<F: Real>(net: &dyn Network<F>, rows: usize, seed: u64) -> Vec<Finding> {
    let mut rng = EnvRng::seed_from_u64(seed);
    let theta = parameters(net, &mut rng);
    let x = narrow::<F>(&draw(&mut rng, rows * net.n_inputs()));
    check_network(net, &theta, &x, &CheckConfig { seed, ..CheckConfig::of::<F>() }).unwrap()
}

fn sound<F: Real>(what: &str, net: &dyn Network<F>, rows: usize, seed: u64) {
    let findings = findings(net, rows, seed);
    let list: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(findings.is_empty(), "{what}, {rows} rows: {list:#?}");
}

fn cnn(image: [usize; 3], convolutions: &[[usize; 3]], features: usize, activation: Activation) -> Cnn {
    let convolutions =
        convolutions.iter().map(|&[channels, kernel, stride]| Convolution { channels, kernel, stride });
    let convolutions = convolutions.collect();
    Cnn::new(&CnnSpec { image, convolutions, features, activation, scale: Some(0.7) }).unwrap()
}

/// A CNN before a normalised perceptron as the trunk, and heads of every kind.
fn agent<F: Real>(activation: Activation) -> Fork<F> {
    let trunk: Vec<(String, Arc<dyn Network<F>>)> = vec![
        ("images".into(), Arc::new(cnn([2, 6, 7], &[[4, 3, 1], [6, 2, 2]], 12, activation))),
        ("joined".into(), Arc::new(LayerNorm::mlp(&[12, 10, 8], activation, true).unwrap())),
    ];
    let heads: Vec<(String, Arc<dyn Network<F>>)> = vec![
        ("policy".into(), Arc::new(Mlp::new(&[8, 9, 3], activation).unwrap())),
        ("latent".into(), Arc::new(Identity::new(8).unwrap())),
        ("value".into(), Arc::new(LayerNorm::mlp(&[8, 6, 1], activation, false).unwrap())),
    ];
    let fork = Fork::new(Arc::new(Chain::new(trunk).unwrap()), heads).unwrap();
    fork.with_free_parameters(0, "log_std", 3).unwrap()
}

fn all<F: Real>() -> Vec<(String, Arc<dyn Network<F>>)> {
    let mut all: Vec<(String, Arc<dyn Network<F>>)> = vec![
        ("Identity".into(), Arc::new(Identity::new(5).unwrap())),
        ("LayerNorm".into(), Arc::new(LayerNorm::new(33, None).unwrap())),
        ("Cnn::small".into(), Arc::new(Cnn::small([1, 10, 5]).unwrap())),
        ("Cnn::nature".into(), Arc::new(Cnn::nature([2, 36, 40]).unwrap())),
    ];
    for activation in ACTIVATIONS {
        let mut add =
            |what: &str, net: Arc<dyn Network<F>>| all.push((format!("{what}, {activation:?}"), net));
        add("Mlp", Arc::new(Mlp::new(&[5, 20, 33, 6], activation).unwrap()));
        add("an Mlp as trunk", Arc::new(Mlp::trunk(&[5, 20, 33], activation).unwrap()));
        add("a wide Mlp", Arc::new(Mlp::new(&[30, 280, 270, 2], activation).unwrap()));
        add("LayerNorm", Arc::new(LayerNorm::new(17, Some(activation)).unwrap()));
        add("a normalised Mlp", Arc::new(LayerNorm::mlp(&[5, 20, 33, 6], activation, false).unwrap()));
        add("Cnn", Arc::new(cnn([3, 9, 8], &[[5, 2, 3], [20, 2, 1]], 17, activation)));
        add("everything", Arc::new(agent(activation)));
    }
    all
}

#[test]
fn every_network_is_sound() {
    for rows in [2, 33] {
        all::<f64>().iter().for_each(|(what, net)| sound(what, &**net, rows, 3));
        all::<f32>().iter().for_each(|(what, net)| sound(what, &**net, rows, 4));
    }
}

/// The bits of everything that a network computes.
fn bits(net: &dyn Network<f32>, rows: usize) -> Vec<u32> {
    let mut rng = EnvRng::seed_from_u64(5);
    let theta = parameters(net, &mut rng);
    let [x, x_dot] = [0; 2].map(|_| narrow::<f32>(&draw(&mut rng, rows * net.n_inputs())));
    let [v, dy] = [net.n_params(), rows * net.n_outputs()].map(|n| narrow::<f32>(&draw(&mut rng, n)));
    let mut ws = Workspace::default();
    let mut y = vec![0.0; dy.len()];
    let states = States::new(&x, net.n_inputs()).unwrap();
    Forward::new(net, &theta, &mut ws).unwrap().run(&states, &mut y).unwrap();
    let mut linearized = Linearized::new(net, &theta, states, &mut ws).unwrap();
    let (mut grad, mut dx, mut jv) = (theta.clone(), x.clone(), y.clone());
    linearized.vjp(&dy, &mut grad, Some(&mut dx)).unwrap();
    linearized.jvp(&v, Some(&x_dot), &mut jv).unwrap();
    [y, grad, dx, jv].concat().iter().map(|x| x.to_bits()).collect()
}

/// And prints them, for the next test to read.
#[test]
#[allow(clippy::print_stdout, reason = "it is read by the test that starts it")]
fn a_network_computes_the_same_bits_again() {
    for (what, net) in all::<f32>() {
        for rows in [3, 18] {
            let bits = [bits(&*net, rows), bits(&*net, rows)];
            assert!(bits[0] == bits[1], "{what}, {rows} rows");
            println!("{BITS}{what}, {rows} rows: {:08x?}", bits[0]);
        }
    }
}

/// How the lines begin that `a_network_computes_the_same_bits_again` prints.
const BITS: &str = "the bits of ";

/// Each instruction set in a process of its own, because it holds for a whole process, in which other tests run too.
#[test]
fn the_same_bits_with_every_instruction_set() {
    let with = |isa: Isa| -> Vec<String> {
        let mut process = Command::new(std::env::current_exe().unwrap());
        process.args([
            "--exact",
            "networks::every_network::a_network_computes_the_same_bits_again",
            "--nocapture",
        ]);
        let output = process.env(RL_ISA, isa.to_string()).output().unwrap();
        assert!(output.status.success(), "{isa}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter_map(|line| Some(line.split_once(BITS)?.1.to_owned())).collect()
    };
    let portable = with(Isa::Portable);
    assert_eq!(portable.len(), 2 * all::<f32>().len());
    for isa in Isa::available() {
        for (portable, found) in portable.iter().zip(with(isa)) {
            let (what, _) = portable.split_once(": ").unwrap();
            assert!(*portable == found, "{what}, with {isa}");
        }
    }
}

/// Shards of a CNN are small, those of a composition with one too, and they change nothing but rounding.
#[test]
fn a_cnn_has_small_shards() {
    let nature = Cnn::nature([4, 84, 84]).unwrap();
    let rows = Network::<f32>::shard_rows(&nature);
    assert!((8..=64).contains(&rows), "{rows} rows");
    let parts: Vec<(String, Arc<dyn Network<f32>>)> = vec![
        ("cnn".into(), Arc::new(nature)),
        ("mlp".into(), Arc::new(Mlp::new(&[512, 600, 2], Activation::Tanh).unwrap())),
    ];
    assert_eq!(Chain::new(parts).unwrap().shard_rows(), rows);
    assert_eq!(Network::<f32>::shard_rows(&Cnn::small([1, 10, 5]).unwrap()), SHARD_ROWS);

    // Images of 2 MiB: eight rows are a shard.
    let net = cnn([2, 512, 512], &[[2, 8, 8]], 3, Activation::Tanh);
    let (net, mut rng) = (&net as &dyn Network<f32>, EnvRng::seed_from_u64(6));
    assert_eq!(net.shard_rows(), 8);
    let theta = parameters(net, &mut rng);
    let x = narrow::<f32>(&draw(&mut rng, 11 * net.n_inputs()));
    let (states, dy) = (States::new(&x, net.n_inputs()).unwrap(), narrow::<f32>(&draw(&mut rng, 33)));
    let (mut ws, mut shards) = (Workspace::default(), Shards::new());
    let mut grads = [vec![0.0; theta.len()], vec![0.0; theta.len()]];
    let mut whole = Linearized::new(net, &theta, states, &mut ws).unwrap();
    whole.vjp(&dy, &mut grads[0], None).unwrap();
    let mut parts = shards.linearize(net, &theta, states).unwrap();
    assert_eq!(parts.output(), whole.output());
    parts.vjp(&dy, &mut grads[1]).unwrap();
    let wide: Vec<f64> = grads[0].iter().map(|&g| f64::from(g)).collect();
    rl_test_support::assert_near("the gradient", &grads[1], &wide, 1e-5);
}

/// Everything comes back from its description with the same parameters in the same places.
#[test]
fn every_network_comes_back_from_its_description() {
    for (what, net) in all::<f32>() {
        let text = serde_json::to_string(&net.spec().unwrap()).unwrap();
        let spec: rl_nn::NetworkSpec = serde_json::from_str(&text).unwrap();
        let back = spec.build::<f32>().unwrap();
        assert_eq!((back.shape(), back.spec()), (net.shape(), Some(spec)), "{what}");
        assert_eq!(bits(&*back, 3), bits(&*net, 3), "{what}");
    }
}

#[test]
fn images_that_do_not_fit_are_errors() {
    for (image, message) in [
        ([4, 35, 84], "kernel of 3x3, which does not fit into its image of 2x9"),
        ([4, 7, 84], "kernel of 8x8, which does not fit into its image of 7x84"),
        ([0, 84, 84], "expected from 1 to 2^28 elements"),
        ([1 << 40, 84, 84], "expected from 1 to 2^28 elements"),
    ] {
        let error = Cnn::nature(image).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    assert!(
        Cnn::nature([1, 36, 36]).is_ok() && Cnn::small([1, 5, 5]).is_ok() && Cnn::small([1, 4, 5]).is_err()
    );
    let spec = CnnSpec::small([1, 10, 5]);
    let mut wrong = vec![
        CnnSpec { convolutions: Vec::new(), ..spec.clone() },
        CnnSpec { features: 0, ..spec.clone() },
        CnnSpec { features: usize::MAX, ..spec.clone() },
        CnnSpec { scale: Some(0.0), ..spec.clone() },
        CnnSpec { scale: Some(f64::NAN), ..spec.clone() },
    ];
    for convolution in [[0, 1, 1], [1, 0, 1], [1, 1, 0], [usize::MAX, 3, 1]] {
        let [channels, kernel, stride] = convolution;
        wrong.push(CnnSpec { convolutions: vec![Convolution { channels, kernel, stride }], ..spec.clone() });
    }
    for spec in wrong {
        assert!(Cnn::new(&spec).is_err(), "{spec:?}");
        assert!(rl_nn::NetworkSpec::Cnn(spec).build::<f32>().is_err());
    }
}

/// A perceptron with something wrong with it.
struct Faulty {
    inner: Mlp,
    fault: Property,
    calls: AtomicU32,
}

impl Network<f64> for Faulty {
    fn shape(&self) -> &Shape {
        Network::<f64>::shape(&self.inner)
    }
    fn n_params(&self) -> usize {
        self.shape().layout.n_params() + usize::from(self.fault == Property::Layout)
    }
    fn prepare(&self, theta: &[f64], ws: &mut Workspace<f64>) -> Result<(), NnError> {
        let theta = &theta[..self.shape().layout.n_params()];
        // A network that never forgets.
        if self.fault == Property::Prepared { Ok(()) } else { self.inner.prepare(theta, ws) }
    }
    fn forward(
        &self,
        theta: &[f64],
        x: &States<'_, f64>,
        carry: &mut Carry<f64>,
        y: &mut [f64],
        ws: &mut Workspace<f64>,
    ) -> Result<(), NnError> {
        self.inner.forward(&theta[..self.shape().layout.n_params()], x, carry, y, ws)?;
        match self.fault {
            Property::RecordedOutput => y[0] += 1e-12,
            Property::Rows if x.rows() > 1 => y[0] += 1e-12,
            _ => {}
        }
        Ok(())
    }
    fn record(&self, theta: &[f64], x: &States<'_, f64>, ws: &mut Workspace<f64>) -> Result<(), NnError> {
        self.inner.record(&theta[..self.shape().layout.n_params()], x, ws)?;
        if self.fault == Property::Rows && x.rows() > 1 {
            ws.output[0] += 1e-12;
        }
        Ok(())
    }
    fn vjp(
        &self,
        theta: &[f64],
        x: &States<'_, f64>,
        ws: &mut Workspace<f64>,
        dy: &[f64],
        grad: &mut [f64],
        dx: Option<&mut [f64]>,
    ) -> Result<(), NnError> {
        let (n, with_input) = (self.shape().layout.n_params(), dx.is_some());
        self.inner.vjp(&theta[..n], x, ws, dy, &mut grad[..n], dx)?;
        match self.fault {
            Property::Layout => grad[n] = 0.0,
            Property::Finite => grad[0] = f64::NAN,
            Property::InputSide if with_input => grad[0] += 1e-13,
            Property::Adjoint => grad[0] += 1e-6,
            Property::Deterministic => {
                grad[0] += 1e-13 * f64::from(self.calls.fetch_add(1, Ordering::Relaxed));
            }
            _ => {}
        }
        Ok(())
    }
    fn jvp(
        &self,
        theta: &[f64],
        x: &States<'_, f64>,
        ws: &mut Workspace<f64>,
        v: &[f64],
        dx: Option<&[f64]>,
        dy: &mut [f64],
    ) -> Result<(), NnError> {
        let n = self.shape().layout.n_params();
        self.inner.jvp(&theta[..n], x, ws, &v[..n], dx, dy)?;
        if self.fault == Property::Derivative {
            dy.iter_mut().for_each(|dy| *dy *= 1.001);
        }
        Ok(())
    }
}

/// Each broken promise is found, by its name; a sound network has none of them.
#[test]
fn what_is_wrong_is_found() {
    for fault in [
        Property::Layout,
        Property::Finite,
        Property::Prepared,
        Property::RecordedOutput,
        Property::Deterministic,
        Property::InputSide,
        Property::Adjoint,
        Property::Derivative,
        Property::Rows,
    ] {
        let net = Faulty {
            inner: Mlp::new(&[3, 5, 2], Activation::Tanh).unwrap(),
            fault,
            calls: AtomicU32::new(1),
        };
        let mut rng = EnvRng::seed_from_u64(9);
        let [theta, x] = [net.n_params(), 4 * 3].map(|n| draw(&mut rng, n));
        let found = check_network(&net, &theta, &x, &CheckConfig::of::<f64>()).unwrap();
        assert!(found.iter().any(|finding| finding.property == fault), "{fault:?} in {found:?}");
        sound("the same without the fault", &net.inner as &dyn Network<f64>, 4, 9);
    }
    let net = Mlp::new(&[3, 2], Activation::Tanh).unwrap();
    assert!(check_network(&net, &[0.0; 8], &[0.0; 3], &CheckConfig::of::<f64>()).is_err());
    assert!(check_network(&net, &[0.0; 7], &[0.0; 6], &CheckConfig::of::<f64>()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_shape(
        sizes in prop::collection::vec(1..24_usize, 2..5),
        rows in 2..30_usize,
        activation in 0..ACTIVATIONS.len(),
        activated: bool,
        seed in any::<u64>(),
    ) {
        let activation = ACTIVATIONS[activation];
        sound::<f64>("Mlp", &Mlp::new(&sizes, activation).unwrap(), rows, seed);
        // Rows of one or two elements have normalised values of ±1 or 0, and derivatives that cancel.
        let wide: Vec<usize> = sizes.iter().map(|n| n + 4).collect();
        sound::<f64>("LayerNorm", &LayerNorm::mlp(&wide, activation, activated).unwrap(), rows, seed);
    }

    #[test]
    fn any_image(
        channels in prop::collection::vec(1..9_usize, 2..4),
        kernels in prop::collection::vec((1..5_usize, 1..4_usize), 2),
        (height, width) in (1..14_usize, 1..14_usize),
        features in 1..20_usize,
        rows in 2..9_usize,
        activation in 0..ACTIVATIONS.len(),
        seed in any::<u64>(),
    ) {
        let kernels = kernels.iter().zip(&channels[1..]);
        let convolutions = kernels.map(|(&(kernel, stride), &channels)| Convolution { channels, kernel, stride });
        let spec = CnnSpec {
            image: [channels[0], height, width],
            convolutions: convolutions.collect(),
            features,
            activation: ACTIVATIONS[activation],
            scale: None,
        };
        // Images too small for the kernels are refused, all others work.
        if let Ok(net) = Cnn::new(&spec) {
            sound::<f64>("Cnn", &net, rows, seed);
        } else {
            prop_assert!(spec.images().is_err());
        }
    }
}
