//! What an update learns from: the batch, and its advantages as they are at each epoch.

use rl_algo::{ActorCritic, AlgoError, Batch, PolicyBatch};
use rl_nn::{DistParams, NnError, Shards, States};

use crate::NormalizeAdvantage;
use crate::learner::Learners;
use crate::loss::Minibatch;

/// A batch, and advantages and returns that later values of the critic may have replaced.
pub(crate) struct Estimates<'a> {
    batch: &'a Batch,
    states: PolicyBatch<'a, f32>,
    renewed: Option<Box<Batch>>,
    /// The advantages, normalised where the whole batch's are.
    advantages: Vec<f32>,
    normalize: NormalizeAdvantage,
}

impl<'a> Estimates<'a> {
    /// The batch's own.
    pub(crate) fn new(
        agent: &ActorCritic,
        batch: &'a Batch,
        normalize: NormalizeAdvantage,
    ) -> Result<Self, NnError> {
        let states = batch.policy_batch(agent, &batch.advantages)?;
        let mut estimates = Estimates { batch, states, renewed: None, advantages: Vec::new(), normalize };
        estimates.take_advantages();
        Ok(estimates)
    }

    /// Those of the critic as it is now.
    pub(crate) fn renew(
        &mut self,
        learners: &mut Learners<'_>,
        shards: &mut Shards<f32>,
    ) -> Result<(), AlgoError> {
        learners.finish()?;
        let width = self.states.observations.width();
        let renewed = self.renewed.get_or_insert_with(|| Box::new(self.batch.clone()));
        renewed.estimate_again(|obs, values| learners.values(&States::new(obs, width)?, values, shards))?;
        self.take_advantages();
        Ok(())
    }

    fn current(&self) -> &Batch {
        self.renewed.as_deref().unwrap_or(self.batch)
    }

    fn take_advantages(&mut self) {
        let current = self.renewed.as_deref().unwrap_or(self.batch);
        self.advantages.clone_from(&current.advantages);
        if self.normalize == NormalizeAdvantage::Batch {
            rl_gae::normalize(&mut self.advantages);
        }
    }

    /// Some rows of them.
    pub(crate) fn minibatch<'s>(&'s self, rows: &'s [usize]) -> Minibatch<'s, f32> {
        let (current, rollout) = (self.current(), &self.batch.rollout);
        Minibatch {
            policy: PolicyBatch { advantages: &self.advantages, ..self.states },
            old: DistParams { y: &rollout.policy_outputs, globals: &rollout.policy_globals },
            returns: &current.returns,
            old_values: &current.values,
            rows,
        }
    }
}
