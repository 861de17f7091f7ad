//! Adam.

use pulp::{Simd, WithSimd};
use rl_kernels::{dispatch, elementary, vectorize};
use serde::{Deserialize, Serialize};

use crate::error::{check_len, check_range};
use crate::{Element, OptimError};

/// Adam's constants.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamParams {
    /// `β₁`, the decay of the first moment.
    pub beta1: f64,
    /// `β₂`, the decay of the second moment.
    pub beta2: f64,
    /// `ε`, added to the denominator after the bias correction, as PyTorch does.
    pub eps: f64,
    /// `λ`, the decoupled weight decay of AdamW; 0 for none.
    pub weight_decay: f64,
    /// Whether both moments are corrected for having begun at 0.
    pub bias_correction: bool,
}

impl Default for AdamParams {
    /// Kingma and Ba's constants, and PyTorch's defaults. Stable-Baselines3 uses `eps = 1e-5` for PPO.
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, bias_correction: true }
    }
}

impl AdamParams {
    /// RMSprop, which is Adam without a running mean of the gradient and without bias correction: PyTorch's `torch.optim.RMSprop`,
    /// `θ ← θ − lr · g / (√v + ε)` with `v ← α v + (1 − α) g²` from 0.
    ///
    /// # Source
    ///
    /// Tieleman and Hinton 2012, lecture 6.5.
    ///
    /// ```
    /// use rl_optim::{Adam, AdamParams};
    /// let mut rms_prop = Adam::new(1, AdamParams::rms_prop(0.75, 0.0));
    /// let mut theta = [1.0_f64];
    /// rms_prop.step(&mut theta, &[4.0], 0.1)?; // v = 4
    /// assert!((theta[0] - 0.8).abs() < 1e-15);
    /// # Ok::<(), rl_optim::OptimError>(())
    /// ```
    #[must_use]
    pub fn rms_prop(alpha: f64, eps: f64) -> Self {
        Self { beta1: 0.0, beta2: alpha, eps, bias_correction: false, ..Self::default() }
    }
}

/// Adam, equal to PyTorch's `torch.optim.AdamW` (`torch.optim.Adam` without weight decay):
///
/// ```text
/// t ← t + 1
/// θ ← θ − lr λ θ
/// m ← m + (1 − β₁)(g − m)
/// v ← β₂ v + (1 − β₂) g²
/// θ ← θ − (lr / (1 − β₁ᵗ)) · m / (√v / √(1 − β₂ᵗ) + ε)
/// ```
///
/// The whole state is public and serialisable, so that a run can resume to the bit.
///
/// # Source
///
/// Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1; the decay of Loshchilov and Hutter, "Decoupled weight decay
/// regularization", 2019, algorithm 2.
///
/// # Example
///
/// The first step has length `lr` whatever the gradient, up to `ε`:
///
/// ```
/// use rl_optim::{Adam, AdamParams};
///
/// let mut adam = Adam::new(2, AdamParams::default());
/// let mut theta = [1.0, 1.0];
/// adam.step(&mut theta, &[20.0, -0.5], 0.1)?;
/// assert!((theta[0] - 0.9_f64).abs() < 1e-7 && (theta[1] - 1.1).abs() < 1e-7);
/// # Ok::<(), rl_optim::OptimError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adam<F> {
    /// The constants.
    pub params: AdamParams,
    /// `m`, the running mean of the gradient.
    pub m: Vec<F>,
    /// `v`, the running mean of its squares.
    pub v: Vec<F>,
    /// `t`, the number of steps taken.
    pub t: u64,
}

/// Bytes left free behind the moments: a processor that runs through them fetches lines beyond their end, which another thread may be writing.
const APART: usize = 16 * 1024;

impl<F: Element> Adam<F> {
    /// Adam for `n_params` parameters, before its first step.
    #[must_use]
    pub fn new(n_params: usize, params: AdamParams) -> Self {
        let moments = || {
            let mut moments = Vec::with_capacity(n_params + APART / size_of::<F>());
            moments.resize(n_params, F::zero());
            moments
        };
        Self { params, m: moments(), v: moments(), t: 0 }
    }

    /// Moves `theta` one step against `grad`, with the learning rate `lr`.
    ///
    /// # Shapes
    ///
    /// `theta` and `grad` are `[P]`, as `m` and `v` are.
    ///
    /// # Errors
    ///
    /// [`OptimError::DimensionMismatch`] where a length differs, and [`OptimError::InvalidParameter`] where a constant is
    /// outside its range; nothing has changed then.
    pub fn step(&mut self, theta: &mut [F], grad: &[F], lr: f64) -> Result<(), OptimError> {
        self.step_scaled(theta, grad, 1.0, lr)
    }

    /// The same with the gradient `scale · grad`: clipping ([`clip_scale`](crate::clip_scale)) without a pass of its own.
    ///
    /// # Shapes
    ///
    /// As in [`step`](Self::step).
    ///
    /// # Errors
    ///
    /// As in [`step`](Self::step).
    ///
    /// # Example
    ///
    /// ```
    /// use rl_optim::{Adam, AdamParams};
    ///
    /// let (mut a, mut b) = (Adam::new(1, AdamParams::default()), Adam::new(1, AdamParams::default()));
    /// let (mut x, mut y) = ([1.0_f32], [1.0_f32]);
    /// a.step_scaled(&mut x, &[3.0], 0.5, 0.1)?;
    /// b.step(&mut y, &[1.5], 0.1)?;
    /// assert_eq!((x, a), (y, b));
    /// # Ok::<(), rl_optim::OptimError>(())
    /// ```
    pub fn step_scaled(
        &mut self,
        theta: &mut [F],
        grad: &[F],
        scale: f64,
        lr: f64,
    ) -> Result<(), OptimError> {
        let AdamParams { beta1, beta2, eps, weight_decay, bias_correction } = self.params;
        let n = theta.len();
        check_len("grad", grad.len(), n)?;
        check_len("m", self.m.len(), n)?;
        check_len("v", self.v.len(), n)?;
        check_range("beta1", beta1, "a number from 0 to below 1", (0.0..1.0).contains(&beta1))?;
        check_range("beta2", beta2, "a number from 0 to below 1", (0.0..1.0).contains(&beta2))?;
        check_range("eps", eps, "a number of at least 0", eps >= 0.0)?;
        check_range("weight_decay", weight_decay, "a number of at least 0", weight_decay >= 0.0)?;

        self.t += 1;
        if weight_decay > 0.0 {
            // Not times 1 − lr λ, which in f32 keeps few digits of a small decay.
            let decay = F::narrow(lr * weight_decay);
            theta.iter_mut().for_each(|theta| *theta -= decay * *theta);
        }
        let correction = |beta| if bias_correction { 1.0 - elementary::powi(beta, self.t) } else { 1.0 };
        let step_size = lr / correction(beta1);
        let root_correction = correction(beta2).sqrt();
        let constants = Constants {
            scale: F::narrow(scale),
            new1: F::narrow(1.0 - beta1),
            beta2: F::narrow(beta2),
            new2: F::narrow(1.0 - beta2),
            inv_root_correction: F::narrow(1.0 / root_correction),
            eps: F::narrow(eps),
            step_size: F::narrow(step_size),
        };
        F::update(theta, grad, &mut self.m, &mut self.v, &constants);
        Ok(())
    }
}

/// What is the same for every parameter of a step, in the parameters' precision.
#[derive(Debug)]
pub(crate) struct Constants<F> {
    scale: F,
    new1: F,
    beta2: F,
    new2: F,
    inv_root_correction: F,
    eps: F,
    step_size: F,
}

/// One step over four slices of the same length.
pub(crate) trait Update: Sized {
    /// Takes it.
    fn update(theta: &mut [Self], grad: &[Self], m: &mut [Self], v: &mut [Self], constants: &Constants<Self>);
}

impl Update for f64 {
    fn update(theta: &mut [f64], grad: &[f64], m: &mut [f64], v: &mut [f64], c: &Constants<f64>) {
        vectorize(
            #[inline(always)]
            || {
                for (((theta, &grad), m), v) in theta.iter_mut().zip(grad).zip(m).zip(v) {
                    let g = c.scale * grad;
                    *m += c.new1 * (g - *m);
                    *v = c.beta2 * *v + c.new2 * g * g;
                    *theta -= c.step_size * *m / (v.sqrt() * c.inv_root_correction + c.eps);
                }
            },
        );
    }
}

impl Update for f32 {
    fn update(theta: &mut [f32], grad: &[f32], m: &mut [f32], v: &mut [f32], constants: &Constants<f32>) {
        dispatch(Step { theta, grad, m, v, constants });
    }
}

/// A step of `f32` parameters, a vector at a time.
struct Step<'a> {
    theta: &'a mut [f32],
    grad: &'a [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
    constants: &'a Constants<f32>,
}

impl WithSimd for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (theta, theta_tail) = S::as_mut_simd_f32s(self.theta);
        let (grad, grad_tail) = S::as_simd_f32s(self.grad);
        let (m, m_tail) = S::as_mut_simd_f32s(self.m);
        let (v, v_tail) = S::as_mut_simd_f32s(self.v);
        for (((theta, &grad), m), v) in theta.iter_mut().zip(grad).zip(m).zip(v) {
            step(simd, theta, grad, m, v, self.constants);
        }
        if theta_tail.is_empty() {
            return;
        }
        let load = |x: &[f32]| simd.partial_load_f32s(x);
        let (mut theta, mut m, mut v) = (load(theta_tail), load(m_tail), load(v_tail));
        step(simd, &mut theta, load(grad_tail), &mut m, &mut v, self.constants);
        simd.partial_store_f32s(theta_tail, theta);
        simd.partial_store_f32s(m_tail, m);
        simd.partial_store_f32s(v_tail, v);
    }
}

#[inline(always)]
fn step<S: Simd>(
    simd: S,
    theta: &mut S::f32s,
    grad: S::f32s,
    m: &mut S::f32s,
    v: &mut S::f32s,
    c: &Constants<f32>,
) {
    let splat = |x: f32| simd.splat_f32s(x);
    let g = simd.mul_f32s(splat(c.scale), grad);
    *m = simd.mul_add_f32s(splat(c.new1), simd.sub_f32s(g, *m), *m);
    *v = simd.mul_add_f32s(splat(c.beta2), *v, simd.mul_f32s(simd.mul_f32s(splat(c.new2), g), g));
    let step = simd.mul_f32s(splat(c.step_size), *m);
    let denominator = simd.mul_add_f32s(root(simd, *v), splat(c.inv_root_correction), splat(c.eps));
    *theta = simd.sub_f32s(*theta, simd.div_f32s(step, denominator));
}

/// `√v`, within two ulp where `v` is normal; below (2⁻¹²⁶) up to twice as large, which an ε above 1e-18 hides. 0, infinity and NaN stay.
///
/// The processor's own root shares its divider with the division that follows, and takes as long again; its reciprocal estimates differ between
/// processors. So the reciprocal root begins with an estimate `y` from the bits of the exponent, within 3.5 % (Lomont 2003, "Fast inverse square
/// root"). With `s = v y` and `h = 1 − s y`, `√v = s (1 − h)^(−½)`, whose polynomial is the best of degree four on |h| ≤ 0.07 (2.4e-8).
#[inline(always)]
fn root<S: Simd>(simd: S, v: S::f32s) -> S::f32s {
    let splat = |x: f32| simd.splat_f32s(x);
    let half_exponent = simd.wrapping_dyn_shr_u32s(simd.transmute_u32s_f32s(v), simd.splat_u32s(1));
    let y = simd.transmute_f32s_u32s(simd.sub_u32s(simd.splat_u32s(0x5f37_59df), half_exponent));
    let s = simd.mul_f32s(v, y);
    let h = simd.negate_mul_add_f32s(s, y, splat(1.0));
    let mut q = splat(0.274_108_92);
    for c in [0.313_935_5, 0.375_000_27, 0.499_998_33] {
        q = simd.mul_add_f32s(q, h, splat(c));
    }
    let root = simd.mul_add_f32s(simd.mul_f32s(s, h), q, s);
    simd.select_f32s(simd.less_than_f32s(v, splat(f32::INFINITY)), root, v)
}

#[cfg(test)]
mod tests {
    use rl_kernels::Isa;

    use super::*;

    /// Whatever this processor's own way of it: whole vectors, a rest, gradients of every size, an empty second moment.
    #[test]
    fn a_step_in_vectors_is_the_step_in_f64() {
        let n = 16 * 5 + 7;
        let grads: Vec<f32> =
            (0..n).map(|i| [0.0, 1e-12, -3e-4, 0.7, -2e3][i % 5] * (1.0 + i as f32)).collect();
        let wide: Vec<f64> = grads.iter().map(|&g| f64::from(g)).collect();
        let (mut theta, mut theta_wide) = (vec![0.5_f32; n], vec![0.5_f64; n]);
        let params = AdamParams { eps: 1e-5, ..AdamParams::default() };
        let (mut adam, mut adam_wide) = (Adam::new(n, params), Adam::new(n, params));
        for step in 1..=20 {
            let scale = 1.0 / f64::from(step);
            adam.step_scaled(&mut theta, &grads, scale, 1e-2).unwrap();
            adam_wide.step_scaled(&mut theta_wide, &wide, scale, 1e-2).unwrap();
        }
        for (i, (a, b)) in theta.iter().zip(&theta_wide).enumerate() {
            assert!((f64::from(*a) - b).abs() < 1e-6, "{i}: {a}, not {b}");
        }
    }

    /// One step of many parameters: the same bits with every instruction set, and in rests of every length.
    #[test]
    fn the_same_bits_with_every_instruction_set() {
        let draw =
            |seed: usize| (0..211).map(|i| ((i * seed) % 1009) as f32 / 500.0 - 1.0).collect::<Vec<f32>>();
        let constants = Constants {
            scale: 0.7,
            new1: 0.1,
            beta2: 0.999,
            new2: 0.001,
            inv_root_correction: 3.0,
            eps: 1e-5,
            step_size: 1e-3,
        };
        for n in (0..40).chain([211]) {
            let of = |isa: Isa| {
                let [mut theta, grad, mut m, v] = [7919, 104_729, 1_299_709, 15_485_863].map(draw);
                let mut v: Vec<f32> = v.iter().map(|v| v * v * 1e-3).collect();
                let (theta, grad, m, v) = (&mut theta[..n], &grad[..n], &mut m[..n], &mut v[..n]);
                isa.dispatch(Step { theta, grad, m, v, constants: &constants });
                [&*theta, m, v].concat().iter().map(|x| x.to_bits()).collect::<Vec<_>>()
            };
            let portable = of(Isa::Portable);
            for isa in Isa::available() {
                assert_eq!(of(isa), portable, "{n} parameters with {isa}");
            }
        }
    }

    #[test]
    fn the_root_is_within_an_ulp_or_two() {
        struct Roots<'a>(&'a mut [f32]);
        impl WithSimd for Roots<'_> {
            type Output = ();
            #[inline(always)]
            fn with_simd<S: Simd>(self, simd: S) {
                S::as_mut_simd_f32s(self.0).0.iter_mut().for_each(|x| *x = root(simd, *x));
            }
        }
        let points: Vec<f32> =
            (f32::MIN_POSITIVE.to_bits()..0x7f80_0000).step_by(251).map(f32::from_bits).collect();
        let whole = points.len() / 16 * 16;
        let mut y = points[..whole].to_vec();
        dispatch(Roots(&mut y));
        let mut worst = 0.0_f64;
        for (&x, &y) in points.iter().zip(&y) {
            worst = worst.max((f64::from(y) / f64::from(x).sqrt() - 1.0).abs());
        }
        assert!(worst < 1.5e-7, "relative error {worst:e}");
        let mut edges = [0.0, f32::INFINITY, f32::NAN, 1e-40].repeat(4);
        dispatch(Roots(&mut edges));
        assert_eq!((edges[0].to_bits(), edges[1].to_bits()), (0, f32::INFINITY.to_bits()));
        assert!(edges[2].is_nan() && (1e-21..1e-19).contains(&edges[3]), "{edges:?}");
    }

    /// A second moment that overflows leaves its parameter alone; a gradient that is not a number shows.
    #[test]
    fn overflow_and_nan() {
        let mut grads = [1.0_f32; 20];
        (grads[1], grads[17], grads[2], grads[18]) = (1e30, 1e30, f32::NAN, f32::NAN);
        let mut theta = [0.5_f32; 20];
        Adam::new(20, AdamParams::default()).step(&mut theta, &grads, 0.1).unwrap();
        for i in [1, 17] {
            assert_eq!(theta[i].to_bits(), 0.5_f32.to_bits());
            assert!(theta[i + 1].is_nan() && (theta[i - 1] - 0.4).abs() < 1e-6);
        }
    }
}
