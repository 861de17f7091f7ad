//! What can go wrong in an environment.

use crate::{ActionRef, Space};

/// An environment's error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvError {
    /// An action outside the action space.
    #[error("action {action} is not in the action space {space}")]
    InvalidAction {
        /// The action, as text.
        action: String,
        /// The action space.
        space: Box<Space>,
    },
    /// An action that the environment's mask forbids at this moment.
    #[error("action {action} is masked: {reason}")]
    MaskedAction {
        /// The action, as text.
        action: String,
        /// Why it is not allowed now.
        reason: String,
    },
    /// An action of another kind than the environment takes.
    #[error("the environment takes {expected} as its action, got {got}")]
    ActionKind {
        /// What it takes.
        expected: &'static str,
        /// What came.
        got: String,
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
    /// `step` before `reset`, or after the end of the episode.
    #[error("step called {when}: call reset first")]
    NeedsReset {
        /// "before the first reset" or "after the end of the episode".
        when: &'static str,
    },
    /// A saved state that is not this environment's.
    #[error("the saved state does not fit: {0}")]
    InvalidState(String),
    /// The environment cannot save its state, so there is none to restore.
    #[error("the environment cannot save and restore its state")]
    CannotRestore,
    /// A map or its parameters that make no grid world.
    #[error("the map does not fit: {0}")]
    InvalidMap(String),
    /// The environment returned something its contract forbids.
    #[error("the environment broke its contract: {0}")]
    Contract(String),
    /// A number of environments of which no vector can be made.
    #[error("{0}")]
    InvalidCount(String),
    /// An error of one environment among many.
    #[error("environment {index}, step {step} since its construction: {source}")]
    At {
        /// The environment's index in the vector.
        index: usize,
        /// Steps taken by the vector of environments.
        step: u64,
        /// The error itself.
        source: Box<EnvError>,
    },
    /// An identifier the registry does not know.
    #[error("unknown environment {id:?}{}; known: {}", nearest.as_ref().map(|n| format!(", did you mean {n:?}?")).unwrap_or_default(), known.join(", "))]
    Unknown {
        /// What was asked for.
        id: String,
        /// The known identifier closest to it, if any is close.
        nearest: Option<String>,
        /// All known identifiers.
        known: Vec<String>,
    },
    /// An identifier registered twice.
    #[error("environment {0:?} is already registered")]
    Duplicate(String),
    /// An environment that says of itself what cannot be.
    #[error("environment {id:?} cannot be used: {reason}")]
    Unusable {
        /// Its identifier.
        id: String,
        /// What cannot be.
        reason: String,
    },
    /// A user's environment panicked.
    #[error("a panic in an environment's `{during}`: {message}")]
    Panic {
        /// The method, such as `step`.
        during: &'static str,
        /// What it said, and where.
        message: String,
    },
    /// A user's environment failed for a reason of its own.
    #[error(transparent)]
    Other(#[from] Box<dyn std::error::Error + Send + Sync>),
}

impl EnvError {
    #[cold]
    pub(crate) fn action_kind(expected: &'static str, got: ActionRef<'_>) -> Self {
        let got = match got {
            ActionRef::Discrete(a) => format!("{} indices", a.len()),
            ActionRef::Continuous(a) => format!("{} reals", a.len()),
        };
        EnvError::ActionKind { expected, got }
    }

    /// The same error, said of one environment among many.
    #[cold]
    pub fn at(self, index: usize, step: u64) -> Self {
        EnvError::At { index, step, source: Box::new(self) }
    }

    /// The error for an action that the mask forbids now, for this reason.
    #[cold]
    pub fn masked_action(action: impl std::fmt::Debug, reason: impl Into<String>) -> Self {
        EnvError::MaskedAction { action: format!("{action:?}"), reason: reason.into() }
    }

    /// The error for an action outside `space`.
    #[cold]
    pub fn invalid_action(action: impl std::fmt::Debug, space: Space) -> Self {
        EnvError::InvalidAction { action: format!("{action:?}"), space: Box::new(space) }
    }
}
