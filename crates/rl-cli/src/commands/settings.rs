//! `rl settings` and `rl show-config`: what can be set, and what is set.

use std::process::ExitCode;

use anyhow::Result;
use rl_algo::{FeatureNetwork, Setting, Settings, shown};
use serde_json::{Value, json};

use crate::args::{SettingsArgs, ShowConfigArgs};
use crate::config_file::{self, ConfigFile};
use crate::errors::usage;
use crate::plan::plan_one;
use crate::settings::{Source, sections};
use crate::{Known, output};

/// Every setting of an algorithm's runs.
pub(crate) fn settings(args: &SettingsArgs, known: &Known, json: bool) -> Result<ExitCode> {
    let spec = known.algorithms.get(&args.algo).map_err(usage)?;
    let aliases = |key: &str| -> Vec<&str> {
        spec.aliases.iter().filter(|(_, name)| *name == key).map(|(alias, _)| *alias).collect()
    };
    let mut documents = Vec::new();
    let width = output::width();
    let mut text = String::new();
    for section in sections(spec) {
        text += &format!("{}# {}\n", if text.is_empty() { "" } else { "\n" }, section.about);
        for setting in section.schema.iter() {
            let aliases = aliases(&setting.key);
            documents.push(document(&section.about, setting, &aliases));
            let own: Vec<&str> = known.networks.iter().map(FeatureNetwork::name).collect();
            let about = match &aliases[..] {
                [] if setting.key == "features" && !own.is_empty() => {
                    format!("{} Here: {}.", setting.doc, own.join(", "))
                }
                [] => setting.doc.clone().into_owned(),
                names => format!("{} Also {}.", setting.doc, names.join(", ")),
            };
            let source = match &*setting.source {
                "" => String::new(),
                source => format!("  ({source})"),
            };
            text += &format!("{} = {}{source}\n", setting.key, shown(&setting.default));
            let about = format!("{about} Allowed: {}.", setting.kind);
            text += &output::wrapped(about.trim_start(), 4, width);
        }
    }
    if json {
        output::print_json(&documents)?;
    } else {
        output::print(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn document(section: &str, setting: &Setting, aliases: &[&str]) -> Value {
    json!({
        "key": setting.key,
        "section": section.trim_end_matches('.'),
        "kind": setting.kind.document(),
        "allowed": setting.kind.to_string(),
        "scale": setting.scale,
        "default": setting.default,
        "source": setting.source,
        "doc": setting.doc,
        "aliases": aliases,
    })
}

/// The settings of one run, with where each comes from.
pub(crate) fn show_config(args: &ShowConfigArgs, known: &Known, json: bool) -> Result<ExitCode> {
    let file = ConfigFile::given(args.settings.config.as_deref(), &known.algorithms)?;
    let run = plan_one(known, (&args.algo, &args.env), &file, &args.settings)?;
    if !json {
        output::print(&config_file::write(&run, true))?;
        return Ok(ExitCode::SUCCESS);
    }
    let source = |(key, source): (&String, &Source)| (key.clone(), Value::from(source.to_string()));
    let sources: Settings = run.sources.iter().map(source).collect();
    output::print_json(&json!({
        "algo": run.algo.id,
        "env": run.env.id,
        "preset": run.preset,
        "settings": run.settings(),
        "sources": sources,
    }))?;
    Ok(ExitCode::SUCCESS)
}
