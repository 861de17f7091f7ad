//! A large batch in fixed shards, so that several threads can share it and the result does not depend on how many.

use rayon::prelude::*;

use crate::{DistGrad, DistParams, Distribution, Input, Linearized, Network, NnError, Real, Workspace};

/// Rows in a shard of a network with fewer than 2¹⁶ parameters; larger ones have up to four times as many, for every shard's
/// gradient must be added up. The order of every sum depends on it, and so never on the number of threads.
pub const SHARD_ROWS: usize = 128;

fn shard_rows<F: Real>(network: &dyn Network<F>) -> usize {
    SHARD_ROWS * (1 + network.n_params() / (1 << 16)).min(4)
}

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
        x: Input<'_, F>,
        y: &mut [F],
    ) -> Result<(), NnError> {
        NnError::check("the output", y.len(), x.rows() * network.n_outputs())?;
        let shard_rows = shard_rows(network);
        self.reserve(x.rows().div_ceil(shard_rows));
        if x.rows() <= shard_rows {
            return match self.workspaces.first_mut() {
                Some(ws) => network.forward(theta, x, y, ws),
                None => Ok(()),
            };
        }
        let y = y.par_chunks_mut(shard_rows * network.n_outputs());
        y.zip(&mut self.workspaces).enumerate().try_for_each(|(s, (y, ws))| {
            let rows = s * shard_rows..((s + 1) * shard_rows).min(x.rows());
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
        let shard_rows = shard_rows(network);
        let n = x.rows().div_ceil(shard_rows);
        self.reserve(n);
        let Shards { workspaces, products, output } = self;
        let record = |(s, (ws, products)): (usize, (&'a mut Workspace<F>, &'a mut Products<F>))| {
            let rows = s * shard_rows..((s + 1) * shard_rows).min(x.rows());
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
        let width = shard_rows * network.n_outputs();
        Ok(ShardedLinearized { parts, output, width, n_params: network.n_params() })
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
        if let [part] = &mut self.parts[..] {
            return part.linearized.vjp(dy, grad);
        }
        let n_params = self.n_params;
        let chunks = dy.par_chunks(self.width);
        self.parts.par_iter_mut().zip(chunks).try_for_each(|(part, dy)| {
            part.products.grad.resize(n_params, F::zero());
            part.linearized.vjp(dy, &mut part.products.grad)
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
        if let [part] = &mut self.parts[..] {
            return part.linearized.jvp(v, dy);
        }
        let chunks = dy.par_chunks_mut(self.width);
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
        let n_params = self.n_params;
        NnError::check("the tangent", v.len(), n_params + globals.len())?;
        NnError::check("the product", out.len(), v.len())?;
        let (v_network, v_globals) = v.split_at(n_params);
        self.parts.par_iter_mut().zip(self.output.par_chunks(self.width)).try_for_each(|(part, y)| {
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
        let (out_network, out_globals) = out.split_at_mut(n_params);
        let products = self.parts.iter().map(|part| &*part.products);
        sum(products.clone().map(|p| &p.grad[..]), out_network);
        sum(products.map(|p| &p.tangent[p.tangent.len() - globals.len()..]), out_globals);
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
