//! A run in a few numbers.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Evaluation;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The budget was spent.
    Finished,
    /// A watcher ended it early.
    Stopped,
    /// It was asked to stop.
    Interrupted,
    /// It failed.
    Failed,
}

impl Status {
    /// Whether the run is complete: it spent its budget, or a watcher ended it.
    pub fn is_done(self) -> bool {
        matches!(self, Status::Finished | Status::Stopped)
    }
}

impl fmt::Display for Status {
    /// As `summary.json` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Finished => "finished",
            Status::Stopped => "stopped",
            Status::Interrupted => "interrupted",
            Status::Failed => "failed",
        })
    }
}

/// The result of a run in a few numbers, which `summary.json` holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The algorithm's name.
    pub algo: String,
    /// The environment's identifier.
    pub env: String,
    /// Where the same revision, settings and seed give the same bits, by what environment and networks declare: "everywhere", "this processor" or
    /// "no".
    pub reproducible: String,
    /// The seed.
    pub seed: u64,
    /// How the run ended.
    pub status: Status,
    /// Why it failed.
    pub error: Option<String>,
    /// Why a watcher ended it.
    #[serde(default)]
    pub stopped_because: Option<String>,
    /// Environment steps taken.
    pub total_steps: u64,
    /// Seconds that it was at work, evaluations included, over all sessions of a run that went on: of one that was killed only its training is known.
    pub wall_seconds: f64,
    /// Environment steps a second, evaluations excluded.
    pub steps_per_second: f64,
    /// Episodes finished in training.
    pub episodes: u64,
    /// Mean return of the last 100 of them.
    pub mean_return_100: Option<f64>,
    /// The environment's metrics ([`rl_env::Metric`]) in the last 100 of them: the mean over those that have a value, where there are any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mean_metrics_100: BTreeMap<String, f64>,
    /// The evaluation at the end of the budget.
    pub eval: Option<Evaluation>,
    /// Updates of the agent.
    pub updates: u64,
    /// Those that were refused and left the parameters as they were.
    pub rejected_updates: u64,
    /// The environment's reward threshold.
    pub threshold: Option<f64>,
    /// The least return that an episode can have, where the environment says so: what a failed run counts as.
    #[serde(default)]
    pub worst_return: Option<f64>,
    /// Environment steps at the first evaluation whose mean reached the threshold.
    pub steps_to_threshold: Option<u64>,
    /// Seconds until then, evaluations excluded.
    pub seconds_to_threshold: Option<f64>,
    /// What went wrong without ending the run: a checkpoint or a log that could not be written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Summary {
    /// Why the result of a complete run is worthless: every update was refused, so that its policy is still the one it began with.
    pub fn fault(&self) -> Option<String> {
        let all_rejected = self.updates > 0 && self.rejected_updates == self.updates;
        (self.status.is_done() && all_rejected).then(|| {
            format!(
                "{} on {}, seed {}: all {} updates were rejected, and the policy is the one that the run began with",
                self.algo, self.env, self.seed, self.updates
            )
        })
    }
}
