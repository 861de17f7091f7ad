use rand_distr::Distribution as _;
use rl_kernels::StandardNormal;
use rl_kernels::elementary::{exp, exp_m1};

use super::{
    Actions, ActionsRef, DistGrad, DistParams, Distribution, DistributionSpec, Evaluation, Noise,
    check_params,
};
use crate::{Layout, NnError, Real};

/// Independent normals: means from the network, log standard deviations free and shared by all states.
///
/// # Shapes
///
/// `n_outputs = n_globals = action_len = dim`; `y` are the means, `globals` the log standard deviations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiagGaussian {
    /// The number of action dimensions.
    pub dim: usize,
}

impl DiagGaussian {
    fn rows<F>(&self, p: &DistParams<'_, F>) -> Result<usize, NnError> {
        check_params(p, self.dim, self.dim)
    }

    fn reals<'a, F>(&self, actions: ActionsRef<'a, F>, rows: usize) -> Result<&'a [F], NnError> {
        let ActionsRef::Continuous(a) = actions else {
            return Err(NnError::ActionKind { distribution: "Gaussian", expected: "continuous" });
        };
        NnError::check("the actions", a.len(), rows * self.dim)?;
        Ok(a)
    }
}

/// `½ log 2π`
pub(super) fn half_log_2pi<F: Real>() -> F {
    F::narrow(0.918_938_533_204_672_7)
}

/// `eˣ` of one number.
pub(super) fn exp_of<F: Real>(x: F) -> F {
    F::narrow(exp(x.widen()))
}

impl<F: Real> Distribution<F> for DiagGaussian {
    fn spec(&self) -> Option<DistributionSpec> {
        Some(DistributionSpec::DiagGaussian { dim: self.dim })
    }

    fn n_outputs(&self) -> usize {
        self.dim
    }

    fn globals(&self) -> Layout {
        let mut layout = Layout::new();
        layout.push("log_std", &[self.dim]);
        layout
    }

    fn n_globals(&self) -> usize {
        self.dim
    }

    fn action_len(&self) -> usize {
        self.dim
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
        let rows = self.rows(&p)?;
        NnError::check("the generators", noise.rngs.len(), rows)?;
        NnError::check("the log-probabilities", log_prob.len(), rows)?;
        let Actions::Continuous(out) = actions else {
            return Err(NnError::ActionKind { distribution: "Gaussian", expected: "continuous" });
        };
        let start = out.len();
        for (mean, rng) in p.y.chunks_exact(self.dim).zip(&mut noise.rngs) {
            for (&mean, &log_std) in mean.iter().zip(p.globals) {
                let z: f64 = StandardNormal.sample(rng);
                out.push(mean + exp_of(log_std) * F::narrow(z));
            }
        }
        // Of the action as stored, rounded, so that the first ratio of an update is exactly 1.
        self.log_prob(p, ActionsRef::Continuous(&out[start..]), log_prob)
    }

    fn mode(&self, p: DistParams<'_, F>, actions: &mut Actions<F>) -> Result<(), NnError> {
        self.rows(&p)?;
        let Actions::Continuous(out) = actions else {
            return Err(NnError::ActionKind { distribution: "Gaussian", expected: "continuous" });
        };
        out.extend_from_slice(p.y);
        Ok(())
    }

    fn log_prob(
        &self,
        p: DistParams<'_, F>,
        actions: ActionsRef<'_, F>,
        out: &mut [F],
    ) -> Result<(), NnError> {
        let rows = self.rows(&p)?;
        let actions = self.reals(actions, rows)?;
        NnError::check("the log-probabilities", out.len(), rows)?;
        // Σ_i −½ z² − log σ − ½ log 2π with z = (a − μ)/σ
        out.fill(F::zero());
        for (i, &log_std) in p.globals.iter().enumerate() {
            let (inv_std, constant) = (exp_of(-log_std), log_std + half_log_2pi());
            let (y, a) = (p.y[i..].iter().step_by(self.dim), actions[i..].iter().step_by(self.dim));
            for ((out, &mean), &a) in out.iter_mut().zip(y).zip(a) {
                let z = (a - mean) * inv_std;
                *out -= F::narrow(0.5) * z * z + constant;
            }
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
        let actions = self.reals(actions, self.rows(&p)?)?;
        NnError::check("the score", score.y.len(), p.y.len())?;
        NnError::check("the score of the free parameters", score.globals.len(), p.y.len())?;
        // ∂/∂μ = z/σ, ∂/∂log σ = z² − 1
        for (i, &log_std) in p.globals.iter().enumerate() {
            let inv_std = exp_of(-log_std);
            for k in (i..p.y.len()).step_by(self.dim) {
                let z = (actions[k] - p.y[k]) * inv_std;
                score.y[k] = z * inv_std;
                score.globals[k] = z * z - F::one();
            }
        }
        Ok(())
    }

    fn entropy(&self, p: DistParams<'_, F>, out: &mut [F]) -> Result<(), NnError> {
        NnError::check("the entropies", out.len(), self.rows(&p)?)?;
        // Σ_i ½ + ½ log 2π + log σ_i, the same in every state
        let h = p.globals.iter().fold(F::zero(), |h, &log_std| h + F::narrow(0.5) + half_log_2pi() + log_std);
        out.fill(h);
        Ok(())
    }

    fn kl(&self, old: DistParams<'_, F>, new: DistParams<'_, F>, out: &mut [F]) -> Result<(), NnError> {
        let rows = self.rows(&old)?;
        NnError::check("the new distribution parameters", self.rows(&new)?, rows)?;
        NnError::check("the divergences", out.len(), rows)?;
        // Σ_i ½ (e^{2d} − 1 − 2d) + ½ ((μ_old − μ_new)/σ_new)² with d = log σ_old − log σ_new
        out.fill(F::zero());
        for i in 0..self.dim {
            let d = F::narrow(2.0) * (old.globals[i] - new.globals[i]);
            let (spread, inv_std) = (F::narrow(exp_m1(d.widen()) - d.widen()), exp_of(-new.globals[i]));
            let means = old.y[i..].iter().step_by(self.dim).zip(new.y[i..].iter().step_by(self.dim));
            for (out, (&old, &new)) in out.iter_mut().zip(means) {
                let z = (old - new) * inv_std;
                *out += F::narrow(0.5) * (spread + z * z);
            }
        }
        Ok(())
    }

    fn log_prob_grad(
        &self,
        p: DistParams<'_, F>,
        actions: ActionsRef<'_, F>,
        w: &[F],
        grad: DistGrad<'_, F>,
    ) -> Result<(), NnError> {
        let rows = self.rows(&p)?;
        let actions = self.reals(actions, rows)?;
        NnError::check("the weights", w.len(), rows)?;
        NnError::check("the gradient", grad.y.len(), p.y.len())?;
        NnError::check("the gradient of the free parameters", grad.globals.len(), self.dim)?;
        // ∂/∂μ = z/σ, ∂/∂log σ = z² − 1
        for (i, &log_std) in p.globals.iter().enumerate() {
            let inv_std = exp_of(-log_std);
            let mut sum = 0.0;
            for (b, &w) in w.iter().enumerate() {
                let k = b * self.dim + i;
                let z = (actions[k] - p.y[k]) * inv_std;
                grad.y[k] += w * z * inv_std;
                sum += (w * (z * z - F::one())).widen();
            }
            grad.globals[i] += F::narrow(sum);
        }
        Ok(())
    }

    fn entropy_grad(&self, p: DistParams<'_, F>, w: F, grad: DistGrad<'_, F>) -> Result<(), NnError> {
        let rows = self.rows(&p)?;
        NnError::check("the gradient", grad.y.len(), p.y.len())?;
        NnError::check("the gradient of the free parameters", grad.globals.len(), self.dim)?;
        let total = w * F::narrow(rows as f64);
        grad.globals.iter_mut().for_each(|g| *g += total);
        Ok(())
    }

    fn kl_grad(
        &self,
        old: DistParams<'_, F>,
        new: DistParams<'_, F>,
        w: F,
        grad: DistGrad<'_, F>,
    ) -> Result<(), NnError> {
        let rows = self.rows(&old)?;
        NnError::check("the new distribution parameters", self.rows(&new)?, rows)?;
        NnError::check("the gradient", grad.y.len(), new.y.len())?;
        NnError::check("the gradient of the free parameters", grad.globals.len(), self.dim)?;
        // ∂/∂μ_new = (μ_new − μ_old)/σ_new², ∂/∂log σ_new = 1 − e^{2d} − ((μ_new − μ_old)/σ_new)²
        for i in 0..self.dim {
            let spread = F::narrow(-exp_m1((F::narrow(2.0) * (old.globals[i] - new.globals[i])).widen()));
            let inv_std = exp_of(-new.globals[i]);
            let mut sum = 0.0;
            for b in 0..rows {
                let k = b * self.dim + i;
                let z = (new.y[k] - old.y[k]) * inv_std;
                grad.y[k] += w * z * inv_std;
                sum += (spread - z * z).widen();
            }
            grad.globals[i] += w * F::narrow(sum);
        }
        Ok(())
    }

    fn fisher(&self, p: DistParams<'_, F>, w: F, t: DistGrad<'_, F>) -> Result<(), NnError> {
        let rows = self.rows(&p)?;
        NnError::check("the tangent", t.y.len(), p.y.len())?;
        NnError::check("the tangent of the free parameters", t.globals.len(), self.dim)?;
        // M = diag(1/σ²) for the means, 2 for each log σ
        for (i, &log_std) in p.globals.iter().enumerate() {
            let scale = w * exp_of(F::narrow(-2.0) * log_std);
            t.y[i..].iter_mut().step_by(self.dim).for_each(|t| *t *= scale);
            t.globals[i] *= w * F::narrow(2.0 * rows as f64);
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the system's functions are the reference")]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    #[test]
    fn standard_normal() {
        let p = DistParams { y: &[0.0_f64, 0.0], globals: &[0.0, 0.0] };
        let dist = DiagGaussian { dim: 2 };
        let (mut log_prob, mut entropy) = ([0.0], [0.0]);
        dist.log_prob(p, ActionsRef::Continuous(&[1.0, 0.0]), &mut log_prob).unwrap();
        dist.entropy(p, &mut entropy).unwrap();
        let log_2pi = (2.0 * PI).ln();
        assert!((log_prob[0] - (-0.5 - log_2pi)).abs() < 1e-15);
        assert!((entropy[0] - (1.0 + log_2pi)).abs() < 1e-15);
    }

    #[test]
    fn kl_to_itself_is_zero_with_zero_gradient() {
        let p = DistParams { y: &[0.3_f64, -1.0, 2.0, 5.0], globals: &[0.1, -2.0] };
        let (mut kl, mut y, mut globals) = ([1.0; 2], [0.0; 4], [0.0; 2]);
        let dist = DiagGaussian { dim: 2 };
        dist.kl(p, p, &mut kl).unwrap();
        dist.kl_grad(p, p, 1.0, DistGrad { y: &mut y, globals: &mut globals }).unwrap();
        assert_eq!((kl, y, globals), ([0.0; 2], [0.0; 4], [0.0; 2]));
    }
}
