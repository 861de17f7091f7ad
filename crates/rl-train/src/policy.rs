//! A trained policy on disk: `policy.safetensors` with its description `policy.json`.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use rl_env::{EnvSpec, ObservationNormalizer};
use rl_nn::{Actions, NnError, PolicySpec, TrainedPolicy};
use serde::{Deserialize, Serialize};

use crate::evaluation::N_EVAL_ENVS;
use crate::{Acting, Actor, Evaluation, TrainError, evaluate, write_atomically};

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
    obs: Vec<f32>,
}

/// What `policy.json` holds beside the policy's description.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    env: String,
    seed: u64,
    steps: u64,
    policy: PolicySpec,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    observation_normalizer: Option<ObservationNormalizer>,
}

impl Policy {
    /// A policy with the environment and the seed it was trained with, for how many steps.
    pub fn new(env: &str, seed: u64, steps: u64, trained: TrainedPolicy) -> Self {
        let about = About {
            env: env.to_owned(),
            seed,
            steps,
            policy: trained.spec().clone(),
            observation_normalizer: None,
        };
        Policy { about, trained, obs: Vec::new() }
    }

    /// The same policy seeing raw observations through these statistics, if any: those it was trained on.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for statistics of other observations than the policy takes.
    pub fn seeing_through(mut self, normalizer: Option<ObservationNormalizer>) -> Result<Self, NnError> {
        if let Some(n) = &normalizer {
            let expected = self.trained.model().network.n_inputs();
            NnError::check("the observation normaliser's mean", n.mean.len(), expected)?;
            NnError::check("the observation normaliser's variance", n.var.len(), expected)?;
        }
        self.about.observation_normalizer = normalizer;
        Ok(self)
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
            TrainError::Policy { path: path.to_owned(), reason }
        };
        let about: About =
            serde_json::from_slice(&read(&description)?).map_err(|e| unusable(&description, &e))?;
        let trained = TrainedPolicy::from_safetensors(about.policy.clone(), &read(&parameters)?)
            .map_err(|e| unusable(&parameters, &e))?;
        let normalizer = about.observation_normalizer.clone();
        Policy::new(&about.env, about.seed, about.steps, trained)
            .seeing_through(normalizer)
            .map_err(|e| unusable(&description, &e))
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
        let mut about = serde_json::to_string_pretty(&self.about)
            .map_err(|e| TrainError::Policy { path: path.clone(), reason: e.to_string() })?;
        about.push('\n');
        write_atomically(&dir.join(PARAMETERS), &self.trained.to_safetensors()?)?;
        write_atomically(&path, about.as_bytes())
    }

    /// The action for one raw observation, normalised here where the policy was trained on normalised ones: the most probable one, or a sample; continuous ones clipped to their bounds.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when the observation has another length than the policy takes.
    pub fn act(&mut self, obs: &[f32], deterministic: bool) -> Result<Actions<f32>, NnError> {
        let Some(normalizer) = &self.about.observation_normalizer else {
            return self.trained.act(obs, deterministic);
        };
        NnError::check("the observation", obs.len(), normalizer.mean.len())?;
        self.obs.clear();
        self.obs.extend_from_slice(obs);
        normalizer.normalize(&mut self.obs);
        self.trained.act(&self.obs, deterministic)
    }

    /// Runs whole episodes in an environment, from the starts that its run's own evaluations had.
    ///
    /// # Errors
    ///
    /// Those of [`evaluate`].
    pub fn evaluate(&self, env: &EnvSpec, episodes: usize, acting: Acting) -> Result<Evaluation, TrainError> {
        let mut envs = env.make_vec(episodes.clamp(1, N_EVAL_ENVS))?;
        let actor = Actor {
            policy: self.trained.model(),
            theta: self.trained.theta(),
            normalizer: self.about.observation_normalizer.as_ref(),
        };
        let never = AtomicBool::new(false);
        evaluate(actor, &mut *envs, episodes, self.about.seed, acting, &never)
    }

    /// The identifier of the environment it was trained in.
    pub fn env(&self) -> &str {
        &self.about.env
    }

    /// The seed of its run.
    pub fn seed(&self) -> u64 {
        self.about.seed
    }

    /// The statistics it sees raw observations through, where it was trained on normalised ones.
    pub fn observation_normalizer(&self) -> Option<&ObservationNormalizer> {
        self.about.observation_normalizer.as_ref()
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
