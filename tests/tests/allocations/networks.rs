//! Once a workspace has grown, no pass and no product of our networks allocates.

use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rl_env::EnvRng;
use rl_nn::{
    Activation, Chain, Cnn, Fork, Forward, Identity, LayerNorm, Linearized, Mlp, Network, States, Workspace,
};

use crate::allocations;

/// A shared trunk of images, a normalised perceptron and a chain, with heads of every kind.
fn tree(activation: Activation) -> Fork<f32> {
    let trunk: Vec<(String, Arc<dyn Network<f32>>)> = vec![
        ("images".into(), Arc::new(Cnn::small([1, 10, 5]).unwrap())),
        ("joined".into(), Arc::new(LayerNorm::mlp(&[128, 20, 18], activation, true).unwrap())),
    ];
    let heads: Vec<(String, Arc<dyn Network<f32>>)> = vec![
        ("policy".into(), Arc::new(Mlp::new(&[18, 9, 3], activation).unwrap())),
        ("latent".into(), Arc::new(Identity::new(18).unwrap())),
        ("value".into(), Arc::new(Mlp::new(&[18, 1], activation).unwrap())),
    ];
    let fork = Fork::new(Arc::new(Chain::new(trunk).unwrap()), heads).unwrap();
    fork.with_free_parameters(0, "log_std", 3).unwrap()
}

fn steady(what: &str, net: &dyn Network<f32>) {
    let mut rng = EnvRng::seed_from_u64(1);
    let rows = 64;
    let mut draw = |n: usize| (0..n).map(|_| rng.random_range(-0.5..0.5)).collect::<Vec<f32>>();
    let [theta, v, mut grad] = [0; 3].map(|_| draw(net.n_params()));
    let [x, x_dot, mut dx] = [0; 3].map(|_| draw(rows * net.n_inputs()));
    let [dy, mut y] = [0; 2].map(|_| draw(rows * net.n_outputs()));
    let states = States::new(&x, net.n_inputs()).unwrap();
    let mut ws = Workspace::default();
    let mut work = || {
        // A whole minibatch and the eight rows of a rollout's step, in turn.
        for rows in [rows, 8] {
            let (input, y) = (states.slice(0..rows), &mut y[..rows * net.n_outputs()]);
            Forward::new(net, &theta, &mut ws).unwrap().run(&input, y).unwrap();
        }
        let mut linearized = Linearized::new(net, &theta, states, &mut ws).unwrap();
        linearized.vjp(&dy, &mut grad, None).unwrap();
        linearized.vjp(&dy, &mut grad, Some(&mut dx)).unwrap();
        linearized.jvp(&v, None, &mut y).unwrap();
        linearized.jvp(&v, Some(&x_dot), &mut y).unwrap();
    };
    assert!(allocations(&mut work) > 0, "{what}: a workspace starts empty");
    // Tiles of another size than the first call's may be packed into memory that grows once more.
    work();
    assert_eq!(allocations(&mut work), 0, "{what}");
}

#[test]
fn no_product_allocates() {
    steady("Cnn::nature", &Cnn::nature([1, 36, 36]).unwrap());
    for activation in
        [Activation::Tanh, Activation::Relu, Activation::Elu, Activation::Gelu, Activation::Silu]
    {
        steady(&format!("Mlp, {activation:?}"), &Mlp::new(&[11, 64, 64, 3], activation).unwrap());
        steady(&format!("a wide Mlp, {activation:?}"), &Mlp::new(&[11, 256, 256, 3], activation).unwrap());
        steady(&format!("everything, {activation:?}"), &tree(activation));
    }
}
