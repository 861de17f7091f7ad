//! `x` times a distribution function of `x`: SiLU (the logistic one) and GELU (the normal one), with their slopes in the same pass.
//!
//! Errors of the `f32` kernels, measured at every 257th float of both signs against the `f64` functions. "Relative" is to the exact
//! result, and where that is below 2⁻²⁴ |x| or not normal (2⁻²⁴ for a slope) to this bound. A slope is a sum of terms that cancel near its zero; its error
//! is relative to the sum of their magnitudes.
//!
//! | | value | slope |
//! |---|---|---|
//! | SiLU | 2.4e-7 | 2.7e-7 |
//! | GELU | 3.8e-7 | 2.7e-7 |

use std::marker::PhantomData;

use pulp::{Simd, WithSimd};

use crate::Isa;
use crate::elementary::{erf, exp};
use crate::elementwise::{EXP_MIN, InPlace, Lanes, half_exp};

/// `(σ(x), σ'(x))` of one vector.
trait ValueAndSlope {
    fn of<S: Simd>(simd: S, x: S::f32s) -> (S::f32s, S::f32s);
}

struct Silu;
struct Gelu;

/// `x ← x s(x)` with `s(x) = 1 / (1 + e⁻ˣ)`, and its slopes; ±0 stays ±0, NaN stays NaN. Below −86.6 the value is −0. At −∞ it is NaN as
/// that of the formula, −∞ · 0, and so is the slope there and at ∞.
///
/// With `e = e^(−|x|)`, which cannot overflow, `s(|x|) = 1 / (1 + e)` and `s(−|x|) = e / (1 + e)`: each is the other's complement,
/// without a difference of close numbers. The slope is `s(x) (1 + x s(−x))`.
pub(crate) fn silu_f32(isa: Isa, x: &mut [f32], slopes: Option<&mut [f32]>) {
    in_one_pass(isa, x, slopes, Silu);
}

/// `x ← x Φ(x)`, and its slopes `Φ(x) + x φ(x)`; zeros, NaN and infinities as in [`silu_f32`]. Below −13.16 the value is −0.
///
/// With `t = |x|`, `Φ(−t) = ½ e^(−t²/2) P(t) / Q(t)` and `Φ(t) = 1 − Φ(−t)`. P / Q approximates `e^(t²/2) erfc(t/√2)` on 0 ≤ t ≤ 13.17.
/// The coefficients minimise the largest relative error in exact arithmetic (4.9e-9; 6.3e-8 rounded), then their common factor that of
/// rounded arithmetic (3.8e-7). All are positive, so nothing cancels, and the first ones are equal, so that Φ(0) is ½. What rounding
/// `t²/2` takes away, which would be an error of t² ulp, comes back as a factor of the exponential.
pub(crate) fn gelu_f32(isa: Isa, x: &mut [f32], slopes: Option<&mut [f32]>) {
    in_one_pass(isa, x, slopes, Gelu);
}

const GELU_LIMIT: f32 = 13.16;
const GELU_P: [f32; 5] = [1.214_799_3, 1.057_818, 0.439_968_8, 0.096_966_28, 0.009_741_023];
const GELU_Q: [f32; 6] = [1.214_799_3, 2.027_087_7, 1.449_946_5, 0.563_424_47, 0.121_538_31, 0.012_208_384];

/// `1/√(2π)`
const INV_SQRT_2PI: f64 = 0.398_942_280_401_432_7;

/// Values alone, or values and slopes.
fn in_one_pass<F: ValueAndSlope>(isa: Isa, x: &mut [f32], slopes: Option<&mut [f32]>, function: F) {
    match slopes {
        None => isa.dispatch(InPlace(x, function)),
        Some(slopes) => {
            assert_eq!(x.len(), slopes.len(), "values and their slopes");
            isa.dispatch(WithSlopes { x, slopes, function: PhantomData::<F> });
        }
    }
}

impl<F: ValueAndSlope> Lanes for F {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
        F::of(simd, x).0
    }
}

struct WithSlopes<'a, F> {
    x: &'a mut [f32],
    slopes: &'a mut [f32],
    function: PhantomData<F>,
}

impl<F: ValueAndSlope> WithSimd for WithSlopes<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (x, x_tail) = S::as_mut_simd_f32s(self.x);
        let (slopes, slopes_tail) = S::as_mut_simd_f32s(self.slopes);
        for (x, slope) in x.iter_mut().zip(slopes) {
            (*x, *slope) = F::of(simd, *x);
        }
        if !x_tail.is_empty() {
            let (y, slope) = F::of(simd, simd.partial_load_f32s(x_tail));
            simd.partial_store_f32s(x_tail, y);
            simd.partial_store_f32s(slopes_tail, slope);
        }
    }
}

impl ValueAndSlope for Silu {
    #[inline(always)]
    fn of<S: Simd>(simd: S, x: S::f32s) -> (S::f32s, S::f32s) {
        let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
        let t = simd.abs_f32s(x);
        // Whatever becomes of NaN here, the factor x below brings it back.
        let exponent = simd.max_f32s(simd.splat_f32s(EXP_MIN), simd.neg_f32s(t));
        let half = half_exp(simd, exponent);
        let far = simd.greater_than_f32s(t, simd.splat_f32s(-EXP_MIN));
        let e = simd.select_f32s(far, zero, simd.add_f32s(half, half));
        let above = simd.div_f32s(one, simd.add_f32s(one, e));
        let below = simd.mul_f32s(e, above);
        let negative = simd.less_than_f32s(x, zero);
        let s = simd.select_f32s(negative, below, above);
        let complement = simd.select_f32s(negative, above, below);
        (simd.mul_f32s(x, s), simd.mul_f32s(s, simd.mul_add_f32s(x, complement, one)))
    }
}

impl ValueAndSlope for Gelu {
    #[inline(always)]
    fn of<S: Simd>(simd: S, x: S::f32s) -> (S::f32s, S::f32s) {
        let splat = |c: f32| simd.splat_f32s(c);
        let magnitude = simd.abs_f32s(x);
        // Whatever becomes of NaN here, the factor x below brings it back.
        let t = simd.min_f32s(splat(GELU_LIMIT), magnitude);
        let minus_half = simd.mul_f32s(splat(-0.5), t);
        let exponent = simd.mul_f32s(minus_half, t);
        let rest = simd.mul_add_f32s(minus_half, t, simd.neg_f32s(exponent));
        let half = half_exp(simd, exponent);
        let half = simd.mul_add_f32s(half, rest, half);
        let far = simd.greater_than_f32s(magnitude, splat(GELU_LIMIT));
        let half = simd.select_f32s(far, splat(0.0), half);
        let ratio = simd.div_f32s(horner(simd, &GELU_P, t), horner(simd, &GELU_Q, t));
        let below = simd.mul_f32s(half, ratio);
        let negative = simd.less_than_f32s(x, splat(0.0));
        let cdf = simd.select_f32s(negative, below, simd.sub_f32s(splat(1.0), below));
        let density = simd.mul_f32s(half, splat((2.0 * INV_SQRT_2PI) as f32));
        (simd.mul_f32s(x, cdf), simd.mul_add_f32s(x, density, cdf))
    }
}

/// `Σ cᵢ tⁱ`
#[inline(always)]
fn horner<S: Simd>(simd: S, c: &[f32], t: S::f32s) -> S::f32s {
    let (&last, rest) = c.split_last().unwrap_or((&0.0, &[]));
    rest.iter().rev().fold(simd.splat_f32s(last), |y, &c| simd.mul_add_f32s(y, t, simd.splat_f32s(c)))
}

/// One element after the other, in `f64`.
pub(crate) fn each(x: &mut [f64], slopes: Option<&mut [f64]>, function: fn(f64) -> (f64, f64)) {
    match slopes {
        None => x.iter_mut().for_each(|x| *x = function(*x).0),
        Some(slopes) => {
            assert_eq!(x.len(), slopes.len(), "values and their slopes");
            x.iter_mut().zip(slopes).for_each(|(x, slope)| (*x, *slope) = function(*x));
        }
    }
}

/// SiLU and its slope.
pub(crate) fn silu(x: f64) -> (f64, f64) {
    let s = 1.0 / (1.0 + exp(-x));
    (x * s, s * (1.0 + x * (1.0 - s)))
}

/// GELU and its slope.
pub(crate) fn gelu(x: f64) -> (f64, f64) {
    let cdf = 0.5 * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2));
    (x * cdf, cdf + x * INV_SQRT_2PI * exp(-0.5 * x * x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elementwise::tests::applied;

    struct Function {
        name: &'static str,
        kernel: fn(Isa, &mut [f32], Option<&mut [f32]>),
        exact: fn(f64) -> (f64, f64),
        /// The sum of the magnitudes of the slope's two terms.
        slope_terms: fn(f64) -> f64,
        /// The largest relative errors of value and slope.
        errors: [f64; 2],
    }

    const SILU: Function = Function {
        name: "silu",
        kernel: silu_f32,
        exact: silu,
        slope_terms: |x| {
            let s = 1.0 / (1.0 + exp(-x));
            s * (1.0 + x.abs() * (1.0 - s))
        },
        errors: [2.5e-7, 2.7e-7],
    };
    const GELU: Function = Function {
        name: "gelu",
        kernel: gelu_f32,
        exact: gelu,
        slope_terms: |x| {
            let cdf = 0.5 * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2));
            cdf + x.abs() * INV_SQRT_2PI * exp(-0.5 * x * x)
        },
        errors: [3.8e-7, 2.7e-7],
    };

    /// Values and slopes, the same with every instruction set, in vectors and in rests, and the values the same without slopes.
    fn values_and_slopes(function: &Function, x: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let both = |isa, x: &mut [f32]| {
            let mut slopes = vec![f32::INFINITY; x.len()];
            (function.kernel)(isa, x, Some(&mut slopes));
            slopes
        };
        let slopes = applied(
            |isa, x| {
                let slopes = both(isa, x);
                x.copy_from_slice(&slopes);
            },
            x,
        );
        let beside_slopes = applied(
            |isa, x| {
                both(isa, x);
            },
            x,
        );
        let values = applied(|isa, x| (function.kernel)(isa, x, None), x);
        for (a, b) in values.iter().zip(&beside_slopes) {
            assert!(a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(), "{}: {a} and {b}", function.name);
        }
        (values, slopes)
    }

    #[test]
    fn values_and_slopes_are_accurate_everywhere() {
        const FLOOR: f64 = 1.0 / (1 << 24) as f64;
        for function in [SILU, GELU] {
            for sign in [0, 1 << 31] {
                // A million points in all binades.
                let points = (0..0x7f80_0000_u32).step_by(2053).map(|x| f32::from_bits(sign | x));
                let points: Vec<f32> = points.collect();
                let (values, slopes) = values_and_slopes(&function, &points);
                let mut worst = [0.0; 2];
                for ((&x, &value), &slope) in points.iter().zip(&values).zip(&slopes) {
                    let x = f64::from(x);
                    let exact = (function.exact)(x);
                    // The last: what is not normal has fewer bits.
                    let of_value = exact.0.abs().max(FLOOR * x.abs()).max(f64::from(f32::MIN_POSITIVE));
                    let of_slope = (function.slope_terms)(x).max(FLOOR);
                    let errors = [
                        (f64::from(value) - exact.0).abs() / of_value,
                        (f64::from(slope) - exact.1).abs() / of_slope,
                    ];
                    for (worst, error) in worst.iter_mut().zip(errors) {
                        assert!(error.is_finite(), "{} at {x}: {value}, {slope}", function.name);
                        *worst = error.max(*worst);
                    }
                }
                for (worst, allowed) in worst.iter().zip(function.errors) {
                    assert!(*worst <= allowed, "{}: errors {worst:?}", function.name);
                }
            }
        }
    }

    #[test]
    fn zeros_infinities_and_nan_are_those_of_f64() {
        let bits = |x: f32| if x.is_nan() { u32::MAX } else { x.to_bits() };
        let points =
            [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, f32::MAX, f32::MIN, -1e3, 1e3, -1e20];
        for function in [SILU, GELU] {
            let (values, slopes) = values_and_slopes(&function, &points);
            for ((&x, &value), &slope) in points.iter().zip(&values).zip(&slopes) {
                let exact = (function.exact)(f64::from(x));
                let expected = [bits(exact.0 as f32), bits(exact.1 as f32)];
                assert_eq!(
                    [bits(value), bits(slope)],
                    expected,
                    "{} at {x}: {value}, {slope}",
                    function.name
                );
            }
            assert!(values[0].is_nan() && slopes[0].is_nan() && values[2].is_nan());
            assert_eq!(
                [values[1], values[4], values[7], slopes[3]].map(bits),
                [f32::INFINITY, -0.0, -0.0, 0.5].map(bits)
            );
        }
    }

    #[test]
    fn known_values() {
        let near = |a: (f64, f64), b: (f64, f64)| (a.0 - b.0).abs() < 1e-15 && (a.1 - b.1).abs() < 1e-15;
        assert!(near(silu(1.0), (0.731_058_578_630_004_9, 0.927_670_511_871_486_7)));
        assert!(near(gelu(1.0), (0.841_344_746_068_542_9, 1.083_315_470_587_686_3)));
        let (mut x, mut slopes) = ([-1.0, 1.0], [f64::NAN; 2]);
        each(&mut x, Some(&mut slopes), gelu);
        assert!(near((x[1], slopes[1]), gelu(1.0)) && near((x[0], slopes[0]), gelu(-1.0)));
    }

    #[test]
    #[should_panic(expected = "values and their slopes")]
    fn slopes_of_another_length_are_refused() {
        silu_f32(Isa::active(), &mut [0.0; 20], Some(&mut [0.0; 19]));
    }
}
