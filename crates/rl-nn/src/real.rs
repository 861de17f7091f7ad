//! The two scalar types: `f32` to train, `f64` to verify.

use std::fmt::{Debug, Display};

use num_traits::{Float, NumAssign};

use crate::kernels;
use crate::mat::{Finish, Init, MatRef, check_product};

/// `f32` or `f64`, with the kernels that differ between them.
pub trait Real: Float + NumAssign + Default + Debug + Display + Send + Sync + 'static {
    /// Rounds from `f64`.
    fn narrow(x: f64) -> Self;
    /// Converts to `f64`, exactly.
    fn widen(self) -> f64;
    /// `x ← tanh(x)` for every element.
    fn tanh_in_place(x: &mut [Self]);
    /// `x ← eˣ` for every element.
    fn exp_in_place(x: &mut [Self]);
    /// `x ← eˣ − 1 − x` for every element, without cancellation where it is small.
    fn exp_remainder_in_place(x: &mut [Self]);
    /// `x ← ln x` for every element.
    fn ln_in_place(x: &mut [Self]);

    /// `g ← g ⊙ (1 − a²)`: the derivative of tanh in terms of its value `a`.
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    fn mul_tanh_derivative(g: &mut [Self], a: &[Self]) {
        kernels::mul_tanh_derivative(g, a);
    }

    /// `sums[r] ← Σ_k x[r, k]` for the rows of `x`, as many as there are sums.
    fn row_sums(sums: &mut [Self], x: &[Self]) {
        kernels::row_sums(sums, x);
    }

    /// `C ← init + A B` on the calling thread, `C` row-major, the columns of `B` adjacent.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit.
    fn matmul(c: &mut [Self], a: MatRef<'_, Self>, b: MatRef<'_, Self>, init: Init<'_, Self>) {
        Self::matmul_finish(c, a, b, init, Finish::Nothing);
    }

    /// `C ← finish(init + A B)`, as [`matmul`](Real::matmul).
    ///
    /// # Panics
    ///
    /// If the shapes do not fit.
    fn matmul_finish(
        c: &mut [Self],
        a: MatRef<'_, Self>,
        b: MatRef<'_, Self>,
        init: Init<'_, Self>,
        finish: Finish<'_, Self>,
    );

    /// `C ← A Bᵀ` for row-major `A` `[m, k]` and `B` `[n, k]`: for results with few rows or columns.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit.
    fn matmul_nt(c: &mut [Self], a: &[Self], b: &[Self], k: usize);

    /// `y[c, r] = x[r, c]` for a row-major `[rows, cols]` matrix.
    ///
    /// # Panics
    ///
    /// If the slices are shorter than `rows · cols`.
    fn transpose(x: &[Self], rows: usize, cols: usize, y: &mut [Self]) {
        kernels::transpose(x, rows, cols, y);
    }
}

impl Real for f32 {
    #[inline(always)]
    fn narrow(x: f64) -> f32 {
        x as f32
    }
    #[inline(always)]
    fn widen(self) -> f64 {
        f64::from(self)
    }
    fn tanh_in_place(x: &mut [f32]) {
        kernels::tanh_f32(x);
    }
    fn exp_in_place(x: &mut [f32]) {
        kernels::exp_f32(x);
    }
    fn exp_remainder_in_place(x: &mut [f32]) {
        kernels::exp_remainder_f32(x);
    }
    fn ln_in_place(x: &mut [f32]) {
        kernels::ln_f32(x);
    }
    fn matmul_finish(
        c: &mut [f32],
        a: MatRef<'_, f32>,
        b: MatRef<'_, f32>,
        init: Init<'_, f32>,
        finish: Finish<'_, f32>,
    ) {
        // Own tiles read their operands where they lie, which is faster until these are too large for the caches: then it
        // pays to copy them into order first, as `gemm` does.
        const LARGE: usize = 256 * 128 * 128;
        let (m, n, k) = (a.rows, b.cols, a.cols);
        if m.min(n).min(k) >= 64 && m.saturating_mul(n).saturating_mul(k) >= LARGE {
            packed_matmul(c, a, b, init, finish);
        } else {
            kernels::matmul_f32(c, a, b, init, finish);
        }
    }
    fn matmul_nt(c: &mut [f32], a: &[f32], b: &[f32], k: usize) {
        kernels::matmul_nt_f32(c, a, b, k);
    }
    fn mul_tanh_derivative(g: &mut [f32], a: &[f32]) {
        kernels::mul_tanh_derivative_f32(g, a);
    }
    fn row_sums(sums: &mut [f32], x: &[f32]) {
        kernels::row_sums_f32(sums, x);
    }
    fn transpose(x: &[f32], rows: usize, cols: usize, y: &mut [f32]) {
        kernels::transpose_f32(x, rows, cols, y);
    }
}

impl Real for f64 {
    #[inline(always)]
    fn narrow(x: f64) -> f64 {
        x
    }
    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }
    fn tanh_in_place(x: &mut [f64]) {
        for x in x {
            *x = x.tanh();
        }
    }
    fn exp_in_place(x: &mut [f64]) {
        for x in x {
            *x = x.exp();
        }
    }
    fn exp_remainder_in_place(x: &mut [f64]) {
        for x in x {
            *x = x.exp_m1() - *x;
        }
    }
    fn ln_in_place(x: &mut [f64]) {
        for x in x {
            *x = x.ln();
        }
    }
    fn matmul_finish(
        c: &mut [f64],
        a: MatRef<'_, f64>,
        b: MatRef<'_, f64>,
        init: Init<'_, f64>,
        finish: Finish<'_, f64>,
    ) {
        packed_matmul(c, a, b, init, finish);
    }
    fn matmul_nt(c: &mut [f64], a: &[f64], b: &[f64], k: usize) {
        if k == 0 {
            c.fill(0.0);
            return;
        }
        let (m, n) = (a.len() / k, b.len() / k);
        packed_matmul(c, MatRef::new(a, m, k), MatRef::new(b, n, k).t(), Init::Zero, Finish::Nothing);
    }
}

/// A product by the `gemm` crate.
fn packed_matmul<F: Real>(
    c: &mut [F],
    a: MatRef<'_, F>,
    b: MatRef<'_, F>,
    init: Init<'_, F>,
    finish: Finish<'_, F>,
) {
    check_product(c, a, b, init, finish);
    if c.is_empty() {
        return;
    }
    match init {
        Init::RowBias(bias) => c.chunks_exact_mut(b.cols).zip(bias).for_each(|(row, &bias)| row.fill(bias)),
        Init::ColumnBias(bias) => c.chunks_exact_mut(b.cols).for_each(|row| row.copy_from_slice(bias)),
        Init::Zero | Init::Accumulate => {}
    }
    let accumulate = !matches!(init, Init::Zero);
    // SAFETY: `MatRef::new` checked that every index the views can form lies inside their slices, `check_product`
    // that the shapes agree, and `c` is borrowed mutably, so it overlaps neither `a` nor `b`.
    unsafe {
        gemm::gemm(
            a.rows,
            b.cols,
            a.cols,
            c.as_mut_ptr(),
            1,
            b.cols as isize,
            accumulate,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            if accumulate { F::one() } else { F::zero() },
            F::one(),
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
    match finish {
        Finish::Nothing => {}
        Finish::Tanh => F::tanh_in_place(c),
        Finish::TanhDerivative(a) => F::mul_tanh_derivative(c, a),
    }
}
