//! One file for each command.

mod check_env;
mod compare;
mod comparison;
mod diff;
mod eval;
mod inspect;
mod lists;
mod manual;
mod play;
mod report;
mod resume;
mod runs;
mod settings;
mod tensorboard;
mod train;

pub(crate) use check_env::check_env;
pub(crate) use compare::compare;
pub(crate) use diff::diff;
pub(crate) use eval::{check_place, eval};
pub(crate) use inspect::inspect;
pub(crate) use lists::{envs, presets};
pub(crate) use manual::{completions, man};
pub(crate) use play::play;
pub(crate) use report::report;
pub(crate) use resume::{is_run, no_run};
pub(crate) use runs::runs;
pub(crate) use settings::{settings, show_config};
pub(crate) use tensorboard::tensorboard;
pub(crate) use train::train;
