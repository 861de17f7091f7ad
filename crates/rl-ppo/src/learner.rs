//! Actor and critic side by side.

use rl_algo::{ActorCritic, AlgoError, Parts, Reducer};
use rl_nn::{APART, Network, NnError, PolicyModel, Real, Shards, States};
use rl_optim::{Adam, Element, OptimError, clip_scale, vector};

use crate::Pair;
use crate::joint::JointLearner;
use crate::loss::{LossConfig, Minibatch, PolicyLoss, Scratch, policy_loss};
use crate::value::{CriticLoss, critic_loss};

/// One of the two networks during an update: its parameters, their optimiser, and a gradient.
// The other one's thread writes to no line of this.
#[repr(align(128))]
pub struct Learner<'a, F> {
    theta: &'a mut [F],
    adam: &'a mut Adam<F>,
    scratch: &'a mut Scratch<F>,
    grad: Vec<F>,
    grad_norm: f64,
    due: Option<Step>,
}

/// An optimiser's step along the gradient.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) scale: f64,
    pub(crate) learning_rate: f64,
}

impl<'a, F: Real + Element> Learner<'a, F> {
    /// A network with these parameters, before its first minibatch.
    pub fn new(theta: &'a mut [F], adam: &'a mut Adam<F>, scratch: &'a mut Scratch<F>) -> Self {
        let mut grad = Vec::with_capacity(theta.len() + APART / size_of::<F>());
        grad.resize(theta.len(), F::zero());
        Learner { theta, adam, scratch, grad, grad_norm: 0.0, due: None }
    }

    /// The gradient of the last minibatch.
    pub fn grad(&self) -> &[F] {
        &self.grad
    }

    /// The parameters, without a step that is due.
    pub fn theta(&self) -> &[F] {
        self.theta
    }

    /// Takes an optimiser's step along `scale` times the gradient. The network's own thread carries it out, at the beginning of the next
    /// [`minibatch_loss`] or in [`finish`](Self::finish).
    pub fn step(&mut self, scale: f64, learning_rate: f64) {
        self.due = Some(Step { scale, learning_rate });
    }

    /// Carries out the step that is due, if one is.
    ///
    /// # Errors
    ///
    /// [`OptimError`] for an optimiser of another size, or with unusable constants.
    pub fn finish(&mut self) -> Result<(), OptimError> {
        let Some(Step { scale, learning_rate }) = self.due.take() else { return Ok(()) };
        self.adam.step_scaled(self.theta, &self.grad, scale, learning_rate)
    }
}

/// How gradients are clipped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum GradClip {
    /// Not at all.
    Never,
    /// By the norm of the gradient of both networks together.
    Together(f64),
    /// Each network's by its own norm.
    Each(f64),
}

/// What an update improves, by the loss of one minibatch after another.
pub(crate) enum Learners<'a> {
    /// Actor and critic, which share nothing.
    Apart { policy: &'a PolicyModel<f32>, critic: &'a dyn Network<f32>, learners: [Learner<'a, f32>; 2] },
    /// Both on a trunk.
    Joint(JointLearner<'a, f32>),
}

impl<'a> Learners<'a> {
    /// The agent's networks, with as many optimisers as [`sizes`](Self::sizes) says.
    pub(crate) fn new(
        agent: &'a mut ActorCritic,
        adam: &'a mut [Adam<f32>],
        scratch: &'a mut [Scratch<f32>; 2],
    ) -> Option<Self> {
        if let [adam] = adam {
            let (policy, joint, theta) = agent.joint_mut()?;
            return Some(Learners::Joint(JointLearner::new((policy, joint), theta, adam, scratch)));
        }
        let [policy_adam, critic_adam] = adam else { return None };
        let Parts { policy, policy_theta, critic, critic_theta, .. } = agent.parts_mut();
        let [policy_scratch, critic_scratch] = scratch;
        let learners = [
            Learner::new(policy_theta, policy_adam, policy_scratch),
            Learner::new(critic_theta, critic_adam, critic_scratch),
        ];
        Some(Learners::Apart { policy, critic, learners })
    }

    /// How many parameters each optimiser has.
    pub(crate) fn sizes(agent: &ActorCritic) -> Vec<usize> {
        match agent.joint() {
            Some(_) => vec![agent.theta().len()],
            None => vec![agent.policy_theta().len(), agent.critic_theta().len()],
        }
    }

    /// The loss of a minibatch; its gradient stays with the learners.
    pub(crate) fn loss(
        &mut self,
        pair: &mut Pair<'_>,
        reducer: Reducer,
        batch: &Minibatch<'_, f32>,
        config: &LossConfig,
    ) -> Result<MinibatchLoss, AlgoError> {
        match self {
            Learners::Apart { policy, critic, learners } => {
                minibatch_loss(pair, reducer, (*policy, *critic), learners, batch, config)
            }
            Learners::Joint(learner) => learner.minibatch_loss(pair, reducer, batch, config),
        }
    }

    /// Takes an optimiser's step along the gradient of the last minibatch, clipped. Each network's thread carries it out at the beginning of its next
    /// minibatch, or [`finish`](Self::finish) does: no one sees the parameters in between.
    pub(crate) fn step(&mut self, loss: &MinibatchLoss, clip: GradClip, learning_rate: f64) {
        let scale = |own: f64| match clip {
            GradClip::Never => 1.0,
            GradClip::Together(max) => clip_scale(loss.grad_norm, max),
            GradClip::Each(max) => clip_scale(own, max),
        };
        match self {
            Learners::Apart { learners, .. } => {
                learners.iter_mut().for_each(|learner| learner.step(scale(learner.grad_norm), learning_rate));
            }
            Learners::Joint(learner) => {
                learner.step(Step { scale: scale(loss.grad_norm), learning_rate });
            }
        }
    }

    /// Carries out the step that is due, if one is.
    pub(crate) fn finish(&mut self) -> Result<(), AlgoError> {
        match self {
            Learners::Apart { learners, .. } => Ok(learners.iter_mut().try_for_each(Learner::finish)?),
            Learners::Joint(learner) => learner.finish(),
        }
    }

    /// The critic's values of states, after whatever step was due.
    pub(crate) fn values(
        &self,
        states: &States<'_, f32>,
        values: &mut Vec<f32>,
        shards: &mut Shards<f32>,
    ) -> Result<(), NnError> {
        values.resize(states.rows(), 0.0);
        match self {
            Learners::Apart { critic, learners, .. } => {
                shards.forward(*critic, learners[1].theta(), states, values)
            }
            Learners::Joint(JointLearner { joint, theta, .. }) => {
                let width = joint.n_outputs();
                let mut y = vec![0.0; states.rows() * width];
                shards.forward(*joint, theta, states, &mut y)?;
                values.iter_mut().zip(y.chunks_exact(width)).for_each(|(value, y)| *value = y[width - 1]);
                Ok(())
            }
        }
    }
}

/// The loss of a minibatch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MinibatchLoss {
    /// The policy's part.
    pub policy: PolicyLoss,
    /// The critic's part.
    pub critic: CriticLoss,
    /// The norm of the whole gradient.
    pub grad_norm: f64,
}

impl MinibatchLoss {
    /// The loss as a whole: what the gradient is that of.
    pub fn total(&self, config: &LossConfig) -> f64 {
        let MinibatchLoss { policy, critic, .. } = self;
        let loss = policy.policy_loss - config.ent_coef * policy.entropy + config.vf_coef * critic.value_loss;
        if config.kl_coef > 0.0 { loss + config.kl_coef * policy.kl } else { loss }
    }
}

/// Both parts of the loss and their gradients, on two threads where there are two.
///
/// Each thread first carries out the step that is due to its network: actor and critic meet once a minibatch, for the norm of
/// their common gradient.
///
/// # Errors
///
/// [`AlgoError::Nn`] when models, parameters and minibatch do not fit, [`AlgoError::Optim`] when an optimiser does not.
///
/// # Panics
///
/// If a row lies outside the batch.
pub fn minibatch_loss<F: Real + Element>(
    pair: &mut Pair<'_>,
    reducer: Reducer,
    (policy, critic): (&PolicyModel<F>, &dyn Network<F>),
    learners: &mut [Learner<'_, F>; 2],
    batch: &Minibatch<'_, F>,
    config: &LossConfig,
) -> Result<MinibatchLoss, AlgoError> {
    let [actor, valuer] = learners;
    let (policy, critic) = pair.join(
        || {
            actor.finish()?;
            let Learner { theta, grad, scratch, .. } = actor;
            let loss = policy_loss(reducer, policy, theta, batch, config, grad, scratch)?;
            let square = vector::sum_of_squares(grad);
            actor.grad_norm = square.sqrt();
            Ok::<_, AlgoError>((loss, square))
        },
        || {
            valuer.finish()?;
            let Learner { theta, grad, scratch, .. } = valuer;
            let loss = critic_loss(reducer, critic, theta, batch, config, grad, scratch)?;
            let square = vector::sum_of_squares(grad);
            valuer.grad_norm = square.sqrt();
            Ok::<_, AlgoError>((loss, square))
        },
    );
    let ((policy, policy_square), (critic, critic_square)) = (policy?, critic?);
    Ok(MinibatchLoss { policy, critic, grad_norm: (policy_square + critic_square).sqrt() })
}
