//! Environments of Gymnasium behind one step.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use rand::RngCore;
use rl_env::rng::stream;
use rl_env::{
    ActionsRef, EnvError, Frame, Metric, Space, StepEnd, VecEnv, check_actions, check_masks,
    check_observations,
};

use crate::description::Description;
use crate::processor::Kept;
use crate::spec::Program;
use crate::worker::{Failure, Order, Task, Worker};

/// The seed of an environment's own generator, drawn from the run's stream: 31 bits, which everything that calls itself a seed in Python takes.
pub(crate) fn drawn_seed(rng: &mut dyn RngCore) -> u64 {
    rng.next_u64() >> 33
}

/// `N` environments, neighbours together in one worker.
pub(crate) struct GymVec {
    number: usize,
    n: usize,
    description: Arc<Description>,
    /// A cell, because a picture is asked for by conversation.
    workers: RefCell<Vec<Worker>>,
    seeds: Vec<u64>,
    indices: Vec<i64>,
    obs: Vec<f32>,
    final_obs: Vec<f32>,
    rewards: Vec<f64>,
    ends: Vec<StepEnd>,
    end_bytes: Vec<u8>,
    valid: Vec<bool>,
    masks: Vec<bool>,
    mask_bytes: Vec<u8>,
    /// Return and length of the episodes that ended, as the environments tell them.
    episodes: Vec<(f64, u64)>,
    /// What is told of `info`.
    metric_values: Vec<f64>,
    steps: u64,
    started: bool,
    /// What keeps this thread and the worker on one processor while many steps follow, and for how many of them it still does.
    kept: Option<Kept>,
    kept_for: u32,
    is_stepping: bool,
}

/// After so many steps the system may place the thread anew.
const KEPT_STEPS: u32 = 16;

impl GymVec {
    /// Starts `n_workers` processes, at a time, with the environments of these numbers.
    pub(crate) fn new(program: &Program, numbers: Range<usize>, n_workers: usize) -> Result<Self, EnvError> {
        if numbers.is_empty() {
            return Err(EnvError::InvalidCount("a vector of environments needs at least one".into()));
        }
        let (number, n) = (numbers.start, numbers.len());
        let size = n.div_ceil(n_workers.clamp(1, n));
        let mut workers = Vec::new();
        for first in numbers.clone().step_by(size) {
            let task = Task {
                // A vector of others draws the one that stands alone.
                render: program.name.is_vector && n == 1 && program.description.draws,
                ..Task::make(&program.name, size.min(numbers.end - first))
            };
            workers.push(Worker::start(&program.interpreter, &program.id, first, &task)?);
        }
        for worker in &mut workers {
            ready(worker, &program.description, program.interpreter.pipe_only)
                .map_err(|failure| placed(failure, worker.envs.start, 0))?;
        }
        // Several workers are for work side by side.
        if let [worker] = &mut workers[..] {
            worker.share_processor();
        }
        let (observation_space, action_space) =
            (&program.description.observation_space, &program.description.action_space);
        let o = observation_space.flat_len();
        Ok(GymVec {
            number,
            n,
            description: program.description.clone(),
            workers: RefCell::new(workers),
            seeds: vec![0; n],
            indices: Vec::with_capacity(n * action_space.action_len()),
            obs: vec![0.0; n * o],
            final_obs: vec![0.0; n * o],
            rewards: vec![0.0; n],
            ends: vec![StepEnd::Continues; n],
            end_bytes: vec![0; n],
            valid: vec![true; n],
            masks: Vec::new(),
            mask_bytes: vec![0; n * action_space.mask_len()],
            episodes: vec![(0.0, 0); n],
            metric_values: vec![f64::NAN; n * program.description.metrics.len()],
            steps: 0,
            started: false,
            kept: None,
            kept_for: 0,
            is_stepping: false,
        })
    }

    /// Tells every worker, so that they work side by side, and waits for each.
    fn all(&mut self, order: Order) -> Result<(), EnvError> {
        let (steps, workers) = (self.steps, self.workers.get_mut());
        // Of several workers none shares a processor.
        let begun = Instant::now();
        if self.kept.is_none() {
            self.kept = workers.first_mut().and_then(|worker| worker.processor.keep());
            self.kept_for = KEPT_STEPS;
        }
        for worker in workers.iter_mut() {
            worker.tell(order).map_err(|error| placed(error.into(), worker.envs.start, steps))?;
        }
        // Each must be heard, so that the next order finds none in the middle of this one; the first error counts.
        let heard = workers
            .iter_mut()
            .map(|worker| worker.wait().map_err(|failure| placed(failure, worker.envs.start, steps)));
        let heard = heard.fold(Ok(()), Result::and);
        self.kept_for = self.kept_for.saturating_sub(1);
        if !self.is_stepping || self.kept_for == 0 || heard.is_err() {
            self.kept = None;
        }
        if let (Order::Step, [worker]) = (order, &mut workers[..]) {
            worker.processor.took(begun.elapsed());
        }
        heard
    }

    /// Copies what came out.
    fn read(&mut self) -> Result<(), EnvError> {
        let (o, m) =
            (self.description.observation_space.flat_len(), self.description.action_space.mask_len());
        let mut masked = false;
        for worker in self.workers.get_mut().iter() {
            let (layout, memory) = (worker.layout, &worker.memory);
            let rows = worker.envs.start - self.number..worker.envs.end - self.number;
            memory.read(
                layout.observations,
                bytemuck::cast_slice_mut(&mut self.obs[rows.start * o..rows.end * o]),
            );
            memory.read(layout.rewards, bytemuck::cast_slice_mut(&mut self.rewards[rows.clone()]));
            memory.read(layout.ends, &mut self.end_bytes[rows.clone()]);
            let values = rows.start * layout.metric_len..rows.end * layout.metric_len;
            memory.read(layout.metrics, bytemuck::cast_slice_mut(&mut self.metric_values[values]));
            for (k, i) in rows.clone().enumerate() {
                self.ends[i] = match self.end_bytes[i] {
                    0 => StepEnd::Continues,
                    1 => StepEnd::Terminated,
                    _ => StepEnd::Truncated,
                };
                if self.ends[i].is_over() {
                    let row = bytemuck::cast_slice_mut(&mut self.final_obs[i * o..(i + 1) * o]);
                    memory.read(layout.final_observations + 4 * k * o, row);
                }
                let mut flag = [1];
                if !self.description.every_step_counts {
                    memory.read(layout.valid + k, &mut flag);
                    self.valid[i] = flag[0] != 0;
                }
                if self.description.statistics {
                    let mut episode = [0.0; 2];
                    memory.read(layout.episodes + 16 * k, bytemuck::cast_slice_mut(&mut episode));
                    self.episodes[i] = (episode[0], episode[1] as u64);
                }
                if m > 0 {
                    memory.read(layout.has_masks + k, &mut flag);
                    let mask = &mut self.mask_bytes[i * m..(i + 1) * m];
                    memory.read(layout.masks + k * m, mask);
                    if flag[0] == 0 {
                        mask.fill(1);
                    }
                    masked |= flag[0] != 0;
                }
            }
        }
        // Whether there are masks at all is known from the first reset on.
        if masked || !self.masks.is_empty() {
            self.masks.clear();
            self.masks.extend(self.mask_bytes.iter().map(|byte| *byte != 0));
        }
        self.check(o)
    }

    fn check(&self, o: usize) -> Result<(), EnvError> {
        if let Some(i) = self.rewards.iter().position(|r| !r.is_finite()) {
            let reward = self.rewards[i];
            return Err(EnvError::Contract(format!("the reward is {reward}")).at(self.number + i, self.steps));
        }
        for i in (0..self.n).filter(|i| self.ends[*i].is_over()) {
            check_observations(&self.final_obs[i * o..(i + 1) * o], o, self.number + i, self.steps)?;
        }
        check_masks(&self.description.action_space, &self.masks, self.number, self.steps)?;
        check_observations(&self.obs, o, self.number, self.steps)
    }
}

impl VecEnv for GymVec {
    fn n_envs(&self) -> usize {
        self.n
    }

    fn observation_space(&self) -> &Space {
        &self.description.observation_space
    }

    fn action_space(&self) -> &Space {
        &self.description.action_space
    }

    fn reset(&mut self, seed: u64, purpose: &str) -> Result<(), EnvError> {
        for (i, drawn) in self.seeds.iter_mut().enumerate() {
            *drawn = drawn_seed(&mut stream(seed, purpose, (self.number + i) as u64));
        }
        for worker in self.workers.get_mut() {
            let rows = worker.envs.start - self.number..worker.envs.end - self.number;
            worker.memory.write(worker.layout.seeds, bytemuck::cast_slice(&self.seeds[rows]));
        }
        self.masks.clear();
        self.all(Order::SeededReset)?;
        self.read()?;
        self.valid.fill(true);
        self.started = true;
        Ok(())
    }

    fn step(&mut self, actions: ActionsRef<'_>) -> Result<(), EnvError> {
        if !self.started {
            return Err(EnvError::NeedsReset { when: "before the first reset" });
        }
        check_actions(&self.description.action_space, self.n, actions, self.number, self.steps)?;
        self.steps += 1;
        let a = self.description.action_space.action_len();
        if let ActionsRef::Discrete(xs) = actions {
            self.indices.clear();
            // Below the number of choices, so nothing is cut off.
            self.indices.extend(xs.iter().map(|&x| x as i64));
        }
        for worker in self.workers.get_mut() {
            let rows = worker.envs.start - self.number..worker.envs.end - self.number;
            let cells = rows.start * a..rows.end * a;
            let bytes: &[u8] = match actions {
                ActionsRef::Discrete(_) => bytemuck::cast_slice(&self.indices[cells]),
                ActionsRef::Continuous(xs) => bytemuck::cast_slice(&xs[cells]),
            };
            worker.memory.write(worker.layout.actions, bytes);
        }
        self.all(Order::Step)?;
        self.read()
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

    fn valid(&self) -> Option<&[bool]> {
        (!self.description.every_step_counts).then_some(&*self.valid)
    }

    fn action_masks(&self) -> Option<&[bool]> {
        (!self.masks.is_empty()).then_some(&*self.masks)
    }

    fn metrics(&self) -> &[Metric] {
        &self.description.metrics
    }

    fn metric_values(&self) -> &[f64] {
        &self.metric_values
    }

    fn set_stepping(&mut self, stepping: bool) {
        self.is_stepping = stepping;
        if !stepping {
            self.kept = None;
        }
    }

    fn told_episodes(&self) -> Option<&[(f64, u64)]> {
        self.description.statistics.then_some(&*self.episodes)
    }

    fn render(&self, index: usize) -> Option<Frame> {
        if !self.description.draws {
            return None;
        }
        let mut workers = self.workers.borrow_mut();
        let worker = workers.iter_mut().find(|worker| worker.envs.contains(&(self.number + index)))?;
        let row = self.number + index - worker.envs.start;
        worker.draw(row).ok().flatten()
    }
}

impl Drop for GymVec {
    /// All are told before any is waited for.
    fn drop(&mut self) {
        self.workers.get_mut().iter_mut().for_each(Worker::close);
    }
}

/// Hears what a worker has made, which must be what was made when the environment was asked about, and agrees on memory.
pub(crate) fn ready(worker: &mut Worker, expected: &Description, pipe_only: bool) -> Result<(), Failure> {
    let made = Description::read(&worker.described()?, &expected.metrics)?;
    for (what, made, expected) in [
        ("observation", &made.observation_space, &expected.observation_space),
        ("action", &made.action_space, &expected.action_space),
    ] {
        if made != expected {
            let reason = format!("its {what} space is {made}, and was {expected} before");
            return Err(crate::GymError::Contract { doing: "make".into(), reason }.into());
        }
    }
    worker.attach(expected, pipe_only)
}

/// An error of a worker whose environments are numbered from `first`, as everybody tells errors.
pub(crate) fn placed(failure: Failure, first: usize, step: u64) -> EnvError {
    let error = EnvError::from(failure.error);
    match failure.row {
        Some(row) => error.at(first + row, step),
        None => error,
    }
}
