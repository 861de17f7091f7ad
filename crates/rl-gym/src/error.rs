//! What can go wrong between here and an environment in Python.

use std::io;
use std::ops::Range;

use rl_env::EnvError;

/// An error of an environment of Gymnasium, or on the way to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GymError {
    /// A name that is none of an environment of Gymnasium.
    #[error("{name:?}: {reason}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The interpreter could not be started.
    #[error("cannot start the Python interpreter {python:?}: {source}")]
    Start {
        /// The interpreter.
        python: String,
        /// Why not.
        source: io::Error,
    },
    /// The interpreter lacks Gymnasium, or has one that is too old.
    #[error("{python}: {reason}; {python} -m pip install 'gymnasium>=1.0'")]
    NoGymnasium {
        /// The interpreter.
        python: String,
        /// What is missing.
        reason: String,
    },
    /// The environment cannot be made as asked, for a reason that its user can mend.
    #[error("{env}: {reason}")]
    Refused {
        /// The environment's name.
        env: String,
        /// Why not.
        reason: String,
    },
    /// The environment did something its spaces do not allow.
    #[error("in {doing}: {reason}")]
    Contract {
        /// `step` or `reset`.
        doing: String,
        /// What it did.
        reason: String,
    },
    /// An exception in the environment.
    #[error("{message} in {doing}{}{}", if trace.is_empty() { String::new() } else { format!(" ({trace})") }, seed.map_or(String::new(), |seed| format!("; first reset with seed {seed}")))]
    Raised {
        /// `make`, `step` or `reset`.
        doing: String,
        /// The exception and its message.
        message: String,
        /// Where it was raised, outermost call first; the whole traceback went to standard error.
        trace: String,
        /// The seed of the environment's first reset.
        seed: Option<u64>,
    },
    /// A worker's process ended by itself.
    #[error("the Python process of environments {} to {} ended while it should {doing} ({status}); what it had to say is on standard error", envs.start, envs.end.saturating_sub(1))]
    Died {
        /// The environments it held.
        envs: Range<usize>,
        /// What it was doing.
        doing: String,
        /// How it ended.
        status: String,
    },
    /// A worker gave no answer in time; it was killed.
    #[error("the Python process of environments {} to {} gave no answer to {doing} in {seconds} s, and was ended", envs.start, envs.end.saturating_sub(1))]
    Timeout {
        /// The environments it held.
        envs: Range<usize>,
        /// What it was doing.
        doing: String,
        /// How long was waited.
        seconds: u64,
    },
    /// A worker answered something that it never should.
    #[error("the Python process of the environments answered {0}")]
    Protocol(String),
    /// The pipe to a worker failed.
    #[error("cannot talk to the Python process of the environments: {0}")]
    Pipe(#[from] io::Error),
}

impl From<GymError> for EnvError {
    fn from(error: GymError) -> EnvError {
        EnvError::Other(Box::new(error))
    }
}
