//! A stochastic policy as a function of θ = [network | free distribution parameters].

use std::sync::Arc;

use crate::{Bounding, DistParams, Distribution, Layout, Network, NnError, Real, States};

/// A network followed by an action distribution; it holds no parameters.
///
/// # Shapes
///
/// θ is `[P]` with `P = network parameters + globals`; the network's part comes first.
#[derive(Clone)]
pub struct PolicyModel<F: Real> {
    /// Observations to distribution parameters.
    pub network: Arc<dyn Network<F>>,
    /// Distribution parameters to samples.
    pub distribution: Arc<dyn Distribution<F>>,
    /// Samples to actions.
    pub bounding: Bounding,
}

impl<F: Real> PolicyModel<F> {
    /// Joins a network and a distribution, whose samples are the actions.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when the network has not as many outputs as the distribution needs.
    pub fn new(
        network: Arc<dyn Network<F>>,
        distribution: Arc<dyn Distribution<F>>,
    ) -> Result<Self, NnError> {
        NnError::check("an output row of the policy network", network.n_outputs(), distribution.n_outputs())?;
        Ok(PolicyModel { network, distribution, bounding: Bounding::Free })
    }

    /// The same with samples that become actions in another way.
    ///
    /// # Errors
    ///
    /// Those of [`Bounding::check`].
    pub fn with_bounding(self, bounding: Bounding) -> Result<Self, NnError> {
        bounding.check(self.distribution.action_len())?;
        Ok(PolicyModel { bounding, ..self })
    }

    /// The number of parameters.
    pub fn n_params(&self) -> usize {
        self.network.n_params() + self.distribution.n_globals()
    }

    /// The named tensors of θ: the network's, then the distribution's free parameters where there are any.
    pub fn layout(&self) -> Layout {
        let mut layout = self.network.shape().layout.clone();
        for param in self.distribution.globals().params() {
            layout.push(&*param.name, &param.shape);
        }
        layout
    }

    /// θ as (network parameters, free distribution parameters).
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when θ does not have [`n_params`](Self::n_params) elements.
    pub fn split<'a>(&self, theta: &'a [F]) -> Result<(&'a [F], &'a [F]), NnError> {
        NnError::check("the policy's theta", theta.len(), self.n_params())?;
        Ok(theta.split_at(self.network.n_params()))
    }

    /// Makes actions impossible that a state forbids, in the outputs of the network for these states.
    ///
    /// # Errors
    ///
    /// Those of [`Distribution::mask`].
    pub fn mask(&self, states: &States<'_, F>, y: &mut [F]) -> Result<(), NnError> {
        states.masks().map_or(Ok(()), |masks| self.distribution.mask(masks, y))
    }

    /// The distribution parameters made of a network output and θ.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when θ does not fit.
    pub fn params<'a>(&self, y: &'a [F], theta: &'a [F]) -> Result<DistParams<'a, F>, NnError> {
        Ok(DistParams { y, globals: self.split(theta)?.1 })
    }
}
