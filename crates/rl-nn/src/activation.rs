//! The functions between layers.

use candle_core::Tensor;

use crate::{Finish, Init, MatRef, Real};

/// The function between two layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `tanh(x)`
    Tanh,
    /// `max(0, x)`
    Relu,
    /// `x` above 0, `eˣ − 1` below (Clevert, Unterthiner & Hochreiter 2016).
    Elu,
    /// `x Φ(x)` with the normal distribution function Φ (Hendrycks & Gimpel 2016), exactly and not by the tanh approximation.
    Gelu,
    /// `x / (1 + e⁻ˣ)`, also called swish (Elfwing, Uchibe & Doya 2018).
    Silu,
    /// `x` above 0, `x / 100` below (PyTorch's default slope).
    LeakyRelu,
}

/// The slope of [`Activation::LeakyRelu`] below 0.
const LEAK: f64 = 0.01;

impl Activation {
    /// Whether the slope is a function of the value; otherwise it must be kept itself.
    pub(crate) fn slope_follows_from_value(self) -> bool {
        !matches!(self, Activation::Gelu | Activation::Silu)
    }

    /// `y ← σ(init + A B)`; the slopes are written to `slopes` if they must be kept, and to nothing (`None`) in a pass without products.
    pub(crate) fn of_product<F: Real>(
        self,
        y: &mut [F],
        a: MatRef<'_, F>,
        b: MatRef<'_, F>,
        init: Init<'_, F>,
        slopes: Option<&mut [F]>,
    ) {
        if self == Activation::Tanh {
            return F::matmul_finish(y, a, b, init, Finish::Tanh);
        }
        F::matmul(y, a, b, init);
        self.of(y, slopes);
    }

    /// `x ← σ(x)`; NaN stays NaN. Where the slope is no function of the value (`Gelu`, `Silu`), the slopes are written to `slopes` in
    /// the same pass; otherwise nothing is.
    ///
    /// # Panics
    ///
    /// If slopes are written, and there are not as many as elements.
    pub fn of<F: Real>(self, x: &mut [F], slopes: Option<&mut [F]>) {
        match self {
            Activation::Tanh => F::tanh_in_place(x),
            // Not `max`, which would turn a NaN into 0.
            Activation::Relu => x.iter_mut().for_each(|x| *x = if *x < F::zero() { F::zero() } else { *x }),
            Activation::LeakyRelu => {
                let leak = F::narrow(LEAK);
                x.iter_mut().for_each(|x| *x = if *x < F::zero() { leak * *x } else { *x });
            }
            Activation::Elu => F::elu_in_place(x),
            Activation::Gelu => F::gelu_in_place(x, slopes),
            Activation::Silu => F::silu_in_place(x, slopes),
        }
    }

    /// `σ(h)` in a candle graph.
    pub(crate) fn tensor(self, h: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Activation::Tanh => h.tanh(),
            Activation::Relu => h.relu(),
            Activation::Elu => h.elu(1.0),
            Activation::Gelu => h.gelu_erf(),
            Activation::Silu => h.silu(),
            Activation::LeakyRelu => h.relu()? - (h.neg()?.relu()? * LEAK)?,
        }
    }

    /// `g ← (init + A B) ⊙ σ'`, with `kept` the values, or the slopes where these were kept.
    pub(crate) fn slope_times_product<F: Real>(
        self,
        g: &mut [F],
        a: MatRef<'_, F>,
        b: MatRef<'_, F>,
        init: Init<'_, F>,
        kept: &[F],
    ) {
        if self == Activation::Tanh {
            return F::matmul_finish(g, a, b, init, Finish::TanhDerivative(kept));
        }
        F::matmul(g, a, b, init);
        self.times_slope(g, kept);
    }

    /// `g ← g ⊙ σ'`, with `kept` as above.
    pub(crate) fn times_slope<F: Real>(self, g: &mut [F], kept: &[F]) {
        let pairs = g.iter_mut().zip(kept);
        match self {
            Activation::Tanh => F::mul_tanh_derivative(g, kept),
            Activation::Relu => pairs.for_each(|(g, &y)| *g = if y > F::zero() { *g } else { F::zero() }),
            Activation::LeakyRelu => {
                let leak = F::narrow(LEAK);
                pairs.for_each(|(g, &y)| *g *= if y < F::zero() { leak } else { F::one() });
            }
            // Below 0 the slope is eˣ = y + 1.
            Activation::Elu => {
                pairs.for_each(|(g, &y)| *g *= if y < F::zero() { y + F::one() } else { F::one() })
            }
            Activation::Gelu | Activation::Silu => pairs.for_each(|(g, &slope)| *g *= slope),
        }
    }
}
