//! Weight initialisation from a seeded generator.

use rand::{Rng, RngCore};
use rand_distr::Distribution;
use rl_kernels::{Init, MatRef, Real, StandardNormal, dot};

use crate::Layout;

/// How the parameters of a network are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initialization {
    /// Orthogonal weights with gain √2 where an activation follows and `output_gain` in an output layer, biases 0: Stable-Baselines3's `ortho_init`,
    /// with 0.01 for a policy and 1 for a value function.
    Orthogonal {
        /// The gain of the output layer.
        output_gain: f64,
    },
    /// Uniform in ±1/√n_in, weights and biases: PyTorch's default for layers with weights.
    Uniform,
}

impl Initialization {
    /// The same for layers that are followed by others.
    pub(crate) fn hidden(self) -> Self {
        match self {
            Initialization::Orthogonal { .. } => {
                Initialization::Orthogonal { output_gain: std::f64::consts::SQRT_2 }
            }
            Initialization::Uniform => Initialization::Uniform,
        }
    }

    /// Draws a weight `[n_out, n_in]` and its bias.
    pub(crate) fn layer<F: Real>(
        self,
        weight: &mut [F],
        bias: &mut [F],
        (n_out, n_in): (usize, usize),
        rng: &mut dyn RngCore,
    ) {
        match self {
            Initialization::Orthogonal { output_gain } => {
                orthogonal(weight, n_out, n_in, output_gain, rng);
                bias.fill(F::zero());
            }
            Initialization::Uniform => {
                uniform(weight, n_in, rng);
                uniform(bias, n_in, rng);
            }
        }
    }

    /// Draws θ by the shapes of its tensors alone: [`Network::init`](crate::Network::init).
    pub(crate) fn by_layout<F: Real>(self, layout: &Layout, theta: &mut [F], rng: &mut dyn RngCore) {
        let last = layout.params().iter().rposition(|param| param.shape.len() > 1);
        let mut n_in = 1;
        for (i, param) in layout.params().iter().enumerate() {
            let x = &mut theta[param.range()];
            let how = if Some(i) == last { self } else { self.hidden() };
            if let [n_out, rest @ ..] = &param.shape[..]
                && !rest.is_empty()
            {
                n_in = rest.iter().product();
                how.layer(x, &mut [], (*n_out, n_in), rng);
            } else {
                how.layer(&mut [], x, (0, n_in), rng);
            }
        }
    }
}

/// Fills with draws that are uniform in ±1/√n_in.
fn uniform<F: Real>(x: &mut [F], n_in: usize, rng: &mut dyn RngCore) {
    let bound = 1.0 / (n_in.max(1) as f64).sqrt();
    x.iter_mut().for_each(|x| *x = F::narrow(rng.random_range(-bound..bound)));
}

/// Vectors that are made orthogonal to all before them at once, by matrix products.
const BLOCK: usize = 64;

/// Fills a `[rows, cols]` matrix with a random (semi-)orthogonal one, scaled by `gain`.
///
/// The columns of a tall matrix (rows of a wide one) are an orthonormal set: block Gram-Schmidt, run twice, on independent normal vectors in the
/// matrix's own precision. With normal entries and positive diagonal of R this is the Haar distribution.
///
/// # Source
///
/// Saxe, McClelland & Ganguli (2014); the distribution of PyTorch's `orthogonal_`. Twice is enough: Giraud, Langou, Rozložník & van den
/// Eshof (2005).
///
/// # Shapes
///
/// `w` is row-major `[rows, cols]`.
///
/// # Panics
///
/// If `w` does not have `rows · cols` elements.
pub fn orthogonal<F: Real>(w: &mut [F], rows: usize, cols: usize, gain: f64, rng: &mut dyn RngCore) {
    assert_eq!(w.len(), rows * cols, "a matrix of {rows} rows and {cols} columns");
    let (count, len) = (rows.min(cols), rows.max(cols));
    if count == 0 {
        return;
    }
    let mut vectors: Vec<F> = (0..count * len).map(|_| F::narrow(StandardNormal.sample(rng))).collect();
    let mut scratch = Scratch::default();
    for start in (0..count).step_by(BLOCK) {
        let (before, rest) = vectors.split_at_mut(start * len);
        let block = &mut rest[..BLOCK.min(count - start) * len];
        for _ in 0..2 {
            remove_components(block, before, len, &mut scratch);
            gram_schmidt(block, len);
        }
    }
    let gain = F::narrow(gain);
    vectors.iter_mut().for_each(|x| *x *= gain);
    if rows >= cols {
        F::transpose(&vectors, count, len, w);
    } else {
        w.copy_from_slice(&vectors);
    }
}

#[derive(Default)]
struct Scratch<F> {
    transposed: Vec<F>,
    components: Vec<F>,
}

/// `V ← V − (V Qᵀ) Q` for the rows of a block `V` and of all orthonormal vectors before it `Q`.
fn remove_components<F: Real>(block: &mut [F], before: &[F], len: usize, scratch: &mut Scratch<F>) {
    if before.is_empty() {
        return;
    }
    let (b, n) = (block.len() / len, before.len() / len);
    let Scratch { transposed, components } = scratch;
    transposed.resize(block.len(), F::zero());
    F::transpose(block, b, len, transposed);
    components.resize(n * b, F::zero());
    let q = MatRef::new(before, n, len);
    F::matmul(components, q, MatRef::new(transposed, len, b), Init::Zero);
    components.iter_mut().for_each(|c| *c = -*c);
    F::matmul(block, MatRef::new(components, n, b).t(), q, Init::Accumulate);
}

/// Makes the rows of a block orthonormal, one after another.
fn gram_schmidt<F: Real>(block: &mut [F], len: usize) {
    for i in 0..block.len() / len {
        let (before, rest) = block.split_at_mut(i * len);
        let v = &mut rest[..len];
        for u in before.chunks_exact(len) {
            let along = F::narrow(dot(u, v));
            v.iter_mut().zip(u).for_each(|(v, &u)| *v -= along * u);
        }
        let inv_norm = F::narrow(1.0 / dot(v, v).sqrt());
        v.iter_mut().for_each(|v| *v *= inv_norm);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the system's functions are the reference")]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn check<F: Real>(tolerance: f64) {
        let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(1);
        for (rows, cols) in [(64, 4), (4, 64), (64, 64), (1, 7), (2, 1), (150, 200), (200, 200)] {
            let mut w = vec![F::zero(); rows * cols];
            orthogonal(&mut w, rows, cols, 3.0, &mut rng);
            let (count, len) = (rows.min(cols), rows.max(cols));
            let at = |i: usize, k: usize| {
                if rows >= cols { w[k * cols + i].widen() } else { w[i * cols + k].widen() }
            };
            for i in 0..count {
                for j in 0..count {
                    let dot: f64 = (0..len).map(|k| at(i, k) * at(j, k)).sum();
                    let expected = if i == j { 9.0 } else { 0.0 };
                    assert!((dot - expected).abs() < tolerance, "{rows}x{cols}: ⟨{i},{j}⟩ = {dot}");
                }
            }
        }
    }

    #[test]
    fn products_are_the_scaled_identity() {
        check::<f64>(1e-13);
        check::<f32>(2e-5);
    }

    /// A network that leaves its initialisation to its layout gets what a perceptron draws for itself.
    #[test]
    fn by_layout_as_a_perceptron_does() {
        use crate::{Activation, Mlp, Network};
        let net = Mlp::new(&[3, 20, 5], Activation::Tanh).unwrap();
        for how in [Initialization::Orthogonal { output_gain: 0.01 }, Initialization::Uniform] {
            let mut thetas = [[0.0_f64; 185]; 2];
            let rng = || rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(3);
            net.init(&mut thetas[0], how, &mut rng()).unwrap();
            how.by_layout(&Network::<f64>::shape(&net).layout, &mut thetas[1], &mut rng());
            assert_eq!(thetas[0].map(f64::to_bits), thetas[1].map(f64::to_bits));
            assert!(net.init(&mut [0.0; 3], how, &mut rng()).is_err());
        }
    }

    /// Entry squares of a Haar matrix have mean 1/n, and entries no preferred sign.
    #[test]
    fn entries_are_distributed_as_they_should() {
        let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(2);
        let (n, draws) = (16, 2_000);
        let (mut sum, mut corner_square, mut first_diagonal) = (0.0, 0.0, 0.0);
        let mut w = vec![0.0_f32; n * n];
        for _ in 0..draws {
            orthogonal(&mut w, n, n, 1.0, &mut rng);
            sum += f64::from(w[n * n - 1]);
            corner_square += f64::from(w[n * n - 1]).powi(2);
            first_diagonal += f64::from(w[0]);
        }
        let n_draws = f64::from(draws);
        // Standard errors 0.0056 and 0.0018.
        assert!((sum / n_draws).abs() < 0.025 && (first_diagonal / n_draws).abs() < 0.025);
        assert!((corner_square / n_draws - 1.0 / n as f64).abs() < 0.008);
    }
}
