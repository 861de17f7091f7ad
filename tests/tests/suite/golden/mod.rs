//! Numbers that others computed, or that we once did: PyTorch, rliable and others; whole runs, down to the bit.

mod distributions;
mod fingerprints;
mod policies;
mod ppo;
mod ppo_variants;
mod saved_policies;
mod stats;
mod trpo;
