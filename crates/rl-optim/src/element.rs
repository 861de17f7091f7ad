//! The two precisions, with what is faster in one of them.

use num_traits::Float;

/// `f32` or `f64`.
#[allow(private_bounds, reason = "sealed: the kernels behind it are nobody else's business")]
pub trait Element: Float + Kernels {}

impl Element for f32 {}
impl Element for f64 {}

pub(crate) trait Kernels: crate::adam::Update + crate::vector::SumOfSquares {}

impl Kernels for f32 {}
impl Kernels for f64 {}
