//! What is built in.

use crate::envs::{self, GridWorld, GridWorldParams};
use crate::{Env, EnvSpec};

/// The built-in environments with their time limits, thresholds, and the least return that an episode can have.
pub(crate) fn specs() -> Vec<EnvSpec> {
    let lake = GridWorldParams::frozen_lake;
    vec![
        // −1 a step, up to the limit of steps.
        limited("Acrobot-v1", 500, envs::Acrobot::new)
            .with_reward_threshold(-100.0)
            .with_worst_return(-500.0),
        // 1 a step.
        limited("CartPole-v0", 200, envs::CartPole::new).with_reward_threshold(195.0).with_worst_return(0.0),
        limited("CartPole-v1", 500, envs::CartPole::new).with_reward_threshold(475.0).with_worst_return(0.0),
        EnvSpec::new("Catch-v0", envs::Catch::new).with_reward_threshold(0.9).with_worst_return(-1.0),
        // −0.1 a step, up to the limit of steps.
        limited("Crane-v0", 30, envs::Crane::new).with_reward_threshold(0.7).with_worst_return(-3.0),
        grid_world("FrozenLake-v1", 100, lake(envs::FROZEN_LAKE_4X4))
            .with_reward_threshold(0.7)
            .with_worst_return(0.0),
        grid_world("FrozenLake8x8-v1", 200, lake(envs::FROZEN_LAKE_8X8))
            .with_reward_threshold(0.85)
            .with_worst_return(0.0),
        // −0.01 in each of 99 steps, and a pit.
        grid_world("GridWorld-v0", 100, GridWorldParams::default())
            .with_reward_threshold(0.9)
            .with_worst_return(-1.99),
        // −0.02 in each of 49 steps, and a wrong dock.
        limited("Harbour-v0", 50, envs::Harbour::new).with_reward_threshold(0.85).with_worst_return(-1.98),
        // No lamp as asked for in any of 10 rounds.
        limited("Lights-v0", 10, envs::Lights::new).with_reward_threshold(9.0).with_worst_return(-10.0),
        // −1 a step, up to the limit of steps.
        limited("MountainCar-v0", 200, envs::MountainCar::new)
            .with_reward_threshold(-110.0)
            .with_worst_return(-200.0),
        // −0.1 a² a step with |a| ≤ 1.
        limited("MountainCarContinuous-v0", 999, envs::MountainCarContinuous::new)
            .with_reward_threshold(90.0)
            .with_worst_return(-99.9),
        EnvSpec::new("Nim-v0", envs::Nim::new).with_reward_threshold(0.9).with_worst_return(-1.0),
        // −(π² + 0.1 · 8² + 0.001 · 2²) = −16.2736 a step.
        limited("Pendulum-v1", 200, envs::Pendulum::new).with_worst_return(-3254.72),
    ]
}

fn limited<E: Env + 'static>(id: &str, max_episode_steps: u32, make: fn() -> E) -> EnvSpec {
    EnvSpec::with_time_limit(id, max_episode_steps, make)
}

fn grid_world(id: &str, max_episode_steps: u32, params: GridWorldParams) -> EnvSpec {
    let world = GridWorld::new(params).expect("a built-in map");
    EnvSpec::with_time_limit(id, max_episode_steps, move || world.clone())
}
