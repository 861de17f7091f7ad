//! `check_env` passes sound environments and names what is wrong with unsound ones.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rand::Rng;
use rl_env::wrappers::{ClipAction, EpisodeStatistics, FrameStack, RescaleAction};
use rl_env::{
    BoxSpace, CheckParams, DynEnv, Env, EnvError, EnvRng, EnvState, Finding, Frame, Metric, Registry, Rule,
    Space, Step, StepEnd, TimeLimit, check_env, envs,
};
use rl_test_support as _;

/// A random walk on [−1, 1], pushed by actions, over when it leaves ±0.9; one planted fault.
#[derive(Clone)]
struct Walk {
    fault: Fault,
    x: f64,
    steps: u64,
    over: bool,
    shared: Arc<Mutex<f64>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    OutOfBounds,
    NanReward,
    NanObservation,
    ActionIgnored,
    SharedState,
    Unseeded,
    StepsAfterEnd,
    TooShort,
    TooLong,
    TimeoutTerminates,
    ResetLeaks,
    InexactRestore,
    ForgetfulRestore,
    AcceptsInvalid,
    MovesOnInvalid,
    BadSpace,
    ChangingSpace,
    Panics,
    BadFrame,
    FailsToReset,
    Masked,
    MaskAllowsNothing,
    MaskIsNotWritten,
    MaskComesAndGoes,
    MaskTooLong,
    Measures,
    MetricInfinite,
    MetricTwice,
    MetricUnseeded,
    MetricTooMany,
}

static CLOCK: AtomicU64 = AtomicU64::new(1);

impl Walk {
    fn observe(&self, obs: &mut [f32]) {
        if self.fault == Fault::TooLong {
            obs[2] = 0.0;
        }
        obs[0] = self.x as f32;
        if self.fault != Fault::TooShort {
            obs[1] = (self.x * self.x) as f32;
        }
        if self.fault == Fault::OutOfBounds && self.x > 0.3 {
            obs[0] = 1.5;
        }
        if self.fault == Fault::NanObservation && self.x > 0.3 {
            obs[1] = f32::NAN;
        }
    }
}

impl Env for Walk {
    type Action = usize;

    fn observation_space(&self) -> Space {
        match self.fault {
            Fault::BadSpace => BoxSpace { shape: vec![2], low: vec![-1.0], high: vec![1.0, 1.0] }.into(),
            Fault::ChangingSpace => {
                BoxSpace::uniform(-1.0, CLOCK.fetch_add(1, Ordering::Relaxed) as f32, &[2]).into()
            }
            _ => BoxSpace::uniform(-1.0, 1.0, &[2]).into(),
        }
    }

    fn action_space(&self) -> Space {
        Space::Discrete(3)
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        if self.fault == Fault::FailsToReset && self.over {
            return Err(EnvError::Contract("no second episode".into()));
        }
        let start = rng.random_range(-0.1..0.1);
        self.x = if self.fault == Fault::ResetLeaks { 0.1 * self.x + start } else { start };
        *self.shared.lock().unwrap() = self.x;
        (self.steps, self.over) = (0, false);
        self.observe(obs);
        Ok(())
    }

    fn step(&mut self, &action: &usize, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        if action > 2 && self.fault == Fault::MovesOnInvalid {
            self.x += 0.01;
        }
        if self.fault == Fault::Masked && action == if self.x > 0.0 { 2 } else { 0 } {
            return Err(EnvError::masked_action(action, "it leads further out"));
        }
        if action > 2 && self.fault != Fault::AcceptsInvalid {
            return Err(EnvError::invalid_action(action, Space::Discrete(3)));
        }
        if self.over && self.fault != Fault::StepsAfterEnd {
            return Err(EnvError::NeedsReset { when: "after the end" });
        }
        let push = match self.fault {
            Fault::ActionIgnored => 0.0,
            _ => 0.02 * (action.min(2) as f64 - 1.0),
        };
        let noise = rng.random_range(-0.2..0.2);
        if self.fault == Fault::SharedState {
            self.x = *self.shared.lock().unwrap();
        }
        self.x = (self.x + push + noise).clamp(-1.0, 1.0);
        if self.fault == Fault::Unseeded {
            self.x = (self.x + 1e-6 * (CLOCK.fetch_add(1, Ordering::Relaxed) % 7) as f64).clamp(-1.0, 1.0);
        }
        *self.shared.lock().unwrap() = self.x;
        self.steps += 1;
        assert!(self.fault != Fault::Panics || self.steps < 5, "five is too many");
        let mut end = if self.x.abs() > 0.9 { StepEnd::Terminated } else { StepEnd::Continues };
        if self.fault == Fault::TimeoutTerminates {
            self.x *= 0.9;
            end = if self.steps == 20 { StepEnd::Terminated } else { StepEnd::Continues };
        }
        self.over = end.is_over();
        self.observe(obs);
        let reward = if self.fault == Fault::NanReward && self.steps == 7 { f64::NAN } else { -self.x.abs() };
        Ok(Step { reward, end })
    }

    fn action_mask(&self, mask: &mut [bool]) -> bool {
        let left = self.x > 0.0;
        match self.fault {
            Fault::Masked => mask.copy_from_slice(&[left, true, !left]),
            Fault::MaskAllowsNothing => mask.fill(self.steps < 3),
            Fault::MaskIsNotWritten => mask[1] = true,
            Fault::MaskComesAndGoes => {
                mask.fill(true);
                return self.steps.is_multiple_of(2);
            }
            Fault::MaskTooLong => mask[3] = true,
            _ => return false,
        }
        true
    }

    fn metrics(&self) -> Vec<Metric> {
        match self.fault {
            Fault::MetricTwice => vec![Metric::sum("x"), Metric::last("x")],
            Fault::Measures | Fault::MetricInfinite | Fault::MetricUnseeded | Fault::MetricTooMany => {
                vec![Metric::mean("x")]
            }
            _ => Vec::new(),
        }
    }

    fn read_metrics(&self, values: &mut [f64]) {
        values[0] = match self.fault {
            Fault::MetricInfinite if self.steps == 4 => f64::INFINITY,
            Fault::MetricUnseeded => CLOCK.fetch_add(1, Ordering::Relaxed) as f64,
            _ => self.x,
        };
        if self.fault == Fault::MetricTooMany {
            values[1] = self.x;
        }
    }

    fn save(&self) -> Option<EnvState> {
        let x = if self.fault == Fault::InexactRestore { f64::from(self.x as f32) } else { self.x };
        let state = EnvState::new("Walk").f64(x).u64(self.steps);
        Some(if self.fault == Fault::ForgetfulRestore { state } else { state.bool(self.over) })
    }

    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let mut words = state.read("Walk")?;
        let (x, steps) = (words.f64()?, words.u64()?);
        if self.fault == Fault::ForgetfulRestore {
            self.steps = steps;
            return words.finish();
        }
        let over = words.bool()?;
        words.finish()?;
        (self.x, self.steps, self.over) = (x, steps, over);
        Ok(())
    }

    fn render(&self) -> Option<Frame> {
        let bytes = if self.fault == Fault::BadFrame { 5 } else { 6 };
        Some(Frame { width: 2, height: 1, rgb: vec![0; bytes] })
    }
}

fn findings(fault: Fault) -> Vec<Finding> {
    let shared = Arc::new(Mutex::new(0.0));
    check_env(&CheckParams::default(), &|| {
        let shared = if fault == Fault::SharedState { shared.clone() } else { Arc::default() };
        Box::new(Walk { fault, x: 0.0, steps: 0, over: false, shared })
    })
}

#[track_caller]
fn finds(fault: Fault, rule: Rule, words: &str) {
    let findings = findings(fault);
    let found = findings.iter().find(|f| f.rule == rule);
    let text = found.unwrap_or_else(|| panic!("{fault:?}: {rule} not among {findings:?}")).to_string();
    assert!(text.contains(words) && text.starts_with(&rule.to_string()), "{fault:?}: {text}");
}

#[test]
fn a_sound_environment_passes() {
    assert_eq!(findings(Fault::None), []);
}

#[test]
fn observation_out_of_bounds() {
    finds(Fault::OutOfBounds, Rule::ObservationBounds, "element 0 of the observation is 1.5, not in [-1, 1]");
}

#[test]
fn nan_reward() {
    finds(Fault::NanReward, Rule::Finite, "(step 7): the reward is NaN");
}

#[test]
fn nan_observation() {
    finds(Fault::NanObservation, Rule::Finite, "element 1 of the observation is NaN");
}

#[test]
fn action_ignored() {
    finds(Fault::ActionIgnored, Rule::ActionIgnored, "dimension 0 of the action changes nothing");
}

#[test]
fn state_shared_between_copies() {
    finds(Fault::SharedState, Rule::Independence, "copies share state");
}

#[test]
fn unseeded_randomness() {
    finds(Fault::Unseeded, Rule::Determinism, "unseeded randomness");
}

#[test]
fn stepping_after_the_end() {
    finds(
        Fault::StepsAfterEnd,
        Rule::StepAfterEnd,
        "a step after the end (Terminated) of the episode is accepted",
    );
}

#[test]
fn wrong_shape() {
    finds(Fault::TooShort, Rule::ObservationShape, "element 1 of the 2 of the observation was not written");
    finds(Fault::TooLong, Rule::ObservationShape, "(step 0)");
}

#[test]
fn truncation_reported_as_termination() {
    finds(Fault::TimeoutTerminates, Rule::Truncation, "terminated at step 20");
}

#[test]
fn reset_that_leaks_state() {
    finds(Fault::ResetLeaks, Rule::ResetLeak, "reset leaks state");
}

#[test]
fn restore_that_is_not_exact() {
    finds(Fault::InexactRestore, Rule::SaveRestore, "was restored");
    finds(Fault::ForgetfulRestore, Rule::SaveRestore, "a fresh environment");
}

#[test]
fn invalid_action_accepted_or_acted_upon() {
    finds(Fault::AcceptsInvalid, Rule::InvalidAction, "the action [3] is accepted in Discrete(3)");
    finds(Fault::MovesOnInvalid, Rule::InvalidAction, "refused, but changes what follows");
}

#[test]
fn spaces_that_are_malformed_or_change() {
    finds(Fault::BadSpace, Rule::Spaces, "2 elements by its shape, but 1 lower and 2 upper bounds");
    finds(Fault::ChangingSpace, Rule::Spaces, "when asked again");
}

#[test]
fn random_play_respects_masks_and_masks_are_sound() {
    // It refuses whatever it masks, so that one action of another kind would be found.
    assert_eq!(findings(Fault::Masked), []);
    finds(Fault::MaskAllowsNothing, Rule::ActionMask, "(step 3)");
    finds(Fault::MaskAllowsNothing, Rule::ActionMask, "no choice in dimension 0");
    finds(Fault::MaskIsNotWritten, Rule::ActionMask, "element 0 of the 3 of the mask was not written");
    finds(Fault::MaskComesAndGoes, Rule::ActionMask, "(step 1): there is no mask now");
    finds(Fault::MaskTooLong, Rule::ActionMask, "action_mask panicked with 3 choices to write");
}

#[test]
fn metrics_are_named_once_finite_and_seeded() {
    assert_eq!(findings(Fault::Measures), []);
    finds(Fault::MetricInfinite, Rule::Metrics, "(step 4): metric 0 is inf");
    finds(Fault::MetricTwice, Rule::Metrics, "there are two metrics \"x\"");
    finds(Fault::MetricUnseeded, Rule::Determinism, "metric 0 is");
    finds(Fault::MetricTooMany, Rule::Metrics, "read_metrics panicked with 1 values to write");
}

/// What is found is the fault, and nothing that only follows from it.
#[test]
fn one_fault_is_one_finding() {
    let mut several = Vec::new();
    for fault in [
        Fault::OutOfBounds,
        Fault::NanReward,
        Fault::NanObservation,
        Fault::ActionIgnored,
        Fault::SharedState,
        Fault::Unseeded,
        Fault::StepsAfterEnd,
        Fault::TooShort,
        Fault::TooLong,
        Fault::TimeoutTerminates,
        Fault::ResetLeaks,
        Fault::InexactRestore,
        Fault::ForgetfulRestore,
        Fault::AcceptsInvalid,
        Fault::MovesOnInvalid,
        Fault::BadSpace,
        Fault::Panics,
        Fault::BadFrame,
        Fault::FailsToReset,
        Fault::MaskAllowsNothing,
        Fault::MaskIsNotWritten,
        Fault::MaskComesAndGoes,
        Fault::MaskTooLong,
        Fault::MetricInfinite,
        Fault::MetricTwice,
        Fault::MetricUnseeded,
        Fault::MetricTooMany,
    ] {
        let findings = findings(fault);
        if findings.len() != 1 {
            several.push((fault, findings));
        }
    }
    assert!(several.is_empty(), "{several:#?}");
}

#[test]
fn panics_failures_and_bad_frames() {
    finds(Fault::Panics, Rule::Panic, "(step 5): step panicked: five is too many");
    finds(Fault::BadFrame, Rule::Render, "a frame of 2 x 1 pixels has 5 bytes");
    finds(Fault::FailsToReset, Rule::Failure, "reset failed");
}

/// A mountain car whose clock terminates.
#[derive(Default)]
struct Impatient(envs::MountainCar, u32);

impl Env for Impatient {
    type Action = usize;
    fn observation_space(&self) -> Space {
        Env::observation_space(&self.0)
    }
    fn action_space(&self) -> Space {
        Env::action_space(&self.0)
    }
    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        self.1 = 0;
        Env::reset(&mut self.0, rng, obs)
    }
    fn step(&mut self, action: &usize, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        if self.1 == 200 {
            return Err(EnvError::NeedsReset { when: "after the end of the episode" });
        }
        let mut step = Env::step(&mut self.0, action, rng, obs)?;
        self.1 += 1;
        if self.1 == 200 {
            step.end = StepEnd::Terminated;
        }
        Ok(step)
    }
}

#[test]
fn a_mountain_car_whose_time_limit_terminates() {
    for max_episode_steps in [None, Some(200)] {
        let params = CheckParams { max_episode_steps, ..CheckParams::default() };
        let findings = check_env(&params, &|| Box::new(Impatient::default()));
        assert_eq!(findings.iter().map(|f| f.rule).collect::<Vec<_>>(), [Rule::Truncation], "{findings:?}");
    }
}

#[test]
fn a_limit_that_is_not_kept() {
    let params = CheckParams { max_episode_steps: Some(10), ..CheckParams::default() };
    let findings = check_env(&params, &|| Box::new(TimeLimit::new(envs::Pendulum::new(), 11)));
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].to_string().contains("lasts 11 steps, the time limit is 10"));
}

#[test]
fn built_in_environments_pass() {
    let registry = Registry::builtin();
    for spec in registry.iter() {
        assert_eq!(spec.check(), [], "{}", spec.id);
    }
}

#[test]
fn wrapped_environments_pass() {
    let pendulum = || TimeLimit::new(envs::Pendulum::new(), 50);
    let stacked = || TimeLimit::new(FrameStack::new(envs::CartPole::new(), 3).unwrap(), 50);
    let makers: [&dyn Fn() -> Box<dyn DynEnv>; 4] = [
        &|| Box::new(ClipAction::new(pendulum()).unwrap()),
        &|| Box::new(RescaleAction::new(pendulum(), -1.0, 1.0).unwrap()),
        &|| Box::new(EpisodeStatistics::new(stacked())),
        &|| Box::new(EpisodeStatistics::new(FrameStack::new(pendulum(), 2).unwrap())),
    ];
    for (i, make) in makers.into_iter().enumerate() {
        assert_eq!(check_env(&CheckParams::default(), make), [], "wrapper {i}");
    }
}

/// A pole whose observation is said to be one longer after some steps.
struct Growing {
    pole: envs::CartPole,
    steps: u32,
}

impl Env for Growing {
    type Action = usize;

    fn observation_space(&self) -> Space {
        let n = if self.steps < 30 { 4 } else { 5 };
        BoxSpace::uniform(f32::NEG_INFINITY, f32::INFINITY, &[n]).into()
    }

    fn action_space(&self) -> Space {
        Env::action_space(&self.pole)
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        Env::reset(&mut self.pole, rng, obs)
    }

    fn step(&mut self, action: &usize, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.steps += 1;
        Env::step(&mut self.pole, action, rng, obs)
    }
}

#[test]
fn a_space_that_changes_on_the_way() {
    let findings =
        check_env(&CheckParams::default(), &|| Box::new(Growing { pole: envs::CartPole::new(), steps: 0 }));
    let told =
        findings.iter().map(ToString::to_string).find(|told| told.starts_with("spaces (step 30)")).unwrap();
    assert!(
        told.contains("observation space changes from Box(-inf, inf, [4]) to Box(-inf, inf, [5])"),
        "{told}"
    );
}

#[test]
fn an_environment_that_never_ends() {
    let endless = || -> Box<dyn DynEnv> { Box::new(envs::Pendulum::new()) };
    let findings = check_env(&CheckParams::default(), &endless);
    assert_eq!(findings.iter().map(|f| f.rule).collect::<Vec<_>>(), [Rule::Endless], "{findings:?}");
    assert!(findings[0].message.contains("EnvSpec::with_time_limit"), "{findings:?}");
    // A limit beyond what is tried is one all the same.
    let params = CheckParams { max_episode_steps: Some(1_000_000), ..CheckParams::default() };
    assert_eq!(check_env(&params, &endless), []);
}
