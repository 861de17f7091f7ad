//! The command line, as somebody sees it who types.

mod cli;
mod comparison;
mod first_use;
mod grid;
#[cfg(target_os = "linux")]
mod gymnasium;
mod looking;
mod misuse;
mod own_program;
