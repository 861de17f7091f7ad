use crate::{BoxSpace, Env, EnvError, EnvRng, EnvState, Frame, Metric, Space, Step};

/// Shows the last `k` observations at once, the oldest first, along a new first axis; an episode starts with `k` copies
/// of its first observation.
///
/// # Shapes
///
/// Observations of shape `[a, b, …]` become `[k, a, b, …]`; discrete ones are stacked in flattened form, `[k, O]`.
#[derive(Clone, Debug)]
pub struct FrameStack<E> {
    env: E,
    k: usize,
    space: Space,
    frames: Vec<f32>,
    next: Vec<f32>,
}

impl<E: Env> FrameStack<E> {
    /// Stacks `k` observations.
    ///
    /// # Errors
    ///
    /// [`EnvError::Contract`] for `k = 0`.
    pub fn new(env: E, k: usize) -> Result<Self, EnvError> {
        if k == 0 {
            return Err(EnvError::Contract("a stack of 0 frames shows nothing".into()));
        }
        let single = env.observation_space();
        let o = single.flat_len();
        let mut shape = single.flat_shape();
        shape.insert(0, k);
        let space = match single {
            Space::Box(b) => BoxSpace { shape, low: b.low.repeat(k), high: b.high.repeat(k) },
            _ => BoxSpace::uniform(0.0, 1.0, &shape),
        };
        Ok(FrameStack { env, k, space: space.into(), frames: vec![0.0; k * o], next: vec![0.0; o] })
    }

    /// The wrapped environment.
    pub fn inner(&self) -> &E {
        &self.env
    }

    fn check_len(&self, obs: &[f32]) -> Result<(), EnvError> {
        let (got, expected) = (obs.len(), self.frames.len());
        if got == expected {
            Ok(())
        } else {
            Err(EnvError::WrongLength { what: "the observation", got, expected })
        }
    }
}

impl<E: Env> Env for FrameStack<E> {
    type Action = E::Action;

    fn observation_space(&self) -> Space {
        self.space.clone()
    }

    fn action_space(&self) -> Space {
        self.env.action_space()
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        self.check_len(obs)?;
        self.env.reset(rng, &mut self.next)?;
        self.frames.chunks_exact_mut(self.next.len()).for_each(|frame| frame.copy_from_slice(&self.next));
        obs.copy_from_slice(&self.frames);
        Ok(())
    }

    fn step(&mut self, action: &Self::Action, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.check_len(obs)?;
        let step = self.env.step(action, rng, &mut self.next)?;
        let o = self.next.len();
        self.frames.copy_within(o.., 0);
        self.frames[(self.k - 1) * o..].copy_from_slice(&self.next);
        obs.copy_from_slice(&self.frames);
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
        Some(EnvState::new("FrameStack").f32s(&self.frames).wrapping(self.env.save()?))
    }

    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let mut words = state.read("FrameStack")?;
        let frames = self.frames.iter().map(|_| words.f32()).collect::<Result<_, _>>()?;
        words.finish()?;
        self.env.restore(state.wrapped()?)?;
        self.frames = frames;
        Ok(())
    }

    fn render(&self) -> Option<Frame> {
        self.env.render()
    }
}
