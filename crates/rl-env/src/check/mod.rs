//! A conformance check any environment can be put through.
//!
//! ```
//! use rl_env::{CheckParams, Registry, check_env};
//! let registry = Registry::builtin();
//! let spec = registry.get("CartPole-v1")?;
//! assert_eq!(check_env(&CheckParams::default(), &|| spec.make()), []);
//! assert_eq!(spec.check(), []);
//! # Ok::<(), rl_env::EnvError>(())
//! ```

mod episodes;
mod finding;
mod probe;
mod rules;
mod spaces;

pub use finding::{Finding, Rule};

use crate::DynEnv;
use crate::panics::told;
use finding::Findings;

/// How thoroughly to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckParams {
    /// The seed of resets and actions.
    pub seed: u64,
    /// Steps of each run; there are about a dozen runs.
    pub steps: usize,
    /// The time limit the environment is said to have.
    pub max_episode_steps: Option<u32>,
    /// Rules that are passed over, if the check comes to its end.
    pub waived: Vec<Rule>,
}

impl Default for CheckParams {
    fn default() -> Self {
        CheckParams { seed: 0, steps: 500, max_episode_steps: None, waived: Vec::new() }
    }
}

/// Puts an environment through its contract and gives what it breaks: the first case of each rule, none for a sound
/// environment.
///
/// `make` makes fresh, independent copies. Actions are random, held for a while every other episode. A rule that only
/// means something when another holds (independence of copies, when seeds do not determine a run) is skipped where that
/// one is broken. A run that fails or panics ends the check, for every other run would end there too. Panics of the environment are caught and reported, with file
/// and line ([`note_panics`](crate::note_panics) is called for that); where `RUST_BACKTRACE` is set they are printed as well, once
/// each.
pub fn check_env(params: &CheckParams, make: &dyn Fn() -> Box<dyn DynEnv>) -> Vec<Finding> {
    let mut findings = Findings::default();
    let outcome = told(|| {
        let sound = spaces::check(make, &mut findings);
        if sound {
            rules::check(params, make, &mut findings);
            episodes::check(params, make, &mut findings);
        }
        sound
    });
    let is_whole = outcome == Ok(true) && findings.broke_off().is_none();
    if let Err(panic) = outcome {
        let message =
            format!("it panicked where it is made or asked for its spaces, metrics or state: {panic}");
        findings.add(Rule::Panic, 0, message);
    }
    let mut findings = findings.into_vec();
    // What ended the check hides whatever else there may be.
    findings.retain(|finding| !is_whole || !params.waived.contains(&finding.rule));
    findings
}
