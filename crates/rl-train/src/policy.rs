//! A trained policy on disk: one file, `policy.safetensors`.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use rl_env::{EnvSpec, ObservationNormalizer};
use rl_nn::{Actions, Archive, Builders, Data, NnError, PolicySpec, State, TrainedPolicy};
use rl_rollout::{Collector, check_fit};
use serde_json::{Value, json};

use crate::checkpoint::fault_of;
use crate::evaluation::N_EVAL_ENVS;
use crate::files::make_dir;
use crate::{Acting, Actor, Checkpoint, Evaluation, TrainError, evaluate, write_atomically};

const FILE: &str = "policy.safetensors";
/// The version of the file's contents.
const VERSION: u64 = 1;
/// Where a description says that actions were masked.
pub(crate) const MASKED: &str = "masked";

/// A trained policy, ready to act.
///
/// ```no_run
/// let obs = [0.01, 0.0, -0.02, 0.0];
/// let action = rl_train::Policy::load("runs/CartPole-v1/ppo/s0")?.act(&obs, true)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The file is a safetensors file ([`Archive`]): parameters are called `policy.…` as the policy's layout calls them, and the statistics it sees raw
/// observations through, where there are any, `observation.mean` and `observation.var` (`f64`). Its description says the rest.
pub struct Policy {
    env: String,
    seed: u64,
    steps: u64,
    normalizer: Option<ObservationNormalizer>,
    /// Whether it learned where only some actions are allowed.
    is_masked: bool,
    trained: TrainedPolicy,
    obs: Vec<f32>,
}

impl Policy {
    /// A policy with the environment and the seed it was trained with, for how many steps.
    pub fn new(env: &str, seed: u64, steps: u64, trained: TrainedPolicy) -> Self {
        Policy {
            env: env.to_owned(),
            seed,
            steps,
            normalizer: None,
            is_masked: false,
            trained,
            obs: Vec::new(),
        }
    }

    /// The same policy, trained where only some actions are allowed or not: whether it needs a mask to act.
    pub fn with_masks(self, is_masked: bool) -> Self {
        Policy { is_masked, ..self }
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
        self.normalizer = normalizer;
        Ok(self)
    }

    /// Reads the policy that a run left in its directory, or in `checkpoints/best` below it; or the file itself.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] when the file cannot be read, [`TrainError::Policy`] when it is damaged or holds no policy.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, TrainError> {
        Policy::load_with(path, &Builders::default())
    }

    /// Does the same as [`load`](Self::load) for policies whose networks or distributions are a user's own and made by builders.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_with(path: impl AsRef<Path>, builders: &Builders) -> Result<Self, TrainError> {
        let path = path.as_ref();
        let file = if path.is_file() { path.to_owned() } else { path.join(FILE) };
        let bytes = fs::read(&file).map_err(TrainError::io("read", &file))?;
        let policy = Archive::from_bytes(&bytes).and_then(|archive| Policy::from_archive(&archive, builders));
        policy.map_err(|e| TrainError::Policy { path: file, reason: e.to_string() })
    }

    /// The policy of a run as it was at a checkpoint, with the statistics it saw observations through.
    ///
    /// # Errors
    ///
    /// [`TrainError::Checkpoint`] where the checkpoint's agent has no description, or another number of parameters than it says.
    pub fn from_checkpoint(checkpoint: &Checkpoint, builders: &Builders) -> Result<Self, TrainError> {
        let archive = &checkpoint.archive;
        let read = || -> Result<Policy, NnError> {
            let fault = |what: &str| NnError::Saved(format!("its description has no usable {what:?}"));
            let field = |key: &str| archive.about.get(key).unwrap_or(&Value::Null);
            let spec: PolicySpec = serde_json::from_value(field("spec").clone())
                .map_err(|e| NnError::Saved(format!("the policy's description: {e}")))?;
            let model = spec.build_with(builders)?;
            // The policy's parameters come first, then the critic's.
            let Data::F32(theta) = &archive.get("theta")?.data else { return Err(fault("theta")) };
            let theta = theta.get(..model.n_params()).ok_or_else(|| {
                let (has, needs) = (theta.len(), model.n_params());
                NnError::Saved(format!("it has {has} parameters, its policy alone {needs}"))
            })?;
            let n_inputs = model.network.n_inputs();
            let collector = State::load(archive, "collector")?;
            let normalizer = Collector::observation_normalizer_in(&collector, n_inputs)?;
            let env = field("env").as_str().ok_or_else(|| fault("env"))?;
            let seed = field("seed").as_u64().ok_or_else(|| fault("seed"))?;
            let trained = TrainedPolicy::new(model, theta.to_vec())?;
            let is_masked = field(MASKED) == true;
            Policy::new(env, seed, checkpoint.step(), trained)
                .with_masks(is_masked)
                .seeing_through(normalizer)
        };
        read().map_err(|e| TrainError::Checkpoint { path: checkpoint.path.clone(), reason: fault_of(e) })
    }

    fn from_archive(archive: &Archive, builders: &Builders) -> Result<Self, NnError> {
        let fault = |what: &str| NnError::Saved(format!("its description has no usable {what:?}"));
        let field = |key: &str| archive.about.get(key).unwrap_or(&Value::Null);
        let number = |key: &str| field(key).as_u64().ok_or_else(|| fault(key));
        if number("version")? != VERSION {
            let found = number("version")?;
            let message = format!("it is of version {found}, and this program reads version {VERSION}");
            return Err(NnError::Saved(message));
        }
        let env = field("env").as_str().ok_or_else(|| fault("env"))?;
        let trained = TrainedPolicy::restore(archive, builders)?;
        let policy =
            Policy::new(env, number("seed")?, number("steps")?, trained).with_masks(field(MASKED) == true);
        let normalizer = match field("observation") {
            Value::Null => None,
            about => {
                let shape = [policy.trained.model().network.n_inputs()];
                let real =
                    |key: &str| about[key].as_f64().filter(|x| x.is_finite()).ok_or_else(|| fault(key));
                Some(ObservationNormalizer {
                    mean: archive.f64s("observation.mean", &shape)?.to_vec(),
                    var: archive.f64s("observation.var", &shape)?.to_vec(),
                    count: real("count")?,
                    clip: real("clip")
                        .and_then(|clip| if clip > 0.0 { Ok(clip) } else { Err(fault("clip")) })?,
                    epsilon: real("epsilon")?,
                })
            }
        };
        policy.seeing_through(normalizer)
    }

    /// Writes the policy into a directory, which is made where it is missing. The file is replaced as a whole.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] when that fails, [`TrainError::Nn`] for a policy that does not describe itself.
    pub fn save(&self, dir: impl AsRef<Path>) -> Result<(), TrainError> {
        let dir = dir.as_ref();
        make_dir(dir)?;
        let mut archive = Archive::default();
        let about = [
            ("version", json!(VERSION)),
            ("env", json!(self.env)),
            ("seed", json!(self.seed)),
            ("steps", json!(self.steps)),
        ];
        archive.about.extend(about.map(|(key, value)| (key.to_owned(), value)));
        if self.is_masked {
            archive.about.insert(MASKED.to_owned(), json!(true));
        }
        if let Some(ObservationNormalizer { mean, var, count, clip, epsilon }) = &self.normalizer {
            let about = json!({"count": count, "clip": clip, "epsilon": epsilon});
            archive.about.insert("observation".to_owned(), about);
            archive.insert("observation.mean", &[mean.len()], Data::F64(mean.clone()));
            archive.insert("observation.var", &[var.len()], Data::F64(var.clone()));
        }
        self.trained.store(&mut archive)?;
        write_atomically(&dir.join(FILE), &archive.to_bytes()?)
    }

    /// The action for one raw observation, normalised here where the policy was trained on normalised ones: the most probable one, or a sample;
    /// continuous ones within their bounds.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when the observation has another length than the policy takes, [`NnError::MaskMissing`] for a policy that was trained where only
    /// some actions are allowed.
    pub fn act(&mut self, obs: &[f32], deterministic: bool) -> Result<Actions<f32>, NnError> {
        if self.is_masked {
            return Err(NnError::MaskMissing);
        }
        self.act_masked(obs, None, deterministic)
    }

    /// The same where the environment allows only some actions: those that are `true`. `None` allows all.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when the observation or the mask has another length than the policy takes, [`NnError::NoAction`] for a mask that allows none.
    pub fn act_masked(
        &mut self,
        obs: &[f32],
        mask: Option<&[bool]>,
        deterministic: bool,
    ) -> Result<Actions<f32>, NnError> {
        let Some(normalizer) = &self.normalizer else {
            return self.trained.act(obs, mask, deterministic);
        };
        NnError::check("the observation", obs.len(), normalizer.mean.len())?;
        self.obs.clear();
        self.obs.extend_from_slice(obs);
        normalizer.normalize(&mut self.obs);
        self.trained.act(&self.obs, mask, deterministic)
    }

    /// Runs whole episodes in an environment, from the starts that its run's own evaluations had.
    ///
    /// # Errors
    ///
    /// Those of [`evaluate`], and [`TrainError::Rollout`] for an environment of other spaces than the policy's.
    pub fn evaluate(&self, env: &EnvSpec, episodes: usize, acting: Acting) -> Result<Evaluation, TrainError> {
        check_fit(self.trained.model(), &env.observation_space, &env.action_space)?;
        let mut envs = env.make_vec(episodes.clamp(1, N_EVAL_ENVS))?;
        let actor = Actor {
            policy: self.trained.model(),
            theta: self.trained.theta(),
            normalizer: self.normalizer.as_ref(),
        };
        let never = AtomicBool::new(false);
        evaluate(actor, &mut *envs, episodes.into(), self.seed, acting, &never)
    }

    /// The identifier of the environment it was trained in.
    pub fn env(&self) -> &str {
        &self.env
    }

    /// The seed of its run.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The statistics it sees raw observations through, where it was trained on normalised ones.
    pub fn observation_normalizer(&self) -> Option<&ObservationNormalizer> {
        self.normalizer.as_ref()
    }

    /// The environment steps it was trained for.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The network with its parameters.
    pub fn trained(&self) -> &TrainedPolicy {
        &self.trained
    }
}
