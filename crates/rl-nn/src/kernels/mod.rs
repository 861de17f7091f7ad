//! CPU kernels, compiled for every instruction set and chosen at run time.
//!
//! Activations lie *feature-major* here, `[features, rows]`: the rows of the batch are the vector lanes. Then the forward
//! pass, both tangent products and the pull-back multiply by weights as they lie in θ. Where it pays, a caller has them
//! row-major: the gradient of a first layer, and batches that do not fill a vector.

mod elementwise;
mod matmul;
mod transpose;

pub(crate) use elementwise::{
    add, exp_f32, exp_remainder_f32, ln_f32, mul_tanh_derivative, mul_tanh_derivative_f32, row_sums,
    row_sums_f32, tanh_f32,
};
pub(crate) use matmul::{matmul_f32, matmul_nt_f32};
pub(crate) use transpose::{transpose, transpose_f32};

/// Runs a loop compiled for the widest vectors this processor has.
#[inline(always)]
pub(crate) fn dispatch<R>(body: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(body)
}
