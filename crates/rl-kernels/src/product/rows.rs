//! Products with a transposed second operand, as dot products of rows.

use pulp::{Simd, WithSimd};

use crate::LANES;

/// `C ← A Bᵀ` for row-major matrices with rows of `k` elements, `k` > 0; the shapes fit.
pub(super) struct RowProduct<'a> {
    pub(super) c: &'a mut [f32],
    pub(super) a: &'a [f32],
    pub(super) b: &'a [f32],
    pub(super) k: usize,
}

impl WithSimd for RowProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        const { assert!(S::F32_LANES == LANES) };
        let RowProduct { c, a, b, k } = self;
        let n = b.len() / k;
        for (a, c) in a.chunks_exact(k).zip(c.chunks_exact_mut(n)) {
            let (fours, rest) = b.split_at(n / 4 * 4 * k);
            for (b, c) in fours.chunks_exact(4 * k).zip(c.chunks_exact_mut(4)) {
                dots::<S, 4>(simd, a, b, c);
            }
            for (b, c) in rest.chunks_exact(k).zip(&mut c[n / 4 * 4..]) {
                dots::<S, 1>(simd, a, b, std::slice::from_mut(c));
            }
        }
    }
}

/// The products of `a` with `N` rows of `b`: sixteen partial sums each, which are added in halves.
#[inline(always)]
fn dots<S: Simd, const N: usize>(simd: S, a: &[f32], b: &[f32], c: &mut [f32]) {
    let (a_vectors, a_tail) = S::as_simd_f32s(a);
    let mut acc = [simd.splat_f32s(0.0); N];
    for (j, acc) in acc.iter_mut().enumerate() {
        let (b_vectors, b_tail) = S::as_simd_f32s(&b[j * a.len()..(j + 1) * a.len()]);
        for (&a, &b) in a_vectors.iter().zip(b_vectors) {
            *acc = simd.mul_add_f32s(a, b, *acc);
        }
        if !a_tail.is_empty() {
            *acc = simd.mul_add_f32s(padded::<S>(a_tail), padded::<S>(b_tail), *acc);
        }
    }
    for (c, acc) in c.iter_mut().zip(acc) {
        *c = simd.reduce_sum_f32s(acc);
    }
}

/// A short slice as a whole vector, zeros behind it.
#[inline(always)]
fn padded<S: Simd>(x: &[f32]) -> S::f32s {
    let mut lanes = [0.0; LANES];
    lanes[..x.len()].copy_from_slice(x);
    pulp::cast(lanes)
}
