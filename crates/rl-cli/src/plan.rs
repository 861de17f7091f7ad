//! Arguments, presets and files become runs: resolved, checked, and nothing done yet.

use anyhow::{Result, bail};
use rl_algo::{Algorithm, AlgorithmSpec, NetConfig, Settings, check_setting, from_settings, to_settings};
use rl_env::EnvSpec;
use rl_train::{EvalConfig, TrainConfig, TrainError, check_agent};
use serde_json::Value;

use crate::args::RunArgs;
use crate::config_file;
use crate::environments;
use crate::errors::{bad_algorithm, bad_setting, usage};
use crate::settings::{self, Given, Selected, Source, apply, parse_set, parse_value};
use crate::{Known, presets};

/// One run, every setting resolved and checked.
#[derive(Clone)]
pub(crate) struct RunConfig {
    pub(crate) algo: AlgorithmSpec,
    pub(crate) env: EnvSpec,
    /// The preset it started from; everything it said is in the other fields.
    pub(crate) preset: &'static str,
    pub(crate) seed: u64,
    pub(crate) eval: Option<EvalConfig>,
    pub(crate) train: TrainConfig,
    pub(crate) net: NetConfig,
    /// The algorithm's own settings.
    pub(crate) algorithm: Settings,
}

/// Runs of every algorithm in every environment, in this order: environments outside, algorithms inside.
///
/// # Errors
///
/// An error of usage for whatever cannot be used; a file that cannot be read is an error of its own.
pub(crate) fn plan(
    known: &Known,
    algos: &[String],
    envs: &[String],
    args: &RunArgs,
) -> Result<Vec<RunConfig>> {
    let specs =
        algos.iter().map(|id| known.algorithms.get(id)).collect::<Result<Vec<_>, _>>().map_err(usage)?;
    let envs = environments::find_all(known, envs, &args.gym)?;
    for (what, names) in
        [("algorithm", algos), ("environment", &envs.iter().map(|e| e.id.clone()).collect::<Vec<_>>())]
    {
        if let Some((i, name)) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
            bail!(usage(format!("{what} {name:?} is given twice (number {})", i + 1)));
        }
    }
    let mut given = Vec::new();
    if let Some(path) = &args.config {
        given.extend(config_file::read(path, &specs, &envs)?);
    }
    for set in &args.set {
        given.push(parse_set(set)?);
    }
    given.extend(flags(args));
    let selected = Selected { specs, all: &known.algorithms };
    let routed = selected.route(&given)?;
    let mut runs = Vec::new();
    for env in envs {
        for (spec, given) in selected.specs.iter().zip(&routed) {
            runs.push(RunConfig::resolve(spec, &env, args.preset.as_deref(), given.clone())?);
        }
    }
    Ok(runs)
}

/// The dedicated flags as settings.
fn flags(args: &RunArgs) -> Vec<Given> {
    let flags = [
        ("seed", "--seed", &args.seed),
        ("total_steps", "--total-steps", &args.total_steps),
        ("n_envs", "--n-envs", &args.n_envs),
        ("eval_freq", "--eval-freq", &args.eval_freq),
    ];
    let given = flags.into_iter().filter_map(|(key, flag, text)| {
        let value = parse_value(text.as_ref()?);
        Some(Given { key: key.to_owned(), value, source: Source::Flag(flag) })
    });
    let no_eval = args.no_eval.then(|| {
        let (key, value) = ("eval_freq".to_owned(), Value::String("never".to_owned()));
        Given { key, value, source: Source::Flag("--no-eval") }
    });
    given.chain(no_eval).collect()
}

impl RunConfig {
    /// Lays the given settings over a preset over the defaults, and checks them as a whole.
    ///
    /// # Errors
    ///
    /// An error of usage that names the setting, its value and what is allowed.
    pub(crate) fn resolve(
        algo: &AlgorithmSpec,
        env: &EnvSpec,
        preset: Option<&str>,
        given: Vec<(String, Value)>,
    ) -> Result<Self> {
        let (preset, tuned) = presets::find(preset, &algo.id, &env.id)?;
        let source = Source::Preset(preset.to_owned());
        let tuned = tuned.into_iter().map(|(key, value)| Given { key, value, source: source.clone() });
        let mut registry = rl_algo::AlgorithmRegistry::new();
        registry.register(algo.clone()).map_err(usage)?;
        let alone = Selected { specs: vec![algo], all: &registry };
        let mut settings = settings::defaults(algo);
        for layer in alone.route(&tuned.collect::<Vec<_>>())? {
            apply(&mut settings, layer);
        }
        apply(&mut settings, given);

        let train: TrainConfig = part(&settings, &to_settings(&TrainConfig::default()))?;
        train.validate().map_err(bad_setting)?;
        let net: NetConfig = part(&settings, &to_settings(&NetConfig::default()))?;
        net.validate().map_err(bad_setting)?;
        let run = RunConfig {
            seed: seed(&settings["seed"])?,
            eval: evaluation(&settings["eval_freq"], train.total_steps)?,
            algorithm: restricted(&settings, &algo.defaults),
            algo: algo.clone(),
            env: env.clone(),
            preset,
            train,
            net,
        };
        run.make_algorithm()?.check_rollout(run.train.rollout_len()).map_err(bad_setting)?;
        check_agent(&run.env, &run.net).map_err(|e| match e {
            TrainError::Algo(e) => bad_algorithm(e),
            e => usage(e),
        })?;
        Ok(run)
    }

    /// A new instance of the algorithm.
    ///
    /// # Errors
    ///
    /// An error of usage for settings that cannot be used.
    pub(crate) fn make_algorithm(&self) -> Result<Box<dyn Algorithm>> {
        self.algo.make(&self.algorithm).map_err(bad_algorithm)
    }

    /// The same run with another seed.
    pub(crate) fn with_seed(&self, seed: u64) -> Self {
        RunConfig { seed, ..self.clone() }
    }

    /// Every setting by its key, in sections.
    pub(crate) fn sections(&self) -> [(String, Settings); 4] {
        let eval_freq = self.eval.map_or(Value::from("never"), |e| Value::from(e.freq));
        let own = [
            ("algo".to_owned(), Value::from(self.algo.id.as_str())),
            ("env".to_owned(), Value::from(self.env.id.as_str())),
            ("seed".to_owned(), Value::from(self.seed)),
            ("eval_freq".to_owned(), eval_freq),
        ];
        let (train, net) = (to_settings(&self.train), to_settings(&self.net));
        let is_elsewhere = |key: &String| train.contains_key(key) || net.contains_key(key);
        let algorithm = self.algorithm.iter().filter(|(key, _)| !is_elsewhere(key));
        let algorithm = algorithm.map(|(k, v)| (k.clone(), v.clone())).collect();
        [
            (format!("The preset {} and what was set.", self.preset), own.into_iter().collect()),
            ("The training loop.".to_owned(), train),
            ("The networks.".to_owned(), net),
            (format!("Settings of {}.", self.algo.id), algorithm),
        ]
    }

    /// Every setting by its key.
    pub(crate) fn settings(&self) -> Settings {
        self.sections().into_iter().flat_map(|(_, settings)| settings).collect()
    }
}

/// The settings with these keys.
fn restricted(settings: &Settings, keys: &Settings) -> Settings {
    settings.iter().filter(|(key, _)| keys.contains_key(*key)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn part<C: serde::de::DeserializeOwned>(settings: &Settings, keys: &Settings) -> Result<C> {
    from_settings(&restricted(settings, keys)).map_err(bad_setting)
}

fn seed(value: &Value) -> Result<u64> {
    // What TOML can hold.
    let seed = value.as_u64().filter(|seed| i64::try_from(*seed).is_ok());
    check_setting("seed", value, "an integer from 0 to 2^63 - 1", seed.is_some()).map_err(bad_setting)?;
    Ok(seed.unwrap_or_default())
}

/// Evaluations every so many steps, by default in tenths of the run; `"never"` for none.
fn evaluation(value: &Value, total_steps: u64) -> Result<Option<EvalConfig>> {
    if value.is_null() {
        return Ok(Some(EvalConfig::tenths(total_steps)));
    }
    if value == "never" {
        return Ok(None);
    }
    let freq = value.as_u64().filter(|freq| *freq >= 1);
    check_setting("eval_freq", value, "an integer from 1 up, or \"never\"", freq.is_some())
        .map_err(bad_setting)?;
    Ok(freq.map(EvalConfig::every))
}
