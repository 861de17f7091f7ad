//! A batch: a rollout with what it is worth.

use rl_gae::{Trajectories, gae};
use rl_nn::{Actions, ActionsRef, NnError, Real, Shards, States, gather};
use rl_rollout::{Rollout, keep};

use crate::{ActorCritic, AlgoError, CriticTargets};

/// A rollout with values, advantages and returns. It keeps its `[T, N]` shape, but for rows that are no transitions
/// ([`Rollout::valid`]), which are left out once the advantages are estimated.
///
/// # Shapes
///
/// `B = T·N`; `values`, `advantages`, `returns`, `final_values` `[B]`, `last_values` `[N]`.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What happened.
    pub rollout: Rollout,
    /// `V(s_t)` of the critic before the update.
    pub values: Vec<f32>,
    /// `V` of the observations after the last step.
    pub last_values: Vec<f32>,
    /// `V` of the final observation where an episode was truncated, 0 elsewhere.
    pub final_values: Vec<f32>,
    /// Generalised advantage estimates.
    pub advantages: Vec<f32>,
    /// `advantages + values`: the critic's targets.
    pub returns: Vec<f32>,
    truncated_values: Vec<f32>,
    /// γ and λ of the estimates.
    discounts: (f64, f64),
    /// Whether rows were left out.
    is_partial: bool,
}

impl Batch {
    /// An empty batch for the agent's kind of actions.
    pub fn new(agent: &ActorCritic) -> Self {
        Batch {
            rollout: Rollout::new(agent.policy().distribution.new_actions()),
            values: Vec::new(),
            last_values: Vec::new(),
            final_values: Vec::new(),
            advantages: Vec::new(),
            returns: Vec::new(),
            truncated_values: Vec::new(),
            discounts: (1.0, 1.0),
            is_partial: false,
        }
    }

    /// `B = T·N`.
    pub fn len(&self) -> usize {
        self.rollout.len()
    }

    /// Whether there is no step.
    pub fn is_empty(&self) -> bool {
        self.rollout.is_empty()
    }

    /// Evaluates the critic on the rollout and estimates advantages (GAE) and returns.
    ///
    /// Terminated episodes bootstrap from 0, truncated ones from the value of their final observation.
    ///
    /// # Errors
    ///
    /// [`AlgoError::Gae`] for γ or λ outside `[0, 1]`, [`AlgoError::Nn`] when critic and observations do not fit.
    pub fn estimate_advantages(
        &mut self,
        agent: &ActorCritic,
        gamma: f64,
        gae_lambda: f64,
        shards: &mut Shards<f32>,
    ) -> Result<(), AlgoError> {
        let n_inputs = agent.policy().network.n_inputs();
        self.estimate((gamma, gae_lambda), |obs, values| {
            agent.values(&States::new(obs, n_inputs)?, values, shards)
        })?;
        self.keep_transitions();
        Ok(())
    }

    /// Estimates advantages and returns anew, with the γ and λ of the first time and the values of a critic that has learnt since: `evaluate` writes them for
    /// observations, one after another.
    ///
    /// # Errors
    ///
    /// [`AlgoError::Incomplete`] where rows that are no transitions were left out, for the rows that remain do not say what followed what; otherwise
    /// as [`estimate_advantages`](Self::estimate_advantages).
    pub fn estimate_again(
        &mut self,
        evaluate: impl FnMut(&[f32], &mut Vec<f32>) -> Result<(), NnError>,
    ) -> Result<(), AlgoError> {
        if self.is_partial {
            return Err(AlgoError::Incomplete);
        }
        self.estimate(self.discounts, evaluate)
    }

    fn estimate(
        &mut self,
        (gamma, gae_lambda): (f64, f64),
        mut evaluate: impl FnMut(&[f32], &mut Vec<f32>) -> Result<(), NnError>,
    ) -> Result<(), AlgoError> {
        let rollout = &self.rollout;
        self.discounts = (gamma, gae_lambda);
        evaluate(&rollout.observations, &mut self.values)?;
        evaluate(&rollout.last_observations, &mut self.last_values)?;
        evaluate(&rollout.final_observations, &mut self.truncated_values)?;
        self.final_values.clear();
        self.final_values.resize(rollout.len(), 0.0);
        for (&row, &value) in rollout.truncated_rows.iter().zip(&self.truncated_values) {
            self.final_values[row] = value;
        }
        let trajectories = Trajectories {
            n_envs: rollout.n_envs,
            rewards: &rollout.rewards,
            values: &self.values,
            last_values: &self.last_values,
            final_values: &self.final_values,
            terminated: &rollout.terminated,
            truncated: &rollout.truncated,
        };
        self.advantages.resize(rollout.len(), 0.0);
        gae(&trajectories, gamma, gae_lambda, &mut self.advantages)?;
        self.returns.clear();
        self.returns.extend(self.advantages.iter().zip(&self.values).map(|(a, v)| a + v));
        Ok(())
    }

    /// Leaves out the rows that are no transitions: nothing that follows may learn from them. Traces end before them, so no advantage has.
    fn keep_transitions(&mut self) {
        let valid = std::mem::take(&mut self.rollout.valid);
        self.is_partial = !valid.is_empty();
        if valid.is_empty() {
            return;
        }
        for array in [&mut self.values, &mut self.final_values, &mut self.advantages, &mut self.returns] {
            keep(array, &valid);
        }
        self.rollout.valid = valid;
        self.rollout.keep_transitions();
    }

    /// What the critic is fitted to.
    pub fn critic_targets(&self) -> CriticTargets<'_> {
        CriticTargets { returns: &self.returns, old_values: &self.values }
    }

    /// The advantages with mean 0 and standard deviation 1, as an algorithm that normalises them over the batch learns from them.
    pub fn normalized_advantages(&self) -> Vec<f32> {
        let mut advantages = self.advantages.clone();
        rl_gae::normalize(&mut advantages);
        advantages
    }

    /// What a policy step needs of the batch, with the advantages given (normalised or not).
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when the observations are not whole rows.
    pub fn policy_batch<'a>(
        &'a self,
        agent: &ActorCritic,
        advantages: &'a [f32],
    ) -> Result<PolicyBatch<'a, f32>, NnError> {
        NnError::check("the advantages", advantages.len(), self.rollout.log_probs.len())?;
        let masks = Some(&self.rollout.masks[..]).filter(|masks| !masks.is_empty());
        let states = States::new(&self.rollout.observations, agent.policy().network.n_inputs())?;
        // Where rows were left out, nobody knows whose the others are.
        let n_envs = if self.is_partial { 1 } else { self.rollout.n_envs };
        Ok(PolicyBatch {
            observations: states.with_masks(masks)?.of_envs(n_envs),
            actions: self.rollout.actions.as_ref(),
            advantages,
            old_log_probs: &self.rollout.log_probs,
        })
    }
}

/// States, actions, advantages and old log-probabilities: a batch as a policy step sees it, whoever collected it.
///
/// # Shapes
///
/// Observations `[B, O]`, actions `[B, A]`, the others `[B]`.
#[derive(Clone, Copy, Debug)]
pub struct PolicyBatch<'a, F> {
    /// The states, and which actions each allows.
    pub observations: States<'a, F>,
    /// The actions taken.
    pub actions: ActionsRef<'a, F>,
    /// Their advantages.
    pub advantages: &'a [F],
    /// Their log-probabilities under the policy that took them.
    pub old_log_probs: &'a [F],
}

/// Memory for minibatches, each of which replaces the one before.
///
/// ```
/// use rand::SeedableRng;
/// use rl_algo::{BatchRows, PolicyBatch};
/// use rl_nn::{ActionsRef, States};
/// use rl_rollout::Minibatches;
///
/// let batch = PolicyBatch {
///     observations: States::new(&[0.0, 0.5, 1.0, 1.5, 2.0, 2.5], 2)?,
///     actions: ActionsRef::Discrete(&[0, 1, 0]),
///     advantages: &[0.1_f32, 0.2, 0.3],
///     old_log_probs: &[-0.7, -0.6, -0.5],
/// };
/// let (mut memory, mut minibatches) = (BatchRows::default(), Minibatches::new(3));
/// let mut seen = 0.0;
/// for rows in minibatches.epoch(2, &mut rl_env::EnvRng::seed_from_u64(0)) {
///     let minibatch = memory.gather(&batch, rows)?;
///     assert_eq!(minibatch.observations.rows(), rows.len());
///     seen += minibatch.advantages.iter().sum::<f32>();
/// }
/// assert!((seen - 0.6).abs() < 1e-6);
/// # Ok::<(), rl_nn::NnError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct BatchRows<F> {
    observations: Vec<F>,
    masks: Vec<bool>,
    actions: Actions<F>,
    advantages: Vec<F>,
    old_log_probs: Vec<F>,
}

impl<F: Real> BatchRows<F> {
    /// Some rows of a batch, in the order given.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for a row that the batch does not have, and where its parts do not have as many rows as one another.
    pub fn gather<'s>(
        &'s mut self,
        batch: &PolicyBatch<'_, F>,
        rows: &[usize],
    ) -> Result<PolicyBatch<'s, F>, NnError> {
        let (states, n) = (batch.observations, batch.observations.rows());
        NnError::check("the advantages", batch.advantages.len(), n)?;
        NnError::check("the old log-probabilities", batch.old_log_probs.len(), n)?;
        let actions = match batch.actions {
            ActionsRef::Discrete(actions) => actions.len(),
            ActionsRef::Continuous(actions) => actions.len(),
        };
        let action_len = actions.checked_div(n).unwrap_or(0);
        NnError::check("the actions", actions, n * action_len)?;
        if let Some(&row) = rows.iter().find(|&&row| row >= n) {
            NnError::check("the rows of a batch", n, row + 1)?;
        }
        gather(states.obs(), states.width(), rows, &mut self.observations);
        if let Some(masks) = states.masks() {
            gather(masks, states.mask_width(), rows, &mut self.masks);
        }
        self.actions.gather(batch.actions, action_len, rows);
        gather(batch.advantages, 1, rows, &mut self.advantages);
        gather(batch.old_log_probs, 1, rows, &mut self.old_log_probs);
        let masks = states.masks().map(|_| &self.masks[..]);
        Ok(PolicyBatch {
            observations: States::new(&self.observations, states.width())?.with_masks(masks)?,
            actions: self.actions.as_ref(),
            advantages: &self.advantages,
            old_log_probs: &self.old_log_probs,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_batch_are_those_of_each_part() {
        let (obs, masks) = ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [true, false, true, true, false, true]);
        let batch = PolicyBatch {
            observations: States::new(&obs, 2).unwrap().with_masks(Some(&masks)).unwrap(),
            actions: ActionsRef::Continuous(&[0.0, 0.5, 1.0, 1.5, 2.0, 2.5]),
            advantages: &[10.0_f64, 11.0, 12.0],
            old_log_probs: &[-1.0, -2.0, -3.0],
        };
        let mut memory = BatchRows::default();
        memory.gather(&batch, &[0, 1, 2]).unwrap();
        let some = memory.gather(&batch, &[2, 0]).unwrap();
        assert_eq!(some.observations.obs(), [4.0, 5.0, 0.0, 1.0]);
        assert_eq!(some.observations.masks().unwrap(), [false, true, true, false]);
        assert_eq!(some.actions, ActionsRef::Continuous(&[2.0, 2.5, 0.0, 0.5]));
        assert_eq!((some.advantages, some.old_log_probs), (&[12.0, 10.0][..], &[-3.0, -1.0][..]));
        assert!(memory.gather(&batch, &[3]).unwrap_err().to_string().contains("the rows of a batch"));
        let short = PolicyBatch { advantages: &[1.0], ..batch };
        assert!(memory.gather(&short, &[0]).unwrap_err().to_string().contains("the advantages"));
    }
}
