//! Action distributions in closed form.
//!
//! A distribution sees the network's outputs and a few free parameters ([`DistParams`]) and gives log-probability,
//! entropy and KL divergence, their gradients with respect to those parameters, and its Fisher metric. Losses are
//! written on these and pulled back through the network with one `vjp`.

mod categorical;
mod diag_gaussian;

use std::sync::Arc;

pub use categorical::Categorical;
pub use diag_gaussian::DiagGaussian;

use crate::{NnError, Real, gather};

/// The generator that actions are drawn from: one for every row.
pub type SampleRng = rand_xoshiro::Xoshiro256PlusPlus;

/// A batch of actions, row-major `[rows, action_len]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Actions<F> {
    /// Indices.
    Discrete(Vec<usize>),
    /// Reals.
    Continuous(Vec<F>),
}

/// A borrowed batch of actions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ActionsRef<'a, F> {
    /// Indices.
    Discrete(&'a [usize]),
    /// Reals.
    Continuous(&'a [F]),
}

impl<F> Default for Actions<F> {
    fn default() -> Self {
        Actions::Discrete(Vec::new())
    }
}

impl<F> Actions<F> {
    /// The whole batch.
    pub fn as_ref(&self) -> ActionsRef<'_, F> {
        match self {
            Actions::Discrete(a) => ActionsRef::Discrete(a),
            Actions::Continuous(a) => ActionsRef::Continuous(a),
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Actions::Discrete(a) => a.len(),
            Actions::Continuous(a) => a.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all elements, keeping the memory.
    pub fn clear(&mut self) {
        match self {
            Actions::Discrete(a) => a.clear(),
            Actions::Continuous(a) => a.clear(),
        }
    }
}

impl<F: Real> Actions<F> {
    /// Becomes the rows `indices` of `source`, each of `width` elements.
    ///
    /// # Panics
    ///
    /// If a row lies outside `source`.
    pub fn gather(&mut self, source: ActionsRef<'_, F>, width: usize, indices: &[usize]) {
        match (&mut *self, source) {
            (Actions::Discrete(to), ActionsRef::Discrete(from)) => gather(from, width, indices, to),
            (Actions::Continuous(to), ActionsRef::Continuous(from)) => gather(from, width, indices, to),
            (_, ActionsRef::Discrete(_)) => {
                *self = Actions::Discrete(Vec::new());
                self.gather(source, width, indices);
            }
            (_, ActionsRef::Continuous(_)) => {
                *self = Actions::Continuous(Vec::new());
                self.gather(source, width, indices);
            }
        }
    }
}

/// The parameters of a batch of distributions.
///
/// # Shapes
///
/// `y` is `[rows, n_outputs]`, `globals` `[n_globals]`.
#[derive(Clone, Copy, Debug)]
pub struct DistParams<'a, F> {
    /// The network's outputs.
    pub y: &'a [F],
    /// Free parameters shared by all rows, such as a log standard deviation.
    pub globals: &'a [F],
}

/// A gradient (or tangent) with respect to [`DistParams`], of the same shapes.
#[derive(Debug)]
pub struct DistGrad<'a, F> {
    /// With respect to the network's outputs.
    pub y: &'a mut [F],
    /// With respect to the free parameters.
    pub globals: &'a mut [F],
}

/// What [`Distribution::evaluate`] writes, over whatever was there.
///
/// # Shapes
///
/// `[rows]`; the score `[rows, n_outputs]` and `[rows, n_globals]`.
#[derive(Debug)]
pub struct Evaluation<'a, F> {
    /// `log π(a_b)`
    pub log_prob: &'a mut [F],
    /// `−E log π`, in nats.
    pub entropy: &'a mut [F],
    /// The score `∇ log π(a_b)` of every row with respect to its outputs, and to the free parameters (a row of them for every row, and
    /// not their sum), if it is wanted.
    pub score: Option<DistGrad<'a, F>>,
}

/// A family of action distributions.
///
/// # Shapes
///
/// `rows` is that of the outputs; per-row results and weights are `[rows]`. Every gradient method *adds* to its `grad`.
///
/// # Errors
///
/// Every method returns [`NnError::Shape`] for slices that do not fit, [`NnError::ActionKind`] and
/// [`NnError::ActionRange`] for actions that are not the distribution's.
pub trait Distribution<F: Real>: Send + Sync {
    /// What a saved policy records of it.
    fn spec(&self) -> DistributionSpec;
    /// Network outputs a row.
    fn n_outputs(&self) -> usize;
    /// Free parameters.
    fn n_globals(&self) -> usize;
    /// Elements of an action.
    fn action_len(&self) -> usize;
    /// An empty batch of actions of its kind.
    fn new_actions(&self) -> Actions<F>;

    /// Draws an action for every row from that row's generator, appends it, and writes its log-probability.
    #[allow(clippy::missing_errors_doc, reason = "documented at the trait")]
    fn sample(
        &self,
        p: DistParams<'_, F>,
        rngs: &mut [SampleRng],
        actions: &mut Actions<F>,
        log_prob: &mut [F],
    ) -> Result<(), NnError>;

    /// Appends every row's most probable action.
    #[allow(clippy::missing_errors_doc, reason = "documented at the trait")]
    fn mode(&self, p: DistParams<'_, F>, actions: &mut Actions<F>) -> Result<(), NnError>;

    /// `out[b] = log π(a_b)`
    #[allow(clippy::missing_errors_doc, reason = "documented at the trait")]
    fn log_prob(
        &self,
        p: DistParams<'_, F>,
        actions: ActionsRef<'_, F>,
        out: &mut [F],
    ) -> Result<(), NnError>;

    /// `out[b] = −E log π`, in nats.
    #[allow(clippy::missing_errors_doc, reason = "documented at the trait")]
    fn entropy(&self, p: DistParams<'_, F>, out: &mut [F]) -> Result<(), NnError>;

    /// Log-probabilities, entropies and scores at once, which share most of their work. Writes, and adds to nothing.
    #[allow(clippy::missing_errors_doc, reason = "documented at the trait")]
    fn evaluate(
        &self,
        p: DistParams<'_, F>,
        actions: ActionsRef<'_, F>,
        out: Evaluation<'_, F>,
    ) -> Result<(), NnError>;

    /// `out[b] = KL(old_b ‖ new_b)`, in nats, summed over action dimensions.
    #[allow(clippy::missing_errors_doc, reason = "documented at the trait")]
    fn kl(&self, old: DistParams<'_, F>, new: DistParams<'_, F>, out: &mut [F]) -> Result<(), NnError>;

    /// `grad ← grad + Σ_b w_b ∇ log π(a_b)`
    #[allow(clippy::missing_errors_doc, reason = "documented at the trait")]
    fn log_prob_grad(
        &self,
        p: DistParams<'_, F>,
        actions: ActionsRef<'_, F>,
        w: &[F],
        grad: DistGrad<'_, F>,
    ) -> Result<(), NnError>;

    /// `grad ← grad + w Σ_b ∇ H_b`
    #[allow(clippy::missing_errors_doc, reason = "documented at the trait")]
    fn entropy_grad(&self, p: DistParams<'_, F>, w: F, grad: DistGrad<'_, F>) -> Result<(), NnError>;

    /// `grad ← grad + w Σ_b ∇_new KL(old_b ‖ new_b)`
    #[allow(clippy::missing_errors_doc, reason = "documented at the trait")]
    fn kl_grad(
        &self,
        old: DistParams<'_, F>,
        new: DistParams<'_, F>,
        w: F,
        grad: DistGrad<'_, F>,
    ) -> Result<(), NnError>;

    /// `t ← w · M t`: the Fisher metric `M = E[∇log π ∇log πᵀ]` of every row, applied in place.
    ///
    /// On entry every row sees the same `t.globals`; on return `t.globals` holds the sum over the rows.
    #[allow(clippy::missing_errors_doc, reason = "documented at the trait")]
    fn fisher(&self, p: DistParams<'_, F>, w: F, t: DistGrad<'_, F>) -> Result<(), NnError>;
}

/// What a saved policy records of its distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DistributionSpec {
    /// [`Categorical`] over `n` actions.
    Categorical {
        /// The number of actions.
        n: usize,
    },
    /// [`DiagGaussian`] over `dim` reals.
    DiagGaussian {
        /// The number of action dimensions.
        dim: usize,
    },
}

impl DistributionSpec {
    /// The distribution it describes.
    pub fn build<F: Real>(self) -> Arc<dyn Distribution<F>> {
        match self {
            DistributionSpec::Categorical { n } => Arc::new(Categorical { n }),
            DistributionSpec::DiagGaussian { dim } => Arc::new(DiagGaussian { dim }),
        }
    }
}

/// Checks the parameters and returns the number of rows.
fn check_params<F>(p: &DistParams<'_, F>, n_outputs: usize, n_globals: usize) -> Result<usize, NnError> {
    let rows = p.y.len().checked_div(n_outputs).unwrap_or(0);
    NnError::check("the distribution parameters", p.y.len(), rows * n_outputs)?;
    NnError::check("the free distribution parameters", p.globals.len(), n_globals)?;
    Ok(rows)
}
