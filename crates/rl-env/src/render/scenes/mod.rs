//! One file for each environment: its state in, a frame out.

mod acrobot;
mod cart_pole;
mod catch;
mod crane;
mod grid_world;
mod harbour;
mod lights;
mod mountain_car;
mod nim;
mod pendulum;

pub(crate) use acrobot::acrobot;
pub(crate) use cart_pole::cart_pole;
pub(crate) use catch::catch;
pub(crate) use crane::crane;
pub(crate) use grid_world::grid_world;
pub(crate) use harbour::harbour;
pub(crate) use lights::lights;
pub(crate) use mountain_car::mountain_car;
pub(crate) use nim::nim;
pub(crate) use pendulum::pendulum;
