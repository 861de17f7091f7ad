//! What can go wrong in training.

use std::io;
use std::path::{Path, PathBuf};

/// An error of a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A setting that cannot be used.
    #[error(transparent)]
    Config(#[from] rl_algo::ConfigError),
    /// An environment failed.
    #[error(transparent)]
    Env(#[from] rl_env::EnvError),
    /// Collecting experience failed.
    #[error(transparent)]
    Rollout(#[from] rl_rollout::RolloutError),
    /// The algorithm failed.
    #[error(transparent)]
    Algo(#[from] rl_algo::AlgoError),
    /// A network failed.
    #[error(transparent)]
    Nn(#[from] rl_nn::NnError),
    /// A policy to be saved that says nothing of itself.
    #[error(
        "the agent's policy cannot be saved: its network or its distribution has no description (`spec` gives none)"
    )]
    Unsaveable,
    /// A part of a trainer that does nothing without another part.
    #[error("{what} needs {needs}")]
    Missing {
        /// The part.
        what: String,
        /// What it needs.
        needs: &'static str,
    },
    /// An event could not be told.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A saved policy that cannot be used.
    #[error("{}: {reason}", path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A saved policy that a run cannot begin with.
    #[error("the run cannot begin with the saved policy: {0}")]
    WarmStart(String),
    /// An agent whose parameters are not finite before the first update.
    #[error("the agent that the run begins with has parameters that are not finite")]
    NonFiniteAgent,
    /// An algorithm whose update left parameters that are not finite.
    #[error(
        "the update of {0:?} left parameters that are not finite: an algorithm puts back those that it had, and reports Outcome::NonFinite"
    )]
    NonFiniteParameters(String),
    /// Updates that were not finite, one after another.
    #[error("{updates} updates in a row were undone, for something was not finite: {what}")]
    NonFinite {
        /// What it was.
        what: String,
        /// How many.
        updates: u64,
    },
    /// A user's environment, network or algorithm panicked.
    #[error("a panic: {0}")]
    Panic(String),
    /// A directory of another run, where a new one was to begin.
    #[error(
        "{}: a run is there already; Trainer::resumed_from goes on with it, and RunDir::create makes another directory", path.display()
    )]
    Occupied {
        /// The directory.
        path: PathBuf,
    },
    /// A directory without a checkpoint.
    #[error("{}: there is no checkpoint of a run to go on from", path.display())]
    NoCheckpoint {
        /// The directory.
        path: PathBuf,
    },
    /// A run whose algorithm saves nothing of itself, and which therefore left no checkpoint.
    #[error("{}: {}", path.display(), no_state(algo))]
    NoState {
        /// The run's directory.
        path: PathBuf,
        /// The algorithm's name.
        algo: String,
    },
    /// An update that a run does not have.
    #[error("there is no update {update}: the run has updates 1 to {updates}")]
    NoUpdate {
        /// Which one was asked for.
        update: u64,
        /// How many there are.
        updates: u64,
    },
    /// A checkpoint that cannot be used.
    #[error("{}: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// An event file that cannot be used.
    #[error("{}: {fault}", path.display())]
    EventFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        fault: crate::EventFault,
    },
    /// Two of the scalars and histograms that an algorithm tells of an update have the same name.
    #[error("the algorithm reports {0:?} twice in one update")]
    DuplicateScalar(String),
    /// One has the name of a scalar that every update has.
    #[error("the algorithm reports {0:?}, which every update has already: it needs another name")]
    TakenScalar(String),
    /// A name in a log that cannot be one, or that is not the algorithm's or the environment's to use.
    #[error("nothing can be logged as {tag:?}: {reason}")]
    Tag {
        /// The tag.
        tag: String,
        /// Why not.
        reason: String,
    },
    /// The policy's parameters are no longer finite, or its observations too large.
    #[error("the policy gives environment {env} of the evaluation the non-finite output {output}")]
    NonFinitePolicy {
        /// The environment's index.
        env: usize,
        /// The network's output.
        output: f32,
    },
    /// A state that allows nothing.
    #[error("environment {env} of the evaluation masks every action: one must be allowed")]
    NoAction {
        /// The environment's index.
        env: usize,
    },
    /// An environment to be looked at that draws no pictures.
    #[error("{env} draws no pictures: its `render` gives none")]
    NoPicture {
        /// The environment's identifier.
        env: String,
    },
    /// A picture that no file can hold.
    #[error("cannot draw: {0}")]
    Picture(String),
    /// The run was asked to stop.
    #[error("the run was stopped")]
    Stopped,
    /// The system gives no threads.
    #[error("cannot start {threads} threads: {reason}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// Why not.
        reason: String,
    },
    /// An error in the middle of a run.
    #[error("update {update} (from step {step}): {source}")]
    At {
        /// The update, from 1.
        update: u64,
        /// Environment steps before its rollout.
        step: u64,
        /// The error itself.
        source: Box<TrainError>,
    },
}

impl TrainError {
    /// Whether a user's code panicked.
    pub(crate) fn is_panic(&self) -> bool {
        match self {
            TrainError::Panic(_) => true,
            TrainError::At { source, .. } => source.is_panic(),
            _ => false,
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TrainError + use<> {
        let path = path.to_owned();
        move |source| TrainError::Io { action, path, source }
    }
}

/// What is said of a run whose algorithm gives no state ([`rl_algo::Algorithm::state`]).
pub fn no_state(algo: &str) -> String {
    format!(
        "algorithm {algo} saves no state (`Algorithm::state`): its runs have no checkpoints and cannot be resumed"
    )
}

/// An error of a sink: an event that it could not take. It ends the run, unless the sink says otherwise ([`crate::Sink::is_vital`]).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// A log could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The log.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A log that is not the one that a checkpoint speaks of.
    #[error("{}: {reason}", path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// A sink's state that cannot be used.
    #[error(transparent)]
    State(#[from] rl_nn::NnError),
    /// A user's sink failed for a reason of its own.
    #[error(transparent)]
    Other(#[from] Box<dyn std::error::Error + Send + Sync>),
}
