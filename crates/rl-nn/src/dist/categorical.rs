use rand::Rng;

use super::{
    Actions, ActionsRef, DistGrad, DistParams, Distribution, DistributionSpec, SampleRng, check_params,
};
use crate::{NnError, Real};

/// A categorical distribution over `n` actions, `π = softmax(y)`.
///
/// # Shapes
///
/// `n_outputs = n`, `n_globals = 0`, `action_len = 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Categorical {
    /// The number of actions.
    pub n: usize,
}

/// Log-probabilities and probabilities of a batch, `[rows, n]` each.
struct LogSoftmax<F> {
    log_p: Vec<F>,
    p: Vec<F>,
}

/// `y − max` of every row: what can be exponentiated without overflow. A NaN stays one.
fn shifted<F: Real>(y: &[F], n: usize) -> Vec<F> {
    let mut shifted = y.to_vec();
    for row in shifted.chunks_exact_mut(n) {
        let max = row.iter().fold(F::neg_infinity(), |m, &y| if y > m { y } else { m });
        row.iter_mut().for_each(|y| *y -= max);
    }
    shifted
}

/// `π = exp(y − max) / Σ exp(y − max)`
fn softmax<F: Real>(y: &[F], n: usize) -> Vec<F> {
    let mut p = shifted(y, n);
    F::exp_in_place(&mut p);
    for p in p.chunks_exact_mut(n) {
        let inv_z = F::one() / p.iter().fold(F::zero(), |z, &p| z + p);
        p.iter_mut().for_each(|p| *p *= inv_z);
    }
    p
}

impl<F: Real> LogSoftmax<F> {
    /// `log π = y − max − log Σ exp(y − max)`
    fn new(y: &[F], n: usize) -> Self {
        let mut log_p = shifted(y, n);
        let mut p = log_p.clone();
        F::exp_in_place(&mut p);
        for (log_p, p) in log_p.chunks_exact_mut(n).zip(p.chunks_exact_mut(n)) {
            let z = p.iter().fold(F::zero(), |z, &p| z + p);
            let (log_z, inv_z) = (z.ln(), F::one() / z);
            log_p.iter_mut().for_each(|x| *x -= log_z);
            p.iter_mut().for_each(|p| *p *= inv_z);
        }
        LogSoftmax { log_p, p }
    }

    /// `−Σ π log π` of every row. An action without probability adds nothing (0 · −∞ would be NaN).
    fn entropies(&self, n: usize) -> impl Iterator<Item = F> {
        let rows = self.log_p.chunks_exact(n).zip(self.p.chunks_exact(n));
        rows.map(|(log_p, p)| {
            let terms = log_p
                .iter()
                .zip(p)
                .map(|(&log_p, &p)| if log_p == F::neg_infinity() { F::zero() } else { p * log_p });
            -terms.fold(F::zero(), |h, t| h + t)
        })
    }
}

/// `p log(p/q) + q − p`, whose sum over the actions is the divergence and whose terms are not negative: they do not cancel as those of
/// `Σ p log(p/q)` do.
fn kl_term<F: Real>(log_p: F, p: F, log_q: F) -> F {
    if log_p == F::neg_infinity() {
        return log_q.exp();
    }
    let d = log_q - log_p;
    // p (eᵈ − 1 − d) is accurate where d is small, and overflows where it is large.
    if d < F::one() { p * (d.exp_m1() - d) } else { log_q.exp() - p - p * d }
}

impl Categorical {
    fn rows<F>(&self, p: &DistParams<'_, F>) -> Result<usize, NnError> {
        check_params(p, self.n, 0)
    }

    fn indices<'a, F>(&self, actions: ActionsRef<'a, F>, rows: usize) -> Result<&'a [usize], NnError> {
        let ActionsRef::Discrete(a) = actions else {
            return Err(NnError::ActionKind { distribution: "categorical", expected: "discrete" });
        };
        NnError::check("the actions", a.len(), rows)?;
        match a.iter().position(|&a| a >= self.n) {
            None => Ok(a),
            Some(sample) => Err(NnError::ActionRange { sample, got: a[sample], n: self.n }),
        }
    }
}

impl<F: Real> Distribution<F> for Categorical {
    fn spec(&self) -> DistributionSpec {
        DistributionSpec::Categorical { n: self.n }
    }

    fn n_outputs(&self) -> usize {
        self.n
    }

    fn n_globals(&self) -> usize {
        0
    }

    fn action_len(&self) -> usize {
        1
    }

    fn new_actions(&self) -> Actions<F> {
        Actions::Discrete(Vec::new())
    }

    fn sample(
        &self,
        p: DistParams<'_, F>,
        rngs: &mut [SampleRng],
        actions: &mut Actions<F>,
        log_prob: &mut [F],
    ) -> Result<(), NnError> {
        let rows = self.rows(&p)?;
        NnError::check("the generators", rngs.len(), rows)?;
        NnError::check("the log-probabilities", log_prob.len(), rows)?;
        let Actions::Discrete(actions) = actions else {
            return Err(NnError::ActionKind { distribution: "categorical", expected: "discrete" });
        };
        let pi = LogSoftmax::new(p.y, self.n);
        let rows = pi.p.chunks_exact(self.n).zip(pi.log_p.chunks_exact(self.n));
        for (((p, log_p), rng), log_prob) in rows.zip(rngs).zip(log_prob) {
            // Inverse transform: the first action whose cumulated probability exceeds u.
            let mut u: f64 = rng.random();
            let last = self.n - 1;
            let chosen = p[..last].iter().position(|p| {
                u -= p.widen();
                u < 0.0
            });
            let a = chosen.unwrap_or(last);
            actions.push(a);
            *log_prob = log_p[a];
        }
        Ok(())
    }

    fn mode(&self, p: DistParams<'_, F>, actions: &mut Actions<F>) -> Result<(), NnError> {
        self.rows(&p)?;
        let Actions::Discrete(actions) = actions else {
            return Err(NnError::ActionKind { distribution: "categorical", expected: "discrete" });
        };
        for y in p.y.chunks_exact(self.n) {
            let best = (1..self.n).fold(0, |best, a| if y[a] > y[best] { a } else { best });
            actions.push(best);
        }
        Ok(())
    }

    fn log_prob(
        &self,
        p: DistParams<'_, F>,
        actions: ActionsRef<'_, F>,
        out: &mut [F],
    ) -> Result<(), NnError> {
        let rows = self.rows(&p)?;
        let actions = self.indices(actions, rows)?;
        NnError::check("the log-probabilities", out.len(), rows)?;
        let pi = LogSoftmax::new(p.y, self.n);
        for ((log_p, &a), out) in pi.log_p.chunks_exact(self.n).zip(actions).zip(out) {
            *out = log_p[a];
        }
        Ok(())
    }

    fn log_prob_and_entropy(
        &self,
        p: DistParams<'_, F>,
        actions: ActionsRef<'_, F>,
        log_prob: &mut [F],
        entropy: &mut [F],
    ) -> Result<(), NnError> {
        let rows = self.rows(&p)?;
        let actions = self.indices(actions, rows)?;
        NnError::check("the log-probabilities", log_prob.len(), rows)?;
        NnError::check("the entropies", entropy.len(), rows)?;
        let pi = LogSoftmax::new(p.y, self.n);
        for ((log_p, &a), out) in pi.log_p.chunks_exact(self.n).zip(actions).zip(log_prob) {
            *out = log_p[a];
        }
        entropy.iter_mut().zip(pi.entropies(self.n)).for_each(|(out, h)| *out = h);
        Ok(())
    }

    fn entropy(&self, p: DistParams<'_, F>, out: &mut [F]) -> Result<(), NnError> {
        NnError::check("the entropies", out.len(), self.rows(&p)?)?;
        let pi = LogSoftmax::new(p.y, self.n);
        out.iter_mut().zip(pi.entropies(self.n)).for_each(|(out, h)| *out = h);
        Ok(())
    }

    fn kl(&self, old: DistParams<'_, F>, new: DistParams<'_, F>, out: &mut [F]) -> Result<(), NnError> {
        let rows = self.rows(&old)?;
        NnError::check("the new distribution parameters", self.rows(&new)?, rows)?;
        NnError::check("the divergences", out.len(), rows)?;
        let (old, new) = (LogSoftmax::new(old.y, self.n), LogSoftmax::new(new.y, self.n));
        let rows = old
            .log_p
            .chunks_exact(self.n)
            .zip(old.p.chunks_exact(self.n))
            .zip(new.log_p.chunks_exact(self.n));
        for (((log_p, p), log_q), out) in rows.zip(out) {
            let terms = log_p.iter().zip(p).zip(log_q).map(|((&log_p, &p), &log_q)| kl_term(log_p, p, log_q));
            *out = terms.fold(F::zero(), |s, t| s + t);
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
        let actions = self.indices(actions, rows)?;
        NnError::check("the weights", w.len(), rows)?;
        NnError::check("the gradient", grad.y.len(), p.y.len())?;
        // ∂ log π(a) / ∂y = 1_a − π
        let pi = softmax(p.y, self.n);
        let rows = pi.chunks_exact(self.n).zip(grad.y.chunks_exact_mut(self.n));
        for (((p, g), &a), &w) in rows.zip(actions).zip(w) {
            g.iter_mut().zip(p).for_each(|(g, &p)| *g -= w * p);
            g[a] += w;
        }
        Ok(())
    }

    fn entropy_grad(&self, p: DistParams<'_, F>, w: F, grad: DistGrad<'_, F>) -> Result<(), NnError> {
        self.rows(&p)?;
        NnError::check("the gradient", grad.y.len(), p.y.len())?;
        // ∂H/∂y = −π ⊙ (log π + H)
        let pi = LogSoftmax::new(p.y, self.n);
        let rows = pi.log_p.chunks_exact(self.n).zip(pi.p.chunks_exact(self.n));
        for (((log_p, p), g), h) in rows.zip(grad.y.chunks_exact_mut(self.n)).zip(pi.entropies(self.n)) {
            for ((g, &log_p), &p) in g.iter_mut().zip(log_p).zip(p) {
                *g -= if log_p == F::neg_infinity() { F::zero() } else { w * p * (log_p + h) };
            }
        }
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
        // ∂KL(p ‖ q)/∂y_new = q − p
        let (old, new) = (softmax(old.y, self.n), softmax(new.y, self.n));
        for ((g, &p), &q) in grad.y.iter_mut().zip(&old).zip(&new) {
            *g += w * (q - p);
        }
        Ok(())
    }

    fn fisher(&self, p: DistParams<'_, F>, w: F, t: DistGrad<'_, F>) -> Result<(), NnError> {
        self.rows(&p)?;
        NnError::check("the tangent", t.y.len(), p.y.len())?;
        // M = diag(π) − π πᵀ
        let pi = softmax(p.y, self.n);
        for (p, t) in pi.chunks_exact(self.n).zip(t.y.chunks_exact_mut(self.n)) {
            let mean = p.iter().zip(&*t).fold(F::zero(), |s, (&p, &t)| s + p * t);
            t.iter_mut().zip(p).for_each(|(t, &p)| *t = w * p * (*t - mean));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logits(p: &[f64]) -> Vec<f64> {
        p.iter().map(|p| p.ln()).collect()
    }

    fn kl(p: &[f64], q: &[f64]) -> f64 {
        let (p, q) = (logits(p), logits(q));
        let mut out = [0.0];
        let params = |y| DistParams { y, globals: &[] };
        Categorical { n: p.len() }.kl(params(&p), params(&q), &mut out).unwrap();
        out[0]
    }

    /// The source documents' examples: a grid world's old and new policy (000, section 6.1), and three actions (002).
    #[test]
    fn kl_of_the_worked_examples() {
        let expected = 0.4 * (0.4_f64 / 0.5).ln() + 0.3 * (0.3_f64 / 0.2).ln();
        assert!((kl(&[0.4, 0.3, 0.2, 0.1], &[0.5, 0.2, 0.2, 0.1]) - expected).abs() < 1e-15);
        assert!((expected - 0.032_382_1).abs() < 1e-7);
        let expected = 0.2 * (0.2_f64 / 0.3).ln() + 0.5 * (0.5_f64 / 0.4).ln();
        assert!((kl(&[0.2, 0.5, 0.3], &[0.3, 0.4, 0.3]) - expected).abs() < 1e-15);
        assert!((expected - 0.030_478_7).abs() < 1e-7);
    }

    /// An action that was next to impossible, or impossible, has become likely: the divergence stays finite.
    #[test]
    fn kl_of_large_moves() {
        let dist = Categorical { n: 2 };
        let kl = |old: [f32; 2], new: [f32; 2]| {
            let mut out = [f32::NAN];
            let (old, new) = (DistParams { y: &old, globals: &[] }, DistParams { y: &new, globals: &[] });
            dist.kl(old, new, &mut out).unwrap();
            out[0]
        };
        // p = (1, e⁻¹¹⁰), q = (1 − e⁻¹⁰, e⁻¹⁰): −log(1 − e⁻¹⁰) = 4.5401e-5
        assert!((kl([0.0, -110.0], [0.0, -10.0]) - 4.5401e-5).abs() < 1e-7);
        // p = (1, 0), q = (½, ½): log 2
        assert!((kl([0.0, f32::NEG_INFINITY], [0.0, 0.0]) - std::f32::consts::LN_2).abs() < 1e-6);
        assert!(kl([0.0, f32::NEG_INFINITY], [1.0, f32::NEG_INFINITY]).abs() < 1e-12);
        assert!(kl([0.0, f32::NAN], [1.0, 0.0]).is_nan());
    }

    #[test]
    fn kl_to_itself_is_zero_with_zero_gradient() {
        let y = [0.3_f64, -1.0, 2.0, 5.0, 5.0, 5.0];
        let p = DistParams { y: &y, globals: &[] };
        let (mut kl, mut g) = ([1.0; 2], [0.0; 6]);
        let dist = Categorical { n: 3 };
        dist.kl(p, p, &mut kl).unwrap();
        dist.kl_grad(p, p, 1.0, DistGrad { y: &mut g, globals: &mut [] }).unwrap();
        assert_eq!((kl, g), ([0.0; 2], [0.0; 6]));
    }

    #[test]
    fn actions_are_checked() {
        let dist = Categorical { n: 2 };
        let p = DistParams { y: &[0.0_f64; 4], globals: &[] };
        let mut out = [0.0; 2];
        let range = dist.log_prob(p, ActionsRef::Discrete(&[0, 2]), &mut out);
        assert!(matches!(range, Err(NnError::ActionRange { sample: 1, got: 2, n: 2 })));
        let kind = dist.log_prob(p, ActionsRef::Continuous(&[0.0, 1.0]), &mut out);
        assert!(matches!(kind, Err(NnError::ActionKind { .. })));
        let shape = dist.log_prob(p, ActionsRef::Discrete(&[0]), &mut out);
        assert!(matches!(shape, Err(NnError::Shape { .. })));
    }
}
