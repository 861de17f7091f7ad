use super::block::Block;
use super::checks::{check_actions, check_masks, check_observations};
use super::{VecEnv, VecEnvState};
use crate::metric::metrics_fault;
use crate::panics::{During, caught};
use crate::rng::stream;
use crate::{ActionsRef, DynEnv, EnvError, EnvRng, Frame, Metric, Space, StepEnd};

/// Steps its environments in index order, on the calling thread or in blocks on several.
///
/// `E` may be a concrete environment (no virtual call a step) or `Box<dyn DynEnv>`. Every environment draws from a
/// generator of its own, so the number of threads never changes a result. No step allocates on one thread.
///
/// ```
/// use rl_env::{ActionsRef, SyncVecEnv, TimeLimit, VecEnv, envs::CartPole};
///
/// let mut envs = SyncVecEnv::new((0..4).map(|_| TimeLimit::new(CartPole::new(), 500)).collect())?;
/// envs.reset(0, "env")?;
/// envs.step(ActionsRef::Discrete(&[0, 1, 0, 1]))?;
/// assert_eq!(envs.rewards(), [1.0; 4]);
/// assert_eq!(envs.observations().len(), 4 * 4);
/// # Ok::<(), rl_env::EnvError>(())
/// ```
pub struct SyncVecEnv<E> {
    /// The index of the first environment, where it is one part of a larger vector.
    number: usize,
    envs: Vec<E>,
    rngs: Vec<EnvRng>,
    observation_space: Space,
    action_space: Space,
    obs: Vec<f32>,
    final_obs: Vec<f32>,
    rewards: Vec<f64>,
    ends: Vec<StepEnd>,
    metrics: Vec<Metric>,
    metric_values: Vec<f64>,
    /// Empty where environments have no masks.
    masks: Vec<bool>,
    steps: u64,
    started: bool,
    threads: Option<rayon::ThreadPool>,
}

impl<E: DynEnv> SyncVecEnv<E> {
    /// Gathers environments that share their spaces.
    ///
    /// # Errors
    ///
    /// [`EnvError::InvalidCount`] when there is none, [`EnvError::Contract`] when their spaces or metrics differ, spaces have no elements, or metrics no
    /// names of their own.
    pub fn new(envs: Vec<E>) -> Result<Self, EnvError> {
        SyncVecEnv::numbered_from(0, envs)
    }

    /// Gathers environments that are part of a larger vector, numbered from `number`: they draw from the streams they would draw from
    /// there, and errors name them so.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn numbered_from(number: usize, envs: Vec<E>) -> Result<Self, EnvError> {
        let Some(first) = envs.first() else {
            return Err(EnvError::InvalidCount("a vector of environments needs at least one".into()));
        };
        let (observation_space, action_space) = (first.observation_space(), first.action_space());
        let faults = [
            ("observation", &observation_space, observation_space.fault()),
            ("action", &action_space, action_space.action_fault()),
        ];
        for (what, space, fault) in faults {
            if let Some(fault) = fault {
                return Err(EnvError::Contract(format!("the {what} space {space} {fault}")));
            }
        }
        let metrics = first.metrics();
        if let Some(fault) = metrics_fault(&metrics) {
            return Err(EnvError::Contract(fault));
        }
        for (i, env) in envs.iter().enumerate() {
            if env.metrics() != metrics {
                let i = number + i;
                return Err(EnvError::Contract(format!(
                    "environment {i} has other metrics than environment {number}"
                )));
            }
            if env.observation_space() != observation_space || env.action_space() != action_space {
                let i = number + i;
                return Err(EnvError::Contract(format!(
                    "environment {i} has other spaces than environment {number}"
                )));
            }
        }
        let (n, o) = (envs.len(), observation_space.flat_len());
        Ok(SyncVecEnv {
            number,
            rngs: (number..number + n).map(|i| stream(0, "env", i as u64)).collect(),
            envs,
            observation_space,
            action_space,
            obs: vec![0.0; n * o],
            final_obs: vec![0.0; n * o],
            rewards: vec![0.0; n],
            ends: vec![StepEnd::Continues; n],
            metric_values: vec![f64::NAN; n * metrics.len()],
            metrics,
            masks: Vec::new(),
            steps: 0,
            started: false,
            threads: None,
        })
    }

    /// Steps in as many blocks as threads: worth it from some 50 µs a vector step. One thread or none is the calling
    /// one.
    ///
    /// # Errors
    ///
    /// [`EnvError::Other`] when the system gives no threads.
    pub fn with_threads(mut self, threads: usize) -> Result<Self, EnvError> {
        let threads = threads.min(self.envs.len());
        self.threads = if threads > 1 {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            Some(pool.map_err(|e| EnvError::Other(Box::new(e)))?)
        } else {
            None
        };
        Ok(self)
    }

    /// The environments.
    pub fn envs(&self) -> &[E] {
        &self.envs
    }

    /// Asks every environment which actions it allows now; an environment without a mask allows all.
    fn refresh_masks(&mut self) -> Result<(), EnvError> {
        if self.masks.is_empty() {
            return Ok(());
        }
        let width = self.action_space.mask_len();
        let during = During::new("action_mask");
        caught(&during, self.steps, || {
            for (i, (env, mask)) in self.envs.iter().zip(self.masks.chunks_exact_mut(width)).enumerate() {
                during.index.set(self.number + i);
                if !env.action_mask(mask) {
                    mask.fill(true);
                }
            }
            Ok(())
        })?;
        check_masks(&self.action_space, &self.masks, self.number, self.steps)
    }

    /// Finds out whether there are masks at all, which is known from the first reset on.
    fn prepare_masks(&mut self) -> Result<(), EnvError> {
        let width = self.action_space.mask_len();
        self.masks.resize(self.envs.len() * width, true);
        // Reals have no mask.
        let mut rows = self.envs.iter().zip(self.masks.chunks_exact_mut(width.max(1))).enumerate();
        let during = During::new("action_mask");
        let mut is_masked = |(i, (env, mask)): (usize, (&E, &mut [bool]))| {
            during.index.set(self.number + i);
            env.action_mask(mask)
        };
        if caught(&during, self.steps, || Ok(rows.any(&mut is_masked)))? {
            return self.refresh_masks();
        }
        self.masks.clear();
        Ok(())
    }

    /// The rows of all environments, in `blocks` blocks of neighbours.
    fn blocks(&mut self, blocks: usize) -> impl Iterator<Item = Block<'_, E>> {
        let (o, a) = (self.observation_space.flat_len(), self.action_space.action_len());
        let size = self.envs.len().div_ceil(blocks);
        let (step, number, metrics) = (self.steps, self.number, &*self.metrics);
        let mut values_left = &mut *self.metric_values;
        self.envs
            .chunks_mut(size)
            .zip(self.rngs.chunks_mut(size))
            .zip(self.obs.chunks_mut(size * o).zip(self.final_obs.chunks_mut(size * o)))
            .zip(self.rewards.chunks_mut(size).zip(self.ends.chunks_mut(size)))
            .enumerate()
            .map(move |(k, (((envs, rngs), (obs, final_obs)), (rewards, ends)))| {
                let (metric_values, others) =
                    std::mem::take(&mut values_left).split_at_mut(envs.len() * metrics.len());
                values_left = others;
                Block {
                    first: k * size,
                    number: number + k * size,
                    o,
                    a,
                    step,
                    envs,
                    rngs,
                    obs,
                    final_obs,
                    rewards,
                    ends,
                    metrics,
                    metric_values,
                }
            })
    }
}

impl<E: DynEnv> VecEnv for SyncVecEnv<E> {
    fn n_envs(&self) -> usize {
        self.envs.len()
    }

    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn action_space(&self) -> &Space {
        &self.action_space
    }

    fn reset(&mut self, seed: u64, purpose: &str) -> Result<(), EnvError> {
        let o = self.observation_space.flat_len();
        self.ends.fill(StepEnd::Continues);
        self.rewards.fill(0.0);
        let during = During::new("reset");
        caught(&during, self.steps, || {
            for (i, env) in self.envs.iter_mut().enumerate() {
                let number = self.number + i;
                during.index.set(number);
                self.rngs[i] = stream(seed, purpose, number as u64);
                env.reset(&mut self.rngs[i], &mut self.obs[i * o..(i + 1) * o])
                    .map_err(|e| e.at(number, self.steps))?;
            }
            Ok(())
        })?;
        check_observations(&self.obs, o, self.number, self.steps)?;
        self.prepare_masks()?;
        self.started = true;
        Ok(())
    }

    fn step(&mut self, actions: ActionsRef<'_>) -> Result<(), EnvError> {
        if !self.started {
            return Err(EnvError::NeedsReset { when: "before the first reset" });
        }
        check_actions(&self.action_space, self.envs.len(), actions, self.number, self.steps)?;
        self.steps += 1;
        let Some(pool) = self.threads.take() else {
            self.blocks(1).try_for_each(|block| block.step(actions))?;
            return self.refresh_masks();
        };
        let mut outcomes: Vec<_> =
            self.blocks(pool.current_num_threads()).map(|b| (Some(b), Ok(()))).collect();
        pool.scope(|scope| {
            for (block, outcome) in &mut outcomes {
                if let Some(block) = block.take() {
                    scope.spawn(move |_| *outcome = block.step(actions));
                }
            }
        });
        // The first block's error first: the same one as on one thread.
        let outcome = outcomes.into_iter().try_for_each(|(_, outcome)| outcome);
        self.threads = Some(pool);
        outcome.and_then(|()| self.refresh_masks())
    }

    fn observations(&self) -> &[f32] {
        &self.obs
    }

    fn rewards(&self) -> &[f64] {
        &self.rewards
    }

    fn ends(&self) -> &[StepEnd] {
        &self.ends
    }

    fn final_observations(&self) -> &[f32] {
        &self.final_obs
    }

    fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    fn metric_values(&self) -> &[f64] {
        &self.metric_values
    }

    fn action_masks(&self) -> Option<&[bool]> {
        (!self.masks.is_empty()).then_some(&*self.masks)
    }

    fn save(&self) -> Option<VecEnvState> {
        if !self.started {
            return None;
        }
        Some(VecEnvState {
            envs: self.envs.iter().map(DynEnv::save).collect::<Option<_>>()?,
            rngs: self.rngs.clone(),
            observations: self.obs.iter().map(|x| x.to_bits()).collect(),
            final_observations: self.final_obs.iter().map(|x| x.to_bits()).collect(),
            rewards: self.rewards.iter().map(|x| x.to_bits()).collect(),
            ends: self.ends.clone(),
            steps: self.steps,
            layers: Vec::new(),
        })
    }

    fn restore(&mut self, state: &VecEnvState) -> Result<(), EnvError> {
        if !state.layers.is_empty() {
            return Err(EnvError::InvalidState(
                "it was saved with a normaliser over the environments".into(),
            ));
        }
        for (what, got, expected) in [
            ("environments", state.envs.len(), self.envs.len()),
            ("generators", state.rngs.len(), self.rngs.len()),
            ("observation elements", state.observations.len(), self.obs.len()),
            ("final observation elements", state.final_observations.len(), self.final_obs.len()),
            ("rewards", state.rewards.len(), self.rewards.len()),
            ("episode ends", state.ends.len(), self.ends.len()),
        ] {
            if got != expected {
                return Err(EnvError::InvalidState(format!(
                    "it has {got} {what}, these environments {expected}"
                )));
            }
        }
        for (i, (env, saved)) in self.envs.iter_mut().zip(&state.envs).enumerate() {
            env.restore(saved).map_err(|e| e.at(self.number + i, state.steps))?;
        }
        self.rngs.clone_from(&state.rngs);
        self.ends.clone_from(&state.ends);
        self.obs.iter_mut().zip(&state.observations).for_each(|(x, &bits)| *x = f32::from_bits(bits));
        self.final_obs
            .iter_mut()
            .zip(&state.final_observations)
            .for_each(|(x, &bits)| *x = f32::from_bits(bits));
        self.rewards.iter_mut().zip(&state.rewards).for_each(|(x, &bits)| *x = f64::from_bits(bits));
        self.steps = state.steps;
        self.prepare_masks()?;
        self.started = true;
        Ok(())
    }

    fn render(&self, index: usize) -> Option<Frame> {
        self.envs.get(index)?.render()
    }
}
