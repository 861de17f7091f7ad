//! Actor and critic that share a trunk: one network, one loss, one gradient.
//!
//! ```text
//! loss = policy's loss + c_V mean (V − R)²                        over the whole of θ
//! ```
//!
//! The rows of a minibatch are split into two halves, the same ones however many threads there are; the gradient is the sum of theirs.

use rl_algo::{AlgoError, Reducer};
use rl_nn::{DistParams, Fork, Network, NnError, PolicyModel, Real};
use rl_optim::{Adam, Element, vector};

use crate::Pair;
use crate::learner::{MinibatchLoss, Step};
use crate::loss::{LossConfig, Minibatch, PolicyLoss, Samples, Scratch, surrogate};
use crate::value::{CriticLoss, squared_error};

/// Actor and critic on a shared trunk during an update: all parameters, their optimiser, and a gradient of each half of a minibatch.
pub(crate) struct JointLearner<'a, F: Real> {
    policy: &'a PolicyModel<F>,
    pub(crate) joint: &'a Fork<F>,
    pub(crate) theta: &'a mut [F],
    adam: &'a mut Adam<F>,
    halves: [Half<'a, F>; 2],
    advantages: Vec<F>,
    due: Option<Step>,
}

/// One thread's part.
#[repr(align(128))]
struct Half<'a, F: Real> {
    scratch: &'a mut Scratch<F>,
    y_policy: Vec<F>,
    grad: Vec<F>,
}

impl<'a, F: Real + Element> JointLearner<'a, F> {
    pub(crate) fn new(
        (policy, joint): (&'a PolicyModel<F>, &'a Fork<F>),
        theta: &'a mut [F],
        adam: &'a mut Adam<F>,
        scratch: &'a mut [Scratch<F>; 2],
    ) -> Self {
        let n_params = theta.len();
        let halves = scratch.each_mut().map(|scratch| Half {
            scratch,
            y_policy: Vec::new(),
            grad: vec![F::zero(); n_params],
        });
        JointLearner { policy, joint, theta, adam, halves, advantages: Vec::new(), due: None }
    }

    /// Takes a step along the gradient, carried out before the parameters are used again.
    pub(crate) fn step(&mut self, step: Step) {
        self.due = Some(step);
    }

    /// Carries out the step that is due, if one is.
    pub(crate) fn finish(&mut self) -> Result<(), AlgoError> {
        let Some(Step { scale, learning_rate }) = self.due.take() else { return Ok(()) };
        Ok(self.adam.step_scaled(self.theta, &self.halves[0].grad, scale, learning_rate)?)
    }

    /// The loss of a minibatch and its gradient.
    pub(crate) fn minibatch_loss(
        &mut self,
        pair: &mut Pair<'_>,
        reducer: Reducer,
        batch: &Minibatch<'_, F>,
        config: &LossConfig,
    ) -> Result<MinibatchLoss, AlgoError> {
        self.finish()?;
        let n = batch.rows.len();
        rl_nn::gather(batch.policy.advantages, 1, batch.rows, &mut self.advantages);
        if config.normalize_advantage && n > 1 {
            rl_gae::normalize(&mut self.advantages);
        }
        let (first, second) = batch.rows.split_at(n.div_ceil(2));
        let (advantages, others) = self.advantages.split_at(first.len());
        let (model, theta, [a, b]) = ((self.policy, self.joint), &*self.theta, &mut self.halves);
        let (a_loss, b_loss) = pair.join(
            || a.loss(reducer, model, theta, batch, (first, advantages), config),
            || b.loss(reducer, model, theta, batch, (second, others), config),
        );
        let ((a_policy, a_critic), (b_policy, b_critic)) = (a_loss?, b_loss?);
        vector::axpy(1.0, &b.grad, &mut a.grad);
        reducer.sum(&mut a.grad);
        let mean = |a: f64, b: f64| {
            if second.is_empty() { a } else { (a * first.len() as f64 + b * second.len() as f64) / n as f64 }
        };
        Ok(MinibatchLoss {
            policy: PolicyLoss {
                policy_loss: mean(a_policy.policy_loss, b_policy.policy_loss),
                entropy: mean(a_policy.entropy, b_policy.entropy),
                clip_fraction: mean(a_policy.clip_fraction, b_policy.clip_fraction),
                approx_kl: mean(a_policy.approx_kl, b_policy.approx_kl),
                kl: mean(a_policy.kl, b_policy.kl),
            },
            critic: CriticLoss { value_loss: mean(a_critic.value_loss, b_critic.value_loss) },
            grad_norm: vector::sum_of_squares(&a.grad).sqrt(),
        })
    }
}

impl<F: Real> Half<'_, F> {
    /// The losses of some rows, and their part of the minibatch's gradient, over what was there.
    fn loss(
        &mut self,
        reducer: Reducer,
        (policy, joint): (&PolicyModel<F>, &Fork<F>),
        theta: &[F],
        batch: &Minibatch<'_, F>,
        (rows, advantages): (&[usize], &[F]),
        config: &LossConfig,
    ) -> Result<(PolicyLoss, CriticLoss), NnError> {
        let Half { scratch, y_policy, grad } = self;
        if rows.is_empty() {
            grad.fill(F::zero());
            return Ok(Default::default());
        }
        scratch.gather_states(batch, rows);
        scratch.gather_samples(batch, rows, policy, config)?;
        scratch.gather_targets(batch, rows)?;
        let Scratch {
            shards,
            observations,
            masks,
            actions,
            old_log_probs,
            old_outputs,
            returns,
            old_values,
            dy,
            terms,
            ..
        } = &mut **scratch;
        let states = batch.states(observations, masks)?;
        let mut y = shards.linearize(joint, theta, states)?;

        // The outputs are [policy | value].
        let (width, n) = (joint.n_outputs(), batch.rows.len());
        let value = width - 1;
        y_policy.clear();
        y.output().chunks_exact(width).for_each(|row| y_policy.extend_from_slice(&row[..value]));
        policy.mask(&states, y_policy)?;
        let pi = DistParams { y: y_policy, globals: policy.split(&theta[..policy.n_params()])?.1 };
        let old = DistParams { y: old_outputs, globals: batch.old.globals };
        let samples = Samples { actions: actions.as_ref(), advantages, old_log_probs, old };
        let policy_loss = surrogate(reducer, &*policy.distribution, pi, samples, n, config, terms)?;
        dy.clear();
        let mut of_policy = terms.dy.chunks_exact(value);
        let values = y.output().chunks_exact(width).map(|row| row[value]);
        let critic_loss = squared_error(values, returns, old_values, n, config, |dv| {
            dy.extend_from_slice(of_policy.next().unwrap_or_default());
            dy.push(dv);
        });
        y.vjp(dy, grad)?;
        grad[policy.network.n_params()..policy.n_params()].copy_from_slice(&terms.dglobals);
        Ok((policy_loss, critic_loss))
    }
}
