//! What can go wrong in an optimiser.

use std::error::Error;

/// An optimiser's error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptimError {
    /// A vector of the wrong length.
    #[error("{what} has length {got}, expected {expected}")]
    DimensionMismatch {
        /// Which vector.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The length it must have.
        expected: usize,
    },
    /// A parameter outside its range.
    #[error("{name} is {got}, expected {allowed}")]
    InvalidParameter {
        /// The parameter's name.
        name: &'static str,
        /// Its value.
        got: f64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Text that is not a schedule.
    #[error(
        "\"{got}\" is not a schedule: {why}; expected a number such as 0.0003, or a schedule such as lin_0.0003, for a linear decrease to 0"
    )]
    InvalidSchedule {
        /// The text.
        got: String,
        /// What is wrong with it.
        why: String,
    },
    /// A user's operator, Jacobian or gradient failed.
    #[error("an operator failed: {0}")]
    Operator(#[source] Box<dyn Error + Send + Sync>),
}

impl OptimError {
    /// Wraps the error of a user's operator, Jacobian or gradient.
    ///
    /// # Example
    ///
    /// ```
    /// let error = rl_optim::OptimError::operator("the device is gone");
    /// assert_eq!(error.to_string(), "an operator failed: the device is gone");
    /// ```
    pub fn operator(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Operator(error.into())
    }
}

pub(crate) fn check_len(what: &'static str, got: usize, expected: usize) -> Result<(), OptimError> {
    if got == expected { Ok(()) } else { Err(OptimError::DimensionMismatch { what, got, expected }) }
}

pub(crate) fn check_range(
    name: &'static str,
    got: f64,
    allowed: &'static str,
    holds: bool,
) -> Result<(), OptimError> {
    if holds { Ok(()) } else { Err(OptimError::InvalidParameter { name, got, allowed }) }
}
