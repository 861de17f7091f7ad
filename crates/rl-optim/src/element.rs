//! The two precisions, with what is faster in one of them.

/// `f32` or `f64`.
#[allow(private_bounds, reason = "sealed: the kernels behind it are nobody else's business")]
pub trait Element: crate::adam::Update + crate::vector::SumOfSquares {}

impl Element for f32 {}
impl Element for f64 {}
