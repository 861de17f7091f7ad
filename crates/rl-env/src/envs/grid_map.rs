use crate::EnvError;

/// What a [`GridWorld`](super::GridWorld) is made of.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridWorldParams {
    /// Rows of cells: `S` start, `G` goal, `H` pit, `#` wall, `.` or `F` free.
    pub map: String,
    /// The probability of going sideways, half for each side.
    pub slip: f64,
    /// Reward of a step that ends neither on a goal nor in a pit.
    pub step_reward: f64,
    /// Reward of the step onto a goal.
    pub goal_reward: f64,
    /// Reward of the step into a pit.
    pub pit_reward: f64,
    /// What the walker sees.
    pub observation: GridObservation,
}

/// What the walker of a [`GridWorld`](super::GridWorld) sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GridObservation {
    /// Column and row.
    Position,
    /// The number of its cell, one-hot.
    OneHot,
}

/// FrozenLake's map of 4 by 4 cells.
pub const FROZEN_LAKE_4X4: &str = "SFFF\nFHFH\nFFFH\nHFFG";

/// FrozenLake's map of 8 by 8 cells.
pub const FROZEN_LAKE_8X8: &str =
    "SFFFFFFF\nFFFFFFFF\nFFFHFFFF\nFFFFFHFF\nFFFHFFFF\nFHHFFFHF\nFHFFHFHF\nFFFHFFFG";

impl Default for GridWorldParams {
    /// Five by five cells with two pits, seen as (x, y); a hundredth a step, so that the best return is 0.93.
    fn default() -> Self {
        GridWorldParams {
            map: "S...#\n.#...\n.#.H.\n...#.\nH...G".into(),
            slip: 0.0,
            step_reward: -0.01,
            goal_reward: 1.0,
            pit_reward: -1.0,
            observation: GridObservation::Position,
        }
    }
}

impl GridWorldParams {
    /// Slippery ice: two thirds of the moves go sideways, and only the goal is rewarded.
    pub fn frozen_lake(map: &str) -> Self {
        GridWorldParams {
            map: map.into(),
            slip: 2.0 / 3.0,
            step_reward: 0.0,
            goal_reward: 1.0,
            pit_reward: 0.0,
            observation: GridObservation::OneHot,
        }
    }

    /// The cells row by row, and how many make a row.
    pub(super) fn cells(&self) -> Result<(Vec<Cell>, usize), EnvError> {
        let bad = |message: String| Err(EnvError::InvalidMap(message));
        let mut cells = Vec::new();
        let mut columns = 0;
        for (y, line) in self.map.lines().enumerate() {
            let row: Vec<char> = line.trim().chars().collect();
            if y == 0 {
                columns = row.len();
            } else if row.len() != columns {
                return bad(format!("row {y} has {} cells, row 0 has {columns}", row.len()));
            }
            for (x, letter) in row.into_iter().enumerate() {
                cells.push(match letter {
                    'S' => Cell::Start,
                    'G' => Cell::Goal,
                    'H' => Cell::Pit,
                    '#' => Cell::Wall,
                    '.' | 'F' => Cell::Free,
                    other => return bad(format!("{other:?} in row {y}, column {x} is none of S G H # . F")),
                });
            }
        }
        Ok((cells, columns))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Free,
    Start,
    Goal,
    Pit,
    Wall,
}
