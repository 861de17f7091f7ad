//! From a name to an environment: asking the interpreter what it is, once.

use std::ffi::OsString;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use rl_env::{EnvSpec, Reproducible};
use serde::{Deserialize, Serialize};

use crate::description::Description;
use crate::single::GymEnv;
use crate::vector::GymVec;
use crate::worker::{Task, Worker};
use crate::{GymError, GymName};

/// The Python that environments run in, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// The program to start: a path, or a name that the system finds.
    pub python: OsString,
    /// Worker processes of a vector; `None` for as many as the duration of a step asks for.
    pub workers: Option<usize>,
    /// How long an answer may take before the environment counts as hung. Five minutes, for some load much when they are first reset.
    pub timeout: Duration,
    /// Whether everything goes through pipes, as it does where there is no memory to share.
    pub pipe_only: bool,
}

impl Interpreter {
    /// An interpreter with everything else as it usually is.
    pub fn new(python: impl Into<OsString>) -> Self {
        Interpreter {
            python: python.into(),
            workers: None,
            timeout: Duration::from_secs(300),
            pipe_only: false,
        }
    }
}

/// An environment as workers make it.
pub(crate) struct Program {
    pub(crate) interpreter: Interpreter,
    pub(crate) name: GymName,
    /// The name as text.
    pub(crate) id: String,
    pub(crate) description: Arc<Description>,
}

/// What an interpreter knows of an environment without making it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Registered {
    /// Its identifier.
    pub id: String,
    /// Steps after which an episode is truncated.
    pub max_episode_steps: Option<u32>,
    /// The mean return from which it counts as solved.
    pub reward_threshold: Option<f64>,
}

/// Asks what an environment is: makes one in a process that ends again, and takes a few of its steps to see how long they take.
///
/// The spec's id is the whole name, from which it can be made again.
///
/// # Errors
///
/// [`GymError`] for an interpreter that does not start or lacks Gymnasium, an identifier or module it does not know, a space that no policy
/// can use, and whatever the environment's own making raises.
pub fn spec(name: &GymName, interpreter: &Interpreter) -> Result<EnvSpec, GymError> {
    let id = name.to_string();
    let metrics = name.options.metrics();
    let metrics = metrics.map_err(|reason| GymError::Name { name: id.clone(), reason })?;
    let task = Task { measure: interpreter.workers.is_none(), ..Task::make(name, 1) };
    let mut worker = Worker::start(interpreter, &id, 0, &task)?;
    let description = worker.described().map_err(|failure| failure.error)?;
    drop(worker);
    let description = Arc::new(Description::read(&description, &metrics)?);
    let program = Arc::new(Program { interpreter: interpreter.clone(), name: name.clone(), id, description });

    let Description { observation_space, action_space, max_episode_steps, reward_threshold, .. } =
        &*program.description;
    let vector = program.clone();
    let mut spec =
        EnvSpec::from_vec(&program.id, observation_space.clone(), action_space.clone(), move |numbers| {
            let n_workers = n_workers(&vector, numbers.len());
            Ok(Box::new(GymVec::new(&vector, numbers, n_workers)?))
        })
        // Python, NumPy and the simulators call what their own builds chose.
        .with_reproducible(Reproducible::ThisProcessor);
    if !program.description.every_step_counts {
        spec = spec.with_resets_in_steps();
    }
    if !name.is_vector {
        let single = program.clone();
        spec = spec.with_make(move || Box::new(GymEnv::new(single.clone())));
    }
    if let Some(limit) = max_episode_steps {
        spec = spec.with_own_time_limit(*limit);
    }
    Ok(match reward_threshold {
        Some(threshold) => spec.with_reward_threshold(*threshold),
        None => spec,
    })
}

/// Everything the interpreter has registered, sorted; what a module registers too, where one is named.
///
/// # Errors
///
/// [`GymError`] for an interpreter that does not start or lacks Gymnasium.
pub fn registered(interpreter: &Interpreter, module: Option<&str>) -> Result<Vec<Registered>, GymError> {
    #[derive(Deserialize)]
    struct Told {
        envs: Vec<Registered>,
    }

    let nothing = GymName {
        is_vector: false,
        module: module.map(str::to_owned),
        id: String::new(),
        options: crate::GymOptions::default(),
    };
    let task = Task { task: "list", ..Task::make(&nothing, 0) };
    let mut worker = Worker::start(interpreter, "gym", 0, &task)?;
    let told = worker.described().map_err(|failure| failure.error)?;
    let told: Told = serde_json::from_slice(&told).map_err(|e| GymError::Protocol(e.to_string()))?;
    Ok(told.envs)
}

/// What an order to a worker and its answer cost, roughly: below ten times this, a second worker does not pay.
const ROUND_TRIP_SECONDS: f64 = 50e-6;

/// How many workers step `n` environments: as many as asked for, else as many as there are cores, fewer where a step is over before a second
/// process has begun.
fn n_workers(program: &Program, n: usize) -> usize {
    if program.name.is_vector {
        return 1;
    }
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    program
        .interpreter
        .workers
        .unwrap_or_else(|| pays(program.description.step_seconds, n, cores))
        .clamp(1, n.max(1))
}

fn pays(step_seconds: Option<f64>, n: usize, cores: usize) -> usize {
    let Some(step) = step_seconds else { return 1 };
    let worth = (n as f64 * step / (10.0 * ROUND_TRIP_SECONDS)).ceil();
    // A float that is not a number, or too large, saturates.
    (worth as usize).clamp(1, cores.min(n).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_workers_only_where_they_pay() {
        let cartpole = Some(18e-6);
        assert_eq!((pays(cartpole, 1, 8), pays(cartpole, 8, 8), pays(cartpole, 64, 8)), (1, 1, 3));
        let hopper = Some(345e-6);
        assert_eq!((pays(hopper, 1, 2), pays(hopper, 8, 2), pays(hopper, 8, 64)), (1, 2, 6));
        assert_eq!((pays(None, 8, 8), pays(Some(f64::NAN), 8, 8), pays(Some(10.0), 0, 8)), (1, 1, 1));
    }
}
