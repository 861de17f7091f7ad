//! A trained policy on disk: `policy.safetensors` with its description `policy.json`.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use rl_env::EnvSpec;
use rl_nn::{Actions, NnError, PolicySpec, TrainedPolicy};
use serde::{Deserialize, Serialize};

use crate::evaluation::N_EVAL_ENVS;
use crate::{Acting, Evaluation, TrainError, evaluate, write_atomically};

const PARAMETERS: &str = "policy.safetensors";
const DESCRIPTION: &str = "policy.json";

/// A trained policy, ready to act.
///
/// ```no_run
/// let obs = [0.01, 0.0, -0.02, 0.0];
/// let action = rl_train::Policy::load("runs/CartPole-v1/ppo/s0")?.act(&obs, true)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Policy {
    about: About,
    trained: TrainedPolicy,
}

/// What `policy.json` holds beside the policy's description.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    env: String,
    seed: u64,
    steps: u64,
    policy: PolicySpec,
}

impl Policy {
    /// A policy with the environment and the seed it was trained with, for how many steps.
    pub fn new(env: &str, seed: u64, steps: u64, trained: TrainedPolicy) -> Self {
        let about = About {
            env: env.to_owned(),
            seed,
            steps,
            policy: trained.spec().clone(),
        };
        Policy { about, trained }
    }

    /// Reads the policy that a run left in its directory, or in `checkpoints/best` below it.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] when a file cannot be read, [`TrainError::Policy`] when the two do not make a policy.
    pub fn load(dir: impl AsRef<Path>) -> Result<Self, TrainError> {
        let (description, parameters) = (dir.as_ref().join(DESCRIPTION), dir.as_ref().join(PARAMETERS));
        let read = |path: &Path| fs::read(path).map_err(TrainError::io("read", path));
        let unusable = |path: &Path, e: &dyn std::fmt::Display| {
            let reason = e.to_string();
            TrainError::Policy {
                path: path.to_owned(),
                reason,
            }
        };
        let about: About =
            serde_json::from_slice(&read(&description)?).map_err(|e| unusable(&description, &e))?;
        let trained = TrainedPolicy::from_safetensors(about.policy.clone(), &read(&parameters)?)
            .map_err(|e| unusable(&parameters, &e))?;
        Ok(Policy { about, trained })
    }

    /// Writes the policy into a directory, which is made where it is missing. Each file is replaced as a whole.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] when that fails.
    pub fn save(&self, dir: impl AsRef<Path>) -> Result<(), TrainError> {
        let dir = dir.as_ref();
        fs::create_dir_all(dir).map_err(TrainError::io("create the directory", dir))?;
        let path = dir.join(DESCRIPTION);
        let mut about = serde_json::to_string_pretty(&self.about).map_err(|e| TrainError::Policy {
            path: path.clone(),
            reason: e.to_string(),
        })?;
        about.push('\n');
        write_atomically(&dir.join(PARAMETERS), &self.trained.to_safetensors()?)?;
        write_atomically(&path, about.as_bytes())
    }

    /// The action for one observation: the most probable one, or a sample; continuous ones clipped to their bounds.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when the observation has another length than the policy takes.
    pub fn act(&mut self, obs: &[f32], deterministic: bool) -> Result<Actions<f32>, NnError> {
        self.trained.act(obs, deterministic)
    }

    /// Runs whole episodes in an environment, from the starts that its run's own evaluations had.
    ///
    /// # Errors
    ///
    /// Those of [`evaluate`].
    pub fn evaluate(&self, env: &EnvSpec, episodes: usize, acting: Acting) -> Result<Evaluation, TrainError> {
        let mut envs = env.make_vec(episodes.clamp(1, N_EVAL_ENVS))?;
        let (model, theta, seed) = (self.trained.model(), self.trained.theta(), self.about.seed);
        evaluate(
            model,
            theta,
            &mut *envs,
            episodes,
            seed,
            acting,
            &AtomicBool::new(false),
        )
    }

    /// The identifier of the environment it was trained in.
    pub fn env(&self) -> &str {
        &self.about.env
    }

    /// The seed of its run.
    pub fn seed(&self) -> u64 {
        self.about.seed
    }

    /// The environment steps it was trained for.
    pub fn steps(&self) -> u64 {
        self.about.steps
    }

    /// The network with its parameters.
    pub fn trained(&self) -> &TrainedPolicy {
        &self.trained
    }
}
