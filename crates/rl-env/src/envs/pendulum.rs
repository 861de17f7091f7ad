use std::f64::consts::PI;

use rand::Rng;
use rl_kernels::elementary::{sin, sin_cos};

use super::{Phase, row};
use crate::{BoxSpace, Env, EnvError, EnvRng, EnvState, Space, Step, StepEnd};

/// A pendulum to be swung up and held upright by a limited torque.
///
/// | obs | meaning | range |
/// |---|---|---|
/// | 0 | `cos θ`, `θ = 0` upright | ±1 |
/// | 1 | `sin θ` | ±1 |
/// | 2 | angular velocity `θ̇` (rad/s) | ±8 |
///
/// Action: a torque in N·m, clipped to ±2. Reward: `−(θ² + 0.1 θ̇² + 0.001 u²)` of the state before the step, `θ` wrapped to [−π, π).
/// Never terminates. One semi-implicit Euler step of 0.05 s. Starts with `θ` uniform in ±π, `θ̇` in ±1.
///
/// # Source
///
/// Gymnasium's `Pendulum-v1`. Under NumPy 2's promotion rules its torque is an `f32`, and `3·u` and `0.001·u²` are
/// computed in `f32`, the rest in `f64`; so they are here. NumPy squares an `f32` scalar by the C library's `powf`, which
/// for one torque in 1,300 is an ulp away from the rounded product; here `u²` is that product on every machine.
#[derive(Clone, Debug, Default)]
pub struct Pendulum {
    state: [f64; 2],
    /// The last torque, for the picture.
    torque: f32,
    phase: Phase,
}

const MAX_SPEED: f64 = 8.0;
const MAX_TORQUE: f32 = 2.0;
const DT: f64 = 0.05;
const GRAVITY: f64 = 10.0;

impl Pendulum {
    /// A pendulum that needs a reset.
    pub fn new() -> Self {
        Pendulum::default()
    }

    /// The state `[θ, θ̇]`.
    pub fn state(&self) -> [f64; 2] {
        self.state
    }

    /// Places the environment in a state, inside an episode.
    pub fn set_state(&mut self, state: [f64; 2]) {
        self.state = state;
        self.phase = Phase::Running;
    }

    fn observe(&self, obs: &mut [f32; 3]) {
        let (sin, cos) = sin_cos(self.state[0]);
        obs[0] = cos as f32;
        obs[1] = sin as f32;
        obs[2] = self.state[1] as f32;
    }
}

impl Env for Pendulum {
    type Action = [f32; 1];

    fn observation_space(&self) -> Space {
        BoxSpace::symmetric(&[1.0, 1.0, MAX_SPEED as f32]).into()
    }

    fn action_space(&self) -> Space {
        BoxSpace::symmetric(&[MAX_TORQUE]).into()
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        let obs = row(obs)?;
        self.torque = 0.0;
        self.state = [rng.random_range(-PI..PI), rng.random_range(-1.0..1.0)];
        self.phase = Phase::Running;
        self.observe(obs);
        Ok(())
    }

    fn step(&mut self, &[u]: &[f32; 1], _rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        if !u.is_finite() {
            return Err(EnvError::invalid_action(u, self.action_space()));
        }
        self.phase.check()?;
        let obs = row(obs)?;
        let [theta, theta_dot] = self.state;
        let u = u.clamp(-MAX_TORQUE, MAX_TORQUE);
        self.torque = u;
        let wrapped = (theta + PI).rem_euclid(2.0 * PI) - PI;
        let cost = wrapped * wrapped + 0.1 * (theta_dot * theta_dot) + f64::from(0.001_f32 * (u * u));
        // 3g / 2l · sin θ + 3 / ml² · u with m = l = 1
        let acceleration = 3.0 * GRAVITY / 2.0 * sin(theta) + f64::from(3.0 * u);
        let theta_dot = (theta_dot + acceleration * DT).clamp(-MAX_SPEED, MAX_SPEED);
        self.state = [theta + theta_dot * DT, theta_dot];
        self.observe(obs);
        Ok(Step { reward: -cost, end: StepEnd::Continues })
    }

    fn save(&self) -> Option<EnvState> {
        Some(self.phase.save(EnvState::new("Pendulum").f64s(&self.state).f32s(&[self.torque])))
    }

    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let mut words = state.read("Pendulum")?;
        let restored =
            Pendulum { state: words.f64s()?, torque: words.f32()?, phase: Phase::read(&mut words)? };
        words.finish()?;
        *self = restored;
        Ok(())
    }

    #[cfg(feature = "render")]
    fn render(&self) -> Option<crate::Frame> {
        crate::render::scenes::pendulum(self.state[0], self.torque.into())
    }
}
