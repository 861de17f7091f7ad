//! Networks one after the other.

use std::ops::Range;
use std::sync::Arc;

use rand::RngCore;
use rl_kernels::Reproducible;

use crate::network::{check, check_names};
use crate::{Carry, Initialization, Layout, Network, NetworkSpec, NnError, Real, Shape, States, Workspace};

/// `y = f_n(θ_n, … f_1(θ_1, x) …)`: a network whose parts are networks, each with its own range of θ.
///
/// The tensors of part `name` are called `name.…` in the layout.
pub struct Chain<F: Real> {
    parts: Vec<(Arc<dyn Network<F>>, Range<usize>)>,
    names: Vec<String>,
    shape: Shape,
}

/// A workspace for every part, and gradients or tangents on their way between two.
#[derive(Default)]
struct Memory<F> {
    workspaces: Vec<Workspace<F>>,
    carries: Vec<Carry<F>>,
    between: [Vec<F>; 2],
}

impl<F: Real> Chain<F> {
    /// Joins named networks, the first one's outputs being the second one's inputs, and so on.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] for no network at all, and where a network takes another number of inputs than the one before it has outputs;
    /// [`NnError::Description`] where two tensors would have the same name.
    pub fn new(parts: Vec<(String, Arc<dyn Network<F>>)>) -> Result<Self, NnError> {
        let (Some((_, first)), Some((_, last))) = (parts.first(), parts.last()) else {
            return Err(NnError::Shape { what: "a chain of networks", got: 0, expected: 1 });
        };
        let (n_inputs, n_outputs) = (first.n_inputs(), last.n_outputs());
        let mut layout = Layout::new();
        let mut width = n_inputs;
        let (mut ranges, mut names) = (Vec::with_capacity(parts.len()), Vec::with_capacity(parts.len()));
        for (name, part) in parts {
            NnError::check("an input row of a network in a chain", part.n_inputs(), width)?;
            width = part.n_outputs();
            let range = layout.extend(&name, &part.shape().layout);
            ranges.push((part, range));
            names.push(name);
        }
        check_names(&layout)?;
        Ok(Chain { parts: ranges, names, shape: Shape { n_inputs, n_outputs, layout } })
    }

    /// The parts with their ranges of θ.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = (&dyn Network<F>, Range<usize>)> {
        self.parts.iter().map(|(part, range)| (&**part, range.clone()))
    }

    fn memory<'w>(&self, ws: &'w mut Workspace<F>) -> (&'w mut Vec<F>, &'w mut Memory<F>) {
        let (output, memory) = ws.parts::<Memory<F>>();
        memory.workspaces.resize_with(self.parts.len(), Workspace::default);
        memory.carries.resize_with(self.parts.len(), Carry::default);
        (output, memory)
    }
}

/// What part `i` sees: the batch itself, or the recorded output of the part before it.
fn input<'a, F: Real>(
    x: &States<'a, F>,
    before: &'a [Workspace<F>],
    width: usize,
) -> Result<States<'a, F>, NnError> {
    match before.last() {
        None => Ok(*x),
        Some(ws) => States::new(&ws.output, width),
    }
}

impl<F: Real> Network<F> for Chain<F> {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn reproducible(&self) -> Reproducible {
        self.parts.iter().map(|(part, _)| part.reproducible()).min().unwrap_or_default()
    }

    fn shard_rows(&self) -> usize {
        crate::network::shard_rows(self.n_params(), self.parts.iter().map(|(part, _)| &**part))
    }

    fn spec(&self) -> Option<NetworkSpec> {
        let parts = self.names.iter().zip(&self.parts);
        let parts = parts.map(|(name, (part, _))| Some((name.clone(), part.spec()?)));
        Some(NetworkSpec::Chain { parts: parts.collect::<Option<_>>()? })
    }

    /// Every part by its own rules, in order; the parts before the last one have hidden layers only, with a gain of √2.
    fn init(&self, theta: &mut [F], how: Initialization, rng: &mut dyn RngCore) -> Result<(), NnError> {
        NnError::check("theta", theta.len(), self.n_params())?;
        for (i, (part, range)) in self.parts.iter().enumerate() {
            let how = if i + 1 == self.parts.len() { how } else { how.hidden() };
            part.init(&mut theta[range.clone()], how, rng)?;
        }
        Ok(())
    }

    fn prepare(&self, theta: &[F], ws: &mut Workspace<F>) -> Result<(), NnError> {
        NnError::check("theta", theta.len(), self.n_params())?;
        let (_, memory) = self.memory(ws);
        for ((part, range), ws) in self.parts.iter().zip(&mut memory.workspaces) {
            part.prepare(&theta[range.clone()], ws)?;
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
        NnError::check("the output", y.len(), x.rows() * self.shape.n_outputs)?;
        let rows = x.rows();
        let Memory { workspaces, carries, between: [front, back] } = self.memory(ws).1;
        let (mut at, mut next) = (front, back);
        at.clear();
        at.extend_from_slice(x.obs());
        for (((part, range), ws), carry) in self.parts.iter().zip(workspaces).zip(carries) {
            next.resize(rows * part.n_outputs(), F::zero());
            part.forward(&theta[range.clone()], &States::new(at, part.n_inputs())?, carry, next, ws)?;
            std::mem::swap(&mut at, &mut next);
        }
        y.copy_from_slice(at);
        Ok(())
    }

    fn record(&self, theta: &[F], x: &States<'_, F>, ws: &mut Workspace<F>) -> Result<(), NnError> {
        check(self, theta, x)?;
        let (output, memory) = self.memory(ws);
        for (i, (part, range)) in self.parts.iter().enumerate() {
            let (before, rest) = memory.workspaces.split_at_mut(i);
            part.record(&theta[range.clone()], &input(x, before, part.n_inputs())?, &mut rest[0])?;
        }
        if let Some(last) = memory.workspaces.last() {
            output.clone_from(&last.output);
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
        mut dx: Option<&mut [F]>,
    ) -> Result<(), NnError> {
        let Memory { workspaces, between: [front, back], .. } = self.memory(ws).1;
        let (mut at, mut next) = (front, back);
        at.clear();
        at.extend_from_slice(dy);
        for (i, (part, range)) in self.parts.iter().enumerate().rev() {
            let (before, rest) = workspaces.split_at_mut(i);
            let x = input(x, before, part.n_inputs())?;
            let dx = if i == 0 {
                dx.take()
            } else {
                next.resize(x.obs().len(), F::zero());
                Some(&mut next[..])
            };
            part.vjp(&theta[range.clone()], &x, &mut rest[0], at, &mut grad[range.clone()], dx)?;
            std::mem::swap(&mut at, &mut next);
        }
        Ok(())
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
        let rows = x.rows();
        let Memory { workspaces, between: [front, back], .. } = self.memory(ws).1;
        let (mut at, mut next) = (front, back);
        for (i, (part, range)) in self.parts.iter().enumerate() {
            let (before, rest) = workspaces.split_at_mut(i);
            let x = input(x, before, part.n_inputs())?;
            next.resize(rows * part.n_outputs(), F::zero());
            let dx = if i == 0 { dx } else { Some(&at[..]) };
            part.jvp(&theta[range.clone()], &x, &mut rest[0], &v[range.clone()], dx, next)?;
            std::mem::swap(&mut at, &mut next);
        }
        dy.copy_from_slice(at);
        Ok(())
    }
}
