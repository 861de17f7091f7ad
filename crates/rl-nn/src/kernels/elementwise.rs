//! Element-wise kernels and row sums.

use super::dispatch;
use crate::Real;

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
                        partial[i] = partial[i] + partial[i + n];
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
