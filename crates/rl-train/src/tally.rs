//! What a run has amounted to so far.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rl_rollout::Episode;

use crate::{Evaluation, RolloutStats, Timing};

/// Episodes that training means are over.
const RECENT_EPISODES: usize = 100;

/// What a run has amounted to.
pub(crate) struct Tally {
    pub(crate) started: Instant,
    pub(crate) evaluating: Duration,
    pub(crate) step: u64,
    pub(crate) updates: u64,
    pub(crate) rejected: u64,
    pub(crate) episodes: u64,
    pub(crate) finished: Vec<Episode>,
    recent: VecDeque<Episode>,
    pub(crate) last_evaluation: Option<Evaluation>,
    pub(crate) threshold_reached: Option<(u64, f64)>,
    pub(crate) stopped: bool,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Tally {
            started: Instant::now(),
            evaluating: Duration::ZERO,
            step: 0,
            updates: 0,
            rejected: 0,
            episodes: 0,
            finished: Vec::new(),
            recent: VecDeque::with_capacity(RECENT_EPISODES),
            last_evaluation: None,
            threshold_reached: None,
            stopped: false,
        }
    }

    pub(crate) fn rollout_done(&mut self, steps: usize) {
        self.step += steps as u64;
        for episode in self.finished.drain(..) {
            self.episodes += 1;
            if self.recent.len() == RECENT_EPISODES {
                self.recent.pop_front();
            }
            self.recent.push_back(episode);
        }
    }

    pub(crate) fn rollout_stats(&self) -> RolloutStats {
        let mean = |value: fn(&Episode) -> f64| {
            (!self.recent.is_empty())
                .then(|| self.recent.iter().map(value).sum::<f64>() / self.recent.len() as f64)
        };
        RolloutStats {
            ep_rew_mean: mean(|e| e.ret),
            ep_len_mean: mean(|e| e.len as f64),
            episodes: self.episodes,
        }
    }

    pub(crate) fn timing(&self) -> Timing {
        let elapsed = self.started.elapsed().saturating_sub(self.evaluating).as_secs_f64();
        Timing { elapsed, fps: self.step as f64 / elapsed.max(1e-9) }
    }
}
