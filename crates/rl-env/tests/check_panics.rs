//! `check_env` finds a panic once, with its place, under the rule that it breaks.

#![allow(clippy::unwrap_used, reason = "a test")]

use rand::Rng;
use rl_env::{
    BoxSpace, CheckParams, DynEnv, Env, EnvError, EnvRng, EnvSpec, EnvState, Finding, Metric, Rule, Space,
    Step, StepEnd, check_env,
};
use rl_test_support as _;

/// Where it panics.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Panic {
    Never,
    /// In the fifth step of an episode, by an index of its own.
    OwnIndex,
    /// The same, by one beyond the observation,
    BeyondObservation,
    /// or by a copy of more than the observation.
    LongCopy,
    /// In an episode that is not the first of all.
    SecondReset,
    /// After it was run for as long as the check runs an environment, so only in one that was used before.
    UsedUp,
    /// In the step after one that it refused.
    AfterRefusal,
    /// In the step after it was restored.
    AfterRestore,
    /// In a step behind the end.
    AfterEnd,
    Made,
    Spaces,
    Metrics,
    /// Where it is asked for its mask, which steps keep to.
    Mask,
    Saved,
}

/// A random walk over five fields, over at either end; what it writes is as long as the observation, but for two faults.
struct Walk {
    panic: Panic,
    x: i64,
    steps: usize,
    all_steps: usize,
    poisoned: bool,
    over: bool,
}

const FIELDS: [f32; 5] = [-2.0, -1.0, 0.0, 1.0, 2.0];

impl Walk {
    fn new(panic: Panic) -> Self {
        assert!(panic != Panic::Made, "no walk today");
        Walk { panic, x: 0, steps: 0, all_steps: 0, poisoned: false, over: false }
    }

    fn observe(&self, obs: &mut [f32]) {
        // Whatever its length.
        obs.fill(0.0);
        let x = self.x as f32 / 20.0;
        match self.panic {
            Panic::LongCopy => obs.copy_from_slice(&[x, 0.0, 0.0]),
            Panic::BeyondObservation if self.steps == 5 => obs[2] = x,
            _ => obs[0] = x,
        }
    }
}

impl Env for Walk {
    type Action = usize;

    fn observation_space(&self) -> Space {
        assert!(self.panic != Panic::Spaces, "no space today");
        BoxSpace::uniform(-1.0, 1.0, &[2]).into()
    }

    fn action_space(&self) -> Space {
        Space::Discrete(2)
    }

    fn reset(&mut self, _: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        assert!(self.panic != Panic::SecondReset || self.all_steps == 0, "once only");
        (self.x, self.steps, self.over) = (0, 0, false);
        self.observe(obs);
        Ok(())
    }

    fn step(&mut self, &action: &usize, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        if action > 1 {
            self.poisoned = self.panic == Panic::AfterRefusal;
            return Err(EnvError::invalid_action(action, Space::Discrete(2)));
        }
        if self.over {
            assert!(self.panic != Panic::AfterEnd, "it is over");
            return Err(EnvError::NeedsReset { when: "after the end of the episode" });
        }
        if self.panic == Panic::Mask && self.steps > 3 && action == 0 {
            return Err(EnvError::masked_action(action, "there is no way back"));
        }
        assert!(!self.poisoned, "poisoned");
        self.steps += 1;
        self.all_steps += 1;
        if self.panic == Panic::OwnIndex && self.steps == 5 {
            self.x = FIELDS[self.steps] as i64;
        }
        assert!(self.panic != Panic::UsedUp || self.all_steps <= 500, "used up");
        self.x += if rng.random_bool(0.5 + 0.2 * action as f64) { 1 } else { -1 };
        self.over = self.x.abs() == 20;
        self.observe(obs);
        let end = if self.over { StepEnd::Terminated } else { StepEnd::Continues };
        Ok(Step { reward: self.x as f64, end })
    }

    fn action_mask(&self, mask: &mut [bool]) -> bool {
        assert!(self.panic != Panic::Mask || self.steps < 3, "no mask today");
        mask.fill(true);
        self.panic == Panic::Mask
    }

    fn metrics(&self) -> Vec<Metric> {
        assert!(self.panic != Panic::Metrics, "no metrics today");
        Vec::new()
    }

    fn save(&self) -> Option<EnvState> {
        assert!(self.panic != Panic::Saved, "not saved today");
        let state = EnvState::new("Walk").u64(self.x as u64).u64(self.steps as u64);
        Some(state.u64(self.all_steps as u64).bool(self.over))
    }

    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let mut words = state.read("Walk")?;
        let (x, steps, all_steps, over) = (words.u64()?, words.u64()?, words.u64()?, words.bool()?);
        words.finish()?;
        (self.x, self.steps, self.all_steps) = (x as i64, steps as usize, all_steps as usize);
        self.over = over;
        self.poisoned = self.panic == Panic::AfterRestore;
        Ok(())
    }
}

fn findings(panic: Panic) -> Vec<Finding> {
    check_env(&CheckParams::default(), &|| -> Box<dyn DynEnv> { Box::new(Walk::new(panic)) })
}

#[test]
fn a_panic_is_found_once_under_its_rule_with_its_place() {
    assert_eq!(findings(Panic::Never), []);
    let beyond = ": it writes beyond the 2 elements of the observation";
    for (panic, rule, step, words, why) in [
        (Panic::OwnIndex, Rule::Panic, Some(5), "step panicked: index out of bounds: the len is 5", ")"),
        (
            Panic::BeyondObservation,
            Rule::ObservationShape,
            Some(5),
            "step panicked: index out of bounds: the len is 2",
            beyond,
        ),
        (Panic::LongCopy, Rule::ObservationShape, Some(0), "reset panicked: ", beyond),
        (Panic::SecondReset, Rule::Panic, None, "reset panicked: once only (", ")"),
        (Panic::UsedUp, Rule::ResetLeak, None, "one run breaks off (step panicked: used up (", "leaks state"),
        (
            Panic::AfterRefusal,
            Rule::InvalidAction,
            None,
            "the action [2] is refused, but changes what follows: one run breaks off (step panicked: poisoned (",
            "))",
        ),
        (
            Panic::AfterRestore,
            Rule::SaveRestore,
            None,
            "steps after a fresh environment was restored, one run breaks off (step panicked: poisoned (",
            "))",
        ),
        (
            Panic::AfterEnd,
            Rule::StepAfterEnd,
            None,
            "a step after the end (Terminated) of the episode panics: it is over (",
            ")",
        ),
        (
            Panic::Mask,
            Rule::ActionMask,
            Some(3),
            "action_mask panicked with 2 choices to write: no mask today (",
            ")",
        ),
        (Panic::Made, Rule::Panic, Some(0), "where it is made or asked for", ")"),
        (Panic::Spaces, Rule::Panic, Some(0), "panicked where it is made or asked for", ")"),
        (Panic::Metrics, Rule::Panic, Some(0), "metrics or state: no metrics today (", ")"),
        (Panic::Saved, Rule::Panic, Some(0), "metrics or state: not saved today (", ")"),
    ] {
        let found = findings(panic);
        let [finding] = &found[..] else { panic!("{panic:?}: {found:?}") };
        assert_eq!(finding.rule, rule, "{panic:?}: {finding}");
        assert!(step.is_none_or(|step| finding.step == step), "{panic:?}: {finding}");
        assert!(finding.message.contains(words) && finding.message.ends_with(why), "{panic:?}: {finding}");
        assert!(finding.message.contains("check_panics.rs:"), "{panic:?}: no place in {finding}");
        assert_eq!(finding.to_string().lines().count(), 1, "{panic:?}: {finding}");
    }
}

/// Behind the guard of the registry, and inside a vector, which catches panics itself.
#[test]
fn a_panic_behind_others_is_one_too() {
    let alone = EnvSpec::with_time_limit("Walk-v0", 50, || Walk::new(Panic::OwnIndex));
    let spaces = (alone.observation_space.clone(), alone.action_space.clone());
    let inner = alone.clone();
    let vector =
        EnvSpec::from_vec("Walks-v0", spaces.0, spaces.1, move |numbers| inner.make_vec(numbers.len()));
    for (spec, words) in [
        (alone, "step panicked: index out of bounds: the len is 5 but the index is 5 ("),
        (
            vector,
            "step failed: environment 0, step 5 since its construction: a panic in an environment's `step`: index out of bounds: the len is 5",
        ),
    ] {
        let found = spec.check();
        let [finding] = &found[..] else { panic!("{}: {found:?}", spec.id) };
        assert_eq!((finding.rule, finding.step), (Rule::Panic, 5), "{finding}");
        assert!(finding.message.starts_with(words), "{finding}");
        assert!(finding.message.contains("check_panics.rs:"), "{finding}");
    }
}
