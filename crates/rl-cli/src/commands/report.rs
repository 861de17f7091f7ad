//! `rl report`: a page of runs that are there, or its pictures.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use rl_env::rng::stream;
use rl_report::Study;
use rl_train::write_new;
use serde_json::{Value, json};

use super::comparison::{Comparison, add_foreign, found_in, grouped};
use crate::args::{ReportArgs, ReportFormat};
use crate::output;

pub(crate) fn report(args: &ReportArgs, json: bool) -> Result<ExitCode> {
    let study = study(&args.dirs)?;
    let first = args.dirs.first().context("a directory")?;
    // The same generator every time, so that the same runs give the same page.
    let rng = &mut stream(0, "bootstrap", 0);
    let files = match args.format {
        ReportFormat::Html => {
            let path = args.out.clone().unwrap_or_else(|| free(first, "report", ".html"));
            write_new(&path, rl_report::page(&study, rng).as_bytes())?;
            vec![path]
        }
        ReportFormat::Svg => {
            let dir = args.out.clone().unwrap_or_else(|| free(first, "report-pictures", ""));
            fs::create_dir_all(&dir)
                .with_context(|| format!("cannot create the directory {}", dir.display()))?;
            let write = |(name, svg): (String, String)| {
                let path = dir.join(format!("{name}.svg"));
                write_new(&path, svg.as_bytes())?;
                Ok(path)
            };
            rl_report::pictures(&study, rng).into_iter().map(write).collect::<Result<_>>()?
        }
    };
    study.notes.iter().for_each(|note| eprintln!("{}: {note}", output::program()));
    if json {
        output::print_json(&json!({"files": files, "notes": study.notes}))?;
    } else {
        let told: String = files.iter().map(|path| format!("{}\n", path.display())).collect();
        output::print(&told)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What all runs below some directories amount to.
fn study(dirs: &[PathBuf]) -> Result<Study> {
    let comparison = match found_in(dirs) {
        Ok(found) => {
            let (groups, notes) = grouped(found);
            Comparison::new(groups, None, notes)
        }
        // Perhaps there are only those of others.
        Err(_) if dirs.iter().all(|dir| dir.is_dir()) => Comparison::new(Vec::new(), None, Vec::new()),
        Err(error) => return Err(error),
    };
    let mut study = comparison.study();
    for command in dirs.iter().flat_map(|dir| commands_in(dir)) {
        if !study.commands.contains(&command) {
            study.commands.push(command);
        }
    }
    add_foreign(&mut study, dirs)?;
    if study.tasks.is_empty() {
        let dirs: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        bail!("no run that ended in {}, and no progress.csv or monitor.csv", dirs.join(", "));
    }
    Ok(study)
}

/// The commands that the directory's comparisons name: `compare.json`, `compare-2.json`, `compare-1-of-4.json`, …
fn commands_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_comparison = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("compare") && name.ends_with(".json")
    };
    let mut paths: Vec<PathBuf> = entries.filter(is_comparison).collect();
    // The one without a number first.
    paths.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
    let command = |path: &PathBuf| {
        let document: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        document.get("command")?.as_str().map(str::to_owned)
    };
    paths.iter().filter_map(command).collect()
}

/// A path in a directory that is free: with a number where there is one already.
fn free(dir: &Path, stem: &str, ending: &str) -> PathBuf {
    let suffixes = std::iter::once(String::new()).chain((2_u64..).map(|n| format!("-{n}")));
    let mut paths = suffixes.map(|suffix| dir.join(format!("{stem}{suffix}{ending}")));
    paths.find(|path| !path.exists()).unwrap_or_else(|| dir.join(format!("{stem}{ending}")))
}
