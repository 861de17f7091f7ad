use rand::RngCore;

use super::VecEnv;
use crate::{ActionRef, ActionsRef, DynEnv, EnvError, EnvRng, Frame, Metric, Space, Step};

/// A vector of one as an environment that stands alone: for environments that are only made as vectors.
///
/// The vector is made at the first reset. It starts its next episode by itself, so a reset after an end only hands that start over; a
/// reset in the middle of an episode seeds the vector anew.
pub(crate) struct OneOf {
    observation_space: Space,
    action_space: Space,
    make: Box<MakeOne>,
    vector: Option<Box<dyn VecEnv>>,
    over: bool,
}

type MakeOne = dyn Fn() -> Result<Box<dyn VecEnv>, EnvError> + Send;

impl OneOf {
    pub(crate) fn new(observation_space: Space, action_space: Space, make: Box<MakeOne>) -> Self {
        OneOf { observation_space, action_space, make, vector: None, over: false }
    }
}

impl DynEnv for OneOf {
    fn observation_space(&self) -> Space {
        self.observation_space.clone()
    }

    fn action_space(&self) -> Space {
        self.action_space.clone()
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        let vector = match &mut self.vector {
            Some(vector) => vector,
            none => none.insert((self.make)()?),
        };
        if !self.over {
            vector.reset(rng.next_u64(), "env")?;
        }
        self.over = false;
        write(obs, vector.observations())
    }

    fn step(&mut self, action: ActionRef<'_>, _: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        if self.over {
            return Err(EnvError::NeedsReset { when: "after the end of the episode" });
        }
        let Some(vector) = &mut self.vector else {
            return Err(EnvError::NeedsReset { when: "before the first reset" });
        };
        vector.step(match action {
            ActionRef::Discrete(a) => ActionsRef::Discrete(a),
            ActionRef::Continuous(a) => ActionsRef::Continuous(a),
        })?;
        let (reward, end) = (vector.rewards()[0], vector.ends()[0]);
        self.over = end.is_over();
        write(obs, if self.over { vector.final_observations() } else { vector.observations() })?;
        Ok(Step { reward, end })
    }

    fn action_mask(&self, mask: &mut [bool]) -> bool {
        match self.vector.as_ref().and_then(|vector| vector.action_masks()) {
            Some(masks) if masks.len() == mask.len() => {
                mask.copy_from_slice(masks);
                true
            }
            _ => false,
        }
    }

    /// Those of the vector, from the first reset on.
    fn metrics(&self) -> Vec<Metric> {
        self.vector.as_ref().map(|vector| vector.metrics().to_vec()).unwrap_or_default()
    }

    fn read_metrics(&self, values: &mut [f64]) {
        if let Some(vector) = &self.vector
            && vector.metric_values().len() == values.len()
        {
            values.copy_from_slice(vector.metric_values());
        }
    }

    fn render(&self) -> Option<Frame> {
        self.vector.as_ref()?.render(0)
    }
}

fn write(obs: &mut [f32], from: &[f32]) -> Result<(), EnvError> {
    if obs.len() != from.len() {
        return Err(EnvError::WrongLength { what: "the observation", got: obs.len(), expected: from.len() });
    }
    obs.copy_from_slice(from);
    Ok(())
}
