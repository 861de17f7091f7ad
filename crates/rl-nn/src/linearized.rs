//! A network with its parameters: many passes with the same ones, and its linearisation.

use crate::{Carry, Network, NnError, Real, States, Workspace};

/// Forward passes with the same parameters again and again, as a rollout takes them: they share what depends on θ alone.
///
/// It borrows θ, so it cannot go stale.
pub struct Forward<'a, F: Real> {
    network: &'a dyn Network<F>,
    theta: &'a [F],
    ws: &'a mut Workspace<F>,
    carry: Carry<F>,
}

impl<'a, F: Real> Forward<'a, F> {
    /// Prepares passes with these parameters, from the beginning of every environment's episode.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for a slice that does not fit.
    pub fn new(
        network: &'a dyn Network<F>,
        theta: &'a [F],
        ws: &'a mut Workspace<F>,
    ) -> Result<Self, NnError> {
        network.prepare(theta, ws)?;
        Ok(Forward { network, theta, ws, carry: Carry::default() })
    }

    /// Writes `y = f(θ, x)`.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for a slice that does not fit.
    pub fn run(&mut self, x: &States<'_, F>, y: &mut [F]) -> Result<(), NnError> {
        self.network.forward(self.theta, x, &mut self.carry, y, self.ws)
    }
}

/// A network linearised at `(θ, x)`: the output and the products with its Jacobians `∂y/∂θ` and `∂y/∂x`.
///
/// It borrows θ, x and what was recorded, so it cannot go stale.
pub struct Linearized<'a, F: Real> {
    network: &'a dyn Network<F>,
    theta: &'a [F],
    x: States<'a, F>,
    ws: &'a mut Workspace<F>,
}

impl<'a, F: Real> Linearized<'a, F> {
    /// Runs the network forward and keeps what the products need in `ws`.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for a slice that does not fit.
    pub fn new(
        network: &'a dyn Network<F>,
        theta: &'a [F],
        x: States<'a, F>,
        ws: &'a mut Workspace<F>,
    ) -> Result<Self, NnError> {
        network.record(theta, &x, ws)?;
        Ok(Linearized { network, theta, x, ws })
    }

    /// `y = f(θ, x)`, `[rows, n_outputs]`.
    pub fn output(&self) -> &[F] {
        &self.ws.output
    }

    /// The number of rows of the batch.
    pub fn rows(&self) -> usize {
        self.x.rows()
    }

    /// `grad ← (∂y/∂θ)ᵀ dy` and, if it is wanted, `dx ← (∂y/∂x)ᵀ dy`: reverse mode.
    ///
    /// # Shapes
    ///
    /// `dy` `[rows, n_outputs]`, `grad` `[n_params]`, `dx` `[rows, n_inputs]`.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for a slice that does not fit.
    pub fn vjp(&mut self, dy: &[F], grad: &mut [F], dx: Option<&mut [F]>) -> Result<(), NnError> {
        NnError::check("the output gradient", dy.len(), self.ws.output.len())?;
        NnError::check("the gradient", grad.len(), self.network.n_params())?;
        if let Some(dx) = &dx {
            NnError::check("the input gradient", dx.len(), self.x.obs().len())?;
        }
        self.network.vjp(self.theta, &self.x, self.ws, dy, grad, dx)
    }

    /// `dy ← (∂y/∂θ) v + (∂y/∂x) dx`, forward mode; without `dx` the input stands still.
    ///
    /// # Shapes
    ///
    /// `v` `[n_params]`, `dx` `[rows, n_inputs]`, `dy` `[rows, n_outputs]`.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for a slice that does not fit.
    pub fn jvp(&mut self, v: &[F], dx: Option<&[F]>, dy: &mut [F]) -> Result<(), NnError> {
        NnError::check("the tangent", v.len(), self.network.n_params())?;
        NnError::check("the output tangent", dy.len(), self.ws.output.len())?;
        if let Some(dx) = dx {
            NnError::check("the input tangent", dx.len(), self.x.obs().len())?;
        }
        self.network.jvp(self.theta, &self.x, self.ws, v, dx, dy)
    }
}
