//! A network of a user's own that comes before the hidden layers.

use std::fmt;
use std::sync::Arc;

use rand::RngCore;
use rl_env::{Reproducible, Space};
use rl_nn::{Builders, Carry, Initialization, Network, NetworkSpec, NnError, Shape, States, Workspace};
use serde_json::Value;

use crate::written_space::{read, written};
use crate::{ConfigError, check_setting};

type Net = Arc<dyn Network<f32>>;
type Make = dyn Fn(&Space) -> Result<Net, NnError> + Send + Sync;

/// A network of a user's own under a name, which actor and critic see observations through: the value [`Features::Own`](crate::Features::Own) of the
/// setting `features`. The hidden layers of `net_arch` come behind it, then a linear output; with `net_arch = []` the output alone.
///
/// ```
/// use std::sync::Arc;
/// use rl_algo::{FeatureNetwork, Features, NetConfig, design};
/// use rl_env::Space;
/// use rl_nn::{Activation, Mlp};
///
/// let wide = FeatureNetwork::new("wide", |observations: &Space| {
///     Ok(Arc::new(Mlp::trunk(&[observations.flat_len(), 100], Activation::Relu)?))
/// });
/// let config = NetConfig { features: Features::Own(wide), net_arch: [].into(), ..NetConfig::default() };
/// let policy = design(&Space::Discrete(4), &Space::Discrete(2), &config)?.policy_model()?;
/// assert_eq!(policy.n_params(), (4 * 100 + 100) + (100 * 2 + 2));
/// # Ok::<(), rl_algo::AlgoError>(())
/// ```
#[derive(Clone)]
pub struct FeatureNetwork {
    name: String,
    /// `None` where only the name is known, as after reading a file of settings.
    make: Option<Arc<Make>>,
}

impl FeatureNetwork {
    /// The network of this name, by a function that makes it for a space of observations: with as many inputs as [`Space::flat_len`] says. It must make
    /// the same network for the same space every time.
    pub fn new(
        name: impl Into<String>,
        make: impl Fn(&Space) -> Result<Net, NnError> + Send + Sync + 'static,
    ) -> Self {
        FeatureNetwork { name: name.into(), make: Some(Arc::new(make)) }
    }

    /// Only a name, which [`Features::among`](crate::Features::among) finds the network of.
    pub(crate) fn named(name: String) -> Self {
        FeatureNetwork { name, make: None }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same builders, and one that makes this network again for a saved policy whose network does not describe itself.
    pub fn add_to(&self, builders: Builders) -> Builders {
        let Some(make) = self.make.clone() else { return builders };
        let name = self.name.clone();
        builders.network(self.name.clone(), move |value| {
            let observations = read(value).ok_or_else(|| {
                NnError::Description(format!("the network {name:?} is saved for no space of observations"))
            })?;
            Ok(Arc::new(Described::new(make(&observations)?, &name, value.clone())))
        })
    }

    /// The network for a space.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a name without a network, for what the function says, and for a network with another number of inputs.
    pub(crate) fn for_observations(&self, observations: &Space) -> Result<Net, ConfigError> {
        let error = |allowed: String| ConfigError {
            key: "features".to_owned(),
            value: format!("{:?}", self.name),
            allowed,
        };
        let make = self.make.as_ref().ok_or_else(|| {
            error("\"mlp\", \"cnn\", or a network that the program has under this name".to_owned())
        })?;
        let network = make(observations)
            .map_err(|e| error(format!("a network for {observations}, and its function says: {e}")))?;
        let (has, needs) = (network.n_inputs(), observations.flat_len());
        let allowed = format!("a network with {needs} inputs for {observations}; this one has {has}");
        check_setting("features", format!("{:?}", self.name), &allowed, has == needs)?;
        Ok(match network.spec() {
            Some(_) => network,
            None => Arc::new(Described::new(network, &self.name, written(observations))),
        })
    }
}

impl PartialEq for FeatureNetwork {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for FeatureNetwork {}

impl fmt::Debug for FeatureNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FeatureNetwork").field(&self.name).finish()
    }
}

/// A network with a description, so that policies with it can be saved.
struct Described {
    network: Net,
    spec: NetworkSpec,
}

impl Described {
    fn new(network: Net, name: &str, value: Value) -> Self {
        Described { network, spec: NetworkSpec::Custom { name: name.to_owned(), value } }
    }
}

impl Network<f32> for Described {
    fn shape(&self) -> &Shape {
        self.network.shape()
    }

    fn prepare(&self, theta: &[f32], ws: &mut Workspace<f32>) -> Result<(), NnError> {
        self.network.prepare(theta, ws)
    }

    fn forward(
        &self,
        theta: &[f32],
        x: &States<'_, f32>,
        carry: &mut Carry<f32>,
        y: &mut [f32],
        ws: &mut Workspace<f32>,
    ) -> Result<(), NnError> {
        self.network.forward(theta, x, carry, y, ws)
    }

    fn record(&self, theta: &[f32], x: &States<'_, f32>, ws: &mut Workspace<f32>) -> Result<(), NnError> {
        self.network.record(theta, x, ws)
    }

    fn vjp(
        &self,
        theta: &[f32],
        x: &States<'_, f32>,
        ws: &mut Workspace<f32>,
        dy: &[f32],
        grad: &mut [f32],
        dx: Option<&mut [f32]>,
    ) -> Result<(), NnError> {
        self.network.vjp(theta, x, ws, dy, grad, dx)
    }

    fn jvp(
        &self,
        theta: &[f32],
        x: &States<'_, f32>,
        ws: &mut Workspace<f32>,
        v: &[f32],
        dx: Option<&[f32]>,
        dy: &mut [f32],
    ) -> Result<(), NnError> {
        self.network.jvp(theta, x, ws, v, dx, dy)
    }

    fn shard_rows(&self) -> usize {
        self.network.shard_rows()
    }

    fn reproducible(&self) -> Reproducible {
        self.network.reproducible()
    }

    fn spec(&self) -> Option<NetworkSpec> {
        Some(self.spec.clone())
    }

    fn init(&self, theta: &mut [f32], how: Initialization, rng: &mut dyn RngCore) -> Result<(), NnError> {
        self.network.init(theta, how, rng)
    }
}

#[cfg(test)]
mod tests {
    use rl_nn::{Activation, Mlp};

    use super::*;
    use crate::{Features, NetConfig, design};

    fn refusal(features: Features) -> String {
        let config = NetConfig { features, ..NetConfig::default() };
        design(&Space::Discrete(4), &Space::Discrete(2), &config).err().unwrap().to_string()
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let of = |n: usize| {
            FeatureNetwork::new("wide", move |_: &Space| Ok(Arc::new(Mlp::trunk(&[n, 8], Activation::Relu)?)))
        };
        assert!(
            design(
                &Space::Discrete(4),
                &Space::Discrete(2),
                &NetConfig { features: Features::Own(of(4)), ..NetConfig::default() }
            )
            .is_ok()
        );
        let line = refusal(Features::Own(of(3)));
        assert!(line.contains("features = \"wide\": expected a network with 4 inputs"), "{line}");
        assert!(line.ends_with("this one has 3"), "{line}");
        let line = refusal(Features::Own(of(0)));
        assert!(line.contains("features = \"wide\"") && line.contains("its function says"), "{line}");
        let line = refusal(Features::from("wide".to_owned()));
        assert!(line.contains("a network that the program has under this name"), "{line}");
    }

    #[test]
    fn a_name_finds_its_network_or_the_nearest() {
        let wide =
            FeatureNetwork::new("wide", |_: &Space| Ok(Arc::new(Mlp::trunk(&[4, 8], Activation::Relu)?)));
        let known = [wide.clone()];
        let found = Features::from("wide".to_owned()).among(&known).unwrap();
        assert!(matches!(found, Features::Own(FeatureNetwork { make: Some(_), .. })));
        assert_eq!(Features::Cnn.among(&known), Ok(Features::Cnn));
        let line = Features::from("wdie".to_owned()).among(&known).unwrap_err().to_string();
        assert_eq!(
            line,
            "features = \"wdie\": expected one of \"mlp\", \"cnn\", \"wide\" (did you mean \"wide\"?)"
        );
    }
}
