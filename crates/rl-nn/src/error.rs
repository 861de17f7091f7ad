//! What can go wrong in this crate.

/// An error of a network or policy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NnError {
    /// A slice whose length does not fit.
    #[error("{what} has {got} elements, expected {expected}")]
    Shape {
        /// Which slice.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The length it must have.
        expected: usize,
    },
    /// Actions of the other kind than the distribution's.
    #[error("a {distribution} distribution takes {expected} actions")]
    ActionKind {
        /// The distribution.
        distribution: &'static str,
        /// "discrete" or "continuous".
        expected: &'static str,
    },
    /// An action index beyond the number of actions.
    #[error("action {got} of sample {sample} is not below {n}")]
    ActionRange {
        /// The row.
        sample: usize,
        /// The index.
        got: usize,
        /// The number of actions.
        n: usize,
    },
    /// A row whose mask allows no action.
    #[error("the mask of row {row} allows no action at all")]
    NoAction {
        /// The row.
        row: usize,
    },
    /// A policy of masked actions that is asked without a mask.
    #[error(
        "the policy was trained where only some actions are allowed: `act_masked` takes the mask of the state, and None for all actions"
    )]
    MaskMissing,
    /// A mask for actions that cannot be masked.
    #[error("these actions cannot be masked: only choices can")]
    Unmaskable,
    /// Numbers that are not finite.
    #[error("{what} is not finite")]
    NonFinite {
        /// Whose.
        what: &'static str,
    },
    /// A saved policy that does not fit its description.
    #[error("saved policy: {0}")]
    Saved(String),
    /// A description of a network that cannot be built.
    #[error("network description: {0}")]
    Description(String),
    /// A tensor of a candle module that the output does not depend on, or not in a way that candle can differentiate.
    #[error(
        "no gradient reaches {tensor:?} of a candle module: nothing uses it, or an operation that candle cannot differentiate lies between"
    )]
    MissingGradient {
        /// Its name.
        tensor: String,
    },
    /// candle's own error.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// A user's network failed for a reason of its own.
    #[error(transparent)]
    Other(#[from] Box<dyn std::error::Error + Send + Sync>),
}

impl NnError {
    /// Checks a length.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when it differs.
    #[inline]
    pub fn check(what: &'static str, got: usize, expected: usize) -> Result<(), NnError> {
        if got == expected { Ok(()) } else { Err(NnError::Shape { what, got, expected }) }
    }
}
