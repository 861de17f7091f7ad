//! The examples are the programs beside this folder; there is no library.
