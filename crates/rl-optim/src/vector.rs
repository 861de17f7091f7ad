//! Vectors as slices: products and sums in f64, in an order that depends on the length alone.
//!
//! Where two slices differ in length, what the longer one has more is ignored.

use num_traits::Float;

use crate::Element;

/// The dot product `aᵀb`, accumulated in f64.
///
/// # Example
///
/// ```
/// assert_eq!(rl_optim::vector::dot(&[1.0_f32, 2.0, 3.0], &[4.0, 5.0, 6.0]), 32.0);
/// ```
#[must_use]
pub fn dot<F: Float>(a: &[F], b: &[F]) -> f64 {
    dot_in_lanes::<F, 8>(a, b)
}

/// The sum of squares `aᵀa` of a long vector, accumulated in f64: [`dot`] at twice the speed, in another order.
///
/// # Example
///
/// ```
/// assert_eq!(rl_optim::vector::sum_of_squares(&[3.0_f32, 4.0]), 25.0);
/// ```
#[must_use]
pub fn sum_of_squares<F: Element>(a: &[F]) -> f64 {
    F::sum_of_squares(a)
}

pub(crate) trait SumOfSquares: Float {
    fn sum_of_squares(a: &[Self]) -> f64 {
        dot_in_lanes::<Self, SQUARE_LANES>(a, a)
    }
}

/// Four of the widest vectors: enough for the latency of an addition.
const SQUARE_LANES: usize = 32;

impl SumOfSquares for f64 {}

impl SumOfSquares for f32 {
    fn sum_of_squares(a: &[f32]) -> f64 {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V4::try_new() {
            return simd.vectorize(
                #[inline(always)]
                || avx512::sum_of_squares(simd, a),
            );
        }
        dot_in_lanes::<f32, SQUARE_LANES>(a, a)
    }
}

/// The same sums in the same lanes, in vectors that compilers do not choose by themselves.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use pulp::x86::V4;
    use pulp::{Simd, cast, f64x8};

    #[inline(always)]
    pub(super) fn sum_of_squares(simd: V4, a: &[f32]) -> f64 {
        let (chunks, tail) = a.as_chunks::<{ super::SQUARE_LANES }>();
        let mut sums = [simd.splat_f64s(0.0); super::SQUARE_LANES / 8];
        for chunk in chunks {
            for (sum, &x) in sums.iter_mut().zip(chunk.as_chunks::<8>().0) {
                let x: f64x8 = cast(simd.avx512f._mm512_cvtps_pd(cast(x)));
                *sum = simd.mul_add_e_f64s(x, x, *sum);
            }
        }
        let [a, b, c, d] = sums;
        let sum = simd.add_f64s(simd.add_f64s(a, c), simd.add_f64s(b, d));
        let tail: f64 = tail.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        simd.reduce_sum_f64s(sum) + tail
    }
}

/// So many independent partial sums, the same on every machine, added in pairs at the end.
fn dot_in_lanes<F: Float, const LANES: usize>(a: &[F], b: &[F]) -> f64 {
    let n = a.len().min(b.len());
    let (a, a_tail) = a[..n].as_chunks::<LANES>();
    let (b, b_tail) = b[..n].as_chunks::<LANES>();
    // Compiled for every instruction set: the products are exact in f64 and the sums rounded one by one, so the bits agree.
    let mut sums = pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut sums = [0.0; LANES];
            for (a, b) in a.iter().zip(b) {
                for lane in 0..LANES {
                    sums[lane] += to_f64(a[lane]) * to_f64(b[lane]);
                }
            }
            sums
        },
    );
    let tail: f64 = a_tail.iter().zip(b_tail).map(|(&a, &b)| to_f64(a) * to_f64(b)).sum();
    let mut n = LANES;
    while n > 1 {
        n /= 2;
        for lane in 0..n {
            sums[lane] += sums[lane + n];
        }
    }
    sums[0] + tail
}

/// The Euclidean norm `‖a‖ = √(aᵀa)`, accumulated in f64.
///
/// # Example
///
/// ```
/// assert_eq!(rl_optim::vector::norm(&[3.0, 4.0]), 5.0);
/// ```
#[must_use]
pub fn norm<F: Float>(a: &[F]) -> f64 {
    dot_in_lanes::<F, SQUARE_LANES>(a, a).sqrt()
}

/// Adds a multiple in place: `y ← y + αx`, in the vectors' own precision.
///
/// # Example
///
/// ```
/// let mut y = [1.0, 1.0];
/// rl_optim::vector::axpy(2.0, &[3.0, 4.0], &mut y);
/// assert_eq!(y, [7.0, 9.0]);
/// ```
pub fn axpy<F: Float>(alpha: f64, x: &[F], y: &mut [F]) {
    let alpha = from_f64::<F>(alpha);
    for (y, &x) in y.iter_mut().zip(x) {
        *y = *y + alpha * x;
    }
}

/// Scales in place: `x ← αx`, in the vector's own precision.
///
/// # Example
///
/// ```
/// let mut x = [1.0, -2.0];
/// rl_optim::vector::scale(0.5, &mut x);
/// assert_eq!(x, [0.5, -1.0]);
/// ```
pub fn scale<F: Float>(alpha: f64, x: &mut [F]) {
    let alpha = from_f64::<F>(alpha);
    for x in x {
        *x = alpha * *x;
    }
}

// `f32` and `f64` always convert; NaN is what a stranger type that cannot would become.
#[inline(always)]
pub(crate) fn to_f64<F: Float>(x: F) -> f64 {
    x.to_f64().unwrap_or(f64::NAN)
}

#[inline(always)]
pub(crate) fn from_f64<F: Float>(x: f64) -> F {
    F::from(x).unwrap_or_else(F::nan)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn f32_products_accumulate_in_f64() {
        // In f32, 2^24 + 1 is 2^24: a single-precision sum would stay there.
        let mut a = vec![1.0_f32; 101];
        a[0] = 16_777_216.0;
        assert!((dot(&a, &[1.0; 101]) - 16_777_316.0).abs() < 0.5);
    }

    #[test]
    fn the_longer_slice_is_cut() {
        assert!((dot(&[1.0, 1.0, 1.0], &[2.0, 2.0]) - 4.0).abs() < 1e-15);
        assert_eq!(dot::<f64>(&[], &[1.0]).to_bits(), 0.0_f64.to_bits());
    }

    proptest! {
        #[test]
        fn dot_is_the_sum_of_products(v in prop::collection::vec((-10.0..10.0_f64, -10.0..10.0_f64), 0..170)) {
            let (a, b): (Vec<f64>, Vec<f64>) = v.into_iter().unzip();
            let plain: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            prop_assert!((dot(&a, &b) - plain).abs() < 1e-10);
            prop_assert_eq!(dot(&a, &b).to_bits(), dot(&b, &a).to_bits());
            prop_assert!((sum_of_squares(&a) - dot(&a, &a)).abs() < 1e-10);
            let narrow: Vec<f32> = a.iter().map(|&a| a as f32).collect();
            let in_any_lanes = dot_in_lanes::<f32, SQUARE_LANES>(&narrow, &narrow);
            prop_assert_eq!(sum_of_squares(&narrow).to_bits(), in_any_lanes.to_bits());
        }
    }
}
