use crate::envs::Phase;
use crate::vec_env::check_action;
use crate::{ActionRef, DynEnv, EnvError, EnvRng, EnvState, Frame, Metric, Space, Step};

/// Refuses a step before the first reset or after the end of an episode, an action outside the action space, and a slice of another length than the
/// observation, whatever the
/// environment itself would do; the registry adds it to an environment that stands alone.
///
/// Indices must be in range. Reals must be finite, and may lie beyond the bounds of a box, for environments define what they do with
/// those.
///
/// ```
/// use rl_env::wrappers::Guard;
/// use rl_env::{ActionRef, DynEnv, envs::Pendulum, rng::stream};
///
/// let (mut env, mut rng, mut obs) = (Guard::new(Pendulum::new()), stream(0, "env", 0), [0.0; 3]);
/// let nan = ActionRef::Continuous(&[f32::NAN]);
/// assert_eq!(env.step(nan, &mut rng, &mut obs).unwrap_err().to_string(), "step called before the first reset: call reset first");
/// env.reset(&mut rng, &mut obs)?;
/// assert!(env.step(nan, &mut rng, &mut obs).is_err());
/// assert!(env.step(ActionRef::Continuous(&[9.0]), &mut rng, &mut obs).is_ok());
/// # Ok::<(), rl_env::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Guard<E> {
    env: E,
    obs_len: usize,
    action_space: Space,
    phase: Phase,
}

impl<E: DynEnv> Guard<E> {
    /// Guards `env`.
    pub fn new(env: E) -> Self {
        let (obs_len, action_space) = (env.observation_space().flat_len(), env.action_space());
        Guard { obs_len, action_space, env, phase: Phase::Fresh }
    }

    fn check_len(&self, obs: &[f32]) -> Result<(), EnvError> {
        let (got, expected) = (obs.len(), self.obs_len);
        if got == expected {
            Ok(())
        } else {
            Err(EnvError::WrongLength { what: "the slice for the observation", got, expected })
        }
    }

    /// The wrapped environment.
    pub fn inner(&self) -> &E {
        &self.env
    }
}

impl<E: DynEnv> DynEnv for Guard<E> {
    fn observation_space(&self) -> Space {
        self.env.observation_space()
    }

    fn action_space(&self) -> Space {
        self.env.action_space()
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        self.check_len(obs)?;
        self.env.reset(rng, obs)?;
        self.phase = Phase::Running;
        Ok(())
    }

    fn step(&mut self, action: ActionRef<'_>, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.phase.check()?;
        check_action(&self.action_space, action)?;
        self.check_len(obs)?;
        let step = self.env.step(action, rng, obs)?;
        if step.end.is_over() {
            self.phase = Phase::Over;
        }
        Ok(step)
    }

    fn action_mask(&self, mask: &mut [bool]) -> bool {
        self.env.action_mask(mask)
    }

    fn metrics(&self) -> Vec<Metric> {
        self.env.metrics()
    }

    fn read_metrics(&self, values: &mut [f64]) {
        self.env.read_metrics(values);
    }

    fn save(&self) -> Option<EnvState> {
        Some(self.phase.save(EnvState::new("Guard")).wrapping(self.env.save()?))
    }

    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let mut words = state.read("Guard")?;
        let phase = Phase::read(&mut words)?;
        words.finish()?;
        self.env.restore(state.wrapped()?)?;
        self.phase = phase;
        Ok(())
    }

    fn render(&self) -> Option<Frame> {
        self.env.render()
    }
}
