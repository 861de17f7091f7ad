//! The buffer of a rollout.

use rl_nn::Actions;

/// `T` steps of `N` environments as they happened, time-major.
///
/// # Shapes
///
/// `B = T·N`, element `(t, n)` at row `t·N + n`; `O` elements an observation, `A` an action, `D` network outputs of the policy.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// `T`.
    pub n_steps: usize,
    /// `N`.
    pub n_envs: usize,
    /// What each action was chosen from, `[B, O]`.
    pub observations: Vec<f32>,
    /// The sampled actions before any clipping, `[B, A]`: the log-probabilities are theirs.
    pub actions: Actions<f32>,
    /// `log π_old(a|s)`, `[B]`.
    pub log_probs: Vec<f32>,
    /// The old policy's network outputs, `[B, D]`.
    pub policy_outputs: Vec<f32>,
    /// The old policy's free distribution parameters.
    pub policy_globals: Vec<f32>,
    /// Rewards, `[B]`.
    pub rewards: Vec<f32>,
    /// Whether the row is the first of its episode, `[B]`.
    pub episode_starts: Vec<bool>,
    /// Whether the step ended its episode in a terminal state, `[B]`.
    pub terminated: Vec<bool>,
    /// Whether the step ended its episode at a limit, `[B]`.
    pub truncated: Vec<bool>,
    /// The observations after the last step, `[N, O]`.
    pub last_observations: Vec<f32>,
    /// The rows of truncated steps, ascending, `[K]`.
    pub truncated_rows: Vec<usize>,
    /// The final observation of each truncated episode, `[K, O]`: what truncation bootstraps from.
    pub final_observations: Vec<f32>,
}

impl Rollout {
    /// An empty buffer for actions of the given kind.
    pub fn new(actions: Actions<f32>) -> Self {
        Rollout {
            n_steps: 0,
            n_envs: 0,
            observations: Vec::new(),
            actions,
            log_probs: Vec::new(),
            policy_outputs: Vec::new(),
            policy_globals: Vec::new(),
            rewards: Vec::new(),
            episode_starts: Vec::new(),
            terminated: Vec::new(),
            truncated: Vec::new(),
            last_observations: Vec::new(),
            truncated_rows: Vec::new(),
            final_observations: Vec::new(),
        }
    }

    /// `B = T·N`.
    pub fn len(&self) -> usize {
        self.n_steps * self.n_envs
    }

    /// Whether there is no step.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets the steps, keeping the memory.
    pub fn clear(&mut self) {
        self.n_steps = 0;
        self.observations.clear();
        self.actions.clear();
        self.log_probs.clear();
        self.policy_outputs.clear();
        self.policy_globals.clear();
        self.rewards.clear();
        self.episode_starts.clear();
        self.terminated.clear();
        self.truncated.clear();
        self.last_observations.clear();
        self.truncated_rows.clear();
        self.final_observations.clear();
    }
}
