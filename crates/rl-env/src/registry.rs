//! Environments by name, open to users.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use rl_kernels::Reproducible;

use crate::vec_env::OneOf;
use crate::wrappers::{Guard, TimeLimit};
use crate::{
    CheckParams, DynEnv, Env, EnvAction, EnvError, Finding, Rule, Space, SyncVecEnv, VecEnv, builtin,
    check_env, nearest,
};

/// What the registry knows of an environment.
#[derive(Clone)]
pub struct EnvSpec {
    /// Its identifier, `Name-vN`.
    pub id: String,
    /// What observations look like.
    pub observation_space: Space,
    /// What actions look like.
    pub action_space: Space,
    /// Steps after which an episode is truncated; `None` for no limit.
    pub max_episode_steps: Option<u32>,
    /// The mean return from which it counts as solved.
    pub reward_threshold: Option<f64>,
    /// The least return that an episode can have, where it is known: what a run that failed counts as.
    pub worst_return: Option<f64>,
    /// Where its transitions come out the same.
    pub reproducible: Reproducible,
    /// Whether a vector of them takes a step of its own to reset, which is no transition ([`VecEnv::valid`]).
    pub resets_in_steps: bool,
    make: Arc<Make>,
    make_vec: Arc<MakeVec>,
    /// Whether neighbours may be made as vectors of their own.
    divisible: bool,
    /// Why its actions are not of the type that it takes.
    misfit: Option<String>,
    /// Rules that its check passes over.
    waived: Vec<Rule>,
}

type Make = dyn Fn() -> Box<dyn DynEnv> + Send + Sync;
type MakeVec = dyn Fn(Range<usize>, usize) -> Result<Box<dyn VecEnv>, EnvError> + Send + Sync;

impl EnvSpec {
    /// An environment without a time limit. One is made at once, to ask for its spaces.
    pub fn new<E: Env + 'static>(id: &str, make: impl Fn() -> E + Send + Sync + 'static) -> Self {
        let made = make();
        let make = Arc::new(make);
        let one = make.clone();
        let action_space = Env::action_space(&made);
        EnvSpec {
            id: id.to_owned(),
            observation_space: Env::observation_space(&made),
            misfit: <E::Action as EnvAction>::misfit(&action_space),
            action_space,
            max_episode_steps: None,
            reward_threshold: None,
            worst_return: None,
            reproducible: Reproducible::Everywhere,
            resets_in_steps: false,
            // A vector refuses by itself what the guard refuses.
            make: Arc::new(move || Box::new(Guard::new(one()))),
            make_vec: Arc::new(move |numbers, threads| {
                let first = numbers.start;
                let envs = SyncVecEnv::numbered_from(first, numbers.map(|_| make()).collect())?;
                Ok(Box::new(envs.with_threads(threads)?))
            }),
            divisible: true,
            waived: Vec::new(),
        }
    }

    /// An environment truncated after `max_episode_steps` steps, of which there must be at least one: a limit of 0 is refused where the
    /// environment is registered, and otherwise when an episode is to start.
    pub fn with_time_limit<E: Env + 'static>(
        id: &str,
        max_episode_steps: u32,
        make: impl Fn() -> E + Send + Sync + 'static,
    ) -> Self {
        let spec = EnvSpec::new(id, move || TimeLimit::new(make(), max_episode_steps));
        EnvSpec { max_episode_steps: Some(max_episode_steps), ..spec }
    }

    /// An environment that is only made as a whole vector, as those in other processes are. Nothing is made yet: its spaces are given.
    ///
    /// `make_vec` gets the numbers of the environments to make, which are those of the streams they draw from. One alone
    /// ([`make`](EnvSpec::make)) is a vector of one, and [`make_parts`](EnvSpec::make_parts) gives a single part.
    ///
    /// ```
    /// use rl_env::{EnvSpec, SyncVecEnv, envs::CartPole, Registry};
    ///
    /// let known = Registry::builtin().get("CartPole-v1")?.clone();
    /// let spec = EnvSpec::from_vec("Poles-v0", known.observation_space, known.action_space, |numbers| {
    ///     let poles = numbers.clone().map(|_| CartPole::new()).collect();
    ///     Ok(Box::new(SyncVecEnv::numbered_from(numbers.start, poles)?))
    /// });
    /// assert_eq!(spec.make_vec(3)?.n_envs(), 3);
    /// # Ok::<(), rl_env::EnvError>(())
    /// ```
    pub fn from_vec(
        id: &str,
        observation_space: Space,
        action_space: Space,
        make_vec: impl Fn(Range<usize>) -> Result<Box<dyn VecEnv>, EnvError> + Send + Sync + 'static,
    ) -> Self {
        let make_vec = Arc::new(make_vec);
        let (one, spaces) = (make_vec.clone(), (observation_space.clone(), action_space.clone()));
        EnvSpec {
            id: id.to_owned(),
            observation_space,
            action_space,
            max_episode_steps: None,
            reward_threshold: None,
            worst_return: None,
            reproducible: Reproducible::Everywhere,
            resets_in_steps: false,
            make: Arc::new(move || {
                let one = one.clone();
                let (observation_space, action_space) = spaces.clone();
                Box::new(OneOf::new(observation_space, action_space, Box::new(move || one(0..1))))
            }),
            make_vec: Arc::new(move |numbers, _| make_vec(numbers)),
            divisible: false,
            misfit: None,
            waived: Vec::new(),
        }
    }

    /// The same, one alone made by `make`: for an environment that can be told more when it stands alone.
    pub fn with_make(self, make: impl Fn() -> Box<dyn DynEnv> + Send + Sync + 'static) -> Self {
        EnvSpec { make: Arc::new(make), ..self }
    }

    /// The same, for an environment that calls what is not ours: other processes, the system's mathematics library, a simulator.
    pub fn with_reproducible(self, reproducible: Reproducible) -> Self {
        EnvSpec { reproducible, ..self }
    }

    /// The same, said to take a step of its own to reset, which is no transition ([`VecEnv::valid`]).
    pub fn with_resets_in_steps(self) -> Self {
        EnvSpec { resets_in_steps: true, ..self }
    }

    /// The same with a reward threshold.
    pub fn with_reward_threshold(self, reward_threshold: f64) -> Self {
        EnvSpec { reward_threshold: Some(reward_threshold), ..self }
    }

    /// The same with the least return that an episode can have, or a bound below it.
    pub fn with_worst_return(self, worst_return: f64) -> Self {
        EnvSpec { worst_return: Some(worst_return), ..self }
    }

    /// The same, said to truncate its episodes by itself after so many steps.
    pub fn with_own_time_limit(self, max_episode_steps: u32) -> Self {
        EnvSpec { max_episode_steps: Some(max_episode_steps), ..self }
    }

    /// The same, with a rule that [`check`](EnvSpec::check) passes over: for an environment that breaks it on purpose, or that is suspected of what it does not do.
    /// A finding that ends the check is told all the same.
    ///
    /// ```
    /// use rl_env::{EnvSpec, Rule, envs::Pendulum};
    ///
    /// // Whoever steps it counts for it.
    /// let spec = EnvSpec::new("Endless-v0", Pendulum::new);
    /// assert_eq!(spec.check()[0].rule, Rule::Endless);
    /// assert_eq!(spec.with_waived(Rule::Endless).check(), []);
    /// ```
    pub fn with_waived(mut self, rule: Rule) -> Self {
        self.waived.push(rule);
        self
    }

    /// Makes one environment, its time limit included.
    pub fn make(&self) -> Box<dyn DynEnv> {
        (self.make)()
    }

    /// Makes `n` copies to be stepped together on the calling thread, monomorphic inside.
    ///
    /// # Errors
    ///
    /// [`EnvError::InvalidCount`] for `n = 0`.
    pub fn make_vec(&self, n: usize) -> Result<Box<dyn VecEnv>, EnvError> {
        self.make_vec_on(n, 1)
    }

    /// Makes `n` copies to be stepped together on `threads` threads, with the same results as on one; see
    /// [`SyncVecEnv::with_threads`]. Environments made as a whole vector choose for themselves.
    ///
    /// # Errors
    ///
    /// [`EnvError::InvalidCount`] for `n = 0`, [`EnvError::Unusable`] where its type of actions is not that of its space, [`EnvError::Other`] when the system
    /// gives no threads.
    pub fn make_vec_on(&self, n: usize, threads: usize) -> Result<Box<dyn VecEnv>, EnvError> {
        self.check_actions()?;
        (self.make_vec)(0..n, threads)
    }

    /// Makes `n` copies in vectors of `size` neighbours, the last perhaps smaller: together they do what one vector of `n` does.
    /// Environments that are only made as a whole vector ([`from_vec`](EnvSpec::from_vec)) come as that one vector.
    ///
    /// # Errors
    ///
    /// [`EnvError::InvalidCount`] for `n = 0` or `size = 0`.
    pub fn make_parts(&self, n: usize, size: usize) -> Result<Vec<Box<dyn VecEnv>>, EnvError> {
        if n == 0 || size == 0 {
            return Err(EnvError::InvalidCount(format!(
                "{n} environments cannot be made in vectors of {size}"
            )));
        }
        self.check_actions()?;
        let size = if self.divisible { size } else { n };
        (0..n).step_by(size).map(|first| (self.make_vec)(first..n.min(first + size), 1)).collect()
    }

    fn check_actions(&self) -> Result<(), EnvError> {
        self.misfit.clone().map_or(Ok(()), |reason| Err(self.unusable(reason)))
    }

    fn unusable(&self, reason: String) -> EnvError {
        EnvError::Unusable { id: self.id.clone(), reason }
    }

    /// Checks what the environment says of itself: a name that is one word and means nothing else, spaces that have elements and bounds in order, actions of the type
    /// that it takes, a time limit that leaves a step to take, returns that are numbers.
    ///
    /// # Errors
    ///
    /// [`EnvError::Unusable`] with what cannot be.
    pub fn check_description(&self) -> Result<(), EnvError> {
        if let Some(fault) = id_fault(&self.id) {
            return Err(self.unusable(fault));
        }
        if self.max_episode_steps == Some(0) {
            return Err(self.unusable("a time limit of 0 steps leaves no step to take".to_owned()));
        }
        for (what, value) in
            [("reward threshold", self.reward_threshold), ("worst return", self.worst_return)]
        {
            if let Some(value) = value.filter(|value| !value.is_finite()) {
                return Err(self.unusable(format!("its {what} is {value}, and must be a finite number")));
            }
        }
        let (observations, actions) = (&self.observation_space, &self.action_space);
        for (what, space, fault) in
            [("observation", observations, observations.fault()), ("action", actions, actions.action_fault())]
        {
            if let Some(fault) = fault {
                return Err(self.unusable(format!("the {what} space {space} {fault}")));
            }
        }
        self.check_actions()
    }

    /// Puts the environment through [`check_env`], without the rules that were [waived](EnvSpec::with_waived).
    pub fn check(&self) -> Vec<Finding> {
        let (max_episode_steps, waived) = (self.max_episode_steps, self.waived.clone());
        check_env(&CheckParams { max_episode_steps, waived, ..CheckParams::default() }, &|| self.make())
    }
}

/// What is wrong with an identifier, if anything: it is no word, or stands for something else on the command line and in tables.
fn id_fault(id: &str) -> Option<String> {
    if id.is_empty() || id.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Some("an identifier is a word, such as Walk-v0".to_owned());
    }
    if let Some(prefix) = ["gym:", "gymvec:"].into_iter().find(|prefix| id.starts_with(prefix)) {
        return Some(format!(
            "what begins with {prefix:?} is made by Python's Gymnasium; an identifier of its own is a word, such as Walk-v0"
        ));
    }
    if id.starts_with('-') {
        return Some(
            "what begins with a dash is a flag; an identifier is a word, such as Walk-v0".to_owned(),
        );
    }
    let other = id.chars().find(|c| ",=?*\"<>|".contains(*c))?;
    Some(format!("an identifier has no {other:?}; it is a word, such as Walk-v0"))
}

impl fmt::Debug for EnvSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvSpec")
            .field("id", &self.id)
            .field("observation_space", &self.observation_space)
            .field("action_space", &self.action_space)
            .field("max_episode_steps", &self.max_episode_steps)
            .field("reward_threshold", &self.reward_threshold)
            .field("worst_return", &self.worst_return)
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
        let specs = builtin::specs();
        Registry { specs: specs.into_iter().map(|s| (s.id.clone(), s)).collect() }
    }

    /// Adds an environment.
    ///
    /// # Errors
    ///
    /// [`EnvError::Duplicate`] when the identifier is taken, and those of [`EnvSpec::check_description`].
    pub fn register(&mut self, spec: EnvSpec) -> Result<(), EnvError> {
        spec.check_description()?;
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
            nearest: nearest(id, self.specs.keys().map(String::as_str)),
            known: self.specs.keys().cloned().collect(),
        })
    }

    /// All environments, sorted by identifier.
    pub fn iter(&self) -> impl Iterator<Item = &EnvSpec> {
        self.specs.values()
    }
}
