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
    /// Whole episodes of several environments, which end at different steps.
    #[error("a rollout of whole episodes is of one environment, not of {n_envs}")]
    EpisodesOfMany {
        /// How many there are.
        n_envs: usize,
    },
    /// Whole episodes that do not come to an end.
    #[error(
        "{episodes} of {wanted} episodes ended within {steps} steps, the most a rollout may have: the environment needs a time limit, or the rollout n_steps"
    )]
    Endless {
        /// How many ended.
        episodes: usize,
        /// How many should have.
        wanted: usize,
        /// After how many steps it was given up.
        steps: usize,
    },
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
    /// Actions of the other kind.
    #[error("the policy's actions are {policy}, the environment's {env}")]
    ActionKind {
        /// "choices" or "reals".
        policy: &'static str,
        /// The other.
        env: &'static str,
    },
    /// A dimension of the action with another number of choices.
    #[error(
        "dimension {dimension} of the action has {choices} choices in the environment, and another number in the policy"
    )]
    Choices {
        /// Which dimension.
        dimension: usize,
        /// The environment's number.
        choices: usize,
    },
}
