//! What algorithms and their parts promise.

mod controlled;
mod distributions;
mod identities;
mod learns;
mod ppo_steps;
mod ppo_switches;
mod ppo_updates;
mod rollout_parts;
mod shared_trunk;
mod step_curves;
mod trpo_bound;
