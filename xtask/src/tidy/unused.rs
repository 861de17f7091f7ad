//! Dependencies that nothing uses.

use crate::metadata::Package;

/// Every dependency whose name stands nowhere in the package's Rust files, given as one text.
pub(crate) fn check(package: &Package, sources: &str) -> Vec<String> {
    let unused = package.dependencies.iter().map(|d| d.name.as_str()).filter(|name| !mentions(sources, name));
    unused.map(|name| format!("{}: depends on {name}, which it does not use", package.name)).collect()
}

/// Whether the crate's name stands in the text as a word of its own.
fn mentions(sources: &str, dependency: &str) -> bool {
    let name = dependency.replace('-', "_");
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    sources.match_indices(&name).any(|(at, _)| {
        !is_part(sources[..at].chars().next_back()) && !is_part(sources[at + name.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Dependency;

    #[test]
    fn what_nothing_uses_is_named() {
        let dependency = |name: &str| Dependency { name: name.to_owned(), normal: true };
        let package = Package {
            name: "a".to_owned(),
            dependencies: ["rl-env", "rand", "rand_xoshiro"].map(dependency).into(),
            ..Package::default()
        };
        let unused = check(&package, "use rl_env::Env;\nfn brand() -> rand_xoshiro::X {}");
        assert_eq!(unused, ["a: depends on rand, which it does not use"]);
        assert!(check(&package, "use rl_env as _; rand::random(); rand_xoshiro!()").is_empty());
    }
}
