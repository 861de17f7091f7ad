use serde::{Deserialize, Serialize};

use super::moments::{INITIAL_COUNT, merge};
use crate::vec_env::split_layer;
use crate::{
    ActionsRef, BoxSpace, EnvError, EnvState, Frame, Metric, Space, StateReader, StepEnd, VecEnv, VecEnvState,
};

/// Running mean and variance of every element of an observation; what a saved policy carries.
///
/// `x ← clip((x − mean) / √(var + ε), ±clip)`
///
/// ```
/// use rl_env::ObservationNormalizer;
/// let mut normalizer = ObservationNormalizer::new(1);
/// normalizer.update(&[1.0, 3.0])?; // two observations: mean 2, variance 1
/// let mut obs = [4.0];
/// normalizer.normalize(&mut obs);
/// assert!((obs[0] - 2.0).abs() < 1e-3);
/// # Ok::<(), rl_env::EnvError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObservationNormalizer {
    /// Mean of each element, `[O]`.
    pub mean: Vec<f64>,
    /// Population variance of each element, `[O]`.
    pub var: Vec<f64>,
    /// Observations seen, plus 1e-4 for the initial mean 0 and variance 1.
    pub count: f64,
    /// Bound on the magnitude of a normalised element.
    pub clip: f64,
    /// Added to the variance.
    pub epsilon: f64,
}

impl ObservationNormalizer {
    /// Nothing seen yet: mean 0, variance 1, clipping at ±10, ε = 1e-8.
    pub fn new(len: usize) -> Self {
        ObservationNormalizer {
            mean: vec![0.0; len],
            var: vec![1.0; len],
            count: INITIAL_COUNT,
            clip: 10.0,
            epsilon: 1e-8,
        }
    }

    /// The statistics in the saved state of a [`NormalizeObservation`] over observations of `len` elements; `None` for the state of something else.
    pub fn of_layer(layer: &EnvState, len: usize) -> Option<Result<Self, EnvError>> {
        let mut words = layer.read(LAYER).ok()?;
        let mut normalizer = ObservationNormalizer::new(len);
        Some(normalizer.read(&mut words).map(|()| normalizer))
    }

    fn read(&mut self, words: &mut StateReader<'_>) -> Result<(), EnvError> {
        for x in self.mean.iter_mut().chain(&mut self.var) {
            *x = words.f64()?;
        }
        self.count = words.f64()?;
        Ok(())
    }

    /// Takes a batch of observations into the statistics, row by row.
    ///
    /// # Shapes
    ///
    /// `observations` is `[n, O]`.
    ///
    /// # Errors
    ///
    /// [`EnvError::WrongLength`] unless the length is a multiple of `O`; the statistics are then as they were.
    pub fn update(&mut self, observations: &[f32]) -> Result<(), EnvError> {
        let (o, got) = (self.mean.len(), observations.len());
        if got == 0 {
            return Ok(());
        }
        if o == 0 || got % o != 0 {
            let expected = got.checked_div(o).map_or(0, |n| n * o);
            return Err(EnvError::WrongLength { what: "the batch of observations", got, expected });
        }
        let n = (got / o) as f64;
        for (j, (mean, var)) in self.mean.iter_mut().zip(&mut self.var).enumerate() {
            merge(mean, var, self.count, observations[j..].iter().step_by(o).map(|&x| f64::from(x)), n);
        }
        self.count += n;
        Ok(())
    }

    /// Normalises observations in place.
    ///
    /// # Shapes
    ///
    /// `observations` is `[n, O]` for any `n`.
    pub fn normalize(&self, observations: &mut [f32]) {
        for row in observations.chunks_exact_mut(self.mean.len().max(1)) {
            for (x, (mean, var)) in row.iter_mut().zip(self.mean.iter().zip(&self.var)) {
                let scaled = (f64::from(*x) - mean) / (var + self.epsilon).sqrt();
                *x = scaled.clamp(-self.clip, self.clip) as f32;
            }
        }
    }
}

/// Whose state it is.
const LAYER: &str = "NormalizeObservation";

/// Normalises the observations of a [`VecEnv`], final ones included, by running statistics.
///
/// Every reset and step first takes the new observations (those the next actions are chosen from) into the statistics,
/// unless frozen by [`set_training(false)`](VecEnv::set_training), then normalises.
///
/// # Source
///
/// `VecNormalize` of Stable-Baselines3.
pub struct NormalizeObservation<V> {
    inner: V,
    normalizer: ObservationNormalizer,
    training: bool,
    space: Space,
    obs: Vec<f32>,
    final_obs: Vec<f32>,
    /// The rows that go into the statistics, where those are not all.
    kept: Vec<f32>,
}

impl<V: VecEnv> NormalizeObservation<V> {
    /// Starts from no statistics.
    pub fn new(inner: V) -> Self {
        let normalizer = ObservationNormalizer::new(inner.observation_space().flat_len());
        NormalizeObservation::build(inner, normalizer, true)
    }

    /// Starts from given statistics, frozen: for evaluation.
    ///
    /// # Errors
    ///
    /// [`EnvError::WrongLength`] for statistics of other observations.
    pub fn frozen(inner: V, normalizer: ObservationNormalizer) -> Result<Self, EnvError> {
        check_len(&normalizer, inner.observation_space())?;
        Ok(NormalizeObservation::build(inner, normalizer, false))
    }

    fn build(inner: V, normalizer: ObservationNormalizer, training: bool) -> Self {
        let clip = normalizer.clip as f32;
        let space = BoxSpace::uniform(-clip, clip, &inner.observation_space().flat_shape()).into();
        let (obs, final_obs) = (inner.observations().to_vec(), inner.final_observations().to_vec());
        NormalizeObservation { inner, normalizer, training, space, obs, final_obs, kept: Vec::new() }
    }

    /// The statistics.
    pub fn normalizer(&self) -> &ObservationNormalizer {
        &self.normalizer
    }

    /// Replaces the statistics, as an evaluation does before it starts.
    ///
    /// # Errors
    ///
    /// [`EnvError::WrongLength`] for statistics of other observations.
    pub fn set_normalizer(&mut self, normalizer: ObservationNormalizer) -> Result<(), EnvError> {
        check_len(&normalizer, &self.space)?;
        self.normalizer = normalizer;
        Ok(())
    }

    /// What is normalised.
    pub fn inner(&self) -> &V {
        &self.inner
    }

    /// Takes the observations that actions are chosen from into the statistics. Where episodes begin in a step of their own, the one that
    /// stands after an end is the final one, and none is.
    fn update(&mut self) -> Result<(), EnvError> {
        let observations = self.inner.observations();
        if self.inner.valid().is_none() {
            return self.normalizer.update(observations);
        }
        self.kept.clear();
        let rows = observations.chunks_exact(self.normalizer.mean.len());
        let kept = rows.zip(self.inner.ends()).filter(|(_, end)| !end.is_over());
        kept.for_each(|(row, _)| self.kept.extend_from_slice(row));
        self.normalizer.update(&self.kept)
    }

    fn layer(&self) -> EnvState {
        let n = &self.normalizer;
        let layer = EnvState::new(LAYER).f64s(&n.mean).f64s(&n.var).f64(n.count);
        // Stale rows of final observations are state too: a resumed buffer equals the uninterrupted one.
        layer.f32s(&self.final_obs)
    }

    fn read_layer(&self, layer: &EnvState) -> Result<(ObservationNormalizer, Vec<f32>), EnvError> {
        let mut words = layer.read(LAYER)?;
        let mut normalizer = self.normalizer.clone();
        normalizer.read(&mut words)?;
        let final_obs = self.final_obs.iter().map(|_| words.f32()).collect::<Result<_, _>>()?;
        words.finish()?;
        Ok((normalizer, final_obs))
    }

    fn refresh(&mut self) {
        self.obs.copy_from_slice(self.inner.observations());
        self.normalizer.normalize(&mut self.obs);
        let o = self.normalizer.mean.len();
        for (i, end) in self.inner.ends().iter().enumerate() {
            if end.is_over() {
                let row = i * o..(i + 1) * o;
                self.final_obs[row.clone()].copy_from_slice(&self.inner.final_observations()[row.clone()]);
                self.normalizer.normalize(&mut self.final_obs[row]);
            }
        }
    }
}

fn check_len(normalizer: &ObservationNormalizer, space: &Space) -> Result<(), EnvError> {
    let expected = space.flat_len();
    for (what, got) in
        [("the normaliser's mean", normalizer.mean.len()), ("its variance", normalizer.var.len())]
    {
        if got != expected {
            return Err(EnvError::WrongLength { what, got, expected });
        }
    }
    Ok(())
}

impl<V: VecEnv> VecEnv for NormalizeObservation<V> {
    fn n_envs(&self) -> usize {
        self.inner.n_envs()
    }

    fn observation_space(&self) -> &Space {
        &self.space
    }

    fn action_space(&self) -> &Space {
        self.inner.action_space()
    }

    fn reset(&mut self, seed: u64, purpose: &str) -> Result<(), EnvError> {
        self.inner.reset(seed, purpose)?;
        if self.training {
            self.update()?;
        }
        self.refresh();
        Ok(())
    }

    fn step(&mut self, actions: ActionsRef<'_>) -> Result<(), EnvError> {
        self.inner.step(actions)?;
        if self.training {
            self.update()?;
        }
        self.refresh();
        Ok(())
    }

    fn observations(&self) -> &[f32] {
        &self.obs
    }

    fn rewards(&self) -> &[f64] {
        self.inner.rewards()
    }

    fn ends(&self) -> &[StepEnd] {
        self.inner.ends()
    }

    fn final_observations(&self) -> &[f32] {
        &self.final_obs
    }

    fn valid(&self) -> Option<&[bool]> {
        self.inner.valid()
    }

    fn told_episodes(&self) -> Option<&[(f64, u64)]> {
        self.inner.told_episodes()
    }

    fn action_masks(&self) -> Option<&[bool]> {
        self.inner.action_masks()
    }

    fn raw_rewards(&self) -> &[f64] {
        self.inner.raw_rewards()
    }

    fn metrics(&self) -> &[Metric] {
        self.inner.metrics()
    }

    fn metric_values(&self) -> &[f64] {
        self.inner.metric_values()
    }

    fn observation_normalizer(&self) -> Option<&ObservationNormalizer> {
        Some(&self.normalizer)
    }

    fn set_training(&mut self, training: bool) {
        self.training = training;
        self.inner.set_training(training);
    }

    fn set_stepping(&mut self, stepping: bool) {
        self.inner.set_stepping(stepping);
    }

    fn save(&self) -> Option<VecEnvState> {
        let mut state = self.inner.save()?;
        state.layers.push(self.layer());
        Some(state)
    }

    fn restore(&mut self, state: &VecEnvState) -> Result<(), EnvError> {
        let (layer, below) = state.split_layer()?;
        let read = self.read_layer(layer)?;
        self.inner.restore(&below)?;
        (self.normalizer, self.final_obs) = read;
        self.refresh();
        Ok(())
    }

    fn save_layers(&self) -> Vec<EnvState> {
        let mut layers = self.inner.save_layers();
        layers.push(self.layer());
        layers
    }

    fn restore_layers(&mut self, layers: &[EnvState]) -> Result<(), EnvError> {
        let (layer, below) = split_layer(layers)?;
        let read = self.read_layer(layer)?;
        self.inner.restore_layers(below)?;
        (self.normalizer, self.final_obs) = read;
        Ok(())
    }

    fn render(&self, index: usize) -> Option<Frame> {
        self.inner.render(index)
    }
}
