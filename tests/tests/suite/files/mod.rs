//! What runs leave and read: damaged, hostile, or on a disk that fails.

mod corruption;
mod hostile;
mod storage;
