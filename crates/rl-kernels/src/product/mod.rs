//! Matrix products.
//!
//! Every element of a product is one chain of fused multiply-adds in order of `k`, begun with what the product is added to: the same bits for any
//! instruction set, size of tile and order of operands in memory. (Products of rows are the exception; their sixteen partial sums are as fixed.)

mod element;
mod packed;
mod rows;
mod strips;
mod tile;

use element::Element;
use packed::PackedProduct;
use rows::RowProduct;
use strips::Product;

use crate::Isa;
use crate::mat::{Finish, Init, MatRef, check_product};

/// `C ← finish(init + A B)` for row-major `C`, by the given instruction set.
///
/// # Panics
///
/// If the shapes do not fit.
pub(crate) fn matmul<E: Element>(
    isa: Isa,
    c: &mut [E],
    a: MatRef<'_, E>,
    b: MatRef<'_, E>,
    init: Init<'_, E>,
    finish: Finish<'_, E>,
) {
    // Tiles read their operands where they lie, which is faster until these are too large for the caches.
    const LARGE: usize = 256 * 128 * 128;
    check_product(c, a, b, init, finish);
    let (m, n, k) = (a.rows, b.cols, a.cols);
    let large = m.min(n).min(k) >= 64 && m.saturating_mul(n).saturating_mul(k) >= LARGE;
    if large || (b.col_stride != 1 && k > 0) {
        E::with_memory(|memory| isa.dispatch(PackedProduct { c, a, b, init, finish, memory }));
    } else {
        isa.dispatch(Product { c, a, b, init, finish });
    }
}

/// `C ← A Bᵀ` for row-major matrices with rows of `k` elements, by the given instruction set.
///
/// # Panics
///
/// If the shapes do not fit.
pub(crate) fn matmul_nt_f32(isa: Isa, c: &mut [f32], a: &[f32], b: &[f32], k: usize) {
    if k == 0 {
        c.fill(0.0);
        return;
    }
    let (m, n) = (a.len() / k, b.len() / k);
    assert_eq!((c.len(), a.len(), b.len()), (m * n, m * k, n * k), "the shapes of C = A Bᵀ do not fit");
    if !c.is_empty() {
        isa.dispatch_wide(RowProduct { c, a, b, k });
    }
}
