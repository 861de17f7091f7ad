use crate::space::clip;
use crate::{
    ActionRef, BoxSpace, Env, EnvAction, EnvError, EnvRng, EnvState, Frame, Metric, Space, Step,
    space::box_of,
};

/// Takes any reals as an action and clips them to the bounds of the wrapped environment's action box.
///
/// ```
/// use rl_env::{DynEnv, Env, envs::Pendulum, rng::stream, wrappers::ClipAction};
/// let (mut env, mut rng, mut obs) = (ClipAction::new(Pendulum::new())?, stream(0, "env", 0), [0.0; 3]);
/// Env::reset(&mut env, &mut rng, &mut obs)?;
/// Env::step(&mut env, &[1e9], &mut rng, &mut obs)?; // as 2.0
/// # Ok::<(), rl_env::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClipAction<E> {
    env: E,
    bounds: BoxSpace,
    clipped: Vec<f32>,
}

impl<E: Env> ClipAction<E> {
    /// Wraps an environment whose action space is a box.
    ///
    /// # Errors
    ///
    /// [`EnvError::Contract`] for any other action space.
    pub fn new(env: E) -> Result<Self, EnvError> {
        let bounds = box_of(env.action_space(), "ClipAction")?;
        Ok(ClipAction { clipped: vec![0.0; bounds.low.len()], env, bounds })
    }

    /// The wrapped environment.
    pub fn inner(&self) -> &E {
        &self.env
    }
}

impl<E: Env> Env for ClipAction<E> {
    type Action = [f32];

    fn observation_space(&self) -> Space {
        self.env.observation_space()
    }

    fn action_space(&self) -> Space {
        BoxSpace::uniform(f32::NEG_INFINITY, f32::INFINITY, &self.bounds.shape).into()
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        self.env.reset(rng, obs)
    }

    fn step(&mut self, action: &[f32], rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        if action.len() != self.clipped.len() {
            let (got, expected) = (action.len(), self.clipped.len());
            return Err(EnvError::WrongLength { what: "the action", got, expected });
        }
        if action.iter().any(|x| x.is_nan()) {
            return Err(EnvError::invalid_action(action, Env::action_space(self)));
        }
        let bounds = self.bounds.low.iter().zip(&self.bounds.high);
        for ((to, from), (&low, &high)) in self.clipped.iter_mut().zip(action).zip(bounds) {
            *to = clip(*from, low, high);
        }
        self.env.step(E::Action::from_ref(ActionRef::Continuous(&self.clipped))?, rng, obs)
    }

    fn metrics(&self) -> Vec<Metric> {
        self.env.metrics()
    }

    fn read_metrics(&self, values: &mut [f64]) {
        self.env.read_metrics(values);
    }

    fn save(&self) -> Option<EnvState> {
        self.env.save()
    }

    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.env.restore(state)
    }

    fn render(&self) -> Option<Frame> {
        self.env.render()
    }
}
