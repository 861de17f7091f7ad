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
    /// The policy's distribution has become non-finite.
    #[error(
        "the policy gives environment {env} a non-finite log-probability ({log_prob}) at step {step} of the rollout"
    )]
    NonFinite {
        /// The environment's index.
        env: usize,
        /// The step of the rollout.
        step: usize,
        /// The log-probability.
        log_prob: f32,
    },
    /// The environment masks actions, and no distribution here observes masks yet.
    #[error(
        "the environment masks actions, which no policy here observes: it would be trained on forbidden ones"
    )]
    Masked,
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
