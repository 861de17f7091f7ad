//! A run that begins with a policy that was trained before.

use rl_env::EnvSpec;
use rl_nn::{PolicyModel, PolicySpec};
use rl_rollout::Collector;
use serde_json::Value;

use super::{Trainer, make_envs};
use crate::{Policy, TrainConfig, TrainError};

impl Trainer {
    /// Begins with the parameters of a saved policy, and where observations are normalised with the statistics it saw them through. The critic begins
    /// anew. For a trainer that has not begun, in the environment it was made for.
    ///
    /// # Errors
    ///
    /// Those of [`check_warm_start`]; those of [`Trainer::new`] when an environment does not start.
    pub fn initialised_from(mut self, env: &EnvSpec, policy: &Policy) -> Result<Self, TrainError> {
        check_warm_start(policy, self.agent.policy(), &self.config)?;
        if let Some(statistics) = policy.observation_normalizer() {
            let envs = make_envs(env, &self.config, Some(statistics))?;
            self.collector = Collector::in_parts(envs, self.info.seed)?;
        }
        self.agent.parts_mut().policy_theta.copy_from_slice(policy.trained().theta());
        Ok(self)
    }
}

/// Checks that a run whose agent has this policy can begin with a saved one: that their descriptions are the same, and that both see observations
/// through running statistics or neither does.
///
/// # Errors
///
/// [`TrainError::WarmStart`], which names what differs.
pub fn check_warm_start(
    saved: &Policy,
    agent: &PolicyModel<f32>,
    config: &TrainConfig,
) -> Result<(), TrainError> {
    let refused = |why: String| Err(TrainError::WarmStart(why));
    let described = |model| PolicySpec::of(model).and_then(|spec| serde_json::to_value(spec).ok());
    let (Some(theirs), Some(ours)) = (described(saved.trained().model()), described(agent)) else {
        return refused("the network or the distribution of one of them has no description".to_owned());
    };
    if let Some((place, theirs, ours)) = first_difference("", &theirs, &ours) {
        return refused(format!("its {place} is {theirs}, that of the run's agent {ours}"));
    }
    let (is_normalized, normalizes) =
        (saved.observation_normalizer().is_some(), config.normalize_observation);
    if is_normalized != normalizes {
        let saw = if is_normalized { "normalised" } else { "raw" };
        return refused(format!(
            "it was trained on {saw} observations, and the run has normalize_observation = {normalizes}"
        ));
    }
    let (theirs, ours) = (saved.trained().theta().len(), agent.n_params());
    if theirs != ours {
        return refused(format!("it has {theirs} parameters, the run's agent {ours}"));
    }
    Ok(())
}

/// Where two descriptions differ first, with what each has there; lists differ as a whole.
fn first_difference(place: &str, a: &Value, b: &Value) -> Option<(String, String, String)> {
    let (Value::Object(of_a), Value::Object(of_b)) = (a, b) else {
        return (a != b).then(|| (place.to_owned(), a.to_string(), b.to_string()));
    };
    let inner = |key: &str| if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
    // The kinds first: what follows from different ones says less.
    let keys = ["kind"].into_iter().chain(of_a.keys().chain(of_b.keys()).map(String::as_str));
    let absent = Value::Null;
    let mut found = keys.filter_map(|key| {
        let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(absent.clone());
        first_difference(&inner(key), &of(of_a), &of(of_b))
    });
    found.next()
}
