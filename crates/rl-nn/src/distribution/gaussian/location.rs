//! How means and log standard deviations follow from outputs and free parameters.

use rand_distr::Distribution as _;
use rl_kernels::StandardNormal;
use rl_kernels::elementary::{exp, ln};

use crate::distribution::diag_gaussian::exp_of;
use crate::distribution::{DistGrad, DistParams, DistributionSpec, Noise, check_params};
use crate::{Init, Layout, MatRef, NnError, Real};

/// Means and log standard deviations of a batch, `[rows, dim]` each.
pub struct Located<F> {
    pub(super) rows: usize,
    pub(super) mean: Vec<F>,
    pub(super) log_std: Vec<F>,
    pub(super) inv_std: Vec<F>,
    /// Whether the log standard deviation moves with what it comes from: not where it is clipped.
    moves: Vec<bool>,
}

/// A map `{y, globals} → (μ, log σ)` with its derivative in both directions.
pub trait Location: Send + Sync {
    /// What a saved policy records of it.
    fn spec(&self, squashed: bool) -> DistributionSpec;
    /// Action dimensions.
    fn dim(&self) -> usize;
    /// Outputs a row.
    fn n_outputs(&self) -> usize;
    /// The free parameters.
    fn globals(&self) -> Layout {
        Layout::new()
    }
    /// Whether there are any.
    fn has_globals(&self) -> bool {
        false
    }
    /// The values of every row.
    #[allow(clippy::missing_errors_doc, reason = "those of slices that do not fit")]
    fn locate<F: Real>(&self, p: &DistParams<'_, F>) -> Result<Located<F>, NnError>;
    /// Adds the gradient with respect to the outputs.
    fn add_outputs<F: Real>(&self, at: &Located<F>, d_mean: &[F], d_log_std: &[F], y: &mut [F]);
    /// Adds the gradient with respect to the free parameters.
    fn add_globals<F: Real>(
        &self,
        _p: &DistParams<'_, F>,
        _at: &Located<F>,
        _d_log_std: &[F],
        _globals: &mut [F],
    ) {
    }
    /// The tangents `(μ̇, (log σ)̇)` of a tangent of outputs and free parameters.
    fn push_forward<F: Real>(
        &self,
        p: &DistParams<'_, F>,
        at: &Located<F>,
        t: &DistGrad<'_, F>,
    ) -> (Vec<F>, Vec<F>);
    /// Appends an action for every row: by default `μ + σz`.
    fn sample<F: Real>(
        &self,
        _: &DistParams<'_, F>,
        at: &Located<F>,
        noise: &mut Noise<F>,
        out: &mut Vec<F>,
    ) {
        let means = at.mean.chunks_exact(self.dim()).zip(at.log_std.chunks_exact(self.dim()));
        for ((mean, log_std), rng) in means.zip(&mut noise.rngs) {
            for (&mean, &log_std) in mean.iter().zip(log_std) {
                let z: f64 = StandardNormal.sample(rng);
                out.push(mean + exp_of(log_std) * F::narrow(z));
            }
        }
    }
}

/// Free log standard deviations, `y = μ`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Free {
    pub(super) dim: usize,
}

/// Log standard deviations from the network, `y = [μ | log σ]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfState {
    pub(super) dim: usize,
}

/// Standard deviations of a noise that is a linear function of features, `y = [μ | h]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfNoise {
    pub(super) dim: usize,
    pub(super) latent: usize,
    pub(super) sample_freq: Option<u64>,
}

impl Location for Free {
    fn spec(&self, squashed: bool) -> DistributionSpec {
        DistributionSpec::FreeGaussian { dim: self.dim, squashed }
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn n_outputs(&self) -> usize {
        self.dim
    }

    fn globals(&self) -> Layout {
        let mut layout = Layout::new();
        layout.push("log_std", &[self.dim]);
        layout
    }

    fn has_globals(&self) -> bool {
        true
    }

    fn locate<F: Real>(&self, p: &DistParams<'_, F>) -> Result<Located<F>, NnError> {
        let rows = check_params(p, self.dim, self.dim)?;
        let inv_std: Vec<F> = p.globals.iter().map(|&log_std| exp_of(-log_std)).collect();
        Ok(Located {
            rows,
            mean: p.y.to_vec(),
            log_std: p.globals.repeat(rows),
            inv_std: inv_std.repeat(rows),
            moves: Vec::new(),
        })
    }

    fn add_outputs<F: Real>(&self, _: &Located<F>, d_mean: &[F], _: &[F], y: &mut [F]) {
        rl_kernels::add(y, d_mean);
    }

    fn add_globals<F: Real>(
        &self,
        _: &DistParams<'_, F>,
        _: &Located<F>,
        d_log_std: &[F],
        globals: &mut [F],
    ) {
        for (i, global) in globals.iter_mut().enumerate() {
            let sum: f64 = d_log_std[i..].iter().step_by(self.dim).map(|d| d.widen()).sum();
            *global += F::narrow(sum);
        }
    }

    fn push_forward<F: Real>(
        &self,
        _: &DistParams<'_, F>,
        at: &Located<F>,
        t: &DistGrad<'_, F>,
    ) -> (Vec<F>, Vec<F>) {
        (t.y.to_vec(), t.globals.repeat(at.rows))
    }
}

/// What a log standard deviation from a network is clipped to.
const LOG_STD_RANGE: (f64, f64) = (-20.0, 2.0);

impl Location for OfState {
    fn spec(&self, squashed: bool) -> DistributionSpec {
        DistributionSpec::StateGaussian { dim: self.dim, squashed }
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn n_outputs(&self) -> usize {
        2 * self.dim
    }

    fn locate<F: Real>(&self, p: &DistParams<'_, F>) -> Result<Located<F>, NnError> {
        let rows = check_params(p, 2 * self.dim, 0)?;
        let (low, high) = (F::narrow(LOG_STD_RANGE.0), F::narrow(LOG_STD_RANGE.1));
        let (mut mean, mut raw) = (Vec::with_capacity(rows * self.dim), Vec::with_capacity(rows * self.dim));
        for row in p.y.chunks_exact(2 * self.dim) {
            mean.extend_from_slice(&row[..self.dim]);
            raw.extend_from_slice(&row[self.dim..]);
        }
        // A NaN stays one.
        let clip = |&x: &F| {
            if x < low {
                low
            } else if x > high {
                high
            } else {
                x
            }
        };
        let log_std: Vec<F> = raw.iter().map(clip).collect();
        let inv_std = log_std.iter().map(|&log_std| exp_of(-log_std)).collect();
        let moves = raw.iter().map(|x| !(*x < low || *x > high)).collect();
        Ok(Located { rows, mean, log_std, inv_std, moves })
    }

    fn add_outputs<F: Real>(&self, at: &Located<F>, d_mean: &[F], d_log_std: &[F], y: &mut [F]) {
        for (b, row) in y.chunks_exact_mut(2 * self.dim).enumerate() {
            for i in 0..self.dim {
                let k = b * self.dim + i;
                row[i] += d_mean[k];
                row[self.dim + i] += if at.moves[k] { d_log_std[k] } else { F::zero() };
            }
        }
    }

    fn push_forward<F: Real>(
        &self,
        _: &DistParams<'_, F>,
        at: &Located<F>,
        t: &DistGrad<'_, F>,
    ) -> (Vec<F>, Vec<F>) {
        let of = |k: usize| {
            let row = &t.y[k / self.dim * 2 * self.dim..];
            (row[k % self.dim], if at.moves[k] { row[self.dim + k % self.dim] } else { F::zero() })
        };
        (0..at.mean.len()).map(of).unzip()
    }
}

/// What Stable-Baselines3 adds to the variance, so that it never vanishes.
const EPSILON: f64 = 1e-6;

impl OfNoise {
    /// `h²`, `[rows, latent]`.
    fn squared_features<F: Real>(&self, y: &[F]) -> Vec<F> {
        let rows = y.chunks_exact(self.dim + self.latent);
        rows.flat_map(|row| row[self.dim..].iter().map(|&h| h * h)).collect()
    }

    /// `exp(2 log_std)`, `[latent, dim]`.
    fn variances<F: Real>(&self, globals: &[F]) -> Vec<F> {
        globals.iter().map(|&log_std| F::narrow(exp(2.0 * log_std.widen()))).collect()
    }
}

impl Location for OfNoise {
    fn spec(&self, squashed: bool) -> DistributionSpec {
        let OfNoise { dim, latent, sample_freq } = *self;
        DistributionSpec::Gsde { dim, latent, sample_freq, squashed }
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn n_outputs(&self) -> usize {
        self.dim + self.latent
    }

    fn globals(&self) -> Layout {
        let mut layout = Layout::new();
        layout.push("log_std", &[self.latent, self.dim]);
        layout
    }

    fn has_globals(&self) -> bool {
        true
    }

    fn locate<F: Real>(&self, p: &DistParams<'_, F>) -> Result<Located<F>, NnError> {
        let rows = check_params(p, self.dim + self.latent, self.latent * self.dim)?;
        let (h2, s2) = (self.squared_features(p.y), self.variances(p.globals));
        let mut variance = vec![F::zero(); rows * self.dim];
        let (h2, s2) = (MatRef::new(&h2, rows, self.latent), MatRef::new(&s2, self.latent, self.dim));
        F::matmul(&mut variance, h2, s2, Init::Zero);
        let variance = variance.iter().map(|v| v.widen() + EPSILON);
        let (log_std, inv_std) =
            variance.map(|v| (F::narrow(0.5 * ln(v)), F::narrow(1.0 / v.sqrt()))).unzip();
        let mean =
            p.y.chunks_exact(self.dim + self.latent).flat_map(|row| &row[..self.dim]).copied().collect();
        Ok(Located { rows, mean, log_std, inv_std, moves: Vec::new() })
    }

    fn add_outputs<F: Real>(&self, _: &Located<F>, d_mean: &[F], _: &[F], y: &mut [F]) {
        let rows = y.chunks_exact_mut(self.dim + self.latent).zip(d_mean.chunks_exact(self.dim));
        rows.for_each(|(row, d)| row.iter_mut().zip(d).for_each(|(y, &d)| *y += d));
    }

    /// `∂ log σ_i / ∂ log_std_ki = h_k² exp(2 log_std_ki) / σ_i²`
    fn add_globals<F: Real>(
        &self,
        p: &DistParams<'_, F>,
        at: &Located<F>,
        d_log_std: &[F],
        globals: &mut [F],
    ) {
        let per_variance: Vec<F> =
            d_log_std.iter().zip(&at.inv_std).map(|(&d, &inv)| d * inv * inv).collect();
        let h2 = self.squared_features(p.y);
        let mut sums = vec![F::zero(); globals.len()];
        let h2 = MatRef::new(&h2, at.rows, self.latent);
        F::matmul(&mut sums, h2.t(), MatRef::new(&per_variance, at.rows, self.dim), Init::Zero);
        let s2 = self.variances(p.globals);
        globals.iter_mut().zip(s2.iter().zip(&sums)).for_each(|(g, (&s2, &sum))| *g += s2 * sum);
    }

    fn push_forward<F: Real>(
        &self,
        p: &DistParams<'_, F>,
        at: &Located<F>,
        t: &DistGrad<'_, F>,
    ) -> (Vec<F>, Vec<F>) {
        let (h2, s2) = (self.squared_features(p.y), self.variances(p.globals));
        let moved: Vec<F> = s2.iter().zip(&*t.globals).map(|(&s2, &t)| s2 * t).collect();
        let mut t_log_std = vec![F::zero(); at.mean.len()];
        let h2 = MatRef::new(&h2, at.rows, self.latent);
        F::matmul(&mut t_log_std, h2, MatRef::new(&moved, self.latent, self.dim), Init::Zero);
        t_log_std.iter_mut().zip(&at.inv_std).for_each(|(t, &inv)| *t *= inv * inv);
        let rows = t.y.chunks_exact(self.dim + self.latent);
        (rows.flat_map(|row| &row[..self.dim]).copied().collect(), t_log_std)
    }

    /// Standard normals are kept, `[rows, latent, dim]`, and scaled at every step: the standard deviations do not change while they are.
    fn sample<F: Real>(
        &self,
        p: &DistParams<'_, F>,
        at: &Located<F>,
        noise: &mut Noise<F>,
        out: &mut Vec<F>,
    ) {
        let of_row = self.latent * self.dim;
        let again =
            self.sample_freq.is_some_and(|freq| freq > 0 && noise.age.is_multiple_of(freq) && !noise.kept);
        if noise.age == 0 || again || noise.state.len() != at.rows * of_row {
            noise.state.clear();
            for rng in &mut noise.rngs {
                noise.state.extend((0..of_row).map(|_| F::narrow(StandardNormal.sample(&mut *rng))));
            }
        }
        let std: Vec<F> = p.globals.iter().map(|&log_std| exp_of(log_std)).collect();
        let rows = p.y.chunks_exact(self.dim + self.latent).zip(noise.state.chunks_exact(of_row));
        for (y, z) in rows {
            let (mean, h) = y.split_at(self.dim);
            for (i, &mean) in mean.iter().enumerate() {
                let along = |k: usize| h[k] * std[k * self.dim + i] * z[k * self.dim + i];
                out.push((0..self.latent).fold(mean, |a, k| a + along(k)));
            }
        }
    }
}
