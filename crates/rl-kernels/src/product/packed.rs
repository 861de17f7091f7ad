//! Large products, from operands copied into the order in which tiles read them.
//!
//! Read where they lie, large operands miss the caches, and rows that are a power of two apart fall on top of each other in them. The sums
//! are those of the unpacked product, chain by chain: a block of `k` goes on from what the one before left in C.

use pulp::{Simd, WithSimd};

use super::element::Element;
use super::tile::Tile;
use crate::mat::{Finish, Init, MatRef};

/// Columns of A and rows of B in a block.
const DEPTH: usize = 256;
/// Rows of A in a block: with `DEPTH` columns it fits the second-level cache.
const HEIGHT: usize = 144;

/// `C ← finish(init + A B)`; the shapes fit.
pub(super) struct PackedProduct<'a, E> {
    pub(super) c: &'a mut [E],
    pub(super) a: MatRef<'a, E>,
    pub(super) b: MatRef<'a, E>,
    pub(super) init: Init<'a, E>,
    pub(super) finish: Finish<'a, E>,
    pub(super) memory: &'a mut Vec<E>,
}

impl<E: Element> WithSimd for PackedProduct<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 {
            self.run::<S, 6, 4>(simd);
        } else {
            self.run::<S, 6, 2>(simd);
        }
    }
}

impl<E: Element> PackedProduct<'_, E> {
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize, const COLS: usize>(self, simd: S) {
        let PackedProduct { c, a, b, init, finish, memory } = self;
        let (m, n, width) = (a.rows, b.cols, COLS * E::lanes::<S>());
        let b_len = n.div_ceil(width) * width * DEPTH;
        let line = 64 / size_of::<E>();
        memory.resize(b_len + HEIGHT * DEPTH + line, E::zero());
        let start = memory.as_ptr().align_offset(64).min(line);
        let (packed_b, packed_a) = memory[start..].split_at_mut(b_len);
        for k0 in (0..a.cols).step_by(DEPTH) {
            let depth = DEPTH.min(a.cols - k0);
            let (first, last) = (k0 == 0, k0 + depth == a.cols);
            pack_columns(b, k0, depth, width, packed_b);
            for i0 in (0..m).step_by(HEIGHT) {
                let height = HEIGHT.min(m - i0);
                pack_rows::<E, ROWS>(a, (i0, height), (k0, depth), packed_a);
                for j in (0..n).step_by(width) {
                    let columns = width.min(n - j);
                    for i in (i0..i0 + height).step_by(ROWS) {
                        let rows = ROWS.min(i0 + height - i);
                        // SAFETY: the packed blocks hold whole panels of `depth` columns and rows, padded where A and B end; rows
                        // i..i+rows and columns j..j+columns are inside C.
                        let tile = unsafe {
                            Tile {
                                k: depth,
                                a: packed_a.as_ptr().add((i - i0) * depth),
                                a_strides: (1, ROWS),
                                b: packed_b.as_ptr().add(j * depth),
                                b_stride: width,
                                c: c.as_mut_ptr().add(i * n + j),
                                c_stride: n,
                                width: columns,
                                tanh_values: if last { finish.tanh_values_at(i * n + j) } else { None },
                            }
                        };
                        let init = match init {
                            _ if !first => Init::Accumulate,
                            Init::RowBias(bias) => Init::RowBias(&bias[i..i + rows]),
                            Init::ColumnBias(bias) => Init::ColumnBias(&bias[j..j + columns]),
                            other => other,
                        };
                        // SAFETY: as above.
                        unsafe { run_rows::<E, S, ROWS, COLS>(simd, tile, rows, columns == width, init) };
                        if last && matches!(finish, Finish::Tanh) {
                            for r in i..i + rows {
                                let at = r * n + j;
                                E::tanh_vectors(simd, &mut c[at..at + columns]);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// # Safety
///
/// The tile must have `rows` rows, at most `ROWS`, and columns that `COLS` vectors cover, exactly if it is `full`.
#[inline(always)]
unsafe fn run_rows<E: Element, S: Simd, const ROWS: usize, const COLS: usize>(
    simd: S,
    tile: Tile<E>,
    rows: usize,
    full: bool,
    init: Init<'_, E>,
) {
    // SAFETY: the caller's.
    unsafe {
        match (full, rows) {
            (true, rows) if rows == ROWS => return tile.run::<S, ROWS, COLS, false>(simd, init),
            (true, 5) => return tile.run::<S, 5, COLS, false>(simd, init),
            (true, 4) => return tile.run::<S, 4, COLS, false>(simd, init),
            (true, 3) => return tile.run::<S, 3, COLS, false>(simd, init),
            (true, 2) => return tile.run::<S, 2, COLS, false>(simd, init),
            (true, 1) => return tile.run::<S, 1, COLS, false>(simd, init),
            _ => {}
        }
        // At the right edge, one row at a time and one vector at a time.
        let lanes = E::lanes::<S>();
        for r in 0..rows {
            for v in (0..tile.width).step_by(lanes) {
                let width = lanes.min(tile.width - v);
                let part = Tile {
                    a: tile.a.add(r),
                    b: tile.b.add(v),
                    c: tile.c.add(r * tile.c_stride + v),
                    width,
                    tanh_values: tile.tanh_values.map(|values| values.add(r * tile.c_stride + v)),
                    ..tile
                };
                let init = match init {
                    Init::RowBias(bias) => Init::RowBias(&bias[r..=r]),
                    Init::ColumnBias(bias) => Init::ColumnBias(&bias[v..v + width]),
                    other => other,
                };
                part.run::<S, 1, 1, true>(simd, init);
            }
        }
    }
}

/// Panels of `ROWS` rows of A, a panel's column after column. A is read as it lies in memory; what is copied at once has a length that the compiler
/// knows, for a call of the system's copy function would take longer than the few elements.
#[inline(always)]
fn pack_rows<E: Element, const ROWS: usize>(
    a: MatRef<'_, E>,
    (i0, height): (usize, usize),
    (k0, depth): (usize, usize),
    out: &mut [E],
) {
    let first = i0 * a.row_stride + k0 * a.col_stride;
    let whole = height / ROWS;
    if a.row_stride == 1 {
        for k in 0..depth {
            let column = a.data[first + k * a.col_stride..][..height].as_chunks::<ROWS>().0;
            for (p, column) in column.iter().enumerate() {
                out[(p * depth + k) * ROWS..][..ROWS].copy_from_slice(column);
            }
        }
    } else {
        for (p, panel) in out.chunks_exact_mut(ROWS * depth).take(whole).enumerate() {
            let row = |r: usize| &a.data[first + (p * ROWS + r) * a.row_stride..];
            let rows: [&[E]; ROWS] = std::array::from_fn(row);
            for (k, column) in panel.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
                for (r, x) in column.iter_mut().enumerate() {
                    *x = rows[r][k * a.col_stride];
                }
            }
        }
    }
    let rest = height % ROWS;
    if rest > 0 {
        let panel = &mut out[whole * ROWS * depth..][..ROWS * depth];
        for (k, column) in panel.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
            for (r, x) in column.iter_mut().enumerate() {
                let at = first + (whole * ROWS + r) * a.row_stride + k * a.col_stride;
                *x = if r < rest { a.data[at] } else { E::zero() };
            }
        }
    }
}

/// Panels of `width` columns of B, a panel's row after row.
#[inline(always)]
fn pack_columns<E: Element>(b: MatRef<'_, E>, k0: usize, depth: usize, width: usize, out: &mut [E]) {
    for k in 0..depth {
        let first = (k0 + k) * b.row_stride;
        for (p, panel) in out.chunks_exact_mut(width * depth).take(b.cols.div_ceil(width)).enumerate() {
            let (j, row) = (p * width, &mut panel[k * width..][..width]);
            let columns = width.min(b.cols - j);
            if b.col_stride == 1 && columns == width {
                row.copy_from_slice(&b.data[first + j..][..width]);
                continue;
            }
            for (c, x) in row.iter_mut().enumerate() {
                *x = if c < columns { b.data[first + (j + c) * b.col_stride] } else { E::zero() };
            }
        }
    }
}
