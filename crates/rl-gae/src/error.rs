//! What can be wrong with the arguments.

/// An argument that does not fit.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GaeError {
    /// There are no environments.
    #[error("n_envs is 0, expected at least 1")]
    NoEnvs,
    /// The rewards are not whole steps of all environments.
    #[error("rewards has length {got}, expected a multiple of n_envs = {n_envs}")]
    RaggedRewards {
        /// The length of the rewards.
        got: usize,
        /// The number of environments.
        n_envs: usize,
    },
    /// A slice of the wrong length.
    #[error("{what} has length {got}, expected {expected}")]
    WrongLength {
        /// Which slice.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The length it must have.
        expected: usize,
    },
    /// A factor outside `[0, 1]`, or not a number.
    #[error("{what} is {got}, expected a number from 0 to 1")]
    OutOfRange {
        /// Which factor.
        what: &'static str,
        /// Its value.
        got: f64,
    },
}
