//! A large batch in fixed shards, so that several threads can share it and the result does not depend on how many.

use rayon::prelude::*;

use crate::{Carry, DistGrad, Linearized, Network, NnError, Real, States, Workspace};

/// Rows in a shard of a network with fewer than 2¹⁶ parameters ([`Network::shard_rows`]).
pub const SHARD_ROWS: usize = 128;

/// Workspaces for the shards of a batch, reused from call to call.
///
/// Shards run on the current rayon pool (`ThreadPool::install` chooses it); partial gradients are added in shard order.
#[derive(Default)]
pub struct Shards<F> {
    workspaces: Vec<Workspace<F>>,
    products: Vec<Products<F>>,
    output: Vec<F>,
}

/// A shard's contributions to products.
#[derive(Default)]
struct Products<F> {
    grad: Vec<F>,
    tangent: Vec<F>,
}

impl<F: Real> Shards<F> {
    /// Shards without memory yet.
    pub fn new() -> Self {
        Shards::default()
    }

    fn reserve(&mut self, n: usize) {
        if self.workspaces.len() < n {
            self.workspaces.resize_with(n, Workspace::default);
            self.products.resize_with(n, Products::default);
        }
    }

    /// Writes `y = f(θ, x)`.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for a slice that does not fit.
    pub fn forward(
        &mut self,
        network: &dyn Network<F>,
        theta: &[F],
        x: &States<'_, F>,
        y: &mut [F],
    ) -> Result<(), NnError> {
        NnError::check("the output", y.len(), x.rows() * network.n_outputs())?;
        let shards = x.cut(network.shard_rows());
        self.reserve(shards.len());
        let run = |((rows, ws), y): ((std::ops::Range<usize>, &mut Workspace<F>), &mut [F])| {
            network.prepare(theta, ws)?;
            network.forward(theta, &x.slice(rows), &mut Carry::default(), y, ws)
        };
        let width = (network.shard_rows() * network.n_outputs()).max(1);
        let work = shards.zip(&mut self.workspaces).zip(y.chunks_mut(width));
        if work.len() > 1 {
            work.collect::<Vec<_>>().into_par_iter().try_for_each(run)
        } else {
            work.into_iter().try_for_each(run)
        }
    }

    /// Linearises the network at `(θ, x)`, shard by shard.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for a slice that does not fit.
    pub fn linearize<'a>(
        &'a mut self,
        network: &'a dyn Network<F>,
        theta: &'a [F],
        x: States<'a, F>,
    ) -> Result<ShardedLinearized<'a, F>, NnError> {
        let shards = x.cut(network.shard_rows());
        let n = shards.len();
        self.reserve(n);
        let Shards { workspaces, products, output } = self;
        let record = |(rows, (ws, products)): (
            std::ops::Range<usize>,
            (&'a mut Workspace<F>, &'a mut Products<F>),
        )| {
            Ok(Part { linearized: Linearized::new(network, theta, x.slice(rows), ws)?, products })
        };
        let work = shards.zip(workspaces.iter_mut().zip(products));
        let mut work = work;
        let parts = match (n, work.next()) {
            (1, Some(only)) => Parts::One(record(only)?),
            (_, first) => {
                let work: Vec<_> = first.into_iter().chain(work).collect();
                let parts: Result<Vec<_>, NnError> = work.into_par_iter().map(record).collect();
                Parts::Many(parts?)
            }
        };
        output.clear();
        parts.iter().for_each(|part| output.extend_from_slice(part.linearized.output()));
        let width = network.shard_rows() * network.n_outputs();
        Ok(ShardedLinearized { parts, output, width, n_params: network.n_params() })
    }
}

struct Part<'a, F: Real> {
    linearized: Linearized<'a, F>,
    products: &'a mut Products<F>,
}

/// The parts of a batch: one, as a minibatch has it, needs no allocation.
enum Parts<'a, F: Real> {
    One(Part<'a, F>),
    Many(Vec<Part<'a, F>>),
}

impl<'a, F: Real> Parts<'a, F> {
    fn iter(&self) -> std::slice::Iter<'_, Part<'a, F>> {
        match self {
            Parts::One(part) => std::slice::from_ref(part).iter(),
            Parts::Many(parts) => parts.iter(),
        }
    }

    fn as_mut(&mut self) -> &mut [Part<'a, F>] {
        match self {
            Parts::One(part) => std::slice::from_mut(part),
            Parts::Many(parts) => parts,
        }
    }
}

/// A [`Linearized`] over the shards of a batch: the same three products.
pub struct ShardedLinearized<'a, F: Real> {
    parts: Parts<'a, F>,
    output: &'a [F],
    /// Outputs of a shard.
    width: usize,
    n_params: usize,
}

impl<'a, F: Real> ShardedLinearized<'a, F> {
    /// `y = f(θ, x)`, `[rows, n_outputs]`.
    pub fn output(&self) -> &'a [F] {
        self.output
    }

    /// The number of parameters.
    pub fn n_params(&self) -> usize {
        self.n_params
    }

    /// `grad ← Jᵀ dy`; the shards' contributions are added in order.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for a slice that does not fit.
    pub fn vjp(&mut self, dy: &[F], grad: &mut [F]) -> Result<(), NnError> {
        NnError::check("the output gradient", dy.len(), self.output.len())?;
        NnError::check("the gradient", grad.len(), self.n_params)?;
        if let Parts::One(part) = &mut self.parts {
            return part.linearized.vjp(dy, grad, None);
        }
        let n_params = self.n_params;
        let chunks = dy.par_chunks(self.width);
        self.parts.as_mut().par_iter_mut().zip(chunks).try_for_each(|(part, dy)| {
            part.products.grad.resize(n_params, F::zero());
            part.linearized.vjp(dy, &mut part.products.grad, None)
        })?;
        sum(self.parts.iter().map(|part| &part.products.grad[..]), grad);
        Ok(())
    }

    /// `dy ← J v`.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for a slice that does not fit.
    pub fn jvp(&mut self, v: &[F], dy: &mut [F]) -> Result<(), NnError> {
        NnError::check("the output tangent", dy.len(), self.output.len())?;
        if let Parts::One(part) = &mut self.parts {
            return part.linearized.jvp(v, None, dy);
        }
        let chunks = dy.par_chunks_mut(self.width);
        self.parts
            .as_mut()
            .par_iter_mut()
            .zip(chunks)
            .try_for_each(|(part, dy)| part.linearized.jvp(v, None, dy))
    }

    /// The Gauss-Newton product `out ← Σ_b J_bᵀ M_b J_b v`, with `M_b` a metric on the outputs of a row and on free parameters that all rows
    /// share: forward product, metric and backward product of a shard one after another, all shards side by side.
    ///
    /// `metric(y, t)` is given the rows of `y` that a shard has, and the tangent of its outputs, which it replaces by its product with the metric;
    /// every row sees the same tangent of the free parameters, and the sum over these rows is what it leaves there. `y` is what the metric depends
    /// on: the [outputs](Self::output), or what was made of them.
    ///
    /// # Shapes
    ///
    /// `y` is `[rows, n_outputs]`, `v` and `out` are `[network parameters | free parameters]`.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for slices that do not fit; the metric's own.
    pub fn gauss_newton(
        &mut self,
        y: &[F],
        metric: impl Fn(&[F], DistGrad<'_, F>) -> Result<(), NnError> + Sync,
        v: &[F],
        out: &mut [F],
    ) -> Result<(), NnError> {
        let n_params = self.n_params;
        NnError::check("the product", out.len(), v.len())?;
        NnError::check("the outputs", y.len(), self.output.len())?;
        let Some((v_network, v_globals)) = v.split_at_checked(n_params) else {
            return Err(NnError::Shape { what: "the tangent", got: v.len(), expected: n_params });
        };
        self.parts.as_mut().par_iter_mut().zip(y.par_chunks(self.width)).try_for_each(|(part, y)| {
            let Products { grad, tangent } = &mut *part.products;
            grad.resize(n_params, F::zero());
            tangent.resize(y.len() + v_globals.len(), F::zero());
            let (t_y, t_globals) = tangent.split_at_mut(y.len());
            part.linearized.jvp(v_network, None, t_y)?;
            t_globals.copy_from_slice(v_globals);
            metric(y, DistGrad { y: &mut *t_y, globals: t_globals })?;
            part.linearized.vjp(t_y, grad, None)
        })?;
        let (out_network, out_globals) = out.split_at_mut(n_params);
        let products = self.parts.iter().map(|part| &*part.products);
        sum(products.clone().map(|p| &p.grad[..]), out_network);
        sum(products.map(|p| &p.tangent[p.tangent.len() - v_globals.len()..]), out_globals);
        Ok(())
    }
}

/// `out ← Σ parts`, in their order.
fn sum<'p, F: Real>(mut parts: impl Iterator<Item = &'p [F]>, out: &mut [F]) {
    match parts.next() {
        Some(first) => out.copy_from_slice(first),
        None => out.fill(F::zero()),
    }
    parts.for_each(|part| rl_kernels::add(out, part));
}
