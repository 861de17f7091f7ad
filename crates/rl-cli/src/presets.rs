//! Named settings.

use std::fmt;

use anyhow::{Context, Result, bail};
use rl_algo::{Settings, nearest};
use rl_env::{EnvSpec, Space};

use crate::errors::usage;

/// The library's defaults, which are Stable-Baselines3's: there for every algorithm and environment.
pub(crate) const SB3: &str = "sb3";
/// Tuned for an environment.
const ZOO: &str = "zoo";

/// Every other preset, with the files that hold its settings.
const FILES: &[(&str, &str)] = &[
    (ZOO, include_str!("../presets/zoo.toml")),
    (ZOO, include_str!("../presets/gym.toml")),
    ("cleanrl", include_str!("../presets/cleanrl.toml")),
    ("spinningup", include_str!("../presets/spinningup.toml")),
    ("baselines", include_str!("../presets/baselines.toml")),
    ("tianshou", include_str!("../presets/tianshou.toml")),
];

/// Settings for one algorithm in some environments.
pub(crate) struct Preset {
    pub(crate) name: &'static str,
    pub(crate) algo: String,
    pub(crate) scope: Scope,
    pub(crate) settings: Settings,
}

/// In which environments a preset's settings are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// In one.
    Env(String),
    /// In those with continuous actions.
    Continuous,
    /// In those with other actions.
    Discrete,
    /// In all.
    Any,
}

impl Scope {
    fn read(text: String) -> Self {
        match text.as_str() {
            "continuous" => Scope::Continuous,
            "discrete" => Scope::Discrete,
            "any" => Scope::Any,
            _ => Scope::Env(text),
        }
    }

    fn holds(&self, env: &EnvSpec) -> bool {
        let is_continuous = matches!(env.action_space, Space::Box(_));
        match self {
            Scope::Env(id) => *id == base(&env.id),
            Scope::Continuous => is_continuous,
            Scope::Discrete => !is_continuous,
            Scope::Any => true,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scope::Env(id) => id,
            Scope::Continuous => "any with continuous actions",
            Scope::Discrete => "any with discrete actions",
            Scope::Any => "any",
        })
    }
}

/// All presets but `sb3`.
pub(crate) fn all() -> Result<Vec<Preset>> {
    let mut presets = Vec::new();
    for (name, text) in FILES {
        let algos = text.parse::<toml::Table>().with_context(|| format!("the presets {name}"))?;
        for (algo, scopes) in algos {
            for (scope, settings) in
                scopes.try_into::<toml::Table>().with_context(|| format!("the presets {name}"))?
            {
                let settings = settings
                    .try_into()
                    .with_context(|| format!("the preset {name} for {algo} on {scope}"))?;
                presets.push(Preset { name, algo: algo.clone(), scope: Scope::read(scope), settings });
            }
        }
    }
    Ok(presets)
}

/// The settings of a preset, by default the best there is, with its name.
///
/// # Errors
///
/// For an unknown name, and for one without settings for this algorithm and environment.
pub(crate) fn find(name: Option<&str>, algo: &str, env: &EnvSpec) -> Result<(&'static str, Settings)> {
    let wanted = name.unwrap_or(ZOO);
    let found = all()?.into_iter().find(|p| p.name == wanted && p.algo == algo && p.scope.holds(env));
    match (name, found) {
        (_, Some(preset)) => Ok((preset.name, preset.settings)),
        (None | Some(SB3), None) => Ok((SB3, Settings::new())),
        (Some(name), None) if FILES.iter().any(|(known, _)| *known == name) => {
            let (env, algos) = (base(&env.id), of_name(name)?.join(", "));
            bail!(usage(format!(
                "preset {name:?}: it has no settings for {algo} on {env}, but for {algos}; \"{SB3}\" has"
            )))
        }
        (Some(other), None) => {
            let hint = nearest(other, names()).map(|n| format!(", did you mean {n:?}?")).unwrap_or_default();
            let known = names().collect::<Vec<_>>().join(", ");
            bail!(usage(format!("unknown preset {other:?}{hint}; known: {known}")))
        }
    }
}

/// The names of all presets, each once.
fn names() -> impl Iterator<Item = &'static str> {
    let is_first = |i: usize| FILES[..i].iter().all(|(name, _)| *name != FILES[i].0);
    std::iter::once(SB3).chain((0..FILES.len()).filter(move |i| is_first(*i)).map(|i| FILES[i].0))
}

/// The algorithms that a preset has settings for.
fn of_name(name: &str) -> Result<Vec<String>> {
    let mut algos: Vec<String> = all()?.into_iter().filter(|p| p.name == name).map(|p| p.algo).collect();
    algos.sort();
    algos.dedup();
    Ok(algos)
}

/// The name that settings are tuned for: without the options that an environment of Gymnasium is made with.
fn base(env: &str) -> String {
    env.parse::<rl_gym::GymName>().map_or_else(|_| env.to_owned(), |name| name.base())
}

#[cfg(test)]
mod tests {
    use rl_env::BoxSpace;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_preset_makes_a_run() {
        let (envs, algorithms) = (rl_env::Registry::builtin(), crate::builtin_algorithms());
        let presets = all().unwrap();
        let tuned = presets.iter().filter(|p| matches!(p.scope, Scope::Env(_))).count();
        assert_eq!(tuned, 14 + 18);
        for p in presets {
            let algo = algorithms.get(&p.algo).unwrap();
            let ids = match &p.scope {
                Scope::Env(id) => vec![id.as_str()],
                Scope::Continuous => vec!["Pendulum-v1"],
                Scope::Discrete => vec!["CartPole-v1"],
                Scope::Any => vec!["Pendulum-v1", "CartPole-v1"],
            };
            for id in ids {
                let env = envs.get(id).cloned().unwrap_or_else(|_| in_python(id));
                for name in [Some(p.name), Some(SB3), None] {
                    crate::run_config::RunConfig::resolve(algo, &env, name, Vec::new()).unwrap();
                }
            }
        }
    }

    /// The presets of other systems, against their sources by hand: what differs from the library's defaults.
    #[test]
    fn presets_are_what_their_sources_say() {
        let (envs, algorithms) = (rl_env::Registry::builtin(), crate::builtin_algorithms());
        let differing = |preset: &str, algo: &str, env: &str| {
            let (algo, env) = (algorithms.get(algo).unwrap(), envs.get(env).unwrap());
            let of = |name| crate::run_config::RunConfig::resolve(algo, env, Some(name), Vec::new()).unwrap();
            let (mut settings, defaults) = (of(preset).settings(), of(SB3).settings());
            settings.retain(|key, value| defaults[key] != *value);
            serde_json::Value::Object(settings)
        };
        let normalized = |mut value: serde_json::Value| {
            value["normalize_observation"] = json!(true);
            value["normalize_reward"] = json!(true);
            value
        };
        let clean = json!({"n_envs": 4, "total_steps": 500_000, "n_steps": 128, "batch_size": 128, "n_epochs": 4,
            "learning_rate": "lin_0.00025", "clip_range_vf": 0.2, "ent_coef": 0.01, "vf_coef": 0.25});
        let clean_continuous = json!({"total_steps": 1_000_000, "learning_rate": "lin_0.0003", "clip_range_vf": 0.2, "vf_coef": 0.25});
        let spinning = json!({"total_steps": 200_000, "n_steps": 4000, "batch_size": 4000, "n_epochs": 80, "gae_lambda": 0.97,
            "vf_coef": 1.0, "max_grad_norm": null, "target_kl": 0.01, "kl_estimator": "k1", "normalize_advantage": "batch",
            "adam_eps": 1e-8, "ortho_init": false, "log_std_init": -0.5});
        let baselines = json!({"total_steps": 1_000_000, "batch_size": 512, "n_epochs": 4, "clip_range_vf": 0.2, "vf_coef": 0.25, "shared_layers": 2});
        let tianshou = json!({"n_envs": 64, "total_steps": 3_000_000, "n_steps": 32, "learning_rate": "lin_0.0003", "vf_coef": 0.25,
            "normalize_advantage": false, "recompute_advantage": true, "adam_eps": 1e-8, "log_std_init": -0.5});
        let a2c = json!({"total_steps": 1_000_000, "n_envs": 8, "n_steps": 8, "gamma": 0.9, "gae_lambda": 0.9, "learning_rate": "lin_0.0007", "vf_coef": 0.4,
            "log_std_init": -2.0, "ortho_init": false, "use_sde": true});
        let penalty = json!({"n_envs": 8, "n_steps": 32, "batch_size": 256, "n_epochs": 20, "gamma": 0.98,
            "gae_lambda": 0.8, "learning_rate": "lin_0.001"});
        for (preset, algo, env, expected) in [
            ("cleanrl", "ppo", "CartPole-v1", clean),
            ("cleanrl", "ppo", "Pendulum-v1", normalized(clean_continuous.clone())),
            ("spinningup", "ppo", "CartPole-v1", spinning.clone()),
            ("spinningup", "ppo", "Pendulum-v1", spinning),
            ("baselines", "ppo", "CartPole-v1", baselines),
            ("baselines", "ppo", "Pendulum-v1", normalized(clean_continuous)),
            ("tianshou", "ppo", "Pendulum-v1", normalized(tianshou)),
            ("zoo", "a2c", "CartPole-v1", json!({"n_envs": 8, "total_steps": 500_000})),
            ("zoo", "a2c", "Pendulum-v1", normalized(a2c)),
            ("zoo", "ppo-kl", "CartPole-v1", penalty),
        ] {
            assert_eq!(differing(preset, algo, env), expected, "{preset} for {algo} on {env}");
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
        let hopper = in_python(r#"gym:gymnasium:Hopper-v5?{"kwargs":{"ctrl_cost_weight":0.1}}"#);
        let (name, settings) = find(None, "trpo", &hopper).unwrap();
        assert_eq!((name, settings["cg_iters"].as_u64()), (ZOO, Some(25)));
        assert_eq!(find(None, "trpo", &in_python("gymvec:Hopper-v5")).unwrap().0, SB3);
    }

    #[test]
    fn a_preset_without_settings_says_what_it_has() {
        let env = rl_env::Registry::builtin().get("CartPole-v1").unwrap().clone();
        let error = find(Some("tianshou"), "ppo", &env).unwrap_err().to_string();
        assert!(error.contains("no settings for ppo on CartPole-v1, but for ppo; \"sb3\" has"), "{error}");
        let error = find(Some("cleanr"), "ppo", &env).unwrap_err().to_string();
        assert!(error.contains("did you mean \"cleanrl\"?; known: sb3, zoo, cleanrl, spinningup"), "{error}");
    }
}
