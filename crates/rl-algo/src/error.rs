//! What can go wrong in an algorithm or its settings.

use std::fmt::Display;

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value}: expected {allowed}")]
pub struct ConfigError {
    /// The setting's name.
    pub key: String,
    /// Its value, as text.
    pub value: String,
    /// What would be right.
    pub allowed: String,
}

/// Checks one setting.
///
/// # Errors
///
/// [`ConfigError`] when it does not hold.
pub fn check_setting(key: &str, value: impl Display, allowed: &str, holds: bool) -> Result<(), ConfigError> {
    if holds {
        return Ok(());
    }
    Err(ConfigError { key: key.to_owned(), value: value.to_string(), allowed: allowed.to_owned() })
}

/// An algorithm's error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AlgoError {
    /// A setting that cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A name the registry does not know.
    #[error("unknown algorithm {id:?}{}; known: {}", nearest.as_ref().map(|n| format!(", did you mean {n:?}?")).unwrap_or_default(), known.join(", "))]
    Unknown {
        /// What was asked for.
        id: String,
        /// The known name closest to it, if any is close.
        nearest: Option<String>,
        /// All known names.
        known: Vec<String>,
    },
    /// A name registered twice.
    #[error("algorithm {0:?} is already registered")]
    Duplicate(String),
    /// An action space no distribution here covers.
    #[error("no action distribution for the action space {0}")]
    ActionSpace(String),
    /// A network's error.
    #[error(transparent)]
    Nn(#[from] rl_nn::NnError),
    /// An optimiser's error.
    #[error(transparent)]
    Optim(#[from] rl_optim::OptimError),
    /// An error of the advantage estimation.
    #[error(transparent)]
    Gae(#[from] rl_gae::GaeError),
    /// Advantages that cannot be estimated again.
    #[error(
        "advantages cannot be estimated again (recompute_advantage = true): some rows of the rollout were resets and no transitions, as in \
         environments whose vector takes a step of its own to reset, and were left out"
    )]
    Incomplete,
    /// A user's algorithm failed for a reason of its own.
    #[error(transparent)]
    Other(#[from] Box<dyn std::error::Error + Send + Sync>),
}
