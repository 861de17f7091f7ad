//! Gaussians whose means and log standard deviations are functions of outputs and free parameters in other ways than [`super::DiagGaussian`]'s, and
//! those whose actions are squashed by tanh.
//!
//! Each is a map `{y, globals} → (μ, log σ)` in every row ([`Location`]); everything else is the same mathematics on `(μ, log σ)`, pulled back through
//! that map. The Fisher metric is `JᵀMJ` with `M = diag(1/σ², 2)`.

mod location;
mod squash;

use rl_kernels::elementary::exp_m1;

pub use self::location::{Free, OfNoise, OfState};
use self::location::{Located, Location};
use super::diag_gaussian::half_log_2pi;
use super::{Actions, ActionsRef, DistGrad, DistParams, Distribution, DistributionSpec, Evaluation, Noise};
use crate::{Layout, NnError, Real};

/// Independent normals at a location, their samples perhaps squashed.
///
/// # Squashing
///
/// A sample `u` may be squashed into `tanh(u)`, a bijection: the actions here are `u`, so that ratios, divergences and the Fisher metric are those of the
/// normal, and [`crate::Bounding::TanhRescale`] does the squashing where actions meet the environment. The entropy is that of `tanh(u)`: the normal's
/// plus `E[log(1 − tanh²u)]`, by Gauss-Hermite quadrature with 20 nodes (off by at most 3e-6 for σ ≤ 1, 1e-3 for σ = 2). The log-probability
/// leaves out `log(1 − tanh²u)`, which no ratio and no gradient depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gaussian<L> {
    location: L,
    squashed: bool,
}

/// Means from the network, log standard deviations free: [`super::DiagGaussian`], which does the same faster, but can be squashed.
pub type FreeGaussian = Gaussian<Free>;

/// Means and log standard deviations both from the network: `y = [μ | log σ]`, log σ clipped to −20 and 2.
///
/// # Shapes
///
/// `n_outputs = 2 dim`, `n_globals = 0`, `action_len = dim`.
pub type StateGaussian = Gaussian<OfState>;

/// Generalised state-dependent exploration: `a = μ(s) + h(s) E` with a matrix `E ~ N(0, σ²)` that is kept for several steps, so that exploration is a
/// smooth function of the state.
///
/// Its density is that of independent normals with `σ_i² = Σ_k h_k² exp(2 log_std_ki) + 1e-6`. The features `h` are outputs, `y = [μ | h]`; gradients and
/// the Fisher metric leave them alone (they are detached), divergences between two policies use those of each.
///
/// # Source
///
/// Raffin, Kober & Stulp (2021), "Smooth exploration for robotic reinforcement learning", as Stable-Baselines3 has it by default: a full
/// matrix of standard deviations, features detached.
///
/// # Shapes
///
/// `n_outputs = dim + latent`, `n_globals = latent · dim` (`[latent, dim]`), `action_len = dim`.
pub type Gsde = Gaussian<OfNoise>;

impl FreeGaussian {
    /// Over `dim` reals.
    pub fn new(dim: usize) -> Self {
        Gaussian { location: Free { dim }, squashed: false }
    }
}

impl StateGaussian {
    /// Over `dim` reals.
    pub fn new(dim: usize) -> Self {
        Gaussian { location: OfState { dim }, squashed: false }
    }
}

impl Gsde {
    /// Over `dim` reals and `latent` features. The matrix is drawn anew at the beginning of a rollout, and every `sample_freq` steps where there is such
    /// a number.
    pub fn new(dim: usize, latent: usize, sample_freq: Option<u64>) -> Self {
        Gaussian { location: OfNoise { dim, latent, sample_freq }, squashed: false }
    }
}

impl<L> Gaussian<L> {
    /// The same with its samples squashed by tanh, or not.
    pub fn squashed(self, squashed: bool) -> Self {
        Gaussian { squashed, ..self }
    }
}

impl<L: Location> Gaussian<L> {
    fn reals<'a, F>(&self, actions: ActionsRef<'a, F>, rows: usize) -> Result<&'a [F], NnError> {
        let ActionsRef::Continuous(a) = actions else {
            return Err(NnError::ActionKind { distribution: "Gaussian", expected: "continuous" });
        };
        NnError::check("the actions", a.len(), rows * self.location.dim())?;
        Ok(a)
    }

    /// `∇ log π(a)` with respect to `(μ, log σ)`: `z/σ` and `z² − 1`.
    fn scores<F: Real>(&self, at: &Located<F>, actions: &[F]) -> (Vec<F>, Vec<F>) {
        let score = |k: usize| {
            let z = (actions[k] - at.mean[k]) * at.inv_std[k];
            (z * at.inv_std[k], z * z - F::one())
        };
        (0..actions.len()).map(score).unzip()
    }

    /// Writes the sum over the dimensions of every row.
    fn sum_rows<F: Real>(&self, terms: impl Iterator<Item = F>, out: &mut [F]) {
        let mut terms = terms;
        for out in out {
            *out = terms.by_ref().take(self.location.dim()).fold(F::zero(), |sum, x| sum + x);
        }
    }
}

impl<F: Real, L: Location> Distribution<F> for Gaussian<L> {
    fn spec(&self) -> Option<DistributionSpec> {
        Some(self.location.spec(self.squashed))
    }

    fn n_outputs(&self) -> usize {
        self.location.n_outputs()
    }

    fn globals(&self) -> Layout {
        self.location.globals()
    }

    fn n_scores(&self) -> usize {
        if self.location.has_globals() { self.location.dim() } else { 0 }
    }

    fn action_len(&self) -> usize {
        self.location.dim()
    }

    fn new_actions(&self) -> Actions<F> {
        Actions::Continuous(Vec::new())
    }

    fn sample(
        &self,
        p: DistParams<'_, F>,
        noise: &mut Noise<F>,
        actions: &mut Actions<F>,
        log_prob: &mut [F],
    ) -> Result<(), NnError> {
        let at = self.location.locate(&p)?;
        let rows = at.rows;
        NnError::check("the generators", noise.rngs.len(), rows)?;
        NnError::check("the log-probabilities", log_prob.len(), rows)?;
        let Actions::Continuous(out) = actions else {
            return Err(NnError::ActionKind { distribution: "Gaussian", expected: "continuous" });
        };
        let start = out.len();
        self.location.sample(&p, &at, noise, out);
        noise.age += 1;
        // Of the action as stored, rounded, so that the first ratio of an update is exactly 1.
        self.log_prob(p, ActionsRef::Continuous(&out[start..]), log_prob)
    }

    fn mode(&self, p: DistParams<'_, F>, actions: &mut Actions<F>) -> Result<(), NnError> {
        let Actions::Continuous(out) = actions else {
            return Err(NnError::ActionKind { distribution: "Gaussian", expected: "continuous" });
        };
        out.extend(self.location.locate(&p)?.mean);
        Ok(())
    }

    fn log_prob(
        &self,
        p: DistParams<'_, F>,
        actions: ActionsRef<'_, F>,
        out: &mut [F],
    ) -> Result<(), NnError> {
        let at = self.location.locate(&p)?;
        let actions = self.reals(actions, at.rows)?;
        NnError::check("the log-probabilities", out.len(), at.rows)?;
        let term = |k: usize| {
            let z = (actions[k] - at.mean[k]) * at.inv_std[k];
            -(F::narrow(0.5) * z * z + at.log_std[k] + half_log_2pi())
        };
        self.sum_rows((0..actions.len()).map(term), out);
        Ok(())
    }

    fn entropy(&self, p: DistParams<'_, F>, out: &mut [F]) -> Result<(), NnError> {
        let at = self.location.locate(&p)?;
        NnError::check("the entropies", out.len(), at.rows)?;
        let constant = F::narrow(0.5) + half_log_2pi();
        if self.squashed {
            let squashed = squash::log_slope(&at);
            self.sum_rows(at.log_std.iter().zip(squashed).map(|(&s, q)| constant + s + q), out);
        } else {
            self.sum_rows(at.log_std.iter().map(|&s| constant + s), out);
        }
        Ok(())
    }

    fn evaluate(
        &self,
        p: DistParams<'_, F>,
        actions: ActionsRef<'_, F>,
        out: Evaluation<'_, F>,
    ) -> Result<(), NnError> {
        self.log_prob(p, actions, out.log_prob)?;
        self.entropy(p, out.entropy)?;
        let Some(score) = out.score else { return Ok(()) };
        let at = self.location.locate(&p)?;
        NnError::check("the score", score.y.len(), p.y.len())?;
        let n_scores = Distribution::<F>::n_scores(self);
        NnError::check("the score of the free parameters", score.globals.len(), at.rows * n_scores)?;
        let (d_mean, d_log_std) = self.scores(&at, self.reals(actions, at.rows)?);
        score.y.fill(F::zero());
        self.location.add_outputs(&at, &d_mean, &d_log_std, score.y);
        if n_scores > 0 {
            score.globals.copy_from_slice(&d_log_std);
        }
        Ok(())
    }

    fn add_scores(
        &self,
        p: DistParams<'_, F>,
        scores: &[F],
        w: &[F],
        dglobals: &mut [F],
    ) -> Result<(), NnError> {
        if !self.location.has_globals() {
            return Ok(());
        }
        let (at, dim) = (self.location.locate(&p)?, self.location.dim());
        NnError::check("the scores of the free parameters", scores.len(), at.rows * dim)?;
        NnError::check("the weights", w.len(), at.rows)?;
        let weighted: Vec<F> = scores.iter().enumerate().map(|(k, &score)| w[k / dim] * score).collect();
        self.location.add_globals(&p, &at, &weighted, dglobals);
        Ok(())
    }

    fn kl(&self, old: DistParams<'_, F>, new: DistParams<'_, F>, out: &mut [F]) -> Result<(), NnError> {
        let (old, new) = (self.location.locate(&old)?, self.location.locate(&new)?);
        NnError::check("the new distribution parameters", new.rows, old.rows)?;
        NnError::check("the divergences", out.len(), old.rows)?;
        // ½ (e^{2d} − 1 − 2d) + ½ ((μ_old − μ_new)/σ_new)² with d = log σ_old − log σ_new
        let term = |k: usize| {
            let d = F::narrow(2.0) * (old.log_std[k] - new.log_std[k]);
            let z = (old.mean[k] - new.mean[k]) * new.inv_std[k];
            F::narrow(0.5) * (F::narrow(exp_m1(d.widen()) - d.widen()) + z * z)
        };
        self.sum_rows((0..old.mean.len()).map(term), out);
        Ok(())
    }

    fn log_prob_grad(
        &self,
        p: DistParams<'_, F>,
        actions: ActionsRef<'_, F>,
        w: &[F],
        grad: DistGrad<'_, F>,
    ) -> Result<(), NnError> {
        let (at, dim) = (self.location.locate(&p)?, self.location.dim());
        let actions = self.reals(actions, at.rows)?;
        NnError::check("the weights", w.len(), at.rows)?;
        let (mut d_mean, mut d_log_std) = self.scores(&at, actions);
        for (k, (d_mean, d_log_std)) in d_mean.iter_mut().zip(&mut d_log_std).enumerate() {
            *d_mean *= w[k / dim];
            *d_log_std *= w[k / dim];
        }
        self.pull_back(&p, &at, &d_mean, &d_log_std, grad)
    }

    fn entropy_grad(&self, p: DistParams<'_, F>, w: F, grad: DistGrad<'_, F>) -> Result<(), NnError> {
        let at = self.location.locate(&p)?;
        let (mut d_mean, mut d_log_std) = (vec![F::zero(); at.mean.len()], vec![w; at.mean.len()]);
        if self.squashed {
            squash::add_gradient(&at, w, &mut d_mean, &mut d_log_std);
        }
        self.pull_back(&p, &at, &d_mean, &d_log_std, grad)
    }

    fn kl_grad(
        &self,
        old: DistParams<'_, F>,
        new: DistParams<'_, F>,
        w: F,
        grad: DistGrad<'_, F>,
    ) -> Result<(), NnError> {
        let (from, at) = (self.location.locate(&old)?, self.location.locate(&new)?);
        NnError::check("the new distribution parameters", at.rows, from.rows)?;
        // ∂/∂μ_new = (μ_new − μ_old)/σ_new², ∂/∂log σ_new = 1 − e^{2d} − ((μ_new − μ_old)/σ_new)²
        let slope = |k: usize| {
            let d = F::narrow(2.0) * (from.log_std[k] - at.log_std[k]);
            let z = (at.mean[k] - from.mean[k]) * at.inv_std[k];
            (w * z * at.inv_std[k], w * (F::narrow(-exp_m1(d.widen())) - z * z))
        };
        let (d_mean, d_log_std): (Vec<F>, Vec<F>) = (0..at.mean.len()).map(slope).unzip();
        self.pull_back(&new, &at, &d_mean, &d_log_std, grad)
    }

    fn fisher(&self, p: DistParams<'_, F>, w: F, t: DistGrad<'_, F>) -> Result<(), NnError> {
        let at = self.location.locate(&p)?;
        NnError::check("the tangent", t.y.len(), p.y.len())?;
        NnError::check("the tangent of the free parameters", t.globals.len(), p.globals.len())?;
        let (mut t_mean, mut t_log_std) = self.location.push_forward(&p, &at, &t);
        for (k, (t_mean, t_log_std)) in t_mean.iter_mut().zip(&mut t_log_std).enumerate() {
            *t_mean *= w * at.inv_std[k] * at.inv_std[k];
            *t_log_std *= w * F::narrow(2.0);
        }
        t.y.fill(F::zero());
        t.globals.fill(F::zero());
        self.pull_back(&p, &at, &t_mean, &t_log_std, t)
    }
}

impl<L: Location> Gaussian<L> {
    /// Adds the gradient with respect to outputs and free parameters of one with respect to `(μ, log σ)`.
    fn pull_back<F: Real>(
        &self,
        p: &DistParams<'_, F>,
        at: &Located<F>,
        d_mean: &[F],
        d_log_std: &[F],
        grad: DistGrad<'_, F>,
    ) -> Result<(), NnError> {
        NnError::check("the gradient", grad.y.len(), p.y.len())?;
        NnError::check("the gradient of the free parameters", grad.globals.len(), p.globals.len())?;
        self.location.add_outputs(at, d_mean, d_log_std, grad.y);
        self.location.add_globals(p, at, d_log_std, grad.globals);
        Ok(())
    }
}
