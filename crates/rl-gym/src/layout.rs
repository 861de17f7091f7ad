//! Where everything lies in the memory that a worker shares with this process.

use rl_env::Space;
use serde::Serialize;

/// Byte offsets of the arrays of `n` environments, each a multiple of 64: what goes in first, then what comes out.
///
/// # Shapes
///
/// `seeds` u64 `[n]`; `actions` i64 or f32 `[n, A]`; `observations`, `final_observations` f32 `[n, O]`; `rewards` f64 `[n]`; `ends`, `valid`,
/// `has_masks` u8 `[n]`; `masks` u8 `[n, M]`; `episodes` f64 `[n, 2]`, return and length; `metrics` f64 `[n, K]`,
/// NaN for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Layout {
    pub(crate) n: usize,
    pub(crate) observation_len: usize,
    pub(crate) action_len: usize,
    pub(crate) mask_len: usize,
    pub(crate) metric_len: usize,
    pub(crate) seeds: usize,
    pub(crate) actions: usize,
    pub(crate) observations: usize,
    pub(crate) final_observations: usize,
    pub(crate) rewards: usize,
    pub(crate) ends: usize,
    pub(crate) valid: usize,
    pub(crate) masks: usize,
    pub(crate) has_masks: usize,
    pub(crate) episodes: usize,
    pub(crate) metrics: usize,
    /// Bytes of what goes in.
    #[serde(skip)]
    pub(crate) input_size: usize,
    /// Bytes of all.
    #[serde(skip)]
    pub(crate) size: usize,
}

impl Layout {
    pub(crate) fn new(n: usize, observations: &Space, actions: &Space, metric_len: usize) -> Self {
        let (o, a) = (observations.flat_len(), actions.action_len());
        let m = actions.mask_len();
        let mut size = 0;
        let mut place = |bytes: usize| {
            let at = size;
            size += bytes.next_multiple_of(64);
            at
        };
        let (seeds, actions) = (place(8 * n), place(8 * n * a));
        let (observations, final_observations) = (place(4 * n * o), place(4 * n * o));
        let (rewards, ends, valid) = (place(8 * n), place(n), place(n));
        let (masks, has_masks, episodes) = (place(n * m), place(n), place(16 * n));
        let metrics = place(8 * n * metric_len);
        Layout {
            n,
            observation_len: o,
            action_len: a,
            mask_len: m,
            metric_len,
            seeds,
            actions,
            observations,
            final_observations,
            rewards,
            ends,
            valid,
            masks,
            has_masks,
            episodes,
            metrics,
            input_size: observations,
            size,
        }
    }
}
