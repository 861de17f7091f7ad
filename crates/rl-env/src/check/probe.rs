//! Runs an environment under observation.

use super::finding::{Findings, Rule};
use crate::panics::told;
use crate::rng::stream;
use crate::{Action, ActionRef, DynEnv, EnvError, EnvRng, Space, Step, StepEnd};

/// An element nobody wrote: a NaN with bits of its own.
const UNWRITTEN: u32 = 0x7fc5_eed5;

/// One environment with its generator, its last observation and the faults seen.
pub(super) struct Probe {
    pub(super) env: Box<dyn DynEnv>,
    pub(super) rng: EnvRng,
    pub(super) steps: usize,
    space: Space,
    action_space: Space,
    /// Of the last call, and more where there is room.
    row: Vec<f32>,
    /// Of the last step; NaN after a reset.
    metrics: Vec<f64>,
    /// Which actions are allowed now; empty where all are.
    pub(super) mask: Vec<bool>,
    /// Whether the environment gives masks, from the first reset on.
    masked: Option<bool>,
}

/// What a step or reset gave, to the bit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) obs: Vec<u32>,
    reward: u64,
    metrics: Vec<u64>,
    pub(super) end: StepEnd,
    /// Whether this is a reset.
    pub(super) first: bool,
}

impl Record {
    /// How this differs from another, in words.
    pub(super) fn difference(&self, other: &Record) -> Option<String> {
        if let Some(k) = self.obs.iter().zip(&other.obs).position(|(a, b)| a != b) {
            let (a, b) = (f32::from_bits(self.obs[k]), f32::from_bits(other.obs[k]));
            return Some(format!("element {k} of the observation is {a} once and {b} then"));
        }
        if self.reward != other.reward {
            let (a, b) = (f64::from_bits(self.reward), f64::from_bits(other.reward));
            return Some(format!("the reward is {a} once and {b} then"));
        }
        if let Some(k) = self.metrics.iter().zip(&other.metrics).position(|(a, b)| a != b) {
            let (a, b) = (f64::from_bits(self.metrics[k]), f64::from_bits(other.metrics[k]));
            return Some(format!("metric {k} is {a} once and {b} then"));
        }
        (self != other).then(|| format!("the episode: {:?} once and {:?} then", self.end, other.end))
    }
}

/// The first step at which two runs differ.
pub(super) fn first_difference(a: &[Record], b: &[Record]) -> Option<(usize, String)> {
    let differing = a.iter().zip(b).enumerate().find_map(|(i, (a, b))| a.difference(b).map(|d| (i, d)));
    differing
        .or_else(|| (a.len() != b.len()).then(|| (a.len().min(b.len()), "one run breaks off".to_owned())))
}

/// The first step at which a run differs from the one that it should repeat, and what was found in it where that broke it off.
pub(super) fn departure(expected: &[Record], run: &[Record], found: &Findings) -> Option<(usize, String)> {
    let (i, difference) = first_difference(expected, run)?;
    let reason = found.broke_off().filter(|_| i == run.len());
    Some((i, reason.map_or(difference.clone(), |reason| format!("{difference} ({reason})"))))
}

impl Probe {
    pub(super) fn new(env: Box<dyn DynEnv>, seed: u64) -> Self {
        Probe::with_room(env, seed, 0)
    }

    /// One that gives the environment a slice with `room` more elements than the observation has.
    pub(super) fn with_room(env: Box<dyn DynEnv>, seed: u64, room: usize) -> Self {
        let (space, action_space) = (env.observation_space(), env.action_space());
        let (rng, row) = (stream(seed, "check", 0), vec![0.0; space.flat_len() + room]);
        let metrics = vec![f64::NAN; env.metrics().len()];
        Probe { rng, steps: 0, row, metrics, space, action_space, mask: Vec::new(), masked: None, env }
    }

    /// Whether the last call wrote beyond the observation, into the room behind it.
    pub(super) fn wrote_beyond(&self) -> bool {
        self.row[self.space.flat_len()..].iter().any(|x| x.to_bits() != UNWRITTEN)
    }

    /// Resets; `None` where that failed, which is then a finding, and where a run broke off before.
    pub(super) fn reset(&mut self, findings: &mut Findings) -> Option<Record> {
        if findings.broke_off().is_some() {
            return None;
        }
        self.row.fill(f32::from_bits(UNWRITTEN));
        let (env, rng, obs) = (&mut self.env, &mut self.rng, &mut self.row);
        let outcome = told(|| env.reset(rng, obs));
        self.settled("reset", outcome, findings)?;
        self.metrics.fill(f64::NAN);
        self.look_at_spaces(findings);
        self.inspect(0.0, findings);
        self.look_at_mask(findings);
        Some(self.record(0.0, StepEnd::Continues, true))
    }

    /// Steps with `action`, or with the one that the mask allows in its place; `None` where that failed, which is then a finding, and
    /// where a run broke off before.
    pub(super) fn step(&mut self, action: &Action, findings: &mut Findings) -> Option<Record> {
        if findings.broke_off().is_some() {
            return None;
        }
        let outcome = self.try_step(self.allowed(action).as_ref());
        self.steps += 1;
        let step = self.settled("step", outcome, findings)?;
        self.read_metrics(findings)?;
        self.look_at_spaces(findings);
        self.inspect(step.reward, findings);
        if step.end.is_over() {
            // Nothing is asked for there.
            self.mask.clear();
        } else {
            self.look_at_mask(findings);
        }
        Some(self.record(step.reward, step.end, false))
    }

    /// Reads what the step measured; `None` where that failed, which is then a finding.
    fn read_metrics(&mut self, findings: &mut Findings) -> Option<()> {
        if self.metrics.is_empty() {
            return Some(());
        }
        self.metrics.fill(f64::NAN);
        let (env, metrics) = (&self.env, &mut self.metrics);
        if let Err(panic) = told(|| env.read_metrics(metrics)) {
            let message =
                format!("read_metrics panicked with {} values to write: {panic}", self.metrics.len());
            findings.break_off(Rule::Metrics, self.steps, message);
            return None;
        }
        if let Some(k) = self.metrics.iter().position(|x| x.is_infinite()) {
            findings.add(Rule::Metrics, self.steps, format!("metric {k} is {}", self.metrics[k]));
        }
        Some(())
    }

    /// `action`, with every choice that is not allowed now replaced by one that is.
    pub(super) fn allowed(&self, action: &Action) -> Action {
        if self.mask.is_empty() { action.clone() } else { self.action_space.next_allowed(&self.mask, action) }
    }

    /// The spaces stay what they were at first.
    fn look_at_spaces(&self, findings: &mut Findings) {
        if findings.broken(Rule::Spaces) {
            return;
        }
        if !findings.broken(Rule::Metrics)
            && told(|| self.env.metrics().len()).is_ok_and(|n| n != self.metrics.len())
        {
            let message = "the metrics are others than at first as the environment is used";
            findings.add(Rule::Metrics, self.steps, message);
        }
        let spaces = told(|| (self.env.observation_space(), self.env.action_space()));
        let (observations, actions) = match spaces {
            Ok(spaces) => spaces,
            Err(panic) => {
                let message = format!("a space, when asked for, panicked: {panic}");
                return findings.break_off(Rule::Panic, self.steps, message);
            }
        };
        for (what, before, now) in
            [("observation", &self.space, &observations), ("action", &self.action_space, &actions)]
        {
            if before != now {
                let message =
                    format!("the {what} space changes from {before} to {now} as the environment is used");
                findings.add(Rule::Spaces, self.steps, message);
            }
        }
    }

    /// Reads the mask twice over different bits, so that a place nobody wrote is seen.
    fn look_at_mask(&mut self, findings: &mut Findings) {
        if findings.broken(Rule::ActionMask) {
            return;
        }
        let width = self.action_space.mask_len();
        let (mut mask, mut again) = (vec![false; width], vec![true; width]);
        let env = &self.env;
        let given = told(|| (env.action_mask(&mut mask), env.action_mask(&mut again)));
        self.mask.clear();
        let fault = match given {
            Err(ref panic) => Some(format!("action_mask panicked with {width} choices to write: {panic}")),
            Ok((false, false)) if self.masked != Some(true) => None,
            Ok((true, true)) if self.masked == Some(false) => {
                Some("there is a mask now, and was none before".into())
            }
            Ok((true, true)) if width == 0 => {
                Some(format!("{} has no choices that could be masked", self.action_space))
            }
            Ok((true, true)) => match mask.iter().zip(&again).position(|(a, b)| a != b) {
                Some(k) => Some(format!(
                    "element {k} of the {width} of the mask was not written, or changes when asked again"
                )),
                None => self.action_space.check_mask(&mask).err().map(|e| e.to_string()),
            },
            Ok((false, false)) => Some("there is no mask now, and was one before".into()),
            Ok(_) => Some("there is a mask when asked once, and none when asked again".into()),
        };
        match fault {
            Some(fault) if given.is_err() => findings.break_off(Rule::ActionMask, self.steps, fault),
            Some(fault) => findings.add(Rule::ActionMask, self.steps, fault),
            None if matches!(given, Ok((true, true))) => self.mask = mask,
            None => {}
        }
        self.masked = self.masked.or(given.ok().map(|(given, _)| given));
    }

    /// Steps, whatever comes of it.
    pub(super) fn try_step(&mut self, action: ActionRef<'_>) -> Result<Result<Step, EnvError>, String> {
        self.row.fill(f32::from_bits(UNWRITTEN));
        let (env, rng, obs) = (&mut self.env, &mut self.rng, &mut self.row);
        told(|| env.step(action, rng, obs))
    }

    /// Takes up to `steps` actions, resetting first and after every end.
    pub(super) fn run(&mut self, actions: &[Action], findings: &mut Findings) -> Vec<Record> {
        let mut records = Vec::with_capacity(actions.len() * 2);
        let Some(first) = self.reset(findings) else {
            return records;
        };
        records.push(first);
        for action in actions {
            let Some(record) = self.step(action, findings) else {
                return records;
            };
            let over = record.end.is_over();
            records.push(record);
            if over {
                let Some(first) = self.reset(findings) else {
                    return records;
                };
                records.push(first);
            }
        }
        records
    }

    fn obs(&self) -> &[f32] {
        &self.row[..self.space.flat_len()]
    }

    fn record(&self, reward: f64, end: StepEnd, first: bool) -> Record {
        let metrics = self.metrics.iter().map(|x| x.to_bits()).collect();
        let obs = self.obs().iter().map(|x| x.to_bits()).collect();
        Record { obs, reward: reward.to_bits(), metrics, end, first }
    }

    fn settled<T>(
        &self,
        what: &str,
        outcome: Result<Result<T, EnvError>, String>,
        f: &mut Findings,
    ) -> Option<T> {
        match outcome {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(e)) => {
                let rule = if is_panic(&e) { Rule::Panic } else { Rule::Failure };
                f.break_off(rule, self.steps, format!("{what} failed: {e}"));
            }
            Err(panic) => f.break_off(Rule::Panic, self.steps, format!("{what} panicked: {panic}")),
        }
        None
    }

    fn inspect(&self, reward: f64, findings: &mut Findings) {
        let obs = self.obs();
        let fault = if let Some(k) = obs.iter().position(|x| x.to_bits() == UNWRITTEN) {
            let o = obs.len();
            let message = format!("element {k} of the {o} of the observation was not written");
            Some((Rule::ObservationShape, message))
        } else if let Some(k) = obs.iter().position(|x| !x.is_finite()) {
            Some((Rule::Finite, format!("element {k} of the observation is {}", obs[k])))
        } else if !self.space.contains_flat(obs) {
            let message = match &self.space {
                Space::Box(b) => {
                    let within = |k: &usize| b.low[*k] <= obs[*k] && obs[*k] <= b.high[*k];
                    let k = (0..obs.len()).find(|k| !within(k)).unwrap_or_default();
                    format!(
                        "element {k} of the observation is {}, not in [{}, {}]",
                        obs[k], b.low[k], b.high[k]
                    )
                }
                other => format!("the observation {obs:?} is no element of {other}"),
            };
            Some((Rule::ObservationBounds, message))
        } else {
            None
        };
        if let Some((rule, message)) = fault {
            findings.add(rule, self.steps, message);
        }
        if !reward.is_finite() {
            findings.add(Rule::Finite, self.steps, format!("the reward is {reward}"));
        }
    }
}

/// Whether somebody else caught a panic of the environment, as vectors do.
fn is_panic(error: &EnvError) -> bool {
    match error {
        EnvError::At { source, .. } => is_panic(source),
        error => matches!(error, EnvError::Panic { .. }),
    }
}

/// Random actions; in every other stretch of 64 each is held for 16 steps, so that the environment is pushed to its
/// limits.
pub(super) fn random_actions(space: &Space, seed: u64, purpose: &str, count: usize) -> Vec<Action> {
    let mut rng = stream(seed, purpose, 0);
    let mut actions: Vec<Action> = Vec::with_capacity(count);
    for i in 0..count {
        let held = (i / 64) % 2 == 1 && i % 16 != 0;
        let action = if held { actions[i - 1].clone() } else { space.sample(&mut rng) };
        actions.push(action);
    }
    actions
}
