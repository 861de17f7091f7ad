use std::f64::consts::{FRAC_PI_2, PI};

use rand::Rng;
use rl_kernels::elementary::{cos, sin_cos};

use super::{Phase, row};
use crate::{BoxSpace, Env, EnvError, EnvRng, EnvState, Space, Step};

/// Two links hanging from a fixed joint, with a motor at the elbow only; the tip must swing above a line.
///
/// | obs | meaning | range |
/// |---|---|---|
/// | 0, 1 | `cos θ₁`, `sin θ₁` of the first link, `θ₁ = 0` hanging down | ±1 |
/// | 2, 3 | `cos θ₂`, `sin θ₂` of the second link relative to the first | ±1 |
/// | 4 | angular velocity `θ̇₁` (rad/s) | ±4π |
/// | 5 | angular velocity `θ̇₂` (rad/s) | ±9π |
///
/// Actions: 0, 1, 2 apply −1, 0, +1 N·m at the elbow. Reward: −1 a step, 0 on the terminating one. Terminates when the
/// tip is more than one link above the joint: `−cos θ₁ − cos(θ₁ + θ₂) > 1`. Starts with every element uniform in ±0.1.
///
/// One fourth-order Runge-Kutta step of 0.2 s, in `f64`; then angles are wrapped to ±π and velocities clipped.
///
/// # Source
///
/// Sutton (1996), equations of Sutton & Barto's book; constants and step order as Gymnasium's `Acrobot-v1`, whose first
/// state is rounded to `f32`.
#[derive(Clone, Debug, Default)]
pub struct Acrobot {
    state: [f64; 4],
    phase: Phase,
}

const DT: f64 = 0.2;
const MAX_SPEED: [f64; 2] = [4.0 * PI, 9.0 * PI];
const GRAVITY: f64 = 9.8;

impl Acrobot {
    /// An acrobot that needs a reset.
    pub fn new() -> Self {
        Acrobot::default()
    }

    /// The state `[θ₁, θ₂, θ̇₁, θ̇₂]`.
    pub fn state(&self) -> [f64; 4] {
        self.state
    }

    /// Places the environment in a state, inside an episode.
    pub fn set_state(&mut self, state: [f64; 4]) {
        self.state = state;
        self.phase = Phase::Running;
    }

    fn observe(&self, obs: &mut [f32; 6]) {
        let [theta1, theta2, speed1, speed2] = self.state;
        let ((sin1, cos1), (sin2, cos2)) = (sin_cos(theta1), sin_cos(theta2));
        *obs = [cos1, sin1, cos2, sin2, speed1, speed2].map(|s| s as f32);
    }
}

impl Env for Acrobot {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::symmetric(&[1.0, 1.0, 1.0, 1.0, MAX_SPEED[0] as f32, MAX_SPEED[1] as f32]).into()
    }

    fn action_space(&self) -> Space {
        Space::Discrete(3)
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        let obs = row(obs)?;
        self.set_state(std::array::from_fn(|_| f64::from(rng.random_range(-0.1..0.1_f64) as f32)));
        self.observe(obs);
        Ok(())
    }

    fn step(&mut self, &action: &usize, _rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        if action > 2 {
            return Err(EnvError::invalid_action(action, Space::Discrete(3)));
        }
        self.phase.check()?;
        let obs = row(obs)?;
        let [theta1, theta2, speed1, speed2] = runge_kutta_4(self.state, action as f64 - 1.0);
        self.state = [
            wrap(theta1),
            wrap(theta2),
            speed1.clamp(-MAX_SPEED[0], MAX_SPEED[0]),
            speed2.clamp(-MAX_SPEED[1], MAX_SPEED[1]),
        ];
        self.observe(obs);
        let [theta1, theta2, ..] = self.state;
        let end = self.phase.after(-cos(theta1) - cos(theta2 + theta1) > 1.0);
        Ok(Step { reward: if end.is_over() { 0.0 } else { -1.0 }, end })
    }

    fn save(&self) -> Option<EnvState> {
        Some(self.phase.save(EnvState::new("Acrobot").f64s(&self.state)))
    }

    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let mut words = state.read("Acrobot")?;
        let restored = Acrobot { state: words.f64s()?, phase: Phase::read(&mut words)? };
        words.finish()?;
        *self = restored;
        Ok(())
    }

    #[cfg(feature = "render")]
    fn render(&self) -> Option<crate::Frame> {
        crate::render::scenes::acrobot(self.state[0], self.state[1])
    }
}

/// `y + h/6 (k₁ + 2 k₂ + 2 k₃ + k₄)`, the torque held.
fn runge_kutta_4(y: [f64; 4], torque: f64) -> [f64; 4] {
    let along = |k: [f64; 4], h: f64| -> [f64; 4] { std::array::from_fn(|i| y[i] + h * k[i]) };
    let k1 = derivative(y, torque);
    let k2 = derivative(along(k1, DT / 2.0), torque);
    let k3 = derivative(along(k2, DT / 2.0), torque);
    let k4 = derivative(along(k3, DT), torque);
    std::array::from_fn(|i| y[i] + DT / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]))
}

/// Time derivative of the state, for links of mass, length and moment of inertia 1, their centres of mass at 1/2.
fn derivative([theta1, theta2, speed1, speed2]: [f64; 4], torque: f64) -> [f64; 4] {
    let (sin2, cos2) = sin_cos(theta2);
    let d1 = 0.25 + (1.25 + cos2) + 1.0 + 1.0;
    let d2 = (0.25 + 0.5 * cos2) + 1.0;
    let phi2 = 0.5 * GRAVITY * cos(theta1 + theta2 - FRAC_PI_2);
    let phi1 = -0.5 * (speed2 * speed2) * sin2 - speed2 * speed1 * sin2
        + 1.5 * GRAVITY * cos(theta1 - FRAC_PI_2)
        + phi2;
    let acc2 =
        (torque + d2 / d1 * phi1 - 0.5 * (speed1 * speed1) * sin2 - phi2) / (0.25 + 1.0 - d2 * d2 / d1);
    let acc1 = -(d2 * acc2 + phi1) / d1;
    [speed1, speed2, acc1, acc2]
}

/// The angle in [−π, π]. One turn at a time, as the reference does, so that it rounds alike.
fn wrap(angle: f64) -> f64 {
    const TURN: f64 = 2.0 * PI;
    let mut angle = if angle.abs() > 100.0 * TURN { angle % TURN } else { angle };
    while angle > PI {
        angle -= TURN;
    }
    while angle < -PI {
        angle += TURN;
    }
    angle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_is_conserved_without_torque_as_the_step_shrinks() {
        // T + V of the equations above; one small Runge-Kutta step must keep it.
        let energy = |[t1, t2, s1, s2]: [f64; 4]| {
            let (d1, d2) = (3.5 + cos(t2), 1.25 + 0.5 * cos(t2));
            let kinetic = 0.5 * d1 * s1 * s1 + d2 * s1 * s2 + 0.5 * 1.25 * s2 * s2;
            kinetic - 1.5 * GRAVITY * cos(t1) - 0.5 * GRAVITY * cos(t1 + t2)
        };
        let y = [0.4, -0.7, 1.1, -0.3];
        let rate: f64 = {
            let (k, h) = (derivative(y, 0.0), 1e-6);
            let ahead = std::array::from_fn(|i| y[i] + h * k[i]);
            let behind = std::array::from_fn(|i| y[i] - h * k[i]);
            (energy(ahead) - energy(behind)) / (2.0 * h)
        };
        assert!(rate.abs() < 1e-7, "dE/dt = {rate}");
    }

    #[test]
    fn angles_wrap_into_one_turn() {
        assert!((wrap(3.5) - (3.5 - 2.0 * PI)).abs() < 1e-15);
        assert!((wrap(-10.0) - (-10.0 + 4.0 * PI)).abs() < 1e-14);
        assert!(wrap(1e30).abs() <= PI);
    }
}
