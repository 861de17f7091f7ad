use rand::Rng;
use rl_kernels::elementary::cos;

use super::mountain_car::{GRAVITY, MAX_SPEED, MAX_X, MIN_X, observation_space};
use super::{Phase, row};
use crate::{BoxSpace, Env, EnvError, EnvRng, EnvState, Space, Step};

/// The mountain car with a motor to be dosed.
///
/// | obs | meaning | unit | range |
/// |---|---|---|---|
/// | 0 | position `x` along the track, valley floor near −0.52 | m | −1.2 to 0.6 |
/// | 1 | velocity `v` | m/s | ±0.07 |
///
/// Action: a force in ±1; beyond that the motor is at its limit. Reward: `−0.1 a²` of the force asked for (not of the
/// clipped one), and 100 on reaching the goal. Terminates at `x ≥ 0.45` with `v ≥ 0`. Starts at rest, `x` uniform in
/// [−0.6, −0.4).
///
/// `v ← clip(v + 0.0015 a − 0.0025 cos 3x, ±0.07)`, then `x ← clip(x + v, [−1.2, 0.6])`; the left wall is inelastic.
///
/// # Source
///
/// Gymnasium's `MountainCarContinuous-v0`. It stores its state as `f32` after every step, and under NumPy 2's promotion
/// rules computes from an `f32` state in `f32` (all but the cosine, and the motor's share where the force is clipped);
/// only the first step of an episode starts from an `f64` state. This follows it exactly: a state whose elements are
/// both representable in `f32` is taken for a stored one.
#[derive(Clone, Debug, Default)]
pub struct MountainCarContinuous {
    state: [f64; 2],
    phase: Phase,
}

const GOAL_X: f64 = 0.45;
const POWER: f64 = 0.0015;

/// Moves the car: `$velocity` already has the motor and gravity in it. Gives position, velocity, and whether the goal
/// is reached, in the precision `$real`.
macro_rules! roll {
    ($real:ty, $position:expr, $velocity:expr) => {{
        let velocity = $velocity.clamp(-MAX_SPEED as $real, MAX_SPEED as $real);
        let position = ($position + velocity).clamp(MIN_X as $real, MAX_X as $real);
        let velocity = if position <= MIN_X as $real && velocity < 0.0 { 0.0 } else { velocity };
        (position as f32, velocity as f32, position >= GOAL_X as $real && velocity >= 0.0)
    }};
}

impl MountainCarContinuous {
    /// A mountain car that needs a reset.
    pub fn new() -> Self {
        MountainCarContinuous::default()
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

impl Env for MountainCarContinuous {
    type Action = [f32; 1];

    fn observation_space(&self) -> Space {
        observation_space()
    }

    fn action_space(&self) -> Space {
        BoxSpace::symmetric(&[1.0]).into()
    }

    #[inline]
    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        let obs = row(obs)?;
        self.set_state([rng.random_range(-0.6..-0.4), 0.0]);
        self.observe(obs);
        Ok(())
    }

    #[inline]
    fn step(&mut self, &[action]: &[f32; 1], _rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        if !action.is_finite() {
            return Err(EnvError::invalid_action(action, self.action_space()));
        }
        self.phase.check()?;
        let obs = row(obs)?;
        let [x, v] = self.state;
        let stored = [x as f32, v as f32];
        let is_stored = stored.map(|s| f64::from(s).to_bits()) == [x.to_bits(), v.to_bits()];
        let gravity = GRAVITY * cos(if is_stored { f64::from(3.0 * stored[0]) } else { 3.0 * x });
        // A clipped force is a Python float, one within bounds an f32 that draws the product into f32.
        let pull = if action.abs() > 1.0 {
            f64::from(action.signum()) * POWER - gravity
        } else {
            f64::from(action * POWER as f32 - gravity as f32)
        };
        let (x, v, at_goal) = if is_stored {
            roll!(f32, stored[0], (stored[1] + pull as f32))
        } else {
            roll!(f64, x, (v + pull))
        };
        self.state = [x.into(), v.into()];
        self.observe(obs);
        let effort = f64::from(action) * f64::from(action) * 0.1;
        let reward = if at_goal { 100.0 } else { 0.0 } - effort;
        Ok(Step { reward, end: self.phase.after(at_goal) })
    }

    fn save(&self) -> Option<EnvState> {
        Some(self.phase.save(EnvState::new("MountainCarContinuous").f64s(&self.state)))
    }

    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let mut words = state.read("MountainCarContinuous")?;
        let restored = MountainCarContinuous { state: words.f64s()?, phase: Phase::read(&mut words)? };
        words.finish()?;
        *self = restored;
        Ok(())
    }

    #[cfg(feature = "render")]
    fn render(&self) -> Option<crate::Frame> {
        crate::render::scenes::mountain_car(self.state[0], GOAL_X)
    }
}
