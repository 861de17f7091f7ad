//! A policy linearised on a batch of states: its Jacobian, gradient and Fisher operator.

use std::borrow::Cow;

use rl_nn::{DistGrad, DistParams, NnError, PolicyModel, Real, ShardedLinearized, Shards, States};
use rl_optim::{Jacobian, LinearOperator, OptimError};

/// The distribution parameters of a batch of states as a function of θ, linearised.
///
/// Its outputs are the network's `[B, D]`, then the free distribution parameters.
pub struct LinearizedPolicy<'a, F: Real> {
    network: ShardedLinearized<'a, F>,
    /// The network's outputs, without the actions that the states forbid.
    y: Cow<'a, [F]>,
    model: &'a PolicyModel<F>,
    globals: &'a [F],
}

impl<'a, F: Real> LinearizedPolicy<'a, F> {
    /// Runs the policy on the states and keeps its activations.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for slices that do not fit.
    pub fn new(
        model: &'a PolicyModel<F>,
        theta: &'a [F],
        observations: States<'a, F>,
        shards: &'a mut Shards<F>,
    ) -> Result<Self, NnError> {
        let (net_theta, globals) = model.split(theta)?;
        let network = shards.linearize(&*model.network, net_theta, observations)?;
        let mut y = Cow::Borrowed(network.output());
        if observations.masks().is_some() {
            model.mask(&observations, y.to_mut())?;
        }
        Ok(LinearizedPolicy { network, y, model, globals })
    }

    /// The distribution parameters at θ.
    pub fn params(&self) -> DistParams<'_, F> {
        DistParams { y: &self.y, globals: self.globals }
    }

    /// `grad ← Jᵀ d`, with `d` a gradient with respect to the distribution parameters.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for slices that do not fit.
    pub fn pull_back(&mut self, dy: &[F], dglobals: &[F], grad: &mut [F]) -> Result<(), NnError> {
        NnError::check("the gradient", grad.len(), self.model.n_params())?;
        NnError::check("the gradient of the free parameters", dglobals.len(), self.globals.len())?;
        let (network, globals) = grad.split_at_mut(self.network.n_params());
        globals.copy_from_slice(dglobals);
        self.network.vjp(dy, network)
    }

    /// The Fisher operator of the mean over states, `v ↦ scale · (1/B) Σ_b J_bᵀ M_b J_b v`.
    ///
    /// It equals the Hessian at θ of `scale · mean_b KL(π_θ ‖ π_θ')` with respect to θ': exact, and positive semi-definite. Where the distribution
    /// detaches outputs ([`rl_nn::distribution::Gsde`]'s features), they stand still.
    ///
    /// # Source
    ///
    /// Schulman et al. (2015), appendix C.1: `JᵀMJ` with M the Fisher matrix of the distribution in its parameters.
    pub fn fisher(&mut self, scale: f64) -> Fisher<'_, 'a, F> {
        let rows = self.network.output().len() / self.model.network.n_outputs();
        Fisher { w: F::narrow(scale / rows as f64), policy: self }
    }
}

/// The Fisher matrix of a policy as a linear operator ([`LinearizedPolicy::fisher`]).
pub struct Fisher<'s, 'a, F: Real> {
    policy: &'s mut LinearizedPolicy<'a, F>,
    w: F,
}

impl<F: Real> LinearOperator<F> for Fisher<'_, '_, F> {
    fn dim(&self) -> usize {
        self.policy.model.n_params()
    }

    fn apply(&mut self, v: &[F], out: &mut [F]) -> Result<(), OptimError> {
        let LinearizedPolicy { network, y, model, globals } = &mut *self.policy;
        let (distribution, globals, w) = (&*model.distribution, *globals, self.w);
        let metric = |y: &[F], t: DistGrad<'_, F>| distribution.fisher(DistParams { y, globals }, w, t);
        network.gauss_newton(y, metric, v, out).map_err(OptimError::operator)
    }
}

impl<F: Real> Jacobian<F> for LinearizedPolicy<'_, F> {
    fn n_params(&self) -> usize {
        self.model.n_params()
    }

    fn n_outputs(&self) -> usize {
        self.network.output().len() + self.globals.len()
    }

    fn jvp(&mut self, v: &[F], dy: &mut [F]) -> Result<(), OptimError> {
        let (v_network, v_globals) = v.split_at(self.network.n_params());
        let (dy, dglobals) = dy.split_at_mut(self.network.output().len());
        dglobals.copy_from_slice(v_globals);
        self.network.jvp(v_network, dy).map_err(OptimError::operator)
    }

    fn vjp(&mut self, dy: &[F], grad: &mut [F]) -> Result<(), OptimError> {
        let (dy, dglobals) = dy.split_at(self.network.output().len());
        self.pull_back(dy, dglobals, grad).map_err(OptimError::operator)
    }
}
