//! The tests across crates, as one program: each program of tests is linked with everything that it uses, which takes longer than compiling it.
//!
//! Tests here run in one process and at the same time (`cargo test`), or each in its own (`cargo nextest run`); so none may change what a whole
//! process has: environment variables, the instruction set, the working directory. What needs its own allocator is a program of its own beside
//! this one (`allocations`, `fuzz`).

#![allow(clippy::unwrap_used, reason = "a failure in a helper is a failed test")]

mod algorithms;
mod commands;
mod files;
mod golden;
mod helpers;
mod instruction_set;
mod networks;
mod runs;
