//! A large batch in fixed shards, so that several threads can share it and the result does not depend on how many.

use rayon::prelude::*;

use crate::{
    DistGrad, DistParams, Distribution, Input, Linearized, Network, NnError, Real, Workspace, kernels,
};

/// Rows in a shard. Fixed: the order of every sum depends on it, never on the number of threads.
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

    fn reserve(&mut self, rows: usize) {
        let n = rows.div_ceil(SHARD_ROWS);
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
        x: Input<'_, F>,
        y: &mut [F],
    ) -> Result<(), NnError> {
        NnError::check("the output", y.len(), x.rows() * network.n_outputs())?;
        self.reserve(x.rows());
        if x.rows() <= SHARD_ROWS {
            return match self.workspaces.first_mut() {
                Some(ws) => network.forward(theta, x, y, ws),
                None => Ok(()),
            };
        }
        let y = y.par_chunks_mut(SHARD_ROWS * network.n_outputs());
        y.zip(&mut self.workspaces).enumerate().try_for_each(|(s, (y, ws))| {
            let rows = s * SHARD_ROWS..((s + 1) * SHARD_ROWS).min(x.rows());
            network.forward(theta, x.slice(rows.start, rows.end), y, ws)
        })
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
        x: Input<'a, F>,
    ) -> Result<ShardedLinearized<'a, F>, NnError> {
        self.reserve(x.rows());
        let n = x.rows().div_ceil(SHARD_ROWS);
        let Shards { workspaces, products, output } = self;
        let record = |(s, (ws, products)): (usize, (&'a mut Workspace<F>, &'a mut Products<F>))| {
            let rows = s * SHARD_ROWS..((s + 1) * SHARD_ROWS).min(x.rows());
            let linearized = Linearized::new(network, theta, x.slice(rows.start, rows.end), ws)?;
            Ok(Part { linearized, products })
        };
        let (workspaces, products) = (&mut workspaces[..n], &mut products[..n]);
        let parts: Result<Vec<_>, NnError> = if n > 1 {
            workspaces.par_iter_mut().zip(products).enumerate().map(record).collect()
        } else {
            workspaces.iter_mut().zip(products).enumerate().map(record).collect()
        };
        let parts = parts?;
        output.clear();
        parts.iter().for_each(|p| output.extend_from_slice(p.linearized.output()));
        Ok(ShardedLinearized { parts, output, n_params: network.n_params(), n_outputs: network.n_outputs() })
    }
}

struct Part<'a, F: Real> {
    linearized: Linearized<'a, F>,
    products: &'a mut Products<F>,
}

/// A [`Linearized`] over the shards of a batch: the same three products.
pub struct ShardedLinearized<'a, F: Real> {
    parts: Vec<Part<'a, F>>,
    output: &'a [F],
    n_params: usize,
    n_outputs: usize,
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
        if let [part] = &mut self.parts[..] {
            return part.linearized.vjp(dy, grad);
        }
        let n_params = self.n_params;
        let chunks = dy.par_chunks(SHARD_ROWS * self.n_outputs);
        self.parts.par_iter_mut().zip(chunks).try_for_each(|(part, dy)| {
            part.products.grad.resize(n_params, F::zero());
            part.linearized.vjp(dy, &mut part.products.grad)
        })?;
        grad.fill(F::zero());
        for part in &self.parts {
            kernels::add(grad, &part.products.grad);
        }
        Ok(())
    }

    /// `dy ← J v`.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for a slice that does not fit.
    pub fn jvp(&mut self, v: &[F], dy: &mut [F]) -> Result<(), NnError> {
        NnError::check("the output tangent", dy.len(), self.output.len())?;
        if let [part] = &mut self.parts[..] {
            return part.linearized.jvp(v, dy);
        }
        let chunks = dy.par_chunks_mut(SHARD_ROWS * self.n_outputs);
        self.parts.par_iter_mut().zip(chunks).try_for_each(|(part, dy)| part.linearized.jvp(v, dy))
    }

    /// `out ← w Σ_b J_bᵀ M_b J_b v`, with `M_b` the Fisher metric of a distribution whose parameters are this network's output and
    /// `globals`: forward product, metric and backward product of a shard one after another, all shards side by side.
    ///
    /// # Shapes
    ///
    /// `v` and `out` are `[network parameters | free distribution parameters]`.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for slices that do not fit.
    pub fn fisher_product(
        &mut self,
        distribution: &dyn Distribution<F>,
        globals: &[F],
        w: F,
        v: &[F],
        out: &mut [F],
    ) -> Result<(), NnError> {
        let (n_params, width) = (self.n_params, SHARD_ROWS * self.n_outputs);
        NnError::check("the tangent", v.len(), n_params + globals.len())?;
        NnError::check("the product", out.len(), v.len())?;
        let (v_network, v_globals) = v.split_at(n_params);
        self.parts.par_iter_mut().zip(self.output.par_chunks(width)).try_for_each(|(part, y)| {
            let Products { grad, tangent } = &mut *part.products;
            grad.resize(n_params, F::zero());
            tangent.resize(y.len() + globals.len(), F::zero());
            let (t_y, t_globals) = tangent.split_at_mut(y.len());
            part.linearized.jvp(v_network, t_y)?;
            t_globals.copy_from_slice(v_globals);
            let tangent = DistGrad { y: &mut *t_y, globals: t_globals };
            distribution.fisher(DistParams { y, globals }, w, tangent)?;
            part.linearized.vjp(t_y, grad)
        })?;
        out.fill(F::zero());
        let (out_network, out_globals) = out.split_at_mut(n_params);
        for part in &self.parts {
            let Products { grad, tangent } = &*part.products;
            kernels::add(out_network, grad);
            kernels::add(out_globals, &tangent[tangent.len() - globals.len()..]);
        }
        Ok(())
    }
}
