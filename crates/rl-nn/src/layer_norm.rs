//! Layer normalisation.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{D, Tensor};
use rand::RngCore;
use rl_kernels::{dot, sum, vectorize};

use crate::network::check;
use crate::{
    Activation, Buffer, Carry, Chain, Initialization, Layout, Mlp, Network, NetworkSpec, NnError, Real,
    Shape, States, TensorNetwork, Workspace,
};

/// What is added to a variance: PyTorch's default.
const EPSILON: f64 = 1e-5;

/// `y = σ(γ ⊙ (x − mean x) / √(var x + 10⁻⁵) + β)` over the elements of a row, or the same without σ; the variance is that of the population.
///
/// θ holds `weight` (γ) and `bias` (β), `[n]` each. Mean and variance are summed in `f64`.
///
/// # Source
///
/// Ba, Kiros & Hinton (2016); PyTorch's `LayerNorm`.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    activation: Option<Activation>,
    shape: Shape,
    weight: Range<usize>,
    bias: Range<usize>,
}

/// The normalised rows and one over their standard deviations, the activated values or slopes, and scratch space for a row or all.
#[derive(Default)]
struct Memory<F> {
    normalized: Buffer<F>,
    inv_std: Vec<f64>,
    kept: Buffer<F>,
    row: Buffer<F>,
    g: Buffer<F>,
}

impl LayerNorm {
    /// Normalises rows of `n` elements, with an activation behind or without.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for rows of no element.
    pub fn new(n: usize, activation: Option<Activation>) -> Result<Self, NnError> {
        if n == 0 {
            return Err(NnError::Shape { what: "a row to normalise", got: 0, expected: 1 });
        }
        let mut layout = Layout::new();
        let (weight, bias) = (layout.push("weight", &[n]), layout.push("bias", &[n]));
        Ok(LayerNorm { activation, shape: Shape { n_inputs: n, n_outputs: n, layout }, weight, bias })
    }

    /// A perceptron with layers of `sizes` whose activated layers are normalised before the activation; `activated_output` says whether the last
    /// one is among them.
    ///
    /// The parts are called `linear_0`, `norm_0`, `linear_1`, ….
    ///
    /// # Errors
    ///
    /// As [`Mlp::new`].
    pub fn mlp<F: Real>(
        sizes: &[usize],
        activation: Activation,
        activated_output: bool,
    ) -> Result<Chain<F>, NnError> {
        let mut parts: Vec<(String, Arc<dyn Network<F>>)> = Vec::new();
        // For its errors.
        Mlp::new(sizes, activation)?;
        for (l, io) in sizes.windows(2).enumerate() {
            parts.push((format!("linear_{l}"), Arc::new(Mlp::new(io, activation)?)));
            if l + 2 < sizes.len() || activated_output {
                parts.push((format!("norm_{l}"), Arc::new(LayerNorm::new(io[1], Some(activation))?)));
            }
        }
        Chain::new(parts)
    }

    fn gain_and_bias<'a, F>(&self, theta: &'a [F]) -> (&'a [F], &'a [F]) {
        (&theta[self.weight.clone()], &theta[self.bias.clone()])
    }

    fn n(&self) -> usize {
        self.shape.n_inputs
    }
}

/// Normalises a row and returns one over its standard deviation.
fn normalize<F: Real>(x: &[F], normalized: &mut [F]) -> f64 {
    let n = x.len() as f64;
    let mean = sum(x, |x| x) / n;
    let variance = sum(x, |x| (x - mean) * (x - mean)) / n;
    let inv_std = 1.0 / (variance + EPSILON).sqrt();
    normalized.iter_mut().zip(x).for_each(|(y, x)| *y = F::narrow((x.widen() - mean) * inv_std));
    inv_std
}

/// The product with the derivative of [`normalize`], which is symmetric: `out ← (h − mean h − x̂ mean(x̂ ⊙ h)) / std`.
fn normalize_tangent<F: Real>(h: &[F], normalized: &[F], inv_std: f64, out: &mut [F]) {
    let n = h.len() as f64;
    let (mean, along) = (sum(h, |h| h) / n, dot(h, normalized) / n);
    for ((out, h), x) in out.iter_mut().zip(h).zip(normalized) {
        *out = F::narrow((h.widen() - mean - x.widen() * along) * inv_std);
    }
}

/// `y ← a ⊙ x + b` for every row.
fn affine<F: Real>(x: &[F], a: &[F], b: &[F], y: &mut [F]) {
    vectorize(
        #[inline(always)]
        || {
            for (x, y) in x.chunks_exact(a.len()).zip(y.chunks_exact_mut(a.len())) {
                for (((y, &x), &a), &b) in y.iter_mut().zip(x).zip(a).zip(b) {
                    *y = a * x + b;
                }
            }
        },
    );
}

impl<F: Real> Network<F> for LayerNorm {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn spec(&self) -> Option<NetworkSpec> {
        Some(NetworkSpec::LayerNorm { n: self.n(), activation: self.activation })
    }

    /// Gains 1 and biases 0, whatever the others are.
    fn init(&self, theta: &mut [F], _: Initialization, _: &mut dyn RngCore) -> Result<(), NnError> {
        NnError::check("theta", theta.len(), self.shape.layout.n_params())?;
        theta[self.weight.clone()].fill(F::one());
        theta[self.bias.clone()].fill(F::zero());
        Ok(())
    }

    fn prepare(&self, theta: &[F], _: &mut Workspace<F>) -> Result<(), NnError> {
        NnError::check("theta", theta.len(), self.shape.layout.n_params())
    }

    fn forward(
        &self,
        theta: &[F],
        x: &States<'_, F>,
        _: &mut Carry<F>,
        y: &mut [F],
        ws: &mut Workspace<F>,
    ) -> Result<(), NnError> {
        check(self, theta, x)?;
        NnError::check("the output", y.len(), x.obs().len())?;
        let normalized = ws.parts::<Memory<F>>().1.normalized.take(y.len());
        let n = self.n();
        for (x, normalized) in x.obs().chunks_exact(n).zip(normalized.chunks_exact_mut(n)) {
            normalize(x, normalized);
        }
        let (gain, bias) = self.gain_and_bias(theta);
        affine(normalized, gain, bias, y);
        if let Some(activation) = self.activation {
            activation.of(y, None);
        }
        Ok(())
    }

    fn record(&self, theta: &[F], x: &States<'_, F>, ws: &mut Workspace<F>) -> Result<(), NnError> {
        check(self, theta, x)?;
        let (output, memory) = ws.parts::<Memory<F>>();
        let (n, len) = (self.n(), x.obs().len());
        let normalized = memory.normalized.take(len);
        memory.inv_std.clear();
        let rows = x.obs().chunks_exact(n).zip(normalized.chunks_exact_mut(n));
        memory.inv_std.extend(rows.map(|(x, normalized)| normalize(x, normalized)));
        output.resize(len, F::zero());
        let (gain, bias) = self.gain_and_bias(theta);
        affine(normalized, gain, bias, output);
        if let Some(activation) = self.activation {
            let kept = memory.kept.take(len);
            if activation.slope_follows_from_value() {
                activation.of(output, None);
                kept.copy_from_slice(output);
            } else {
                activation.of(output, Some(kept));
            }
        }
        Ok(())
    }

    fn vjp(
        &self,
        theta: &[F],
        _: &States<'_, F>,
        ws: &mut Workspace<F>,
        dy: &[F],
        grad: &mut [F],
        dx: Option<&mut [F]>,
    ) -> Result<(), NnError> {
        let n = self.n();
        let Memory { normalized, inv_std, kept, row, g } = ws.parts::<Memory<F>>().1;
        let (normalized, g) = (&*normalized.take(dy.len()), g.take(dy.len()));
        g.copy_from_slice(dy);
        if let Some(activation) = self.activation {
            activation.times_slope(g, kept.take(dy.len()));
        }
        let g = &*g;
        let (d_gain, d_bias) = grad.split_at_mut(n);
        d_gain.fill(F::zero());
        d_bias.fill(F::zero());
        vectorize(
            #[inline(always)]
            || {
                for (g, x) in g.chunks_exact(n).zip(normalized.chunks_exact(n)) {
                    for (((d_gain, d_bias), &g), &x) in d_gain.iter_mut().zip(&mut *d_bias).zip(g).zip(x) {
                        *d_gain += g * x;
                        *d_bias += g;
                    }
                }
            },
        );
        if let Some(dx) = dx {
            let (gain, h) = (&theta[self.weight.clone()], row.take(n));
            let rows = g.chunks_exact(n).zip(normalized.chunks_exact(n)).zip(inv_std);
            for (((g, x), inv_std), dx) in rows.zip(dx.chunks_exact_mut(n)) {
                h.iter_mut().zip(gain).zip(g).for_each(|((h, &gain), &g)| *h = gain * g);
                normalize_tangent(h, x, *inv_std, dx);
            }
        }
        Ok(())
    }

    fn jvp(
        &self,
        theta: &[F],
        _: &States<'_, F>,
        ws: &mut Workspace<F>,
        v: &[F],
        dx: Option<&[F]>,
        dy: &mut [F],
    ) -> Result<(), NnError> {
        let n = self.n();
        let Memory { normalized, inv_std, kept, row, .. } = ws.parts::<Memory<F>>().1;
        let normalized = &*normalized.take(dy.len());
        let (v_gain, v_bias) = self.gain_and_bias(v);
        affine(normalized, v_gain, v_bias, dy);
        if let Some(dx) = dx {
            let (gain, tangent) = (&theta[self.weight.clone()], row.take(n));
            let rows = dx.chunks_exact(n).zip(normalized.chunks_exact(n)).zip(inv_std);
            for (((dx, x), inv_std), dy) in rows.zip(dy.chunks_exact_mut(n)) {
                normalize_tangent(dx, x, *inv_std, tangent);
                dy.iter_mut().zip(gain).zip(&*tangent).for_each(|((dy, &gain), &t)| *dy += gain * t);
            }
        }
        if let Some(activation) = self.activation {
            activation.times_slope(dy, kept.take(dy.len()));
        }
        Ok(())
    }
}

impl TensorNetwork for LayerNorm {
    fn forward_tensor(&self, theta: &Tensor, x: &Tensor) -> Result<Tensor, NnError> {
        let param = |range: &Range<usize>| theta.narrow(0, range.start, range.len());
        let centered = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let std = (centered.sqr()?.mean_keepdim(D::Minus1)? + EPSILON)?.sqrt()?;
        let scaled = centered.broadcast_div(&std)?.broadcast_mul(&param(&self.weight)?)?;
        let y = scaled.broadcast_add(&param(&self.bias)?)?;
        Ok(match self.activation {
            Some(activation) => activation.tensor(&y)?,
            None => y,
        })
    }
}
