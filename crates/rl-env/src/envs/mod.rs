//! The built-in environments.

mod acrobot;
mod cartpole;
mod catch;
mod grid_world;
mod mountain_car;
mod mountain_car_continuous;
mod pendulum;
mod phase;

pub use acrobot::Acrobot;
pub use cartpole::CartPole;
pub use catch::Catch;
pub use grid_world::{FROZEN_LAKE_4X4, FROZEN_LAKE_8X8, GridObservation, GridWorld, GridWorldParams};
pub use mountain_car::MountainCar;
pub use mountain_car_continuous::MountainCarContinuous;
pub use pendulum::Pendulum;
use phase::Phase;
