//! A batch: a rollout with what it is worth.

use rl_gae::{Trajectories, gae};
use rl_nn::{ActionsRef, NnError, Shards, States};
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
