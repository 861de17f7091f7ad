//! Whether an update stands.

use rl_algo::{ActorCritic, AlgoError, Batch, Outcome, PolicyChange, UpdateContext, policy_change};
use rl_nn::{DistParams, Shards};

use crate::optimisers::Optimisers;

/// Why an update is undone; or an error, which ends the run.
pub(crate) enum Rejection {
    Because(Outcome),
    Error(AlgoError),
}

impl<E: Into<AlgoError>> From<E> for Rejection {
    fn from(error: E) -> Self {
        Rejection::Error(error.into())
    }
}

impl Rejection {
    /// What was not a finite number.
    pub(crate) fn not_finite(what: impl Into<String>) -> Self {
        Rejection::Because(Outcome::NonFinite(what.into()))
    }

    /// The optimisers are of another agent's size.
    pub(crate) fn other_agent() -> Self {
        Rejection::Because(Outcome::Rejected("the agent is another one than before".into()))
    }
}

/// What an update did to the policy, unless it left what is not a finite number.
pub(crate) fn accept(
    agent: &ActorCritic,
    optimisers: &Optimisers,
    batch: &Batch,
    ctx: &UpdateContext<'_>,
    normalize: bool,
    shards: &mut Shards<f32>,
) -> Result<PolicyChange, Rejection> {
    // The last step may have made one of a finite gradient.
    if !agent.theta().iter().all(|x| x.is_finite()) {
        return Err(Rejection::not_finite("a parameter"));
    }
    if !optimisers.are_finite() {
        return Err(Rejection::not_finite("a moment of the optimiser"));
    }
    let change = change(agent, batch, ctx, normalize, shards)?;
    match change.non_finite() {
        Some(what) => Err(Rejection::not_finite(format!("the new policy's {what}"))),
        None => Ok(change),
    }
}

/// What the update did to the policy, over the whole batch; the gain is that of advantages normalised over it, or as they are.
pub(crate) fn change(
    agent: &ActorCritic,
    batch: &Batch,
    ctx: &UpdateContext<'_>,
    normalize: bool,
    shards: &mut Shards<f32>,
) -> Result<PolicyChange, AlgoError> {
    let mut advantages = batch.advantages.clone();
    if normalize {
        rl_gae::normalize(&mut advantages);
    }
    let policy_batch = batch.policy_batch(agent, &advantages)?;
    let old = DistParams { y: &batch.rollout.policy_outputs, globals: &batch.rollout.policy_globals };
    let (policy, theta) = (agent.policy(), agent.policy_theta());
    Ok(policy_change(ctx.reducer, policy, theta, &policy_batch, old, shards)?)
}
