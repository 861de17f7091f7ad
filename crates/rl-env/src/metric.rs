//! What environments measure beside rewards: named numbers of a step, and of an episode.

use serde::{Deserialize, Serialize};

/// How the numbers of an episode's steps become the episode's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reduction {
    /// The last one: whether the goal was reached.
    Last,
    /// Their mean: a distance, a speed.
    Mean,
    /// Their sum: fuel, collisions.
    Sum,
}

/// A number that an environment tells of its steps, by name, and how it becomes the episode's.
///
/// ```
/// use rl_env::{EpisodeMetrics, Metric};
///
/// let metrics = [Metric::last("success"), Metric::mean("distance"), Metric::sum("fuel")];
/// let mut episodes = EpisodeMetrics::new(&metrics, 1);
/// // Three steps; the second tells no distance.
/// for step in [[0.0, 3.0, 0.5], [0.0, f64::NAN, 0.5], [1.0, 1.0, 0.5]] {
///     episodes.record(0, &step);
/// }
/// assert_eq!(episodes.finish(0), [1.0, 2.0, 1.5]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name, behind `rollout/` and `eval/` where it is logged.
    pub name: String,
    /// How it becomes the episode's.
    pub reduction: Reduction,
}

impl Metric {
    /// An episode has the last value that a step gave.
    pub fn last(name: impl Into<String>) -> Self {
        Metric { name: name.into(), reduction: Reduction::Last }
    }

    /// An episode has the mean over the steps that gave a value.
    pub fn mean(name: impl Into<String>) -> Self {
        Metric { name: name.into(), reduction: Reduction::Mean }
    }

    /// An episode has the sum of what its steps gave.
    pub fn sum(name: impl Into<String>) -> Self {
        Metric { name: name.into(), reduction: Reduction::Sum }
    }
}

/// What is wrong with a name in a log, if anything: it is empty, has an empty part between slashes, or a character that tables or
/// TensorBoard cannot show.
pub fn name_fault(name: &str) -> Option<&'static str> {
    if name.split('/').any(|part| part.trim().is_empty()) {
        return Some("it is empty, or has an empty part beside a slash");
    }
    let bad = |c: char| c.is_control() || c == ',' || c == '"';
    name.contains(bad).then_some("it has a comma, a quotation mark or a control character")
}

/// What every run tells of episodes, in training and in evaluations: no metric can be called so.
const OF_EPISODES: [&str; 4] = ["ep_rew_mean", "ep_len_mean", "mean_reward", "mean_ep_length"];

/// What is wrong with the metrics of an environment, if anything: one that no log can show, that every run tells of its episodes already, or two of a name.
pub fn metrics_fault(metrics: &[Metric]) -> Option<String> {
    metrics.iter().enumerate().find_map(|(k, Metric { name, .. })| {
        if let Some(fault) = name_fault(name) {
            return Some(format!("the metric {name:?} cannot be called so: {fault}"));
        }
        if OF_EPISODES.contains(&name.as_str()) {
            return Some(format!(
                "the metric {name:?} needs another name: every run tells that of its episodes"
            ));
        }
        let is_twice = metrics[..k].iter().any(|other| other.name == *name);
        is_twice.then(|| format!("there are two metrics {name:?}"))
    })
}

/// The metrics of the episodes in flight in `N` environments.
#[derive(Clone, Debug, PartialEq)]
pub struct EpisodeMetrics {
    reductions: Vec<Reduction>,
    /// The last value or the sum so far, `[N, K]`,
    values: Vec<f64>,
    /// and the steps that gave one, `[N, K]`.
    counts: Vec<u64>,
}

impl EpisodeMetrics {
    /// Episodes that begin, in `n_envs` environments.
    pub fn new(metrics: &[Metric], n_envs: usize) -> Self {
        let len = metrics.len() * n_envs;
        let reductions = metrics.iter().map(|metric| metric.reduction).collect();
        EpisodeMetrics { reductions, values: vec![0.0; len], counts: vec![0; len] }
    }

    /// Takes in a step of environment `i`.
    ///
    /// # Shapes
    ///
    /// `step` is `[K]`; NaN where the step gave no value.
    #[inline]
    pub fn record(&mut self, i: usize, step: &[f64]) {
        let k = self.reductions.len();
        let so_far = self.values[i * k..].iter_mut().zip(&mut self.counts[i * k..]);
        for ((reduction, x), (value, count)) in self.reductions.iter().zip(step).zip(so_far) {
            if x.is_nan() {
                continue;
            }
            *value = if *reduction == Reduction::Last { *x } else { *value + x };
            *count += 1;
        }
    }

    /// The metrics of the episode of environment `i`, which ends; NaN where no step gave a value. The next one begins.
    pub fn finish(&mut self, i: usize) -> Vec<f64> {
        let k = self.reductions.len();
        let rows = i * k..(i + 1) * k;
        let so_far = self.values[rows.clone()].iter().zip(&self.counts[rows.clone()]);
        let of_episode =
            self.reductions.iter().zip(so_far).map(|(reduction, (value, count))| match (reduction, count) {
                (_, 0) => f64::NAN,
                (Reduction::Mean, n) => value / *n as f64,
                (Reduction::Last | Reduction::Sum, _) => *value,
            });
        let of_episode = of_episode.collect();
        self.values[rows.clone()].fill(0.0);
        self.counts[rows].fill(0);
        of_episode
    }

    /// Lets every environment's next episode begin.
    pub fn clear(&mut self) {
        self.values.fill(0.0);
        self.counts.fill(0);
    }

    /// What the episodes in flight amount to, to go on from: values and counts, `[N, K]` each.
    pub fn so_far(&self) -> (&[f64], &[u64]) {
        (&self.values, &self.counts)
    }

    /// Goes on from what [`so_far`](Self::so_far) gave; whether it is of as many environments and metrics.
    #[must_use]
    pub fn go_on(&mut self, values: &[f64], counts: &[u64]) -> bool {
        let fits = values.len() == self.values.len() && counts.len() == self.counts.len();
        if fits {
            self.values.copy_from_slice(values);
            self.counts.copy_from_slice(counts);
        }
        fits
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact by intent")]
mod tests {
    use super::*;

    #[test]
    fn episodes_do_not_mix() {
        let mut episodes = EpisodeMetrics::new(&[Metric::last("a"), Metric::sum("b")], 2);
        episodes.record(0, &[1.0, 2.0]);
        episodes.record(1, &[5.0, f64::NAN]);
        let mut copy = EpisodeMetrics::new(&[Metric::last("a"), Metric::sum("b")], 2);
        let (values, counts) = episodes.so_far();
        assert!(copy.go_on(values, counts) && !copy.go_on(&values[1..], counts));
        for episodes in [&mut episodes, &mut copy] {
            episodes.record(0, &[3.0, 4.0]);
            assert_eq!(episodes.finish(0), [3.0, 6.0]);
            let second = episodes.finish(1);
            assert!(second[0] == 5.0 && second[1].is_nan());
            assert!(episodes.finish(0).iter().all(|x| x.is_nan()), "nothing is left of the one before");
        }
    }

    #[test]
    fn names_that_no_log_can_show_are_refused() {
        for name in ["", " ", "a/", "/a", "a//b", "a,b", "a\"b", "a\nb"] {
            assert!(name_fault(name).is_some(), "{name:?}");
        }
        for name in ["success", "reward/ctrl", "θ norm", "x_position"] {
            assert_eq!(name_fault(name), None);
        }
        let twice = [Metric::last("a"), Metric::sum("a")];
        assert_eq!(metrics_fault(&twice).unwrap(), "there are two metrics \"a\"");
        let of_episodes = metrics_fault(&[Metric::last("a"), Metric::mean("ep_len_mean")]).unwrap();
        assert_eq!(
            of_episodes,
            "the metric \"ep_len_mean\" needs another name: every run tells that of its episodes"
        );
        assert_eq!(metrics_fault(&[Metric::mean("reward_mean")]), None);
    }
}
