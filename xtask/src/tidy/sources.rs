//! Rules on the files themselves.

const MAX_BYTES: u64 = 1 << 20;
const MAX_LINES: usize = 500;
const LONG_BECAUSE: &str = "// tidy: long because ";

// Patterns are put together from two parts, so that this file does not hold what it looks for.

/// What no Rust file may hold.
const UNFINISHED: &[&str] = &[concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[", "ignore")];
/// What no Rust file may hold because it exists on one machine only.
const MACHINE_PATHS: &[&str] = &[concat!("\"/", "home/"), concat!("\"/", "root/"), concat!("\"/", "tmp/")];
/// What only the program itself does.
const TALKING: &[&str] =
    &["std::env::", "std::env;", "println!(", "print!(", "eprintln!(", "eprint!(", "dbg!("];
/// What only training and the program itself do.
const FILES: &[&str] = &["std::fs", "fs::", "File::", "OpenOptions"];

/// What would choose an instruction set by itself, or make a result depend on it.
const PROCESSOR: &[&str] = &[
    "Arch::new",
    "is_x86_feature_detected!",
    "target_feature",
    "gemm::",
    "V3::try_new",
    "V4::try_new",
    "Neon::try_new",
    "mul_add_e_f32s",
    "mul_add_e_f64s",
    "approx_reciprocal_f32s",
];

/// The crate that chooses the instruction set.
const MAY_CHOOSE: &[&str] = &["rl-kernels"];

/// Libraries that may open files; `rl-gym` only anonymous memory, which is made by calls of the same names.
const MAY_OPEN_FILES: &[&str] = &["rl-train", "rl-cli", "rl-gym"];
/// Crates that may talk to people and read the environment.
const MAY_TALK: &[&str] = &["rl-cli"];

/// Whether the file is small enough to be tracked.
pub(crate) fn check_size(path: &str, bytes: u64) -> Option<String> {
    (bytes > MAX_BYTES).then(|| format!("{path}: {bytes} bytes, more than 1 MiB"))
}

/// Every example that the README does not show, by its command or its file.
pub(crate) fn check_readme<'a>(readme: &str, examples: impl Iterator<Item = &'a String>) -> Vec<String> {
    let shown = |name: &str| {
        let after = |pattern: String| {
            readme.match_indices(&pattern).any(|(i, _)| {
                let next = readme[i + pattern.len()..].chars().next();
                !next.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-')
            })
        };
        after(format!("--example {name}")) || after(format!("examples/{name}.rs"))
    };
    examples
        .filter(|name| !shown(name))
        .map(|name| format!("README.md: does not show the example {name}"))
        .collect()
}

/// Every violation in a Rust file; `path` is relative to the root, with `/` between parts.
pub(crate) fn check_rust(path: &str, text: &str) -> Vec<String> {
    let mut violations = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES && !text.contains(LONG_BECAUSE) {
        violations.push(format!(
            "{path}: {lines} lines, more than {MAX_LINES}; split it, or say `{LONG_BECAUSE}…`"
        ));
    }
    let mut report = |n: usize, pattern: &str, why: &str| {
        violations.push(format!("{path}:{n}: `{pattern}` {why}"));
    };
    for (n, line) in (1..).zip(text.lines()) {
        if let Some(pattern) = found(line, UNFINISHED) {
            report(n, pattern, "leaves something unfinished");
        }
        if let Some(pattern) = found(line, MACHINE_PATHS) {
            report(n, pattern, "is a path of one machine");
        }
    }
    let Some(library) = library(path) else {
        return violations;
    };
    for (n, line) in code_lines(text) {
        if let Some(pattern) = found(line, TALKING).filter(|_| !MAY_TALK.contains(&library)) {
            report(n, pattern, "is for rl-cli alone; a library is told, and returns");
        }
        if let Some(pattern) = found(line, PROCESSOR).filter(|_| !MAY_CHOOSE.contains(&library)) {
            report(n, pattern, "is for rl-kernels alone, whose results are the same on every processor");
        }
        if let Some(pattern) = found(line, FILES).filter(|_| !MAY_OPEN_FILES.contains(&library)) {
            report(n, pattern, "is for rl-train alone, which opens files");
        }
    }
    violations
}

/// The crate whose library code a path belongs to.
fn library(path: &str) -> Option<&str> {
    let (name, rest) = path.strip_prefix("crates/")?.split_once('/')?;
    (rest.starts_with("src/") && !rest.ends_with("/tests.rs") && !rest.contains("/tests/")).then_some(name)
}

/// The lines that are neither comments nor in a module of tests at the end, with their numbers.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines: Vec<&str> = text.lines().collect();
    let is_test_module = |i: usize| {
        let next = lines.get(i + 1).map_or("", |l| l.trim());
        lines[i].trim() == "#[cfg(test)]" && next.starts_with("mod ") && next.ends_with('{')
    };
    let end = (0..lines.len()).find(|&i| is_test_module(i)).unwrap_or(lines.len());
    (1..).zip(lines).take(end).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The first pattern in a line that does not continue a longer name.
fn found<'p>(line: &str, patterns: &[&'p str]) -> Option<&'p str> {
    let starts_name = |i: usize| {
        let before = line[..i].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    };
    patterns.iter().copied().find(|p| line.match_indices(p).any(|(i, _)| starts_name(i)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [&str; 0] = [];

    #[test]
    fn nothing_is_left_unfinished() {
        for pattern in UNFINISHED {
            let text = format!("fn f() {{\n    {pattern}\n}}\n");
            let violations = check_rust("examples/a.rs", &text);
            assert_eq!(violations, [format!("examples/a.rs:2: `{pattern}` leaves something unfinished")]);
        }
        assert_eq!(check_rust("crates/rl-env/src/a.rs", "my_todo_list(); ignore();"), NONE);
    }

    #[test]
    fn long_files_are_justified() {
        let long = "let x = 1;\n".repeat(501);
        assert_eq!(check_rust("crates/rl-env/src/a.rs", &long).len(), 1);
        assert_eq!(check_rust("crates/rl-env/src/a.rs", &"\n".repeat(500)), NONE);
        let justified = format!("{LONG_BECAUSE}the tables belong together\n{long}");
        assert_eq!(check_rust("crates/rl-env/src/a.rs", &justified), NONE);
    }

    #[test]
    fn no_paths_of_one_machine() {
        for pattern in MACHINE_PATHS {
            assert_eq!(check_rust("crates/rl-env/tests/a.rs", &format!("open({pattern}x\")")).len(), 1);
        }
    }

    #[test]
    fn libraries_neither_talk_nor_read_the_environment() {
        for line in ["println!(\"x\");", "let x = std::env::var(\"X\");", "use std::env;", "dbg!(x);"] {
            assert_eq!(check_rust("crates/rl-nn/src/a/b.rs", line).len(), 1, "{line}");
            assert_eq!(check_rust("crates/rl-train/src/a.rs", line).len(), 1, "{line}");
            assert_eq!(check_rust("crates/rl-cli/src/main.rs", line), NONE);
            assert_eq!(check_rust("crates/rl-nn/tests/a.rs", line), NONE);
            assert_eq!(check_rust("xtask/src/main.rs", line), NONE);
            assert_eq!(check_rust("crates/rl-nn/src/a.rs", &format!("    /// {line}")), NONE);
            let in_tests = format!("#[cfg(test)]\nmod tests {{\n    {line}\n}}\n");
            assert_eq!(check_rust("crates/rl-nn/src/a.rs", &in_tests), NONE);
        }
        // Only a module of tests ends the search.
        let helper = "#[cfg(test)]\nuse a::b;\nprintln!(\"x\");";
        assert_eq!(check_rust("crates/rl-nn/src/a.rs", helper).len(), 1);
    }

    #[test]
    fn only_training_opens_files() {
        for line in ["use std::fs::File;", "let f = File::open(path)?;", "fs::write(path, bytes)?;"] {
            assert_eq!(check_rust("crates/rl-nn/src/a.rs", line).len(), 1, "{line}");
            assert_eq!(check_rust("crates/rl-train/src/a.rs", line), NONE);
            assert_eq!(check_rust("crates/rl-cli/src/a.rs", line), NONE);
        }
        assert_eq!(check_rust("crates/rl-nn/src/a.rs", "let x = diffs::new(); ProgressFile::new();"), NONE);
    }

    #[test]
    fn large_files_are_not_tracked() {
        assert_eq!(check_size("a.bin", 1 << 20), None);
        assert!(check_size("a.bin", (1 << 20) + 1).is_some());
    }

    #[test]
    fn the_readme_shows_every_example() {
        let examples = ["compose".to_owned(), "custom_env".to_owned()];
        let readme =
            "cargo run --release -p examples --example compose\n[`custom_env`](examples/custom_env.rs)";
        assert_eq!(check_readme(readme, examples.iter()), NONE);
        // A word that happens to be the name shows nothing, nor does a longer name.
        let readme = "You compose crates.\n--example custom_env_2";
        assert_eq!(check_readme(readme, examples.iter()).len(), 2);
    }
}
