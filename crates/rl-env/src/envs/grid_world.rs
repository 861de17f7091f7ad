use rand::Rng;

use super::grid_map::{Cell, GridObservation, GridWorldParams};
use super::{Phase, wrong_length};
use crate::{BoxSpace, Env, EnvError, EnvRng, EnvState, Space, Step};

/// A walker on a map of cells, with goals, pits and walls.
///
/// Actions: 0 left, 1 down, 2 right, 3 up; moving into a wall or off the map stays. With probability
/// [`slip`](GridWorldParams::slip) the walker goes to one of the two sides of where it meant to. Terminates on a goal or
/// in a pit. Starts on a cell marked `S`, drawn uniformly where there are several.
///
/// | observation | space | meaning |
/// |---|---|---|
/// | [`GridObservation::Position`] | `Box` of 2 | column `x` and row `y`, (0, 0) at the top left |
/// | [`GridObservation::OneHot`] | `Discrete(rows · columns)` | the cell `y · columns + x`, one-hot |
///
/// ```
/// use rl_env::envs::{GridWorld, GridWorldParams};
/// let world = GridWorld::new(GridWorldParams { map: "S.#\n..G".into(), ..GridWorldParams::default() })?;
/// assert_eq!(world.size(), (3, 2));
/// let ragged = GridWorldParams { map: "S.\nG".into(), ..GridWorldParams::default() };
/// assert_eq!(GridWorld::new(ragged).unwrap_err().to_string(), "the map does not fit: row 1 has 1 cells, row 0 has 2");
/// # Ok::<(), rl_env::EnvError>(())
/// ```
///
/// # Source
///
/// `FrozenLake` of Gymnasium for [`GridWorldParams::frozen_lake`]: maps, moves, slipping and rewards.
#[derive(Clone, Debug)]
pub struct GridWorld {
    params: GridWorldParams,
    cells: Vec<Cell>,
    columns: usize,
    starts: Vec<usize>,
    at: usize,
    phase: Phase,
}

impl GridWorld {
    /// Reads the map.
    ///
    /// # Errors
    ///
    /// [`EnvError::InvalidMap`] for a map that is empty, ragged, has another letter or no start, and for a `slip`
    /// outside [0, 1] or a reward that is not finite.
    pub fn new(params: GridWorldParams) -> Result<Self, EnvError> {
        let (cells, columns) = params.cells()?;
        let bad = |message: String| Err(EnvError::InvalidMap(message));
        let starts: Vec<usize> = (0..cells.len()).filter(|&i| cells[i] == Cell::Start).collect();
        if starts.is_empty() {
            return bad("it has no start S".into());
        }
        if !(0.0..=1.0).contains(&params.slip) {
            return bad(format!("slip is {}, not a probability", params.slip));
        }
        let rewards = [params.step_reward, params.goal_reward, params.pit_reward];
        if let Some(reward) = rewards.into_iter().find(|r| !r.is_finite()) {
            return bad(format!("a reward is {reward}"));
        }
        Ok(GridWorld { at: starts[0], params, cells, columns, starts, phase: Phase::Fresh })
    }

    /// Columns and rows.
    pub fn size(&self) -> (usize, usize) {
        (self.columns, self.cells.len() / self.columns)
    }

    /// Column and row of the walker.
    pub fn position(&self) -> (usize, usize) {
        (self.at % self.columns, self.at / self.columns)
    }

    /// Where a move in `direction` leads from cell `from`.
    fn neighbour(&self, from: usize, direction: usize) -> usize {
        let (x, y) = (from % self.columns, from / self.columns);
        let (columns, rows) = self.size();
        let to = match direction {
            0 if x > 0 => from - 1,
            1 if y + 1 < rows => from + columns,
            2 if x + 1 < columns => from + 1,
            3 if y > 0 => from - columns,
            _ => from,
        };
        if self.cells[to] == Cell::Wall { from } else { to }
    }

    fn check_len(&self, obs: &[f32]) -> Result<(), EnvError> {
        let expected = match self.params.observation {
            GridObservation::Position => 2,
            GridObservation::OneHot => self.cells.len(),
        };
        if obs.len() == expected { Ok(()) } else { Err(wrong_length(obs.len(), expected)) }
    }

    fn observe(&self, obs: &mut [f32]) {
        match self.params.observation {
            GridObservation::Position => {
                let (x, y) = self.position();
                obs[0] = x as f32;
                obs[1] = y as f32;
            }
            GridObservation::OneHot => {
                obs.fill(0.0);
                obs[self.at] = 1.0;
            }
        }
    }
}

impl Env for GridWorld {
    type Action = usize;

    fn observation_space(&self) -> Space {
        match self.params.observation {
            GridObservation::Position => {
                let (columns, rows) = self.size();
                let high = vec![(columns - 1) as f32, (rows - 1) as f32];
                BoxSpace { shape: vec![2], low: vec![0.0; 2], high }.into()
            }
            GridObservation::OneHot => Space::Discrete(self.cells.len()),
        }
    }

    fn action_space(&self) -> Space {
        Space::Discrete(4)
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        self.check_len(obs)?;
        let start = if self.starts.len() == 1 { 0 } else { rng.random_range(0..self.starts.len()) };
        self.at = self.starts[start];
        self.phase = Phase::Running;
        self.observe(obs);
        Ok(())
    }

    fn step(&mut self, &action: &usize, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        if action > 3 {
            return Err(EnvError::invalid_action(action, Space::Discrete(4)));
        }
        self.phase.check()?;
        self.check_len(obs)?;
        let turn = if self.params.slip > 0.0 {
            match rng.random::<f64>() {
                u if u < self.params.slip / 2.0 => 3,
                u if u < self.params.slip => 1,
                _ => 0,
            }
        } else {
            0
        };
        self.at = self.neighbour(self.at, (action + turn) % 4);
        self.observe(obs);
        let (reward, over) = match self.cells[self.at] {
            Cell::Goal => (self.params.goal_reward, true),
            Cell::Pit => (self.params.pit_reward, true),
            _ => (self.params.step_reward, false),
        };
        Ok(Step { reward, end: self.phase.after(over) })
    }

    fn save(&self) -> Option<EnvState> {
        Some(self.phase.save(EnvState::new("GridWorld").u64(self.at as u64)))
    }

    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let mut words = state.read("GridWorld")?;
        let (at, phase) = (words.usize_up_to(self.cells.len() - 1)?, Phase::read(&mut words)?);
        words.finish()?;
        (self.at, self.phase) = (at, phase);
        Ok(())
    }

    #[cfg(feature = "render")]
    fn render(&self) -> Option<crate::Frame> {
        crate::render::scenes::grid_world(&self.cells, self.columns, self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::super::grid_map::FROZEN_LAKE_4X4;
    use super::*;
    use crate::rng::stream;

    fn walk(world: &mut GridWorld, moves: &[usize]) -> (Vec<(usize, usize)>, f64, Step) {
        let (mut rng, mut obs) = (stream(0, "test", 0), vec![0.0; world.observation_space().flat_len()]);
        Env::reset(world, &mut rng, &mut obs).unwrap();
        let mut path = vec![];
        let mut total = 0.0;
        let mut last = Step { reward: 0.0, end: Default::default() };
        for action in moves {
            last = Env::step(world, action, &mut rng, &mut obs).unwrap();
            total += last.reward;
            path.push(world.position());
        }
        (path, total, last)
    }

    #[test]
    fn walls_edges_pits_and_goals() {
        let mut world = GridWorld::new(GridWorldParams::default()).unwrap();
        let (path, ..) = walk(&mut world, &[0, 3, 1, 2]);
        assert_eq!(path, [(0, 0), (0, 0), (0, 1), (0, 1)]);
        let (path, total, last) = walk(&mut world, &[2, 2, 2, 1, 2, 1, 1, 1]);
        assert_eq!((path[7], last.end), ((4, 4), crate::StepEnd::Terminated));
        assert!((total - 0.93).abs() < 1e-12);
        let (_, _, last) = walk(&mut world, &[2, 2, 2, 1, 1]);
        assert_eq!((last.reward.to_bits(), last.end), ((-1.0_f64).to_bits(), crate::StepEnd::Terminated));
    }

    #[test]
    fn frozen_lake_has_its_known_optimal_value() {
        let world = GridWorld::new(GridWorldParams::frozen_lake(FROZEN_LAKE_4X4)).unwrap();
        let mut values = [0.0; 16];
        for _ in 0..10_000 {
            for at in 0..16 {
                if matches!(world.cells[at], Cell::Goal | Cell::Pit) {
                    continue;
                }
                let value = |to: usize| {
                    if world.cells[to] == Cell::Goal { 1.0 } else { values[to] }
                };
                let of = |a: usize| {
                    [3, 0, 1].map(|turn| value(world.neighbour(at, (a + turn) % 4))).iter().sum::<f64>()
                };
                values[at] = (0..4).map(of).fold(0.0, f64::max) / 3.0;
            }
        }
        // 14/17, without a time limit.
        assert!((values[0] - 14.0 / 17.0).abs() < 1e-9, "{}", values[0]);
    }

    #[test]
    fn slips_are_even_to_both_sides() {
        let params = GridWorldParams { slip: 0.5, ..GridWorldParams::frozen_lake("FFF\nFSF\nFFF") };
        let mut world = GridWorld::new(params).unwrap();
        let (mut rng, mut obs, mut counts) = (stream(1, "test", 0), [0.0; 9], [0; 9]);
        for _ in 0..40_000 {
            Env::reset(&mut world, &mut rng, &mut obs).unwrap();
            Env::step(&mut world, &2, &mut rng, &mut obs).unwrap();
            counts[world.at] += 1;
        }
        assert_eq!(counts[1] + counts[5] + counts[7], 40_000);
        for (at, share) in [(5, 20_000_i32), (1, 10_000), (7, 10_000)] {
            assert!((counts[at] - share).abs() < 400, "{counts:?}");
        }
    }

    #[test]
    fn maps_that_do_not_fit() {
        let with = |map: &str| GridWorld::new(GridWorldParams { map: map.into(), ..Default::default() });
        for (map, words) in [("", "no start"), ("FG", "no start"), ("SX", "'X' in row 0, column 1")] {
            let error = with(map).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let slippery = GridWorldParams { slip: 1.5, ..Default::default() };
        assert!(GridWorld::new(slippery).is_err());
    }
}
