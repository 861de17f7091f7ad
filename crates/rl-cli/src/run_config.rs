//! One run, every setting resolved and checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use rl_algo::{
    AlgoError, Algorithm, AlgorithmSpec, ConfigError, FeatureNetwork, NetConfig, Settings, Setup,
    check_setting, design, from_settings, to_settings,
};
use rl_env::EnvSpec;
use rl_train::{CheckpointConfig, EvalConfig, RunInfo, TrainConfig};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::errors::usage;
use crate::presets::Presets;
use crate::routing::Selected;
use crate::settings::{FREQS, Given, NEVER, Section, Source, sections};

/// One run, every setting resolved and checked.
#[derive(Clone)]
pub(crate) struct RunConfig {
    pub(crate) algo: AlgorithmSpec,
    pub(crate) env: EnvSpec,
    /// The preset it started from; everything it said is in the other fields.
    pub(crate) preset: String,
    /// What tells it from other runs of its algorithm in its environment.
    pub(crate) label: Option<String>,
    pub(crate) seed: u64,
    pub(crate) eval: Option<EvalConfig>,
    pub(crate) checkpoints: Option<CheckpointConfig>,
    /// `eval_freq` and `checkpoint_freq` as they were said.
    freqs: [Value; 2],
    /// Environment steps between histograms.
    pub(crate) histogram_freq: Option<u64>,
    /// Whether evaluations leave films.
    pub(crate) film: bool,
    /// The mean return of an evaluation at which it ends.
    pub(crate) stop_at_reward: Option<f64>,
    /// The hours after which it ends.
    pub(crate) max_hours: Option<f64>,
    /// Where the policy is that it begins with.
    pub(crate) init: Option<String>,
    pub(crate) train: TrainConfig,
    pub(crate) net: NetConfig,
    /// The algorithm's own settings.
    pub(crate) algorithm: Settings,
    /// Where the value of every key comes from.
    pub(crate) sources: Arc<BTreeMap<String, Source>>,
}

/// The settings of a section with their values.
pub(crate) struct SectionValues {
    pub(crate) about: String,
    pub(crate) values: Settings,
}

impl RunConfig {
    /// Lays the given settings, whose keys are the algorithm's, over a preset over the defaults, and checks them as a whole. The preset comes with the file
    /// that names it, where one does.
    ///
    /// # Errors
    ///
    /// An error of usage that names the setting, its value and what is allowed.
    pub(crate) fn resolve(
        algo: &AlgorithmSpec,
        env: &EnvSpec,
        (presets, networks): (&Presets, &[FeatureNetwork]),
        preset: Option<(&str, Option<&str>)>,
        given: Vec<Given>,
    ) -> Result<Self> {
        let found = presets.find(preset.map(|(name, _)| name), &algo.id, env);
        let (preset, tuned) = found.map_err(|e| match preset {
            Some((_, Some(file))) => usage(format!("{file}: {e}")),
            _ => e,
        })?;
        let source = Source::Preset(preset.clone());
        let tuned = tuned.into_iter().map(|(key, value)| Given { key, value, source: source.clone() });
        let mut registry = rl_algo::AlgorithmRegistry::new();
        registry.register(algo.clone()).map_err(usage)?;
        let alone = Selected { specs: vec![algo], all: &registry };
        let tuned = alone.route(&tuned.collect::<Vec<_>>())?.into_iter().flatten();
        let given_way = gives_way(&given);

        let sections = sections(algo);
        let (values, sources) = lay(&sections, tuned.chain(given).chain(given_way))?;
        let refused = |e: ConfigError| in_its_file(&e, sources.get(&e.key));
        let train: TrainConfig = part(&values, &TrainConfig::default())?;
        train.validate().map_err(refused)?;
        let net: NetConfig = part(&values, &NetConfig::default())?;
        net.validate().map_err(refused)?;
        let features = net.features.clone().among(networks).map_err(refused)?;
        let net = NetConfig { features, ..net };
        let run = RunConfig {
            seed: values["seed"].as_u64().unwrap_or_default(),
            label: values["label"].as_str().map(str::to_owned),
            eval: evaluation(&values["eval_freq"], train.total_steps),
            freqs: FREQS.map(|key| values[key].clone()),
            checkpoints: checkpoints(&values["checkpoint_freq"], train.total_steps),
            histogram_freq: values["histogram_freq"].as_u64(),
            film: values["film"] == true,
            stop_at_reward: values["stop_at_reward"].as_f64(),
            max_hours: values["max_hours"].as_f64(),
            init: values["init"].as_str().map(str::to_owned),
            algorithm: restricted(&values, |key| algo.schema.get(key).is_some()),
            algo: algo.clone(),
            env: env.clone(),
            preset,
            train,
            net,
            sources: Arc::new(sources),
        };
        let refused = |e: ConfigError| in_its_file(&e, run.sources.get(&e.key));
        let told = run.stop_at_reward.map_or(Value::Null, Value::from);
        let allowed = "none for a run that is never evaluated";
        let holds = run.stop_at_reward.is_none() || run.eval.is_some();
        check_setting("stop_at_reward", told, allowed, holds).map_err(refused)?;
        let allowed = "false for a run that is never evaluated";
        check_setting("film", run.film, allowed, !run.film || run.eval.is_some()).map_err(refused)?;
        let label = run.label.as_ref().map_or_else(|| "none".to_owned(), |label| format!("{label:?}"));
        check_setting(
            "label",
            &label,
            "a name with at least one character, or none",
            run.label.as_deref() != Some(""),
        )
        .map_err(refused)?;
        let design = design(&run.env.observation_space, &run.env.action_space, &run.net);
        let design = design.map_err(|e| match e {
            AlgoError::Config(e) => refused(e),
            e => usage(e),
        })?;
        let setup = Setup {
            rollout_len: run.train.rollout_len(),
            shares_trunk: design.shares_trunk(),
            every_row_counts: !run.env.resets_in_steps,
        };
        run.make_algorithm()?.check_setup(&setup).map_err(refused)?;
        Ok(run)
    }

    /// A new instance of the algorithm.
    ///
    /// # Errors
    ///
    /// An error of usage for settings that cannot be used.
    pub(crate) fn make_algorithm(&self) -> Result<Box<dyn Algorithm>> {
        self.algo.make(&self.algorithm).map_err(|e| match e {
            AlgoError::Config(e) => in_its_file(&e, self.sources.get(&e.key)),
            e => usage(e),
        })
    }

    /// The same run with another seed.
    pub(crate) fn with_seed(&self, seed: u64) -> Self {
        RunConfig { seed, ..self.clone() }
    }

    /// The algorithm and the label: what its runs are called beside others in the environment.
    pub(crate) fn name(&self) -> String {
        self.label.as_ref().map_or_else(|| self.algo.id.clone(), |label| format!("{}-{label}", self.algo.id))
    }

    /// Every setting by its key, in sections.
    pub(crate) fn sections(&self) -> Vec<SectionValues> {
        let mut values = self.algorithm.clone();
        values.extend(to_settings(&self.net));
        values.extend(to_settings(&self.train));
        values.insert("seed".to_owned(), self.seed.into());
        // As it was said: tenths of the run are those of another budget when it goes on.
        values.insert("eval_freq".to_owned(), self.freqs[0].clone());
        values.insert("checkpoint_freq".to_owned(), self.freqs[1].clone());
        values.insert("histogram_freq".to_owned(), self.histogram_freq.into());
        values.insert("film".to_owned(), self.film.into());
        values.insert("stop_at_reward".to_owned(), self.stop_at_reward.into());
        values.insert("max_hours".to_owned(), self.max_hours.into());
        values.insert("init".to_owned(), self.init.clone().into());
        values.insert("label".to_owned(), self.label.clone().into());
        let of_section = |Section { about, schema }: Section| {
            let keys = schema.iter().map(|setting| setting.key.clone().into_owned());
            let values = keys.filter_map(|key| values.get(&key).cloned().map(|value| (key, value)));
            SectionValues { about, values: values.collect() }
        };
        sections(&self.algo).into_iter().map(of_section).collect()
    }

    /// Every setting by its key.
    pub(crate) fn settings(&self) -> Settings {
        self.sections().into_iter().flat_map(|section| section.values).collect()
    }

    /// What identifies the run.
    pub(crate) fn info(&self) -> RunInfo {
        RunInfo {
            algo: self.algo.id.clone(),
            env: self.env.id.clone(),
            seed: self.seed,
            total_steps: self.train.total_steps,
            settings: self.settings(),
        }
    }
}

/// Rollouts are of steps or of episodes: whoever gives the one takes back what the defaults, a preset or a file say of the other. Both in one place are a
/// mistake, of which the check of the whole tells.
fn gives_way(given: &[Given]) -> Option<Given> {
    let last = |key: &str| given.iter().enumerate().rfind(|(_, given)| given.key == key);
    let is_value = |value: &Value| !value.is_null() && value != "none";
    let value_of = |key: &str| last(key).filter(|(_, given)| is_value(&given.value));
    let (winner, loser) = match (value_of("n_steps"), value_of("n_episodes")) {
        (Some((_, steps)), None) => (steps, "n_episodes"),
        (None, Some((_, episodes))) => (episodes, "n_steps"),
        (Some((_, a)), Some((_, b))) if a.source == b.source => return None,
        (Some((i, _)), Some((k, episodes))) if i < k => (episodes, "n_steps"),
        (Some((_, steps)), Some(_)) => (steps, "n_episodes"),
        (None, None) => return None,
    };
    Some(Given { key: loser.to_owned(), value: Value::Null, ..winner.clone() })
}

/// What is given over the defaults, the later over the earlier: every key's value in its one form, and its source.
///
/// # Errors
///
/// An error of usage that names the setting, its value and what is allowed, and the file it is from.
fn lay(
    sections: &[Section],
    given: impl Iterator<Item = Given>,
) -> Result<(Settings, BTreeMap<String, Source>)> {
    let mut values = Settings::new();
    let mut sources = BTreeMap::new();
    for setting in sections.iter().flat_map(|section| section.schema.iter()) {
        let key = setting.key.clone().into_owned();
        sources.insert(key.clone(), Source::Default(setting.source.clone().into_owned()));
        values.insert(key, setting.default.clone());
    }
    let find = |key: &str| sections.iter().find_map(|section| section.schema.get(key));
    // Only what counts is checked: a value that a later one replaces may be another preset's, or a slip that was mended.
    let last: BTreeMap<String, Given> = given.map(|given| (given.key.clone(), given)).collect();
    for (key, Given { value, source, .. }) in last {
        if let Some(setting) = find(&key) {
            let read = setting.read(&value).map_err(|e| in_its_file(&e, Some(&source)))?;
            values.insert(key.clone(), read);
            sources.insert(key, source);
        }
    }
    Ok((values, sources))
}

/// A setting that cannot be used, with the file, the preset or the variant that says so.
fn in_its_file(e: &ConfigError, source: Option<&Source>) -> anyhow::Error {
    match source {
        Some(source @ (Source::File(_) | Source::Preset(_) | Source::Variant(_))) => {
            usage(format!("{source}: {e}"))
        }
        _ => usage(e),
    }
}

/// The settings whose key belongs.
fn restricted(settings: &Settings, belongs: impl Fn(&str) -> bool) -> Settings {
    settings.iter().filter(|(key, _)| belongs(key)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn part<C: Serialize + DeserializeOwned>(values: &Settings, defaults: &C) -> Result<C> {
    let keys = to_settings(defaults);
    from_settings(&restricted(values, |key| keys.contains_key(key))).map_err(usage)
}

/// Checkpoints every so many steps, by default in tenths of the run.
fn checkpoints(freq: &Value, total_steps: u64) -> Option<CheckpointConfig> {
    let tenths = CheckpointConfig::tenths(total_steps);
    match freq.as_u64() {
        Some(freq) => Some(CheckpointConfig { freq, ..tenths }),
        None if freq == NEVER => None,
        None => Some(tenths),
    }
}

/// Evaluations every so many steps, by default in tenths of the run.
fn evaluation(freq: &Value, total_steps: u64) -> Option<EvalConfig> {
    match freq.as_u64() {
        Some(freq) => Some(EvalConfig::every(freq)),
        None if freq == NEVER => None,
        None => Some(EvalConfig::tenths(total_steps)),
    }
}
