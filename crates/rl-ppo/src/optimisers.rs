//! The optimisers of actor and critic, or of both together.

use rl_algo::{ActorCritic, AlgoError, adam_state, restore_adam};
use rl_nn::State;
use rl_optim::{Adam, AdamParams};

use crate::learner::Learners;

/// As many as [`Learners::sizes`] says, from the first update on.
#[derive(Clone)]
pub(crate) struct Optimisers {
    params: AdamParams,
    all: Vec<Adam<f32>>,
}

impl Optimisers {
    /// None yet.
    pub(crate) fn new(params: AdamParams) -> Self {
        Optimisers { params, all: Vec::new() }
    }

    /// Makes them for the agent, unless they are there.
    pub(crate) fn begin(&mut self, agent: &ActorCritic) {
        if self.all.is_empty() {
            let new = |n| Adam::new(n, self.params);
            self.all = Learners::sizes(agent).into_iter().map(new).collect();
        }
    }

    pub(crate) fn all_mut(&mut self) -> &mut [Adam<f32>] {
        &mut self.all
    }

    /// Whether no moment has overflowed.
    pub(crate) fn are_finite(&self) -> bool {
        self.all.iter().flat_map(|adam| &adam.v).all(|x| x.is_finite())
    }

    /// The state with theirs.
    pub(crate) fn add_to(&self, state: State) -> Result<State, AlgoError> {
        let mut state = state.with("n_optimisers", self.all.len())?;
        for (i, adam) in self.all.iter().enumerate() {
            state = state.with_part(&format!("adam{i}"), adam_state(adam)?);
        }
        Ok(state)
    }

    /// Those of such a state, for an agent of the same kind.
    pub(crate) fn restored(&self, agent: &ActorCritic, state: &State) -> Result<Self, AlgoError> {
        let mut all = Vec::new();
        if state.value::<usize>("n_optimisers")? > 0 {
            for (i, size) in Learners::sizes(agent).into_iter().enumerate() {
                let mut adam = Adam::new(size, self.params);
                restore_adam(&mut adam, state.part(&format!("adam{i}"))?)?;
                all.push(adam);
            }
        }
        Ok(Optimisers { params: self.params, all })
    }
}
