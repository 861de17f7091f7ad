use crate::{EnvError, EnvState, StateReader, StepEnd};

/// Where an environment stands between `reset` and the end of its episode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Never reset.
    #[default]
    Fresh,
    /// Inside an episode.
    Running,
    /// After a termination.
    Over,
}

impl Phase {
    /// Refuses a step outside an episode.
    #[inline]
    pub(crate) fn check(self) -> Result<(), EnvError> {
        match self {
            Phase::Running => Ok(()),
            Phase::Fresh => Err(EnvError::NeedsReset { when: "before the first reset" }),
            Phase::Over => Err(EnvError::NeedsReset { when: "after the end of the episode" }),
        }
    }

    /// Ends the episode where `terminated`.
    #[inline]
    pub(crate) fn after(&mut self, terminated: bool) -> StepEnd {
        if terminated {
            *self = Phase::Over;
            StepEnd::Terminated
        } else {
            StepEnd::Continues
        }
    }

    pub(crate) fn save(self, state: EnvState) -> EnvState {
        state.u64(self as u64)
    }

    pub(crate) fn read(words: &mut StateReader<'_>) -> Result<Self, EnvError> {
        Ok([Phase::Fresh, Phase::Running, Phase::Over][words.usize_up_to(2)?])
    }
}
