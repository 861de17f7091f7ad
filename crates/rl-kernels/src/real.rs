//! The two scalar types: `f32` to train, `f64` to verify.

use std::cell::Cell;
use std::fmt::{Debug, Display};

use num_traits::{Float, NumAssign};

use crate::mat::{Finish, Init, MatRef};
use crate::{Isa, elementary, elementwise, gated, product, sums, transpose};

/// `f32` or `f64`, with the kernels that differ between them.
pub trait Real: Float + NumAssign + Default + Debug + Display + Send + Sync + 'static {
    /// Rounds from `f64`.
    fn narrow(x: f64) -> Self;
    /// Converts to `f64`, exactly.
    fn widen(self) -> f64;
    /// Runs `work` with `len` elements of memory that the calling thread keeps for the next time, so that nothing is allocated then. Their contents are
    /// unspecified. Within `work` another call gets other memory.
    ///
    /// ```
    /// use rl_kernels::Real;
    /// let sum = f64::with_scratch(3, |x| {
    ///     x.fill(2.0);
    ///     x.iter().sum::<f64>()
    /// });
    /// assert_eq!(sum, 6.0);
    /// ```
    fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [Self]) -> R) -> R;
    /// `x ← tanh(x)` for every element.
    fn tanh_in_place(x: &mut [Self]);
    /// `x ← eˣ` for every element.
    fn exp_in_place(x: &mut [Self]);
    /// `x ← eˣ − 1 − x` for every element, without cancellation where it is small.
    fn exp_remainder_in_place(x: &mut [Self]);
    /// `x ← eˣ − 1` for every element below 0.
    fn elu_in_place(x: &mut [Self]);
    /// `x ← ln x` for every element.
    fn ln_in_place(x: &mut [Self]);

    /// `x ← x / (1 + e⁻ˣ)` for every element, and the slopes at the same time where they are wanted. NaN stays NaN; −∞ is NaN (its
    /// slope too, and that of ∞).
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    fn silu_in_place(x: &mut [Self], slopes: Option<&mut [Self]>);

    /// `x ← x Φ(x)` for every element, with the normal distribution function Φ; slopes, NaN and infinities as in
    /// [`silu_in_place`](Real::silu_in_place).
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    fn gelu_in_place(x: &mut [Self], slopes: Option<&mut [Self]>);

    /// `g ← g ⊙ (1 − a²)`: the derivative of tanh in terms of its value `a`.
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    fn mul_tanh_derivative(g: &mut [Self], a: &[Self]);

    /// `sums[r] ← Σ_k x[r, k]` for the rows of `x`, as many as there are sums.
    fn row_sums(sums: &mut [Self], x: &[Self]);

    /// `Σ x²`, accumulated in `f64`: the bits of `dot(x, x)`.
    fn sum_of_squares(x: &[Self]) -> f64 {
        sums::dot(x, x)
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
    fn transpose(x: &[Self], rows: usize, cols: usize, y: &mut [Self]);
}

/// [`Real::with_scratch`] of one type. The memory is longer than it need be, so that what another thread writes does not lie right behind it.
macro_rules! with_scratch {
    ($type:ty) => {
        fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [$type]) -> R) -> R {
            const APART: usize = 16 * 1024 / size_of::<$type>();
            thread_local! {
                static MEMORY: Cell<Vec<$type>> = const { Cell::new(Vec::new()) };
            }
            let mut memory = MEMORY.take();
            if memory.len() < len {
                memory.reserve_exact(len + APART - memory.len());
                memory.resize(len, 0.0);
            }
            let result = work(&mut memory[..len]);
            MEMORY.set(memory);
            result
        }
    };
}

impl Real for f32 {
    with_scratch!(f32);
    #[inline(always)]
    fn narrow(x: f64) -> f32 {
        x as f32
    }
    #[inline(always)]
    fn widen(self) -> f64 {
        f64::from(self)
    }
    fn tanh_in_place(x: &mut [f32]) {
        elementwise::tanh_f32(Isa::active(), x);
    }
    fn exp_in_place(x: &mut [f32]) {
        elementwise::exp_f32(Isa::active(), x);
    }
    fn exp_remainder_in_place(x: &mut [f32]) {
        elementwise::exp_remainder_f32(Isa::active(), x);
    }
    fn elu_in_place(x: &mut [f32]) {
        elementwise::elu_f32(Isa::active(), x);
    }
    fn ln_in_place(x: &mut [f32]) {
        elementwise::ln_f32(Isa::active(), x);
    }
    fn silu_in_place(x: &mut [f32], slopes: Option<&mut [f32]>) {
        gated::silu_f32(Isa::active(), x, slopes);
    }
    fn gelu_in_place(x: &mut [f32], slopes: Option<&mut [f32]>) {
        gated::gelu_f32(Isa::active(), x, slopes);
    }
    fn mul_tanh_derivative(g: &mut [f32], a: &[f32]) {
        elementwise::mul_tanh_derivative_f32(Isa::active(), g, a);
    }
    fn row_sums(sums: &mut [f32], x: &[f32]) {
        elementwise::row_sums_f32(Isa::active(), sums, x);
    }
    fn sum_of_squares(x: &[f32]) -> f64 {
        #[cfg(target_arch = "x86_64")]
        if Isa::active() == Isa::Avx512
            && let Some(simd) = pulp::x86::V4::try_new()
        {
            return sums::sum_of_squares_avx512(simd, x);
        }
        sums::dot(x, x)
    }
    fn matmul_finish(
        c: &mut [f32],
        a: MatRef<'_, f32>,
        b: MatRef<'_, f32>,
        init: Init<'_, f32>,
        finish: Finish<'_, f32>,
    ) {
        product::matmul(Isa::active(), c, a, b, init, finish);
    }
    fn matmul_nt(c: &mut [f32], a: &[f32], b: &[f32], k: usize) {
        product::matmul_nt_f32(Isa::active(), c, a, b, k);
    }
    fn transpose(x: &[f32], rows: usize, cols: usize, y: &mut [f32]) {
        transpose::transpose_f32(Isa::active(), x, rows, cols, y);
    }
}

impl Real for f64 {
    with_scratch!(f64);
    #[inline(always)]
    fn narrow(x: f64) -> f64 {
        x
    }
    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }
    fn tanh_in_place(x: &mut [f64]) {
        x.iter_mut().for_each(|x| *x = elementary::tanh(*x));
    }
    fn exp_in_place(x: &mut [f64]) {
        x.iter_mut().for_each(|x| *x = elementary::exp(*x));
    }
    fn exp_remainder_in_place(x: &mut [f64]) {
        x.iter_mut().for_each(|x| *x = elementary::exp_m1(*x) - *x);
    }
    fn elu_in_place(x: &mut [f64]) {
        x.iter_mut().filter(|x| **x < 0.0).for_each(|x| *x = elementary::exp_m1(*x));
    }
    fn ln_in_place(x: &mut [f64]) {
        x.iter_mut().for_each(|x| *x = elementary::ln(*x));
    }
    fn silu_in_place(x: &mut [f64], slopes: Option<&mut [f64]>) {
        gated::each(x, slopes, gated::silu);
    }
    fn gelu_in_place(x: &mut [f64], slopes: Option<&mut [f64]>) {
        gated::each(x, slopes, gated::gelu);
    }
    fn mul_tanh_derivative(g: &mut [f64], a: &[f64]) {
        assert_eq!(g.len(), a.len(), "a gradient and its activations");
        elementwise::mul_tanh_derivative_f64(g, a);
    }
    fn row_sums(sums: &mut [f64], x: &[f64]) {
        elementwise::row_sums(sums, x);
    }
    fn matmul_finish(
        c: &mut [f64],
        a: MatRef<'_, f64>,
        b: MatRef<'_, f64>,
        init: Init<'_, f64>,
        finish: Finish<'_, f64>,
    ) {
        product::matmul(Isa::active(), c, a, b, init, finish);
    }
    fn matmul_nt(c: &mut [f64], a: &[f64], b: &[f64], k: usize) {
        if k == 0 {
            c.fill(0.0);
            return;
        }
        let (m, n) = (a.len() / k, b.len() / k);
        Self::matmul(c, MatRef::new(a, m, k), MatRef::new(b, n, k).t(), Init::Zero);
    }
    fn transpose(x: &[f64], rows: usize, cols: usize, y: &mut [f64]) {
        transpose::transpose(Isa::active(), x, rows, cols, y);
    }
}
