//! The buffer of a rollout.

use rl_nn::Actions;

/// `T` steps of `N` environments as they happened, time-major.
///
/// # Shapes
///
/// `B = T·N`, element `(t, n)` at row `t·N + n`; `O` elements an observation, `A` an action, `M` a mask, `D` network outputs of the policy.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// `T`.
    pub n_steps: usize,
    /// `N`.
    pub n_envs: usize,
    /// What each action was chosen from, `[B, O]`.
    pub observations: Vec<f32>,
    /// Which actions each allowed, `[B, M]`; empty where every action always is.
    pub masks: Vec<bool>,
    /// The sampled actions before any clipping, `[B, A]`: the log-probabilities are theirs.
    pub actions: Actions<f32>,
    /// `log π_old(a|s)`, `[B]`.
    pub log_probs: Vec<f32>,
    /// The old policy's network outputs, −∞ where an action is masked, `[B, D]`.
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
    /// Whether the row is a transition, `[B]`; empty where every row is ([`VecEnv::valid`](rl_env::VecEnv::valid)).
    pub valid: Vec<bool>,
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
            masks: Vec::new(),
            actions,
            log_probs: Vec::new(),
            policy_outputs: Vec::new(),
            policy_globals: Vec::new(),
            rewards: Vec::new(),
            episode_starts: Vec::new(),
            terminated: Vec::new(),
            truncated: Vec::new(),
            valid: Vec::new(),
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

    /// How many rows are transitions.
    pub fn n_transitions(&self) -> usize {
        if self.valid.is_empty() { self.len() } else { self.valid.iter().filter(|valid| **valid).count() }
    }

    /// Leaves out the rows that are no transitions. What is left is a plain list of transitions, `T = B` and `N = 1`: it no longer says
    /// what followed what, so advantages are estimated before.
    pub fn keep_transitions(&mut self) {
        if self.valid.is_empty() {
            return;
        }
        let valid = std::mem::take(&mut self.valid);
        keep(&mut self.observations, &valid);
        keep(&mut self.masks, &valid);
        match &mut self.actions {
            Actions::Discrete(actions) => keep(actions, &valid),
            Actions::Continuous(actions) => keep(actions, &valid),
        }
        keep(&mut self.log_probs, &valid);
        keep(&mut self.policy_outputs, &valid);
        keep(&mut self.rewards, &valid);
        keep(&mut self.episode_starts, &valid);
        keep(&mut self.terminated, &valid);
        keep(&mut self.truncated, &valid);
        // A truncated row is a transition.
        let places = self.truncated.iter().enumerate().filter(|(_, truncated)| **truncated);
        self.truncated_rows.clear();
        self.truncated_rows.extend(places.map(|(row, _)| row));
        (self.n_steps, self.n_envs) = (self.rewards.len(), 1);
    }

    /// Forgets the steps, keeping the memory.
    pub fn clear(&mut self) {
        self.n_steps = 0;
        self.observations.clear();
        self.masks.clear();
        self.actions.clear();
        self.log_probs.clear();
        self.policy_outputs.clear();
        self.policy_globals.clear();
        self.rewards.clear();
        self.episode_starts.clear();
        self.terminated.clear();
        self.truncated.clear();
        self.valid.clear();
        self.last_observations.clear();
        self.truncated_rows.clear();
        self.final_observations.clear();
    }

    /// Becomes the rollout of all the environments of `parts`, which took the same number of steps and stand side by side.
    pub(crate) fn join(&mut self, parts: &[&Rollout]) {
        self.clear();
        let kind = |actions: &Actions<f32>| std::mem::discriminant(actions);
        if let Some(part) = parts.first().filter(|part| kind(&part.actions) != kind(&self.actions)) {
            self.actions = part.actions.clone();
            self.actions.clear();
        }
        self.n_envs = parts.iter().map(|part| part.n_envs).sum();
        self.n_steps = parts.first().map_or(0, |part| part.n_steps);
        interleave(&mut self.observations, parts, |part| &part.observations);
        interleave(&mut self.masks, parts, |part| &part.masks);
        interleave(&mut self.log_probs, parts, |part| &part.log_probs);
        interleave(&mut self.policy_outputs, parts, |part| &part.policy_outputs);
        interleave(&mut self.rewards, parts, |part| &part.rewards);
        interleave(&mut self.episode_starts, parts, |part| &part.episode_starts);
        interleave(&mut self.terminated, parts, |part| &part.terminated);
        interleave(&mut self.truncated, parts, |part| &part.truncated);
        interleave(&mut self.valid, parts, |part| &part.valid);
        match &mut self.actions {
            Actions::Discrete(to) => interleave(to, parts, |part| match &part.actions {
                Actions::Discrete(from) => from,
                Actions::Continuous(_) => &[],
            }),
            Actions::Continuous(to) => interleave(to, parts, |part| match &part.actions {
                Actions::Continuous(from) => from,
                Actions::Discrete(_) => &[],
            }),
        }
        let mut first = 0;
        let mut truncated = Vec::new();
        for part in parts {
            let width = part.last_observations.len() / part.n_envs.max(1);
            for (k, row) in part.truncated_rows.iter().enumerate() {
                let (t, env) = (row / part.n_envs, first + row % part.n_envs);
                truncated.push((t * self.n_envs + env, &part.final_observations[k * width..(k + 1) * width]));
            }
            self.last_observations.extend_from_slice(&part.last_observations);
            first += part.n_envs;
        }
        truncated.sort_by_key(|(row, _)| *row);
        for (row, observation) in truncated {
            self.truncated_rows.push(row);
            self.final_observations.extend_from_slice(observation);
        }
        if let Some(part) = parts.first() {
            self.policy_globals.extend_from_slice(&part.policy_globals);
        }
    }
}

/// Keeps the rows that are valid, of an array of as many rows.
pub fn keep<T: Copy>(array: &mut Vec<T>, valid: &[bool]) {
    let width = array.len() / valid.len().max(1);
    let mut kept = 0;
    for (row, _) in valid.iter().enumerate().filter(|(_, valid)| **valid) {
        array.copy_within(row * width..(row + 1) * width, kept * width);
        kept += 1;
    }
    array.truncate(kept * width);
}

/// Appends, step after step, what every part has of the step.
fn interleave<'a, T: Copy + 'a>(
    to: &mut Vec<T>,
    parts: &[&'a Rollout],
    field: impl Fn(&'a Rollout) -> &'a [T],
) {
    let of_parts: Vec<(&[T], usize)> = parts
        .iter()
        .map(|part| (field(part), field(part).len().checked_div(part.n_steps).unwrap_or(0)))
        .collect();
    to.reserve(of_parts.iter().map(|(from, _)| from.len()).sum());
    for t in 0..parts.first().map_or(0, |part| part.n_steps) {
        for (from, width) in &of_parts {
            to.extend_from_slice(&from[t * width..(t + 1) * width]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_no_transitions_are_left_out() {
        let mut rollout = part(0, 2, &[(0, 1), (2, 0)]);
        let whole = rollout.clone();
        rollout.keep_transitions();
        assert_eq!(rollout.rewards, whole.rewards, "all are, where nothing is said");
        // Environment 1 began its next episode in step 1.
        rollout.valid = vec![true, true, true, false, true, true];
        assert_eq!(rollout.n_transitions(), 5);
        rollout.keep_transitions();
        assert_eq!((rollout.len(), rollout.n_transitions()), (5, 5));
        assert_eq!(rollout.rewards, [0.0, 1.0, 100.0, 200.0, 201.0]);
        assert_eq!(rollout.observations[4..8], [100.0, -100.0, 200.0, -200.0]);
        assert_eq!(
            rollout.masks.iter().map(|x| u8::from(*x)).collect::<Vec<_>>(),
            [0, 1, 1, 1, 1, 1, 0, 1, 1, 1]
        );
        assert_eq!(rollout.actions, Actions::Discrete(vec![0, 1, 100, 200, 201]));
        assert_eq!(
            (rollout.truncated_rows, rollout.final_observations),
            (vec![1, 3], whole.final_observations)
        );
    }

    /// Numbers that tell part, step and environment.
    fn part(first: usize, n_envs: usize, truncated: &[(usize, usize)]) -> Rollout {
        let mut rollout = Rollout::new(Actions::Discrete(Vec::new()));
        (rollout.n_steps, rollout.n_envs) = (3, n_envs);
        let number = |t: usize, env: usize| (100 * t + first + env) as f32;
        let rows: Vec<f32> = (0..3).flat_map(|t| (0..n_envs).map(move |env| number(t, env))).collect();
        rollout.observations = rows.iter().flat_map(|x| [*x, -x]).collect();
        rollout.masks =
            rows.iter().flat_map(|x| [*x as usize % 2 == 1 || *x as usize % 3 == 1, true]).collect();
        rollout.actions = Actions::Discrete(rows.iter().map(|x| *x as usize).collect());
        (rollout.log_probs, rollout.rewards, rollout.policy_outputs) = (rows.clone(), rows.clone(), rows);
        rollout.policy_globals = vec![0.25];
        rollout.truncated = vec![false; 3 * n_envs];
        for &(t, env) in truncated {
            rollout.truncated[t * n_envs + env] = true;
            rollout.truncated_rows.push(t * n_envs + env);
            rollout.final_observations.extend([number(t, env) + 0.5, 0.0]);
        }
        (rollout.terminated, rollout.episode_starts) = (rollout.truncated.clone(), rollout.truncated.clone());
        rollout.last_observations = (0..n_envs).flat_map(|env| [number(3, env), 0.0]).collect();
        rollout
    }

    #[test]
    fn joined_parts_are_one_rollout() {
        let parts = [part(0, 2, &[(1, 0), (2, 1)]), part(2, 3, &[(0, 2), (1, 0)]), part(5, 1, &[])];
        let whole = part(0, 6, &[(0, 4), (1, 0), (1, 2), (2, 1)]);
        let mut joined = Rollout::new(Actions::Discrete(Vec::new()));
        for _ in 0..2 {
            joined.join(&parts.each_ref());
            assert_eq!(format!("{joined:?}"), format!("{whole:?}"));
        }
    }
}
