//! Networks composed of networks: their products by central differences and by the adjoint identity, for parameters and inputs.

use std::sync::Arc;

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rl_env::EnvRng;
use rl_nn::{
    Activation, Carry, Chain, Fork, Forward, Identity, Linearized, Mlp, Network, NnError, Reproducible,
    Shape, States, Workspace,
};
use rl_test_support::{assert_near, distance};

fn draw(rng: &mut EnvRng, n: usize) -> Vec<f64> {
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

const ACTIVATIONS: [Activation; 6] = [
    Activation::Tanh,
    Activation::Relu,
    Activation::Elu,
    Activation::Gelu,
    Activation::Silu,
    Activation::LeakyRelu,
];

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn output(net: &dyn Network<f64>, theta: &[f64], x: &[f64]) -> Vec<f64> {
    let states = States::new(x, net.n_inputs()).unwrap();
    let mut y = vec![0.0; states.rows() * net.n_outputs()];
    let mut ws = Workspace::default();
    Forward::new(net, theta, &mut ws).unwrap().run(&states, &mut y).unwrap();
    y
}

/// `⟨dy, J_θ v + J_x ẋ⟩ = ⟨J_θᵀ dy, v⟩ + ⟨J_xᵀ dy, ẋ⟩` to rounding, and `J_θ v + J_x ẋ` as central differences have it where the network is
/// smooth.
fn check(net: &dyn Network<f64>, rows: usize, smooth: bool, seed: u64) {
    let mut rng = EnvRng::seed_from_u64(seed);
    let (theta, v) = (draw(&mut rng, net.n_params()), draw(&mut rng, net.n_params()));
    let (x, x_dot) = (draw(&mut rng, rows * net.n_inputs()), draw(&mut rng, rows * net.n_inputs()));
    let dy = draw(&mut rng, rows * net.n_outputs());
    let mut ws = Workspace::default();
    let mut linearized =
        Linearized::new(net, &theta, States::new(&x, net.n_inputs()).unwrap(), &mut ws).unwrap();
    assert_near("the recorded output", linearized.output(), &output(net, &theta, &x), 1e-14);

    let mut jv = vec![f64::NAN; dy.len()];
    linearized.jvp(&v, Some(&x_dot), &mut jv).unwrap();
    let (mut grad, mut dx) = (vec![f64::NAN; v.len()], vec![f64::NAN; x.len()]);
    linearized.vjp(&dy, &mut grad, Some(&mut dx)).unwrap();
    let scale = (dot(&v, &v) * dot(&grad, &grad)).sqrt() + (dot(&x_dot, &x_dot) * dot(&dx, &dx)).sqrt();
    let difference = dot(&dy, &jv) - dot(&grad, &v) - dot(&dx, &x_dot);
    assert!(difference.abs() <= 1e-13 * (1.0 + scale), "adjoint identity: {difference:e}");

    // Without an input side the products with θ are the same.
    let (mut alone, mut still) = (vec![f64::NAN; v.len()], vec![f64::NAN; dy.len()]);
    linearized.vjp(&dy, &mut alone, None).unwrap();
    assert_eq!(alone, grad);
    linearized.jvp(&v, None, &mut still).unwrap();
    let mut with_zero = vec![f64::NAN; dy.len()];
    linearized.jvp(&v, Some(&vec![0.0; x.len()]), &mut with_zero).unwrap();
    assert!(distance(&still, &with_zero) < 1e-14);

    if smooth {
        let at = |h: f64| {
            let moved = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + h * b).collect::<Vec<_>>();
            output(net, &moved(&theta, &v), &moved(&x, &x_dot))
        };
        let differences: Vec<f64> = at(1e-6).iter().zip(at(-1e-6)).map(|(p, m)| (p - m) / 2e-6).collect();
        assert_near("jvp", &jv, &differences, 1e-7);
    }
}

fn arc(net: Mlp) -> Arc<dyn Network<f64>> {
    Arc::new(net)
}

/// A trunk, a branch of which is a chain of its own, and two heads of different widths.
fn tree(activation: Activation, width: usize) -> Fork<f64> {
    let trunk = Chain::new(vec![
        ("first".into(), arc(Mlp::trunk(&[3, width, 5], activation).unwrap())),
        ("second".into(), arc(Mlp::trunk(&[5, 4], Activation::Tanh).unwrap())),
    ]);
    let deep = Chain::new(vec![
        ("a".into(), arc(Mlp::trunk(&[4, 6], activation).unwrap())),
        ("b".into(), arc(Mlp::new(&[6, 3], activation).unwrap())),
    ]);
    let heads: Vec<(String, Arc<dyn Network<f64>>)> = vec![
        ("policy".into(), Arc::new(deep.unwrap())),
        ("value".into(), arc(Mlp::new(&[4, 1], activation).unwrap())),
    ];
    Fork::new(Arc::new(trunk.unwrap()), heads).unwrap()
}

/// The tree with room for parameters that do nothing, and a head that passes the trunk's output on.
fn agent(activation: Activation, width: usize) -> Fork<f64> {
    let heads: Vec<(String, Arc<dyn Network<f64>>)> = vec![
        ("policy".into(), arc(Mlp::new(&[4, 7, 2], activation).unwrap())),
        ("latent".into(), Arc::new(Identity::new(4).unwrap())),
        ("value".into(), arc(Mlp::new(&[4, 1], activation).unwrap())),
    ];
    let trunk = Arc::new(Mlp::trunk(&[3, width, 4], activation).unwrap());
    let fork = Fork::new(trunk, heads).unwrap();
    fork.with_free_parameters(0, "log_std", 2).unwrap().with_free_parameters(2, "more", 1).unwrap()
}

/// Their gradient is exactly 0, whatever was there before, and they move no output.
#[test]
fn free_parameters_do_nothing() {
    let net = agent(Activation::Tanh, 5);
    let mut rng = EnvRng::seed_from_u64(4);
    let [theta, x, dy] = [net.n_params(), 6, 14].map(|n| draw(&mut rng, n));
    let mut ws = Workspace::default();
    let mut linearized = Linearized::new(&net, &theta, States::new(&x, 3).unwrap(), &mut ws).unwrap();
    let (mut grad, mut v, mut jv) = (vec![f64::NAN; theta.len()], vec![0.0; theta.len()], vec![1.0; 14]);
    linearized.vjp(&dy, &mut grad, None).unwrap();
    let free: Vec<usize> = net.free(0).chain(net.free(1)).collect();
    for (i, g) in grad.iter().enumerate() {
        assert_eq!(g.to_bits() == 0, free.contains(&i), "parameter {i}");
    }
    free.iter().for_each(|&i| v[i] = 1.0);
    linearized.jvp(&v, None, &mut jv).unwrap();
    assert_eq!(jv, [0.0; 14]);
    // The latent columns are the trunk's output.
    let trunk = Mlp::trunk(&[3, 5, 4], Activation::Tanh).unwrap();
    let h = output(&trunk, &theta[net.trunk_theta()], &x);
    let columns: Vec<f64> = output(&net, &theta, &x).chunks(7).flat_map(|y| y[2..6].to_vec()).collect();
    assert_eq!(columns, h);
}

#[test]
fn every_activation_in_every_place() {
    for activation in ACTIVATIONS {
        // Differences across a kink would be wrong.
        let smooth = !matches!(activation, Activation::Relu | Activation::LeakyRelu | Activation::Elu);
        for (i, make) in [Mlp::new, Mlp::trunk].into_iter().enumerate() {
            for sizes in [&[3, 2][..], &[2, 20, 3], &[20, 18, 17, 4], &[1, 1, 1]] {
                for rows in [1, 9, 33] {
                    check(&make(sizes, activation).unwrap(), rows, smooth, 7 + i as u64);
                }
            }
        }
        check(&tree(activation, 17), 9, smooth, 3);
        check(&agent(activation, 17), 9, smooth, 3);
    }
}

#[test]
fn names_and_ranges_of_parts() {
    let net = tree(Activation::Tanh, 7);
    let layout = &net.shape().layout;
    let names: Vec<&str> = layout.params().iter().map(|p| p.name.as_str()).collect();
    let expected = [
        "trunk.first.0.weight",
        "trunk.first.0.bias",
        "trunk.first.1.weight",
        "trunk.first.1.bias",
        "trunk.second.0.weight",
        "trunk.second.0.bias",
        "policy.a.0.weight",
        "policy.a.0.bias",
        "policy.b.0.weight",
        "policy.b.0.bias",
        "value.0.weight",
        "value.0.bias",
    ];
    assert_eq!(names, expected);
    assert_eq!(net.trunk_theta(), 0..layout.params()[6].offset);
    assert_eq!(net.head(1), (layout.params()[10].offset..layout.n_params(), 3..4));
}

/// The weakest part counts for the whole.
#[test]
fn a_composition_is_as_reproducible_as_its_weakest_part() {
    assert_eq!(tree(Activation::Tanh, 4).reproducible(), Reproducible::Everywhere);
    let net = || arc(Mlp::new(&[2, 2], Activation::Tanh).unwrap());
    let foreign =
        || -> Arc<dyn Network<f64>> { Arc::new(Foreign(Mlp::new(&[2, 2], Activation::Tanh).unwrap())) };
    let chain = Chain::new(vec![("ours".into(), net()), ("theirs".into(), foreign())]).unwrap();
    assert_eq!(chain.reproducible(), Reproducible::ThisProcessor);
    for fork in [
        Fork::new(net(), vec![("a".into(), net()), ("b".into(), foreign())]),
        Fork::new(foreign(), vec![("a".into(), net())]),
    ] {
        assert_eq!(fork.unwrap().reproducible(), Reproducible::ThisProcessor);
    }
}

/// A perceptron that says that it calls somebody else's code.
struct Foreign(Mlp);

impl Network<f64> for Foreign {
    fn shape(&self) -> &Shape {
        Network::<f64>::shape(&self.0)
    }
    fn reproducible(&self) -> Reproducible {
        Reproducible::ThisProcessor
    }
    fn prepare(&self, theta: &[f64], ws: &mut Workspace<f64>) -> Result<(), NnError> {
        self.0.prepare(theta, ws)
    }
    fn forward(
        &self,
        theta: &[f64],
        x: &States<'_, f64>,
        carry: &mut Carry<f64>,
        y: &mut [f64],
        ws: &mut Workspace<f64>,
    ) -> Result<(), NnError> {
        self.0.forward(theta, x, carry, y, ws)
    }
    fn record(&self, theta: &[f64], x: &States<'_, f64>, ws: &mut Workspace<f64>) -> Result<(), NnError> {
        self.0.record(theta, x, ws)
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
        self.0.vjp(theta, x, ws, dy, grad, dx)
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
        self.0.jvp(theta, x, ws, v, dx, dy)
    }
}

#[test]
fn parts_that_do_not_fit_are_errors() {
    let net = |sizes: &[usize]| arc(Mlp::new(sizes, Activation::Tanh).unwrap());
    let chain = Chain::new(vec![("a".into(), net(&[2, 3])), ("b".into(), net(&[4, 1]))]);
    assert!(matches!(chain.err(), Some(NnError::Shape { got: 4, expected: 3, .. })));
    assert!(Chain::<f64>::new(Vec::new()).is_err());
    let fork = Fork::new(net(&[2, 3]), vec![("a".into(), net(&[2, 1]))]);
    assert!(matches!(fork.err(), Some(NnError::Shape { got: 2, expected: 3, .. })));
    assert!(Fork::new(net(&[2, 3]), Vec::new()).is_err());
}

/// A workspace that another kind of network has used is as good as a new one.
#[test]
fn workspaces_may_change_hands() {
    let (mlp, fork) = (Mlp::new(&[3, 8, 2], Activation::Tanh).unwrap(), tree(Activation::Silu, 6));
    let mut rng = EnvRng::seed_from_u64(1);
    let x = draw(&mut rng, 15);
    let states = States::new(&x, 3).unwrap();
    let mut ws = Workspace::default();
    for net in [&mlp as &dyn Network<f64>, &fork, &mlp, &fork] {
        let theta = draw(&mut rng, net.n_params());
        let linearized = Linearized::new(net, &theta, states, &mut ws).unwrap();
        assert_near("the recorded output", linearized.output(), &output(net, &theta, &x), 1e-14);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_shape(
        sizes in prop::collection::vec(1..24_usize, 2..5),
        rows in 1..40_usize,
        activation in 0..ACTIVATIONS.len(),
        seed in any::<u64>(),
    ) {
        check(&Mlp::new(&sizes, ACTIVATIONS[activation]).unwrap(), rows, false, seed);
        check(&Mlp::trunk(&sizes, ACTIVATIONS[activation]).unwrap(), rows, false, seed);
        check(&tree(ACTIVATIONS[activation], sizes[0]), rows, false, seed);
        check(&agent(ACTIVATIONS[activation], sizes[0]), rows, false, seed);
    }
}
