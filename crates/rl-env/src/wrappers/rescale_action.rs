use crate::space::clip;
use crate::{
    ActionRef, BoxSpace, Env, EnvAction, EnvError, EnvRng, EnvState, Frame, Metric, Space, Step,
    space::box_of,
};

/// Takes actions in `[low, high]` and maps them affinely to the bounds of the wrapped environment's action box.
///
/// `a' = low' + (a − low) (high' − low') / (high − low)`, clipped to `[low', high']`.
///
/// ```
/// use rl_env::{Env, envs::Pendulum, rng::stream, wrappers::RescaleAction};
/// let env = RescaleAction::new(Pendulum::new(), -1.0, 1.0)?; // 1 is now a torque of 2 N·m
/// assert_eq!(env.action_space().to_string(), "Box(-1, 1, [1])");
/// # Ok::<(), rl_env::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RescaleAction<E> {
    env: E,
    low: f32,
    high: f32,
    bounds: BoxSpace,
    rescaled: Vec<f32>,
}

impl<E: Env> RescaleAction<E> {
    /// Wraps an environment whose action space is a bounded box.
    ///
    /// # Errors
    ///
    /// [`EnvError::Contract`] for any other action space, and unless `low < high`, both finite.
    pub fn new(env: E, low: f32, high: f32) -> Result<Self, EnvError> {
        let bounds = box_of(env.action_space(), "RescaleAction")?;
        let bounded = bounds.low.iter().chain(&bounds.high).all(|x| x.is_finite());
        if !bounded || !low.is_finite() || !high.is_finite() || low >= high {
            return Err(EnvError::Contract(format!(
                "no way to rescale [{low}, {high}] to {}",
                Space::Box(bounds)
            )));
        }
        Ok(RescaleAction { rescaled: vec![0.0; bounds.low.len()], env, low, high, bounds })
    }

    /// The wrapped environment.
    pub fn inner(&self) -> &E {
        &self.env
    }
}

impl<E: Env> Env for RescaleAction<E> {
    type Action = [f32];

    fn observation_space(&self) -> Space {
        self.env.observation_space()
    }

    fn action_space(&self) -> Space {
        BoxSpace::uniform(self.low, self.high, &self.bounds.shape).into()
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        self.env.reset(rng, obs)
    }

    fn step(&mut self, action: &[f32], rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        if action.len() != self.rescaled.len() {
            let (got, expected) = (action.len(), self.rescaled.len());
            return Err(EnvError::WrongLength { what: "the action", got, expected });
        }
        if action.iter().any(|x| x.is_nan()) {
            return Err(EnvError::invalid_action(action, Env::action_space(self)));
        }
        let (low, width) = (f64::from(self.low), f64::from(self.high) - f64::from(self.low));
        let bounds = self.bounds.low.iter().zip(&self.bounds.high);
        for ((to, &from), (&to_low, &to_high)) in self.rescaled.iter_mut().zip(action).zip(bounds) {
            let share = (f64::from(from) - low) / width;
            let x = f64::from(to_low) + share * (f64::from(to_high) - f64::from(to_low));
            *to = clip(x as f32, to_low, to_high);
        }
        self.env.step(E::Action::from_ref(ActionRef::Continuous(&self.rescaled))?, rng, obs)
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
