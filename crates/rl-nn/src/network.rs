//! A network as a function of θ.

use std::any::Any;

use candle_core::Tensor;
use rand::RngCore;
use rl_kernels::Reproducible;

use crate::{Carry, Initialization, Layout, NetworkSpec, NnError, Real, SHARD_ROWS, States};

/// The number of inputs and outputs of a network, and where its parameters lie in θ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Elements of an input row.
    pub n_inputs: usize,
    /// Elements of an output row.
    pub n_outputs: usize,
    /// The named tensors of θ.
    pub layout: Layout,
}

/// Memory that a network reuses from call to call.
#[derive(Default)]
pub struct Workspace<F> {
    /// The recorded output, `[rows, n_outputs]`.
    pub output: Vec<F>,
    /// The network's own, opaque to everybody else.
    memory: Option<Box<dyn Any + Send>>,
}

impl<F> Workspace<F> {
    /// The recorded output and the memory of the network that asks: what it left there, or `M::default()` where another kind of network, or none,
    /// used this workspace before.
    pub fn parts<M: Any + Default + Send>(&mut self) -> (&mut Vec<F>, &mut M) {
        if !self.memory.as_ref().is_some_and(|m| m.is::<M>()) {
            self.memory = None;
        }
        let memory = self.memory.get_or_insert_with(|| Box::new(M::default()));
        match memory.downcast_mut() {
            Some(memory) => (&mut self.output, memory),
            None => unreachable!("memory of another type was replaced"),
        }
    }
}

/// A differentiable function `y = f(θ, x)` of a flat parameter vector.
///
/// Networks compose ([`Chain`](crate::Chain), [`Fork`](crate::Fork)): their products have an input side too.
///
/// # Shapes
///
/// `theta` is `[n_params]` in the order of the layout; inputs `[rows, n_inputs]`; outputs `[rows, n_outputs]`; all row-major.
///
/// # Errors
///
/// Every method returns [`NnError::Shape`] for a slice that does not fit, or a user's network's own error.
pub trait Network<F: Real>: Send + Sync {
    /// Inputs, outputs and the layout of θ.
    fn shape(&self) -> &Shape;

    /// Forgets what depends on θ alone, or computes it. Called by [`Forward::new`](crate::Forward::new): the passes that follow have this θ.
    #[allow(clippy::missing_errors_doc, reason = "documented at the trait")]
    fn prepare(&self, theta: &[F], ws: &mut Workspace<F>) -> Result<(), NnError>;

    /// Writes `y = f(θ, x)` after [`prepare`](Network::prepare) with the same θ and `ws`; what was recorded in `ws` may be gone. Called by
    /// [`Forward::run`](crate::Forward::run).
    #[allow(clippy::missing_errors_doc, reason = "documented at the trait")]
    fn forward(
        &self,
        theta: &[F],
        x: &States<'_, F>,
        carry: &mut Carry<F>,
        y: &mut [F],
        ws: &mut Workspace<F>,
    ) -> Result<(), NnError>;

    /// Computes `f(θ, x)` into `ws.output` and keeps in `ws` what the products need. Called by [`Linearized::new`](crate::Linearized::new).
    #[allow(clippy::missing_errors_doc, reason = "documented at the trait")]
    fn record(&self, theta: &[F], x: &States<'_, F>, ws: &mut Workspace<F>) -> Result<(), NnError>;

    /// `grad ← (∂y/∂θ)ᵀ dy` and, if it is wanted, `dx ← (∂y/∂x)ᵀ dy`, at the recorded point.
    #[allow(clippy::missing_errors_doc, reason = "documented at the trait")]
    fn vjp(
        &self,
        theta: &[F],
        x: &States<'_, F>,
        ws: &mut Workspace<F>,
        dy: &[F],
        grad: &mut [F],
        dx: Option<&mut [F]>,
    ) -> Result<(), NnError>;

    /// `dy ← (∂y/∂θ) v + (∂y/∂x) dx` at the recorded point, in forward mode; without `dx` the input stands still.
    #[allow(clippy::missing_errors_doc, reason = "documented at the trait")]
    fn jvp(
        &self,
        theta: &[F],
        x: &States<'_, F>,
        ws: &mut Workspace<F>,
        v: &[F],
        dx: Option<&[F]>,
        dy: &mut [F],
    ) -> Result<(), NnError>;

    /// Rows of a shard when a large batch is shared by threads. The order of every sum over a batch depends on it, and so never on the number
    /// of threads.
    fn shard_rows(&self) -> usize {
        shard_rows::<F>(self.n_params(), std::iter::empty())
    }

    /// Where its results come out the same: everywhere, unless it calls what is not ours.
    fn reproducible(&self) -> Reproducible {
        Reproducible::Everywhere
    }

    /// Its description, from which [`NetworkSpec::build`] makes it again; none for a network that cannot be saved.
    fn spec(&self) -> Option<NetworkSpec> {
        None
    }

    /// Draws θ. Unless a network knows better, tensors of two and more dimensions are weights `[n_out, n_in…]`, the last of which is the output
    /// layer's, and the others biases: see [`Initialization`].
    #[allow(clippy::missing_errors_doc, reason = "documented at the trait")]
    fn init(&self, theta: &mut [F], how: Initialization, rng: &mut dyn RngCore) -> Result<(), NnError> {
        NnError::check("theta", theta.len(), self.n_params())?;
        how.by_layout(&self.shape().layout, theta, rng);
        Ok(())
    }

    /// The number of parameters.
    fn n_params(&self) -> usize {
        self.shape().layout.n_params()
    }

    /// Elements of an input row.
    fn n_inputs(&self) -> usize {
        self.shape().n_inputs
    }

    /// Elements of an output row.
    fn n_outputs(&self) -> usize {
        self.shape().n_outputs
    }
}

/// The same function inside a candle graph.
pub trait TensorNetwork {
    /// `y = f(θ, x)` as a tensor.
    ///
    /// # Shapes
    ///
    /// `theta` is `[n_params]`, `x` `[rows, n_inputs]`, the result `[rows, n_outputs]`.
    ///
    /// # Errors
    ///
    /// candle's.
    fn forward_tensor(&self, theta: &Tensor, x: &Tensor) -> Result<Tensor, NnError>;
}

/// Checks what every method is given.
pub(crate) fn check<F: Real>(
    network: &(impl Network<F> + ?Sized),
    theta: &[F],
    x: &States<'_, F>,
) -> Result<(), NnError> {
    NnError::check("theta", theta.len(), network.n_params())?;
    NnError::check("an input row", x.width(), network.n_inputs())
}

/// [`Network::shard_rows`] of a network with these parameters and parts.
pub(crate) fn shard_rows<'a, F: Real>(
    n_params: usize,
    parts: impl Iterator<Item = &'a dyn Network<F>>,
) -> usize {
    // Larger networks have larger shards, for every shard's gradient must be added up,
    let rows = SHARD_ROWS * (1 + n_params / (1 << 16)).min(4);
    // but for parts that say that they would need too much memory.
    parts.map(Network::shard_rows).filter(|&rows| rows < SHARD_ROWS).fold(rows, usize::min)
}

/// Checks that no two tensors of a composition have the same name, for a saved one is found by it.
pub(crate) fn check_names(layout: &Layout) -> Result<(), NnError> {
    let mut names: Vec<&str> = layout.params().iter().map(|param| &*param.name).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(NnError::Description(format!("two tensors are called {:?}", pair[0]))),
        None => Ok(()),
    }
}
