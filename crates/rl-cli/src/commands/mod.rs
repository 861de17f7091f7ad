//! One file for each command.

mod check_env;
mod compare;
mod comparison;
mod eval;
mod inspect;
mod lists;
mod play;
mod report;
mod runs;
mod settings;
mod train;

pub(crate) use check_env::check_env;
pub(crate) use compare::compare;
pub(crate) use eval::eval;
pub(crate) use inspect::inspect;
pub(crate) use lists::{envs, presets};
pub(crate) use play::play;
pub(crate) use report::report;
pub(crate) use runs::runs;
pub(crate) use settings::{settings, show_config};
pub(crate) use train::train;
