//! Transposition.

use crate::{Isa, Real};

/// The side of a block: a cache line, and a vector of AVX-512.
const BLOCK: usize = 16;

/// `y[c, r] = x[r, c]` for a row-major `[rows, cols]` matrix.
///
/// # Panics
///
/// If the slices are shorter than `rows · cols`.
pub(crate) fn transpose<F: Real>(isa: Isa, x: &[F], rows: usize, cols: usize, y: &mut [F]) {
    isa.vectorize(
        #[inline(always)]
        || blockwise(x, rows, cols, y, copy_block),
    );
}

/// [`transpose`] with the processor's shuffles, where it has them.
pub(crate) fn transpose_f32(isa: Isa, x: &[f32], rows: usize, cols: usize, y: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    match isa {
        Isa::Avx512 => {
            if let Some(simd) = pulp::x86::V4::try_new() {
                return pulp::Simd::vectorize(
                    simd,
                    #[inline(always)]
                    || {
                        blockwise(
                            x,
                            rows,
                            cols,
                            y,
                            #[inline(always)]
                            |x, x_stride, y, y_stride| {
                                avx512::transpose_block(simd, x, x_stride, y, y_stride)
                            },
                        );
                    },
                );
            }
        }
        Isa::Avx2 => {
            if let Some(simd) = pulp::x86::V3::try_new() {
                return pulp::Simd::vectorize(
                    simd,
                    #[inline(always)]
                    || {
                        blockwise(
                            x,
                            rows,
                            cols,
                            y,
                            #[inline(always)]
                            |x, x_stride, y, y_stride| avx2::transpose_block(simd, x, x_stride, y, y_stride),
                        );
                    },
                );
            }
        }
        _ => {}
    }
    transpose(isa, x, rows, cols, y);
}

/// Whole blocks by `block(x, x_stride, y, y_stride)`, the rest element by element.
#[inline(always)]
fn blockwise<F: Real>(
    x: &[F],
    rows: usize,
    cols: usize,
    y: &mut [F],
    block: impl Fn(&[F], usize, &mut [F], usize),
) {
    let (x, y) = (&x[..rows * cols], &mut y[..rows * cols]);
    if rows <= 1 || cols <= 1 {
        y.copy_from_slice(x);
        return;
    }
    if cols < BLOCK {
        for (c, row) in y.chunks_exact_mut(rows).enumerate() {
            row.iter_mut().zip(x.iter().skip(c).step_by(cols)).for_each(|(y, &x)| *y = x);
        }
        return;
    }
    if rows < BLOCK {
        for (r, row) in x.chunks_exact(cols).enumerate() {
            y.iter_mut().skip(r).step_by(rows).zip(row).for_each(|(y, &x)| *y = x);
        }
        return;
    }
    for r0 in (0..rows).step_by(BLOCK) {
        for c0 in (0..cols).step_by(BLOCK) {
            if r0 + BLOCK <= rows && c0 + BLOCK <= cols {
                block(&x[r0 * cols + c0..], cols, &mut y[c0 * rows + r0..], rows);
            } else {
                let r1 = rows.min(r0 + BLOCK);
                for c in c0..cols.min(c0 + BLOCK) {
                    let column = x[r0 * cols..r1 * cols].iter().skip(c).step_by(cols);
                    y[c * rows + r0..][..r1 - r0].iter_mut().zip(column).for_each(|(y, &x)| *y = x);
                }
            }
        }
    }
}

/// Through a local array, whose bounds the compiler knows.
#[inline(always)]
fn copy_block<F: Real>(x: &[F], x_stride: usize, y: &mut [F], y_stride: usize) {
    let mut block = [[F::zero(); BLOCK]; BLOCK];
    for (r, row) in block.iter_mut().enumerate() {
        row.copy_from_slice(&x[r * x_stride..][..BLOCK]);
    }
    for c in 0..BLOCK {
        let column: &mut [F] = &mut y[c * y_stride..][..BLOCK];
        for (r, element) in column.iter_mut().enumerate() {
            *element = block[r][c];
        }
    }
}

/// Blocks by 512-bit shuffles.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{__m512, __m512d};

    use pulp::x86::V4;
    use pulp::{Simd, cast};

    use super::BLOCK;

    /// Interleaves rows, then pairs of rows, then gathers 128-bit lanes: 64 shuffles between registers.
    #[inline(always)]
    pub(super) fn transpose_block(simd: V4, x: &[f32], x_stride: usize, y: &mut [f32], y_stride: usize) {
        let simd = simd.avx512f;
        let mut rows: [__m512; BLOCK] = [cast([0.0_f32; BLOCK]); BLOCK];
        let mut pairs: [__m512d; BLOCK] = [cast([0.0_f32; BLOCK]); BLOCK];
        for (r, row) in rows.iter_mut().enumerate() {
            *row = cast(V4::as_simd_f32s(&x[r * x_stride..][..BLOCK]).0[0]);
        }
        // Lane l of `pairs[r]` and `pairs[r + 1]`, r even: columns 4l, 4l+1 and 4l+2, 4l+3 of rows r and r+1, interleaved.
        for r in (0..BLOCK).step_by(2) {
            pairs[r] = cast(simd._mm512_unpacklo_ps(rows[r], rows[r + 1]));
            pairs[r + 1] = cast(simd._mm512_unpackhi_ps(rows[r], rows[r + 1]));
        }
        // Lane l of `fours[r + c]`, r a multiple of 4: column 4l+c of rows r to r+3.
        let mut fours = rows;
        for r in (0..BLOCK).step_by(4) {
            for c in [0, 2] {
                let (upper, lower) = (pairs[r + c / 2], pairs[r + c / 2 + 2]);
                fours[r + c] = cast(simd._mm512_unpacklo_pd(upper, lower));
                fours[r + c + 1] = cast(simd._mm512_unpackhi_pd(upper, lower));
            }
        }
        const EVEN: i32 = 0b10_00_10_00;
        const ODD: i32 = 0b11_01_11_01;
        for c in 0..4 {
            let (a, b, d, e) = (fours[c], fours[4 + c], fours[8 + c], fours[12 + c]);
            let (even_ab, even_de) =
                (simd._mm512_shuffle_f32x4::<EVEN>(a, b), simd._mm512_shuffle_f32x4::<EVEN>(d, e));
            let (odd_ab, odd_de) =
                (simd._mm512_shuffle_f32x4::<ODD>(a, b), simd._mm512_shuffle_f32x4::<ODD>(d, e));
            let columns = [
                simd._mm512_shuffle_f32x4::<EVEN>(even_ab, even_de),
                simd._mm512_shuffle_f32x4::<EVEN>(odd_ab, odd_de),
                simd._mm512_shuffle_f32x4::<ODD>(even_ab, even_de),
                simd._mm512_shuffle_f32x4::<ODD>(odd_ab, odd_de),
            ];
            for (l, &column) in columns.iter().enumerate() {
                V4::as_mut_simd_f32s(&mut y[(4 * l + c) * y_stride..][..BLOCK]).0[0] = cast(column);
            }
        }
    }
}

/// Blocks by 256-bit shuffles.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{__m256, __m256d};

    use pulp::x86::V3;
    use pulp::{Simd, cast, f32x8};

    use super::BLOCK;

    /// Four squares of eight.
    #[inline(always)]
    pub(super) fn transpose_block(simd: V3, x: &[f32], x_stride: usize, y: &mut [f32], y_stride: usize) {
        for r0 in (0..BLOCK).step_by(8) {
            for c0 in (0..BLOCK).step_by(8) {
                transpose_square(
                    simd,
                    &x[r0 * x_stride + c0..],
                    x_stride,
                    &mut y[c0 * y_stride + r0..],
                    y_stride,
                );
            }
        }
    }

    /// Interleaves rows, then pairs of rows, then exchanges 128-bit lanes: 24 shuffles between registers.
    #[inline(always)]
    fn transpose_square(simd: V3, x: &[f32], x_stride: usize, y: &mut [f32], y_stride: usize) {
        let avx = simd.avx;
        let zero: __m256 = cast([0.0_f32; 8]);
        let mut rows = [zero; 8];
        for (r, row) in rows.iter_mut().enumerate() {
            *row = cast(V3::as_simd_f32s(&x[r * x_stride..][..8]).0[0]);
        }
        // Lane l of `pairs[r]` and `pairs[r + 1]`, r even: columns 4l, 4l+1 and 4l+2, 4l+3 of rows r and r+1, interleaved.
        let mut pairs: [__m256d; 8] = [cast(zero); 8];
        for r in (0..8).step_by(2) {
            pairs[r] = cast(avx._mm256_unpacklo_ps(rows[r], rows[r + 1]));
            pairs[r + 1] = cast(avx._mm256_unpackhi_ps(rows[r], rows[r + 1]));
        }
        // Lane l of `fours[r + c]`, r 0 or 4: column 4l+c of rows r to r+3.
        let mut fours = [zero; 8];
        for r in [0, 4] {
            for c in [0, 2] {
                let (upper, lower) = (pairs[r + c / 2], pairs[r + c / 2 + 2]);
                fours[r + c] = cast(avx._mm256_unpacklo_pd(upper, lower));
                fours[r + c + 1] = cast(avx._mm256_unpackhi_pd(upper, lower));
            }
        }
        for c in 0..4 {
            let low = avx._mm256_permute2f128_ps::<0x20>(fours[c], fours[4 + c]);
            let high = avx._mm256_permute2f128_ps::<0x31>(fours[c], fours[4 + c]);
            for (column, values) in [(c, low), (c + 4, high)] {
                let values: f32x8 = cast(values);
                V3::as_mut_simd_f32s(&mut y[column * y_stride..][..8]).0[0] = values;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape() {
        for rows in [0, 1, 2, 15, 16, 17, 64] {
            for cols in [0, 1, 4, 16, 33, 64] {
                let x: Vec<f32> = (0..rows * cols).map(|i| i as f32).collect();
                let mut y = vec![0.0; rows * cols];
                let mut z = vec![0.0; rows * cols];
                transpose(Isa::Portable, &x, rows, cols, &mut y);
                for isa in Isa::available() {
                    z.fill(0.0);
                    transpose_f32(isa, &x, rows, cols, &mut z);
                    assert_eq!(y, z, "{rows}x{cols} with {isa}");
                }
                for r in 0..rows {
                    for c in 0..cols {
                        assert_eq!(
                            y[c * rows + r].to_bits(),
                            x[r * cols + c].to_bits(),
                            "{rows}x{cols}: ({r}, {c})"
                        );
                    }
                }
            }
        }
    }
}
