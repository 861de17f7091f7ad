use rand::Rng;
use rl_kernels::elementary::sin_cos;

use super::{Phase, row};
use crate::{BoxSpace, Env, EnvError, EnvRng, EnvState, Space, Step};

/// A pole balanced on a cart that is pushed left or right.
///
/// | obs | meaning | unit | terminates beyond |
/// |---|---|---|---|
/// | 0 | cart position `x` | m | ±2.4 |
/// | 1 | cart velocity `ẋ` | m/s | |
/// | 2 | pole angle `θ`, 0 upright | rad | ±12° |
/// | 3 | pole angular velocity `θ̇` | rad/s | |
///
/// Actions: 0 pushes with −10 N, 1 with +10 N. Reward: 1 for every step, the last included. The state is advanced by one explicit Euler step
/// of 0.02 s, in `f64`; observations are its `f32` rounding. Starts uniformly in ±0.05.
///
/// # Source
///
/// Barto, Sutton & Anderson (1983); constants and step order as Gymnasium's `CartPole-v1`.
#[derive(Clone, Debug, Default)]
pub struct CartPole {
    state: [f64; 4],
    phase: Phase,
}

const GRAVITY: f64 = 9.8;
const MASS_POLE: f64 = 0.1;
const TOTAL_MASS: f64 = MASS_POLE + 1.0;
const HALF_LENGTH: f64 = 0.5;
const POLE_MASS_LENGTH: f64 = MASS_POLE * HALF_LENGTH;
const FORCE: f64 = 10.0;
const TAU: f64 = 0.02;
const THETA_LIMIT: f64 = 12.0 * 2.0 * std::f64::consts::PI / 360.0;
const X_LIMIT: f64 = 2.4;

impl CartPole {
    /// A cart-pole that needs a reset.
    pub fn new() -> Self {
        CartPole::default()
    }

    /// The state `[x, ẋ, θ, θ̇]`.
    pub fn state(&self) -> [f64; 4] {
        self.state
    }

    /// Places the environment in a state, inside an episode.
    pub fn set_state(&mut self, state: [f64; 4]) {
        self.state = state;
        self.phase = Phase::Running;
    }

    #[inline]
    fn observe(&self, obs: &mut [f32; 4]) {
        *obs = self.state.map(|s| s as f32);
    }
}

impl Env for CartPole {
    type Action = usize;

    fn observation_space(&self) -> Space {
        let limits = [X_LIMIT as f32 * 2.0, f32::INFINITY, (THETA_LIMIT * 2.0) as f32, f32::INFINITY];
        BoxSpace::symmetric(&limits).into()
    }

    fn action_space(&self) -> Space {
        Space::Discrete(2)
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        let obs = row(obs)?;
        self.state = std::array::from_fn(|_| rng.random_range(-0.05..0.05));
        self.phase = Phase::Running;
        self.observe(obs);
        Ok(())
    }

    #[inline(always)]
    fn step(&mut self, &action: &usize, _rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        if action > 1 {
            return Err(EnvError::invalid_action(action, Space::Discrete(2)));
        }
        self.phase.check()?;
        let obs = row(obs)?;
        let [x, x_dot, theta, theta_dot] = self.state;
        let force = if action == 1 { FORCE } else { -FORCE };
        let (sin, cos) = sin_cos(theta);
        let temp = (force + POLE_MASS_LENGTH * (theta_dot * theta_dot) * sin) / TOTAL_MASS;
        let theta_acc =
            (GRAVITY * sin - cos * temp) / (HALF_LENGTH * (4.0 / 3.0 - MASS_POLE * (cos * cos) / TOTAL_MASS));
        let x_acc = temp - POLE_MASS_LENGTH * theta_acc * cos / TOTAL_MASS;
        let x = x + TAU * x_dot;
        let x_dot = x_dot + TAU * x_acc;
        let theta = theta + TAU * theta_dot;
        let theta_dot = theta_dot + TAU * theta_acc;
        self.state = [x, x_dot, theta, theta_dot];
        *obs = [x as f32, x_dot as f32, theta as f32, theta_dot as f32];
        let fallen = x.abs() > X_LIMIT || theta.abs() > THETA_LIMIT;
        Ok(Step { reward: 1.0, end: self.phase.after(fallen) })
    }

    fn save(&self) -> Option<EnvState> {
        Some(self.phase.save(EnvState::new("CartPole").f64s(&self.state)))
    }

    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let mut words = state.read("CartPole")?;
        let restored = CartPole { state: words.f64s()?, phase: Phase::read(&mut words)? };
        words.finish()?;
        *self = restored;
        Ok(())
    }

    #[cfg(feature = "render")]
    fn render(&self) -> Option<crate::Frame> {
        crate::render::scenes::cart_pole(self.state[0], self.state[2])
    }
}
