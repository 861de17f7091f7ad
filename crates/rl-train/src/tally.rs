//! What a run has amounted to so far.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rl_env::Metric;
use rl_nn::{Data, NnError, State};
use rl_rollout::Episode;

use crate::{Evaluation, RolloutStats, Timing};

/// Episodes that training means are over.
const RECENT_EPISODES: usize = 100;

/// What a run has amounted to.
pub(crate) struct Tally {
    pub(crate) started: Instant,
    /// Time of training before the run went on, and with evaluations.
    pub(crate) before: Duration,
    pub(crate) wall_before: Duration,
    pub(crate) evaluating: Duration,
    pub(crate) step: u64,
    pub(crate) updates: u64,
    pub(crate) rejected: u64,
    pub(crate) episodes: u64,
    /// The least return of an episode in this session.
    pub(crate) least: f64,
    /// Steps before the run went on whose time nobody knows.
    pub(crate) untimed: u64,
    pub(crate) finished: Vec<Episode>,
    recent: VecDeque<Episode>,
    /// The names of the environment's metrics, and whether any episode had a value.
    metrics: Vec<(String, bool)>,
    pub(crate) last_evaluation: Option<Evaluation>,
    pub(crate) threshold_reached: Option<(u64, f64)>,
    pub(crate) stopped: bool,
}

impl Tally {
    /// Of a run in environments with these metrics.
    pub(crate) fn new(metrics: &[Metric]) -> Self {
        Tally {
            metrics: metrics.iter().map(|metric| (metric.name.clone(), false)).collect(),
            started: Instant::now(),
            before: Duration::ZERO,
            wall_before: Duration::ZERO,
            evaluating: Duration::ZERO,
            step: 0,
            updates: 0,
            rejected: 0,
            episodes: 0,
            least: f64::INFINITY,
            untimed: 0,
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
            self.least = self.least.min(episode.ret);
            for ((_, is_told), value) in self.metrics.iter_mut().zip(&episode.metrics) {
                *is_told |= !value.is_nan();
            }
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
            metrics: self.metric_means(),
        }
    }

    /// The mean of each metric over those of the recent episodes that have it.
    fn metric_means(&self) -> Vec<(String, Option<f64>)> {
        let names = self.metrics.iter().enumerate();
        names.map(|(k, (name, _))| (name.clone(), mean(self.recent.iter().map(|e| e.metrics[k])))).collect()
    }

    /// Those that have a mean.
    pub(crate) fn known_metrics(&self) -> BTreeMap<String, f64> {
        self.metric_means().into_iter().filter_map(|(name, mean)| Some((name, mean?))).collect()
    }

    /// The metrics that no episode had a value of, once there was one.
    pub(crate) fn untold_metrics(&self) -> impl Iterator<Item = &str> {
        let untold = self.metrics.iter().filter(|(_, is_told)| self.episodes > 0 && !is_told);
        untold.map(|(name, _)| name.as_str())
    }

    /// All but the times.
    pub(crate) fn state(&self) -> Result<State, NnError> {
        let recent = |value: fn(&Episode) -> f64| Data::F64(self.recent.iter().map(value).collect());
        let state = State::new("Tally", 1)
            .with("step", self.step)?
            .with("updates", self.updates)?
            .with("rejected", self.rejected)?
            .with("episodes", self.episodes)?
            .with("threshold_reached", self.threshold_reached.map(|(step, _)| step))?
            .with("last_evaluation", &self.last_evaluation)?
            .with_array("recent_returns", recent(|e| e.ret))
            .with_array("recent_lengths", recent(|e| e.len as f64));
        let state = if self.untimed == 0 { state } else { state.with("untimed", self.untimed)? };
        if self.metrics.is_empty() {
            return Ok(state);
        }
        let told: Vec<bool> = self.metrics.iter().map(|(_, is_told)| *is_told).collect();
        let values = self.recent.iter().flat_map(|episode| episode.metrics.iter().copied()).collect();
        Ok(state.with("metrics_told", told)?.with_array("recent_metrics", Data::F64(values)))
    }

    /// Puts everything back but the times.
    pub(crate) fn restore(&mut self, state: &State) -> Result<(), NnError> {
        let state = state.owned_by("Tally", 1)?;
        let (returns, lengths) = (state.f64s("recent_returns")?, state.f64s("recent_lengths")?);
        NnError::check("the lengths of recent episodes", lengths.len(), returns.len())?;
        let k = self.metrics.len();
        let (told, metrics) = match k {
            0 => (Vec::new(), &[][..]),
            _ => (state.value::<Vec<bool>>("metrics_told")?, state.f64s("recent_metrics")?),
        };
        NnError::check("the metrics", told.len(), k)?;
        NnError::check("the metrics of recent episodes", metrics.len(), k * returns.len())?;
        let episodes = returns.iter().zip(lengths).enumerate().map(|(i, (&ret, &len))| Episode {
            ret,
            len: len as u64,
            metrics: metrics[i * k..(i + 1) * k].to_vec(),
        });
        let seconds = self.threshold_reached.map_or(0.0, |(_, seconds)| seconds);
        let reached: Option<u64> = state.value("threshold_reached")?;
        self.step = state.value("step")?;
        self.untimed = state.value::<Option<u64>>("untimed")?.unwrap_or(0);
        self.updates = state.value("updates")?;
        self.rejected = state.value("rejected")?;
        self.episodes = state.value("episodes")?;
        self.threshold_reached = reached.map(|step| (step, seconds));
        self.last_evaluation = state.value("last_evaluation")?;
        self.recent = episodes.collect();
        self.metrics.iter_mut().zip(told).for_each(|((_, is_told), told)| *is_told = told);
        self.finished.clear();
        Ok(())
    }

    pub(crate) fn timing(&self) -> Timing {
        let elapsed = (self.before + self.started.elapsed()).saturating_sub(self.evaluating).as_secs_f64();
        Timing { elapsed, fps: self.step.saturating_sub(self.untimed) as f64 / elapsed.max(1e-9) }
    }
}

/// The mean of those that are numbers; `None` where there are none.
pub(crate) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.filter(|x| !x.is_nan()).fold((0.0, 0.0), |(sum, n), x| (sum + x, n + 1.0));
    (n > 0.0).then(|| sum / n)
}
