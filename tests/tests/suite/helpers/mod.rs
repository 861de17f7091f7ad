//! What several of these tests do.

pub(crate) mod command_line;
pub(crate) mod small_batch;
pub(crate) mod small_run;
