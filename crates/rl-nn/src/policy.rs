//! A stochastic policy as a function of θ = [network | free distribution parameters].

use std::sync::Arc;

use crate::{DistParams, Distribution, Layout, Network, NnError, Real};

/// A network followed by an action distribution; it holds no parameters.
///
/// # Shapes
///
/// θ is `[P]` with `P = network parameters + globals`; the network's part comes first.
#[derive(Clone)]
pub struct PolicyModel<F: Real> {
    /// Observations to distribution parameters.
    pub network: Arc<dyn Network<F>>,
    /// Distribution parameters to actions.
    pub distribution: Arc<dyn Distribution<F>>,
}

impl<F: Real> PolicyModel<F> {
    /// Joins a network and a distribution.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when the network has not as many outputs as the distribution needs.
    pub fn new(
        network: Arc<dyn Network<F>>,
        distribution: Arc<dyn Distribution<F>>,
    ) -> Result<Self, NnError> {
        NnError::check("an output row of the policy network", network.n_outputs(), distribution.n_outputs())?;
        Ok(PolicyModel { network, distribution })
    }

    /// The number of parameters.
    pub fn n_params(&self) -> usize {
        self.network.n_params() + self.distribution.n_globals()
    }

    /// The named tensors of θ: the network's, then `globals` where there are any.
    pub fn layout(&self) -> Layout {
        let mut layout = self.network.shape().layout.clone();
        if self.distribution.n_globals() > 0 {
            layout.push("globals", &[self.distribution.n_globals()]);
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

    /// The distribution parameters made of a network output and θ.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when θ does not fit.
    pub fn params<'a>(&self, y: &'a [F], theta: &'a [F]) -> Result<DistParams<'a, F>, NnError> {
        Ok(DistParams { y, globals: self.split(theta)?.1 })
    }
}
