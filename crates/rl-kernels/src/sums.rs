//! Sums in `f64`, in an order that depends on the length alone.

use crate::{Real, vectorize};

/// Partial sums: four registers of AVX-512, eight of AVX2, enough for the latency of an addition on both.
const PARTIAL: usize = 32;

/// Adds partial sums up, the upper half to the lower one until one is left.
#[inline(always)]
fn add_in_halves(mut sums: [f64; PARTIAL]) -> f64 {
    let mut n = PARTIAL;
    while n > 1 {
        n /= 2;
        for lane in 0..n {
            sums[lane] += sums[lane + n];
        }
    }
    sums[0]
}

/// `Σ_i term(a_i, b_i)` in 32 partial sums, what is left of the length one by one, then both together.
#[inline(always)]
fn sum_of_terms<F: Real>(a: &[F], b: &[F], term: impl Fn(f64, f64) -> f64) -> f64 {
    let n = a.len().min(b.len());
    let (a, a_tail) = a[..n].as_chunks::<PARTIAL>();
    let (b, b_tail) = b[..n].as_chunks::<PARTIAL>();
    let mut sums = [0.0; PARTIAL];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..PARTIAL {
            sums[lane] += term(a[lane].widen(), b[lane].widen());
        }
    }
    let tail = a_tail.iter().zip(b_tail).fold(0.0, |sum, (a, b)| sum + term(a.widen(), b.widen()));
    add_in_halves(sums) + tail
}

/// The dot product `aᵀb`, accumulated in `f64`. Where the lengths differ, what the longer slice has more is ignored.
///
/// # Example
///
/// ```
/// assert_eq!(rl_kernels::dot(&[1.0_f32, 2.0, 3.0], &[4.0, 5.0, 6.0]), 32.0);
/// ```
#[must_use]
pub fn dot<F: Real>(a: &[F], b: &[F]) -> f64 {
    vectorize(
        #[inline(always)]
        || sum_of_terms(a, b, |a, b| a * b),
    )
}

/// The sum of squares `aᵀa`, accumulated in `f64`: the bits of `dot(a, a)`.
///
/// # Example
///
/// ```
/// assert_eq!(rl_kernels::sum_of_squares(&[3.0_f32, 4.0]), 25.0);
/// ```
#[must_use]
pub fn sum_of_squares<F: Real>(a: &[F]) -> f64 {
    F::sum_of_squares(a)
}

/// `Σ x`, accumulated in `f64`.
///
/// # Example
///
/// ```
/// assert_eq!(rl_kernels::sum(&[1.0_f32, 2.0, 3.0], |x| x - 1.0), 3.0);
/// ```
#[must_use]
pub fn sum<F: Real>(x: &[F], term: impl Fn(f64) -> f64) -> f64 {
    vectorize(
        #[inline(always)]
        || sum_of_terms(x, x, |x, _| term(x)),
    )
}

/// The largest element; NaN if any is, −∞ of none.
#[must_use]
pub fn max<F: Real>(x: &[F]) -> f64 {
    x.iter().fold(f64::NEG_INFINITY, |m, x| if x.widen() > m || x.is_nan() { x.widen() } else { m })
}

/// [`sum_of_squares`] in vectors of AVX-512, of which compilers use only half in plain loops.
#[cfg(target_arch = "x86_64")]
pub(crate) fn sum_of_squares_avx512(simd: pulp::x86::V4, a: &[f32]) -> f64 {
    use pulp::{Simd, cast, f64x8};

    Simd::vectorize(
        simd,
        #[inline(always)]
        || {
            let (chunks, tail) = a.as_chunks::<PARTIAL>();
            let mut sums = [simd.splat_f64s(0.0); PARTIAL / 8];
            for chunk in chunks {
                for (sum, &x) in sums.iter_mut().zip(chunk.as_chunks::<8>().0) {
                    let x: f64x8 = cast(simd.avx512f._mm512_cvtps_pd(cast(x)));
                    // The square of an f32 is exact in f64, so that one rounding and two are the same.
                    *sum = simd.mul_add_f64s(x, x, *sum);
                }
            }
            let tail = tail.iter().fold(0.0, |sum, &x| sum + f64::from(x) * f64::from(x));
            add_in_halves(cast(sums)) + tail
        },
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Isa;

    #[test]
    fn f32_products_accumulate_in_f64() {
        // In f32, 2^24 + 1 is 2^24: a single-precision sum would stay there.
        let mut a = vec![1.0_f32; 101];
        a[0] = 16_777_216.0;
        assert!((dot(&a, &[1.0; 101]) - 16_777_316.0).abs() < 0.5);
    }

    #[test]
    fn the_longer_slice_is_cut_and_nan_is_kept() {
        assert!((dot(&[1.0, 1.0, 1.0], &[2.0, 2.0]) - 4.0).abs() < 1e-15);
        assert_eq!(dot::<f64>(&[], &[1.0]).to_bits(), 0.0_f64.to_bits());
        assert!(max(&[1.0_f32, f32::NAN, 2.0]).is_nan());
        assert!((max(&[1.0_f32, -2.0]) - 1.0).abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn sums_are_right_and_the_same_bits_with_every_instruction_set(
            v in prop::collection::vec((-10.0..10.0_f64, -10.0..10.0_f64), 0..170)
        ) {
            let (a, b): (Vec<f64>, Vec<f64>) = v.into_iter().unzip();
            let plain: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            prop_assert!((dot(&a, &b) - plain).abs() < 1e-10);
            prop_assert_eq!(dot(&a, &b).to_bits(), dot(&b, &a).to_bits());
            prop_assert_eq!(sum_of_squares(&a).to_bits(), dot(&a, &a).to_bits());
            let narrow: Vec<f32> = a.iter().map(|&a| a as f32).collect();
            prop_assert_eq!(sum_of_squares(&narrow).to_bits(), dot(&narrow, &narrow).to_bits());
            let of = |isa: Isa| {
                let bits = |x: f64| x.to_bits();
                isa.vectorize(
                    #[inline(always)]
                    || (bits(sum_of_terms(&a, &b, |a, b| a * b)), bits(sum_of_terms(&narrow, &narrow, |a, _| a + 1.0))),
                )
            };
            let portable = of(Isa::Portable);
            for isa in Isa::available() {
                prop_assert_eq!(of(isa), portable, "{}", isa);
            }
        }
    }
}
