//! What a convolutional network keeps in a workspace.

use crate::{Buffer, Workspace};

/// Recorded values and scratch space. Images lie pixel by pixel.
#[derive(Default)]
pub(super) struct Memory<F> {
    /// The scaled input.
    pub(super) input: Buffer<F>,
    /// The activated output of every convolution,
    pub(super) values: Vec<Buffer<F>>,
    /// and its slopes, where they do not follow from the values.
    pub(super) slopes: Vec<Buffer<F>>,
    /// The last one's output channel by channel: what the linear layer sees.
    pub(super) flat: Vec<F>,
    /// The linear layer's own.
    pub(super) linear: Workspace<F>,
    /// Of every convolution, the kernels as rows `[c_out, patch_len]`,
    pub(super) kernels: Vec<Buffer<F>>,
    /// and as columns `[patch_len, c_out]`.
    pub(super) columns: Vec<Buffer<F>>,
    /// Whether they are those of the θ that was prepared.
    pub(super) has_kernels: bool,
    /// A block of patches.
    pub(super) patches: Buffer<F>,
    /// Gradients or tangents on their way, and those of kernels.
    pub(super) scratch: [Buffer<F>; 2],
    pub(super) weights: [Buffer<F>; 2],
}
