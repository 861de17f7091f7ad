//! One environment of Gymnasium that stands alone: to be looked at, and checked.

use std::cell::RefCell;
use std::sync::Arc;

use rl_env::{
    ActionRef, ActionsRef, DynEnv, EnvError, EnvRng, Frame, Metric, Space, Step, StepEnd, check_actions,
    check_observations,
};

use crate::spec::Program;
use crate::vector::{drawn_seed, placed, ready};
use crate::worker::{Order, Task, Worker};

/// An environment in a worker of its own, which is started with the first reset, draws itself where it can, and stays where an episode ends.
///
/// The environment has a generator of its own, in Python. It is seeded by the first draw of a generator it is reset with, and goes on by itself
/// as long as it is reset with that generator, as that draw left it.
pub(crate) struct GymEnv {
    program: Arc<Program>,
    worker: Option<RefCell<Worker>>,
    seeded_by: Option<EnvRng>,
    masks: Vec<bool>,
    metric_values: Vec<f64>,
    over: bool,
    steps: u64,
}

impl GymEnv {
    pub(crate) fn new(program: Arc<Program>) -> Self {
        let metric_values = vec![f64::NAN; program.description.metrics.len()];
        let (masks, over, steps) = (Vec::new(), false, 0);
        GymEnv { program, worker: None, seeded_by: None, masks, metric_values, over, steps }
    }

    fn started(&mut self) -> Result<&mut Worker, EnvError> {
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => {
                let Program { interpreter, name, id, description } = &*self.program;
                let task = Task { autoreset: false, render: description.draws, ..Task::make(name, 1) };
                let mut worker = Worker::start(interpreter, id, 0, &task)?;
                ready(&mut worker, description, interpreter.pipe_only)
                    .map_err(|failure| placed(failure, 0, 0))?;
                RefCell::new(worker)
            }
        };
        Ok(self.worker.insert(worker).get_mut())
    }

    /// Copies what came out.
    fn read(&mut self, obs: &mut [f32]) -> Result<(), EnvError> {
        let steps = self.steps;
        let width = self.program.description.action_space.mask_len();
        let o = self.program.description.observation_space.flat_len();
        let Some(worker) = self.worker.as_mut().map(RefCell::get_mut) else { return Ok(()) };
        if obs.len() != o {
            return Err(EnvError::WrongLength { what: "the observation", got: obs.len(), expected: o });
        }
        let (layout, memory) = (worker.layout, &worker.memory);
        memory.read(layout.observations, bytemuck::cast_slice_mut(obs));
        memory.read(layout.metrics, bytemuck::cast_slice_mut(&mut self.metric_values));
        let mut has_mask = [0];
        memory.read(layout.has_masks, &mut has_mask);
        self.masks.clear();
        if has_mask[0] != 0 {
            let mut mask = vec![0; width];
            memory.read(layout.masks, &mut mask);
            self.masks.extend(mask.iter().map(|byte| *byte != 0));
        }
        check_observations(obs, o, 0, steps)
    }
}

impl DynEnv for GymEnv {
    fn observation_space(&self) -> Space {
        self.program.description.observation_space.clone()
    }

    fn action_space(&self) -> Space {
        self.program.description.action_space.clone()
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        let order = if self.seeded_by.as_ref() == Some(rng) { Order::Reset } else { Order::SeededReset };
        let steps = self.steps;
        let worker = self.started()?;
        if order == Order::SeededReset {
            worker.memory.write(worker.layout.seeds, &drawn_seed(rng).to_ne_bytes());
        }
        worker.tell(order).map_err(EnvError::from)?;
        worker.wait().map_err(|failure| placed(failure, 0, steps))?;
        self.seeded_by = Some(rng.clone());
        self.over = false;
        self.read(obs)
    }

    fn step(&mut self, action: ActionRef<'_>, _: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        if self.over {
            return Err(EnvError::NeedsReset { when: "after the end of the episode" });
        }
        if self.seeded_by.is_none() {
            return Err(EnvError::NeedsReset { when: "before the first reset" });
        }
        let actions = match action {
            ActionRef::Discrete(a) => ActionsRef::Discrete(a),
            ActionRef::Continuous(a) => ActionsRef::Continuous(a),
        };
        check_actions(&self.program.description.action_space, 1, actions, 0, self.steps)?;
        self.steps += 1;
        let steps = self.steps;
        let worker = self.started()?;
        match action {
            ActionRef::Discrete(a) => {
                let indices: Vec<i64> = a.iter().map(|&x| x as i64).collect();
                worker.memory.write(worker.layout.actions, bytemuck::cast_slice(&indices));
            }
            ActionRef::Continuous(a) => worker.memory.write(worker.layout.actions, bytemuck::cast_slice(a)),
        }
        worker.tell(Order::Step).map_err(EnvError::from)?;
        worker.wait().map_err(|failure| placed(failure, 0, steps))?;
        let (mut reward, mut end) = ([0.0_f64], [0]);
        worker.memory.read(worker.layout.rewards, bytemuck::cast_slice_mut(&mut reward));
        worker.memory.read(worker.layout.ends, &mut end);
        let end = match end[0] {
            0 => StepEnd::Continues,
            1 => StepEnd::Terminated,
            _ => StepEnd::Truncated,
        };
        self.over = end.is_over();
        self.read(obs)?;
        if !reward[0].is_finite() {
            return Err(EnvError::Contract(format!("the reward is {}", reward[0])).at(0, steps));
        }
        Ok(Step { reward: reward[0], end })
    }

    fn action_mask(&self, mask: &mut [bool]) -> bool {
        if self.masks.len() != mask.len() || mask.is_empty() {
            return false;
        }
        mask.copy_from_slice(&self.masks);
        true
    }

    fn metrics(&self) -> Vec<Metric> {
        self.program.description.metrics.clone()
    }

    fn read_metrics(&self, values: &mut [f64]) {
        values.copy_from_slice(&self.metric_values);
    }

    fn render(&self) -> Option<Frame> {
        let worker = self.worker.as_ref().filter(|_| self.program.description.draws)?;
        worker.borrow_mut().draw(0).ok().flatten()
    }
}
