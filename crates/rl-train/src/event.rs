//! What happens in a run, as typed read-only events, and who hears of it.

use std::borrow::Cow;

use rl_algo::{Log, Report, Settings, shown};
use rl_nn::State;
use serde_json::Value;

use crate::{Evaluation, SinkError, Summary};

/// Something that happened in a run.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The run begins.
    RunStarted(&'a RunInfo),
    /// A run goes on that was begun before.
    RunResumed {
        /// What is known of it.
        info: &'a RunInfo,
        /// Environment steps so far.
        step: u64,
    },
    /// A rollout was collected and the agent updated.
    Update(&'a Update),
    /// The policy was evaluated; the update at the same step was told before. Where a watcher ends the run because of an evaluation, the one at the end
    /// follows at the same step.
    Evaluation {
        /// Environment steps so far.
        step: u64,
        /// What came out.
        evaluation: &'a Evaluation,
    },
    /// An episode of the policy that was just evaluated, where films are asked for ([`crate::Trainer::with_films`]).
    Film {
        /// Environment steps so far.
        step: u64,
        /// The film.
        film: &'a Film,
    },
    /// The run is over, for whatever reason: nothing follows.
    RunFinished(&'a Summary),
}

/// A film of an episode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Film {
    /// Its pictures' width in pixels,
    pub width: u32,
    /// and their height.
    pub height: u32,
    /// An animated GIF.
    pub gif: Vec<u8>,
}

/// What identifies a run and is known when it begins: algorithm, environment, seed, budget and settings.
#[derive(Clone, Debug, PartialEq)]
pub struct RunInfo {
    /// The algorithm's name.
    pub algo: String,
    /// The environment's identifier.
    pub env: String,
    /// The seed.
    pub seed: u64,
    /// The budget in environment steps.
    pub total_steps: u64,
    /// Every setting with its value.
    pub settings: Settings,
}

impl RunInfo {
    /// The algorithm's name with the run's label behind it, where its settings have one.
    pub fn name(&self) -> String {
        match self.settings.get("label").and_then(|label| label.as_str()) {
            Some(label) => format!("{}-{label}", self.algo),
            None => self.algo.clone(),
        }
    }

    /// The run's names and settings as TOML, which has `"none"` for null.
    ///
    /// ```
    /// use rl_train::RunInfo;
    ///
    /// let settings = serde_json::json!({"n_steps": 64, "target_kl": null}).as_object().cloned().unwrap_or_default();
    /// let info = RunInfo { algo: "ppo".into(), env: "Cart-v0".into(), seed: 3, total_steps: 1_000, settings };
    /// assert_eq!(info.to_toml(), "algo = \"ppo\"\nenv = \"Cart-v0\"\nseed = 3\ntotal_steps = 1000\nn_steps = 64\ntarget_kl = \"none\"\n");
    /// ```
    pub fn to_toml(&self) -> String {
        let RunInfo { algo, env, seed, total_steps, settings } = self;
        let own = [
            ("algo", algo.as_str().into()),
            ("env", env.as_str().into()),
            ("seed", (*seed).into()),
            ("total_steps", (*total_steps).into()),
        ];
        let more = settings.iter().filter(|(key, _)| own.iter().all(|(own, _)| own != key));
        let all =
            own.iter().map(|(key, value)| (*key, value)).chain(more.map(|(key, value)| (&**key, value)));
        all.map(|(key, value)| format!("{key} = {}\n", shown(&without_null(value)))).collect()
    }
}

/// A value in which `"none"` stands for every null.
fn without_null(value: &Value) -> Value {
    match value {
        Value::Null => "none".into(),
        Value::Array(list) => list.iter().map(without_null).collect(),
        Value::Object(table) => table.iter().map(|(key, value)| (key.clone(), without_null(value))).collect(),
        value => value.clone(),
    }
}

/// What is known after an update: what the algorithm reports of it, recent episodes, and the time.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// Environment steps so far, this rollout's included.
    pub step: u64,
    /// The number of the update, from 1.
    pub iteration: u64,
    /// What the algorithm says of it.
    pub report: Report,
    /// What else the algorithm told, and histograms where they are asked for ([`crate::Trainer::with_histograms`]).
    pub log: Log,
    /// The mean standard deviation of a Gaussian policy, after the update.
    pub std: Option<f64>,
    /// Recent episodes.
    pub rollout: RolloutStats,
    /// How fast it goes.
    pub timing: Timing,
}

/// Means over the last 100 episodes that finished in training (the stochastic policy); `None` before the first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RolloutStats {
    /// Mean return.
    pub ep_rew_mean: Option<f64>,
    /// Mean length.
    pub ep_len_mean: Option<f64>,
    /// Episodes finished so far.
    pub episodes: u64,
    /// The environment's metrics ([`rl_env::Metric`]): the mean over those of the 100 that have a value.
    pub metrics: Vec<(String, Option<f64>)>,
}

/// Time since the run began, evaluations excluded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// Seconds.
    pub elapsed: f64,
    /// Environment steps a second.
    pub fps: f64,
}

/// The scalar of an update that says how many environment steps there were.
pub(crate) const STEP_TAG: &str = "time/total_timesteps";

/// Tags of an evaluation.
pub(crate) const EVAL_TAGS: [&str; 2] = ["eval/mean_reward", "eval/mean_ep_length"];

impl Event<'_> {
    /// The scalars of the event as (tag, value); NaN where a value has no meaning this time. Those that every run has come first, in a fixed order.
    ///
    /// Tags follow Stable-Baselines3, so that curves overlay; the step they belong to is `step`.
    pub fn scalars(&self) -> Vec<(Cow<'static, str>, f64)> {
        match self {
            Event::Update(update) => update.scalars(),
            Event::Evaluation { evaluation, .. } => {
                let values = [evaluation.mean, evaluation.mean_length];
                let metrics = evaluation.metrics.iter();
                let metrics = metrics.map(|(name, mean)| (Cow::Owned(format!("eval/{name}")), *mean));
                EVAL_TAGS.into_iter().map(Cow::Borrowed).zip(values).chain(metrics).collect()
            }
            Event::RunStarted(_) | Event::RunResumed { .. } | Event::Film { .. } | Event::RunFinished(_) => {
                Vec::new()
            }
        }
    }
}

impl Update {
    pub(crate) fn scalars(&self) -> Vec<(Cow<'static, str>, f64)> {
        let or_nan = |x: Option<f64>| x.unwrap_or(f64::NAN);
        let report = &self.report;
        let core = [
            ("rollout/ep_rew_mean", or_nan(self.rollout.ep_rew_mean)),
            ("rollout/ep_len_mean", or_nan(self.rollout.ep_len_mean)),
            ("time/fps", self.timing.fps),
            ("time/iterations", self.iteration as f64),
            ("time/time_elapsed", self.timing.elapsed),
            (STEP_TAG, self.step as f64),
            ("train/approx_kl", or_nan(report.approx_kl)),
            ("train/kl_max", or_nan(report.kl_max)),
            ("train/entropy_loss", -or_nan(report.entropy)),
            ("train/value_loss", or_nan(report.value_loss)),
            ("train/explained_variance", or_nan(report.explained_variance)),
            ("train/surrogate_gain", or_nan(report.surrogate_gain)),
            ("train/grad_norm", or_nan(report.grad_norm)),
            ("train/learning_rate", or_nan(report.learning_rate)),
            ("train/std", or_nan(self.std)),
        ];
        let core = core.into_iter().map(|(tag, value)| (Cow::Borrowed(tag), value));
        let own = report.extra.iter().map(|(name, value)| (Cow::Owned(format!("train/{name}")), *value));
        let metrics = self.rollout.metrics.iter();
        let metrics = metrics.map(|(name, mean)| (Cow::Owned(format!("rollout/{name}")), or_nan(*mean)));
        let told = self.log.scalars().iter().map(|(tag, value)| (Cow::Owned(tag.clone()), *value));
        core.chain(metrics).chain(own).chain(told).collect()
    }
}

/// Receives the events of a run, to write or show them. A sink cannot change the run.
///
/// An error ends the run, so that no event is lost unnoticed; or it ends what the sink hears of it, and the run's summary says so
/// ([`is_vital`](Sink::is_vital)). After [`Event::RunFinished`] everything must be on its way.
pub trait Sink: Send {
    /// Takes note of an event.
    ///
    /// # Errors
    ///
    /// [`SinkError`] when that fails.
    fn event(&mut self, event: Event<'_>) -> Result<(), SinkError>;

    /// Where it stands, everything it was told being on its way; `None` (the default) for a sink that need not know when a run goes on.
    ///
    /// # Errors
    ///
    /// [`SinkError`] when that cannot be found out.
    fn state(&mut self) -> Result<Option<State>, SinkError> {
        Ok(None)
    }

    /// Forgets what it was told after a state that [`state`](Sink::state) gave.
    ///
    /// # Errors
    ///
    /// [`SinkError`] when that cannot be done.
    fn restore(&mut self, _state: &State) -> Result<(), SinkError> {
        Ok(())
    }

    /// What whoever reads the run's summary should know of it, if anything, since this was last asked.
    fn take_warning(&mut self) -> Option<String> {
        None
    }

    /// Makes sure that what it was told outlasts a crash of the system: asked before a checkpoint is written that counts on it.
    ///
    /// # Errors
    ///
    /// [`SinkError`] when that fails.
    fn sync(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Whether the run ends when its file cannot be written ([`SinkError::Io`], [`SinkError::Log`]): `true` (the default), or goes on without it and says
    /// so in [`Summary::warnings`], as with the logs of this crate. Every other error ends the run.
    fn is_vital(&self) -> bool {
        true
    }
}
