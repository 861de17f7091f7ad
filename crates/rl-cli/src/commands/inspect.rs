//! `rl inspect`: one update of a run, gone through again and looked at along its step.

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use rl_algo::{PolicyChange, Reducer, Settings, StepCurves, step_curves};
use rl_nn::Shards;
use rl_report::{Inspection, Place};
use rl_train::{Replay, Trainer, Update, new_agent, replay, write_new};
use serde_json::{Value, json};

use super::resume::run_in;
use crate::args::{InspectArgs, SettingArgs};
use crate::errors::usage;
use crate::output::program;
use crate::run_config::RunConfig;
use crate::{Known, output, warm_start};

/// Places along the step, up to its end.
const PLACES: u32 = 60;

pub(crate) fn inspect(args: &InspectArgs, known: &Known, json: bool) -> Result<ExitCode> {
    let settings = SettingArgs { gym: args.gym.clone(), ..SettingArgs::default() };
    let (config, dir) = run_in(&args.run_dir, &settings, known)?;
    let make = || -> Result<Trainer> {
        let agent = new_agent(&config.env, &config.net, config.seed)?;
        let trainer = Trainer::new(&config.env, config.train, agent, config.make_algorithm()?, config.seed)?;
        let trainer = trainer.named(&config.algo.id, config.settings());
        Ok(match warm_start::policy(&config, &known.builders)? {
            Some(policy) => trainer.initialised_from(&config.env, &policy)?,
            None => trainer,
        })
    };
    let path = args.out.clone().unwrap_or_else(|| dir.file(&format!("update-{}.html", args.update)));
    let ending = path.extension().and_then(OsStr::to_str);
    let is_picture = ending == Some("svg");
    if !is_picture && ending != Some("html") {
        bail!(usage(format!("--out {}: the file's name must end in .html or .svg", path.display())));
    }
    // The way to the update may be long.
    if path.exists() {
        bail!("{} exists already: --out names another file", path.display());
    }
    let replayed = replay(&dir, args.update, make)?;
    let is_exact = agrees(&args.run_dir, &replayed.update);
    let doubt = match is_exact {
        Some(true) => None,
        Some(false) => Some(
            "tells something else of this update: the run was another one than this program makes now, or did not go on exactly; what is drawn is the \
             update that comes out now",
        ),
        None => Some("tells nothing of this update, so what is drawn was not compared with it"),
    };
    if let Some(doubt) = doubt {
        eprintln!("{}: {} {doubt}", program(), dir.file("progress.csv").display());
    }
    let (curves, inspection) = look(&config, &replayed)?;
    let text = if is_picture { inspection.to_svg() } else { inspection.page(program()) };
    write_new(&path, text.as_bytes())?;
    if json {
        output::print_json(&document(&replayed, &curves, &inspection, is_exact, &path))?;
    } else {
        output::print(&format!("{}\n", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether `progress.csv` tells the same of an update; `None` where it does not tell.
fn agrees(run_dir: &Path, update: &Update) -> Option<bool> {
    let mut reader = csv::Reader::from_path(run_dir.join("progress.csv")).ok()?;
    let header = reader.headers().ok()?.clone();
    let column = |tag: &str| header.iter().position(|column| column == tag);
    let (iteration, kl, gain) =
        (column("time/iterations")?, column("train/approx_kl")?, column("train/surrogate_gain")?);
    let row = reader
        .records()
        .flatten()
        .find(|row| row.get(iteration).and_then(|n| n.parse().ok()) == Some(update.iteration))?;
    let same = |column: usize, ours: Option<f64>| {
        let theirs = row.get(column).and_then(|cell| cell.parse::<f64>().ok());
        theirs.map(f64::to_bits) == ours.map(f64::to_bits)
    };
    Some(same(kl, update.report.approx_kl) && same(gain, update.report.surrogate_gain))
}

/// Looks at an update along its step.
fn look(config: &RunConfig, replayed: &Replay) -> Result<(StepCurves, Inspection)> {
    let Replay { update, before, agent, batch, from } = replayed;
    let policy_len = agent.policy().n_params();
    let outcome = &update.report.outcome;
    // A schedule may end at a step of length 0.
    if !outcome.is_rejected() && before[..policy_len] == *agent.policy_theta() {
        bail!("update {} moved the policy by nothing, so there is no step to look along", update.iteration);
    }
    if outcome.is_rejected() {
        bail!(
            "update {} was refused ({:?}): the policy did not move, so there is no step to look along",
            update.iteration,
            update.report.outcome
        );
    }
    let settings = config.settings();
    let real = |key: &str| settings.get(key).and_then(Value::as_f64);
    let extra =
        |name: &str| update.report.extra.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    // PPO's minibatches each have their own mean; what it reports is over the batch, as here.
    let normalizes = settings.get("normalize_advantage").is_some_and(|how| *how == true || *how == "batch");
    let advantages = if normalizes { batch.normalized_advantages() } else { batch.advantages.clone() };
    // What the line search tried, the full step first: the accepted one is the full one times so many coefficients.
    let searched = real("backtrack_coeff").zip(extra("backtracks"));
    let tried: Vec<f64> = searched.map_or_else(Vec::new, |(coefficient, backtracks)| {
        let longer = std::iter::successors(Some(1.0), |t| Some(t / coefficient));
        let mut tried: Vec<f64> = longer.take(backtracks as usize + 1).collect();
        tried.reverse();
        tried
    });
    let end = tried.iter().copied().fold(1.5, |end: f64, t| end.max(1.15 * t));
    let mut fractions: Vec<f64> = (0..=PLACES).map(|i| end * f64::from(i) / f64::from(PLACES)).collect();
    fractions.push(1.0);
    fractions.sort_by(f64::total_cmp);
    fractions.dedup();
    let on_way = fractions.len();
    fractions.extend(&tried);

    let ends = (&before[..policy_len], agent.policy_theta());
    let policy_batch = batch.policy_batch(agent, &advantages)?;
    let curves = step_curves(Reducer, agent.policy(), ends, &policy_batch, &fractions, &mut Shards::new())?;
    let places: Vec<Place> = curves.points.iter().map(place).collect();
    let (places, candidates) = places.split_at(on_way);

    let per_dim = settings.get("kl_reduction").and_then(Value::as_str) == Some("mean_per_dim");
    let dims = if per_dim { agent.policy().distribution.action_len() as f64 } else { 1.0 };
    let is_step = !candidates.is_empty();
    let number = |x: Option<f64>| x.map_or_else(|| "–".to_owned(), rl_report::value);
    let mut facts = vec![
        ("Environment steps".to_owned(), update.step.to_string()),
        (
            "Reported KL, mean and largest".to_owned(),
            format!("{} and {}", number(update.report.approx_kl), number(update.report.kl_max)),
        ),
        ("Reported gain".to_owned(), number(update.report.surrogate_gain)),
        ("Linear model's gain".to_owned(), rl_report::value(curves.slope)),
        ("Quadratic model's KL".to_owned(), rl_report::value(0.5 * curves.curvature)),
        ("Length of the step".to_owned(), rl_report::value(curves.step_size)),
        (
            "Gone through again from".to_owned(),
            from.map_or_else(|| "the beginning".to_owned(), |step| format!("the checkpoint at step {step}")),
        ),
    ];
    facts.extend(
        update.report.extra.iter().map(|(name, value)| ((*name).to_owned(), rl_report::value(*value))),
    );
    let inspection = Inspection {
        title: format!(
            "Update {} of {} on {}, seed {}",
            update.iteration,
            config.name(),
            config.env.id,
            config.seed
        ),
        along: if is_step {
            "share of the accepted step".to_owned()
        } else {
            "share of the update's displacement".to_owned()
        },
        facts,
        places: places.to_vec(),
        slope: curves.slope,
        curvature: curves.curvature,
        candidates: candidates
            .iter()
            .enumerate()
            .map(|(i, place)| (*place, i + 1 == candidates.len()))
            .collect(),
        // The one of this update: a schedule, or a floor of the advantages, may have made it smaller.
        limit: extra("max_kl").map(|limit| (limit * dims, limit_name(&settings))),
        remarks: remarks(&settings),
    };
    Ok((curves, inspection))
}

/// What the limit is a limit of.
fn limit_name(settings: &Settings) -> String {
    let is_searched = settings.contains_key("backtrack_coeff");
    match is_searched {
        true if bounds_the_other(settings) => "limit δ of KL(new, old)",
        true => "limit δ",
        false => "δ of the quadratic model",
    }
    .to_owned()
}

fn bounds_the_other(settings: &Settings) -> bool {
    settings.get("kl_direction").and_then(Value::as_str) == Some("new_old")
}

/// Where what is drawn is not all that the algorithm looked at.
fn remarks(settings: &Settings) -> Vec<String> {
    let mut remarks = Vec::new();
    if bounds_the_other(settings) {
        remarks.push(
            "The divergence that is drawn is KL(old, new); the algorithm bounds KL(new, old) (kl_direction), which is the same to second order only.".to_owned(),
        );
    }
    if settings.get("kl_reduction").and_then(Value::as_str) == Some("mean_per_dim") {
        remarks.push(
            "The divergence that is drawn is the sum over the dimensions of the action; the algorithm bounds their mean (kl_reduction), so its limit is drawn as \
             many times as large."
                .to_owned(),
        );
    }
    if settings.get("ent_coef").is_some_and(|weight| weight.as_f64() != Some(0.0)) {
        remarks.push(
            "Gain and linear model are those of the surrogate alone, without the entropy bonus (ent_coef) that the algorithm's objective contains.".to_owned(),
        );
    }
    remarks
}

fn place((fraction, change): &(f64, PolicyChange)) -> Place {
    let PolicyChange { kl_mean, kl_max, entropy, surrogate_gain } = *change;
    Place { fraction: *fraction, gain: surrogate_gain, kl: kl_mean, kl_max, entropy }
}

fn document(
    replayed: &Replay,
    curves: &StepCurves,
    inspection: &Inspection,
    is_exact: Option<bool>,
    path: &Path,
) -> Value {
    let update = &replayed.update;
    let place = |place: &Place| {
        json!({
            "fraction": place.fraction, "surrogate_gain": place.gain, "kl": place.kl, "kl_max": place.kl_max, "entropy": place.entropy,
            "linear_model": place.fraction * curves.slope, "quadratic_model": 0.5 * place.fraction * place.fraction * curves.curvature,
        })
    };
    let candidate = |(tried, accepted): &(Place, bool)| {
        let mut value = place(tried);
        value["accepted"] = json!(accepted);
        value
    };
    json!({
        "file": path,
        "update": update.iteration,
        "step": update.step,
        "from_checkpoint": replayed.from,
        "same_as_progress_csv": is_exact,
        "reported": {"approx_kl": update.report.approx_kl, "kl_max": update.report.kl_max, "entropy": update.report.entropy,
            "surrogate_gain": update.report.surrogate_gain},
        "slope": curves.slope,
        "curvature": curves.curvature,
        "step_size": curves.step_size,
        "max_kl": inspection.limit.as_ref().map(|(limit, _)| limit),
        "remarks": inspection.remarks,
        "places": inspection.places.iter().map(place).collect::<Vec<_>>(),
        "candidates": inspection.candidates.iter().map(candidate).collect::<Vec<_>>(),
    })
}
