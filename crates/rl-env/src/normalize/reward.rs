use serde::{Deserialize, Serialize};

use super::moments::{INITIAL_COUNT, merge};
use super::observation::ObservationNormalizer;
use crate::vec_env::split_layer;
use crate::{ActionsRef, EnvError, EnvState, Frame, Metric, Space, StepEnd, VecEnv, VecEnvState};

/// Running mean and variance of the discounted return, which rewards are divided by.
///
/// `R ← γ R + r` for each environment, then `r ← clip(r / √(var R + ε), ±clip)`; `R` is 0 again after an episode's end.
/// The mean is not subtracted: it would change what is optimal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewardNormalizer {
    /// Mean of the discounted returns.
    pub mean: f64,
    /// Their population variance.
    pub var: f64,
    /// Returns seen, plus 1e-4 for the initial mean 0 and variance 1.
    pub count: f64,
    /// The discounted return of each environment's episode so far, `[N]`.
    pub returns: Vec<f64>,
    /// The discount factor γ.
    pub gamma: f64,
    /// Bound on the magnitude of a normalised reward.
    pub clip: f64,
    /// Added to the variance.
    pub epsilon: f64,
}

impl RewardNormalizer {
    /// Nothing seen yet: mean 0, variance 1, clipping at ±10, ε = 1e-8.
    pub fn new(n_envs: usize, gamma: f64) -> Self {
        RewardNormalizer {
            mean: 0.0,
            var: 1.0,
            count: INITIAL_COUNT,
            returns: vec![0.0; n_envs],
            gamma,
            clip: 10.0,
            epsilon: 1e-8,
        }
    }

    /// Takes the rewards of one vector step into the statistics.
    ///
    /// # Shapes
    ///
    /// `rewards` is `[N]`; what is beyond is ignored.
    pub fn update(&mut self, rewards: &[f64]) {
        for (discounted, reward) in self.returns.iter_mut().zip(rewards) {
            *discounted = *discounted * self.gamma + reward;
        }
        let n = self.returns.len() as f64;
        merge(&mut self.mean, &mut self.var, self.count, self.returns.iter().copied(), n);
        self.count += n;
    }

    /// Takes the rewards of those environments that took a step of an episode.
    ///
    /// # Shapes
    ///
    /// `rewards` and `valid` are `[N]`; what is beyond is ignored.
    pub fn update_where(&mut self, rewards: &[f64], valid: &[bool]) {
        let mut n = 0.0;
        for ((discounted, reward), valid) in self.returns.iter_mut().zip(rewards).zip(valid) {
            if *valid {
                *discounted = *discounted * self.gamma + reward;
                n += 1.0;
            }
        }
        if n > 0.0 {
            let samples = self.returns.iter().zip(valid).filter(|(_, valid)| **valid).map(|(r, _)| *r);
            merge(&mut self.mean, &mut self.var, self.count, samples, n);
            self.count += n;
        }
    }

    /// One reward, normalised.
    pub fn normalize(&self, reward: f64) -> f64 {
        (reward / (self.var + self.epsilon).sqrt()).clamp(-self.clip, self.clip)
    }
}

/// Divides the rewards of a [`VecEnv`] by the running standard deviation of the discounted return;
/// [`raw_rewards`](VecEnv::raw_rewards) stay as they were.
///
/// # Source
///
/// `VecNormalize` of Stable-Baselines3.
pub struct NormalizeReward<V> {
    inner: V,
    normalizer: RewardNormalizer,
    training: bool,
    rewards: Vec<f64>,
}

impl<V: VecEnv> NormalizeReward<V> {
    /// Starts from no statistics, with discount factor `gamma`.
    pub fn new(inner: V, gamma: f64) -> Self {
        let n = inner.n_envs();
        NormalizeReward {
            normalizer: RewardNormalizer::new(n, gamma),
            training: true,
            rewards: vec![0.0; n],
            inner,
        }
    }

    /// The statistics.
    pub fn normalizer(&self) -> &RewardNormalizer {
        &self.normalizer
    }

    /// What is normalised.
    pub fn inner(&self) -> &V {
        &self.inner
    }
}

impl<V: VecEnv> NormalizeReward<V> {
    fn layer(&self) -> EnvState {
        let n = &self.normalizer;
        let layer = EnvState::new("NormalizeReward").f64s(&[n.mean, n.var, n.count]);
        layer.f64s(&n.returns).f64s(&self.rewards)
    }

    fn read_layer(&self, layer: &EnvState) -> Result<(RewardNormalizer, Vec<f64>), EnvError> {
        let mut words = layer.read("NormalizeReward")?;
        let mut normalizer = self.normalizer.clone();
        [normalizer.mean, normalizer.var, normalizer.count] = words.f64s()?;
        for x in &mut normalizer.returns {
            *x = words.f64()?;
        }
        let rewards = self.rewards.iter().map(|_| words.f64()).collect::<Result<_, _>>()?;
        words.finish()?;
        Ok((normalizer, rewards))
    }
}

impl<V: VecEnv> VecEnv for NormalizeReward<V> {
    fn n_envs(&self) -> usize {
        self.inner.n_envs()
    }

    fn observation_space(&self) -> &Space {
        self.inner.observation_space()
    }

    fn action_space(&self) -> &Space {
        self.inner.action_space()
    }

    fn reset(&mut self, seed: u64, purpose: &str) -> Result<(), EnvError> {
        self.inner.reset(seed, purpose)?;
        self.normalizer.returns.fill(0.0);
        self.rewards.fill(0.0);
        Ok(())
    }

    fn step(&mut self, actions: ActionsRef<'_>) -> Result<(), EnvError> {
        self.inner.step(actions)?;
        if self.training {
            match self.inner.valid() {
                None => self.normalizer.update(self.inner.rewards()),
                Some(valid) => self.normalizer.update_where(self.inner.rewards(), valid),
            }
        }
        for (i, end) in self.inner.ends().iter().enumerate() {
            self.rewards[i] = self.normalizer.normalize(self.inner.rewards()[i]);
            if end.is_over() {
                self.normalizer.returns[i] = 0.0;
            }
        }
        Ok(())
    }

    fn observations(&self) -> &[f32] {
        self.inner.observations()
    }

    fn rewards(&self) -> &[f64] {
        &self.rewards
    }

    fn ends(&self) -> &[StepEnd] {
        self.inner.ends()
    }

    fn final_observations(&self) -> &[f32] {
        self.inner.final_observations()
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
        self.inner.observation_normalizer()
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
        (self.normalizer, self.rewards) = read;
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
        (self.normalizer, self.rewards) = read;
        Ok(())
    }

    fn render(&self, index: usize) -> Option<Frame> {
        self.inner.render(index)
    }
}
