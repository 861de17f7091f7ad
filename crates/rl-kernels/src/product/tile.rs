//! A tile of a product, held in registers.

use pulp::Simd;

use super::element::Element;
use crate::mat::Init;

/// A tile of the result with the parts of A and B it needs.
#[derive(Clone, Copy)]
pub(super) struct Tile<E> {
    pub(super) k: usize,
    pub(super) a: *const E,
    /// From row to row and from column to column of A.
    pub(super) a_strides: (usize, usize),
    pub(super) b: *const E,
    pub(super) b_stride: usize,
    pub(super) c: *mut E,
    pub(super) c_stride: usize,
    pub(super) width: usize,
    /// The values `a` of a derivative of tanh that the tile is finished with, if it is; they lie as C does.
    pub(super) tanh_values: Option<*const E>,
}

impl<E: Element> Tile<E> {
    /// Every element of C is one chain of fused multiply-adds in order of `k`, begun with `init`.
    ///
    /// # Safety
    ///
    /// A must have `ROWS` rows and `k` columns from `a`, B `k` rows and `width` columns from `b`, C `ROWS` rows and `width`
    /// columns from `c`, as `tanh_values`; `COLS` vectors must cover `width`, exactly unless `MASKED`.
    #[inline(always)]
    pub(super) unsafe fn run<S: Simd, const ROWS: usize, const COLS: usize, const MASKED: bool>(
        self,
        simd: S,
        init: Init<'_, E>,
    ) {
        let lanes = E::lanes::<S>();
        let tail = E::mask(simd, self.width - lanes * (COLS - 1));
        // SAFETY: by the caller's promise every vector but the last lies inside a row, and the mask limits the last to it.
        let load = |p: *const E, v: usize| unsafe {
            let p = p.add(v * lanes);
            if MASKED && v + 1 == COLS {
                E::load_masked(simd, tail, p)
            } else {
                p.cast::<E::Vector<S>>().read_unaligned()
            }
        };
        let zero = E::splat(simd, E::zero());
        let mut acc = [[zero; COLS]; ROWS];
        match init {
            Init::Zero => {}
            Init::RowBias(bias) => {
                for (acc, &bias) in acc.iter_mut().zip(&bias[..ROWS]) {
                    *acc = [E::splat(simd, bias); COLS];
                }
            }
            Init::ColumnBias(bias) => {
                let mut row = [zero; COLS];
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
            let mut b = [zero; COLS];
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
                let a = E::splat(simd, unsafe { *row.add(k * col_stride) });
                for (acc, &b) in acc.iter_mut().zip(&b) {
                    *acc = E::fused(simd, a, b, *acc);
                }
            }
        }
        if let Some(values) = self.tanh_values {
            for (r, acc) in acc.iter_mut().enumerate() {
                for (v, acc) in acc.iter_mut().enumerate() {
                    // SAFETY: row r of the values.
                    let value = load(unsafe { values.add(r * self.c_stride) }, v);
                    *acc = E::times_tanh_derivative(simd, *acc, value);
                }
            }
        }
        for (r, acc) in acc.iter().enumerate() {
            for (v, &acc) in acc.iter().enumerate() {
                // SAFETY: row r of C, limited as the loads were.
                unsafe {
                    let p = self.c.add(r * self.c_stride + v * lanes);
                    if MASKED && v + 1 == COLS {
                        E::store_masked(simd, tail, p, acc);
                    } else {
                        p.cast::<E::Vector<S>>().write_unaligned(acc);
                    }
                }
            }
        }
    }
}
