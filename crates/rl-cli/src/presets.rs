//! Named settings.

use anyhow::{Context, Result, bail};
use rl_algo::{Settings, nearest};

use crate::errors::usage;

/// The library's defaults, which are Stable-Baselines3's: there for every algorithm and environment.
pub(crate) const SB3: &str = "sb3";
/// Tuned for an environment.
const ZOO: &str = "zoo";

const ZOO_TOML: &str = include_str!("../presets/zoo.toml");

/// Settings tuned for one algorithm in one environment.
pub(crate) struct Preset {
    pub(crate) name: &'static str,
    pub(crate) algo: String,
    pub(crate) env: String,
    pub(crate) settings: Settings,
}

/// All presets but `sb3`.
pub(crate) fn all() -> Result<Vec<Preset>> {
    let algos: toml::Table = ZOO_TOML.parse().context("the zoo's presets")?;
    let mut presets = Vec::new();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_makes_a_run() {
        let known =
            crate::Known { envs: rl_env::Registry::builtin(), algorithms: crate::builtin_algorithms() };
        let presets = all().unwrap();
        assert_eq!(presets.len(), 10);
        for p in presets {
            let (algo, env) = (known.algorithms.get(&p.algo).unwrap(), known.envs.get(&p.env).unwrap());
            for name in [Some(ZOO), Some(SB3), None] {
                crate::plan::RunConfig::resolve(algo, env, name, Vec::new()).unwrap();
            }
        }
    }
}
