//! The training loop.

mod containment;
mod evaluating;
mod replay;
mod resume;
mod setup;
mod warm_start;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rl_algo::{
    ActorCritic, Algorithm, Batch, Log, NetConfig, Reducer, Report, Settings, Setup, UpdateContext,
    bounding_for,
};
use rl_env::rng::stream;
use rl_env::{EnvRng, EnvSpec, Reproducible, check_metrics};
use rl_nn::{Archive, Bounding, Shards};
use rl_rollout::{Collector, RolloutError, check_fit};

pub use self::replay::{Replay, replay};
use self::resume::describe;
pub use self::setup::{check_agent, new_agent, with_threads};
use self::setup::{described, make_envs};
pub use self::warm_start::check_warm_start;
use crate::error::no_state;
use crate::evaluator::Evaluator;
#[cfg(feature = "pictures")]
use crate::films::Films;
use crate::histograms::add_histograms;
use crate::listeners::Listeners;
use crate::tags::check_update;
use crate::tally::Tally;
use crate::trainer::containment::{catch, is_finite};
use crate::{
    CheckpointConfig, EvalConfig, Event, RunDir, RunInfo, Sink, Status, Summary, TrainConfig, TrainError,
    Update, Verdict, Watcher, reward_threshold,
};

/// Trains an agent with an algorithm in an environment.
///
/// Everything random comes from the seed: environment `i` draws from the stream `("env", i)`, its actions from
/// `("action", i)`, updates from `("update", 0)`, evaluations from `("eval", i)`. The same build, machine type, settings and
/// seed give the same bits, for any number of threads.
pub struct Trainer {
    info: RunInfo,
    config: TrainConfig,
    agent: ActorCritic,
    algorithm: Box<dyn Algorithm>,
    collector: Collector,
    rng: EnvRng,
    batch: Batch,
    shards: Shards<f32>,
    evaluator: Option<Evaluator>,
    dir: Option<RunDir>,
    sinks: Listeners,
    stop: Arc<AtomicBool>,
    threshold: Option<f64>,
    worst_return: Option<f64>,
    has_limit: bool,
    reproducible: Reproducible,
    tally: Tally,
    /// The budget that schedules are of, and once that has changed all of them, each with the step from which on it was.
    horizon: u64,
    horizons: Vec<(u64, u64)>,
    checkpoints: Option<CheckpointConfig>,
    /// The state at the last boundary between two iterations.
    snapshot: Arc<Mutex<Option<Archive>>>,
    /// Whether it is of the last boundary, so that the iteration after it can be left.
    is_fresh: bool,
    /// Whether the logs of a run that goes on stand where its checkpoint says.
    logs_agree: bool,
    /// When the iteration began, and when the state was kept last.
    begun: Instant,
    noted: Instant,
    next_checkpoint: u64,
    last_checkpoint: Instant,
    /// The step of the newest checkpoint.
    written: Option<u64>,
    /// How often the run has gone on, and whether it goes on now, exactly.
    resumes: u64,
    resumed: bool,
    exact: bool,
    warnings: Vec<String>,
    ended: Vec<String>,
    /// Updates in a row that were not finite.
    non_finite: u64,
    /// What they left to be looked at, over the whole run.
    dumps: u64,
    watchers: Vec<Box<dyn Watcher>>,
    /// Environment steps between histograms, where there are any.
    histograms: Option<u64>,
    #[cfg(feature = "pictures")]
    films: Option<Films>,
    /// Why a watcher ended the run.
    verdict: Option<String>,
}

/// After this time the state is kept for a process that must end at once.
const WORTH_NOTING: Duration = Duration::from_secs(1);
/// Iterations that take longer are left when the run is stopped.
const WORTH_LEAVING: Duration = Duration::from_millis(100);

impl Trainer {
    /// Puts the parts together and starts an episode in every environment. No evaluation, no sink and no file yet.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] for settings that cannot be used, alone or together with the algorithm's, [`TrainError::Rollout`] for an agent of other
    /// spaces than the environment's, and [`TrainError::Env`] and [`TrainError::Rollout`] when an environment does not start.
    pub fn new(
        env: &EnvSpec,
        config: TrainConfig,
        agent: ActorCritic,
        algorithm: Box<dyn Algorithm>,
        seed: u64,
    ) -> Result<Self, TrainError> {
        config.validate()?;
        let setup = Setup {
            rollout_len: config.rollout_len(),
            shares_trunk: agent.joint().is_some(),
            every_row_counts: !env.resets_in_steps,
        };
        algorithm.check_setup(&setup)?;
        check_fit(agent.policy(), &env.observation_space, &env.action_space)?;
        let agent = match agent.policy().bounding {
            // One put together by hand: its samples are limited to the bounds of the space, where there are any.
            Bounding::Free => agent.with_bounding(bounding_for(&env.action_space, &NetConfig::default())?)?,
            _ => agent,
        };
        let info = described(env, &config, &agent, &*algorithm, seed);
        let envs = make_envs(env, &config, None)?;
        // A vector that its environment's description says nothing of may know it by itself.
        let every_row_counts = setup.every_row_counts && envs.iter().all(|envs| envs.valid().is_none());
        algorithm.check_setup(&Setup { every_row_counts, ..setup })?;
        envs.iter().try_for_each(|envs| check_metrics(&**envs))?;
        let collector = Collector::in_parts(envs, seed)?;
        Ok(Trainer {
            info,
            rng: stream(seed, "update", 0),
            batch: Batch::new(&agent),
            shards: Shards::new(),
            evaluator: None,
            dir: None,
            sinks: Listeners::default(),
            stop: Arc::default(),
            threshold: reward_threshold(env),
            worst_return: env.worst_return,
            has_limit: env.max_episode_steps.is_some(),
            reproducible: env.reproducible,
            tally: Tally::new(collector.metrics()),
            collector,
            horizon: config.total_steps,
            horizons: Vec::new(),
            checkpoints: None,
            snapshot: Arc::default(),
            logs_agree: true,
            is_fresh: false,
            begun: Instant::now(),
            noted: Instant::now(),
            next_checkpoint: 0,
            last_checkpoint: Instant::now(),
            written: None,
            resumes: 0,
            resumed: false,
            exact: true,
            warnings: Vec::new(),
            ended: Vec::new(),
            non_finite: 0,
            dumps: 0,
            watchers: Vec::new(),
            histograms: None,
            #[cfg(feature = "pictures")]
            films: None,
            verdict: None,
            config,
            agent,
            algorithm,
        })
    }

    /// Sets what sinks, `config.toml` and comparisons learn about the run, in the place of what it says of itself: the algorithm's name and settings
    /// ([`Algorithm::description`]), the loop's settings, and the networks where they describe themselves.
    pub fn named(mut self, algo: &str, settings: Settings) -> Self {
        self.info.algo = algo.to_owned();
        self.info.settings = settings;
        self
    }

    /// Evaluates the deterministic policy during the run.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] for a number that is 0, [`TrainError::Rollout`] for other spaces than the agent's, [`TrainError::Env`] when its environments
    /// cannot be made.
    pub fn with_evaluation(mut self, env: &EnvSpec, config: EvalConfig) -> Result<Self, TrainError> {
        check_fit(self.agent.policy(), &env.observation_space, &env.action_space)?;
        self.evaluator = Some(Evaluator::new(env, config)?);
        Ok(self)
    }

    /// Leaves `config.toml` (unless it is there), `policy.safetensors`, `checkpoints/best/policy.safetensors` and `summary.json` in a directory: the
    /// policies at every evaluation and at the end. [`run`](Self::run) refuses an agent whose policy has no description to save.
    pub fn saving_in(mut self, dir: RunDir) -> Self {
        self.dir = Some(dir);
        self
    }

    /// Writes checkpoints into the directory of [`saving_in`](Self::saving_in), from which [`resumed_from`](Self::resumed_from) goes on. A run whose
    /// algorithm gives no state ([`Algorithm::state`]) has none.
    pub fn with_checkpoints(mut self, config: CheckpointConfig) -> Self {
        self.checkpoints = Some(config);
        self.next_checkpoint = config.freq.max(1);
        self
    }

    /// Algorithm, environment, seed, budget and settings of the run, which its sinks receive first.
    pub fn info(&self) -> &RunInfo {
        &self.info
    }

    /// Adds a sink, which receives the run's events.
    pub fn with_sink(mut self, sink: impl Sink + 'static) -> Self {
        self.sinks.push(sink);
        self
    }

    /// Adds a watcher, which may end the run early.
    pub fn with_watcher(mut self, watcher: impl Watcher + 'static) -> Self {
        self.watchers.push(Box::new(watcher));
        self
    }

    /// Gives sinks histograms of every tensor of parameters (`parameters/policy.…`, `parameters/critic.…`) and of the rollout's actions (`actions/0`, …) at the
    /// first update after every `freq` environment steps, at least one: TensorBoard shows them.
    pub fn with_histograms(mut self, freq: u64) -> Self {
        self.histograms = Some(freq.max(1));
        self
    }

    /// Gives sinks a film of an episode after every evaluation of [`with_evaluation`](Self::with_evaluation), of at most 500 steps: TensorBoard shows it among the images.
    ///
    /// # Errors
    ///
    /// [`TrainError::NoPicture`] for an environment that draws none, [`TrainError::Env`] when it does not start. [`run`](Self::run) refuses an agent whose
    /// policy has no description at the first film.
    #[cfg(feature = "pictures")]
    pub fn with_films(mut self, env: &EnvSpec) -> Result<Self, TrainError> {
        self.films = Some(Films::new(env, self.info.seed)?);
        Ok(self)
    }

    /// Ends the run once the flag is set: at once where it has checkpoints, for the unfinished iteration is computed again when it goes on; after
    /// the update in progress otherwise.
    pub fn stopped_by(mut self, stop: Arc<AtomicBool>) -> Self {
        self.stop = stop;
        self
    }

    /// The agent in its present state.
    pub fn agent(&self) -> &ActorCritic {
        &self.agent
    }

    /// Trains until the budget is spent or the run is stopped, and closes the sinks.
    ///
    /// # Errors
    ///
    /// [`TrainError::Missing`], [`TrainError::Unsaveable`], [`TrainError::Config`] and [`TrainError::NonFiniteAgent`] for parts that cannot be used or do not go
    /// together, and [`TrainError::Occupied`] for the directory of another run, before anything is done; [`TrainError::At`] with the
    /// update that failed and why, or [`TrainError::Sink`], [`TrainError::Io`]: what was written until then stays, and the sinks are told of the end.
    pub fn run(&mut self) -> Result<Summary, TrainError> {
        self.check_parts()?;
        self.tally.started = Instant::now();
        self.ended = self.ended_schedules();
        let outcome = catch(|| self.train());
        // A panic may have left them half-way.
        let is_sound =
            is_finite(self.agent.policy_theta()) && !outcome.as_ref().is_err_and(TrainError::is_panic);
        let saved = if is_sound { self.save_policy(RunDir::latest) } else { Ok(()) };
        let outcome = outcome.and(saved);
        let mut summary = self.summary(outcome.as_ref().err());
        let told = self.finish(&mut summary);
        outcome.and(told).map(|()| summary)
    }

    fn train(&mut self) -> Result<(), TrainError> {
        let info = &self.info;
        if let Some(dir) = &self.dir {
            describe(dir, info, self.resumed)?;
        }
        let begins = match self.resumed {
            true => Event::RunResumed { info, step: self.tally.step },
            false => Event::RunStarted(info),
        };
        self.sinks.tell(begins)?;
        judge(&mut self.watchers, begins, &mut self.verdict);
        self.last_checkpoint = Instant::now();
        if !self.has_snapshot() {
            self.note()?;
            // From the beginning the run can go on.
            self.checkpoint(true);
            if self.dir.is_some() && self.checkpoints.is_some() && !self.has_snapshot() {
                self.warn(no_state(&self.info.algo));
            }
        }
        self.let_leave();
        let ended = self.iterations();
        if ended.is_ok() && !self.is_fresh {
            self.note()?;
        }
        self.checkpoint(true);
        ended
    }

    fn iterations(&mut self) -> Result<(), TrainError> {
        // Of a run that goes on: at the boundary an evaluation may have been due.
        let mut outcome = self.evaluate_if_due();
        loop {
            match outcome {
                Err(TrainError::Stopped) => {
                    self.tally.stopped = true;
                    return self.abandon();
                }
                outcome => outcome?,
            }
            if self.is_over() {
                // Where it was ended by what an evaluation showed.
                outcome = self.evaluate_if_due();
                if outcome.is_ok() {
                    return Ok(());
                }
                continue;
            }
            if self.is_stopped() {
                self.tally.stopped = true;
                return Ok(());
            }
            let (update, step) = (self.tally.updates + 1, self.tally.step);
            let at = |e: TrainError| match e {
                TrainError::Stopped => e,
                e => TrainError::At { update, step, source: Box::new(e) },
            };
            outcome = catch(|| self.step()).map_err(at);
        }
    }

    /// Collect -> advantages -> update -> emit, and an evaluation where one is due.
    fn step(&mut self) -> Result<(), TrainError> {
        self.begun = Instant::now();
        let TrainConfig { n_steps, n_episodes, gamma, gae_lambda, .. } = self.config;
        let (policy, theta) = (self.agent.policy(), self.agent.policy_theta());
        let (rollout, finished) = (&mut self.batch.rollout, &mut self.tally.finished);
        let collected = match n_episodes {
            None => self.collector.collect(policy, theta, n_steps, rollout, finished),
            Some(n_episodes) => self.collector.collect_episodes(policy, theta, n_episodes, rollout, finished),
        };
        collected.map_err(|e| match e {
            RolloutError::Stopped => TrainError::Stopped,
            e => e.into(),
        })?;
        self.tally.rollout_done(self.batch.rollout.n_transitions());
        self.batch.estimate_advantages(&self.agent, gamma, gae_lambda, &mut self.shards)?;
        let (report, log) = self.update()?;
        if self.is_stopped() && self.can_abandon() {
            // It may have ended early.
            return Err(TrainError::Stopped);
        }
        self.contain(&report)?;
        self.emit(report, log)?;
        self.boundary(false)?;
        self.evaluate_if_due()
    }

    /// Notes the state between two iterations where it may be needed, and writes it down where that is due. An iteration that takes no time is not left
    /// but finished, and then its beginning need not be known.
    fn boundary(&mut self, is_needed: bool) -> Result<(), TrainError> {
        let (step, is_over) = (self.tally.step, self.is_over());
        if is_needed && is_over {
            // The checkpoint at the end is of before its evaluation: a run that goes on has another end.
            return Ok(());
        }
        let evaluates = self.evaluator.as_ref().is_some_and(|evaluator| evaluator.is_due(step, is_over));
        let is_long = self.begun.elapsed() > WORTH_LEAVING || self.noted.elapsed() > WORTH_NOTING;
        self.is_fresh = false;
        if is_needed || is_long || evaluates || is_over || self.non_finite > 0 || self.is_checkpoint_due(step)
        {
            self.note()?;
        }
        self.let_leave();
        self.checkpoint(false);
        Ok(())
    }

    fn update(&mut self) -> Result<(Report, Log), TrainError> {
        // As Stable-Baselines3, which counts the rollout that the update learns from as done.
        let progress = self.tally.step as f64 / self.horizon as f64;
        let never = AtomicBool::new(false);
        let stop = if self.can_abandon() { &*self.stop } else { &never };
        let (rng, progress_remaining) = (&mut self.rng, 1.0 - progress);
        let log = Log::default();
        let mut ctx = UpdateContext { rng, progress_remaining, reducer: Reducer, stop, log };
        let report = self.algorithm.update(&mut self.agent, &self.batch, &mut ctx)?;
        Ok((report, ctx.log))
    }

    fn emit(&mut self, report: Report, mut log: Log) -> Result<(), TrainError> {
        let before = self.tally.step - self.batch.rollout.n_transitions() as u64;
        if self.histograms.is_some_and(|freq| self.tally.step / freq > before / freq) {
            add_histograms(&mut log, &self.agent, &self.batch.rollout);
        }
        self.tally.updates += 1;
        self.tally.rejected += u64::from(report.outcome.is_rejected());
        let update = Update {
            step: self.tally.step,
            iteration: self.tally.updates,
            report,
            log,
            std: self.agent.mean_std(),
            rollout: self.tally.rollout_stats(),
            timing: self.tally.timing(),
        };
        check_update(&update)?;
        self.sinks.tell(Event::Update(&update))?;
        judge(&mut self.watchers, Event::Update(&update), &mut self.verdict);
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.tally.step >= self.config.total_steps || self.verdict.is_some()
    }

    /// Tells every sink of the end and writes `summary.json`; the first error counts.
    fn finish(&mut self, summary: &mut Summary) -> Result<(), TrainError> {
        let told = self.sinks.tell(Event::RunFinished(summary)).map_err(TrainError::from);
        self.hear_warnings();
        summary.warnings = self.all_warnings();
        summary.warnings.extend(self.without_an_end().into_iter().chain(self.below_the_worst()));
        // Not noted: a run that goes on may still come to it.
        summary.warnings.extend(self.tally.untold_metrics().map(|name| {
            format!("the environment gave no value of {name:?} in any of {} episodes", self.tally.episodes)
        }));
        let Some(dir) = &self.dir else { return told };
        let path = dir.file("summary.json");
        let json =
            serde_json::to_string_pretty(summary).map_err(|e| TrainError::io("write", &path)(e.into()))?;
        told.and(dir.write("summary.json", &(json + "\n")))
    }

    fn summary(&self, error: Option<&TrainError>) -> Summary {
        let (info, tally) = (&self.info, &self.tally);
        let status = match error {
            Some(_) => Status::Failed,
            None if self.tally.stopped => Status::Interrupted,
            None if self.verdict.is_some() => Status::Stopped,
            None => Status::Finished,
        };
        Summary {
            algo: info.algo.clone(),
            env: info.env.clone(),
            reproducible: self.reproducible.min(self.agent.reproducible()).to_string(),
            seed: info.seed,
            status,
            error: error.map(TrainError::to_string),
            stopped_because: self.verdict.clone(),
            total_steps: tally.step,
            wall_seconds: (tally.wall_before + tally.started.elapsed()).as_secs_f64(),
            steps_per_second: tally.timing().fps,
            episodes: tally.episodes,
            mean_return_100: tally.rollout_stats().ep_rew_mean,
            mean_metrics_100: tally.known_metrics(),
            eval: tally.last_evaluation.clone(),
            updates: tally.updates,
            rejected_updates: tally.rejected,
            threshold: self.threshold,
            worst_return: self.worst_return,
            steps_to_threshold: tally.threshold_reached.map(|(step, _)| step),
            seconds_to_threshold: tally.threshold_reached.map(|(_, seconds)| seconds),
            warnings: self.all_warnings(),
        }
    }

    fn all_warnings(&self) -> Vec<String> {
        self.warnings.iter().chain(&self.ended).cloned().collect()
    }
}

/// Asks every watcher; the first reason to stop counts.
fn judge(watchers: &mut [Box<dyn Watcher>], event: Event<'_>, verdict: &mut Option<String>) {
    for watcher in watchers {
        if let (Verdict::Stop(reason), None) = (watcher.watch(event), &*verdict) {
            *verdict = Some(reason);
        }
    }
}
