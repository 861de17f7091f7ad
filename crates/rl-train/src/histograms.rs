//! Histograms of what a run has: its parameters, and the actions that were taken.

use rl_algo::{ActorCritic, Log};
use rl_nn::{Actions, Layout};
use rl_rollout::Rollout;

/// Adds `parameters/policy.NAME` and `parameters/critic.NAME` for every tensor of both networks, as saved policies call them, and `actions/I` for every
/// dimension `I` of the rollout's actions: samples of the policy, before bounds are applied.
pub(crate) fn add_histograms(log: &mut Log, agent: &ActorCritic, rollout: &Rollout) {
    let mut tensors = |whose: &str, layout: &Layout, theta: &[f32]| {
        for param in layout.params() {
            log.histogram(&format!("parameters/{whose}.{}", param.name), &theta[param.range()]);
        }
    };
    tensors("policy", &agent.policy().layout(), agent.policy_theta());
    tensors("critic", &agent.critic().shape().layout, agent.critic_theta());
    let dimensions = agent.policy().distribution.action_len();
    match &rollout.actions {
        Actions::Discrete(actions) => {
            let actions: Vec<f64> = actions.iter().map(|action| *action as f64).collect();
            add_actions(log, &actions, dimensions);
        }
        Actions::Continuous(actions) => add_actions(log, actions, dimensions),
    }
}

fn add_actions<F: rl_nn::Real>(log: &mut Log, actions: &[F], dimensions: usize) {
    for dimension in 0..dimensions {
        let of_dimension: Vec<F> = actions.iter().skip(dimension).step_by(dimensions).copied().collect();
        log.histogram(&format!("actions/{dimension}"), &of_dimension);
    }
}
