//! How networks of a user's own are made again from their saved descriptions.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::{Distribution, Network, NnError};

/// Makes a network of the value that its description holds. Whatever the value is, it must answer with an error and not panic: it may come from
/// anybody's file.
pub type NetworkBuilder = dyn Fn(&serde_json::Value) -> Result<Arc<dyn Network<f32>>, NnError> + Send + Sync;

/// Makes a distribution of the value that its description holds, on the same terms.
pub type DistributionBuilder =
    dyn Fn(&serde_json::Value) -> Result<Arc<dyn Distribution<f32>>, NnError> + Send + Sync;

/// Functions that make a user's own networks and distributions from saved descriptions, by name: [`NetworkSpec::build_with`](crate::NetworkSpec::build_with).
///
/// ```
/// use std::sync::Arc;
/// use rl_nn::{Builders, Identity, NetworkSpec};
///
/// let builders = Builders::default().network("same", |value| {
///     let n = value.as_u64().and_then(|n| usize::try_from(n).ok());
///     Ok(Arc::new(Identity::new(n.unwrap_or(0))?))
/// });
/// let spec = NetworkSpec::Custom { name: "same".to_owned(), value: 3.into() };
/// assert_eq!(spec.build_with(&builders)?.n_outputs(), 3);
/// assert!(spec.build_with(&Builders::default()).is_err());
/// # Ok::<(), rl_nn::NnError>(())
/// ```
#[derive(Clone, Default)]
pub struct Builders {
    networks: BTreeMap<String, Arc<NetworkBuilder>>,
    distributions: BTreeMap<String, Arc<DistributionBuilder>>,
}

impl fmt::Debug for Builders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builders")
            .field("networks", &self.networks.keys())
            .field("distributions", &self.distributions.keys())
            .finish()
    }
}

impl Builders {
    /// Adds the builder of networks that call themselves `name`, in place of an earlier one.
    #[must_use]
    pub fn network(
        mut self,
        name: impl Into<String>,
        build: impl Fn(&serde_json::Value) -> Result<Arc<dyn Network<f32>>, NnError> + Send + Sync + 'static,
    ) -> Self {
        self.networks.insert(name.into(), Arc::new(build));
        self
    }

    /// Adds the builder of distributions that call themselves `name`, in place of an earlier one.
    #[must_use]
    pub fn distribution(
        mut self,
        name: impl Into<String>,
        build: impl Fn(&serde_json::Value) -> Result<Arc<dyn Distribution<f32>>, NnError> + Send + Sync + 'static,
    ) -> Self {
        self.distributions.insert(name.into(), Arc::new(build));
        self
    }

    /// Builds a distribution of a user's own.
    pub(crate) fn build_distribution(
        &self,
        name: &str,
        value: &serde_json::Value,
    ) -> Result<Arc<dyn Distribution<f32>>, NnError> {
        match self.distributions.get(name) {
            Some(build) => build(value),
            None => Err(unknown("distributions", name, &self.distributions)),
        }
    }

    /// Builds a network of a user's own.
    pub(crate) fn build_network(
        &self,
        name: &str,
        value: &serde_json::Value,
    ) -> Result<Arc<dyn Network<f32>>, NnError> {
        match self.networks.get(name) {
            Some(build) => build(value),
            None => Err(unknown("networks", name, &self.networks)),
        }
    }
}

fn unknown<T>(what: &str, name: &str, builders: &BTreeMap<String, T>) -> NnError {
    let known: Vec<&str> = builders.keys().map(String::as_str).collect();
    let known = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
    NnError::Description(format!(
        "no builder of {what} is called {name:?}, registered: {known}; the program that made it has one: in Rust, `Policy::load_with` takes its builders, which `FeatureNetwork::add_to` and the \
         like register"
    ))
}
