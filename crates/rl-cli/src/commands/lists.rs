//! `rl envs` and `rl presets`

use std::process::ExitCode;

use anyhow::Result;
use rl_train::reward_threshold;
use serde_json::json;

use crate::args::EnvsArgs;
use crate::{Known, environments, output, presets as named};

pub(crate) fn envs(args: &EnvsArgs, known: &Known, json: bool) -> Result<ExitCode> {
    if let Some(whose) = &args.whose {
        return gym_envs(&environments::registered(whose, &args.gym)?, json);
    }
    let mut rows =
        vec![["id", "observations", "actions", "step limit", "threshold"].map(str::to_owned).to_vec()];
    let mut documents = Vec::new();
    for spec in known.envs.iter() {
        let (observations, actions) = (spec.observation_space.to_string(), spec.action_space.to_string());
        let (limit, threshold) = (spec.max_episode_steps, reward_threshold(spec));
        documents.push(json!({
            "id": spec.id,
            "observation_space": observations,
            "action_space": actions,
            "max_episode_steps": limit,
            "reward_threshold": threshold,
        }));
        let limit = limit.map_or("-".to_owned(), |n| n.to_string());
        rows.push(vec![
            spec.id.clone(),
            observations,
            actions,
            limit,
            threshold.map_or("-".to_owned(), |t| t.to_string()),
        ]);
    }
    print(json, &documents, &rows)
}

/// What Gymnasium knows without making any: no spaces.
fn gym_envs(envs: &[rl_gym::Registered], json: bool) -> Result<ExitCode> {
    let mut rows = vec![["id", "step limit", "threshold"].map(str::to_owned).to_vec()];
    let mut documents = Vec::new();
    for env in envs {
        let id = format!("gym:{}", env.id);
        documents.push(json!({
            "id": id,
            "max_episode_steps": env.max_episode_steps,
            "reward_threshold": env.reward_threshold,
        }));
        let limit = env.max_episode_steps.map_or("-".to_owned(), |n| n.to_string());
        rows.push(vec![id, limit, env.reward_threshold.map_or("-".to_owned(), |t| t.to_string())]);
    }
    print(json, &documents, &rows)
}

pub(crate) fn presets(known: &Known, json: bool) -> Result<ExitCode> {
    let width = output::width();
    let entry = |names: &[&str], settings: &str| {
        format!("{}\n{}", names.join("  "), output::wrapped(settings, 4, width))
    };
    let mut text = String::new();
    let mut documents = Vec::new();
    for p in known.presets.iter() {
        let settings: Vec<String> =
            p.settings.iter().map(|(key, value)| format!("{key}={value}").replace('"', "")).collect();
        documents.push(json!({"preset": p.name, "algo": p.algo, "env": p.env, "settings": p.settings}));
        text += &entry(&[&p.name, &p.algo, p.env.as_deref().unwrap_or("any")], &settings.join(" "));
    }
    for spec in known.algorithms.iter() {
        let name = named::defaults_of(&spec.id);
        documents.push(json!({"preset": name, "algo": spec.id, "env": null, "settings": {}}));
        text += &entry(&[name, &spec.id, "any"], "The defaults.");
    }
    if json {
        output::print_json(&documents)?;
    } else {
        output::print(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(json: bool, documents: &[serde_json::Value], rows: &[Vec<String>]) -> Result<ExitCode> {
    if json {
        output::print_json(&documents)?;
    } else {
        output::print(&output::table(rows))?;
    }
    Ok(ExitCode::SUCCESS)
}
