//! The [`Env`] trait, what a step returns, and the erased form derived for every environment.

use crate::render::Frame;
use crate::{Action, ActionRef, EnvAction, EnvError, EnvRng, EnvState, Metric, Space};

/// How a step left the episode.
///
/// Where an environment terminates on the very step its time limit falls, the step is [`StepEnd::Terminated`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
pub enum StepEnd {
    /// The episode goes on.
    #[default]
    Continues,
    /// A terminal state: no reward can follow, so the value to bootstrap from is 0.
    Terminated,
    /// Cut short from outside (a time limit): the value to bootstrap from is that of the final observation.
    Truncated,
}

impl StepEnd {
    /// Whether the episode is over, for either reason.
    #[inline]
    pub fn is_over(self) -> bool {
        self != StepEnd::Continues
    }
}

/// The outcome of one step, beside the observation written in place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The reward of the transition.
    pub reward: f64,
    /// Whether and why the episode ended.
    pub end: StepEnd,
}

/// An environment: a Markov decision process stepped in place.
///
/// Observations are written into the caller's slice, whose length is the observation space's
/// [`flat_len`](Space::flat_len). No call may allocate on the way; every draw comes from the generator passed in.
///
/// ```
/// use rl_env::{BoxSpace, Env, EnvError, EnvRng, Space, Step, StepEnd};
///
/// /// Walk right from 0 to 5; every step costs 1.
/// struct Corridor { x: usize }
///
/// impl Env for Corridor {
///     type Action = usize;
///     fn observation_space(&self) -> Space { BoxSpace::uniform(0.0, 5.0, &[1]).into() }
///     fn action_space(&self) -> Space { Space::Discrete(2) }
///     fn reset(&mut self, _: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
///         self.x = 0;
///         obs[0] = 0.0;
///         Ok(())
///     }
///     fn step(&mut self, &action: &usize, _: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
///         self.x = if action == 1 { self.x + 1 } else { self.x.saturating_sub(1) };
///         obs[0] = self.x as f32;
///         let end = if self.x == 5 { StepEnd::Terminated } else { StepEnd::Continues };
///         Ok(Step { reward: -1.0, end })
///     }
/// }
/// ```
pub trait Env: Send {
    /// `usize` for a `Discrete` action space, `[f32]` or `[f32; N]` for a `Box`, `[usize]` for the others.
    type Action: EnvAction + ?Sized;

    /// What observations look like; the same at every call.
    fn observation_space(&self) -> Space;

    /// What actions look like; the same at every call.
    fn action_space(&self) -> Space;

    /// Starts an episode and writes its first observation.
    ///
    /// # Errors
    ///
    /// Whatever keeps the environment from starting.
    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError>;

    /// Takes one step and writes the observation it leads to.
    ///
    /// # Errors
    ///
    /// [`EnvError::InvalidAction`] for an action outside the action space where the environment does not define what
    /// it does, [`EnvError::MaskedAction`] for one that its mask forbids; the environment is then as it was before.
    fn step(&mut self, action: &Self::Action, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError>;

    /// Writes which actions are allowed now, and says whether there is such a mask: always the same answer from the first reset on.
    /// Without one (the default) every action is. After a reset and after a step that does not end the episode, every dimension has a
    /// choice that is allowed.
    ///
    /// # Shapes
    ///
    /// `mask` has the action space's [`mask_len`](Space::mask_len) elements: one a choice, dimension by dimension.
    fn action_mask(&self, _mask: &mut [bool]) -> bool {
        false
    }

    /// What it measures of its steps beside rewards, such as whether a goal was reached; the same at every call. Of an episode it is what
    /// [`Metric::reduction`] says, and a run logs the mean over episodes as `rollout/NAME` and `eval/NAME`.
    fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }

    /// Writes the metrics of the last step, and leaves alone those that the step has no value of. Asked after every step where there are metrics, never
    /// after a reset.
    ///
    /// # Shapes
    ///
    /// `values` has an element for each of [`metrics`](Env::metrics), NaN until it is written.
    fn read_metrics(&self, _values: &mut [f64]) {}

    /// The exact state, from which [`restore`](Env::restore) continues to the bit; `None` when the environment cannot
    /// say (a resumed run then starts its episodes anew).
    fn save(&self) -> Option<EnvState> {
        None
    }

    /// Puts the environment back into a saved state.
    ///
    /// # Errors
    ///
    /// [`EnvError::InvalidState`] for a state that is not this environment's, which then stays as it was;
    /// [`EnvError::CannotRestore`] where [`save`](Env::save) gives `None`.
    fn restore(&mut self, _state: &EnvState) -> Result<(), EnvError> {
        Err(EnvError::CannotRestore)
    }

    /// A picture of the present state; `None` for an environment that draws none.
    fn render(&self) -> Option<Frame> {
        None
    }
}

/// An [`Env`] with its action type erased, for the registry and the command line; derived for every `Env`.
pub trait DynEnv: Send {
    /// See [`Env::observation_space`].
    fn observation_space(&self) -> Space;
    /// See [`Env::action_space`].
    fn action_space(&self) -> Space;
    /// See [`Env::reset`].
    ///
    /// # Errors
    ///
    /// Those of [`Env::reset`].
    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError>;
    /// See [`Env::step`].
    ///
    /// # Errors
    ///
    /// Those of [`Env::step`], and [`EnvError::ActionKind`] for an action of the wrong kind.
    fn step(&mut self, action: ActionRef<'_>, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError>;
    /// See [`Env::action_mask`].
    fn action_mask(&self, _mask: &mut [bool]) -> bool {
        false
    }
    /// Draws an action that is allowed now, every allowed choice of a dimension equally likely.
    ///
    /// # Errors
    ///
    /// [`EnvError::Contract`] where the mask allows nothing.
    fn sample_action(&self, rng: &mut EnvRng) -> Result<Action, EnvError> {
        let space = self.action_space();
        let mut mask = vec![true; space.mask_len()];
        if self.action_mask(&mut mask) { space.sample_allowed(&mask, rng) } else { Ok(space.sample(rng)) }
    }
    /// See [`Env::metrics`].
    fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }
    /// See [`Env::read_metrics`].
    fn read_metrics(&self, _values: &mut [f64]) {}
    /// See [`Env::save`].
    fn save(&self) -> Option<EnvState> {
        None
    }
    /// See [`Env::restore`].
    ///
    /// # Errors
    ///
    /// Those of [`Env::restore`].
    fn restore(&mut self, _state: &EnvState) -> Result<(), EnvError> {
        Err(EnvError::CannotRestore)
    }
    /// See [`Env::render`].
    fn render(&self) -> Option<Frame> {
        None
    }
}

impl<E: Env> DynEnv for E {
    fn observation_space(&self) -> Space {
        Env::observation_space(self)
    }
    fn action_space(&self) -> Space {
        Env::action_space(self)
    }
    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        Env::reset(self, rng, obs)
    }
    #[inline(always)]
    fn step(&mut self, action: ActionRef<'_>, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        Env::step(self, E::Action::from_ref(action)?, rng, obs)
    }
    fn action_mask(&self, mask: &mut [bool]) -> bool {
        Env::action_mask(self, mask)
    }
    fn metrics(&self) -> Vec<Metric> {
        Env::metrics(self)
    }
    fn read_metrics(&self, values: &mut [f64]) {
        Env::read_metrics(self, values);
    }
    fn save(&self) -> Option<EnvState> {
        Env::save(self)
    }
    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        Env::restore(self, state)
    }
    fn render(&self) -> Option<Frame> {
        Env::render(self)
    }
}

impl DynEnv for Box<dyn DynEnv> {
    fn observation_space(&self) -> Space {
        (**self).observation_space()
    }
    fn action_space(&self) -> Space {
        (**self).action_space()
    }
    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        (**self).reset(rng, obs)
    }
    fn step(&mut self, action: ActionRef<'_>, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        (**self).step(action, rng, obs)
    }
    fn action_mask(&self, mask: &mut [bool]) -> bool {
        (**self).action_mask(mask)
    }
    fn metrics(&self) -> Vec<Metric> {
        (**self).metrics()
    }
    fn read_metrics(&self, values: &mut [f64]) {
        (**self).read_metrics(values);
    }
    fn save(&self) -> Option<EnvState> {
        (**self).save()
    }
    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        (**self).restore(state)
    }
    fn render(&self) -> Option<Frame> {
        (**self).render()
    }
}
