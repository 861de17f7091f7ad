//! Arguments, presets and files become runs: resolved, checked, and nothing done yet.

use anyhow::{Result, bail};
use rl_gym::GymName;
use serde_json::Value;

use crate::Known;
use crate::args::SettingArgs;
use crate::config_file::{ConfigFile, in_shell};
use crate::environments;
use crate::errors::usage;
use crate::routing::Selected;
use crate::run_config::RunConfig;
use crate::settings::{Given, NEVER, Source, canonical, parse_set, parse_value, sections};
use crate::variants::Variant;

/// The run of one algorithm in one environment.
///
/// # Errors
///
/// Those of [`plan`].
pub(crate) fn plan_one(
    known: &Known,
    (algo, env): (&str, &str),
    file: &ConfigFile,
    args: &SettingArgs,
) -> Result<RunConfig> {
    let runs = plan(known, &[Variant::plain(algo)], &[env.to_owned()], file, args)?;
    runs.into_iter().next().ok_or_else(|| usage("no run"))
}

/// Runs of every variant in every environment, in this order: environments outside, variants inside. Without an environment it is that of the
/// file of settings, and CartPole-v1 where there is none.
///
/// # Errors
///
/// An error of usage for whatever cannot be used.
pub(crate) fn plan(
    known: &Known,
    variants: &[Variant],
    envs: &[String],
    file: &ConfigFile,
    args: &SettingArgs,
) -> Result<Vec<RunConfig>> {
    let specs = variants.iter().map(|variant| {
        let spec = known.algorithms.get(&variant.algo);
        spec.map_err(|e| match misplaced(known, &variant.algo, envs) {
            Some(mistake) => usage(mistake),
            None => usage(e),
        })
    });
    let specs = specs.collect::<Result<Vec<_>>>()?;
    if let Some(seed) = variants.iter().flat_map(|variant| &variant.given).find(|given| given.key == "seed") {
        let text = &seed.source;
        bail!(usage(format!(
            "{text}: all columns have the same seeds, which are compared with each other; --seed gives the first"
        )));
    }
    let default_env = [file.env.clone().unwrap_or_else(|| "CartPole-v1".to_owned())];
    let envs = environments::find_all(known, if envs.is_empty() { &default_env } else { envs }, &args.gym)?;
    let ids: Vec<&str> = envs.iter().map(|env| env.id.as_str()).collect();
    if let Some((i, id)) = ids.iter().enumerate().find(|(i, id)| ids[..*i].contains(id)) {
        bail!(usage(format!("environment {id:?} is given twice (number {})", i + 1)));
    }
    let algos: Vec<&str> = specs.iter().map(|spec| spec.id.as_str()).collect();
    fits(file, "algo", file.algo.as_deref(), &algos, |algo| algos.contains(&algo))?;
    fits(file, "env", file.env.as_deref(), &ids, |env| ids.iter().all(|id| *id == env))?;

    let mut given = file.given.clone();
    for set in &args.set {
        given.push(parse_set(set)?);
    }
    given.extend(flags(args));
    let selected = Selected { specs, all: &known.algorithms };
    let mut routed = selected.route(&given)?;
    for ((routed, variant), spec) in routed.iter_mut().zip(variants).zip(&selected.specs) {
        let alone = Selected { specs: vec![*spec], all: &known.algorithms };
        routed.extend(alone.route(&variant.given)?.into_iter().flatten());
    }

    let mut runs: Vec<RunConfig> = Vec::new();
    for env in envs {
        for ((spec, variant), given) in selected.specs.iter().zip(variants).zip(&routed) {
            let of_file = file.preset.as_ref().filter(|_| file.algo.as_ref().is_none_or(|id| *id == spec.id));
            let preset = variant.preset.as_ref().or(args.preset.as_ref()).or(of_file);
            let named = (&known.presets, &known.networks[..]);
            // Of the file's own, an error names it.
            let from = of_file.filter(|own| preset.is_some_and(|preset| std::ptr::eq(*own, preset)));
            let preset = preset.map(|preset| (preset.as_str(), from.map(|_| file.name.as_str())));
            let run = RunConfig::resolve(spec, &env, named, preset, given.clone())?;
            if let Some(twin) = runs.iter().find(|r| r.env.id == run.env.id && r.name() == run.name()) {
                bail!(usage(format!(
                    "{:?} is given twice; tell them apart, as {}:label=other or with settings of its own",
                    twin.name(),
                    spec.id
                )));
            }
            runs.push(run);
        }
    }
    Ok(runs)
}

/// A line for every `--set` without an algorithm before a dot whose key is another setting in each of the algorithms, although it has one name: what it is
/// in each.
pub(crate) fn shared_names(columns: &[RunConfig], sets: &[String]) -> Vec<String> {
    let told = |set: &String| {
        let key = parse_set(set).ok()?.key;
        let mut meanings: Vec<(String, &str)> = Vec::new();
        for algo in columns.iter().map(|column| &column.algo) {
            let [.., own] = sections(algo);
            let setting = canonical(algo, &key).and_then(|key| own.schema.get(&key).cloned());
            let Some(setting) = setting else { continue };
            let about = setting.doc.trim_end_matches('.').to_owned();
            if meanings.iter().all(|(known, _)| *known != about) {
                meanings.push((about, &algo.id));
            }
        }
        let (_, first) = *meanings.first().filter(|_| meanings.len() > 1).as_ref()?;
        let each: Vec<String> =
            meanings.iter().map(|(about, algo)| format!("of {algo} \"{about}\"")).collect();
        Some(format!("--set {key} is {}; --set {first}.{key} is that of {first} alone", each.join(", ")))
    };
    sets.iter().filter_map(told).collect()
}

/// What is said of something else in the place of an algorithm: an environment, a setting, an algorithm with what only a comparison takes; `None` for
/// what is none of them.
fn misplaced(known: &Known, algo: &str, envs: &[String]) -> Option<String> {
    let begins = algo.find(['@', ':']).map(|at| algo.split_at(at));
    if let Some((name, of_variant)) = begins.filter(|(name, _)| known.algorithms.get(name).is_ok()) {
        let meant = match of_variant.split_at(1) {
            ("@", preset) if !preset.is_empty() && !preset.contains(':') => {
                format!("{name} --preset {preset}")
            }
            (":", setting) if setting.contains('=') && !setting.contains(',') => {
                format!("{name} --set {setting}")
            }
            _ => format!("{name} --preset PRESET --set KEY=VALUE"),
        };
        return Some(format!("{algo:?}: only a comparison has variants; here it is {meant}"));
    }
    if algo.contains(',') && algo.split(',').all(|name| known.algorithms.get(name).is_ok()) {
        return Some(format!(
            "{algo:?} is no algorithm; only a comparison takes several, with spaces between them"
        ));
    }
    if algo.contains('=') {
        return Some(format!("{algo:?} is no algorithm; a setting is given as `--set {}`", in_shell(algo)));
    }
    if known.envs.get(algo).is_err() && !GymName::is_meant_by(algo) {
        return None;
    }
    Some(match envs.iter().find(|env| known.algorithms.get(env).is_ok()) {
        Some(env) => format!("{algo:?} is an environment: the algorithm comes first, as in {env} {algo}"),
        None if envs.is_empty() => {
            format!("{algo:?} is an environment, and not an algorithm; here it is --env {algo}")
        }
        None => format!("{algo:?} is an environment, and not an algorithm"),
    })
}

/// Checks that what the file says is what the command line says.
fn fits(
    file: &ConfigFile,
    key: &str,
    value: Option<&str>,
    said: &[&str],
    holds: impl Fn(&str) -> bool,
) -> Result<()> {
    match value {
        Some(value) if !holds(value) => {
            let said = said.join(", ");
            bail!(usage(format!("{key} = {value:?} ({}): the command line says {said}", file.name)))
        }
        _ => Ok(()),
    }
}

/// The dedicated flags as settings.
fn flags(args: &SettingArgs) -> Vec<Given> {
    let flags = [
        ("seed", "--seed", &args.seed),
        ("total_steps", "--total-steps", &args.total_steps),
        ("n_envs", "--n-envs", &args.n_envs),
        ("eval_freq", "--eval-freq", &args.eval_freq),
        ("stop_at_reward", "--stop-at-reward", &args.stop_at_reward),
        ("max_hours", "--max-hours", &args.max_hours),
    ];
    let given = flags.into_iter().filter_map(|(key, flag, text)| {
        let value = parse_value(text.as_ref()?);
        Some(Given { key: key.to_owned(), value, source: Source::Flag(flag) })
    });
    let text = |key: &str, value: &str, flag| Given {
        key: key.to_owned(),
        value: Value::from(value),
        source: Source::Flag(flag),
    };
    let no_eval = args.no_eval.then(|| text("eval_freq", NEVER, "--no-eval"));
    let histograms = args.histograms.as_ref().map(|freq| Given {
        key: "histogram_freq".to_owned(),
        value: freq.as_ref().map_or(1.into(), |freq| parse_value(freq)),
        source: Source::Flag("--histograms"),
    });
    let film = args.film.then(|| Given {
        key: "film".to_owned(),
        value: true.into(),
        source: Source::Flag("--film"),
    });
    let label = args.label.as_ref().map(|label| text("label", label, "--label"));
    let init = args.init.as_ref().map(|policy| text("init", policy, "--init"));
    given.chain(no_eval).chain(histograms).chain(film).chain(label).chain(init).collect()
}
