//! Shuffled minibatches.

use rand::RngCore;
use rand::seq::SliceRandom;

/// The rows of a batch in a new random order every epoch, in pieces of `batch_size`; a ragged last piece is kept.
///
/// ```
/// use rand::SeedableRng;
/// let mut rng = rl_env::EnvRng::seed_from_u64(0);
/// let mut minibatches = rl_rollout::Minibatches::new(10);
/// let sizes: Vec<usize> = minibatches.epoch(4, &mut rng).map(<[usize]>::len).collect();
/// assert_eq!(sizes, [4, 4, 2]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Minibatches {
    rows: Vec<usize>,
}

impl Minibatches {
    /// The rows `0..n`.
    pub fn new(n: usize) -> Self {
        Minibatches { rows: (0..n).collect() }
    }

    /// Shuffles (Fisher-Yates) and cuts; `batch_size` 0 counts as 1.
    pub fn epoch(&mut self, batch_size: usize, rng: &mut dyn RngCore) -> impl Iterator<Item = &[usize]> {
        self.rows.shuffle(rng);
        self.rows.chunks(batch_size.max(1))
    }
}
