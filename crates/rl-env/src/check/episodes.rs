//! Rules about where an episode ends and what may be asked of it.

use super::CheckParams;
use super::finding::{Findings, Rule};
use super::probe::{Probe, departure, random_actions};
use crate::{Action, ActionRef, DynEnv, Space, StepEnd};

/// Episodes to look at.
const EPISODES: usize = 24;

pub(super) fn check(params: &CheckParams, make: &dyn Fn() -> Box<dyn DynEnv>, findings: &mut Findings) {
    if findings.broke_off().is_some() {
        return;
    }
    let mut probe = Probe::new(make(), params.seed);
    let limit = params.max_episode_steps.unwrap_or(0) as usize;
    let budget = (params.steps * 20).max((limit * EPISODES + 1).min(50_000));
    let space = probe.env.action_space();
    let mut seen = Seen::default();
    let mut actions = random_actions(&space, params.seed, "check episodes", budget).into_iter();
    let mut tried_invalid = false;
    while seen.lengths.len() < EPISODES {
        let Some(first) = probe.reset(findings) else {
            return;
        };
        seen.starts(&first.obs);
        let mut length = 0_u64;
        loop {
            if !tried_invalid && length == 3 {
                invalid_actions(&mut probe, make, &space, params.seed, findings);
                tried_invalid = true;
            }
            let Some(action) = actions.next() else {
                return seen.judge(params, probe.steps, findings);
            };
            let taken = probe.allowed(&action);
            let Some(record) = probe.step(&taken, findings) else {
                return;
            };
            length += 1;
            if !record.end.is_over() {
                seen.continues(&record.obs);
                continue;
            }
            seen.final_obs.push(record.obs);
            seen.lengths.push((length, record.end));
            // The one that was just taken: if it is refused, then not because it is another's.
            let fault = match probe.try_step(taken.as_ref()) {
                Ok(Err(_)) => None,
                Ok(Ok(_)) => Some("is accepted".to_owned()),
                Err(panic) => Some(format!("panics: {panic}")),
            };
            if let Some(fault) = fault {
                let message = format!("a step after the end ({:?}) of the episode {fault}", record.end);
                findings.add(Rule::StepAfterEnd, probe.steps, message);
            }
            break;
        }
    }
    seen.judge(params, probe.steps, findings);
}

/// Actions outside the space must be refused and change nothing.
fn invalid_actions(
    probe: &mut Probe,
    make: &dyn Fn() -> Box<dyn DynEnv>,
    space: &Space,
    seed: u64,
    findings: &mut Findings,
) {
    let valid = random_actions(space, seed, "check valid actions", 20);
    let run = |spoil: Option<&Action>, findings: &mut Findings| {
        let mut twin = Probe::new(make(), seed);
        let mut records = Vec::new();
        twin.reset(findings);
        for action in &valid {
            if let Some(bad) = spoil {
                match twin.try_step(bad.as_ref()) {
                    Ok(Err(_)) => {}
                    Ok(Ok(_)) => return Err(format!("{} is accepted in {space}", name(bad))),
                    Err(panic) => return Err(format!("{} panics: {panic}", name(bad))),
                }
            }
            let Some(record) = twin.step(action, findings) else {
                break;
            };
            let over = record.end.is_over();
            records.push(record);
            if over {
                break;
            }
        }
        Ok(records)
    };
    let Ok(expected) = run(None, findings) else { return };
    if findings.broke_off().is_some() {
        return;
    }
    for bad in outside(space) {
        let mut found = findings.clone();
        match run(Some(&bad), &mut found) {
            Err(message) => findings.add(Rule::InvalidAction, probe.steps, message),
            // Where seed and actions do not determine a run, two runs differ anyway.
            Ok(_) if findings.broken(Rule::Determinism) || findings.broken(Rule::Independence) => {}
            Ok(records) => {
                if let Some((i, difference)) = departure(&expected, &records, &found) {
                    let message =
                        format!("{} is refused, but changes what follows: {difference}", name(&bad));
                    findings.add(Rule::InvalidAction, i, message);
                }
                findings.stop_with(found);
            }
        }
    }
}

/// One action of each way to be wrong. A real beyond its bound is not among them: environments may clip.
fn outside(space: &Space) -> Vec<Action> {
    let width = space.action_len();
    let wrong_length = vec![0; width + 1];
    match space {
        Space::Box(_) => vec![
            Action::Continuous(vec![f32::NAN; width]),
            Action::Continuous(vec![0.0; width + 1]),
            Action::Continuous(Vec::new()),
            Action::Discrete(vec![0; width]),
        ],
        Space::Discrete(n) => vec![
            Action::Discrete(vec![*n]),
            Action::Discrete(vec![usize::MAX]),
            Action::Discrete(wrong_length),
            Action::Discrete(Vec::new()),
            Action::Continuous(vec![0.0]),
        ],
        Space::MultiDiscrete(ns) => {
            vec![
                Action::Discrete(ns.clone()),
                Action::Discrete(wrong_length),
                Action::Continuous(vec![0.0; width]),
            ]
        }
        // Refused before, for no space of actions.
        Space::Dict(_) | Space::Tuple(_) => Vec::new(),
        Space::MultiBinary(_) => vec![
            Action::Discrete(vec![2; width]),
            Action::Discrete(wrong_length),
            Action::Continuous(vec![0.0; width]),
        ],
    }
}

fn name(action: &Action) -> String {
    match action.as_ref() {
        ActionRef::Discrete(a) => format!("the action {a:?}"),
        ActionRef::Continuous(a) => format!("the action {a:?} of reals"),
    }
}

/// What the episodes looked like.
#[derive(Default)]
struct Seen {
    /// Observations after which an episode went on, and whether each is a first one.
    ordinary: Vec<(Vec<f32>, bool)>,
    final_obs: Vec<Vec<u32>>,
    lengths: Vec<(u64, StepEnd)>,
}

impl Seen {
    const MOST: usize = 2000;

    fn starts(&mut self, obs: &[u32]) {
        self.push(obs, true);
    }

    fn continues(&mut self, obs: &[u32]) {
        self.push(obs, false);
    }

    fn push(&mut self, obs: &[u32], first: bool) {
        if self.ordinary.len() < Self::MOST {
            self.ordinary.push((obs.iter().map(|&x| f32::from_bits(x)).collect(), first));
        }
    }

    /// Looks for a clock behind terminations: all at one length, and at observations that elsewhere are not final. One that has an element beyond all those
    /// after which an episode went on is final for a reason of its own, such as a height of 0.
    fn judge(&self, params: &CheckParams, steps: usize, findings: &mut Findings) {
        let Some(longest) = self.lengths.iter().map(|(length, _)| *length).max() else {
            if params.max_episode_steps.is_none() {
                let message = format!(
                    "no episode ended in {steps} steps of random actions, and there is no time limit (EnvSpec::with_time_limit gives one): \
                     without ends there are no returns to tell or to judge by"
                );
                findings.add(Rule::Endless, steps, message);
            }
            return;
        };
        if let Some(limit) = params.max_episode_steps.map(u64::from).filter(|limit| longest > *limit) {
            let message = format!("an episode lasts {longest} steps, the time limit is {limit}");
            findings.add(Rule::Truncation, steps, message);
        }
        let last = || self.lengths.iter().zip(&self.final_obs).filter(|((length, _), _)| *length == longest);
        let count = last().count();
        if longest < 2 || count < 5 || last().any(|((_, end), _)| *end != StepEnd::Terminated) {
            return;
        }
        let ranges = self.ranges();
        let distance = distance(&ranges);
        let mut changes: Vec<f64> =
            self.ordinary.windows(2).filter(|w| !w[1].1).map(|w| distance(&w[0].0, &w[1].0)).collect();
        changes.sort_by(f64::total_cmp);
        let Some(typical) = changes.get(changes.len() / 2) else {
            return;
        };
        let looks_ordinary = last().filter(|(_, bits)| {
            let obs: Vec<f32> = bits.iter().map(|&x| f32::from_bits(x)).collect();
            let is_within = obs.iter().zip(&ranges).all(|(x, (low, high))| low <= x && x <= high);
            is_within && self.ordinary.iter().any(|(other, _)| distance(&obs, other) <= 0.5 * typical)
        });
        if 2 * looks_ordinary.count() > count {
            let message = format!(
                "{count} of {} episodes terminated at step {longest}, none lasted longer, and most of their final \
                 observations look like others: a time limit should truncate (EnvSpec::with_time_limit does). If they end for another reason, \
                 EnvSpec::with_waived or --waive truncation passes over this rule",
                self.lengths.len()
            );
            findings.add(Rule::Truncation, steps, message);
        }
    }

    /// The least and the greatest of each element, of observations after which an episode went on.
    fn ranges(&self) -> Vec<(f32, f32)> {
        let o = self.ordinary.first().map_or(0, |(obs, _)| obs.len());
        let mut ranges = vec![(f32::INFINITY, f32::NEG_INFINITY); o];
        for (obs, _) in &self.ordinary {
            for ((low, high), x) in ranges.iter_mut().zip(obs) {
                (*low, *high) = (low.min(*x), high.max(*x));
            }
        }
        ranges
    }
}

/// Distance with every element scaled by its range.
fn distance(ranges: &[(f32, f32)]) -> impl Fn(&[f32], &[f32]) -> f64 {
    let scale: Vec<f64> = ranges.iter().map(|(low, high)| 1.0 / f64::from(high - low).max(1e-12)).collect();
    move |a, b| {
        let scaled = a.iter().zip(b).zip(&scale).map(|((a, b), s)| f64::from(a - b) * s);
        scaled.map(|d| d * d).sum::<f64>().sqrt()
    }
}
