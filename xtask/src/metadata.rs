//! What `cargo metadata` says about the workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The workspace: its packages, and what everything depends on.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
    /// The names of the packages that a workspace package is built from, dependencies of dependencies included.
    pub(crate) closure: BTreeMap<String, BTreeSet<String>>,
}

/// A package of the workspace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) examples: Vec<String>,
}

/// A direct dependency as the manifest has it.
#[derive(Debug, Clone)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// A normal dependency, not one of tests or build scripts.
    pub(crate) normal: bool,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self> {
        let output = Command::new(cargo())
            .args(["metadata", "--format-version", "1"])
            .output()
            .context("cannot start cargo metadata")?;
        if !output.status.success() {
            bail!("cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr).trim_end());
        }
        let metadata = serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")?;
        Self::from_metadata(&metadata).context("cargo metadata has another form than expected")
    }

    fn from_metadata(metadata: &Value) -> Result<Self> {
        let members: BTreeSet<&str> =
            array(&metadata["workspace_members"])?.iter().filter_map(Value::as_str).collect();
        let mut names = BTreeMap::new();
        let mut packages = Vec::new();
        for package in array(&metadata["packages"])? {
            let (id, name) = (text(&package["id"])?, text(&package["name"])?);
            names.insert(id, name);
            if members.contains(id) {
                packages.push(Package::from_metadata(package)?);
            }
        }
        packages.sort_by(|a, b| a.name.cmp(&b.name));

        let mut edges = BTreeMap::new();
        for node in array(&metadata["resolve"]["nodes"])? {
            let normal =
                array(&node["deps"])?.iter().filter(|d| is_normal(d)).filter_map(|d| d["pkg"].as_str());
            edges.insert(text(&node["id"])?, normal.collect::<Vec<_>>());
        }
        let closure = members
            .iter()
            .filter_map(|id| Some(((*names.get(id)?).to_owned(), reachable(id, &edges, &names))))
            .collect();
        Ok(Self {
            root: Path::new(text(&metadata["workspace_root"])?).to_owned(),
            target: Path::new(text(&metadata["target_directory"])?).to_owned(),
            packages,
            closure,
        })
    }
}

impl Package {
    fn from_metadata(package: &Value) -> Result<Self> {
        let dependencies = array(&package["dependencies"])?
            .iter()
            .map(|d| Ok(Dependency { name: text(&d["name"])?.to_owned(), normal: d["kind"].is_null() }))
            .collect::<Result<_>>()?;
        let examples = array(&package["targets"])?
            .iter()
            .filter(|t| t["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|k| k == "example")))
            .map(|t| Ok(text(&t["name"])?.to_owned()))
            .collect::<Result<_>>()?;
        Ok(Self {
            name: text(&package["name"])?.to_owned(),
            manifest: Path::new(text(&package["manifest_path"])?).to_owned(),
            dependencies,
            examples,
        })
    }
}

/// The cargo that started this task.
pub(crate) fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn is_normal(dep: &Value) -> bool {
    dep["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|k| k["kind"].is_null()))
}

fn reachable(
    start: &str,
    edges: &BTreeMap<&str, Vec<&str>>,
    names: &BTreeMap<&str, &str>,
) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![start];
    while let Some(id) = open.pop() {
        open.extend(edges.get(id).into_iter().flatten().filter(|&&next| seen.insert(next)));
    }
    seen.into_iter().filter_map(|id| names.get(id)).map(|&name| name.to_owned()).collect()
}

fn array(v: &Value) -> Result<&Vec<Value>> {
    v.as_array().context("not an array")
}

fn text(v: &Value) -> Result<&str> {
    v.as_str().context("not a string")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_packages_and_follows_dependencies() {
        let package = |name: &str, kind: Value| {
            json!({
                "id": format!("{name} 1"), "name": name, "manifest_path": format!("w/{name}/Cargo.toml"),
                "dependencies": [{"name": "mid", "kind": null}, {"name": "proptest", "kind": "dev"}],
                "targets": [{"name": name, "kind": [kind]}],
            })
        };
        let edge = |id: &str, kind: Value| json!({"pkg": id, "dep_kinds": [{"kind": kind}]});
        let workspace = Workspace::from_metadata(&json!({
            "workspace_members": ["a 1"], "workspace_root": "w", "target_directory": "t",
            "packages": [package("a", json!("example")), package("mid", json!("lib")), package("deep", json!("lib")),
                         package("dev", json!("lib"))],
            "resolve": {"nodes": [
                {"id": "a 1", "deps": [edge("mid 1", Value::Null), edge("dev 1", json!("dev"))]},
                {"id": "mid 1", "deps": [edge("deep 1", Value::Null)]},
                {"id": "deep 1", "deps": []},
            ]},
        }))
        .unwrap();
        assert_eq!(workspace.packages.len(), 1);
        let a = &workspace.packages[0];
        assert_eq!((a.name.as_str(), a.examples.as_slice()), ("a", &["a".to_owned()][..]));
        assert_eq!(a.dependencies.iter().map(|d| d.normal).collect::<Vec<_>>(), [true, false]);
        let built_from: Vec<_> = workspace.closure["a"].iter().map(String::as_str).collect();
        assert_eq!(built_from, ["deep", "mid"]);
        assert!(Workspace::from_metadata(&json!({})).is_err());
    }
}
