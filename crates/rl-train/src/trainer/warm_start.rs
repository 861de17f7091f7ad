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
/// [`TrainError::WarmStart`], which names everything that differs.
pub fn check_warm_start(
    saved: &Policy,
    agent: &PolicyModel<f32>,
    config: &TrainConfig,
) -> Result<(), TrainError> {
    let described = |model| PolicySpec::of(model).and_then(|spec| serde_json::to_value(spec).ok());
    let mut differing = match (described(saved.trained().model()), described(agent)) {
        (Some(theirs), Some(ours)) => differences("", &theirs, &ours),
        _ => vec!["the network or the distribution of one of them has no description".to_owned()],
    };
    let (is_normalized, normalizes) =
        (saved.observation_normalizer().is_some(), config.normalize_observation);
    if is_normalized != normalizes {
        let saw = if is_normalized { "normalised" } else { "raw" };
        differing.push(format!(
            "it was trained on {saw} observations, and the run has normalize_observation = {normalizes}"
        ));
    }
    let (theirs, ours) = (saved.trained().theta().len(), agent.n_params());
    // Of other networks that says nothing new.
    if theirs != ours && differing.is_empty() {
        differing.push(format!("it has {theirs} parameters, the run's agent {ours}"));
    }
    if differing.is_empty() { Ok(()) } else { Err(TrainError::WarmStart(differing.join("; "))) }
}

/// In what two descriptions differ. Of things of different kinds only the kinds are named, as the rest follows from them. Lists of named parts are gone
/// through where the names are the same; other lists differ as a whole.
fn differences(place: &str, theirs: &Value, ours: &Value) -> Vec<String> {
    let inner = |key: &str| if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
    let all_of = |parts: Vec<(&str, &Value, &Value)>| -> Vec<String> {
        parts.into_iter().flat_map(|(key, theirs, ours)| differences(&inner(key), theirs, ours)).collect()
    };
    match (theirs, ours) {
        _ if theirs == ours => Vec::new(),
        (Value::Object(of_theirs), Value::Object(of_ours)) => {
            if theirs["kind"] != ours["kind"] {
                return all_of(vec![("kind", &theirs["kind"], &ours["kind"])]);
            }
            let more = of_ours.keys().filter(|key| !of_theirs.contains_key(*key));
            all_of(of_theirs.keys().chain(more).map(|key| (&**key, &theirs[key], &ours[key])).collect())
        }
        (Value::Array(of_theirs), Value::Array(of_ours)) if of_theirs.len() == of_ours.len() => {
            let pairs = of_theirs.iter().zip(of_ours).map(|(theirs, ours)| same_part(theirs, ours));
            match pairs.collect::<Option<Vec<_>>>() {
                Some(parts) => all_of(parts),
                None => vec![told(place, theirs, ours)],
            }
        }
        _ => vec![told(place, theirs, ours)],
    }
}

/// A part `[name, description]` of both, where it has the same name in both.
fn same_part<'a>(theirs: &'a Value, ours: &'a Value) -> Option<(&'a str, &'a Value, &'a Value)> {
    let [Value::String(name), theirs] = &theirs.as_array()?[..] else { return None };
    let [Value::String(same), ours] = &ours.as_array()?[..] else { return None };
    (name == same).then_some((&**name, theirs, ours))
}

fn told(place: &str, theirs: &Value, ours: &Value) -> String {
    format!("its {place} is {theirs}, that of the run's agent {ours}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_difference_is_named_and_nothing_that_follows() {
        let chain = |sizes: Value, kind: &str| {
            json!({"network": {"kind": "chain", "parts": [["trunk", {"kind": "mlp", "sizes": sizes}], ["policy", {"kind": kind, "n": 2}]]},
                "bounds": [[0, 1]]})
        };
        let (a, mut b) = (chain(json!([4, 8]), "mlp"), chain(json!([4, 16]), "identity"));
        assert_eq!(differences("", &a, &a), Vec::<String>::new());
        b["bounds"] = json!([[0, 2]]);
        b["more"] = json!(true);
        let expected = [
            "its network.parts.trunk.sizes is [4,8], that of the run's agent [4,16]",
            "its network.parts.policy.kind is \"mlp\", that of the run's agent \"identity\"",
            "its bounds is [[0,1]], that of the run's agent [[0,2]]",
            "its more is null, that of the run's agent true",
        ];
        assert_eq!(differences("", &a, &b), expected);
    }
}
