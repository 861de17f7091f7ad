//! Rules on who may depend on whom.

use crate::metadata::{Package, Workspace};

/// The crates, and which of ours each may use: dependencies point down only (`docs/architecture.md`).
const ALLOWED: &[(&str, &[&str])] = &[
    ("rl-kernels", &[]),
    ("rl-env", &["rl-kernels"]),
    ("rl-gym", &["rl-env"]),
    ("rl-gae", &["rl-kernels"]),
    ("rl-nn", &["rl-kernels"]),
    ("rl-optim", &["rl-kernels"]),
    ("rl-stats", &[]),
    ("rl-report", &["rl-stats"]),
    ("rl-test-support", &["rl-kernels"]),
    ("rl-rollout", &["rl-env", "rl-gae", "rl-nn"]),
    ("rl-algo", &["rl-env", "rl-gae", "rl-kernels", "rl-nn", "rl-optim", "rl-rollout"]),
    ("rl-ppo", &["rl-algo", "rl-gae", "rl-nn", "rl-optim", "rl-rollout"]),
    ("rl-trpo", &["rl-algo", "rl-gae", "rl-nn", "rl-optim", "rl-rollout"]),
    ("rl-train", &["rl-algo", "rl-env", "rl-gae", "rl-nn", "rl-optim", "rl-rollout", "rl-stats"]),
    (
        "rl-cli",
        &[
            "rl-algo",
            "rl-env",
            "rl-gae",
            "rl-gym",
            "rl-kernels",
            "rl-nn",
            "rl-optim",
            "rl-ppo",
            "rl-report",
            "rl-rollout",
            "rl-stats",
            "rl-train",
            "rl-trpo",
        ],
    ),
];

/// Crates that know no tensors.
const WITHOUT_CANDLE: &[&str] = &["rl-env", "rl-gae", "rl-gym", "rl-optim", "rl-report", "rl-stats"];

/// Packages that may use `anyhow`: those whose errors only people read.
const WITH_ANYHOW: &[&str] = &["benches", "examples", "rl-cli", "rl-tests", "xtask"];

/// Packages that may use everything of ours: nothing depends on them.
const ON_TOP: &[&str] = &["rl", "rl-tests"];

/// Every violation among the packages' dependencies.
pub(crate) fn check(workspace: &Workspace) -> Vec<String> {
    let mut violations = Vec::new();
    for package in &workspace.packages {
        violations.extend(check_edges(package));
        violations.extend(check_anyhow(package));
        if WITHOUT_CANDLE.contains(&package.name.as_str()) {
            let candle = workspace.closure.get(&package.name).into_iter().flatten();
            let candle = candle.filter(|name| name.starts_with("candle"));
            violations.extend(
                candle.map(|c| format!("{}: is built from {c}, but must know no tensors", package.name)),
            );
        }
    }
    violations
}

fn check_edges(package: &Package) -> Vec<String> {
    let name = &package.name;
    if !name.starts_with("rl-") || ON_TOP.contains(&name.as_str()) {
        return Vec::new();
    }
    let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| known == name) else {
        return vec![format!("{name}: tidy does not know this crate; say in {} what it may use", file!())];
    };
    let ours = package.dependencies.iter().filter(|d| d.normal && d.name.starts_with("rl-"));
    ours.filter(|d| !allowed.contains(&d.name.as_str()))
        .map(|d| format!("{name}: must not depend on {} (allowed: {})", d.name, list(allowed)))
        .collect()
}

fn check_anyhow(package: &Package) -> Option<String> {
    let uses = package.dependencies.iter().any(|d| d.name == "anyhow");
    (uses && !WITH_ANYHOW.contains(&package.name.as_str()))
        .then(|| format!("{}: must not depend on anyhow; a library's errors are typed", package.name))
}

/// Whether the manifest takes over the workspace's lints.
pub(crate) fn check_manifest(name: &str, manifest: &str) -> Option<String> {
    let mut section = "";
    let takes_over = manifest.lines().map(str::trim).any(|line| {
        if line.starts_with('[') {
            section = line;
        }
        section == "[lints]" && line.replace(' ', "") == "workspace=true"
    });
    (!takes_over).then(|| format!("{name}: its Cargo.toml lacks `[lints] workspace = true`"))
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none of ours".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Dependency;

    fn workspace(name: &str, dependencies: &[(&str, bool)], closure: &[&str]) -> Workspace {
        let dependencies =
            dependencies.iter().map(|&(name, normal)| Dependency { name: name.to_owned(), normal }).collect();
        let package = Package { name: name.to_owned(), dependencies, ..Package::default() };
        let closure = closure.iter().map(|&c| c.to_owned()).collect();
        Workspace {
            packages: vec![package],
            closure: [(name.to_owned(), closure)].into(),
            ..Workspace::default()
        }
    }

    fn violations(name: &str, dependencies: &[(&str, bool)]) -> Vec<String> {
        check(&workspace(name, dependencies, &[]))
    }

    #[test]
    fn dependencies_point_down_only() {
        let up = violations("rl-algo", &[("rl-nn", true), ("rl-trpo", true), ("serde", true)]);
        assert_eq!(up.len(), 1);
        assert!(up[0].starts_with("rl-algo: must not depend on rl-trpo (allowed: rl-env, "), "{up:?}");
        assert_eq!(violations("rl-trpo", &[("rl-ppo", true)]).len(), 1);
        assert_eq!(violations("rl-gae", &[("rl-env", true)]).len(), 1);
        assert_eq!(violations("rl-cli", &[("rl-stats", true), ("rl-train", true)]), [""; 0]);
        // Tests may look wherever they like.
        assert_eq!(violations("rl-train", &[("rl-ppo", false)]), [""; 0]);
        assert_eq!(violations("examples", &[("rl-ppo", true), ("rl-trpo", true)]), [""; 0]);
    }

    #[test]
    fn no_crate_escapes_the_table() {
        assert_eq!(violations("rl-utils", &[]).len(), 1);
    }

    /// The table itself has no cycle: every crate uses only crates listed before it.
    #[test]
    fn the_table_points_down() {
        for (i, (name, allowed)) in ALLOWED.iter().enumerate() {
            for below in *allowed {
                assert!(ALLOWED[..i].iter().any(|(earlier, _)| earlier == below), "{name} -> {below}");
            }
        }
    }

    #[test]
    fn candle_is_found_through_other_crates() {
        assert_eq!(check(&workspace("rl-optim", &[], &["serde", "candle-core"])).len(), 1);
        assert_eq!(check(&workspace("rl-nn", &[], &["candle-core"])), [""; 0]);
    }

    #[test]
    fn anyhow_stays_out_of_libraries() {
        assert_eq!(violations("rl-train", &[("anyhow", true)]).len(), 1);
        assert_eq!(violations("rl-env", &[("anyhow", false)]).len(), 1);
        assert_eq!(violations("rl-cli", &[("anyhow", true)]), [""; 0]);
    }

    #[test]
    fn manifests_take_over_the_lints() {
        assert_eq!(check_manifest("a", "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n"), None);
        assert!(check_manifest("a", "[package]\nversion.workspace = true\n").is_some());
        assert!(check_manifest("a", "[lints]\n[package]\nworkspace = true\n").is_some());
        assert!(check_manifest("a", "[lints]\nworkspace = false\n").is_some());
    }
}
