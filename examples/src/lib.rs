//! The examples are the programs beside this folder; there is no library.

/// Compiles and runs the guide's examples, which use more crates than the networks' own.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guides/network.md")]
struct NetworkGuide;

/// The same of the guide to distributions.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guides/distribution.md")]
struct DistributionGuide;

/// The same of the page on stopping and resuming.
#[cfg(doctest)]
#[doc = include_str!("../../docs/resuming.md")]
struct Resuming;

/// What a run logs.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guides/logging.md")]
struct LoggingGuide;
