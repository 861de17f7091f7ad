//! Register-blocked products of small and medium `f32` matrices, without packing.
//!
//! Every element of the result is one chain of multiply-adds in order of `k` (fused where the processor can), wherever it lies in a
//! tile: the same bits for any number of rows and columns.

use pulp::{MemMask, Simd, WithSimd};

use super::elementwise::{InPlace, MulTanhDerivative, Tanh};
use crate::mat::{Finish, Init, MatRef, check_product};

/// Vectors of a tile's row, at most.
const C: usize = 4;

/// `C ← finish(init + A B)` for row-major `C`; the columns of `B` must be adjacent.
pub(crate) fn matmul_f32(
    c: &mut [f32],
    a: MatRef<'_, f32>,
    b: MatRef<'_, f32>,
    init: Init<'_, f32>,
    finish: Finish<'_, f32>,
) {
    check_product(c, a, b, init, finish);
    assert_eq!(b.col_stride, 1, "the columns of B must be adjacent");
    pulp::Arch::new().dispatch(Product { c, a, b, init, finish });
}

struct Product<'a> {
    c: &'a mut [f32],
    a: MatRef<'a, f32>,
    b: MatRef<'a, f32>,
    init: Init<'a, f32>,
    finish: Finish<'a, f32>,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Product { c, a, b, init, finish } = self;
        let n = b.cols;
        // 24 accumulators, a row of B and an element of A need most of 32 registers; with 16 it is 12 accumulators.
        let vectors = if S::REGISTER_COUNT >= 32 { C } else { C / 2 };
        let block = vectors * S::F32_LANES;
        for j in (0..n).step_by(block) {
            let width = block.min(n - j);
            let strip = Strip { c: &mut *c, a, b, init, finish, j, width };
            match (width.div_ceil(S::F32_LANES), width == block && vectors == C) {
                (_, true) => strip.run::<S, 6, 4, false>(simd),
                (1, _) if S::REGISTER_COUNT >= 32 => strip.run::<S, 16, 1, true>(simd),
                (1, _) => strip.run::<S, 12, 1, true>(simd),
                (2, _) if S::REGISTER_COUNT >= 32 => strip.run::<S, 12, 2, true>(simd),
                (2, _) => strip.run::<S, 6, 2, true>(simd),
                (3, _) => strip.run::<S, 6, 3, true>(simd),
                _ => strip.run::<S, 6, 4, true>(simd),
            }
        }
    }
}

/// Some columns of the result.
struct Strip<'a, 'b> {
    c: &'b mut [f32],
    a: MatRef<'a, f32>,
    b: MatRef<'a, f32>,
    init: Init<'a, f32>,
    finish: Finish<'a, f32>,
    j: usize,
    width: usize,
}

impl Strip<'_, '_> {
    /// Tiles of `ROWS` rows and `COLS` vectors from top to bottom, the rest in smaller ones; `COLS` vectors cover the width, exactly
    /// unless `MASKED`.
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize, const COLS: usize, const MASKED: bool>(self, simd: S) {
        let Strip { c, a, b, init, finish, j, width } = self;
        let (m, n) = (a.rows, b.cols);
        let mut i = 0;
        while i < m {
            let left = m - i;
            let rows = if left >= ROWS {
                ROWS
            } else if left >= 6 {
                6
            } else {
                left
            };
            // SAFETY: `matmul_f32` checked that the shapes agree and `MatRef::new` that A and B lie inside their slices;
            // rows i..i+rows and columns j..j+width are inside all three.
            let tile = unsafe {
                Tile {
                    k: a.cols,
                    // Without a column of A there is nothing at row i, and nothing is read; so with a row of B below.
                    a: a.data.as_ptr().wrapping_add(i * a.row_stride),
                    a_strides: (a.row_stride, a.col_stride),
                    b: b.data.as_ptr().wrapping_add(j),
                    b_stride: b.row_stride,
                    c: c.as_mut_ptr().add(i * n + j),
                    c_stride: n,
                    width,
                }
            };
            let init = match init {
                Init::RowBias(bias) => Init::RowBias(&bias[i..i + rows]),
                Init::ColumnBias(bias) => Init::ColumnBias(&bias[j..j + width]),
                other => other,
            };
            // SAFETY: the tile describes `rows` rows and `width` columns inside A, B and C, as just established.
            unsafe {
                match rows {
                    rows if rows == ROWS => tile.run::<S, ROWS, COLS, MASKED>(simd, init),
                    6 => tile.run::<S, 6, COLS, MASKED>(simd, init),
                    5 => tile.run::<S, 5, COLS, MASKED>(simd, init),
                    4 => tile.run::<S, 4, COLS, MASKED>(simd, init),
                    3 => tile.run::<S, 3, COLS, MASKED>(simd, init),
                    2 => tile.run::<S, 2, COLS, MASKED>(simd, init),
                    _ => tile.run::<S, 1, COLS, MASKED>(simd, init),
                }
            }
            // While the tile is in the nearest cache and the next one's multiplications can begin beside it.
            for r in i..i + rows {
                let columns = r * n + j..r * n + j + width;
                match finish {
                    Finish::Nothing => break,
                    Finish::Tanh => InPlace(&mut c[columns], Tanh).with_simd(simd),
                    Finish::TanhDerivative(a) => {
                        MulTanhDerivative { g: &mut c[columns.clone()], a: &a[columns] }.with_simd(simd);
                    }
                }
            }
            i += rows;
        }
    }
}

/// A tile of the result with the parts of A and B it needs.
#[derive(Clone, Copy)]
struct Tile {
    k: usize,
    a: *const f32,
    a_strides: (usize, usize),
    b: *const f32,
    b_stride: usize,
    c: *mut f32,
    c_stride: usize,
    width: usize,
}

impl Tile {
    /// # Safety
    ///
    /// A must have `ROWS` rows and `k` columns from `a`, B `k` rows and `width` columns from `b`, C `ROWS` rows and `width`
    /// columns from `c`; `COLS` vectors must cover `width`, exactly unless `MASKED`.
    #[inline(always)]
    unsafe fn run<S: Simd, const ROWS: usize, const COLS: usize, const MASKED: bool>(
        self,
        simd: S,
        init: Init<'_, f32>,
    ) {
        let lanes = S::F32_LANES;
        // A mask for masked instructions: pulp's own would jump to one of its loads, past registers that then need saving.
        let tail = MemMask::new(simd.mask_between_m32s(0, (self.width - lanes * (COLS - 1)) as u32).mask());
        // SAFETY: by the caller's promise every vector but the last lies inside a row, and the mask limits the last to it.
        let load =
            |p: *const f32, v: usize| unsafe { load(simd, p.add(v * lanes), MASKED && v + 1 == COLS, tail) };
        let mut acc = [[simd.splat_f32s(0.0); COLS]; ROWS];
        match init {
            Init::Zero => {}
            Init::RowBias(bias) => {
                for (acc, &bias) in acc.iter_mut().zip(&bias[..ROWS]) {
                    *acc = [simd.splat_f32s(bias); COLS];
                }
            }
            Init::ColumnBias(bias) => {
                let mut row = [simd.splat_f32s(0.0); COLS];
                for (v, row) in row.iter_mut().enumerate() {
                    *row = load(bias.as_ptr(), v);
                }
                acc = [row; ROWS];
            }
            Init::Accumulate => {
                for (r, acc) in acc.iter_mut().enumerate() {
                    for (v, acc) in acc.iter_mut().enumerate() {
                        // SAFETY: row r of C.
                        *acc = load(unsafe { self.c.add(r * self.c_stride) }, v);
                    }
                }
            }
        }
        let (row_stride, col_stride) = self.a_strides;
        // Two bases for the rows of A, hidden from the compiler: from one it would walk from row to row, with additions that compete with
        // the multiplications for the ports.
        let fourth = std::hint::black_box(self.a.wrapping_add(3 * row_stride));
        for k in 0..self.k {
            let mut b = [simd.splat_f32s(0.0); COLS];
            for (v, b) in b.iter_mut().enumerate() {
                // SAFETY: row k of B.
                *b = load(unsafe { self.b.add(k * self.b_stride) }, v);
            }
            for (r, acc) in acc.iter_mut().enumerate() {
                let row = if r < 3 || ROWS > 6 {
                    self.a.wrapping_add(r * row_stride)
                } else {
                    fourth.wrapping_add((r - 3) * row_stride)
                };
                // SAFETY: element (r, k) of A.
                let a = simd.splat_f32s(unsafe { *row.add(k * col_stride) });
                for (acc, &b) in acc.iter_mut().zip(&b) {
                    *acc = simd.mul_add_e_f32s(a, b, *acc);
                }
            }
        }
        for (r, acc) in acc.iter().enumerate() {
            for (v, &acc) in acc.iter().enumerate() {
                // SAFETY: row r of C, limited as the loads were.
                unsafe {
                    let p = self.c.add(r * self.c_stride + v * lanes);
                    if MASKED && v + 1 == COLS {
                        simd.mask_store_ptr_f32s(tail, p, acc);
                    } else {
                        p.cast::<S::f32s>().write_unaligned(acc);
                    }
                }
            }
        }
    }
}

/// # Safety
///
/// The vector at `p`, or its part under the mask, must be readable.
#[inline(always)]
unsafe fn load<S: Simd>(simd: S, p: *const f32, masked: bool, mask: MemMask<S::m32s>) -> S::f32s {
    // SAFETY: the caller's.
    unsafe { if masked { simd.mask_load_ptr_f32s(mask, p) } else { p.cast::<S::f32s>().read_unaligned() } }
}

/// `C ← A Bᵀ` for row-major matrices: dot products of rows, for results with few rows or columns.
pub(crate) fn matmul_nt_f32(c: &mut [f32], a: &[f32], b: &[f32], k: usize) {
    if k == 0 {
        c.fill(0.0);
        return;
    }
    let (m, n) = (a.len() / k, b.len() / k);
    assert_eq!((c.len(), a.len(), b.len()), (m * n, m * k, n * k), "the shapes of C = A Bᵀ do not fit");
    if c.is_empty() {
        return;
    }
    pulp::Arch::new().dispatch(RowProduct { c, a, b, k });
}

struct RowProduct<'a> {
    c: &'a mut [f32],
    a: &'a [f32],
    b: &'a [f32],
    k: usize,
}

impl WithSimd for RowProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
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

/// The products of `a` with `N` rows of `b`.
#[inline(always)]
fn dots<S: Simd, const N: usize>(simd: S, a: &[f32], b: &[f32], c: &mut [f32]) {
    let (a_vectors, a_tail) = S::as_simd_f32s(a);
    let mut acc = [simd.splat_f32s(0.0); N];
    for (j, acc) in acc.iter_mut().enumerate() {
        let (b_vectors, b_tail) = S::as_simd_f32s(&b[j * a.len()..(j + 1) * a.len()]);
        for (&a, &b) in a_vectors.iter().zip(b_vectors) {
            *acc = simd.mul_add_e_f32s(a, b, *acc);
        }
        if !a_tail.is_empty() {
            *acc = simd.mul_add_e_f32s(simd.partial_load_f32s(a_tail), simd.partial_load_f32s(b_tail), *acc);
        }
    }
    for (c, acc) in c.iter_mut().zip(acc) {
        *c = simd.reduce_sum_f32s(acc);
    }
}
