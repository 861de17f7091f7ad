//! `rl play`

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use rl_train::{Gif, PlayParams, play as play_episodes, png, shown, write_new};
use serde_json::json;

use super::eval::saved_policy;
use crate::args::PlayArgs;
use crate::errors::usage;
use crate::{Known, environments, output};

pub(crate) fn play(args: &PlayArgs, known: &Known, json: bool) -> Result<ExitCode> {
    let (gif, png_file) = (args.files.gif.as_deref(), args.files.png.as_deref());
    let files: Vec<_> = gif.into_iter().chain(png_file).collect();
    if let Some(file) = files.iter().find(|file| file.exists()) {
        bail!("{} exists, and nothing is overwritten", file.display());
    }
    for (flag, file, ending) in [("--gif", gif, "gif"), ("--png", png_file, "png")] {
        let Some(other) = file.and_then(Path::extension).filter(|e| !e.eq_ignore_ascii_case(ending)) else {
            continue;
        };
        let (file, other) = (file.unwrap_or(Path::new("")).display(), other.display());
        bail!(usage(format!("{flag} {file}: what it writes is a .{ending}, and not a .{other}")));
    }
    let mut policy = saved_policy(&args.policy, &known.builders)?;
    let run_dir = &args.policy.run_dir;
    let env =
        environments::find(known, policy.env(), &args.gym).with_context(|| run_dir.display().to_string())?;
    let params = PlayParams {
        seed: args.seed.unwrap_or(policy.seed()),
        episodes: args.episodes as usize,
        max_steps: args.max_steps,
    };

    let mut film = gif.map(|_| Gif::new(args.fps));
    let mut last = None;
    let episodes = play_episodes(&mut policy, &env, params, &mut |frame, is_last| {
        if let Some(film) = &mut film {
            film.push(frame.clone(), is_last)?;
        }
        last = Some(frame);
        Ok(())
    })?;
    if let (Some(file), Some(film)) = (gif, film) {
        write_new(file, &film.finish()?)?;
    }
    if let (Some(file), Some(frame)) = (png_file, last) {
        write_new(file, &png(&frame)?)?;
    }

    if json {
        let episodes: Vec<_> = episodes.iter().map(|e| json!({"return": e.ret, "length": e.len})).collect();
        output::print_json(&json!({
            "run_dir": run_dir,
            "env": policy.env(),
            "total_steps": policy.steps(),
            "seed": params.seed,
            "episodes": episodes,
            "files": files,
        }))?;
    } else {
        for e in &episodes {
            let ret = shown(e.ret, e.ret);
            output::print(&format!("{}: return {ret} in {} steps\n", policy.env(), e.len))?;
        }
        for file in files {
            output::print(&format!("in {}\n", file.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
