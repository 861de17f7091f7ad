//! When a run is evaluated, in environments of its own.

use std::sync::atomic::AtomicBool;

use rl_env::{EnvSpec, VecEnv};
use rl_nn::{Data, NnError, State};

use crate::evaluation::N_EVAL_ENVS;
use crate::{Acting, Actor, Episodes, EvalConfig, Evaluation, TrainError, evaluate};

/// The evaluation's environments, its schedule and the best result so far.
pub(crate) struct Evaluator {
    config: EvalConfig,
    env: Box<dyn VecEnv>,
    /// Whether episodes come to their time limit before they are left.
    has_limit: bool,
    next: u64,
    best: Option<f64>,
    /// Whether the evaluation at the end was.
    is_done: bool,
}

impl Evaluator {
    pub(crate) fn new(env: &EnvSpec, config: EvalConfig) -> Result<Self, TrainError> {
        config.validate()?;
        let n = config.episodes.max(config.final_episodes).min(N_EVAL_ENVS);
        let has_limit = env.max_episode_steps.is_some_and(|limit| u64::from(limit) <= config.max_steps);
        Ok(Evaluator {
            config,
            env: env.make_vec(n)?,
            has_limit,
            next: config.freq,
            best: None,
            is_done: false,
        })
    }

    /// Whether an evaluation is due.
    pub(crate) fn is_due(&self, step: u64, is_over: bool) -> bool {
        if is_over { !self.is_done } else { step >= self.next }
    }

    /// The number of episodes where an evaluation is due, which is then taken as done.
    pub(crate) fn due(&mut self, step: u64, is_over: bool) -> Option<usize> {
        // A run that went on with a larger budget will have another end.
        self.is_done &= is_over;
        if is_over && std::mem::replace(&mut self.is_done, true) {
            return None;
        }
        if !is_over && step < self.next {
            return None;
        }
        self.next = (step / self.config.freq + 1) * self.config.freq;
        Some(if is_over { self.config.final_episodes } else { self.config.episodes })
    }

    /// Evaluates an actor that takes the most probable actions.
    pub(crate) fn evaluate(
        &mut self,
        actor: Actor<'_>,
        episodes: usize,
        seed: u64,
        stop: &AtomicBool,
    ) -> Result<Evaluation, TrainError> {
        let episodes = Episodes { n: episodes, max_steps: self.config.max_steps };
        evaluate(actor, &mut *self.env, episodes, seed, Acting::Deterministic, stop)
    }

    /// The steps after which an episode is left that has no time limit before.
    pub(crate) fn leaves_after(&self) -> Option<u64> {
        Some(self.config.max_steps).filter(|_| !self.has_limit)
    }

    /// When the next one is due, and the best so far.
    pub(crate) fn state(&self) -> Result<State, NnError> {
        let best = Data::F64(self.best.into_iter().collect());
        Ok(State::new("Evaluator", 1)
            .with("next", self.next)?
            .with("is_done", self.is_done)?
            .with_array("best", best))
    }

    pub(crate) fn restore(&mut self, state: &State) -> Result<(), NnError> {
        let state = state.owned_by("Evaluator", 1)?;
        (self.next, self.is_done) = (state.value("next")?, state.value("is_done")?);
        self.best = state.f64s("best")?.first().copied();
        Ok(())
    }

    /// Whether no earlier evaluation was better.
    pub(crate) fn is_best(&mut self, mean: f64) -> bool {
        let is_best = self.best.is_none_or(|best| mean >= best);
        if is_best {
            self.best = Some(mean);
        }
        is_best
    }
}
