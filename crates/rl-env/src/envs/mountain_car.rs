use rand::Rng;
use rl_kernels::elementary::cos;

use super::{Phase, row};
use crate::{BoxSpace, Env, EnvError, EnvRng, EnvState, Space, Step};

/// An underpowered car that must swing itself out of a valley.
///
/// | obs | meaning | unit | range |
/// |---|---|---|---|
/// | 0 | position `x` along the track, valley floor near −0.52 | m | −1.2 to 0.6 |
/// | 1 | velocity `v` | m/s | ±0.07 |
///
/// Actions: 0 accelerates to the left, 1 does nothing, 2 accelerates to the right. Reward: −1 for every step, the last
/// included. Terminates at `x ≥ 0.5` with `v ≥ 0`. Starts at rest, `x` uniform in [−0.6, −0.4).
///
/// `v ← clip(v + 0.001 (a − 1) − 0.0025 cos 3x, ±0.07)`, then `x ← clip(x + v, [−1.2, 0.6])`; the left wall is
/// inelastic. Computed in `f64`; observations are its `f32` rounding.
///
/// # Source
///
/// Moore (1990); constants and step order as Gymnasium's `MountainCar-v0`.
#[derive(Clone, Debug, Default)]
pub struct MountainCar {
    state: [f64; 2],
    phase: Phase,
}

pub(super) const MIN_X: f64 = -1.2;
pub(super) const MAX_X: f64 = 0.6;
pub(super) const MAX_SPEED: f64 = 0.07;
pub(super) const GRAVITY: f64 = 0.0025;
const GOAL_X: f64 = 0.5;
const FORCE: f64 = 0.001;

pub(super) fn observation_space() -> Space {
    let (x, v) = ([MIN_X as f32, MAX_X as f32], MAX_SPEED as f32);
    BoxSpace { shape: vec![2], low: vec![x[0], -v], high: vec![x[1], v] }.into()
}

impl MountainCar {
    /// A mountain car that needs a reset.
    pub fn new() -> Self {
        MountainCar::default()
    }

    /// The state `[x, v]`.
    pub fn state(&self) -> [f64; 2] {
        self.state
    }

    /// Places the environment in a state, inside an episode.
    pub fn set_state(&mut self, state: [f64; 2]) {
        self.state = state;
        self.phase = Phase::Running;
    }

    #[inline]
    fn observe(&self, obs: &mut [f32; 2]) {
        *obs = self.state.map(|s| s as f32);
    }
}

impl Env for MountainCar {
    type Action = usize;

    fn observation_space(&self) -> Space {
        observation_space()
    }

    fn action_space(&self) -> Space {
        Space::Discrete(3)
    }

    #[inline]
    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        let obs = row(obs)?;
        self.set_state([rng.random_range(-0.6..-0.4), 0.0]);
        self.observe(obs);
        Ok(())
    }

    #[inline]
    fn step(&mut self, &action: &usize, _rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        if action > 2 {
            return Err(EnvError::invalid_action(action, Space::Discrete(3)));
        }
        self.phase.check()?;
        let obs = row(obs)?;
        let [x, v] = self.state;
        let v = v + ((action as f64 - 1.0) * FORCE + cos(3.0 * x) * -GRAVITY);
        let v = v.clamp(-MAX_SPEED, MAX_SPEED);
        let x = (x + v).clamp(MIN_X, MAX_X);
        let v = if x <= MIN_X && v < 0.0 { 0.0 } else { v };
        self.state = [x, v];
        self.observe(obs);
        Ok(Step { reward: -1.0, end: self.phase.after(x >= GOAL_X && v >= 0.0) })
    }

    fn save(&self) -> Option<EnvState> {
        Some(self.phase.save(EnvState::new("MountainCar").f64s(&self.state)))
    }

    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let mut words = state.read("MountainCar")?;
        let restored = MountainCar { state: words.f64s()?, phase: Phase::read(&mut words)? };
        words.finish()?;
        *self = restored;
        Ok(())
    }

    #[cfg(feature = "render")]
    fn render(&self) -> Option<crate::Frame> {
        crate::render::scenes::mountain_car(self.state[0], GOAL_X)
    }
}
