//! Where a result comes out the same.

use std::fmt;

/// Where the same revision, settings and seed give the same bits: what a part of a run declares of itself. The weakest part counts for the run.
///
/// ```
/// use rl_kernels::Reproducible;
///
/// let parts = [Reproducible::Everywhere, Reproducible::ThisProcessor];
/// assert_eq!(parts.into_iter().min(), Some(Reproducible::ThisProcessor));
/// assert_eq!(Reproducible::ThisProcessor.to_string(), "this processor");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reproducible {
    /// Not even twice on the same machine.
    No,
    /// On processors of the same kind, with the same system libraries: whatever calls code that is not ours.
    ThisProcessor,
    /// On every processor and any number of threads: everything of ours.
    #[default]
    Everywhere,
}

impl fmt::Display for Reproducible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reproducible::No => "no",
            Reproducible::ThisProcessor => "this processor",
            Reproducible::Everywhere => "everywhere",
        })
    }
}
