//! What a saved policy records of its distribution.

use std::sync::Arc;

use super::{Bernoulli, Categorical, DiagGaussian, FreeGaussian, Gsde, MultiCategorical, StateGaussian};
use crate::{Builders, Distribution, NnError, Real};

/// The description of a distribution, from which it can be made again.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum DistributionSpec {
    /// [`Categorical`] over `n` actions.
    Categorical {
        /// The number of actions.
        n: usize,
    },
    /// [`MultiCategorical`].
    MultiCategorical {
        /// The number of choices in every dimension.
        ns: Vec<usize>,
    },
    /// [`Bernoulli`] over `n` bits.
    Bernoulli {
        /// The number of bits.
        n: usize,
    },
    /// [`DiagGaussian`] over `dim` reals.
    DiagGaussian {
        /// The number of action dimensions.
        dim: usize,
    },
    /// [`FreeGaussian`] over `dim` reals.
    FreeGaussian {
        /// The number of action dimensions.
        dim: usize,
        /// Whether samples are squashed by tanh.
        squashed: bool,
    },
    /// [`StateGaussian`] over `dim` reals.
    StateGaussian {
        /// The number of action dimensions.
        dim: usize,
        /// Whether samples are squashed by tanh.
        squashed: bool,
    },
    /// [`Gsde`] over `dim` reals.
    Gsde {
        /// The number of action dimensions.
        dim: usize,
        /// The number of features that the noise is a function of.
        latent: usize,
        /// Steps after which the noise is drawn anew; `None` for once a rollout.
        sample_freq: Option<u64>,
        /// Whether samples are squashed by tanh.
        squashed: bool,
    },
    /// A user's own, made by the builder registered under this name ([`crate::Builders`]).
    Custom {
        /// The builder's name.
        name: String,
        /// What it is given.
        value: serde_json::Value,
    },
}

/// The largest number of outputs of a saved policy.
const MAX_OUTPUTS: usize = 1 << 20;

impl DistributionSpec {
    /// The distribution it describes, with builders for those of a user's own.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build); [`NnError::Description`] for a name that no builder has; a builder's own.
    pub fn build_with(&self, builders: &Builders) -> Result<Arc<dyn Distribution<f32>>, NnError> {
        match self {
            DistributionSpec::Custom { name, value } => builders.build_distribution(name, value),
            known => known.build(),
        }
    }

    /// The distribution it describes.
    ///
    /// # Errors
    ///
    /// [`NnError::Saved`] for sizes that no distribution has, and for a user's own, which only its builder can make.
    pub fn build<F: Real>(&self) -> Result<Arc<dyn Distribution<F>>, NnError> {
        let sane = |what: &str, n: usize| {
            if (1..=MAX_OUTPUTS).contains(&n) {
                return Ok(n);
            }
            Err(NnError::Saved(format!("a distribution over {n} {what}, expected 1 to {MAX_OUTPUTS}")))
        };
        let of_reals = |dim| sane("action dimensions", dim);
        Ok(match self {
            DistributionSpec::Categorical { n } => Arc::new(Categorical { n: sane("actions", *n)? }),
            DistributionSpec::MultiCategorical { ns } => {
                sane("action dimensions", ns.len())?;
                let total = ns.iter().try_fold(0_usize, |sum, n| sum.checked_add(sane("choices", *n).ok()?));
                sane("choices", total.unwrap_or(0))?;
                Arc::new(MultiCategorical::new(ns))
            }
            DistributionSpec::Bernoulli { n } => Arc::new(Bernoulli::new(sane("bits", *n)?)),
            DistributionSpec::DiagGaussian { dim } => Arc::new(DiagGaussian { dim: of_reals(*dim)? }),
            DistributionSpec::FreeGaussian { dim, squashed } => {
                Arc::new(FreeGaussian::new(of_reals(*dim)?).squashed(*squashed))
            }
            DistributionSpec::StateGaussian { dim, squashed } => {
                Arc::new(StateGaussian::new(of_reals(*dim)?).squashed(*squashed))
            }
            DistributionSpec::Gsde { dim, latent, sample_freq, squashed } => {
                let (dim, latent) = (of_reals(*dim)?, sane("features", *latent)?);
                sane("free parameters", dim.saturating_mul(latent))?;
                Arc::new(Gsde::new(dim, latent, *sample_freq).squashed(*squashed))
            }
            DistributionSpec::Custom { name, .. } => {
                return Err(NnError::Saved(format!("the distribution {name:?} has no builder here")));
            }
        })
    }
}
