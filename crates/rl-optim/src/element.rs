//! The two precisions, with what is faster in one of them.

use rl_kernels::Real;

/// `f32` or `f64`.
#[allow(private_bounds, reason = "sealed: the kernel behind it is nobody else's business")]
pub trait Element: Real + crate::adam::Update {}

impl Element for f32 {}
impl Element for f64 {}
