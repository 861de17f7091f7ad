//! A network as a function of θ, and its linearisation.

use std::any::Any;

use candle_core::Tensor;

use crate::{Buffer, Layout, NnError, Real};

/// A batch of inputs: `rows` of `width` elements, row-major, in host memory.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a, F> {
    /// The elements, `[rows, width]`.
    pub data: &'a [F],
    /// Elements a row.
    pub width: usize,
}

impl<'a, F> Input<'a, F> {
    /// Rows of `width` elements.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when `data` is not a whole number of rows.
    pub fn new(data: &'a [F], width: usize) -> Result<Self, NnError> {
        let rows = data.len().checked_div(width).unwrap_or(0);
        NnError::check("the input", data.len(), rows * width)?;
        Ok(Input { data, width })
    }

    /// The number of rows.
    #[inline]
    pub fn rows(&self) -> usize {
        self.data.len().checked_div(self.width).unwrap_or(0)
    }

    /// The rows from `start` to `end`.
    ///
    /// # Panics
    ///
    /// If they lie outside the batch.
    pub fn slice(&self, start: usize, end: usize) -> Self {
        Input { data: &self.data[start * self.width..end * self.width], width: self.width }
    }
}

/// Memory that a network reuses from call to call: its recorded activations, scratch space, and a slot of its own.
#[derive(Default)]
pub struct Workspace<F> {
    /// What [`Network::record`] keeps; the network decides how it lies.
    pub activations: Buffer<F>,
    /// Transposed copies of some of them.
    pub transposed: Buffer<F>,
    /// The recorded output, `[rows, n_outputs]`.
    pub output: Vec<F>,
    /// Scratch for products.
    pub scratch: [Buffer<F>; 2],
    /// Anything else a user's network wants to keep between `record` and its products.
    pub slot: Option<Box<dyn Any + Send + Sync>>,
}

/// A differentiable function `y = f(θ, x)` of a flat parameter vector.
///
/// # Shapes
///
/// `theta` is `[n_params]` in the order of [`layout`](Network::layout); inputs `[rows, n_inputs]`; outputs `[rows, n_outputs]`; all row-major.
pub trait Network<F: Real>: Send + Sync {
    /// The named tensors of θ.
    fn layout(&self) -> &Layout;
    /// Elements of an input row.
    fn n_inputs(&self) -> usize;
    /// Elements of an output row.
    fn n_outputs(&self) -> usize;

    /// Writes `y = f(θ, x)`, keeping nothing; what was recorded in `ws` may be gone.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for a slice that does not fit.
    fn forward(
        &self,
        theta: &[F],
        x: Input<'_, F>,
        y: &mut [F],
        ws: &mut Workspace<F>,
    ) -> Result<(), NnError>;

    /// Puts into `ws` what repeated forward passes with θ share. Called by [`Forward::new`].
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for a slice that does not fit.
    fn prepare(&self, _theta: &[F], _ws: &mut Workspace<F>) -> Result<(), NnError> {
        Ok(())
    }

    /// [`forward`](Network::forward) after [`prepare`](Network::prepare) with the same θ and `ws`. Called by [`Forward::run`].
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for a slice that does not fit.
    fn forward_prepared(
        &self,
        theta: &[F],
        x: Input<'_, F>,
        y: &mut [F],
        ws: &mut Workspace<F>,
    ) -> Result<(), NnError> {
        self.forward(theta, x, y, ws)
    }

    /// Computes `f(θ, x)` into `ws.output` and keeps in `ws` what the products need. Called by [`Linearized::new`].
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for a slice that does not fit.
    fn record(&self, theta: &[F], x: Input<'_, F>, ws: &mut Workspace<F>) -> Result<(), NnError>;

    /// `grad ← Jᵀ dy` at the recorded point. Called by [`Linearized::vjp`].
    ///
    /// # Errors
    ///
    /// A user's network's own.
    fn vjp(
        &self,
        theta: &[F],
        x: Input<'_, F>,
        ws: &mut Workspace<F>,
        dy: &[F],
        grad: &mut [F],
    ) -> Result<(), NnError>;

    /// `dy ← J v` at the recorded point, in forward mode. Called by [`Linearized::jvp`].
    ///
    /// # Errors
    ///
    /// A user's network's own.
    fn jvp(
        &self,
        theta: &[F],
        x: Input<'_, F>,
        ws: &mut Workspace<F>,
        v: &[F],
        dy: &mut [F],
    ) -> Result<(), NnError>;

    /// The same function inside a candle graph.
    ///
    /// # Shapes
    ///
    /// `theta` is `[n_params]`, `x` `[rows, n_inputs]`, the result `[rows, n_outputs]`.
    ///
    /// # Errors
    ///
    /// candle's.
    fn forward_tensor(&self, theta: &Tensor, x: &Tensor) -> Result<Tensor, NnError>;

    /// The number of parameters.
    fn n_params(&self) -> usize {
        self.layout().n_params()
    }
}

/// Forward passes with the same parameters again and again, as a rollout takes them: they share what depends on θ alone.
///
/// It borrows θ, so it cannot go stale.
pub struct Forward<'a, F: Real> {
    network: &'a dyn Network<F>,
    theta: &'a [F],
    ws: &'a mut Workspace<F>,
}

impl<'a, F: Real> Forward<'a, F> {
    /// Prepares passes with these parameters.
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
        Ok(Forward { network, theta, ws })
    }

    /// Writes `y = f(θ, x)`.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for a slice that does not fit.
    pub fn run(&mut self, x: Input<'_, F>, y: &mut [F]) -> Result<(), NnError> {
        self.network.forward_prepared(self.theta, x, y, self.ws)
    }
}

/// A network linearised at `(θ, x)`: the output and the products with its Jacobian `J = ∂y/∂θ`.
///
/// It borrows θ, x and the recorded activations, so it cannot go stale.
pub struct Linearized<'a, F: Real> {
    network: &'a dyn Network<F>,
    theta: &'a [F],
    x: Input<'a, F>,
    ws: &'a mut Workspace<F>,
}

impl<'a, F: Real> Linearized<'a, F> {
    /// Runs the network forward and keeps its activations in `ws`.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for a slice that does not fit.
    pub fn new(
        network: &'a dyn Network<F>,
        theta: &'a [F],
        x: Input<'a, F>,
        ws: &'a mut Workspace<F>,
    ) -> Result<Self, NnError> {
        network.record(theta, x, ws)?;
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

    /// `grad ← Jᵀ dy`, reverse mode.
    ///
    /// # Shapes
    ///
    /// `dy` `[rows, n_outputs]`, `grad` `[n_params]`.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for a slice that does not fit.
    pub fn vjp(&mut self, dy: &[F], grad: &mut [F]) -> Result<(), NnError> {
        NnError::check("the output gradient", dy.len(), self.ws.output.len())?;
        NnError::check("the gradient", grad.len(), self.network.n_params())?;
        self.network.vjp(self.theta, self.x, self.ws, dy, grad)
    }

    /// `dy ← J v`, forward mode.
    ///
    /// # Shapes
    ///
    /// `v` `[n_params]`, `dy` `[rows, n_outputs]`.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for a slice that does not fit.
    pub fn jvp(&mut self, v: &[F], dy: &mut [F]) -> Result<(), NnError> {
        NnError::check("the tangent", v.len(), self.network.n_params())?;
        NnError::check("the output tangent", dy.len(), self.ws.output.len())?;
        self.network.jvp(self.theta, self.x, self.ws, v, dy)
    }
}
