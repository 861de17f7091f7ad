//! Environments by name, open to users.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::envs::{GridWorld, GridWorldParams};
use crate::wrappers::{Guard, TimeLimit};
use crate::{CheckParams, DynEnv, Env, EnvError, Finding, SyncVecEnv, VecEnv, check_env, envs};

/// What the registry knows of an environment.
#[derive(Clone)]
pub struct EnvSpec {
    /// Its identifier, `Name-vN`.
    pub id: String,
    /// Steps after which an episode is truncated; `None` for no limit.
    pub max_episode_steps: Option<u32>,
    /// The mean return from which it counts as solved.
    pub reward_threshold: Option<f64>,
    make: Arc<Make>,
    make_vec: Arc<MakeVec>,
}

type Make = dyn Fn() -> Box<dyn DynEnv> + Send + Sync;
type MakeVec = dyn Fn(Range<usize>, usize) -> Result<Box<dyn VecEnv>, EnvError> + Send + Sync;

impl EnvSpec {
    /// An environment without a time limit.
    pub fn new<E: Env + 'static>(id: &str, make: impl Fn() -> E + Send + Sync + 'static) -> Self {
        EnvSpec::guarded(id, move || Guard::new(make()))
    }

    fn guarded<E: Env + 'static>(id: &str, make: impl Fn() -> E + Send + Sync + 'static) -> Self {
        let make = Arc::new(make);
        let one = make.clone();
        EnvSpec {
            id: id.to_owned(),
            max_episode_steps: None,
            reward_threshold: None,
            make: Arc::new(move || Box::new(one())),
            make_vec: Arc::new(move |numbers, threads| {
                let first = numbers.start;
                let envs = SyncVecEnv::numbered_from(first, numbers.map(|_| make()).collect())?;
                Ok(Box::new(envs.with_threads(threads)?))
            }),
        }
    }

    /// An environment truncated after `max_episode_steps` steps.
    pub fn with_time_limit<E: Env + 'static>(
        id: &str,
        max_episode_steps: u32,
        make: impl Fn() -> E + Send + Sync + 'static,
    ) -> Self {
        let spec = EnvSpec::guarded(id, move || TimeLimit::new(make(), max_episode_steps));
        EnvSpec { max_episode_steps: Some(max_episode_steps), ..spec }
    }

    /// The same with a reward threshold.
    pub fn with_reward_threshold(self, reward_threshold: f64) -> Self {
        EnvSpec { reward_threshold: Some(reward_threshold), ..self }
    }

    /// Makes one environment, its time limit included.
    pub fn make(&self) -> Box<dyn DynEnv> {
        (self.make)()
    }

    /// Makes `n` copies to be stepped together on the calling thread, monomorphic inside.
    ///
    /// # Errors
    ///
    /// [`EnvError::Contract`] for `n = 0`.
    pub fn make_vec(&self, n: usize) -> Result<Box<dyn VecEnv>, EnvError> {
        self.make_vec_on(n, 1)
    }

    /// Makes `n` copies to be stepped together on `threads` threads, with the same results as on one; see
    /// [`SyncVecEnv::with_threads`].
    ///
    /// # Errors
    ///
    /// [`EnvError::Contract`] for `n = 0`, [`EnvError::Other`] when the system gives no threads.
    pub fn make_vec_on(&self, n: usize, threads: usize) -> Result<Box<dyn VecEnv>, EnvError> {
        (self.make_vec)(0..n, threads)
    }

    /// Makes `n` copies in vectors of `size` neighbours, the last perhaps smaller: together they do what one vector of `n` does.
    ///
    /// # Errors
    ///
    /// [`EnvError::Contract`] for `n = 0` or `size = 0`.
    pub fn make_parts(&self, n: usize, size: usize) -> Result<Vec<Box<dyn VecEnv>>, EnvError> {
        if n == 0 || size == 0 {
            return Err(EnvError::Contract(format!("{n} environments cannot be made in vectors of {size}")));
        }
        (0..n).step_by(size).map(|first| (self.make_vec)(first..n.min(first + size), 1)).collect()
    }

    /// Puts the environment through [`check_env`].
    pub fn check(&self) -> Vec<Finding> {
        let params = CheckParams { max_episode_steps: self.max_episode_steps, ..CheckParams::default() };
        check_env(&params, &|| self.make())
    }
}

impl fmt::Debug for EnvSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvSpec")
            .field("id", &self.id)
            .field("max_episode_steps", &self.max_episode_steps)
            .field("reward_threshold", &self.reward_threshold)
            .finish_non_exhaustive()
    }
}

/// The known environments.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    specs: BTreeMap<String, EnvSpec>,
}

impl Registry {
    /// No environment at all.
    pub fn empty() -> Self {
        Registry::default()
    }

    /// The built-in environments.
    pub fn builtin() -> Self {
        let lake = GridWorldParams::frozen_lake;
        let specs = [
            EnvSpec::with_time_limit("Acrobot-v1", 500, envs::Acrobot::new).with_reward_threshold(-100.0),
            EnvSpec::with_time_limit("CartPole-v0", 200, envs::CartPole::new).with_reward_threshold(195.0),
            EnvSpec::with_time_limit("CartPole-v1", 500, envs::CartPole::new).with_reward_threshold(475.0),
            EnvSpec::new("Catch-v0", envs::Catch::new).with_reward_threshold(0.9),
            grid_world("FrozenLake-v1", 100, lake(envs::FROZEN_LAKE_4X4)).with_reward_threshold(0.7),
            grid_world("FrozenLake8x8-v1", 200, lake(envs::FROZEN_LAKE_8X8)).with_reward_threshold(0.85),
            grid_world("GridWorld-v0", 100, GridWorldParams::default()).with_reward_threshold(0.9),
            EnvSpec::with_time_limit("MountainCar-v0", 200, envs::MountainCar::new)
                .with_reward_threshold(-110.0),
            EnvSpec::with_time_limit("MountainCarContinuous-v0", 999, envs::MountainCarContinuous::new)
                .with_reward_threshold(90.0),
            EnvSpec::with_time_limit("Pendulum-v1", 200, envs::Pendulum::new),
        ];
        Registry { specs: specs.into_iter().map(|s| (s.id.clone(), s)).collect() }
    }

    /// Adds an environment.
    ///
    /// # Errors
    ///
    /// [`EnvError::Duplicate`] when the identifier is taken.
    pub fn register(&mut self, spec: EnvSpec) -> Result<(), EnvError> {
        if self.specs.contains_key(&spec.id) {
            return Err(EnvError::Duplicate(spec.id));
        }
        self.specs.insert(spec.id.clone(), spec);
        Ok(())
    }

    /// Looks an environment up.
    ///
    /// # Errors
    ///
    /// [`EnvError::Unknown`] with the nearest known identifier.
    pub fn get(&self, id: &str) -> Result<&EnvSpec, EnvError> {
        self.specs.get(id).ok_or_else(|| EnvError::Unknown {
            id: id.to_owned(),
            nearest: nearest(id, self.specs.keys()),
            known: self.specs.keys().cloned().collect(),
        })
    }

    /// All environments, sorted by identifier.
    pub fn iter(&self) -> impl Iterator<Item = &EnvSpec> {
        self.specs.values()
    }
}

fn grid_world(id: &str, max_episode_steps: u32, params: GridWorldParams) -> EnvSpec {
    let world = GridWorld::new(params).expect("a built-in map");
    EnvSpec::with_time_limit(id, max_episode_steps, move || world.clone())
}

fn nearest<'a>(id: &str, known: impl Iterator<Item = &'a String>) -> Option<String> {
    known
        .map(|k| (strsim::jaro_winkler(&id.to_lowercase(), &k.to_lowercase()), k))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k.clone())
}
