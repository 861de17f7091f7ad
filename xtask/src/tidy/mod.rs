//! `cargo xtask tidy`: the rules on dependencies and sources that no compiler checks.

mod dependencies;
mod sources;
mod unused;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::metadata::{Package, Workspace};

/// Checks every rule and prints what breaks one.
pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::load()?;
    let mut violations = dependencies::check(&workspace);
    for package in &workspace.packages {
        let manifest = std::fs::read_to_string(&package.manifest)
            .with_context(|| format!("cannot read {}", package.manifest.display()))?;
        violations.extend(dependencies::check_manifest(&package.name, &manifest));
    }
    let files = files(&workspace)?;
    for package in &workspace.packages {
        violations.extend(unused::check(package, &sources_of(&workspace, package, &files)));
    }
    let readme = std::fs::read_to_string(workspace.root.join("README.md")).unwrap_or_default();
    let examples = workspace.packages.iter().filter(|p| p.name == "examples").flat_map(|p| &p.examples);
    violations.extend(sources::check_readme(&readme, examples));
    for path in files {
        let full = workspace.root.join(&path);
        // A file deleted but not yet committed is still listed.
        let Ok(meta) = full.symlink_metadata() else {
            continue;
        };
        violations.extend(sources::check_size(&path, meta.len()));
        if path.ends_with(".rs") {
            let text =
                std::fs::read_to_string(&full).with_context(|| format!("cannot read {}", full.display()))?;
            violations.extend(sources::check_rust(&path, &text));
        }
    }
    for violation in &violations {
        eprintln!("{violation}");
    }
    match violations.len() {
        0 => Ok(()),
        1 => bail!("tidy found 1 violation"),
        n => bail!("tidy found {n} violations"),
    }
}

/// A package's Rust files as one text, with the documents that they include. (A package below another's directory counts for both.)
fn sources_of(workspace: &Workspace, package: &Package, files: &[String]) -> String {
    let dir = package.manifest.parent().and_then(|dir| dir.strip_prefix(&workspace.root).ok());
    let own = files
        .iter()
        .filter(|path| path.ends_with(".rs") && dir.is_some_and(|dir| Path::new(path).starts_with(dir)));
    let mut sources = String::new();
    for path in own.map(|path| workspace.root.join(path)) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for included in text.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            sources += &std::fs::read_to_string(path.with_file_name(included)).unwrap_or_default();
        }
        sources += &text;
    }
    sources
}

/// What git tracks, and what it would track next; relative to the root, with `/` between parts.
fn files(workspace: &Workspace) -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(&workspace.root)
        .output()
        .context("cannot start git, which tidy asks for the list of files")?;
    if !output.status.success() {
        bail!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    let list = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    let mut files: Vec<String> = list.split_terminator('\0').map(str::to_owned).collect();
    files.sort();
    files.dedup();
    Ok(files)
}
