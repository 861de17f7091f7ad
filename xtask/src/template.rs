//! `cargo xtask new DIR`: a project of one's own that depends on this workspace, ready to run; and that it is ready, for continuous integration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::ci::execute;
use crate::metadata::{Workspace, cargo};

/// The project's files, and whether names are to be filled in.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../template/Cargo.toml.in")),
    ("src/lib.rs", include_str!("../template/src/lib.rs")),
    ("src/main.rs", include_str!("../template/src/main.rs.in")),
    ("tests/learns.rs", include_str!("../template/tests/learns.rs.in")),
    (".gitignore", "/target\n/runs\n"),
];

/// What no crate can be called: keywords, and crates that come with Rust.
const NO_NAMES: [&str; 46] = [
    "abstract", "alloc", "as", "async", "await", "become", "box", "break", "const", "continue", "core",
    "crate", "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in",
    "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "self", "static", "std", "struct", "super", "test", "trait", "true", "try",
];

/// Makes the project in a directory that is not there yet, named as its last part.
pub(crate) fn new(dir: &str) -> Result<()> {
    let workspace = Workspace::load()?;
    make(&workspace, Path::new(dir))?;
    println!("made {dir}; in it:");
    println!("  cargo run --release -- train ppo Corridor-v0");
    println!("  cargo run --release -- compare --env Corridor-v0");
    println!("  cargo test --release");
    Ok(())
}

fn make(workspace: &Workspace, dir: &Path) -> Result<()> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c));
    ensure!(
        is_name,
        "{name:?}: the project is named after its directory; a small letter, then small letters, digits, - and _ make a name"
    );
    ensure!(name != "rl", "{name:?}: the crate that the project depends on has this name");
    ensure!(!NO_NAMES.contains(&&*name), "{name:?}: Rust has this name for something of its own");
    ensure!(!dir.exists(), "{}: it is there already", dir.display());
    let place = std::path::absolute(dir).with_context(|| format!("cannot find {}", dir.display()))?;
    let parent = place.ancestors().skip(1).find_map(|dir| dir.canonicalize().ok());
    let is_inside = parent
        .is_some_and(|parent| parent.starts_with(&workspace.root) && !parent.starts_with(&workspace.target));
    ensure!(
        !is_inside,
        "{}: this lies inside of the workspace, whose crates are its own; a place beside it is right, such as ../{name}",
        dir.display()
    );
    let rl = workspace.root.join("crates").join("rl");
    let fill = |text: &str| {
        let path = rl.display().to_string().replace('\\', "/");
        let text = text.replace("{name}", &name).replace("{crate}", &name.replace('-', "_"));
        text.replace("{rl}", &path).replace("{unused}", unused())
    };
    // The versions that the workspace is tested with.
    let lock = fs::read_to_string(workspace.root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    for (file, text) in FILES.iter().copied().chain([("Cargo.lock", &*lock)]) {
        let path = dir.join(file);
        let parent = path.parent().unwrap_or(dir);
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        fs::write(&path, fill(text)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// What the workspace's manifest says of dependencies that nothing runs. A project says the same, or it would compile what depends on them a second time
/// where both share a directory.
fn unused() -> &'static str {
    let manifest = include_str!("../../Cargo.toml");
    let begin = manifest.find("# What candle-core and tensorboard-rs bring along").unwrap_or(manifest.len());
    let section = &manifest[begin..];
    section.find("\n\n").map_or(section, |end| &section[..=end])
}

/// Crates that a project in another workspace compiles anew, although nothing in them has changed. Its few steps need not be fast, but for the kernels.
const COMPILED_QUICKLY: [&str; 10] = [
    "rl",
    "rl-algo",
    "rl-cli",
    "rl-gym",
    "rl-ppo",
    "rl-report",
    "rl-rollout",
    "rl-stats",
    "rl-train",
    "rl-trpo",
];

/// Makes a project, trains in it and runs its tests, with the versions of this workspace.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let dir: PathBuf = workspace.target.join("template").join("corridor");
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    make(workspace, &dir)?;
    let project = |args: &[&str]| {
        let mut command = Command::new(cargo());
        for package in COMPILED_QUICKLY {
            command.args(["--config", &format!("profile.release.package.{package}.opt-level=0")]);
        }
        command.current_dir(&dir).args(args).env("CARGO_TARGET_DIR", &workspace.target);
        execute(&mut command)
    };
    project(&["run", "--release", "--quiet", "--", "train", "ppo", "Corridor-v0", "--quiet"])?;
    project(&["test", "--release", "--quiet"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_compiles_what_nothing_runs_as_the_workspace_does() {
        let section = unused();
        assert!(section.contains("\n[profile.release.package]\n"), "{section}");
        assert!(section.ends_with("zip.opt-level = 0\n"), "{section}");
    }
}
