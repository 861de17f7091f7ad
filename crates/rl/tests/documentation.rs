//! A reader's project depends on `rl` alone. The doctests of the documentation also see the crates below it, so that none of them fails where a program
//! names such a crate; this test does.

#![allow(clippy::unwrap_used, reason = "a failure in a helper is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

/// Crates that `rl` has under its own name.
const BELOW: &[&str] = &["candle_core", "candle_nn", "rand", "serde", "serde_json"];

#[test]
fn programs_of_the_documentation_name_no_crate_but_rl() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (mut programs, mut faults) = (0, Vec::new());
    for page in pages(&root) {
        for (number, line) in program_lines(&fs::read_to_string(&page).unwrap()) {
            programs += 1;
            let others = crates_named(line);
            faults.extend(others.into_iter().map(|name| format!("{}:{number}: {name}", page.display())));
        }
    }
    assert!(programs > 500, "{programs} lines of programs");
    assert!(faults.is_empty(), "as `rl::…` they compile in a reader's project:\n{}", faults.join("\n"));
}

#[test]
fn a_crate_is_found_by_its_path() {
    assert_eq!(crates_named("use rl_train::Trainer;"), ["rl_train"]);
    assert_eq!(crates_named("let mut rng = rl_env::rng::stream(0, rand::random());"), ["rl_env", "rand"]);
    assert_eq!(crates_named("# Ok::<(), anyhow::Error>(())"), ["anyhow"]);
    let fitting = "use rl::rand::Rng; rl::train::play(std::env::temp_dir(), my_rand::x, self.serde)";
    assert_eq!(crates_named(fitting), Vec::<&str>::new());
}

/// README.md and the pages below `docs`.
fn pages(root: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (vec![root.join("README.md")], vec![root.join("docs")]);
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ext| ext == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// The lines of the blocks marked `rust`, with their numbers.
fn program_lines(page: &str) -> Vec<(usize, &str)> {
    let (mut found, mut is_program) = (Vec::new(), None);
    for (i, line) in page.lines().enumerate() {
        match (is_program, line.strip_prefix("```")) {
            (None, Some(language)) => is_program = Some(language.starts_with("rust")),
            (Some(_), Some(_)) => is_program = None,
            (Some(true), None) => found.push((i + 1, line)),
            (Some(false) | None, None) => {}
        }
    }
    found
}

/// Crates other than `rl` with which a path of the line begins.
fn crates_named(line: &str) -> Vec<&str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (at, _) in line.match_indices("::") {
        let name = line[..at].rsplit(|c| !is_name(c)).next().unwrap_or("");
        let before = &line[..at - name.len()];
        let is_crate = name.starts_with("rl_") || name == "anyhow" || BELOW.contains(&name);
        if is_crate && !before.ends_with("::") && !before.ends_with('.') {
            found.push(name);
        }
    }
    found
}
