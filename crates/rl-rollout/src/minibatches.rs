//! Shuffled minibatches.

use rand::RngCore;

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
        shuffle(&mut self.rows, rng);
        self.rows.chunks(batch_size.max(1))
    }
}

/// Fisher and Yates's, from the end.
///
/// `rand`'s own divides for every element, which is a twentieth of a PPO update on small networks.
fn shuffle(rows: &mut [usize], rng: &mut dyn RngCore) {
    for i in (1..rows.len()).rev() {
        rows.swap(i, below(i as u32 + 1, rng) as usize);
    }
}

/// A uniform number below `bound`.
///
/// # Source
///
/// Lemire, "Fast Random Integer Generation in an Interval", 2019, algorithm 5.
fn below(bound: u32, rng: &mut dyn RngCore) -> u32 {
    let mut product = u64::from(rng.next_u32()) * u64::from(bound);
    if (product as u32) < bound {
        let threshold = bound.wrapping_neg() % bound;
        while (product as u32) < threshold {
            product = u64::from(rng.next_u32()) * u64::from(bound);
        }
    }
    (product >> 32) as u32
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn every_order_is_as_likely() {
        let mut rng = rl_env::EnvRng::seed_from_u64(1);
        let mut counts = std::collections::BTreeMap::new();
        let n = 24_000;
        for _ in 0..n {
            let mut rows = [0, 1, 2, 3];
            shuffle(&mut rows, &mut rng);
            *counts.entry(rows).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 24);
        // χ² with 23 degrees of freedom: above 49.7 in one of a thousand seeds.
        let expected = f64::from(n) / 24.0;
        let chi2: f64 = counts.values().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum();
        assert!(chi2 < 49.7, "{chi2}");
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        struct Least(u32);
        impl RngCore for Least {
            fn next_u32(&mut self) -> u32 {
                self.0 += 1;
                self.0 - 1
            }
            fn next_u64(&mut self) -> u64 {
                u64::from(self.next_u32())
            }
            fn fill_bytes(&mut self, _: &mut [u8]) {}
        }
        // 2³² = 1 (mod 3): 0 is one too many, and drawn again.
        let mut rng = Least(0);
        assert_eq!((below(3, &mut rng), rng.0), (0, 2));
        let mut rng = Least(u32::MAX);
        assert_eq!(below(3, &mut rng), 2);
    }
}
