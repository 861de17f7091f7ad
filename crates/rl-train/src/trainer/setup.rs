//! What a trainer is put together from: an agent, environments, threads.

use rl_algo::{ActorCritic, Algorithm, NetConfig, check_setting, to_settings};
use rl_env::rng::stream;
use rl_env::{EnvSpec, NormalizeObservation, NormalizeReward, ObservationNormalizer, VecEnv};
use rl_nn::PolicySpec;

use super::Trainer;
use super::containment::is_finite;
use crate::{Checkpoint, CheckpointConfig, RunInfo, TrainConfig, TrainError};

/// Networks for an environment's spaces, initialised from the stream `(seed, "init", 0)`.
///
/// # Errors
///
/// [`TrainError::Algo`] for unusable settings or an action space without a distribution.
pub fn new_agent(env: &EnvSpec, net: &NetConfig, seed: u64) -> Result<ActorCritic, TrainError> {
    let mut rng = stream(seed, "init", 0);
    Ok(ActorCritic::for_spaces(&env.observation_space, &env.action_space, net, &mut rng)?)
}

/// Checks that [`new_agent`] can make an agent, without drawing its weights.
///
/// # Errors
///
/// Those of [`new_agent`].
pub fn check_agent(env: &EnvSpec, net: &NetConfig) -> Result<(), TrainError> {
    rl_algo::design(&env.observation_space, &env.action_space, net)?;
    Ok(())
}

/// Runs `work` on a pool of so many threads; what it computes does not depend on their number.
///
/// # Errors
///
/// [`TrainError::Threads`] when the system gives none.
pub fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> Result<T, TrainError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build();
    let pool = pool.map_err(|e| TrainError::Threads { threads, reason: e.to_string() })?;
    Ok(pool.install(work))
}

impl Trainer {
    /// Checks what only the whole can tell: that nothing was asked for that would silently not be.
    pub(super) fn check_parts(&self) -> Result<(), TrainError> {
        if !is_finite(self.agent.theta()) {
            return Err(TrainError::NonFiniteAgent);
        }
        if self.dir.is_some() && self.agent.trained_policy().is_none() {
            return Err(TrainError::Unsaveable);
        }
        // One that was stopped before its first update has begun there itself.
        let has_begun = self.resumed || self.tally.updates > 0 || self.tally.stopped;
        if let Some(dir) = self.dir.as_ref().filter(|_| !has_begun)
            && (dir.file("summary.json").exists() || !Checkpoint::list(dir)?.is_empty())
        {
            return Err(TrainError::Occupied { path: dir.path().to_owned() });
        }
        let missing = |what: &str, needs| Err(TrainError::Missing { what: what.to_owned(), needs });
        if let Some(CheckpointConfig { freq, keep, .. }) = self.checkpoints {
            check_setting("freq", freq, "a whole number from 1 up", freq > 0)?;
            check_setting("keep", keep, "a whole number from 1 up", keep > 0)?;
        }
        if self.checkpoints.is_some() && self.dir.is_none() {
            return missing("Trainer::with_checkpoints", "a directory: Trainer::saving_in");
        }
        let evaluations = "evaluations, which Trainer::with_evaluation brings and --no-eval takes away";
        #[cfg(feature = "pictures")]
        if self.films.is_some() && self.evaluator.is_none() {
            return missing("Trainer::with_films", evaluations);
        }
        match self.watchers.iter().find_map(|watcher| watcher.needs_evaluations()) {
            Some(name) if self.evaluator.is_none() => missing(&format!("the watcher {name}"), evaluations),
            _ => Ok(()),
        }
    }

    /// What is said at the end of a run in which no episode ended, although there was time.
    pub(super) fn without_an_end(&self) -> Option<String> {
        let steps = self.tally.step / self.config.n_envs.max(1) as u64;
        (self.tally.episodes == 0 && steps >= MANY_STEPS && !self.has_limit).then(|| {
            format!(
                "no episode ended in {steps} steps of each environment, so there are no returns: episodes of {} seem not to end; \
                 EnvSpec::with_time_limit ends them",
                self.info.env
            )
        })
    }
}

impl Trainer {
    /// What is said at the end of a run with an episode that was worse than the environment says of the worst.
    pub(super) fn below_the_worst(&self) -> Option<String> {
        let of_evaluation =
            self.tally.last_evaluation.as_ref().map_or(f64::INFINITY, |evaluation| evaluation.min);
        let (least, worst) = (self.tally.least.min(of_evaluation), self.worst_return?);
        // Returns are sums of rewards that are rounded.
        (least < worst - 1e-6 * worst.abs().max(1.0)).then(|| {
            format!(
                "an episode returned {least}, and the worst return of {} is said to be {worst} (EnvSpec::with_worst_return): comparisons count failed runs as that",
                self.info.env
            )
        })
    }
}

/// Steps after which an episode that has not ended is worth a word.
const MANY_STEPS: u64 = 10_000;

/// What the networks are called beside a run's settings.
const NETWORKS: [&str; 2] = ["policy", "critic"];

/// What a run says of itself: the loop's settings, the algorithm's, and the networks as far as they describe themselves.
pub(super) fn described(
    env: &EnvSpec,
    config: &TrainConfig,
    agent: &ActorCritic,
    algorithm: &dyn Algorithm,
    seed: u64,
) -> RunInfo {
    let (algo, own) = algorithm.description();
    let of_loop = to_settings(config);
    // An algorithm of one's own may have a name for something else.
    let is_taken = |key: &str| of_loop.contains_key(key) || NETWORKS.contains(&key);
    let mut settings = of_loop.clone();
    settings.extend(own.into_iter().map(|(key, value)| match is_taken(&key) {
        true => (format!("algorithm_{key}"), value),
        false => (key, value),
    }));
    let policy = PolicySpec::of(agent.policy()).and_then(|spec| serde_json::to_value(spec).ok());
    let critic = agent.critic().spec().and_then(|spec| serde_json::to_value(spec).ok());
    for (key, value) in NETWORKS.into_iter().zip([policy, critic]) {
        settings.extend(value.map(|value| (key.to_owned(), value)));
    }
    RunInfo { algo: algo.to_owned(), env: env.id.clone(), seed, total_steps: config.total_steps, settings }
}

/// The environments to learn in. In parts that any thread may take: halves, of at least 4, which share a forward pass, and at most 32
/// environments (the last part has the rest). Or all in one, normalised as configured, for then the statistics are those of all; they begin with the given ones, if any.
pub(super) fn make_envs(
    env: &EnvSpec,
    config: &TrainConfig,
    statistics: Option<&ObservationNormalizer>,
) -> Result<Vec<Box<dyn VecEnv>>, TrainError> {
    if !config.normalize_observation && !config.normalize_reward {
        return Ok(env.make_parts(config.n_envs, config.n_envs.div_ceil(2).clamp(4, 32))?);
    }
    let mut envs = env.make_vec(config.n_envs)?;
    if config.normalize_observation {
        let mut normalized = NormalizeObservation::new(envs);
        if let Some(statistics) = statistics {
            normalized.set_normalizer(statistics.clone())?;
        }
        envs = Box::new(normalized);
    }
    if config.normalize_reward {
        envs = Box::new(NormalizeReward::new(envs, config.gamma));
    }
    Ok(vec![envs])
}
