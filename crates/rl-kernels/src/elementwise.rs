//! Element-wise kernels and row sums.

use pulp::{Simd, WithSimd};

use crate::{Isa, LANES, Real, vectorize};

/// A function of one vector.
pub(crate) trait Lanes {
    fn apply<S: Simd>(simd: S, x: S::f32s) -> S::f32s;
}

struct Tanh;
struct Exp;
struct ExpRemainder;
struct Elu;
struct Ln;

/// A function applied to every element of a slice.
pub(crate) struct InPlace<'a, F>(pub(crate) &'a mut [f32], pub(crate) F);

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
pub(crate) fn tanh_f32(isa: Isa, x: &mut [f32]) {
    isa.dispatch(InPlace(x, Tanh));
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
    let splat = |c: f32| simd.splat_f32s(c);
    // Whatever it makes of NaN, the factor x below brings it back.
    let s = simd.min_f32s(splat(TANH_LIMIT * TANH_LIMIT), simd.mul_f32s(x, x));
    let horner = |c: [f32; 5]| {
        let mut y = splat(c[4]);
        for c in [c[3], c[2], c[1], c[0]] {
            y = simd.mul_add_f32s(y, s, splat(c));
        }
        y
    };
    // Beyond the limit it is proportional to x.
    let y = simd.div_f32s(simd.mul_f32s(x, horner(TANH_P)), horner(TANH_Q));
    clamp_to_one(simd, y)
}

/// `y` limited to ±1; NaN stays NaN.
#[inline(always)]
fn clamp_to_one<S: Simd>(simd: S, y: S::f32s) -> S::f32s {
    let (minus_one, one) = (simd.splat_f32s(-1.0), simd.splat_f32s(1.0));
    if S::IS_SCALAR {
        // `f32::min` and `f32::max` would drop the NaN.
        let y = simd.select_f32s(simd.greater_than_f32s(y, one), one, y);
        return simd.select_f32s(simd.less_than_f32s(y, minus_one), minus_one, y);
    }
    // Vector instructions return the second operand when one is NaN, or NaN.
    simd.min_f32s(one, simd.max_f32s(minus_one, y))
}

/// `x ← eˣ`, within a relative error of 2.4e-7; 0 below −86.6, infinite above 88.7, NaN stays NaN.
///
/// `eˣ = 2ⁿ eʳ`, `x = n ln 2 + r`, `eʳ = 1 + r + r² p(r)` on |r| ≤ ln 2 / 2.
pub(crate) fn exp_f32(isa: Isa, x: &mut [f32]) {
    isa.dispatch(InPlace(x, Exp));
}

/// −125 ln 2, below which half of the exponential is not normal, and the largest `x` whose exponential is finite.
pub(crate) const EXP_MIN: f32 = -86.643_4;
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
    let y = simd.mul_f32s(half_exp(simd, y), splat(2.0));
    simd.select_f32s(low, splat(0.0), simd.select_f32s(high, splat(f32::INFINITY), y))
}

/// `eˣ / 2` for `x` from [`EXP_MIN`] to [`EXP_MAX`]: a half, for 2ⁿ with n = 128 is no exponent of one `f32`.
#[inline(always)]
pub(crate) fn half_exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let (em1, scale) = exp_parts(simd, x);
    simd.mul_add_f32s(em1, scale, scale)
}

/// `(eʳ − 1, 2ⁿ⁻¹)`
#[inline(always)]
fn exp_parts<S: Simd>(simd: S, x: S::f32s) -> (S::f32s, S::f32s) {
    let splat = |c: f32| simd.splat_f32s(c);
    // Adding 1.5·2²³ rounds to an integer and leaves it in the low mantissa bits.
    const ROUND: f32 = 12_582_912.0;
    let t = simd.mul_add_f32s(x, splat(std::f32::consts::LOG2_E), splat(ROUND));
    let n = simd.sub_f32s(t, splat(ROUND));
    let r = simd.mul_add_f32s(n, splat(-LN_2[0]), x);
    let r = simd.mul_add_f32s(n, splat(-LN_2[1]), r);
    let em1 = simd.mul_add_f32s(simd.mul_f32s(r, r), exp_series(simd, r), r);
    let integer = simd.sub_u32s(simd.transmute_u32s_f32s(t), simd.splat_u32s(ROUND.to_bits()));
    let bits = simd.wrapping_dyn_shl_u32s(simd.add_u32s(integer, simd.splat_u32s(126)), simd.splat_u32s(23));
    (em1, simd.transmute_f32s_u32s(bits))
}

/// `x ← eˣ − 1 − x`, within a relative error of 3e-6, and of 3e-7 below ⅓, where the terms would cancel.
pub(crate) fn exp_remainder_f32(isa: Isa, x: &mut [f32]) {
    isa.dispatch(InPlace(x, ExpRemainder));
}

impl Lanes for ExpRemainder {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
        let near = simd.less_than_f32s(simd.abs_f32s(x), simd.splat_f32s(1.0 / 3.0));
        let far = simd.sub_f32s(simd.sub_f32s(exp(simd, x), simd.splat_f32s(1.0)), x);
        simd.select_f32s(near, simd.mul_f32s(simd.mul_f32s(x, x), exp_series(simd, x)), far)
    }
}

/// `x ← eˣ − 1` below 0, within a relative error of 9e-8; −1 at −∞, NaN and what is not below 0 stays.
///
/// `eˣ − 1 = 2ⁿ (eʳ − 1) + (2ⁿ − 1)`, where nothing cancels.
pub(crate) fn elu_f32(isa: Isa, x: &mut [f32]) {
    isa.dispatch(InPlace(x, Elu));
}

impl Lanes for Elu {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
        let (em1, half) = exp_parts(simd, simd.max_f32s(simd.splat_f32s(EXP_MIN), x));
        let scale = simd.add_f32s(half, half);
        let y = simd.mul_add_f32s(em1, scale, simd.sub_f32s(scale, simd.splat_f32s(1.0)));
        simd.select_f32s(simd.less_than_f32s(x, simd.splat_f32s(0.0)), y, x)
    }
}

/// `(eʳ − 1 − r) / r²` for |r| ≤ ln 2 / 2, by its series.
#[inline(always)]
fn exp_series<S: Simd>(simd: S, r: S::f32s) -> S::f32s {
    let mut p = simd.splat_f32s(1.0 / 5040.0);
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5] {
        p = simd.mul_add_f32s(p, r, simd.splat_f32s(c));
    }
    p
}

/// `x ← ln x`, within 2 ulp; −∞ at 0, ∞ at ∞, NaN below 0 and at NaN.
///
/// `x = 2ᵉ m` with `m` from √½ to √2, `ln x = e ln 2 + 2 artanh s`, `s = (m − 1)/(m + 1)`, by the series of artanh up to s⁹, whose
/// remainder is 2e-9 of it.
pub(crate) fn ln_f32(isa: Isa, x: &mut [f32]) {
    isa.dispatch(InPlace(x, Ln));
}

/// ln 2 in two parts, of which the first has few enough bits for exact multiples.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

impl Lanes for Ln {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
        ln(simd, x)
    }
}

#[inline(always)]
fn ln<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let splat = |c: f32| simd.splat_f32s(c);
    let bits = |c: u32| simd.splat_u32s(c);
    // Subnormal numbers are scaled up first.
    let small = simd.less_than_f32s(x, splat(f32::MIN_POSITIVE));
    let scaled = simd.select_f32s(small, simd.mul_f32s(x, splat(8_388_608.0)), x);
    // With this added, the exponent counts from √½ and not from 1.
    const ROOT_HALF: u32 = 0x3f35_04f3;
    let t = simd.add_u32s(simd.transmute_u32s_f32s(scaled), bits(0x3f80_0000 - ROOT_HALF));
    let m = simd.add_u32s(simd.and_u32s(t, bits(0x007f_ffff)), bits(ROOT_HALF));
    let m = simd.transmute_f32s_u32s(m);
    // The biased exponent as a float: in the low mantissa bits of 2²³.
    let e = simd.or_u32s(simd.wrapping_dyn_shr_u32s(t, bits(23)), bits(0x4b00_0000));
    let e = simd.sub_f32s(simd.transmute_f32s_u32s(e), splat(8_388_608.0 + 127.0));
    let e = simd.select_f32s(small, simd.sub_f32s(e, splat(23.0)), e);
    let s = simd.div_f32s(simd.sub_f32s(m, splat(1.0)), simd.add_f32s(m, splat(1.0)));
    let s2 = simd.mul_f32s(s, s);
    let mut q = splat(2.0 / 9.0);
    for c in [2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0] {
        q = simd.mul_add_f32s(q, s2, splat(c));
    }
    let y =
        simd.mul_add_f32s(simd.mul_f32s(s, s2), q, simd.mul_add_f32s(e, splat(LN_2[1]), simd.add_f32s(s, s)));
    let y = simd.mul_add_f32s(e, splat(LN_2[0]), y);
    let y = simd.select_f32s(simd.less_than_f32s(x, splat(f32::INFINITY)), y, x);
    let y = simd.select_f32s(simd.equal_f32s(x, splat(0.0)), splat(f32::NEG_INFINITY), y);
    simd.select_f32s(simd.less_than_f32s(x, splat(0.0)), splat(f32::NAN), y)
}

/// `g ← g ⊙ (1 − a²)`: the derivative of tanh in terms of its value `a`.
pub(crate) fn mul_tanh_derivative_f32(isa: Isa, g: &mut [f32], a: &[f32]) {
    assert_eq!(g.len(), a.len(), "a gradient and its activations");
    isa.dispatch(MulTanhDerivative { g, a });
}

struct MulTanhDerivative<'a> {
    g: &'a mut [f32],
    a: &'a [f32],
}

impl WithSimd for MulTanhDerivative<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (g, g_tail) = S::as_mut_simd_f32s(self.g);
        let (a, a_tail) = S::as_simd_f32s(self.a);
        for (g, &a) in g.iter_mut().zip(a) {
            *g = times_tanh_derivative_f32(simd, *g, a);
        }
        // By the same instructions: where an element lies changes no bit of it.
        if !g_tail.is_empty() {
            let (g, a) = (simd.partial_load_f32s(g_tail), simd.partial_load_f32s(a_tail));
            simd.partial_store_f32s(g_tail, times_tanh_derivative_f32(simd, g, a));
        }
    }
}

/// `g (1 − a²)`
#[inline(always)]
pub(crate) fn times_tanh_derivative_f32<S: Simd>(simd: S, g: S::f32s, a: S::f32s) -> S::f32s {
    simd.mul_f32s(g, simd.negate_mul_add_f32s(a, a, simd.splat_f32s(1.0)))
}

/// `g (1 − a²)`
#[inline(always)]
pub(crate) fn times_tanh_derivative_f64<S: Simd>(simd: S, g: S::f64s, a: S::f64s) -> S::f64s {
    simd.mul_f64s(g, simd.negate_mul_add_f64s(a, a, simd.splat_f64s(1.0)))
}

/// `g ← g ⊙ (1 − a²)` in `f64`.
pub(crate) fn mul_tanh_derivative_f64(g: &mut [f64], a: &[f64]) {
    for (g, &a) in g.iter_mut().zip(a) {
        *g *= f64::mul_add(-a, a, 1.0);
    }
}

/// `sums[r] ← Σ_k x[r, k]` for the rows of `x`.
pub(crate) fn row_sums(sums: &mut [f64], x: &[f64]) {
    let width = x.len().checked_div(sums.len()).unwrap_or(0);
    for (r, sum) in sums.iter_mut().enumerate() {
        *sum = x[r * width..(r + 1) * width].iter().fold(0.0, |sum, &x| sum + x);
    }
}

/// The same in sixteen partial sums, which are added in halves; the rest of a row follows one by one.
pub(crate) fn row_sums_f32(isa: Isa, sums: &mut [f32], x: &[f32]) {
    isa.dispatch_wide(RowSums { sums, x });
}

struct RowSums<'a> {
    sums: &'a mut [f32],
    x: &'a [f32],
}

impl WithSimd for RowSums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        const { assert!(S::F32_LANES == LANES) };
        let width = self.x.len().checked_div(self.sums.len()).unwrap_or(0);
        for (r, sum) in self.sums.iter_mut().enumerate() {
            let (vectors, tail) = S::as_simd_f32s(&self.x[r * width..(r + 1) * width]);
            let mut partial = simd.splat_f32s(0.0);
            for &x in vectors {
                partial = simd.add_f32s(partial, x);
            }
            *sum = tail.iter().fold(simd.reduce_sum_f32s(partial), |sum, &x| sum + x);
        }
    }
}

/// `x ← tanh(x)` inside another kernel.
#[inline(always)]
pub(crate) fn tanh_vectors_f32<S: Simd>(simd: S, x: &mut [f32]) {
    InPlace(x, Tanh).with_simd(simd);
}

/// The same in `f64`.
#[inline(always)]
pub(crate) fn tanh_vectors_f64<S: Simd>(_: S, x: &mut [f64]) {
    f64::tanh_in_place(x);
}

/// `a ← a + b`, for as many elements as the shorter of them has.
pub fn add<F: Real>(a: &mut [F], b: &[F]) {
    vectorize(
        #[inline(always)]
        || {
            for (a, &b) in a.iter_mut().zip(b) {
                *a += b;
            }
        },
    );
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the system's functions are the reference")]
pub(crate) mod tests {
    use super::*;

    /// What a kernel makes of `x`: the same bits with every instruction set, and in vectors of every alignment with a rest of every length.
    pub(crate) fn applied(kernel: impl Fn(Isa, &mut [f32]), x: &[f32]) -> Vec<f32> {
        let bits =
            |x: &[f32]| x.iter().map(|x| if x.is_nan() { u32::MAX } else { x.to_bits() }).collect::<Vec<_>>();
        let mut expected = x.to_vec();
        kernel(Isa::Portable, &mut expected);
        for isa in Isa::available() {
            let mut y = x.to_vec();
            kernel(isa, &mut y);
            assert!(bits(&y) == bits(&expected), "{isa} differs from the portable kernel");
            for length in 0..x.len().min(40) {
                let mut y = x[..length].to_vec();
                kernel(isa, &mut y);
                assert_eq!(bits(&y), bits(&expected[..length]), "{isa}, {length} elements");
            }
        }
        expected
    }

    #[test]
    #[allow(clippy::float_cmp, reason = "bits are what is tested")]
    fn tanh_is_within_a_few_ulp_everywhere() {
        // Every 257th float from 0 to infinity: 8.3 million points in all binades, both signs.
        let mut worst = 0.0_f64;
        let points: Vec<f32> = (0..=0x7f80_0000_u32).step_by(257).map(f32::from_bits).collect();
        let y = applied(tanh_f32, &points);
        let minus = applied(tanh_f32, &points.iter().map(|x| -x).collect::<Vec<_>>());
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
        let y = applied(exp_f32, &points);
        for (&x, &y) in points.iter().zip(&y) {
            let exact = f64::from(x).exp();
            assert!(
                (f64::from(y) / exact - 1.0).abs() <= 2.0 * f64::from(f32::EPSILON),
                "exp({x}) = {y}, not {exact}"
            );
        }
        let edges =
            applied(exp_f32, &[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, -100.0, 89.0, 88.72]);
        assert!(edges[0].is_nan() && edges[7].is_finite());
        assert_eq!(
            edges[1..7].iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
            [f32::INFINITY, 0.0, 1.0, 1.0, 0.0, f32::INFINITY].map(f32::to_bits)
        );
    }

    #[test]
    fn exp_remainder_is_accurate_where_it_is_small() {
        for sign in [1.0, -1.0] {
            // 1e-12 to 30
            let x: Vec<f32> =
                (0..1_000_000).map(|i| sign * 10.0_f32.powf(-12.0 + i as f32 * 1.347e-5)).collect();
            let y = applied(exp_remainder_f32, &x);
            for (&x, &y) in x.iter().zip(&y) {
                let x = f64::from(x);
                // The difference of f64 loses what the series has.
                let series = x * x * (0.5 + x / 6.0 + x * x / 24.0 + x.powi(3) / 120.0 + x.powi(4) / 720.0);
                let exact = if x.abs() < 1e-2 { series } else { x.exp_m1() - x };
                let error = if x.abs() < 1.0 / 3.0 { 3e-7 } else { 3e-6 };
                assert!((f64::from(y) / exact - 1.0).abs() < error, "{x}: {y}, not {exact}");
            }
        }
        let edges = applied(exp_remainder_f32, &[f32::NAN, f32::INFINITY, -200.0, 0.0]);
        assert!(edges[0].is_nan() && edges[1].is_nan());
        assert_eq!(
            edges[2..].iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
            [199.0_f32, 0.0].map(f32::to_bits)
        );
    }

    #[test]
    fn elu_is_accurate_below_zero_and_leaves_the_rest() {
        let points: Vec<f32> = (0x8000_0001_u32..=0xff80_0000).step_by(257).map(f32::from_bits).collect();
        for (&x, y) in points.iter().zip(applied(elu_f32, &points)) {
            let exact = f64::from(x).exp_m1();
            assert!((f64::from(y) / exact - 1.0).abs() <= 9e-8, "{x}: {y}, not {exact}");
        }
        let rest = [f32::INFINITY, 0.0, -0.0, 1e-40, 3.0, 89.0, f32::MAX, f32::NEG_INFINITY, f32::NAN];
        let y = applied(elu_f32, &rest);
        assert_eq!(
            y[..7].iter().map(|y| y.to_bits()).collect::<Vec<_>>(),
            rest[..7].iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        );
        assert!(y[7].to_bits() == (-1.0_f32).to_bits() && y[8].is_nan());
    }

    #[test]
    fn ln_is_within_two_ulp_everywhere() {
        let points: Vec<f32> = (1..0x7f80_0000_u32).step_by(257).map(f32::from_bits).collect();
        let y = applied(ln_f32, &points);
        for (&x, &y) in points.iter().zip(&y) {
            let exact = f64::from(x).ln();
            let ulp = f64::from(f32::from_bits((exact as f32).to_bits() + 1)) - f64::from(exact as f32);
            assert!(((f64::from(y) - exact) / ulp).abs() <= 2.0, "ln({x}) = {y}, not {exact}");
        }
        let edges = applied(ln_f32, &[f32::NAN, -1.0, f32::NEG_INFINITY, 0.0, -0.0, f32::INFINITY, 1.0]);
        assert!(edges[..3].iter().all(|x| x.is_nan()));
        assert_eq!(
            edges[3..].iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
            [f32::NEG_INFINITY, f32::NEG_INFINITY, f32::INFINITY, 0.0].map(f32::to_bits)
        );
    }

    #[test]
    fn tanh_keeps_nan_and_saturates() {
        let x =
            applied(tanh_f32, &[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, f32::MAX, f32::MIN]);
        assert!(x[0].is_nan());
        assert_eq!(
            x[1..].iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
            [1.0_f32, -1.0, 0.0, -0.0, 1.0, -1.0].map(f32::to_bits)
        );
    }

    #[test]
    fn derivatives_and_row_sums_are_the_same_everywhere() {
        let x: Vec<f32> = (0..7 * 53).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
        let derivative = |isa, g: &mut [f32]| {
            let a: Vec<f32> = g.iter().map(|g| 0.9 * g).collect();
            mul_tanh_derivative_f32(isa, g, &a);
        };
        for (x, y) in x.iter().zip(applied(derivative, &x)) {
            let a = f64::from(0.9 * x);
            assert!((f64::from(y) - f64::from(*x) * (1.0 - a * a)).abs() < 2e-7);
        }
        for width in 1..53 {
            let of = |isa| {
                let mut sums = [f32::NAN; 7];
                row_sums_f32(isa, &mut sums, &x[..7 * width]);
                sums
            };
            let portable = of(Isa::Portable);
            for isa in Isa::available() {
                assert_eq!(of(isa).map(f32::to_bits), portable.map(f32::to_bits), "{isa}, rows of {width}");
            }
            for (sum, row) in portable.iter().zip(x.chunks_exact(width)) {
                assert!((f64::from(*sum) - row.iter().map(|&x| f64::from(x)).sum::<f64>()).abs() < 1e-5);
            }
        }
    }
}
