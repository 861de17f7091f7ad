//! What a perceptron keeps in a workspace.

use crate::Buffer;

/// Recorded values and scratch space. The feature-major input `[n_in, rows]` of every layer lies at the layer's offset times `rows`; an activated
/// output follows the last one's.
#[derive(Default)]
pub(super) struct Memory<F> {
    /// Feature-major inputs.
    pub(super) values: Buffer<F>,
    /// Row-major copies of those that products want so; in forward passes, the transposed weights.
    pub(super) transposed: Buffer<F>,
    /// Slopes, at the place of the values they belong to, where they do not follow from these.
    pub(super) slopes: Buffer<F>,
    /// The first hidden layer's slopes, row-major.
    pub(super) first_slopes: Buffer<F>,
    pub(super) scratch: [Buffer<F>; 2],
    /// Whether `transposed` holds the weights of the θ that was prepared.
    pub(super) has_weights: bool,
}
