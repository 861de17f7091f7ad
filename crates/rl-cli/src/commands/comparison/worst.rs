//! What a failed run counts as.

/// Environments with the least return that an episode can have: a run that failed counts as that, for its algorithm gave nobody a
/// policy.
const DOCUMENTED: &[(&str, f64)] = &[
    // −1 a step, up to the limit of steps.
    ("Acrobot-v1", -500.0),
    ("MountainCar-v0", -200.0),
    // −0.1 a² a step with |a| ≤ 1.
    ("MountainCarContinuous-v0", -99.9),
    // −(π² + 0.1 · 8² + 0.001 · 2²) = −16.2736 a step.
    ("Pendulum-v1", -3254.72),
    // 1 a step.
    ("CartPole-v0", 0.0),
    ("CartPole-v1", 0.0),
    ("Catch-v0", -1.0),
    ("FrozenLake-v1", 0.0),
    ("FrozenLake8x8-v1", 0.0),
    // −0.01 in each of 99 steps, and a pit.
    ("GridWorld-v0", -1.99),
];

/// The least return that an episode of the environment can have, where that is documented.
pub(super) fn worst_return(env: &str) -> Option<f64> {
    DOCUMENTED.iter().find(|(id, _)| *id == env).map(|(_, worst)| *worst)
}
