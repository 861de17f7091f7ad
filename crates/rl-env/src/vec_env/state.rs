use serde::{Deserialize, Serialize};

use crate::{EnvError, EnvRng, EnvState, StepEnd};

/// A saved [`VecEnv`](crate::VecEnv): environments, generators, and the buffers of its last step.
///
/// Reals are kept as their bits, so that every serialisation format brings them back exactly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VecEnvState {
    /// Each environment, episode in flight included.
    pub envs: Vec<EnvState>,
    /// Each environment's generator.
    pub rngs: Vec<EnvRng>,
    /// Bits of the observations, `[N, O]`.
    pub observations: Vec<u32>,
    /// Bits of the final observations, `[N, O]`.
    pub final_observations: Vec<u32>,
    /// Bits of the rewards, `[N]`.
    pub rewards: Vec<u64>,
    /// How each environment's last step ended, `[N]`.
    pub ends: Vec<StepEnd>,
    /// Steps taken since the construction.
    pub steps: u64,
    /// The states of the layers over the environments (normalisers), the innermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<EnvState>,
}

impl VecEnvState {
    /// The state of the outermost layer, and that of everything below it.
    ///
    /// # Errors
    ///
    /// [`EnvError::InvalidState`] when no layer was saved.
    pub fn split_layer(&self) -> Result<(&EnvState, VecEnvState), EnvError> {
        let (layer, below) = split_layer(&self.layers)?;
        Ok((layer, VecEnvState { layers: below.to_vec(), ..self.clone() }))
    }
}

/// The state of the outermost layer, and those below it.
///
/// # Errors
///
/// [`EnvError::InvalidState`] when no layer was saved.
pub(crate) fn split_layer(layers: &[EnvState]) -> Result<(&EnvState, &[EnvState]), EnvError> {
    layers.split_last().ok_or_else(|| EnvError::InvalidState("it was saved without a normaliser".into()))
}
