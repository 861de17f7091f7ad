//! Element-wise kernels and row sums.

use pulp::{Simd, WithSimd};

use super::dispatch;
use crate::Real;

/// A function of one vector.
trait Lanes {
    fn apply<S: Simd>(simd: S, x: S::f32s) -> S::f32s;
}

struct Tanh;
struct Exp;

/// A function applied to every element of a slice.
struct InPlace<'a, F>(&'a mut [f32], F);

impl<F: Lanes> WithSimd for InPlace<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (vectors, tail) = S::as_mut_simd_f32s(self.0);
        for x in vectors {
            *x = F::apply(simd, *x);
        }
        if !tail.is_empty() {
            let y = F::apply(simd, simd.partial_load_f32s(tail));
            simd.partial_store_f32s(tail, y);
        }
    }
}

/// `x ← tanh(x)`, within 5 ulp, odd to the bit; NaN stays NaN.
///
/// `tanh x = x P(x²) / Q(x²)` on |x| ≤ 9.02, beyond which it rounds to ±1. The coefficients minimise the largest relative error
/// in exact arithmetic (2.1e-8, a third of an ulp), then their common factor and last bits that of rounded arithmetic. All are
/// positive, so nothing cancels.
pub(crate) fn tanh_f32(x: &mut [f32]) {
    pulp::Arch::new().dispatch(InPlace(x, Tanh));
}

const TANH_LIMIT: f32 = 9.02;
const TANH_P: [f32; 5] = [1.346_143_6, 0.180_110_07, 4.703_454e-3, 2.770_802_5e-5, 1.792_899_2e-8];
const TANH_Q: [f32; 5] = [1.346_143_7, 0.628_824_35, 3.482_611e-2, 4.419_485e-4, 1.044_862_5e-6];

impl Lanes for Tanh {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
        tanh(simd, x)
    }
}

#[inline(always)]
fn tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let limit = simd.splat_f32s(TANH_LIMIT);
    let a = simd.abs_f32s(x);
    // False for NaN, which passes through.
    let saturated = simd.greater_than_f32s(a, limit);
    let a = simd.select_f32s(saturated, limit, a);
    let s = simd.mul_f32s(a, a);
    let horner = |c: [f32; 5]| {
        let mut y = simd.splat_f32s(c[4]);
        for c in [c[3], c[2], c[1], c[0]] {
            y = simd.mul_add_e_f32s(y, s, simd.splat_f32s(c));
        }
        y
    };
    let y = simd.div_f32s(simd.mul_f32s(a, horner(TANH_P)), horner(TANH_Q));
    let one = simd.splat_f32s(1.0);
    let y = simd.select_f32s(simd.or_m32s(saturated, simd.greater_than_f32s(y, one)), one, y);
    copy_sign(simd, y, x)
}

/// `|y|` with the sign of `x`, for `y` without a sign.
#[inline(always)]
fn copy_sign<S: Simd>(simd: S, y: S::f32s, x: S::f32s) -> S::f32s {
    let sign = simd.and_u32s(simd.transmute_u32s_f32s(x), simd.splat_u32s(1 << 31));
    simd.transmute_f32s_u32s(simd.or_u32s(simd.transmute_u32s_f32s(y), sign))
}

/// `x ← eˣ`, within a relative error of 2.4e-7; 0 below −86.6, infinite above 88.7, NaN stays NaN.
///
/// `eˣ = 2ⁿ eʳ`, `x = n ln 2 + r`, `eʳ = 1 + r + r² p(r)` on |r| ≤ ln 2 / 2.
pub(crate) fn exp_f32(x: &mut [f32]) {
    pulp::Arch::new().dispatch(InPlace(x, Exp));
}

/// −125 ln 2, below which half of the exponential is not normal, and the largest `x` whose exponential is finite.
const EXP_MIN: f32 = -86.643_4;
const EXP_MAX: f32 = 88.722_83;

impl Lanes for Exp {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
        exp(simd, x)
    }
}

#[inline(always)]
fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let splat = |c: f32| simd.splat_f32s(c);
    // Both comparisons are false for NaN, which passes through the arithmetic.
    let (low, high) = (simd.less_than_f32s(x, splat(EXP_MIN)), simd.greater_than_f32s(x, splat(EXP_MAX)));
    let y = simd.select_f32s(simd.or_m32s(low, high), splat(0.0), x);
    // Adding 1.5·2²³ rounds to an integer and leaves it in the low mantissa bits.
    const ROUND: f32 = 12_582_912.0;
    let t = simd.mul_add_e_f32s(y, splat(std::f32::consts::LOG2_E), splat(ROUND));
    let n = simd.sub_f32s(t, splat(ROUND));
    let r = simd.mul_add_e_f32s(n, splat(-0.693_359_4), y);
    let r = simd.mul_add_e_f32s(n, splat(2.121_944_4e-4), r);
    let mut p = splat(1.0 / 5040.0);
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5] {
        p = simd.mul_add_e_f32s(p, r, splat(c));
    }
    let em1 = simd.mul_add_e_f32s(simd.mul_f32s(r, r), p, r);
    // 2ⁿ in two factors, for n = 128 is no exponent of one.
    let integer = simd.sub_u32s(simd.transmute_u32s_f32s(t), simd.splat_u32s(ROUND.to_bits()));
    let bits = simd.wrapping_dyn_shl_u32s(simd.add_u32s(integer, simd.splat_u32s(126)), simd.splat_u32s(23));
    let scale = simd.transmute_f32s_u32s(bits);
    let y = simd.mul_f32s(simd.mul_add_e_f32s(em1, scale, scale), splat(2.0));
    simd.select_f32s(low, splat(0.0), simd.select_f32s(high, splat(f32::INFINITY), y))
}

/// `g ← g ⊙ (1 − a²)`: the derivative of tanh in terms of its value `a`.
pub(crate) fn mul_tanh_derivative<F: Real>(g: &mut [F], a: &[F]) {
    dispatch(
        #[inline(always)]
        || {
            for (g, &a) in g.iter_mut().zip(a) {
                *g *= F::one() - a * a;
            }
        },
    );
}

/// `sums[r] ← sums[r] + Σ_k x[r, k]` for the rows of `x`.
///
/// Sixteen partial sums a row, added pairwise at its end: the order does not depend on the processor.
pub(crate) fn row_sums<F: Real>(sums: &mut [F], x: &[F]) {
    const LANES: usize = 16;
    let width = x.len().checked_div(sums.len()).unwrap_or(0);
    if width == 0 {
        return;
    }
    dispatch(
        #[inline(always)]
        || {
            for (sum, row) in sums.iter_mut().zip(x.chunks_exact(width)) {
                let (chunks, tail) = row.as_chunks::<LANES>();
                let mut partial = [F::zero(); LANES];
                for chunk in chunks {
                    partial.iter_mut().zip(chunk).for_each(|(p, &x)| *p += x);
                }
                partial.iter_mut().zip(tail).for_each(|(p, &x)| *p += x);
                let mut n = LANES;
                while n > 1 {
                    n /= 2;
                    for i in 0..n {
                        let upper = partial[i + n];
                        partial[i] += upper;
                    }
                }
                *sum += partial[0];
            }
        },
    );
}

/// `a ← a + b`.
pub(crate) fn add<F: Real>(a: &mut [F], b: &[F]) {
    dispatch(
        #[inline(always)]
        || {
            for (a, &b) in a.iter_mut().zip(b) {
                *a += b;
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp, reason = "bits are what is tested")]
    fn tanh_is_within_a_few_ulp_everywhere() {
        // Every 257th float from 0 to infinity: 8.3 million points in all binades, both signs.
        let mut worst = 0.0_f64;
        let points: Vec<f32> = (0..=0x7f80_0000_u32).step_by(257).map(f32::from_bits).collect();
        let mut y = points.clone();
        tanh_f32(&mut y);
        let mut minus: Vec<f32> = points.iter().map(|x| -x).collect();
        tanh_f32(&mut minus);
        for ((&x, &y), &minus) in points.iter().zip(&y).zip(&minus) {
            let exact = f64::from(x).tanh();
            let ulp = f64::from(f32::from_bits((exact as f32).to_bits() + 1)) - f64::from(exact as f32);
            worst = worst.max((f64::from(y) - exact).abs() / ulp);
            assert_eq!(minus.to_bits(), (-y).to_bits());
            assert!(y <= 1.0);
        }
        assert!(worst <= 5.0, "worst error {worst} ulp");
    }

    #[test]
    fn exp_is_within_two_ulp() {
        let points: Vec<f32> =
            (0..4_000_000).map(|i| EXP_MIN + (EXP_MAX - EXP_MIN) * (i as f32 / 4e6)).collect();
        let mut y = points.clone();
        exp_f32(&mut y);
        for (&x, &y) in points.iter().zip(&y) {
            let exact = f64::from(x).exp();
            assert!(
                (f64::from(y) / exact - 1.0).abs() <= 2.0 * f64::from(f32::EPSILON),
                "exp({x}) = {y}, not {exact}"
            );
        }
        let mut edges = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, -100.0, 89.0, 88.72];
        exp_f32(&mut edges);
        assert!(edges[0].is_nan() && edges[7].is_finite());
        assert_eq!(
            edges[1..7].iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
            [f32::INFINITY, 0.0, 1.0, 1.0, 0.0, f32::INFINITY].map(f32::to_bits)
        );
    }

    #[test]
    fn tanh_keeps_nan_and_saturates() {
        let mut x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0];
        tanh_f32(&mut x);
        assert!(x[0].is_nan());
        assert_eq!(
            x[1..].iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
            [1.0_f32, -1.0, 0.0, -0.0].map(f32::to_bits)
        );
    }
}
