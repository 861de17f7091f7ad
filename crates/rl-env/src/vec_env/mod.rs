//! Many copies of an environment behind one step.

mod block;
mod checks;
mod one;
mod state;
mod sync;

pub(crate) use checks::check_action;
pub use checks::{check_actions, check_masks, check_metrics, check_observations};
pub(crate) use one::OneOf;
pub use state::VecEnvState;
pub(crate) use state::split_layer;
pub use sync::SyncVecEnv;

use crate::normalize::ObservationNormalizer;
use crate::{ActionsRef, EnvError, EnvState, Frame, Metric, Space, StepEnd};

/// `N` environments behind one step. Buffers are struct-of-arrays and valid until the next call.
///
/// An episode that ends is reset at once: [`observations`](VecEnv::observations) then holds the first observation of
/// the next episode and [`final_observations`](VecEnv::final_observations) the last of the one that ended.
///
/// # Shapes
///
/// Observations are row-major `[N, O]` with `O` the observation space's [`flat_len`](Space::flat_len); actions
/// `[N, A]` with `A` the action space's [`action_len`](Space::action_len).
pub trait VecEnv: Send {
    /// The number of environments, `N`.
    fn n_envs(&self) -> usize;
    /// The observation space of each.
    fn observation_space(&self) -> &Space;
    /// The action space of each.
    fn action_space(&self) -> &Space;
    /// Starts an episode in every environment; environment `i` draws from the stream `(seed, purpose, i)`,
    /// `i` counted from the start of a larger vector where it is part of one.
    ///
    /// # Errors
    ///
    /// [`EnvError::At`] with the environment that failed.
    fn reset(&mut self, seed: u64, purpose: &str) -> Result<(), EnvError>;
    /// Steps every environment once.
    ///
    /// # Errors
    ///
    /// [`EnvError::WrongLength`], [`EnvError::ActionKind`] and [`EnvError::At`] with an [`EnvError::InvalidAction`]
    /// before anything moved; [`EnvError::At`] with the environment that failed, others having stepped.
    fn step(&mut self, actions: ActionsRef<'_>) -> Result<(), EnvError>;
    /// What the next actions are chosen from, `[N, O]`.
    fn observations(&self) -> &[f32];
    /// Rewards of the last step, `[N]`.
    fn rewards(&self) -> &[f64];
    /// Whether and why each episode ended at the last step, `[N]`.
    fn ends(&self) -> &[StepEnd];
    /// The final observation of each episode that ended at the last step, `[N, O]`; other rows are stale.
    fn final_observations(&self) -> &[f32];

    /// Which environments took a step of an episode at the last step, `[N]`; `None` where all did. Some vectors of others start the next
    /// episode in a step of its own, in which the action is ignored and nothing is earned: that is no transition, and nothing may learn
    /// from it or count it.
    fn valid(&self) -> Option<&[bool]> {
        None
    }
    /// Which actions are allowed from [`observations`](VecEnv::observations), `[N, M]` with `M` the action space's
    /// [`mask_len`](Space::mask_len); `None` where all always are.
    fn action_masks(&self) -> Option<&[bool]> {
        None
    }
    /// Rewards of the last step as the environments gave them, `[N]`: what episode returns are reported from where
    /// [`rewards`](VecEnv::rewards) are normalised.
    fn raw_rewards(&self) -> &[f64] {
        self.rewards()
    }
    /// The whole episodes that ended at the last step as the environments themselves tell them, `[N]`: return and length, length 0 for none;
    /// `None` where they tell nothing, and an episode is what lies between two ends. The two differ under wrappers that clip rewards or end
    /// an episode with a life: what is reported then is the game's own.
    fn told_episodes(&self) -> Option<&[(f64, u64)]> {
        None
    }
    /// What each environment measures of its steps beside rewards, `K` numbers; see [`Env::metrics`](crate::Env::metrics).
    fn metrics(&self) -> &[Metric] {
        &[]
    }
    /// The metrics of the last step, `[N, K]`; NaN where it gave no value.
    fn metric_values(&self) -> &[f64] {
        &[]
    }
    /// The statistics observations are normalised with, where they are: a saved policy needs them.
    fn observation_normalizer(&self) -> Option<&ObservationNormalizer> {
        None
    }
    /// Whether steps update the running statistics of normalisers; without any, this does nothing.
    fn set_training(&mut self, _training: bool) {}
    /// Whether many steps follow, one soon after the other and from the calling thread: a rollout or an evaluation says so before its first step, and takes it
    /// back after its last. Environments in other processes hold on to a processor meanwhile; others do nothing.
    fn set_stepping(&mut self, _stepping: bool) {}
    /// Everything needed to continue to the bit; `None` when an environment cannot save its state.
    fn save(&self) -> Option<VecEnvState> {
        None
    }
    /// Continues from a saved state, buffers included.
    ///
    /// # Errors
    ///
    /// [`EnvError::InvalidState`] for a state of other environments, some of which may then have been restored;
    /// [`EnvError::CannotRestore`].
    fn restore(&mut self, _state: &VecEnvState) -> Result<(), EnvError> {
        Err(EnvError::CannotRestore)
    }
    /// The states of normalisers over the environments, the innermost first: what survives where the environments themselves cannot be saved.
    fn save_layers(&self) -> Vec<EnvState> {
        Vec::new()
    }
    /// Puts normalisers back into their states, before the environments start new episodes.
    ///
    /// # Errors
    ///
    /// [`EnvError::InvalidState`] for states of other normalisers.
    fn restore_layers(&mut self, layers: &[EnvState]) -> Result<(), EnvError> {
        match layers {
            [] => Ok(()),
            _ => Err(EnvError::InvalidState("it was saved with a normaliser over the environments".into())),
        }
    }
    /// A picture of environment `index`; `None` where there is none.
    fn render(&self, _index: usize) -> Option<Frame> {
        None
    }
}

impl<V: VecEnv + ?Sized> VecEnv for Box<V> {
    fn n_envs(&self) -> usize {
        (**self).n_envs()
    }
    fn observation_space(&self) -> &Space {
        (**self).observation_space()
    }
    fn action_space(&self) -> &Space {
        (**self).action_space()
    }
    fn reset(&mut self, seed: u64, purpose: &str) -> Result<(), EnvError> {
        (**self).reset(seed, purpose)
    }
    fn step(&mut self, actions: ActionsRef<'_>) -> Result<(), EnvError> {
        (**self).step(actions)
    }
    fn observations(&self) -> &[f32] {
        (**self).observations()
    }
    fn rewards(&self) -> &[f64] {
        (**self).rewards()
    }
    fn ends(&self) -> &[StepEnd] {
        (**self).ends()
    }
    fn final_observations(&self) -> &[f32] {
        (**self).final_observations()
    }
    fn valid(&self) -> Option<&[bool]> {
        (**self).valid()
    }
    fn action_masks(&self) -> Option<&[bool]> {
        (**self).action_masks()
    }
    fn raw_rewards(&self) -> &[f64] {
        (**self).raw_rewards()
    }
    fn told_episodes(&self) -> Option<&[(f64, u64)]> {
        (**self).told_episodes()
    }
    fn metrics(&self) -> &[Metric] {
        (**self).metrics()
    }
    fn metric_values(&self) -> &[f64] {
        (**self).metric_values()
    }
    fn observation_normalizer(&self) -> Option<&ObservationNormalizer> {
        (**self).observation_normalizer()
    }
    fn set_training(&mut self, training: bool) {
        (**self).set_training(training);
    }
    fn set_stepping(&mut self, stepping: bool) {
        (**self).set_stepping(stepping);
    }
    fn save(&self) -> Option<VecEnvState> {
        (**self).save()
    }
    fn restore(&mut self, state: &VecEnvState) -> Result<(), EnvError> {
        (**self).restore(state)
    }
    fn save_layers(&self) -> Vec<EnvState> {
        (**self).save_layers()
    }
    fn restore_layers(&mut self, layers: &[EnvState]) -> Result<(), EnvError> {
        (**self).restore_layers(layers)
    }
    fn render(&self, index: usize) -> Option<Frame> {
        (**self).render(index)
    }
}
