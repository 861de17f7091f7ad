//! Networks as descriptions, to be saved beside their parameters.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    Activation, Builders, Chain, Cnn, CnnSpec, Fork, Identity, LayerNorm, Mlp, Network, NnError, Real,
};

/// The most parameters that a described network may have: 1 GiB of `f32`. As many elements a row may have.
const MAX_PARAMS: usize = 1 << 28;
/// How deep compositions may be nested.
const MAX_DEPTH: usize = 16;

/// The description of a network, without its parameters.
///
/// ```
/// use rl_nn::NetworkSpec;
///
/// let text = r#"{"kind": "mlp", "sizes": [4, 64, 2], "activation": "tanh"}"#;
/// let spec: NetworkSpec = serde_json::from_str(text).unwrap();
/// assert_eq!(spec.build::<f32>()?.n_params(), 4 * 64 + 64 + 64 * 2 + 2);
/// # Ok::<(), rl_nn::NnError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum NetworkSpec {
    /// A perceptron, [`Mlp`].
    Mlp {
        /// `[n_inputs, hidden…, n_outputs]`.
        sizes: Vec<usize>,
        /// What follows the hidden layers.
        activation: Activation,
        /// Whether it follows the last layer too.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        activated_output: bool,
    },
    /// Convolutions and a linear layer, [`Cnn`].
    Cnn(CnnSpec),
    /// [`Identity`].
    Identity {
        /// Elements of a row.
        n: usize,
    },
    /// [`LayerNorm`].
    LayerNorm {
        /// Elements of a row.
        n: usize,
        /// What follows it, if anything does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        activation: Option<Activation>,
    },
    /// Networks one after the other, [`Chain`].
    Chain {
        /// Their names and descriptions.
        parts: Vec<(String, NetworkSpec)>,
    },
    /// A trunk and heads, [`Fork`].
    Fork {
        /// What the heads share.
        trunk: Box<NetworkSpec>,
        /// Their names and descriptions.
        heads: Vec<(String, NetworkSpec)>,
        /// Parameters that belong to none of them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        free: Vec<FreeParameters>,
    },
    /// A network of a user's own, which [`Builders`] make.
    Custom {
        /// The builder's name.
        name: String,
        /// What it is given.
        #[serde(default)]
        value: serde_json::Value,
    },
}

/// Room in θ for parameters that no output depends on, [`Fork::with_free_parameters`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreeParameters {
    /// The index of the head that they follow.
    pub after_head: usize,
    /// Their tensor's name.
    pub name: String,
    /// Their number.
    pub len: usize,
}

impl NetworkSpec {
    /// The network, in `f32` to train or in `f64` to verify. Everything is checked before anything is allocated that grows with the network.
    ///
    /// # Errors
    ///
    /// [`NnError::Description`] for a network of a user's own, for more than 2²⁸ parameters or elements of a row and for compositions more than 16
    /// deep; [`NnError::Shape`] for sizes of 0 and parts that do not fit.
    pub fn build<F: Real>(&self) -> Result<Arc<dyn Network<F>>, NnError> {
        self.check(0, &mut 0)?;
        self.assemble(&|name, _| {
            Err(NnError::Description(format!("the network {name:?} needs a registered builder")))
        })
    }

    /// The network, with builders for those of a user's own.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build); [`NnError::Description`] for a name that no builder has; a builder's own.
    pub fn build_with(&self, builders: &Builders) -> Result<Arc<dyn Network<f32>>, NnError> {
        self.check(0, &mut 0)?;
        self.assemble(&|name, value| builders.build_network(name, value))
    }

    /// Adds the parameters up, as far as they are known, without overflow.
    fn check(&self, depth: usize, n_params: &mut usize) -> Result<(), NnError> {
        if depth > MAX_DEPTH {
            return Err(NnError::Description(format!(
                "more than {MAX_DEPTH} compositions inside each other"
            )));
        }
        match self {
            NetworkSpec::Mlp { sizes, .. } => {
                sizes.iter().try_for_each(|&n| check_row(n))?;
                for io in sizes.windows(2) {
                    add_params(n_params, io[0].saturating_add(1).saturating_mul(io[1]))?;
                }
                Ok(())
            }
            NetworkSpec::Cnn(cnn) => {
                check_row(cnn.features)?;
                add_params(n_params, cnn.n_params()?)
            }
            NetworkSpec::Identity { n } => check_row(*n),
            NetworkSpec::LayerNorm { n, .. } => add_params(n_params, n.saturating_mul(2)),
            NetworkSpec::Chain { parts } => {
                parts.iter().try_for_each(|(_, part)| part.check(depth + 1, n_params))
            }
            NetworkSpec::Fork { trunk, heads, free } => {
                trunk.check(depth + 1, n_params)?;
                heads.iter().try_for_each(|(_, head)| head.check(depth + 1, n_params))?;
                free.iter().try_for_each(|free| add_params(n_params, free.len))
            }
            NetworkSpec::Custom { .. } => Ok(()),
        }
    }

    fn assemble<F: Real>(&self, custom: &Custom<'_, F>) -> Result<Arc<dyn Network<F>>, NnError> {
        let named = |list: &[(String, NetworkSpec)]| -> Result<Vec<_>, NnError> {
            list.iter().map(|(name, spec)| Ok((name.clone(), spec.assemble(custom)?))).collect()
        };
        Ok(match self {
            NetworkSpec::Mlp { sizes, activation, activated_output: false } => {
                Arc::new(Mlp::new(sizes, *activation)?)
            }
            NetworkSpec::Mlp { sizes, activation, activated_output: true } => {
                Arc::new(Mlp::trunk(sizes, *activation)?)
            }
            NetworkSpec::Cnn(cnn) => Arc::new(Cnn::new(cnn)?),
            NetworkSpec::Identity { n } => Arc::new(Identity::new(*n)?),
            NetworkSpec::LayerNorm { n, activation } => Arc::new(LayerNorm::new(*n, *activation)?),
            NetworkSpec::Chain { parts } => Arc::new(Chain::new(named(parts)?)?),
            NetworkSpec::Fork { trunk, heads, free } => {
                let fork = Fork::new(trunk.assemble(custom)?, named(heads)?)?;
                let add = |fork: Fork<F>, free: &FreeParameters| {
                    fork.with_free_parameters(free.after_head, &free.name, free.len)
                };
                Arc::new(free.iter().try_fold(fork, add)?)
            }
            NetworkSpec::Custom { name, value } => custom(name, value)?,
        })
    }
}

/// Makes what only a user knows.
type Custom<'a, F> = dyn Fn(&str, &serde_json::Value) -> Result<Arc<dyn Network<F>>, NnError> + 'a;

fn check_row(n: usize) -> Result<(), NnError> {
    if n > MAX_PARAMS {
        return Err(NnError::Description(format!("rows of {n} elements; 2^28 are the most")));
    }
    Ok(())
}

fn add_params(sum: &mut usize, more: usize) -> Result<(), NnError> {
    *sum = sum.saturating_add(more);
    if *sum > MAX_PARAMS {
        return Err(NnError::Description(format!("at least {sum} parameters; 2^28 are the most")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mlp(sizes: &[usize], activated_output: bool) -> NetworkSpec {
        NetworkSpec::Mlp { sizes: sizes.to_vec(), activation: Activation::Silu, activated_output }
    }

    /// A trunk that is a chain, and three heads with free parameters behind the first and the last.
    fn agent() -> NetworkSpec {
        let parts = vec![("a".to_owned(), mlp(&[3, 6], true)), ("b".to_owned(), mlp(&[6, 5, 4], true))];
        let free = |after_head, name: &str| FreeParameters { after_head, name: name.to_owned(), len: 2 };
        NetworkSpec::Fork {
            trunk: Box::new(NetworkSpec::Chain { parts }),
            heads: vec![
                ("policy".to_owned(), mlp(&[4, 2], false)),
                ("latent".to_owned(), NetworkSpec::Identity { n: 4 }),
                ("value".to_owned(), mlp(&[4, 1], false)),
            ],
            free: vec![free(0, "log_std"), free(2, "more"), free(0, "again")],
        }
    }

    #[test]
    fn a_description_goes_through_text_and_a_network_and_back() {
        let text = serde_json::to_string(&agent()).unwrap();
        let read: NetworkSpec = serde_json::from_str(&text).unwrap();
        assert_eq!(read, agent());
        let net = read.build::<f32>().unwrap();
        assert_eq!(net.spec(), Some(read));
        let names: Vec<_> = net.shape().layout.params().iter().map(|p| (&*p.name, p.offset)).collect();
        let (expected, end) = (
            [
                ("trunk.a.0.weight", 0),
                ("trunk.a.0.bias", 18),
                ("trunk.b.0.weight", 24),
                ("trunk.b.0.bias", 54),
                ("trunk.b.1.weight", 59),
                ("trunk.b.1.bias", 79),
                ("policy.0.weight", 83),
                ("policy.0.bias", 91),
                ("log_std", 93),
                ("again", 95),
                ("value.0.weight", 97),
                ("value.0.bias", 101),
                ("more", 102),
            ],
            104,
        );
        assert_eq!(names, expected);
        assert_eq!((net.n_params(), net.n_inputs(), net.n_outputs()), (end, 3, 7));
    }

    #[test]
    fn what_cannot_be_built_is_an_error() {
        let deep = |depth: usize| {
            (0..depth).fold(mlp(&[2, 2], false), |spec, _| NetworkSpec::Chain {
                parts: vec![("a".to_owned(), spec)],
            })
        };
        assert!(deep(16).build::<f32>().is_ok());
        let fork = |free| match agent() {
            NetworkSpec::Fork { trunk, heads, .. } => NetworkSpec::Fork { trunk, heads, free },
            other => other,
        };
        let free = |after_head, name: &str, len| {
            fork(vec![FreeParameters { after_head, name: name.to_owned(), len }])
        };
        let twice = vec![("a".to_owned(), mlp(&[2, 2], false)), ("a".to_owned(), mlp(&[2, 2], false))];
        let custom = NetworkSpec::Custom { name: "mine".to_owned(), value: serde_json::Value::Null };
        let misfit = vec![("a".to_owned(), mlp(&[2, 2], false)), ("b".to_owned(), mlp(&[3, 2], false))];
        for spec in [
            deep(17),
            deep(2000),
            mlp(&[], false),
            mlp(&[3], true),
            mlp(&[3, 0, 2], false),
            mlp(&[usize::MAX, 1], false),
            mlp(&[1 << 14, 1 << 14], false),
            mlp(&[1, 1 << 27, 1, 1 << 27], false),
            NetworkSpec::Identity { n: 0 },
            NetworkSpec::Identity { n: usize::MAX },
            NetworkSpec::Chain { parts: Vec::new() },
            NetworkSpec::Chain { parts: twice },
            NetworkSpec::Chain { parts: misfit },
            free(3, "x", 1),
            free(1, "x", 0),
            free(1, "x", usize::MAX),
            free(1, "policy.0.bias", 2),
            custom,
        ] {
            let message = spec.build::<f32>().err().map(|e| e.to_string());
            assert!(message.is_some(), "{spec:?}");
            assert!(spec.build_with(&Builders::default()).is_err());
        }
        let text = r#"{"kind": "mlp", "sizes": [4, 2], "activation": "tanh", "dropout": 0.5}"#;
        assert!(serde_json::from_str::<NetworkSpec>(text).is_err());
    }

    /// Rows of the file's nesting, not of ours: reading stops before any stack does.
    #[test]
    fn a_deeply_nested_file_is_an_error() {
        let n = 100_000;
        let open = r#"{"kind":"chain","parts":[["a","#;
        assert!(serde_json::from_str::<NetworkSpec>(&open.repeat(n)).is_err());
    }
}
