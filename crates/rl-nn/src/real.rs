//! The two scalar types: `f32` to train, `f64` to verify.

use std::fmt::{Debug, Display};

use num_traits::{Float, NumAssign};

use crate::kernels;

/// `f32` or `f64`, with the element-wise kernels that differ between them.
pub trait Real: Float + NumAssign + Default + Debug + Display + Send + Sync + 'static {
    /// Rounds from `f64`.
    fn narrow(x: f64) -> Self;
    /// Converts to `f64`, exactly.
    fn widen(self) -> f64;
    /// `x ← tanh(x)` for every element.
    fn tanh_in_place(x: &mut [Self]);
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
}
