//! One file for each command.

mod compare;
mod comparison;
mod eval;
mod lists;
mod train;

pub(crate) use compare::compare;
pub(crate) use eval::eval;
pub(crate) use lists::{envs, presets, show_config};
pub(crate) use train::train;
