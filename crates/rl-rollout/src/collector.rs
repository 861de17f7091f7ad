//! Stepping environments with a policy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use rl_env::rng::stream;
use rl_env::{EnvError, EnvState, Metric, ObservationNormalizer, Space, VecEnv, VecEnvState, check_metrics};
use rl_nn::distribution::SampleRng;
use rl_nn::{Actions, ActionsRef, Data, Forward, NnError, Noise, PolicyModel, State, States, Workspace};

use crate::episodes::Episodes;
use crate::{Episode, Rollout, RolloutError};

/// Steps environments with a stochastic policy and records what happens.
///
/// Every environment has a generator of its own for its dynamics and another for the actions taken in it, both derived from the seed.
/// Rollouts hold observations and rewards as the [`VecEnv`] gives them, normalised where it normalises; episodes count raw rewards.
pub struct Collector {
    parts: Vec<Part>,
    stop: Arc<AtomicBool>,
}

/// Some neighbouring environments: a rollout of them needs nothing of the others.
struct Part {
    /// The index of the first among all.
    first: usize,
    env: Box<dyn VecEnv>,
    noise: Noise<f32>,
    episodes: Episodes,
    ws: Workspace<f32>,
    bounded: Vec<f32>,
    /// What it did last; its number of steps is the one at which it failed, if it did.
    rollout: Rollout,
}

impl Collector {
    /// Starts an episode in every environment.
    ///
    /// # Errors
    ///
    /// [`RolloutError::Env`] when an environment does not start, or has metrics as [`check_metrics`](rl_env::check_metrics) refuses them.
    pub fn new(env: Box<dyn VecEnv>, seed: u64) -> Result<Self, RolloutError> {
        Collector::in_parts(vec![env], seed)
    }

    /// The same with vectors of environments that know nothing of each other, as [`EnvSpec::make_parts`](rl_env::EnvSpec::make_parts) makes
    /// them: numbered on from part to part, so that each draws from streams of its own, and without common statistics of rewards.
    ///
    /// Whole rollouts of them are taken on as many threads as the current rayon pool has. The result is that of one vector: to the bit
    /// as long as the policy's products are too small to be packed, otherwise up to rounding. It does not depend on the threads.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); [`EnvError::Contract`] for no part, parts with other spaces or metrics than the first, and several that normalise
    /// observations, each with statistics of its own.
    pub fn in_parts(envs: Vec<Box<dyn VecEnv>>, seed: u64) -> Result<Self, RolloutError> {
        let contract = |what: String| Err(EnvError::Contract(what).into());
        if envs.is_empty() {
            return contract("a rollout needs at least one environment".into());
        }
        if envs.len() > 1 && envs.iter().any(|env| env.observation_normalizer().is_some()) {
            return contract("environments in parts cannot share statistics of observations".into());
        }
        let mut parts: Vec<Part> = Vec::with_capacity(envs.len());
        for env in envs {
            let first = parts.last().map_or(0, |part| part.first + part.env.n_envs());
            let part = Part::new(env, first, seed)?;
            if let Some(Part { env, .. }) = parts.first() {
                let same = part.env.observation_space() == env.observation_space()
                    && part.env.action_space() == env.action_space();
                if !same {
                    return contract(format!("environment {first} has other spaces than environment 0"));
                }
                if part.env.metrics() != env.metrics() {
                    return contract(format!("environment {first} has other metrics than environment 0"));
                }
            }
            parts.push(part);
        }
        Ok(Collector { parts, stop: Arc::default() })
    }

    /// Lets rollouts end with [`RolloutError::Stopped`] once the flag is set.
    pub fn stop_by(&mut self, stop: Arc<AtomicBool>) {
        self.stop = stop;
    }

    /// Everything that the next rollout depends on: environments, normalisers, generators, noise, episodes in flight. Environments that cannot be saved
    /// are left out, and will start new episodes.
    ///
    /// # Errors
    ///
    /// [`RolloutError::Nn`] for what a state cannot hold.
    pub fn state(&self) -> Result<State, RolloutError> {
        let mut state = State::new("Collector", 1).with("parts", self.parts.len())?;
        for (i, part) in self.parts.iter().enumerate() {
            state = state.with_part(&format!("part{i}"), part.state()?);
        }
        Ok(state)
    }

    /// Goes on from a state that [`state`](Self::state) gave of the same environments, and says whether all of it is as it was. Environments that could
    /// not be saved have their normalisers as they were, and start new episodes where it is said which resumption it is: from the streams
    /// `(seed, "env/{resumes}", i)`, others than before.
    ///
    /// # Errors
    ///
    /// [`RolloutError::Nn`] and [`RolloutError::Env`] for a state of other environments. The environments cannot be collected from then.
    pub fn restore(&mut self, state: &State, seed: u64, resumes: Option<u64>) -> Result<bool, RolloutError> {
        let state = state.owned_by("Collector", 1)?;
        let parts: usize = state.value("parts")?;
        if parts != self.parts.len() {
            let message = format!("environments in {parts} parts, expected {}", self.parts.len());
            return Err(NnError::Saved(message).into());
        }
        let mut exact = true;
        for (i, part) in self.parts.iter_mut().enumerate() {
            exact &= part.restore(state.part(&format!("part{i}"))?, seed, resumes)?;
        }
        Ok(exact)
    }

    /// The statistics that observations of `len` elements were normalised with in a collector of this [`state`](Self::state), where they were.
    ///
    /// # Errors
    ///
    /// [`NnError::Saved`] for something else than such a state.
    pub fn observation_normalizer_in(
        state: &State,
        len: usize,
    ) -> Result<Option<ObservationNormalizer>, NnError> {
        let part = state.owned_by("Collector", 1)?.part("part0")?.owned_by("Environments", 1)?;
        let layers: Vec<EnvState> = part.value("layers")?;
        let read = layers.iter().find_map(|layer| ObservationNormalizer::of_layer(layer, len));
        read.transpose().map_err(|e| NnError::Saved(e.to_string()))
    }

    /// The statistics observations are normalised with, where they are.
    pub fn observation_normalizer(&self) -> Option<&ObservationNormalizer> {
        self.parts.iter().find_map(|part| part.env.observation_normalizer())
    }

    /// Whether the environments allow only some actions in some states.
    pub fn has_masks(&self) -> bool {
        self.parts.iter().any(|part| part.env.action_masks().is_some())
    }

    /// What the environments measure of their steps beside rewards.
    pub fn metrics(&self) -> &[Metric] {
        self.parts.first().map_or(&[], |part| part.env.metrics())
    }

    /// Takes `n_steps` steps in every environment with `a ~ π_θ(·|s)`; episodes in flight go on from call to call.
    ///
    /// The episodes that finished are appended to `finished` in the order of their end. The environment gets what the policy's
    /// [`Bounding`](rl_nn::Bounding) makes of a sample; the rollout keeps the sample and its log-probability. Actions that the environment masks are
    /// never taken.
    ///
    /// # Errors
    ///
    /// [`RolloutError::Mismatch`] for a policy of other sizes than the environment's, [`RolloutError::NonFinite`] for one
    /// whose parameters are no longer finite, [`RolloutError::NoAction`] for a state in which every action is masked, [`RolloutError::Nn`] for masks of
    /// actions that cannot be masked, [`RolloutError::Env`] for a failing environment: the first to fail in the order of steps.
    /// What the rollout holds then is unspecified, and the environments cannot be collected from any further.
    pub fn collect(
        &mut self,
        policy: &PolicyModel<f32>,
        theta: &[f32],
        n_steps: usize,
        rollout: &mut Rollout,
        finished: &mut Vec<Episode>,
    ) -> Result<(), RolloutError> {
        rollout.clear();
        if let [_] = &self.parts[..] {
            return self.collect_in_place(policy, theta, Length::Steps(n_steps), rollout, finished);
        }
        let stop = &self.stop;
        let outcomes: Vec<_> = self
            .parts
            .par_iter_mut()
            .map(|part| part.collect(policy, theta, Length::Steps(n_steps), stop))
            .collect();
        let parts: Vec<&Rollout> = self.parts.iter().map(|part| &part.rollout).collect();
        let failed = outcomes
            .into_iter()
            .zip(&parts)
            .filter_map(|(outcome, part)| Some((part.n_steps, outcome.err()?)));
        let first_failed = failed.min_by_key(|(step, _)| *step);
        let end = first_failed.as_ref().map_or(n_steps, |(step, _)| *step);
        if first_failed.is_none() {
            rollout.join(&parts);
        }
        self.report_finished(end, finished);
        first_failed.map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Takes steps in the one environment there is until `n_episodes` whole episodes have ended, the one in flight among them: the rollout is as long as they
    /// are.
    ///
    /// # Errors
    ///
    /// [`RolloutError::EpisodesOfMany`] for several environments, [`RolloutError::Endless`] for episodes of more than 2²⁸ steps together; otherwise as
    /// [`collect`](Self::collect).
    pub fn collect_episodes(
        &mut self,
        policy: &PolicyModel<f32>,
        theta: &[f32],
        n_episodes: usize,
        rollout: &mut Rollout,
        finished: &mut Vec<Episode>,
    ) -> Result<(), RolloutError> {
        rollout.clear();
        let n_envs = self.parts.iter().map(|part| part.env.n_envs()).sum();
        if n_envs != 1 {
            return Err(RolloutError::EpisodesOfMany { n_envs });
        }
        self.collect_in_place(policy, theta, Length::Episodes(n_episodes), rollout, finished)
    }

    /// A rollout of the only part, on this thread and in the caller's buffer.
    fn collect_in_place(
        &mut self,
        policy: &PolicyModel<f32>,
        theta: &[f32],
        length: Length,
        rollout: &mut Rollout,
        finished: &mut Vec<Episode>,
    ) -> Result<(), RolloutError> {
        let Some(part) = self.parts.first_mut() else { return Ok(()) };
        std::mem::swap(&mut part.rollout, rollout);
        let outcome = part.collect(policy, theta, length, &self.stop);
        std::mem::swap(&mut part.rollout, rollout);
        self.report_finished(rollout.n_steps, finished);
        outcome
    }

    /// Appends the episodes that ended before step `end`, in the order of steps and of environments within one.
    fn report_finished(&mut self, end: usize, finished: &mut Vec<Episode>) {
        let mut all: Vec<(usize, Episode)> =
            self.parts.iter_mut().flat_map(|part| part.episodes.finished.drain(..)).collect();
        // Stable: the parts stand in the order of their environments.
        all.sort_by_key(|(step, _)| *step);
        finished.extend(all.into_iter().take_while(|(step, _)| *step < end).map(|(_, episode)| episode));
    }
}

/// When a rollout ends.
#[derive(Clone, Copy)]
enum Length {
    /// After so many steps of every environment.
    Steps(usize),
    /// With so many episodes of the only one.
    Episodes(usize),
}

/// The most steps of a rollout.
const MOST_STEPS: usize = 1 << 28;

impl Length {
    fn most_steps(self) -> usize {
        match self {
            Length::Steps(n_steps) => n_steps,
            Length::Episodes(_) => MOST_STEPS,
        }
    }
}

impl Part {
    fn state(&self) -> Result<State, RolloutError> {
        let Part { env, noise, episodes, .. } = self;
        let state = State::new("Environments", 1)
            .with("first", self.first)?
            .with("env", env.save())?
            .with("layers", env.save_layers())?
            .with("rngs", &noise.rngs)?
            .with("noise_age", noise.age)?
            .with_array("noise", Data::F32(noise.state.clone()));
        Ok(episodes.add_to(state)?)
    }

    fn restore(&mut self, state: &State, seed: u64, resumes: Option<u64>) -> Result<bool, RolloutError> {
        let state = state.owned_by("Environments", 1)?;
        let n = self.env.n_envs();
        let rngs: Vec<SampleRng> = state.value("rngs")?;
        if state.value::<usize>("first")? != self.first || rngs.len() != n {
            return Err(
                NnError::Saved(format!("the state is of {} environments, expected {n}", rngs.len())).into()
            );
        }
        self.noise.rngs = rngs;
        self.noise.state = state.all_f32s("noise")?.to_vec();
        self.noise.age = state.value("noise_age")?;
        let saved: Option<VecEnvState> = state.value("env")?;
        let exact = saved.is_some();
        match saved {
            Some(saved) => {
                self.env.restore(&saved)?;
                self.episodes.restore(state)?;
            }
            None => {
                self.env.restore_layers(&state.value::<Vec<EnvState>>("layers")?)?;
                if let Some(resumes) = resumes {
                    self.env.reset(seed, &format!("env/{resumes}"))?;
                }
                self.episodes = Episodes::new(&*self.env);
            }
        }
        Ok(exact)
    }

    fn new(mut env: Box<dyn VecEnv>, first: usize, seed: u64) -> Result<Self, RolloutError> {
        env.reset(seed, "env")?;
        let n = env.n_envs();
        check_metrics(&*env)?;
        Ok(Part {
            first,
            noise: Noise::new((first..first + n).map(|i| stream(seed, "action", i as u64)).collect()),
            episodes: Episodes::new(&*env),
            env,
            ws: Workspace::default(),
            bounded: Vec::new(),
            rollout: Rollout::new(Actions::default()),
        })
    }

    fn collect(
        &mut self,
        policy: &PolicyModel<f32>,
        theta: &[f32],
        length: Length,
        stop: &AtomicBool,
    ) -> Result<(), RolloutError> {
        self.env.set_stepping(true);
        let collected = self.step_through(policy, theta, length, stop);
        self.env.set_stepping(false);
        collected
    }

    fn step_through(
        &mut self,
        policy: &PolicyModel<f32>,
        theta: &[f32],
        length: Length,
        stop: &AtomicBool,
    ) -> Result<(), RolloutError> {
        let Part { first, env, noise, episodes, ws, bounded, rollout } = self;
        rollout.clear();
        let n = env.n_envs();
        let obs_len = env.observation_space().flat_len();
        let action_len = env.action_space().action_len();
        if env.valid().is_some() && matches!(length, Length::Steps(n_steps) if n_steps < 2) {
            return Err(EnvError::Contract(
                "episodes begin in a step of their own: a rollout needs at least two".into(),
            )
            .into());
        }
        let n_outputs = policy.network.n_outputs();
        check_sizes(policy, env.observation_space(), env.action_space())?;
        let new_actions = policy.distribution.new_actions();
        if std::mem::discriminant(&new_actions) != std::mem::discriminant(&rollout.actions) {
            rollout.actions = new_actions;
        }
        let (net_theta, globals) = policy.split(theta)?;
        let mut forward = Forward::new(&*policy.network, net_theta, ws)?;
        noise.begin();

        rollout.n_envs = n;
        rollout.policy_globals.extend_from_slice(globals);
        let (most, mut ended) = (length.most_steps(), 0);
        for t in 0..most {
            if stop.load(Ordering::Relaxed) {
                return Err(RolloutError::Stopped);
            }
            let (row, y_start, a_start) = (t * n, t * n * n_outputs, t * n * action_len);
            rollout.observations.extend_from_slice(env.observations());
            rollout.episode_starts.extend_from_slice(&episodes.starts);
            rollout.policy_outputs.resize(y_start + n * n_outputs, 0.0);
            rollout.log_probs.resize(row + n, 0.0);

            let y = &mut rollout.policy_outputs[y_start..];
            let masks = env.action_masks();
            rollout.masks.extend_from_slice(masks.unwrap_or_default());
            let states = States::new(env.observations(), obs_len)?.with_masks(masks)?;
            forward.run(&states, y)?;
            let non_finite =
                |what, row, value| RolloutError::NonFinite { env: *first + row, step: t, what, value };
            if let Some(k) = y.iter().position(|y| !y.is_finite()) {
                return Err(non_finite("output", k / n_outputs, y[k]));
            }
            policy.mask(&states, y).map_err(|e| match e {
                NnError::NoAction { row } => RolloutError::NoAction { env: *first + row, step: t },
                e => e.into(),
            })?;
            let log_probs = &mut rollout.log_probs[row..];
            policy.distribution.sample(policy.params(y, theta)?, noise, &mut rollout.actions, log_probs)?;
            if let Some(i) = log_probs.iter().position(|p| !p.is_finite()) {
                return Err(non_finite("log-probability", i, log_probs[i]));
            }

            let samples = match &rollout.actions {
                Actions::Discrete(a) => ActionsRef::Discrete(&a[a_start..]),
                Actions::Continuous(a) => ActionsRef::Continuous(&a[a_start..]),
            };
            let actions = match policy.bounding.apply(samples, bounded) {
                ActionsRef::Discrete(a) => rl_env::ActionsRef::Discrete(a),
                ActionsRef::Continuous(a) => rl_env::ActionsRef::Continuous(a),
            };
            env.step(actions)?;
            rollout.n_steps = t + 1;
            episodes.record(t, &**env, rollout);
            ended += env.ends().iter().filter(|end| end.is_over()).count();
            if matches!(length, Length::Episodes(wanted) if ended >= wanted) {
                break;
            }
            if let Length::Episodes(wanted) = length
                && t + 1 == most
            {
                return Err(RolloutError::Endless { episodes: ended, wanted, steps: most });
            }
        }
        rollout.last_observations.extend_from_slice(env.observations());
        Ok(())
    }
}

/// Checks that a policy sees such observations and gives such actions.
///
/// # Errors
///
/// [`RolloutError::Mismatch`], [`RolloutError::ActionKind`] and [`RolloutError::Choices`], which say what differs.
pub fn check_fit(
    policy: &PolicyModel<f32>,
    observations: &Space,
    actions: &Space,
) -> Result<(), RolloutError> {
    check_sizes(policy, observations, actions)?;
    let kinds = ["choices", "reals"];
    let policy_kind = kinds[usize::from(matches!(policy.distribution.new_actions(), Actions::Continuous(_)))];
    let env_kind = kinds[usize::from(matches!(actions, Space::Box(_)))];
    if policy_kind != env_kind {
        return Err(RolloutError::ActionKind { policy: policy_kind, env: env_kind });
    }
    // A mask has one place a choice, and one that forbids all the choices of a dimension leaves no action.
    let mut outputs = vec![0.0; policy.distribution.n_outputs()];
    for (dimension, block) in actions.mask_blocks().enumerate() {
        let choices = block.len();
        let mut mask = vec![true; actions.mask_len()];
        mask[block].fill(false);
        outputs.fill(0.0);
        match policy.distribution.mask(&mask, &mut outputs) {
            Err(NnError::NoAction { .. } | NnError::Unmaskable) => {}
            Err(NnError::Shape { expected, .. }) => {
                let (what, env) = ("choices of an action", actions.mask_len());
                return Err(RolloutError::Mismatch { what, policy: expected, env });
            }
            _ => return Err(RolloutError::Choices { dimension, choices }),
        }
    }
    Ok(())
}

/// The part of that that is quick enough for every rollout.
fn check_sizes(policy: &PolicyModel<f32>, observations: &Space, actions: &Space) -> Result<(), RolloutError> {
    let (inputs, action_len) = (policy.network.n_inputs(), policy.distribution.action_len());
    for (what, policy, env) in [
        ("elements of an observation", inputs, observations.flat_len()),
        ("elements of an action", action_len, actions.action_len()),
    ] {
        if policy != env {
            return Err(RolloutError::Mismatch { what, policy, env });
        }
    }
    Ok(())
}
