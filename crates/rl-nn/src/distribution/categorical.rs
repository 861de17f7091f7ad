use rand::Rng;
use rl_kernels::vectorize;

use super::{
    Actions, ActionsRef, DistGrad, DistParams, Distribution, DistributionSpec, Evaluation, Noise,
    check_params,
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

/// Log-probabilities and probabilities of a batch, `[n, rows]` each: an action's of all rows lie side by side.
struct LogSoftmax<'m, F> {
    rows: usize,
    log_p: &'m [F],
    p: &'m mut [F],
    /// Room for a number a row.
    room: &'m mut [F],
}

impl<F: Real> LogSoftmax<'_, F> {
    /// Runs `work` with `π = exp(y − max) / Σ exp(y − max)`, `log π = y − max − log Σ exp(y − max)`; a NaN stays one.
    fn with<R>(y: &[F], n: usize, work: impl FnOnce(LogSoftmax<'_, F>) -> R) -> R {
        let rows = y.len() / n;
        F::with_scratch(2 * y.len() + rows, |memory| {
            let (log_p, memory) = memory.split_at_mut(y.len());
            let (p, room) = memory.split_at_mut(y.len());
            if rows > 0 {
                log_softmax(y, n, log_p, p, room);
            }
            work(LogSoftmax { rows, log_p, p, room })
        })
    }
}

/// Writes log-probabilities and probabilities, `[n, rows]` each; `norm` is room for a number a row.
fn log_softmax<F: Real>(y: &[F], n: usize, log_p: &mut [F], p: &mut [F], norm: &mut [F]) {
    let rows = y.len() / n;
    F::transpose(y, rows, n, log_p);
    norm.copy_from_slice(&log_p[..rows]);
    vectorize(
        #[inline(always)]
        || {
            for line in log_p.chunks_exact(rows).skip(1) {
                for (max, &y) in norm.iter_mut().zip(line) {
                    *max = if y > *max { y } else { *max };
                }
            }
            for line in log_p.chunks_exact_mut(rows) {
                for (y, &max) in line.iter_mut().zip(&*norm) {
                    *y -= max;
                }
            }
        },
    );
    p.copy_from_slice(log_p);
    F::exp_in_place(p);
    norm.fill(F::zero());
    vectorize(
        #[inline(always)]
        || {
            for line in p.chunks_exact(rows) {
                for (z, &p) in norm.iter_mut().zip(line) {
                    *z += p;
                }
            }
            for line in p.chunks_exact_mut(rows) {
                for (p, &z) in line.iter_mut().zip(&*norm) {
                    *p /= z;
                }
            }
        },
    );
    F::ln_in_place(norm);
    vectorize(
        #[inline(always)]
        || {
            for line in log_p.chunks_exact_mut(rows) {
                for (log_p, &log_z) in line.iter_mut().zip(&*norm) {
                    *log_p -= log_z;
                }
            }
        },
    );
}

impl<F: Real> LogSoftmax<'_, F> {
    /// `(log π, π)` of one action, `[rows]` each, for every action.
    fn lines(&self) -> impl Iterator<Item = (&[F], &[F])> {
        let rows = self.rows.max(1);
        self.log_p.chunks_exact(rows).zip(self.p.chunks_exact(rows))
    }

    /// Writes `log π(a)` of every row.
    fn log_probs(&self, actions: &[usize], out: &mut [F]) {
        for (b, (out, &a)) in out.iter_mut().zip(actions).enumerate() {
            *out = self.log_p[a * self.rows + b];
        }
    }

    /// Writes `−Σ π log π` of every row. An action without probability adds nothing (0 · −∞ would be NaN).
    fn entropies(&self, out: &mut [F]) {
        out.fill(F::zero());
        vectorize(
            #[inline(always)]
            || {
                for (log_p, p) in self.lines() {
                    for (out, (&log_p, &p)) in out.iter_mut().zip(log_p.iter().zip(p)) {
                        *out -= if log_p == F::neg_infinity() { F::zero() } else { p * log_p };
                    }
                }
            },
        );
    }
}

/// Inverse transform: the first action whose cumulated probability exceeds `u` in `[0, 1)`. Where rounding leaves none, the last one that is
/// possible at all.
fn chosen(n: usize, p: impl Fn(usize) -> f64, mut u: f64) -> usize {
    let exceeds = |a: &usize| {
        u -= p(*a);
        u < 0.0
    };
    let last = || (0..n).rev().find(|a| p(*a) > 0.0).unwrap_or(n - 1);
    (0..n - 1).find(exceeds).unwrap_or_else(last)
}

/// Adds `p log(p/q) + q − p`, whose sum over the actions is the divergence and whose terms are not negative: they do not cancel
/// as those of `Σ p log(p/q)` do. `remainder` is `eᵈ − 1 − d` with `d = log q − log p`.
fn add_kl_terms<F: Real>(out: &mut [F], (log_p, p): (&[F], &[F]), (log_q, q): (&[F], &[F]), remainder: &[F]) {
    vectorize(
        #[inline(always)]
        || {
            for i in 0..out.len() {
                let (p, q, d) = (p[i], q[i], log_q[i] - log_p[i]);
                // p (eᵈ − 1 − d) is accurate where d is small, and overflows where it is large.
                let term = if d < F::one() { p * remainder[i] } else { q - p - p * d };
                out[i] += if log_p[i] == F::neg_infinity() { q } else { term };
            }
        },
    );
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
    fn spec(&self) -> Option<DistributionSpec> {
        Some(DistributionSpec::Categorical { n: self.n })
    }

    fn n_outputs(&self) -> usize {
        self.n
    }

    fn action_len(&self) -> usize {
        1
    }

    fn new_actions(&self) -> Actions<F> {
        Actions::Discrete(Vec::new())
    }

    fn mask(&self, masks: &[bool], y: &mut [F]) -> Result<(), NnError> {
        NnError::check("the masks of the actions", masks.len(), y.len())?;
        for (row, (mask, y)) in masks.chunks_exact(self.n).zip(y.chunks_exact_mut(self.n)).enumerate() {
            if !mask.contains(&true) {
                return Err(NnError::NoAction { row });
            }
            y.iter_mut()
                .zip(mask)
                .filter(|(_, allowed)| !**allowed)
                .for_each(|(y, _)| *y = F::neg_infinity());
        }
        Ok(())
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
        let Actions::Discrete(actions) = actions else {
            return Err(NnError::ActionKind { distribution: "categorical", expected: "discrete" });
        };
        LogSoftmax::with(p.y, self.n, |pi| {
            let first = actions.len();
            for (b, rng) in noise.rngs.iter_mut().enumerate() {
                let p = |a: usize| pi.p[a * rows + b].widen();
                actions.push(chosen(self.n, p, rng.random()));
            }
            pi.log_probs(&actions[first..], log_prob);
            Ok(())
        })
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
        LogSoftmax::with(p.y, self.n, |pi| pi.log_probs(actions, out));
        Ok(())
    }

    fn evaluate(
        &self,
        p: DistParams<'_, F>,
        actions: ActionsRef<'_, F>,
        out: Evaluation<'_, F>,
    ) -> Result<(), NnError> {
        let rows = self.rows(&p)?;
        let actions = self.indices(actions, rows)?;
        NnError::check("the log-probabilities", out.log_prob.len(), rows)?;
        NnError::check("the entropies", out.entropy.len(), rows)?;
        LogSoftmax::with(p.y, self.n, |pi| {
            pi.log_probs(actions, out.log_prob);
            pi.entropies(out.entropy);
            let Some(score) = out.score else { return Ok(()) };
            NnError::check("the score", score.y.len(), p.y.len())?;
            // ∂ log π(a) / ∂y = 1_a − π
            pi.p.iter_mut().for_each(|p| *p = -*p);
            for (b, &a) in actions.iter().enumerate() {
                pi.p[a * rows + b] += F::one();
            }
            F::transpose(pi.p, self.n, rows, score.y);
            Ok(())
        })
    }

    fn entropy(&self, p: DistParams<'_, F>, out: &mut [F]) -> Result<(), NnError> {
        NnError::check("the entropies", out.len(), self.rows(&p)?)?;
        LogSoftmax::with(p.y, self.n, |pi| pi.entropies(out));
        Ok(())
    }

    fn kl(&self, old: DistParams<'_, F>, new: DistParams<'_, F>, out: &mut [F]) -> Result<(), NnError> {
        let rows = self.rows(&old)?;
        NnError::check("the new distribution parameters", self.rows(&new)?, rows)?;
        NnError::check("the divergences", out.len(), rows)?;
        out.fill(F::zero());
        let mut remainder = vec![F::zero(); rows];
        LogSoftmax::with(old.y, self.n, |old| {
            LogSoftmax::with(new.y, self.n, |new| {
                for (p, q) in old.lines().zip(new.lines()) {
                    let log_ratios = q.0.iter().zip(p.0).map(|(&log_q, &log_p)| log_q - log_p);
                    remainder.iter_mut().zip(log_ratios).for_each(|(d, log_ratio)| *d = log_ratio);
                    F::exp_remainder_in_place(&mut remainder);
                    add_kl_terms(out, p, q, &remainder);
                }
            });
        });
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
        LogSoftmax::with(p.y, self.n, |pi| {
            for (k, (_, p)) in pi.lines().enumerate() {
                let g = grad.y.iter_mut().skip(k).step_by(self.n);
                g.zip(w.iter().zip(p)).for_each(|(g, (&w, &p))| *g -= w * p);
            }
        });
        for (g, (&a, &w)) in grad.y.chunks_exact_mut(self.n).zip(actions.iter().zip(w)) {
            g[a] += w;
        }
        Ok(())
    }

    fn entropy_grad(&self, p: DistParams<'_, F>, w: F, grad: DistGrad<'_, F>) -> Result<(), NnError> {
        self.rows(&p)?;
        NnError::check("the gradient", grad.y.len(), p.y.len())?;
        // ∂H/∂y = −π ⊙ (log π + H)
        LogSoftmax::with(p.y, self.n, |mut pi| {
            let h = std::mem::take(&mut pi.room);
            pi.entropies(h);
            for (k, (log_p, p)) in pi.lines().enumerate() {
                let g = grad.y.iter_mut().skip(k).step_by(self.n);
                for (g, ((&log_p, &p), &h)) in g.zip(log_p.iter().zip(p).zip(&*h)) {
                    *g -= if log_p == F::neg_infinity() { F::zero() } else { w * p * (log_p + h) };
                }
            }
        });
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
        LogSoftmax::with(old.y, self.n, |old| {
            LogSoftmax::with(new.y, self.n, |new| {
                for (k, ((_, p), (_, q))) in old.lines().zip(new.lines()).enumerate() {
                    let g = grad.y.iter_mut().skip(k).step_by(self.n);
                    g.zip(p.iter().zip(q)).for_each(|(g, (&p, &q))| *g += w * (q - p));
                }
            });
        });
        Ok(())
    }

    fn fisher(&self, p: DistParams<'_, F>, w: F, t: DistGrad<'_, F>) -> Result<(), NnError> {
        self.rows(&p)?;
        NnError::check("the tangent", t.y.len(), p.y.len())?;
        // M = diag(π) − π πᵀ
        LogSoftmax::with(p.y, self.n, |mut pi| {
            let mean = std::mem::take(&mut pi.room);
            mean.fill(F::zero());
            for (k, (_, p)) in pi.lines().enumerate() {
                let t = t.y.iter().skip(k).step_by(self.n);
                mean.iter_mut().zip(p.iter().zip(t)).for_each(|(mean, (&p, &t))| *mean += p * t);
            }
            for (k, (_, p)) in pi.lines().enumerate() {
                let t = t.y.iter_mut().skip(k).step_by(self.n);
                t.zip(p.iter().zip(&*mean)).for_each(|(t, (&p, &mean))| *t = w * p * (*t - mean));
            }
        });
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the system's functions are the reference")]
#[allow(clippy::float_cmp, reason = "what a mask leaves is left to the bit")]
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

    /// Not even for the largest `u` below 1, with probabilities that add up to less.
    #[test]
    fn an_impossible_action_is_never_chosen() {
        let p = [0.3, 0.6999, 0.0];
        assert_eq!(chosen(3, |a| p[a], 1.0 - 2.0_f64.powi(-53)), 1);
        assert_eq!(chosen(3, |a| [0.0, 0.5, 0.5][a], 0.0), 1);
        assert_eq!(chosen(3, |a| p[a], 0.0), 0);
        let mut y = [1.0_f64, 2.0, 3.0, 4.0, 5.0, 6.0];
        let dist = Categorical { n: 3 };
        dist.mask(&[true, true, false, false, true, false], &mut y).unwrap();
        let inf = f64::INFINITY;
        assert_eq!(y, [1.0, 2.0, -inf, -inf, 5.0, -inf]);
        assert!(matches!(
            dist.mask(&[true, true, true, false, false, false], &mut y),
            Err(NnError::NoAction { row: 1 })
        ));
        let p = DistParams { y: &y, globals: &[] };
        let mut h = [f64::NAN; 2];
        dist.entropy(p, &mut h).unwrap();
        assert!((h[0] - 0.582_203_1).abs() < 1e-6 && h[1] == 0.0, "{h:?}");
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
