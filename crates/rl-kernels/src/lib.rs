//! Arithmetic that gives the same bits on every processor.
//!
//! A run must not depend on the machine it was made on. So everything here fixes what a processor, a compiler or a system
//! library would otherwise choose: the order of every sum, whether a multiplication and an addition are rounded once or
//! twice, and the steps of every elementary function. [`Isa`] chooses how fast that is computed, never what.
//!
//! # Invariant
//!
//! This crate knows slices and numbers, and neither networks nor environments. It calls no function of the system's
//! mathematics library, and no instruction whose result differs between processors (reciprocal estimates).

pub mod elementary;
mod elementwise;
mod gated;
mod isa;
mod mat;
mod normal;
mod product;
mod real;
mod reproducible;
mod sums;
mod transpose;

pub use elementwise::add;
pub use isa::{Isa, IsaError, dispatch, vectorize};
pub use mat::{Finish, Init, MatRef};
pub use normal::StandardNormal;
pub use real::Real;
pub use reproducible::Reproducible;
pub use sums::{dot, max, sum, sum_of_squares};

/// The partial sums of every sum in `f32`: one register of AVX-512, two of AVX2, four of NEON.
const LANES: usize = 16;
