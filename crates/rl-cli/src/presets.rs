//! Named settings: published ones, and a program's own.

use anyhow::{Context, Result, bail};
use rl_algo::{AlgorithmRegistry, Settings, nearest};
use rl_env::{EnvSpec, Registry, Space};
use rl_gym::GymName;

use crate::errors::usage;

/// The library's defaults, which are Stable-Baselines3's: there for every algorithm and environment.
pub(crate) const SB3: &str = "sb3";
/// What they are called for an algorithm of a program's own, which is none of Stable-Baselines3's.
pub(crate) const DEFAULTS: &str = "defaults";
/// The algorithms whose defaults are Stable-Baselines3's, or as near to them as can be.
const OF_SB3: [&str; 5] = ["a2c", "npg", "ppo", "ppo-kl", "trpo"];
/// This project's own, found by a search (docs/results/search.md).
const BEST: &str = "best";
/// Tuned for an environment by others.
const ZOO: &str = "zoo";
/// What stands for every environment in a preset's file.
pub(crate) const ANY: &str = "*";
/// The same for every environment with such actions.
const CONTINUOUS: &str = "* continuous";
const DISCRETE: &str = "* discrete";

/// The built-in presets: a name, and its files. Each is a table `[ALGO."ENV"]` for every algorithm and environment, or for every environment where `*`
/// stands for one, with actions of one kind where it is `* continuous` or `* discrete`.
const FILES: &[(&str, &str)] = &[
    (BEST, include_str!("../presets/best.toml")),
    (ZOO, include_str!("../presets/zoo.toml")),
    (ZOO, include_str!("../presets/gym.toml")),
    ("cleanrl", include_str!("../presets/cleanrl.toml")),
    ("spinningup", include_str!("../presets/spinningup.toml")),
    ("baselines", include_str!("../presets/baselines.toml")),
    ("tianshou", include_str!("../presets/tianshou.toml")),
    ("paper", include_str!("../presets/paper.toml")),
    ("seed-demo", include_str!("../presets/seed-demo.toml")),
];

/// What the defaults are called as a preset of an algorithm.
pub(crate) fn defaults_of(algo: &str) -> &'static str {
    if OF_SB3.contains(&algo) { SB3 } else { DEFAULTS }
}

/// Whether two presets are the same: the defaults have two names.
pub(crate) fn is_same(a: &str, b: &str) -> bool {
    let one_name = |name| if name == DEFAULTS { SB3 } else { name };
    one_name(a) == one_name(b)
}

/// An environment as presets see it: its name, and what stands for all of its kind, where that is known.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    id: &'a str,
    kind: Option<&'static str>,
}

impl<'a> From<&'a str> for Place<'a> {
    fn from(id: &'a str) -> Self {
        Place { id, kind: None }
    }
}

impl<'a> From<&'a EnvSpec> for Place<'a> {
    fn from(env: &'a EnvSpec) -> Self {
        let is_continuous = matches!(env.action_space, Space::Box(_));
        Place { id: &env.id, kind: Some(if is_continuous { CONTINUOUS } else { DISCRETE }) }
    }
}

/// Settings of one name for one algorithm, in one environment or in all.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Preset {
    pub(crate) name: String,
    pub(crate) algo: String,
    /// `None` for all, `* continuous` or `* discrete` for all with such actions.
    pub(crate) env: Option<String>,
    pub(crate) settings: Settings,
}

/// All presets but `sb3`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presets {
    /// A program's own, which come before the others.
    own: Vec<Preset>,
    builtin: Vec<Preset>,
}

impl Presets {
    /// The built-in ones.
    ///
    /// # Errors
    ///
    /// When a file among them is none, which a test rules out.
    pub(crate) fn builtin() -> Result<Self> {
        let parsed = FILES.iter().map(|(name, text)| parse(name, text));
        Ok(Presets { own: Vec::new(), builtin: parsed.collect::<Result<Vec<_>>>()?.concat() })
    }

    /// Adds one of a program's own.
    ///
    /// # Errors
    ///
    /// When its name is taken, or it is there already.
    pub(crate) fn add(&mut self, preset: Preset) -> Result<()> {
        let Preset { name, algo, env, .. } = &preset;
        if name == SB3 || name == DEFAULTS || self.builtin.iter().any(|p| p.name == *name) {
            bail!("preset {name:?}: a built-in preset has this name");
        }
        if name.is_empty() || name.contains([',', ':', '@', '/', ' ']) {
            bail!("preset {name:?}: a preset's name is a word without , : @ / and spaces");
        }
        if self.own.iter().any(|p| (&p.name, &p.algo, &p.env) == (name, algo, env)) {
            bail!(
                "preset {name:?} is given twice for {algo} on {}",
                env.as_deref().unwrap_or("every environment")
            );
        }
        self.own.push(preset);
        Ok(())
    }

    /// What is wrong with a program's own: algorithms and environments that nobody knows. Those of Python are known only when one is made.
    pub(crate) fn faults(&self, envs: &Registry, algorithms: &AlgorithmRegistry) -> Vec<String> {
        let is_of_many = |env: &str| [CONTINUOUS, DISCRETE].contains(&env) || GymName::is_meant_by(env);
        let fault = |p: &Preset| {
            let env = p.env.as_deref().filter(|env| !is_of_many(env));
            let algo = algorithms.get(&p.algo).err().map(|e| e.to_string());
            let fault = algo.or_else(|| Some(envs.get(env?).err()?.to_string()))?;
            Some(format!("preset {:?}: {fault}", p.name))
        };
        self.own.iter().filter_map(fault).collect()
    }

    /// Each of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Preset> {
        self.own.iter().chain(&self.builtin)
    }

    /// The settings of a preset for an algorithm in an environment, with its name: what it has for every environment, over that what it has for those with
    /// such actions, and over that what it has for this one. Without a name it is a program's own where there is one, else `best`, else the zoo's where one of them was tuned for this environment, else the defaults.
    ///
    /// # Errors
    ///
    /// For an unknown name, and for one without settings for this algorithm and environment.
    pub(crate) fn find<'a>(
        &self,
        name: Option<&str>,
        algo: &str,
        env: impl Into<Place<'a>>,
    ) -> Result<(String, Settings)> {
        let env = env.into();
        let Some(name) = name else {
            let id = base(env.id);
            let wanted = [Some(&*id), env.kind, None];
            let own = wanted
                .into_iter()
                .find_map(|wanted| self.own.iter().find(|p| p.algo == algo && p.env.as_deref() == wanted))
                .map(|p| p.name.as_str());
            let candidates = own.map_or(vec![BEST, ZOO], |own| vec![own]);
            let tuned = candidates.into_iter().find_map(|name| Some((name, self.settings(name, algo, env)?)));
            let defaults = (defaults_of(algo).to_owned(), Settings::new());
            return Ok(tuned.map_or(defaults, |(name, s)| (name.to_owned(), s)));
        };
        if name == SB3 || name == DEFAULTS {
            return Ok((defaults_of(algo).to_owned(), Settings::new()));
        }
        if let Some(settings) = self.settings(name, algo, env) {
            return Ok((name.to_owned(), settings));
        }
        let mut known: Vec<&str> = self.iter().map(|p| p.name.as_str()).chain([defaults_of(algo)]).collect();
        known.sort_unstable();
        known.dedup();
        if known.contains(&name) {
            let others =
                known.iter().filter(|p| **p == defaults_of(algo) || self.settings(p, algo, env).is_some());
            let others = others.copied().collect::<Vec<_>>().join(", ");
            bail!(usage(format!(
                "preset {name:?}: it has no settings for {algo} on {}; presets that do: {others}",
                env.id
            )));
        }
        let hint = nearest(name, known.iter().copied())
            .map(|n| format!(", did you mean {n:?}?"))
            .unwrap_or_default();
        bail!(usage(format!("unknown preset {name:?}{hint}; known: {}", known.join(", "))))
    }

    /// `None` where it has nothing for this algorithm and environment.
    fn settings(&self, name: &str, algo: &str, env: Place<'_>) -> Option<Settings> {
        let id = base(env.id);
        let of = |wanted: Option<&str>| {
            self.iter().find(|p| p.name == name && p.algo == algo && p.env.as_deref() == wanted)
        };
        let layers = [of(None), env.kind.and_then(|kind| of(Some(kind))), of(Some(&id))];
        layers.iter().any(Option::is_some).then(|| {
            let settings = layers.into_iter().flatten().flat_map(|preset| preset.settings.clone());
            settings.collect()
        })
    }
}

/// A preset's file.
fn parse(name: &str, text: &str) -> Result<Vec<Preset>> {
    let mut presets = Vec::new();
    for (algo, envs) in text.parse::<toml::Table>().with_context(|| format!("preset {name}"))? {
        for (env, settings) in envs.try_into::<toml::Table>().with_context(|| format!("preset {name}"))? {
            let settings =
                settings.try_into().with_context(|| format!("preset {name} for {algo} on {env}"))?;
            let env = (env != ANY).then_some(env);
            presets.push(Preset { name: name.to_owned(), algo: algo.clone(), env, settings });
        }
    }
    Ok(presets)
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
    use crate::run_config::RunConfig;

    #[test]
    fn every_preset_makes_a_run() {
        let (envs, algorithms) = (rl_env::Registry::builtin(), crate::builtin_algorithms());
        let presets = Presets::builtin().unwrap();
        assert_eq!(presets.iter().filter(|p| p.name == ZOO).count(), 16 + 18);
        for p in presets.iter() {
            let algo = algorithms.get(&p.algo).unwrap();
            let id = match p.env.as_deref() {
                None | Some(DISCRETE) => "CartPole-v1",
                Some(CONTINUOUS) => "Pendulum-v1",
                Some(id) => id,
            };
            let env = envs.get(id).cloned().unwrap_or_else(|_| in_python(id));
            for name in [Some(&*p.name), Some(SB3), None] {
                RunConfig::resolve(algo, &env, (&presets, &[]), name.map(|name| (name, None)), Vec::new())
                    .unwrap();
            }
        }
    }

    /// PPO's and A2C's presets of other systems, against their sources by hand: what differs from the library's defaults.
    #[test]
    fn ppos_presets_are_what_their_sources_say() {
        let (envs, algorithms) = (rl_env::Registry::builtin(), crate::builtin_algorithms());
        let presets = Presets::builtin().unwrap();
        let differing = |preset: &str, algo: &str, env: &str| {
            let (algo, env) = (algorithms.get(algo).unwrap(), envs.get(env).unwrap());
            let of = |name| {
                RunConfig::resolve(algo, env, (&presets, &[]), Some((name, None)), Vec::new()).unwrap()
            };
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

    /// What the sources say, setting by setting: a run has it, whatever the library's defaults become.
    #[test]
    fn presets_of_trpo_are_those_of_their_sources() {
        let (envs, algorithms) = (rl_env::Registry::builtin(), crate::builtin_algorithms());
        let presets = Presets::builtin().unwrap();
        let run = |algo: &str, env: &str, name: Option<&str>| {
            let (algo, env) = (algorithms.get(algo).unwrap(), envs.get(env).unwrap());
            json!(
                RunConfig::resolve(algo, env, (&presets, &[]), name.map(|name| (name, None)), Vec::new())
                    .unwrap()
                    .settings()
            )
        };
        let of = |algo: &str, env: &str, name: &str, keys: &[&str]| -> serde_json::Value {
            let run = run(algo, env, Some(name));
            keys.iter().map(|key| run[*key].clone()).collect()
        };
        let step = ["n_steps", "gae_lambda", "max_kl", "cg_iters", "cg_damping", "fisher_fraction"];
        let critic = ["n_critic_updates", "batch_size", "learning_rate", "adam_eps", "net_arch"];
        for (name, expected) in [
            ("spinningup", json!([4000, 0.97, 0.01, 10, 0.1, 1.0])),
            ("baselines", json!([1024, 0.98, 0.01, 10, 0.1, 0.2])),
            ("tianshou", json!([64, 0.95, 0.01, 10, 0.1, 1.0])),
            ("paper", json!([50_000, 1.0, 0.01, 10, 0.0, 0.1])),
        ] {
            assert_eq!(of("trpo", "Pendulum-v1", name, &step), expected, "{name}");
        }
        for (name, expected) in [
            ("spinningup", json!([80, null, 0.001, 1e-8, [64, 64]])),
            ("baselines", json!([5, 64, 0.001, 1e-8, [32, 32]])),
            ("tianshou", json!([20, null, "lin_0.001", 1e-8, [64, 64]])),
            ("paper", json!([0, 128, 0.001, 1e-5, [30]])),
        ] {
            assert_eq!(of("trpo", "Pendulum-v1", name, &critic), expected, "{name}");
        }
        // run.py's VecNormalize, and the orthogonal weights of baselines' perceptrons.
        let as_run = ["normalize_observation", "normalize_reward", "ortho_init"];
        assert_eq!(of("trpo", "Pendulum-v1", "baselines", &as_run), json!([true, true, true]));
        assert_eq!(of("trpo", "Pendulum-v1", "spinningup", &as_run), json!([false, false, false]));
        let direction = |env: &str, name: &str| of("trpo", env, name, &["kl_direction"])[0].clone();
        assert_eq!(direction("CartPole-v1", "spinningup"), "old_new");
        assert_eq!(direction("Pendulum-v1", "spinningup"), "new_old");
        assert_eq!(direction("Pendulum-v1", "baselines"), "old_new");
        let search = ["backtrack_coeff", "backtrack_iters", "accept_ratio"];
        for (name, coeff) in [("spinningup", 0.8), ("baselines", 0.5), ("tianshou", 0.8), ("paper", 0.5)] {
            assert_eq!(of("trpo", "Pendulum-v1", name, &search), json!([coeff, 10, 0.0]), "{name}");
        }
        assert_eq!(of("trpo", "CartPole-v0", "seed-demo", &step), json!([null, 0.0, 0.0005, 10, 0.0, 1.0]));
        assert_eq!(of("trpo", "CartPole-v0", "seed-demo", &critic), json!([1, null, 0.045, 1e-8, [128]]));
        assert_eq!(of("trpo", "CartPole-v0", "seed-demo", &["n_episodes", "gamma"]), json!([1, 0.98]));
        // The late drift is answered where somebody asks for it, and not in the published settings.
        for env in ["CartPole-v1", "Pendulum-v1"] {
            for (name, algo) in [(ZOO, "trpo"), (SB3, "trpo"), (ZOO, "npg"), (SB3, "npg")] {
                assert_eq!(of(algo, env, name, &["advantage_std_floor"]), json!([null]), "{name}");
            }
            assert_eq!(run("npg", env, None)["n_steps"], run("trpo", env, Some(ZOO))["n_steps"]);
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
        let presets = Presets::builtin().unwrap();
        let find = |env| presets.find(None, "trpo", env).unwrap();
        let (name, settings) = find(r#"gym:gymnasium:Hopper-v5?{"kwargs":{"ctrl_cost_weight":0.1}}"#);
        assert_eq!((&*name, settings["cg_iters"].as_u64()), (ZOO, Some(25)));
        assert_eq!(find("gymvec:Hopper-v5").0, SB3);
    }

    #[test]
    fn what_is_for_one_environment_lies_over_what_is_for_all() {
        let text = "[ppo.\"*\"]\nn_steps = 8\ngamma = 0.5\n[ppo.\"CartPole-v1\"]\ngamma = 0.9";
        let presets = Presets { own: Vec::new(), builtin: parse("wide", text).unwrap() };
        let of = |env| presets.find(Some("wide"), "ppo", env).unwrap().1;
        assert_eq!(json!(of("CartPole-v1")), json!({"n_steps": 8, "gamma": 0.9}));
        assert_eq!(json!(of("Acrobot-v1")), json!({"n_steps": 8, "gamma": 0.5}));
    }

    /// The preset `best` is for the classic environments and the budgets of `zoo`, whose results are published.
    #[test]
    fn best_is_for_the_classic_environments() {
        let presets = Presets::builtin().unwrap();
        let best: Vec<&Preset> = presets.iter().filter(|p| p.name == BEST).collect();
        assert_eq!(best.len(), 2 * 5);
        for p in best {
            let (_, zoo) = presets.find(Some(ZOO), &p.algo, p.env.as_deref().unwrap()).unwrap();
            assert_eq!(p.settings["total_steps"], zoo["total_steps"], "{} on {:?}", p.algo, p.env);
        }
        let (_, trpo) = presets.find(Some(BEST), "trpo", "CartPole-v1").unwrap();
        assert_eq!((&trpo["max_kl"], &trpo["advantage_std_floor"]), (&json!("lin_0.05"), &json!(0.05)));
    }

    /// Nothing of what is nobody's is called Stable-Baselines3's, whoever asks for it by whichever name.
    #[test]
    fn defaults_are_called_what_they_are() {
        let algorithms = crate::builtin_algorithms();
        assert!(algorithms.iter().map(|spec| &*spec.id).eq(OF_SB3));
        let presets = Presets::builtin().unwrap();
        for name in [None, Some(SB3), Some(DEFAULTS)] {
            assert_eq!(presets.find(name, "lazy", "Nim-v0").unwrap().0, DEFAULTS);
            assert_eq!(presets.find(name, "ppo", "Nim-v0").unwrap().0, SB3);
        }
        assert!(is_same(SB3, DEFAULTS) && is_same(ZOO, ZOO) && !is_same(ZOO, DEFAULTS));
    }

    #[test]
    fn presets_of_what_nobody_knows_are_told() {
        let (envs, algorithms) = (rl_env::Registry::builtin(), crate::builtin_algorithms());
        let faults = |algo: &str, env: Option<&str>| {
            let (algo, env) = (algo.to_owned(), env.map(str::to_owned));
            let own = vec![Preset { name: "mine".to_owned(), algo, env, settings: Settings::new() }];
            Presets { own, builtin: Vec::new() }.faults(&envs, &algorithms).join("; ")
        };
        let of_env = faults("ppo", Some("CartPol-v1"));
        assert!(
            of_env.starts_with("preset \"mine\": unknown environment \"CartPol-v1\", did you mean"),
            "{of_env}"
        );
        let of_algo = faults("pp", Some("CartPole-v1"));
        assert!(
            of_algo.starts_with("preset \"mine\": unknown algorithm \"pp\", did you mean \"ppo\""),
            "{of_algo}"
        );
        for env in [None, Some("CartPole-v1"), Some(CONTINUOUS), Some("gym:Hopper-v5")] {
            assert_eq!(faults("ppo", env), "");
        }
    }

    #[test]
    fn a_programs_own_comes_first() {
        let own = |name: &str, env: Option<&str>| Preset {
            name: name.to_owned(),
            algo: "ppo".to_owned(),
            env: env.map(str::to_owned),
            settings: Settings::new(),
        };
        let mut presets = Presets::builtin().unwrap();
        presets.add(own("mine", Some("CartPole-v1"))).unwrap();
        let default = |algo, env| presets.find(None, algo, env).unwrap().0;
        let of = [("ppo", "CartPole-v1"), ("trpo", "CartPole-v1"), ("ppo", "Pendulum-v1"), ("ppo", "Nim-v0")];
        assert_eq!(of.map(|(algo, env)| default(algo, env)), ["mine", BEST, BEST, SB3]);
        assert_eq!(default("npg", "CartPole-v1"), ZOO, "there is no better one of it");
        let mut wide = presets.clone();
        wide.own.insert(0, own("wide", None));
        let default = |env| wide.find(None, "ppo", env).unwrap().0;
        assert_eq!(
            ["CartPole-v1", "Nim-v0"].map(default),
            ["mine", "wide"],
            "the nearest, in whichever order"
        );
        for (preset, reason) in [
            (own("zoo", None), "built-in"),
            (own("sb3", None), "built-in"),
            (own("defaults", None), "built-in"),
            (own("a b", None), "a word"),
            (own("mine", Some("CartPole-v1")), "twice"),
        ] {
            assert!(presets.add(preset).unwrap_err().to_string().contains(reason), "{reason}");
        }
        let error = |name, env: &str| presets.find(Some(name), "ppo", env).unwrap_err().to_string();
        assert_eq!(
            error("mine", "Nim-v0"),
            "preset \"mine\": it has no settings for ppo on Nim-v0; presets that do: sb3, spinningup"
        );
        assert_eq!(
            error("zo", "Nim-v0"),
            "unknown preset \"zo\", did you mean \"zoo\"?; known: baselines, best, cleanrl, mine, paper, sb3, seed-demo, spinningup, tianshou, zoo"
        );
    }
}
