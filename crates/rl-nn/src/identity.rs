//! The network that does nothing.

use candle_core::Tensor;

use crate::network::check;
use crate::{Carry, Layout, Network, NetworkSpec, NnError, Real, Shape, States, TensorNetwork, Workspace};

/// `y = x`, without a parameter: a head that passes its trunk's output on.
#[derive(Clone, Debug)]
pub struct Identity {
    shape: Shape,
}

impl Identity {
    /// The identity on rows of `n` elements.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for rows of no element.
    pub fn new(n: usize) -> Result<Self, NnError> {
        if n == 0 {
            return Err(NnError::Shape { what: "a row of an identity", got: 0, expected: 1 });
        }
        Ok(Identity { shape: Shape { n_inputs: n, n_outputs: n, layout: Layout::new() } })
    }
}

impl<F: Real> Network<F> for Identity {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn spec(&self) -> Option<NetworkSpec> {
        Some(NetworkSpec::Identity { n: self.shape.n_inputs })
    }

    fn prepare(&self, theta: &[F], _: &mut Workspace<F>) -> Result<(), NnError> {
        NnError::check("theta", theta.len(), 0)
    }

    fn forward(
        &self,
        theta: &[F],
        x: &States<'_, F>,
        _: &mut Carry<F>,
        y: &mut [F],
        _: &mut Workspace<F>,
    ) -> Result<(), NnError> {
        check(self, theta, x)?;
        NnError::check("the output", y.len(), x.obs().len())?;
        y.copy_from_slice(x.obs());
        Ok(())
    }

    fn record(&self, theta: &[F], x: &States<'_, F>, ws: &mut Workspace<F>) -> Result<(), NnError> {
        check(self, theta, x)?;
        ws.output.clear();
        ws.output.extend_from_slice(x.obs());
        Ok(())
    }

    fn vjp(
        &self,
        _: &[F],
        _: &States<'_, F>,
        _: &mut Workspace<F>,
        dy: &[F],
        _: &mut [F],
        dx: Option<&mut [F]>,
    ) -> Result<(), NnError> {
        if let Some(dx) = dx {
            dx.copy_from_slice(dy);
        }
        Ok(())
    }

    fn jvp(
        &self,
        _: &[F],
        _: &States<'_, F>,
        _: &mut Workspace<F>,
        _: &[F],
        dx: Option<&[F]>,
        dy: &mut [F],
    ) -> Result<(), NnError> {
        match dx {
            Some(dx) => dy.copy_from_slice(dx),
            None => dy.fill(F::zero()),
        }
        Ok(())
    }
}

impl TensorNetwork for Identity {
    fn forward_tensor(&self, _: &Tensor, x: &Tensor) -> Result<Tensor, NnError> {
        Ok(x.clone())
    }
}
