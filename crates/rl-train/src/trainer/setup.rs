//! What a trainer is put together from: an agent, environments, threads.

use rl_algo::{ActorCritic, NetConfig};
use rl_env::rng::stream;
use rl_env::{EnvSpec, NormalizeObservation, NormalizeReward, ObservationNormalizer, VecEnv};

use crate::{TrainConfig, TrainError};

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
