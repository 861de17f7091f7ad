//! Products tile by tile, from operands where they lie.

use pulp::{Simd, WithSimd};

use super::element::Element;
use super::tile::Tile;
use crate::mat::{Finish, Init, MatRef};

/// `C ← finish(init + A B)`; the shapes fit and the columns of B are adjacent.
pub(super) struct Product<'a, E> {
    pub(super) c: &'a mut [E],
    pub(super) a: MatRef<'a, E>,
    pub(super) b: MatRef<'a, E>,
    pub(super) init: Init<'a, E>,
    pub(super) finish: Finish<'a, E>,
}

impl<E: Element> WithSimd for Product<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Product { c, a, b, init, finish } = self;
        let (n, lanes, many) = (b.cols, E::lanes::<S>(), S::REGISTER_COUNT >= 32);
        // 24 accumulators, a row of B and an element of A need most of 32 registers; with 16 it is 12 accumulators.
        let block = if many { 4 } else { 2 } * lanes;
        for j in (0..n).step_by(block) {
            let width = block.min(n - j);
            let strip = Strip { c: &mut *c, a, b, init, finish, j, width };
            match (width.div_ceil(lanes), width == block) {
                (_, true) if many => strip.run::<S, 6, 4, false>(simd),
                (1, _) if many => strip.run::<S, 16, 1, true>(simd),
                (2, _) if many => strip.run::<S, 12, 2, true>(simd),
                (3, _) if many => strip.run::<S, 6, 3, true>(simd),
                _ if many => strip.run::<S, 6, 4, true>(simd),
                (_, true) => strip.run::<S, 6, 2, false>(simd),
                (1, _) => strip.run::<S, 12, 1, true>(simd),
                _ => strip.run::<S, 6, 2, true>(simd),
            }
        }
    }
}

/// Some columns of the result.
struct Strip<'a, 'b, E> {
    c: &'b mut [E],
    a: MatRef<'a, E>,
    b: MatRef<'a, E>,
    init: Init<'a, E>,
    finish: Finish<'a, E>,
    j: usize,
    width: usize,
}

impl<E: Element> Strip<'_, '_, E> {
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
            // SAFETY: `matmul` checked that the shapes agree and `MatRef::new` that A and B lie inside their slices;
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
                    tanh_values: finish.tanh_values_at(i * n + j),
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
            if matches!(finish, Finish::Tanh) {
                // While the tile is in the nearest cache and the next one's multiplications can begin beside it.
                for r in i..i + rows {
                    let at = r * n + j;
                    E::tanh_vectors(simd, &mut c[at..at + width]);
                }
            }
            i += rows;
        }
    }
}
