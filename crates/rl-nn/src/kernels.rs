//! Element-wise kernels, compiled for every instruction set and chosen at run time.

use crate::Real;

/// Runs a loop compiled for the widest vectors this processor has.
#[inline(always)]
pub(crate) fn dispatch<R>(body: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(body)
}

/// `x ← tanh(x)`, within 3 ulp, odd to the bit; NaN stays NaN.
///
/// `tanh|x| = e / (e + 2)` with `e = expm1(2|x|) = 2ⁿ expm1(r) + (2ⁿ − 1)`, `2|x| = n ln 2 + r`: one division, no branch,
/// no cancellation near zero, so it vectorises.
pub(crate) fn tanh_f32(x: &mut [f32]) {
    dispatch(
        #[inline(always)]
        || {
            for x in x {
                *x = tanh_one(*x);
            }
        },
    );
}

#[inline(always)]
fn tanh_one(x: f32) -> f32 {
    // Above 9.02 tanh rounds to 1; the comparison is false for NaN, which passes through.
    let a = if x.abs() > 10.0 { 10.0 } else { x.abs() };
    let y = 2.0 * a;
    // Adding 1.5·2²³ rounds to an integer and leaves it in the low mantissa bits.
    const ROUND: f32 = 12_582_912.0;
    let t = y * std::f32::consts::LOG2_E + ROUND;
    let n = t - ROUND;
    let r = (y - n * 0.693_359_4) - n * -2.121_944_4e-4;
    // expm1(r) = r + r² p(r) on |r| ≤ ln 2 / 2; Taylor's coefficients, truncation below 1e-8 relative.
    let p = 1.0 / 40320.0;
    let p = p * r + 1.0 / 5040.0;
    let p = p * r + 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let em1 = r + r * r * p;
    let scale = f32::from_bits((t.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127)) << 23);
    let e = scale * em1 + (scale - 1.0);
    (e / (e + 2.0)).copysign(x)
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

/// `y[b, :] ← y[b, :] + bias` for every row.
pub(crate) fn add_bias<F: Real>(y: &mut [F], bias: &[F]) {
    dispatch(
        #[inline(always)]
        || {
            for row in y.chunks_exact_mut(bias.len()) {
                for (y, &b) in row.iter_mut().zip(bias) {
                    *y += b;
                }
            }
        },
    );
}

/// `sum ← sum + Σ_b g[b, :]`.
pub(crate) fn add_column_sums<F: Real>(sum: &mut [F], g: &[F]) {
    dispatch(
        #[inline(always)]
        || {
            for row in g.chunks_exact(sum.len()) {
                for (s, &g) in sum.iter_mut().zip(row) {
                    *s += g;
                }
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
    fn tanh_is_within_three_ulp_everywhere() {
        // Every 257th float from 0 to infinity: 8.3 million points in all binades, both signs.
        let mut worst = 0.0_f64;
        let points: Vec<f32> = (0..=0x7f80_0000_u32).step_by(257).map(f32::from_bits).collect();
        let mut y = points.clone();
        tanh_f32(&mut y);
        for (&x, &y) in points.iter().zip(&y) {
            let exact = f64::from(x).tanh();
            let ulp = f64::from(f32::from_bits((exact as f32).to_bits() + 1)) - f64::from(exact as f32);
            worst = worst.max((f64::from(y) - exact).abs() / ulp);
            assert_eq!(tanh_one(-x), -tanh_one(x));
        }
        assert!(worst <= 3.0, "worst error {worst} ulp");
    }

    #[test]
    fn tanh_keeps_nan_and_saturates() {
        let mut x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0];
        tanh_f32(&mut x);
        assert!(x[0].is_nan());
        assert_eq!(x[1..].iter().map(|x| x.to_bits()).collect::<Vec<_>>(), [1.0_f32, -1.0, 0.0, -0.0].map(f32::to_bits));
    }
}
