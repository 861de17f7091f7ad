use std::fmt;
use std::str::FromStr;

use crate::EnvError;

/// A clause of the contract between an environment and its users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Rule {
    /// Spaces are well-formed and the same at every call and for every copy.
    Spaces,
    /// Every element of the observation is written, and no other.
    ObservationShape,
    /// Observations lie in the observation space.
    ObservationBounds,
    /// Neither NaN nor infinity in observations and rewards.
    Finite,
    /// The generator passed in and the actions determine everything.
    Determinism,
    /// Copies share no state.
    Independence,
    /// An episode does not depend on the ones before it.
    ResetLeak,
    /// Every dimension of the action makes a difference.
    ActionIgnored,
    /// An action outside the action space gives an error and changes nothing.
    InvalidAction,
    /// Masks are always given or never, written whole, and allow a choice in every dimension of the action.
    ActionMask,
    /// Metrics have names of their own, the same at every call and for every copy, and no infinite values.
    Metrics,
    /// Stepping after the end gives an error.
    StepAfterEnd,
    /// A restored environment continues to the bit.
    SaveRestore,
    /// Running out of time truncates, it does not terminate.
    Truncation,
    /// Episodes come to an end, by themselves or by a time limit.
    Endless,
    /// Rendering gives three bytes a pixel.
    Render,
    /// `reset` and `step` succeed when they are used as they should be.
    Failure,
    /// Nothing panics.
    Panic,
}

impl Rule {
    /// Every rule with its name.
    const NAMES: [(Rule, &str); 18] = [
        (Rule::Spaces, "spaces"),
        (Rule::ObservationShape, "observation-shape"),
        (Rule::ObservationBounds, "observation-bounds"),
        (Rule::Finite, "finite"),
        (Rule::Determinism, "determinism"),
        (Rule::Independence, "independence"),
        (Rule::ResetLeak, "reset-leak"),
        (Rule::ActionIgnored, "action-ignored"),
        (Rule::InvalidAction, "invalid-action"),
        (Rule::ActionMask, "action-mask"),
        (Rule::Metrics, "metrics"),
        (Rule::StepAfterEnd, "step-after-end"),
        (Rule::SaveRestore, "save-restore"),
        (Rule::Truncation, "truncation"),
        (Rule::Endless, "endless"),
        (Rule::Render, "render"),
        (Rule::Failure, "failure"),
        (Rule::Panic, "panic"),
    ];
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Rule::NAMES.iter().find(|(rule, _)| rule == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

impl FromStr for Rule {
    type Err = EnvError;

    /// The rule of that name, such as `truncation`.
    fn from_str(name: &str) -> Result<Rule, EnvError> {
        let known = Rule::NAMES.iter().find(|(_, known)| *known == name);
        known.map(|(rule, _)| *rule).ok_or_else(|| {
            let names: Vec<_> = Rule::NAMES.iter().map(|(_, name)| *name).collect();
            EnvError::Other(format!("no rule is called {name:?}; the rules are {}", names.join(", ")).into())
        })
    }
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub rule: Rule,
    /// After how many steps of its run; 0 is the first reset.
    pub step: usize,
    /// What happened.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (step {}): {}", self.rule, self.step, self.message)
    }
}

/// The first finding of each rule, and of `Spaces` and `ActionIgnored` all.
#[derive(Clone, Default)]
pub(super) struct Findings {
    found: Vec<Finding>,
    /// What ended a run before its time.
    broke_off: Option<String>,
}

impl Findings {
    pub(super) fn add(&mut self, rule: Rule, step: usize, message: impl Into<String>) {
        let several = matches!(rule, Rule::Spaces | Rule::ActionIgnored);
        if several || !self.broken(rule) {
            self.found.push(Finding { rule, step, message: message.into() });
        }
    }

    /// The same for what ends a run before its time. No other run is begun then: it would end there as well, or differ for that reason alone.
    pub(super) fn break_off(&mut self, rule: Rule, step: usize, message: String) {
        self.add(rule, step, message.clone());
        self.broke_off.get_or_insert(message);
    }

    /// What ended a run before its time, if anything did.
    pub(super) fn broke_off(&self) -> Option<&str> {
        self.broke_off.as_deref()
    }

    /// Begins no other run either where this one broke off, of which the caller has told.
    pub(super) fn stop_with(&mut self, run: Findings) {
        self.broke_off = self.broke_off.take().or(run.broke_off);
    }

    /// Says of the panic that was found that it is a fault of another kind, and why.
    pub(super) fn explain_panic(&mut self, rule: Rule, why: &str) {
        for finding in self.found.iter_mut().filter(|finding| finding.rule == Rule::Panic) {
            finding.rule = rule;
            finding.message = format!("{}: {why}", finding.message);
        }
    }

    pub(super) fn broken(&self, rule: Rule) -> bool {
        self.found.iter().any(|f| f.rule == rule)
    }

    pub(super) fn into_vec(self) -> Vec<Finding> {
        self.found
    }
}
