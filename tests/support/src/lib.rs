//! What the workspace's tests share.
//!
//! - A test binary that links this crate (`use rl_test_support as _;` is enough) runs under the instruction set that the
//!   environment variable `RL_ISA` names (`portable`, `neon`, `avx2`, `avx512`), and aborts as it starts when there is no such one
//!   or the processor lacks it. So `RL_ISA=avx2 cargo nextest run` runs the whole suite under that one.
//! - [`golden`] reads what PyTorch computed, and [`assert_near`] and [`assert_near_terms`] compare with it.
//! - [`fuzz`] feeds a reader with a corpus, and with what becomes of it by random changes.
//!
//! # Invariant
//!
//! Only tests depend on this crate, and of ours it knows `rl-kernels` alone.

mod compare;
mod fuzz;
mod isa;

pub use compare::{assert_near, assert_near_terms, assert_within, distance, golden};
pub use fuzz::{RL_FUZZ_SECONDS, RL_FUZZ_SEED, fuzz};
pub use isa::{RL_ISA, active, requested};
