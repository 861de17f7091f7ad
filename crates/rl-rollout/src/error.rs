//! What can go wrong while collecting.

/// An error while collecting experience.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RolloutError {
    /// An environment failed.
    #[error(transparent)]
    Env(#[from] rl_env::EnvError),
    /// The policy failed.
    #[error(transparent)]
    Nn(#[from] rl_nn::NnError),
    /// The policy has become non-finite.
    #[error("the policy gives environment {env} a non-finite {what} ({value}) at step {step} of the rollout")]
    NonFinite {
        /// The environment's index.
        env: usize,
        /// The step of the rollout.
        step: usize,
        /// Whose value it is.
        what: &'static str,
        /// The value.
        value: f32,
    },
    /// A state that allows nothing.
    #[error("environment {env} masks every action at step {step} of the rollout: one must be allowed")]
    NoAction {
        /// The environment's index.
        env: usize,
        /// The step of the rollout.
        step: usize,
    },
    /// The rollout was asked to stop.
    #[error("the rollout was stopped")]
    Stopped,
    /// Policy and environment do not fit.
    #[error("{what}: the policy has {policy}, the environment {env}")]
    Mismatch {
        /// What differs.
        what: &'static str,
        /// The policy's number.
        policy: usize,
        /// The environment's number.
        env: usize,
    },
}
