//! What tiles need of a scalar type: vectors of it.

use std::cell::RefCell;

use pulp::{MemMask, Simd};

use crate::Real;
use crate::elementwise::{
    tanh_vectors_f32, tanh_vectors_f64, times_tanh_derivative_f32, times_tanh_derivative_f64,
};

/// A scalar type with its vectors.
pub(crate) trait Element: Real {
    /// So many adjacent elements.
    type Vector<S: Simd>: Copy;
    /// Which of a vector's elements are loaded and stored.
    type Mask<S: Simd>: Copy;

    /// Elements a vector.
    fn lanes<S: Simd>() -> usize;
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Vector<S>;
    /// `a b + c`, rounded once.
    fn fused<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>, c: Self::Vector<S>)
    -> Self::Vector<S>;
    /// The first `n` elements.
    fn mask<S: Simd>(simd: S, n: usize) -> Self::Mask<S>;
    /// # Safety
    ///
    /// The elements under the mask must be readable.
    unsafe fn load_masked<S: Simd>(simd: S, mask: Self::Mask<S>, p: *const Self) -> Self::Vector<S>;
    /// # Safety
    ///
    /// The elements under the mask must be writable.
    unsafe fn store_masked<S: Simd>(simd: S, mask: Self::Mask<S>, p: *mut Self, x: Self::Vector<S>);
    /// `g (1 − a²)`
    fn times_tanh_derivative<S: Simd>(simd: S, g: Self::Vector<S>, a: Self::Vector<S>) -> Self::Vector<S>;
    /// `x ← tanh(x)`
    fn tanh_vectors<S: Simd>(simd: S, x: &mut [Self]);
    /// Memory of this thread to copy operands into.
    fn with_memory<R>(body: impl FnOnce(&mut Vec<Self>) -> R) -> R;
}

macro_rules! element {
    ($type:ty, $vector:ident, $mask:ident, $lanes:ident, $splat:ident, $mul_add:ident, $between:ident, $index:ty, $load:ident, $store:ident, $derivative:ident, $tanh:ident) => {
        impl Element for $type {
            type Vector<S: Simd> = S::$vector;
            type Mask<S: Simd> = MemMask<S::$mask>;

            #[inline(always)]
            fn lanes<S: Simd>() -> usize {
                S::$lanes
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: $type) -> S::$vector {
                simd.$splat(x)
            }
            #[inline(always)]
            fn fused<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$mul_add(a, b, c)
            }
            #[inline(always)]
            fn mask<S: Simd>(simd: S, n: usize) -> MemMask<S::$mask> {
                // For masked instructions: pulp's own masks jump to one of its loads, past registers that then need saving.
                MemMask::new(simd.$between(0, n as $index).mask())
            }
            #[inline(always)]
            unsafe fn load_masked<S: Simd>(simd: S, mask: MemMask<S::$mask>, p: *const $type) -> S::$vector {
                // SAFETY: the caller's.
                unsafe { simd.$load(mask, p) }
            }
            #[inline(always)]
            unsafe fn store_masked<S: Simd>(simd: S, mask: MemMask<S::$mask>, p: *mut $type, x: S::$vector) {
                // SAFETY: the caller's.
                unsafe { simd.$store(mask, p, x) }
            }
            #[inline(always)]
            fn times_tanh_derivative<S: Simd>(simd: S, g: S::$vector, a: S::$vector) -> S::$vector {
                $derivative(simd, g, a)
            }
            #[inline(always)]
            fn tanh_vectors<S: Simd>(simd: S, x: &mut [$type]) {
                $tanh(simd, x);
            }
            fn with_memory<R>(body: impl FnOnce(&mut Vec<$type>) -> R) -> R {
                thread_local! {
                    static MEMORY: RefCell<Vec<$type>> = const { RefCell::new(Vec::new()) };
                }
                MEMORY.with(|memory| body(&mut memory.borrow_mut()))
            }
        }
    };
}

element!(
    f32,
    f32s,
    m32s,
    F32_LANES,
    splat_f32s,
    mul_add_f32s,
    mask_between_m32s,
    u32,
    mask_load_ptr_f32s,
    mask_store_ptr_f32s,
    times_tanh_derivative_f32,
    tanh_vectors_f32
);
element!(
    f64,
    f64s,
    m64s,
    F64_LANES,
    splat_f64s,
    mul_add_f64s,
    mask_between_m64s,
    u64,
    mask_load_ptr_f64s,
    mask_store_ptr_f64s,
    times_tanh_derivative_f64,
    tanh_vectors_f64
);
