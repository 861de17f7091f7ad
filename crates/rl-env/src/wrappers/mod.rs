//! Wrappers that change an environment and compose without boxing.

mod clip_action;
mod episode_statistics;
mod frame_stack;
mod guard;
mod rescale_action;
mod time_limit;

pub use clip_action::ClipAction;
pub use episode_statistics::{Episode, EpisodeStatistics};
pub use frame_stack::FrameStack;
pub use guard::Guard;
pub use rescale_action::RescaleAction;
pub use time_limit::TimeLimit;
