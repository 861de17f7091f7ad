//! A trunk and heads.

use std::ops::Range;
use std::sync::Arc;

use rand::RngCore;
use rl_kernels::Reproducible;

use crate::network::{check, check_names};
use crate::{
    Carry, FreeParameters, Initialization, Layout, Network, NetworkSpec, NnError, Real, Shape, States,
    Workspace,
};

/// `y = [h_1(t(x)) | … | h_n(t(x))]`: heads that share a trunk, their outputs side by side.
///
/// The trunk's tensors are called `trunk.…` in the layout, those of head `name` `name.…`. Between two heads there may be room for parameters that
/// no output depends on, as an action distribution has them.
pub struct Fork<F: Real> {
    trunk: Arc<dyn Network<F>>,
    trunk_theta: Range<usize>,
    heads: Vec<Head<F>>,
    free: Vec<(FreeParameters, Range<usize>)>,
    shape: Shape,
}

struct Head<F: Real> {
    name: String,
    network: Arc<dyn Network<F>>,
    theta: Range<usize>,
    columns: Range<usize>,
}

/// A workspace for the trunk and for every head, a head's outputs, and the gradient or tangent of the trunk's.
#[derive(Default)]
struct Memory<F> {
    trunk: Workspace<F>,
    heads: Vec<Workspace<F>>,
    carries: Vec<Carry<F>>,
    columns: Vec<F>,
    hidden: Vec<F>,
    sum: Vec<F>,
}

impl<F: Real> Fork<F> {
    /// Joins a trunk and named heads.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for no head at all, or one that takes another number of inputs than the trunk has outputs;
    /// [`NnError::Description`] where two tensors would have the same name.
    pub fn new(
        trunk: Arc<dyn Network<F>>,
        heads: Vec<(String, Arc<dyn Network<F>>)>,
    ) -> Result<Self, NnError> {
        if heads.is_empty() {
            return Err(NnError::Shape { what: "the list of heads", got: 0, expected: 1 });
        }
        let (n_inputs, mut n_outputs, mut joined) = (trunk.n_inputs(), 0, Vec::new());
        for (name, network) in heads {
            NnError::check("an input row of a head", network.n_inputs(), trunk.n_outputs())?;
            let columns = n_outputs..n_outputs + network.n_outputs();
            n_outputs = columns.end;
            joined.push(Head { name, network, theta: 0..0, columns });
        }
        let shape = Shape { n_inputs, n_outputs, layout: Layout::new() };
        let fork = Fork { trunk, trunk_theta: 0..0, heads: joined, free: Vec::new(), shape };
        fork.lay_out()
    }

    /// Makes room for `len` parameters, a tensor called `name`, behind those of a head (and behind what was added there before). No output
    /// depends on them: their gradient is 0, and a tangent there moves nothing.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use rl_nn::{Activation, Fork, Mlp, Network};
    ///
    /// let trunk = Arc::new(Mlp::trunk(&[3, 8], Activation::Tanh)?);
    /// let [policy, value] = [2, 1].map(|n| Mlp::new(&[8, n], Activation::Tanh));
    /// let heads: Vec<(String, Arc<dyn Network<f32>>)> =
    ///     vec![("policy".to_owned(), Arc::new(policy?)), ("value".to_owned(), Arc::new(value?))];
    /// let fork = Fork::new(trunk, heads)?.with_free_parameters(0, "log_std", 2)?;
    /// assert_eq!((fork.head(0).0, fork.free(0), fork.head(1).0), (32..50, 50..52, 52..61));
    /// # Ok::<(), rl_nn::NnError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] where there is no such head, or no parameter; [`NnError::Description`] for a name that another tensor has.
    pub fn with_free_parameters(
        mut self,
        after_head: usize,
        name: impl Into<String>,
        len: usize,
    ) -> Result<Self, NnError> {
        if after_head >= self.heads.len() {
            let (what, got) = ("the head before free parameters", after_head);
            return Err(NnError::Shape { what, got, expected: self.heads.len() - 1 });
        }
        if len == 0 {
            return Err(NnError::Shape { what: "the tensor of free parameters", got: 0, expected: 1 });
        }
        self.free.push((FreeParameters { after_head, name: name.into(), len }, 0..0));
        self.lay_out()
    }

    /// Gives the trunk, the heads and the free parameters their places in θ.
    fn lay_out(mut self) -> Result<Self, NnError> {
        let mut layout = Layout::new();
        self.trunk_theta = layout.extend("trunk", &self.trunk.shape().layout);
        for (h, head) in self.heads.iter_mut().enumerate() {
            head.theta = layout.extend(&head.name, &head.network.shape().layout);
            for (free, range) in self.free.iter_mut().filter(|(free, _)| free.after_head == h) {
                *range = layout.push(&*free.name, &[free.len]);
            }
        }
        check_names(&layout)?;
        self.shape.layout = layout;
        Ok(self)
    }

    /// Where free parameters lie, counted in the order in which they were added.
    ///
    /// # Panics
    ///
    /// If they were not added so many times.
    pub fn free(&self, index: usize) -> Range<usize> {
        self.free[index].1.clone()
    }

    /// Where the trunk's parameters lie.
    pub fn trunk_theta(&self) -> Range<usize> {
        self.trunk_theta.clone()
    }

    /// Where the parameters of a head lie, and its columns of the output.
    ///
    /// # Panics
    ///
    /// If there are not so many heads.
    pub fn head(&self, index: usize) -> (Range<usize>, Range<usize>) {
        (self.heads[index].theta.clone(), self.heads[index].columns.clone())
    }

    fn memory<'w>(&self, ws: &'w mut Workspace<F>) -> (&'w mut Vec<F>, &'w mut Memory<F>) {
        let (output, memory) = ws.parts::<Memory<F>>();
        memory.heads.resize_with(self.heads.len(), Workspace::default);
        memory.carries.resize_with(self.heads.len() + 1, Carry::default);
        (output, memory)
    }
}

/// Copies `[rows, columns.len()]` into the columns of `[rows, width]`.
fn put_columns<F: Copy>(from: &[F], columns: &Range<usize>, width: usize, to: &mut [F]) {
    if columns.is_empty() {
        return;
    }
    for (to, from) in to.chunks_exact_mut(width).zip(from.chunks_exact(columns.len())) {
        to[columns.clone()].copy_from_slice(from);
    }
}

/// Copies the columns of `[rows, width]` out.
fn take_columns<F: Copy>(from: &[F], columns: &Range<usize>, width: usize, to: &mut Vec<F>) {
    to.clear();
    from.chunks_exact(width).for_each(|row| to.extend_from_slice(&row[columns.clone()]));
}

impl<F: Real> Network<F> for Fork<F> {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn reproducible(&self) -> Reproducible {
        let heads = self.heads.iter().map(|head| head.network.reproducible());
        heads.fold(self.trunk.reproducible(), Ord::min)
    }

    fn shard_rows(&self) -> usize {
        let heads = self.heads.iter().map(|head| &*head.network);
        crate::network::shard_rows(self.n_params(), std::iter::once(&*self.trunk).chain(heads))
    }

    fn spec(&self) -> Option<NetworkSpec> {
        let heads = self.heads.iter().map(|head| Some((head.name.clone(), head.network.spec()?)));
        Some(NetworkSpec::Fork {
            trunk: Box::new(self.trunk.spec()?),
            heads: heads.collect::<Option<_>>()?,
            free: self.free.iter().map(|(free, _)| free.clone()).collect(),
        })
    }

    /// The trunk, whose layers are all hidden, and every head by its own rules; free parameters are 0.
    fn init(&self, theta: &mut [F], how: Initialization, rng: &mut dyn RngCore) -> Result<(), NnError> {
        NnError::check("theta", theta.len(), self.n_params())?;
        self.trunk.init(&mut theta[self.trunk_theta.clone()], how.hidden(), rng)?;
        for head in &self.heads {
            head.network.init(&mut theta[head.theta.clone()], how, rng)?;
        }
        self.free.iter().for_each(|(_, range)| theta[range.clone()].fill(F::zero()));
        Ok(())
    }

    fn prepare(&self, theta: &[F], ws: &mut Workspace<F>) -> Result<(), NnError> {
        NnError::check("theta", theta.len(), self.n_params())?;
        let (_, memory) = self.memory(ws);
        self.trunk.prepare(&theta[self.trunk_theta.clone()], &mut memory.trunk)?;
        for (head, ws) in self.heads.iter().zip(&mut memory.heads) {
            head.network.prepare(&theta[head.theta.clone()], ws)?;
        }
        Ok(())
    }

    fn forward(
        &self,
        theta: &[F],
        x: &States<'_, F>,
        _: &mut Carry<F>,
        y: &mut [F],
        ws: &mut Workspace<F>,
    ) -> Result<(), NnError> {
        check(self, theta, x)?;
        let (rows, width) = (x.rows(), self.shape.n_outputs);
        NnError::check("the output", y.len(), rows * width)?;
        let Memory { trunk, heads, carries, columns, hidden, .. } = self.memory(ws).1;
        hidden.resize(rows * self.trunk.n_outputs(), F::zero());
        let (trunk_carry, carries) = match carries.split_first_mut() {
            Some(carries) => carries,
            None => unreachable!("there is one more than heads"),
        };
        self.trunk.forward(&theta[self.trunk_theta.clone()], x, trunk_carry, hidden, trunk)?;
        let h = States::new(hidden, self.trunk.n_outputs())?;
        for ((head, ws), carry) in self.heads.iter().zip(heads).zip(carries) {
            columns.resize(rows * head.columns.len(), F::zero());
            head.network.forward(&theta[head.theta.clone()], &h, carry, columns, ws)?;
            put_columns(columns, &head.columns, width, y);
        }
        Ok(())
    }

    fn record(&self, theta: &[F], x: &States<'_, F>, ws: &mut Workspace<F>) -> Result<(), NnError> {
        check(self, theta, x)?;
        let width = self.shape.n_outputs;
        let (output, Memory { trunk, heads, .. }) = self.memory(ws);
        output.resize(x.rows() * width, F::zero());
        self.trunk.record(&theta[self.trunk_theta.clone()], x, trunk)?;
        let h = States::new(&trunk.output, self.trunk.n_outputs())?;
        for (head, ws) in self.heads.iter().zip(heads) {
            head.network.record(&theta[head.theta.clone()], &h, ws)?;
            put_columns(&ws.output, &head.columns, width, output);
        }
        Ok(())
    }

    fn vjp(
        &self,
        theta: &[F],
        x: &States<'_, F>,
        ws: &mut Workspace<F>,
        dy: &[F],
        grad: &mut [F],
        dx: Option<&mut [F]>,
    ) -> Result<(), NnError> {
        let Memory { trunk, heads, columns, hidden, sum, .. } = self.memory(ws).1;
        sum.clear();
        sum.resize(trunk.output.len(), F::zero());
        hidden.resize(trunk.output.len(), F::zero());
        let h = States::new(&trunk.output, self.trunk.n_outputs())?;
        for (head, ws) in self.heads.iter().zip(heads) {
            take_columns(dy, &head.columns, self.shape.n_outputs, columns);
            let grad = &mut grad[head.theta.clone()];
            head.network.vjp(&theta[head.theta.clone()], &h, ws, columns, grad, Some(hidden))?;
            rl_kernels::add(sum, hidden);
        }
        self.free.iter().for_each(|(_, range)| grad[range.clone()].fill(F::zero()));
        let (theta, grad) = (&theta[self.trunk_theta.clone()], &mut grad[self.trunk_theta.clone()]);
        self.trunk.vjp(theta, x, trunk, sum, grad, dx)
    }

    fn jvp(
        &self,
        theta: &[F],
        x: &States<'_, F>,
        ws: &mut Workspace<F>,
        v: &[F],
        dx: Option<&[F]>,
        dy: &mut [F],
    ) -> Result<(), NnError> {
        let Memory { trunk, heads, columns, hidden, .. } = self.memory(ws).1;
        hidden.resize(trunk.output.len(), F::zero());
        let range = self.trunk_theta.clone();
        self.trunk.jvp(&theta[range.clone()], x, trunk, &v[range], dx, hidden)?;
        let h = States::new(&trunk.output, self.trunk.n_outputs())?;
        for (head, ws) in self.heads.iter().zip(heads) {
            columns.resize(x.rows() * head.columns.len(), F::zero());
            let (theta, v) = (&theta[head.theta.clone()], &v[head.theta.clone()]);
            head.network.jvp(theta, &h, ws, v, Some(hidden), columns)?;
            put_columns(columns, &head.columns, self.shape.n_outputs, dy);
        }
        Ok(())
    }
}
