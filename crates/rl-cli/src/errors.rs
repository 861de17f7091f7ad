//! What went wrong, in one line.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rl_env::panic_message;
use rl_train::TrainError;

/// A command line that cannot be used: exit code 2.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// An error of usage with this message.
pub(crate) fn usage(message: impl fmt::Display) -> anyhow::Error {
    Usage(message.to_string()).into()
}

/// An error and its causes in one line; a cause that its effect already tells is not repeated.
pub(crate) fn message(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if message.is_empty() {
            message = cause;
        } else if !message.contains(&cause) {
            message += ": ";
            message += &cause;
        }
    }
    one_line(&message)
}

/// Does what calls a user's code before or beside a trainer, which contains panics by itself; a panic in it is an error.
pub(crate) fn contained<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|payload| Err(TrainError::Panic(panic_message(&*payload)).into()))
}

/// A message without line breaks.
pub(crate) fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
