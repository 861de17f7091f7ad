//! `cargo xtask torture`: runs that are ended in the middle and go on must leave what they leave undisturbed.
//!
//! The work is done by the program `torture` of the package `rl-tests`; this builds it and an `rl` with failpoints.

use std::process::Command;

use anyhow::{Context, Result};

use crate::ci::execute;
use crate::metadata::{Workspace, cargo};

/// How much of it.
pub(crate) struct Options {
    kills: usize,
    /// How many of a case's changes to files, or all.
    failpoints: Option<usize>,
    seed: u64,
}

impl Options {
    /// About a minute of it.
    pub(crate) const SHORT: Options = Options { kills: 2, failpoints: Some(5), seed: 0 };

    pub(crate) fn parse(flags: &[&str]) -> Result<Self, String> {
        let mut options = Options { kills: 50, failpoints: None, seed: 0 };
        let mut flags = flags.iter();
        while let Some(&flag) = flags.next() {
            let mut number = || {
                let value = flags.next().ok_or_else(|| format!("{flag} needs a number"))?;
                value.parse::<u64>().map_err(|_| format!("{flag} {value}: expected a number"))
            };
            match flag {
                "--short" => options = Options { seed: options.seed, ..Options::SHORT },
                "--kills" => options.kills = number()? as usize,
                "--seed" => options.seed = number()?,
                unknown => return Err(format!("unexpected argument `{unknown}` of torture")),
            }
        }
        Ok(options)
    }
}

/// Builds both programs and runs the one with the other.
pub(crate) fn run(options: &Options) -> Result<()> {
    let workspace = Workspace::load()?;
    let release = workspace.target.join("release");
    let name = |program: &str| format!("{program}{}", std::env::consts::EXE_SUFFIX);
    let build = |more: &[&str]| {
        let mut build = Command::new(cargo());
        // The whole workspace and a test of it, so that dependencies are built with the features that everything else builds them with.
        let of_all = ["build", "--release", "--workspace", "--quiet", "--test", "schedule", "--bin", "rl"];
        execute(build.args(of_all).args(more))
    };
    build(&["--features", "rl-cli/failpoints"])?;
    let rl = workspace.target.join("torture").join(name("rl"));
    std::fs::create_dir_all(workspace.target.join("torture"))?;
    std::fs::copy(release.join(name("rl")), &rl)
        .with_context(|| format!("copying rl to {}", rl.display()))?;
    // What lies there is to be the command without failpoints again.
    build(&["--bin", "torture"])?;
    let failpoints = options.failpoints.map_or_else(|| "all".to_owned(), |n| n.to_string());
    let mut torture = Command::new(release.join(name("torture")));
    execute(torture.arg(rl).args([options.kills.to_string(), failpoints, options.seed.to_string()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read() {
        let parsed = |flags: &[&str]| Options::parse(flags).map(|o| (o.kills, o.failpoints, o.seed));
        assert_eq!(parsed(&[]), Ok((50, None, 0)));
        assert_eq!(parsed(&["--seed", "3", "--short"]), Ok((2, Some(5), 3)));
        assert_eq!(parsed(&["--kills", "7"]), Ok((7, None, 0)));
        for wrong in [&["--kills"][..], &["--kills", "x"], &["--long"]] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }
}
