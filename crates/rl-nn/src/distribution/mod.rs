//! Action distributions in closed form.
//!
//! A distribution sees the network's outputs and a few free parameters ([`DistParams`]) and gives log-probability,
//! entropy and KL divergence, their gradients with respect to those parameters, and its Fisher metric. Losses are
//! written on these and pulled back through the network with one `vjp`.

mod actions;
mod categorical;
mod diag_gaussian;
mod gaussian;
mod kl_estimators;
mod noise;
mod product;
mod spec;

pub use actions::{Actions, ActionsRef};
pub use categorical::Categorical;
pub use diag_gaussian::DiagGaussian;
pub use gaussian::{Free, FreeGaussian, Gaussian, Gsde, OfNoise, OfState, StateGaussian};
pub use kl_estimators::{k1, k3, sampled_kl};
pub use noise::{Noise, SampleRng};
pub use product::{Bernoulli, MultiCategorical};
pub use spec::DistributionSpec;

use crate::{Layout, NnError, Real};

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

/// The buffers that [`Distribution::evaluate`] writes its results into, over whatever was there.
///
/// # Shapes
///
/// `[rows]`; the score `[rows, n_outputs]` and `[rows, n_scores]`.
#[derive(Debug)]
pub struct Evaluation<'a, F> {
    /// `log π(a_b)`
    pub log_prob: &'a mut [F],
    /// `−E log π`, in nats.
    pub entropy: &'a mut [F],
    /// The score `∇ log π(a_b)` of every row with respect to its outputs, and what [`Distribution::add_scores`] makes the gradient with
    /// respect to the free parameters of, if it is wanted.
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
/// [`NnError::ActionRange`] for actions that are not the distribution's. A logit of −∞ is an impossible action, which contributes nothing
/// to any quantity; any other number that is not finite comes out as a NaN.
pub trait Distribution<F: Real>: Send + Sync {
    /// What a saved policy records of it; `None` for one that cannot be saved.
    fn spec(&self) -> Option<DistributionSpec>;
    /// Network outputs a row.
    fn n_outputs(&self) -> usize;
    /// The free parameters with their names and shapes; none by default.
    fn globals(&self) -> Layout {
        Layout::new()
    }
    /// How many free parameters there are.
    fn n_globals(&self) -> usize {
        self.globals().n_params()
    }
    /// Elements a row of what [`evaluate`](Distribution::evaluate) leaves for the gradient of the free parameters.
    fn n_scores(&self) -> usize {
        self.n_globals()
    }
    /// Elements of an action.
    fn action_len(&self) -> usize;
    /// An empty batch of actions of its kind.
    fn new_actions(&self) -> Actions<F>;

    /// Makes actions that a mask forbids impossible, by writing −∞ (or, where a bit has only one value left, ±∞) into their logits. Outputs are
    /// finite before.
    ///
    /// # Shapes
    ///
    /// `masks` is `[rows, M]`: one a choice, dimension by dimension, `true` for what is allowed; `[rows, 2n]` for `n` bits, whether each may be 0
    /// and may be 1.
    ///
    /// # Errors
    ///
    /// [`NnError::Unmaskable`] where actions cannot be masked, [`NnError::NoAction`] for a row that allows none.
    fn mask(&self, _masks: &[bool], _y: &mut [F]) -> Result<(), NnError> {
        Err(NnError::Unmaskable)
    }

    /// Draws an action for every row from that row's generator, appends it, and writes its log-probability.
    #[allow(clippy::missing_errors_doc, reason = "documented at the trait")]
    fn sample(
        &self,
        p: DistParams<'_, F>,
        noise: &mut Noise<F>,
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

    /// `dglobals ← dglobals + Σ_b w_b ∇ log π(a_b)` with respect to the free parameters, of what [`evaluate`](Distribution::evaluate) left of
    /// every row: by default its gradient itself.
    #[allow(clippy::missing_errors_doc, reason = "documented at the trait")]
    fn add_scores(
        &self,
        _p: DistParams<'_, F>,
        scores: &[F],
        w: &[F],
        dglobals: &mut [F],
    ) -> Result<(), NnError> {
        let n = dglobals.len();
        NnError::check("the scores of the free parameters", scores.len(), n * w.len())?;
        for (i, dglobal) in dglobals.iter_mut().enumerate() {
            let of_rows = scores.iter().skip(i).step_by(n).zip(w);
            *dglobal += F::narrow(of_rows.map(|(&score, &w)| (w * score).widen()).sum());
        }
        Ok(())
    }

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

/// Checks the parameters and returns the number of rows.
fn check_params<F>(p: &DistParams<'_, F>, n_outputs: usize, n_globals: usize) -> Result<usize, NnError> {
    let rows = p.y.len().checked_div(n_outputs).unwrap_or(0);
    NnError::check("the distribution parameters", p.y.len(), rows * n_outputs)?;
    NnError::check("the free distribution parameters", p.globals.len(), n_globals)?;
    Ok(rows)
}
