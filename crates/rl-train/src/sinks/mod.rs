//! Where events go.

mod columns;
mod csv;
mod hparams;
mod progress;
mod tensorboard;

pub use csv::Csv;
pub use progress::Progress;
pub use tensorboard::TensorBoard;
pub(crate) use tensorboard::is_event_file;
