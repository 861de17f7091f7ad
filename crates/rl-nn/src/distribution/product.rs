//! Several independent choices: a product of categorical distributions.

use super::{
    Actions, ActionsRef, Categorical, DistGrad, DistParams, Distribution, DistributionSpec, Evaluation,
    Noise, check_params,
};
use crate::{NnError, Real};

/// Independent categorical distributions, one an action dimension: `π(a|s) = Π_k π_k(a_k|s)`.
///
/// The logits of all dimensions lie side by side. Log-probabilities, entropies and divergences are sums over dimensions.
///
/// # Shapes
///
/// `n_outputs = Σ n_k`, `n_globals = 0`, `action_len` the number of dimensions; a mask has `Σ n_k` elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiCategorical {
    ns: Vec<usize>,
}

/// Independent bits: `π(1) = 1 / (1 + e⁻ʸ)` for every output `y`.
///
/// A bit is a categorical distribution over 0 and 1 with logits `(0, y)`, and computed as such. A bit with one value left has `y = ±∞` and
/// contributes exactly nothing.
///
/// # Shapes
///
/// `n_outputs = action_len = n`, `n_globals = 0`; a mask has `2n` elements: whether each bit may be 0, and may be 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bernoulli {
    n: usize,
}

impl MultiCategorical {
    /// Dimensions with so many choices each.
    pub fn new(ns: &[usize]) -> Self {
        MultiCategorical { ns: ns.to_vec() }
    }
}

impl Bernoulli {
    /// `n` bits.
    pub fn new(n: usize) -> Self {
        Bernoulli { n }
    }
}

/// The factors of a product, and where their logits come from.
trait Factors: Send + Sync {
    fn describe(&self) -> DistributionSpec;
    fn n_logits(&self) -> usize;
    fn n_factors(&self) -> usize;
    /// Choices of a factor.
    fn n(&self, factor: usize) -> usize;
    /// The logits of a factor, `[rows, n]`, of the outputs of all rows.
    fn logits<F: Real>(&self, factor: usize, y: &[F], out: &mut Vec<F>);
    /// The tangents of its logits, of the tangents of all outputs.
    fn tangents<F: Real>(&self, factor: usize, t: &[F], out: &mut Vec<F>);
    /// Adds the gradient with respect to its logits to that with respect to all outputs, or writes it over what was there.
    fn pull_back<F: Real>(&self, factor: usize, g: &[F], y: &mut [F], adds: bool);
    /// Writes ±∞ into the outputs of a row that leave a factor no other choice than the allowed ones; `false` if there are none.
    fn mask<F: Real>(&self, factor: usize, mask: &[bool], y: &mut [F]) -> bool;
    /// Elements of a row's mask, and where those of a factor begin.
    fn mask_starts(&self) -> (usize, Vec<usize>);
}

fn starts(ns: &[usize]) -> (usize, Vec<usize>) {
    let starts = ns.iter().scan(0, |end, n| {
        *end += n;
        Some(*end - n)
    });
    (ns.iter().sum(), starts.collect())
}

impl MultiCategorical {
    fn columns(&self, factor: usize) -> std::ops::Range<usize> {
        let start: usize = self.ns[..factor].iter().sum();
        start..start + self.ns[factor]
    }
}

impl Factors for MultiCategorical {
    fn describe(&self) -> DistributionSpec {
        DistributionSpec::MultiCategorical { ns: self.ns.clone() }
    }
    fn n_logits(&self) -> usize {
        self.ns.iter().sum()
    }
    fn n_factors(&self) -> usize {
        self.ns.len()
    }
    fn n(&self, factor: usize) -> usize {
        self.ns[factor]
    }
    fn logits<F: Real>(&self, factor: usize, y: &[F], out: &mut Vec<F>) {
        let columns = self.columns(factor);
        out.clear();
        y.chunks_exact(self.n_logits()).for_each(|row| out.extend_from_slice(&row[columns.clone()]));
    }
    fn tangents<F: Real>(&self, factor: usize, t: &[F], out: &mut Vec<F>) {
        self.logits(factor, t, out);
    }
    fn pull_back<F: Real>(&self, factor: usize, g: &[F], y: &mut [F], adds: bool) {
        let columns = self.columns(factor);
        for (row, g) in y.chunks_exact_mut(self.n_logits()).zip(g.chunks_exact(columns.len())) {
            let to = row[columns.clone()].iter_mut().zip(g);
            to.for_each(|(y, &g)| *y = if adds { *y + g } else { g });
        }
    }
    fn mask<F: Real>(&self, factor: usize, mask: &[bool], y: &mut [F]) -> bool {
        let logits = y[self.columns(factor)].iter_mut().zip(mask);
        logits.filter(|(_, allowed)| !**allowed).for_each(|(y, _)| *y = F::neg_infinity());
        mask.contains(&true)
    }
    fn mask_starts(&self) -> (usize, Vec<usize>) {
        starts(&self.ns)
    }
}

impl Factors for Bernoulli {
    fn describe(&self) -> DistributionSpec {
        DistributionSpec::Bernoulli { n: self.n }
    }
    fn n_logits(&self) -> usize {
        self.n
    }
    fn n_factors(&self) -> usize {
        self.n
    }
    fn n(&self, _: usize) -> usize {
        2
    }
    fn logits<F: Real>(&self, factor: usize, y: &[F], out: &mut Vec<F>) {
        out.clear();
        for &y in y[factor..].iter().step_by(self.n) {
            // With +∞ for the second, both would come out as NaN.
            out.extend(if y == F::infinity() { [F::neg_infinity(), F::zero()] } else { [F::zero(), y] });
        }
    }
    fn tangents<F: Real>(&self, factor: usize, t: &[F], out: &mut Vec<F>) {
        out.clear();
        t[factor..].iter().step_by(self.n).for_each(|&t| out.extend([F::zero(), t]));
    }
    fn pull_back<F: Real>(&self, factor: usize, g: &[F], y: &mut [F], adds: bool) {
        let of_ones = g.iter().skip(1).step_by(2);
        for (y, &g) in y[factor..].iter_mut().step_by(self.n).zip(of_ones) {
            *y = if adds { *y + g } else { g };
        }
    }
    fn mask<F: Real>(&self, factor: usize, mask: &[bool], y: &mut [F]) -> bool {
        match mask {
            [true, false] => y[factor] = F::neg_infinity(),
            [false, true] => y[factor] = F::infinity(),
            _ => {}
        }
        mask.contains(&true)
    }
    fn mask_starts(&self) -> (usize, Vec<usize>) {
        starts(&vec![2; self.n])
    }
}

/// The actions of one dimension.
fn column(actions: &[usize], factor: usize, width: usize, out: &mut Vec<usize>) {
    out.clear();
    out.extend(actions[factor..].iter().step_by(width));
}

fn indices<'a, F: Real>(
    factors: &impl Factors,
    actions: ActionsRef<'a, F>,
    rows: usize,
) -> Result<&'a [usize], NnError> {
    let ActionsRef::Discrete(a) = actions else {
        return Err(NnError::ActionKind { distribution: "multi-categorical", expected: "discrete" });
    };
    let width = factors.n_factors();
    NnError::check("the actions", a.len(), rows * width)?;
    match a.iter().enumerate().find(|(k, a)| **a >= factors.n(k % width)) {
        None => Ok(a),
        Some((k, &got)) => Err(NnError::ActionRange { sample: k / width, got, n: factors.n(k % width) }),
    }
}

fn rows<F>(factors: &impl Factors, p: &DistParams<'_, F>) -> Result<usize, NnError> {
    check_params(p, factors.n_logits(), 0)
}

/// Runs `each` with every factor's distribution, logits and actions.
fn with_factors<F: Real>(
    factors: &impl Factors,
    p: DistParams<'_, F>,
    actions: &[usize],
    mut each: impl FnMut(usize, Categorical, DistParams<'_, F>, ActionsRef<'_, F>) -> Result<(), NnError>,
) -> Result<(), NnError> {
    let (mut logits, mut chosen) = (Vec::new(), Vec::new());
    for k in 0..factors.n_factors() {
        factors.logits(k, p.y, &mut logits);
        if !actions.is_empty() {
            column(actions, k, factors.n_factors(), &mut chosen);
        }
        let factor = Categorical { n: factors.n(k) };
        each(k, factor, DistParams { y: &logits, globals: &[] }, ActionsRef::Discrete(&chosen))?;
    }
    Ok(())
}

/// `out ← Σ_k f_k`, with `f_k` written by `each`.
fn sum_over_factors<F: Real>(
    factors: &impl Factors,
    p: DistParams<'_, F>,
    actions: &[usize],
    out: &mut [F],
    each: impl Fn(Categorical, DistParams<'_, F>, ActionsRef<'_, F>, &mut [F]) -> Result<(), NnError>,
) -> Result<(), NnError> {
    let mut term = vec![F::zero(); out.len()];
    out.fill(F::zero());
    with_factors(factors, p, actions, |_, factor, p, actions| {
        each(factor, p, actions, &mut term)?;
        rl_kernels::add(out, &term);
        Ok(())
    })
}

/// Adds every factor's gradient, which `each` writes over zeros.
fn add_gradients<F: Real>(
    factors: &impl Factors,
    p: DistParams<'_, F>,
    actions: &[usize],
    grad: &mut [F],
    each: impl Fn(
        usize,
        Categorical,
        DistParams<'_, F>,
        ActionsRef<'_, F>,
        DistGrad<'_, F>,
    ) -> Result<(), NnError>,
) -> Result<(), NnError> {
    NnError::check("the gradient", grad.len(), p.y.len())?;
    let mut g = Vec::new();
    with_factors(factors, p, actions, |k, factor, p, actions| {
        g.clear();
        g.resize(p.y.len(), F::zero());
        each(k, factor, p, actions, DistGrad { y: &mut g, globals: &mut [] })?;
        factors.pull_back(k, &g, grad, true);
        Ok(())
    })
}

/// Everything a distribution does, over factors.
impl<F: Real, T: Factors> Distribution<F> for T {
    fn spec(&self) -> Option<DistributionSpec> {
        Some(self.describe())
    }

    fn n_outputs(&self) -> usize {
        self.n_logits()
    }

    fn action_len(&self) -> usize {
        self.n_factors()
    }

    fn new_actions(&self) -> Actions<F> {
        Actions::Discrete(Vec::new())
    }

    fn mask(&self, masks: &[bool], y: &mut [F]) -> Result<(), NnError> {
        let (width, starts) = self.mask_starts();
        let rows = rows(self, &DistParams { y, globals: &[] })?;
        NnError::check("the masks of the actions", masks.len(), rows * width)?;
        let n_outputs = self.n_logits();
        for (row, (mask, y)) in masks.chunks_exact(width).zip(y.chunks_exact_mut(n_outputs)).enumerate() {
            for (k, &start) in starts.iter().enumerate() {
                if !Factors::mask(self, k, &mask[start..start + self.n(k)], y) {
                    return Err(NnError::NoAction { row });
                }
            }
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
        let rows = rows(self, &p)?;
        let Actions::Discrete(actions) = actions else {
            return Err(NnError::ActionKind { distribution: "multi-categorical", expected: "discrete" });
        };
        let (first, width) = (actions.len(), self.n_factors());
        actions.resize(first + rows * width, 0);
        let mut chosen = Actions::Discrete(Vec::with_capacity(rows));
        let drawn = with_factors(self, p, &[], |k, factor, p, _| {
            chosen.clear();
            factor.sample(p, noise, &mut chosen, log_prob)?;
            let Actions::Discrete(chosen) = &chosen else { return Ok(()) };
            let column = actions[first + k..].iter_mut().step_by(width);
            column.zip(chosen).for_each(|(a, &chosen)| *a = chosen);
            Ok(())
        });
        if let Err(error) = drawn {
            actions.truncate(first);
            return Err(error);
        }
        self.log_prob(p, ActionsRef::Discrete(&actions[first..]), log_prob)
    }

    fn mode(&self, p: DistParams<'_, F>, actions: &mut Actions<F>) -> Result<(), NnError> {
        let rows = rows(self, &p)?;
        let Actions::Discrete(actions) = actions else {
            return Err(NnError::ActionKind { distribution: "multi-categorical", expected: "discrete" });
        };
        let (first, width) = (actions.len(), self.n_factors());
        actions.resize(first + rows * width, 0);
        let mut best = Actions::Discrete(Vec::with_capacity(rows));
        with_factors(self, p, &[], |k, factor, p, _| {
            best.clear();
            factor.mode(p, &mut best)?;
            let Actions::Discrete(best) = &best else { return Ok(()) };
            let column = actions[first + k..].iter_mut().step_by(width);
            column.zip(best).for_each(|(a, &best)| *a = best);
            Ok(())
        })
    }

    fn log_prob(
        &self,
        p: DistParams<'_, F>,
        actions: ActionsRef<'_, F>,
        out: &mut [F],
    ) -> Result<(), NnError> {
        let rows = rows(self, &p)?;
        let actions = indices(self, actions, rows)?;
        NnError::check("the log-probabilities", out.len(), rows)?;
        sum_over_factors(self, p, actions, out, |factor, p, actions, out| factor.log_prob(p, actions, out))
    }

    fn entropy(&self, p: DistParams<'_, F>, out: &mut [F]) -> Result<(), NnError> {
        NnError::check("the entropies", out.len(), rows(self, &p)?)?;
        sum_over_factors(self, p, &[], out, |factor, p, _, out| factor.entropy(p, out))
    }

    fn evaluate(
        &self,
        p: DistParams<'_, F>,
        actions: ActionsRef<'_, F>,
        out: Evaluation<'_, F>,
    ) -> Result<(), NnError> {
        let rows = rows(self, &p)?;
        let indices = indices(self, actions, rows)?;
        NnError::check("the log-probabilities", out.log_prob.len(), rows)?;
        NnError::check("the entropies", out.entropy.len(), rows)?;
        let Evaluation { log_prob, entropy, mut score } = out;
        if let Some(score) = &score {
            NnError::check("the score", score.y.len(), p.y.len())?;
        }
        log_prob.fill(F::zero());
        entropy.fill(F::zero());
        let (mut term, mut h, mut g) = (vec![F::zero(); rows], vec![F::zero(); rows], Vec::new());
        with_factors(self, p, indices, |k, factor, p, actions| {
            g.resize(p.y.len(), F::zero());
            let wanted = score.is_some().then_some(DistGrad { y: &mut g, globals: &mut [] });
            factor.evaluate(
                p,
                actions,
                Evaluation { log_prob: &mut term, entropy: &mut h, score: wanted },
            )?;
            rl_kernels::add(log_prob, &term);
            rl_kernels::add(entropy, &h);
            if let Some(score) = &mut score {
                self.pull_back(k, &g, score.y, false);
            }
            Ok(())
        })
    }

    fn kl(&self, old: DistParams<'_, F>, new: DistParams<'_, F>, out: &mut [F]) -> Result<(), NnError> {
        let n = rows(self, &old)?;
        NnError::check("the new distribution parameters", rows(self, &new)?, n)?;
        NnError::check("the divergences", out.len(), n)?;
        out.fill(F::zero());
        let (mut term, mut logits) = (vec![F::zero(); n], Vec::new());
        with_factors(self, old, &[], |k, factor, old, _| {
            self.logits(k, new.y, &mut logits);
            factor.kl(old, DistParams { y: &logits, globals: &[] }, &mut term)?;
            rl_kernels::add(out, &term);
            Ok(())
        })
    }

    fn log_prob_grad(
        &self,
        p: DistParams<'_, F>,
        actions: ActionsRef<'_, F>,
        w: &[F],
        grad: DistGrad<'_, F>,
    ) -> Result<(), NnError> {
        let actions = indices(self, actions, rows(self, &p)?)?;
        add_gradients(self, p, actions, grad.y, |_, factor, p, actions, grad| {
            factor.log_prob_grad(p, actions, w, grad)
        })
    }

    fn entropy_grad(&self, p: DistParams<'_, F>, w: F, grad: DistGrad<'_, F>) -> Result<(), NnError> {
        rows(self, &p)?;
        add_gradients(self, p, &[], grad.y, |_, factor, p, _, grad| factor.entropy_grad(p, w, grad))
    }

    fn kl_grad(
        &self,
        old: DistParams<'_, F>,
        new: DistParams<'_, F>,
        w: F,
        grad: DistGrad<'_, F>,
    ) -> Result<(), NnError> {
        let n = rows(self, &old)?;
        NnError::check("the new distribution parameters", rows(self, &new)?, n)?;
        add_gradients(self, new, &[], grad.y, |k, factor, new, _, grad| {
            let mut logits = Vec::new();
            self.logits(k, old.y, &mut logits);
            factor.kl_grad(DistParams { y: &logits, globals: &[] }, new, w, grad)
        })
    }

    fn fisher(&self, p: DistParams<'_, F>, w: F, t: DistGrad<'_, F>) -> Result<(), NnError> {
        rows(self, &p)?;
        NnError::check("the tangent", t.y.len(), p.y.len())?;
        let mut tangent = Vec::new();
        with_factors(self, p, &[], |k, factor, p, _| {
            self.tangents(k, t.y, &mut tangent);
            factor.fisher(p, w, DistGrad { y: &mut tangent, globals: &mut [] })?;
            self.pull_back(k, &tangent, t.y, false);
            Ok(())
        })
    }
}
