//! Whole runs: their determinism, their ends, and how they go on.

mod containment;
mod determinism;
mod ends;
mod late_scalars;
mod normalization;
mod own_parts;
mod resume;
