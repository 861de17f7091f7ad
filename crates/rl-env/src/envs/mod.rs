//! The built-in environments.

mod acrobot;
mod cartpole;
pub(crate) mod catch;
pub(crate) mod crane;
pub(crate) mod grid_map;
mod grid_world;
pub(crate) mod harbour;
pub(crate) mod lights;
mod mountain_car;
mod mountain_car_continuous;
pub(crate) mod nim;
mod pendulum;
mod phase;

pub use acrobot::Acrobot;
pub use cartpole::CartPole;
pub use catch::Catch;
pub use crane::Crane;
pub use grid_map::{FROZEN_LAKE_4X4, FROZEN_LAKE_8X8, GridObservation, GridWorldParams};
pub use grid_world::GridWorld;
pub use harbour::Harbour;
pub use lights::Lights;
pub use mountain_car::MountainCar;
pub use mountain_car_continuous::MountainCarContinuous;
pub use nim::Nim;
pub use pendulum::Pendulum;
pub(crate) use phase::Phase;

use crate::EnvError;

/// The caller's slice as the row of `O` elements it must be.
#[inline]
fn row<const O: usize>(obs: &mut [f32]) -> Result<&mut [f32; O], EnvError> {
    let got = obs.len();
    obs.try_into().map_err(|_| wrong_length(got, O))
}

#[cold]
fn wrong_length(got: usize, expected: usize) -> EnvError {
    EnvError::WrongLength { what: "the observation", got, expected }
}
