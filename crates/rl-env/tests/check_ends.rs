//! Where episodes end: what explains an end that always comes at the same step, and rules that are waived.

#![allow(clippy::unwrap_used, reason = "a test")]

use rand::Rng;
use rl_env::{
    BoxSpace, CheckParams, Env, EnvError, EnvRng, EnvSpec, Frame, Rule, Space, Step, StepEnd, check_env,
};
use rl_test_support as _;

/// Falls by one a step from a height of 34, whatever it does, and is blown to one side or the other meanwhile.
#[derive(Default)]
struct Glider {
    height: i32,
    x: f32,
    /// Whether the height is shown.
    is_shown: bool,
    /// Whether it cannot be steered.
    is_torn: bool,
}

impl Glider {
    fn write(&self, obs: &mut [f32]) {
        obs[0] = self.x;
        obs[1] = if self.is_shown { self.height as f32 } else { 0.0 };
    }
}

impl Env for Glider {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::uniform(-100.0, 100.0, &[2]).into()
    }

    fn action_space(&self) -> Space {
        Space::Discrete(2)
    }

    fn reset(&mut self, _: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        (self.height, self.x) = (34, 0.0);
        self.write(obs);
        Ok(())
    }

    fn step(&mut self, &action: &usize, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        if self.is_torn {
            return Err(EnvError::Other("the wire is torn".into()));
        }
        self.height -= 1;
        self.x = [-1.0, 1.0][action] * rng.random_range(0.0..100.0);
        self.write(obs);
        let end = if self.height == 0 { StepEnd::Terminated } else { StepEnd::Continues };
        Ok(Step { reward: 1.0, end })
    }
}

fn glider(is_shown: bool) -> EnvSpec {
    EnvSpec::new("Glider-v0", move || Glider { is_shown, ..Glider::default() })
}

#[test]
fn a_height_that_is_observed_explains_an_end_at_the_same_step() {
    assert_eq!(glider(true).check(), []);
}

#[test]
fn one_that_is_not_observed_looks_like_a_clock_and_can_be_waived() {
    let findings = glider(false).check();
    assert_eq!(findings.iter().map(|f| f.rule).collect::<Vec<_>>(), [Rule::Truncation], "{findings:?}");
    assert!(findings[0].message.contains("--waive truncation"), "{findings:?}");
    assert_eq!(glider(false).with_waived("truncation".parse().unwrap()).check(), []);
    let unknown = "truncated".parse::<Rule>().unwrap_err().to_string();
    assert!(unknown.starts_with("no rule is called \"truncated\"; the rules are spaces, "), "{unknown}");
}

#[test]
fn a_rule_that_is_waived_hides_no_end_of_the_check() {
    let spec =
        EnvSpec::new("Torn-v0", || Glider { is_torn: true, ..Glider::default() }).with_waived(Rule::Failure);
    assert_eq!(spec.check()[0].rule, Rule::Failure);
}

/// Gives frames of nothing, and cannot restore what it saves.
struct HalfDone(Glider);

impl Env for HalfDone {
    type Action = usize;

    fn observation_space(&self) -> Space {
        self.0.observation_space()
    }

    fn action_space(&self) -> Space {
        self.0.action_space()
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        self.0.reset(rng, obs)
    }

    fn step(&mut self, action: &usize, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.0.step(action, rng, obs)
    }

    fn save(&self) -> Option<rl_env::EnvState> {
        Some(rl_env::EnvState::new("HalfDone").u64(self.0.height as u64))
    }

    fn render(&self) -> Option<Frame> {
        Some(Frame { width: 0, height: 0, rgb: Vec::new() })
    }
}

#[test]
fn frames_of_nothing_and_states_that_cannot_be_restored() {
    let spec = EnvSpec::new("HalfDone-v0", || HalfDone(Glider { is_shown: true, ..Glider::default() }));
    let found: Vec<String> = spec.check().iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "save-restore (step 0): save gives a state, and restore is not implemented",
            "render (step 0): a frame of 0 x 0 pixels shows nothing"
        ]
    );
}

#[test]
fn spaces_larger_than_memory_are_refused_before_anything_is_made_of_them() {
    struct Vast(Space);
    impl Env for Vast {
        type Action = usize;
        fn observation_space(&self) -> Space {
            self.0.clone()
        }
        fn action_space(&self) -> Space {
            Space::Discrete(2)
        }
        fn reset(&mut self, _: &mut EnvRng, _: &mut [f32]) -> Result<(), EnvError> {
            Ok(())
        }
        fn step(&mut self, _: &usize, _: &mut EnvRng, _: &mut [f32]) -> Result<Step, EnvError> {
            Ok(Step { reward: 0.0, end: StepEnd::Continues })
        }
    }
    let many = 1 << 40;
    for space in [
        Space::Discrete(many),
        Space::MultiBinary(many),
        Space::MultiDiscrete(vec![usize::MAX, 2]),
        Space::Tuple(vec![Space::Discrete(usize::MAX), Space::Discrete(2)]),
    ] {
        let found = check_env(&CheckParams::default(), &|| Box::new(Vast(space.clone())));
        assert_eq!(found.iter().map(|f| f.rule).collect::<Vec<_>>(), [Rule::Spaces], "{found:?}");
        assert!(found[0].message.contains("too large"), "{found:?}");
    }
}

#[test]
fn vectors_of_none_are_no_fault_of_the_environment() {
    let told = |e: EnvError| e.to_string();
    assert_eq!(
        glider(true).make_vec(0).map(drop).map_err(told).unwrap_err(),
        "a vector of environments needs at least one"
    );
    assert_eq!(
        glider(true).make_parts(3, 0).map(drop).map_err(told).unwrap_err(),
        "3 environments cannot be made in vectors of 0"
    );
}
