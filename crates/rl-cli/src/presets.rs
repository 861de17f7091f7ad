//! Named settings.

use anyhow::{Context, Result, bail};
use rl_algo::{Settings, nearest};

use crate::errors::usage;

/// The library's defaults, which are Stable-Baselines3's: there for every algorithm and environment.
pub(crate) const SB3: &str = "sb3";
/// Tuned for an environment.
const ZOO: &str = "zoo";

const ZOO_TOML: [&str; 2] = [include_str!("../presets/zoo.toml"), include_str!("../presets/gym.toml")];

/// Settings tuned for one algorithm in one environment.
pub(crate) struct Preset {
    pub(crate) name: &'static str,
    pub(crate) algo: String,
    pub(crate) env: String,
    pub(crate) settings: Settings,
}

/// All presets but `sb3`.
pub(crate) fn all() -> Result<Vec<Preset>> {
    let mut presets = Vec::new();
    let mut algos = Vec::new();
    for text in ZOO_TOML {
        algos.extend(text.parse::<toml::Table>().context("the zoo's presets")?);
    }
    for (algo, envs) in algos {
        for (env, settings) in envs.try_into::<toml::Table>().context("the zoo's presets")? {
            let settings =
                settings.try_into().with_context(|| format!("the zoo's preset for {algo} on {env}"))?;
            presets.push(Preset { name: ZOO, algo: algo.clone(), env, settings });
        }
    }
    Ok(presets)
}

/// The settings of a preset, by default the best there is, with its name.
///
/// # Errors
///
/// For an unknown name, and for one without settings for this algorithm and environment.
pub(crate) fn find(name: Option<&str>, algo: &str, env: &str) -> Result<(&'static str, Settings)> {
    let env = base(env);
    let tuned = all()?.into_iter().find(|p| p.algo == algo && p.env == env);
    match (name, tuned) {
        (None | Some(ZOO), Some(preset)) => Ok((preset.name, preset.settings)),
        (None, None) | (Some(SB3), _) => Ok((SB3, Settings::new())),
        (Some(ZOO), None) => {
            bail!(usage(format!("preset \"{ZOO}\": it has no settings for {algo} on {env}; \"{SB3}\" has")))
        }
        (Some(other), _) => {
            let hint =
                nearest(other, [SB3, ZOO]).map(|n| format!(", did you mean {n:?}?")).unwrap_or_default();
            bail!(usage(format!("unknown preset {other:?}{hint}; known: {SB3}, {ZOO}")))
        }
    }
}

/// The name that settings are tuned for: without the options that an environment of Gymnasium is made with.
fn base(env: &str) -> String {
    env.parse::<rl_gym::GymName>().map_or_else(|_| env.to_owned(), |name| name.base())
}

#[cfg(test)]
mod tests {
    use rl_env::{BoxSpace, EnvSpec, Space};

    use super::*;

    #[test]
    fn every_preset_makes_a_run() {
        let (envs, algorithms) = (rl_env::Registry::builtin(), crate::builtin_algorithms());
        let presets = all().unwrap();
        assert_eq!(presets.len(), 10 + 18);
        for p in presets {
            let algo = algorithms.get(&p.algo).unwrap();
            let env = envs.get(&p.env).cloned().unwrap_or_else(|_| in_python(&p.env));
            for name in [Some(ZOO), Some(SB3), None] {
                crate::run_config::RunConfig::resolve(algo, &env, name, Vec::new()).unwrap();
            }
        }
    }

    /// An environment of Gymnasium as far as planning a run looks at it: its name and the kind of its spaces.
    fn in_python(id: &str) -> EnvSpec {
        let actions = match id {
            "gym:LunarLander-v3" => Space::Discrete(4),
            _ => BoxSpace::uniform(-1.0, 1.0, &[3]).into(),
        };
        let observations = BoxSpace::uniform(-1.0, 1.0, &[8]).into();
        EnvSpec::from_vec(id, observations, actions, |_| Err(rl_env::EnvError::CannotRestore))
    }

    #[test]
    fn options_of_an_environment_change_no_preset() {
        let (name, settings) =
            find(None, "trpo", r#"gym:gymnasium:Hopper-v5?{"kwargs":{"ctrl_cost_weight":0.1}}"#).unwrap();
        assert_eq!((name, settings["cg_iters"].as_u64()), (ZOO, Some(25)));
        assert_eq!(find(None, "trpo", "gymvec:Hopper-v5").unwrap().0, SB3);
    }
}
