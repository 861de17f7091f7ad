//! Names of environments in Python: complete, so that a saved policy finds its environment again.

use std::fmt;
use std::str::FromStr;

use rl_env::{Metric, metrics_fault};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::GymError;

/// `gym:ID`, `gym:MODULE:ID`, `gymvec:ID` or `gymvec:MODULE:FUNCTION`, with what the environment is made with after a `?`.
///
/// ```
/// use rl_gym::GymName;
///
/// let mut name: GymName = "gym:mine:Corridor-v0".parse()?;
/// assert_eq!((name.module.as_deref(), &*name.id), (Some("mine"), "Corridor-v0"));
/// name.options.kwargs.insert("length".into(), 7.into());
/// assert_eq!(name.to_string(), r#"gym:mine:Corridor-v0?{"kwargs":{"length":7}}"#);
/// assert_eq!(name.to_string().parse::<GymName>()?, name);
/// assert_eq!(name.base(), "gym:Corridor-v0");
/// # Ok::<(), rl_gym::GymError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GymName {
    /// Whether it is a vector environment of somebody else's rather than single environments.
    pub is_vector: bool,
    /// A module to import first, which registers the environment or holds the function.
    pub module: Option<String>,
    /// The identifier in Gymnasium's registry, or the function.
    pub id: String,
    /// What it is made with.
    pub options: GymOptions,
}

/// What an environment is made with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GymOptions {
    /// Keyword arguments of its constructor.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub kwargs: Map<String, Value>,
    /// Wrappers put around it, the innermost first: `module:function`, or `atari` for the usual preprocessing of Atari games.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wrappers: Vec<String>,
    /// What is told of `info` beside rewards: keys of numbers or flags, `KEY` for an episode's last value, `KEY=mean` or `KEY=sum` for those of its steps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub info: Vec<String>,
}

impl GymOptions {
    /// What [`info`](Self::info) asks for.
    ///
    /// ```
    /// use rl_env::Metric;
    /// use rl_gym::GymOptions;
    ///
    /// let options = GymOptions { info: vec!["is_success".into(), "distance=mean".into()], ..GymOptions::default() };
    /// assert_eq!(options.metrics()?, [Metric::last("is_success"), Metric::mean("distance")]);
    /// # Ok::<(), String>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub fn metrics(&self) -> Result<Vec<Metric>, String> {
        let metric = |text: &String| match text.split_once('=').unwrap_or((text, "last")) {
            (key, "last") => Ok(Metric::last(key)),
            (key, "mean") => Ok(Metric::mean(key)),
            (key, "sum") => Ok(Metric::sum(key)),
            (_, other) => Err(format!("info {text:?}: {other:?} is none of last, mean and sum")),
        };
        let metrics: Vec<Metric> = self.info.iter().map(metric).collect::<Result<_, _>>()?;
        match metrics_fault(&metrics) {
            None => Ok(metrics),
            Some(fault) => Err(format!("info: {fault}")),
        }
    }
}

const SINGLE: &str = "gym:";
const VECTOR: &str = "gymvec:";

impl GymName {
    /// Whether a text is meant as such a name.
    pub fn is_meant_by(text: &str) -> bool {
        text.starts_with(SINGLE) || text.starts_with(VECTOR)
    }

    /// The name without module and options: what settings are tuned for.
    pub fn base(&self) -> String {
        format!("{}{}", if self.is_vector { VECTOR } else { SINGLE }, self.id)
    }
}

impl FromStr for GymName {
    type Err = GymError;

    fn from_str(text: &str) -> Result<Self, GymError> {
        let wrong = |reason: String| GymError::Name { name: text.to_owned(), reason };
        let (is_vector, rest) = if let Some(rest) = text.strip_prefix(SINGLE) {
            (false, rest)
        } else if let Some(rest) = text.strip_prefix(VECTOR) {
            (true, rest)
        } else {
            return Err(wrong("expected gym:ID or gymvec:ID".into()));
        };
        let (path, options) = match rest.split_once('?') {
            None => (rest, GymOptions::default()),
            Some((path, json)) => {
                (path, serde_json::from_str(json).map_err(|e| wrong(format!("after the `?`: {e}")))?)
            }
        };
        let (module, id) = match path.rsplit_once(':') {
            Some((module, id)) => (Some(module), id),
            None => (None, path),
        };
        if id.is_empty() || module == Some("") {
            return Err(wrong("expected gym:ID or gym:MODULE:ID, such as gym:Hopper-v5".into()));
        }
        Ok(GymName { is_vector, module: module.map(str::to_owned), id: id.to_owned(), options })
    }
}

impl fmt::Display for GymName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_vector { VECTOR } else { SINGLE })?;
        if let Some(module) = &self.module {
            write!(f, "{module}:")?;
        }
        f.write_str(&self.id)?;
        if self.options != GymOptions::default() {
            let options = serde_json::to_string(&self.options).map_err(|_| fmt::Error)?;
            write!(f, "?{options}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for text in [
            "gym:Hopper-v5",
            "gym:ALE/Pong-v5",
            "gym:my.envs:Corridor-v0",
            "gymvec:CartPole-v1",
            "gymvec:fast:make",
            r#"gym:Hopper-v5?{"kwargs":{"a":[1,2.5],"b":"x?y:z"},"wrappers":["mine:Scale","atari"]}"#,
            r#"gym:Hopper-v5?{"info":["x_position","reward_ctrl=sum"]}"#,
        ] {
            let name: GymName = text.parse().unwrap();
            assert_eq!(name.to_string(), text);
        }
        let pong: GymName = "gym:ale_py:ALE/Pong-v5?{\"wrappers\":[\"atari\"]}".parse().unwrap();
        assert_eq!((pong.base(), pong.module.as_deref()), ("gym:ALE/Pong-v5".into(), Some("ale_py")));
    }

    #[test]
    fn what_is_asked_of_info_is_a_key_and_how_it_becomes_the_episodes() {
        let metrics = |info: &[&str]| {
            GymOptions { info: info.iter().map(|key| (*key).to_owned()).collect(), ..GymOptions::default() }
                .metrics()
        };
        assert_eq!(metrics(&["a=last", "b=sum"]).unwrap(), [Metric::last("a"), Metric::sum("b")]);
        for (info, part) in [
            (&["a=max"][..], "\"max\" is none of last, mean and sum"),
            (&["a", "a=mean"], "two metrics \"a\""),
            (&["=mean"], "\"\" cannot be called so"),
        ] {
            let error = metrics(info).unwrap_err();
            assert!(error.contains(part), "{info:?}: {error}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for (text, part) in [
            ("gym:", "expected gym:ID"),
            ("gym::X-v0", "expected gym:ID"),
            ("gym:m:", "expected gym:ID"),
            ("CartPole-v1", "expected gym:ID"),
            ("gym:X-v0?{", "after the `?`"),
            (r#"gym:X-v0?{"kwarg":{}}"#, "unknown field `kwarg`"),
        ] {
            let error = text.parse::<GymName>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(GymName::is_meant_by("gymvec:X") && !GymName::is_meant_by("Gym-v0"));
    }
}
