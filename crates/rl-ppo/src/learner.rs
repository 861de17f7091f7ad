//! Actor and critic side by side.

use rl_algo::{AlgoError, Reducer};
use rl_nn::{APART, Network, PolicyModel, Real};
use rl_optim::{Adam, Element, OptimError, vector};

use crate::Pair;
use crate::loss::{CriticLoss, LossConfig, Minibatch, PolicyLoss, Scratch, critic_loss, policy_loss};

/// One of the two networks during an update: its parameters, their optimiser, and a gradient.
// The other one's thread writes to no line of this.
#[repr(align(128))]
pub struct Learner<'a, F> {
    theta: &'a mut [F],
    adam: &'a mut Adam<F>,
    scratch: &'a mut Scratch<F>,
    grad: Vec<F>,
    due: Option<Step>,
}

/// An optimiser's step along the gradient.
#[derive(Clone, Copy)]
struct Step {
    scale: f64,
    learning_rate: f64,
}

impl<'a, F: Real + Element> Learner<'a, F> {
    /// A network with these parameters, before its first minibatch.
    pub fn new(theta: &'a mut [F], adam: &'a mut Adam<F>, scratch: &'a mut Scratch<F>) -> Self {
        let mut grad = Vec::with_capacity(theta.len() + APART / size_of::<F>());
        grad.resize(theta.len(), F::zero());
        Learner { theta, adam, scratch, grad, due: None }
    }

    /// The gradient of the last minibatch.
    pub fn grad(&self) -> &[F] {
        &self.grad
    }

    /// The parameters, without a step that is due.
    pub fn theta(&self) -> &[F] {
        self.theta
    }

    /// Lets the next [`minibatch_loss`], or [`take_step`](Self::take_step), begin with an Adam step along `scale` times the gradient.
    pub fn step_later(&mut self, scale: f64, learning_rate: f64) {
        self.due = Some(Step { scale, learning_rate });
    }

    /// Takes the step that is due, if one is.
    ///
    /// # Errors
    ///
    /// [`OptimError`] for an optimiser of another size, or with unusable constants.
    pub fn take_step(&mut self) -> Result<(), OptimError> {
        let Some(Step { scale, learning_rate }) = self.due.take() else { return Ok(()) };
        self.adam.step_scaled(self.theta, &self.grad, scale, learning_rate)
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

/// Both parts of the loss and their gradients, on two threads where there are two.
///
/// Each thread first takes the step that is due to its network: actor and critic meet once a minibatch, for the norm of
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
            actor.take_step()?;
            let Learner { theta, grad, scratch, .. } = actor;
            let loss = policy_loss(reducer, policy, theta, batch, config, grad, scratch)?;
            Ok::<_, AlgoError>((loss, vector::sum_of_squares(grad)))
        },
        || {
            valuer.take_step()?;
            let Learner { theta, grad, scratch, .. } = valuer;
            let loss = critic_loss(reducer, critic, theta, batch, config, grad, scratch)?;
            Ok::<_, AlgoError>((loss, vector::sum_of_squares(grad)))
        },
    );
    let ((policy, policy_square), (critic, critic_square)) = (policy?, critic?);
    Ok(MinibatchLoss { policy, critic, grad_norm: (policy_square + critic_square).sqrt() })
}
