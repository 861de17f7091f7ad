//! Rules that compare runs with each other.

use super::CheckParams;
use super::finding::{Findings, Rule};
use super::probe::{Probe, departure, first_difference, random_actions};
use crate::panics::{told, unprinted};
use crate::{Action, DynEnv, EnvError, EnvState, Space};

pub(super) fn check(params: &CheckParams, make: &dyn Fn() -> Box<dyn DynEnv>, findings: &mut Findings) {
    let space = make().action_space();
    let actions = random_actions(&space, params.seed, "check actions", params.steps);
    let mut probe = Probe::new(make(), params.seed);
    let reference = probe.run(&actions, findings);
    if findings.broke_off().is_some() {
        if findings.broken(Rule::Panic) && writes_beyond(params, make, &actions[..probe.steps]) {
            let o = probe.env.observation_space().flat_len();
            let why = format!("it writes beyond the {o} elements of the observation");
            findings.explain_panic(Rule::ObservationShape, &why);
        }
        return;
    }
    let mut found = Findings::default();
    let again = Probe::new(make(), params.seed).run(&actions, &mut found);
    if let Some((i, difference)) = departure(&reference, &again, &found) {
        let message =
            format!("with the same seed and actions, {difference}: unseeded randomness, or shared state");
        findings.add(Rule::Determinism, i, message);
        findings.stop_with(found);
        return;
    }
    independence(params, make, &actions, &reference, findings);
    if findings.broken(Rule::Independence) {
        // Every copy that the other rules compare with would be another's victim.
        return;
    }
    reset_leak(params, make, &actions, &reference, findings);
    action_ignored(params, make, &space, findings);
    save_restore(params, make, &actions, findings);
    if findings.broke_off().is_some() {
        return;
    }
    render(params, make, findings);
}

type Reference = [super::probe::Record];
type Make<'a> = &'a dyn Fn() -> Box<dyn DynEnv>;

/// Whether a run that panics goes on where the observation is given more room than it has, and is written there: a little more, for what is copied from a slice
/// of another length, or much.
fn writes_beyond(p: &CheckParams, make: Make<'_>, actions: &[Action]) -> bool {
    let goes_on = |room: usize| {
        let (mut probe, mut found) = (Probe::with_room(make(), p.seed, room), Findings::default());
        unprinted(|| probe.run(actions, &mut found));
        (found.broke_off().is_none(), probe.wrote_beyond())
    };
    // One that panics only now and then says nothing.
    !goes_on(0).0 && (1..=8).chain([64, 4096]).any(|room| goes_on(room) == (true, true))
}

/// A copy stepped in between must change nothing.
fn independence(
    p: &CheckParams,
    make: Make<'_>,
    actions: &[Action],
    reference: &Reference,
    f: &mut Findings,
) {
    let (mut a, mut b) = (Probe::new(make(), p.seed), Probe::new(make(), p.seed ^ 1));
    let other = random_actions(&a.env.action_space(), p.seed, "check other actions", actions.len());
    let (mut seen, mut found, mut b_runs) = (Vec::new(), Findings::default(), false);
    seen.extend(a.reset(&mut found));
    for (action, other) in actions.iter().zip(&other) {
        b_runs =
            if b_runs { b.step(other, f).is_some_and(|r| !r.end.is_over()) } else { b.reset(f).is_some() };
        if f.broke_off().is_some() {
            return;
        }
        let Some(record) = a.step(action, &mut found) else {
            break;
        };
        let over = record.end.is_over();
        seen.push(record);
        if over {
            seen.extend(a.reset(&mut found));
        }
    }
    if let Some((i, difference)) = departure(reference, &seen, &found) {
        let message = format!("when a second copy is stepped in between, {difference}: copies share state");
        f.add(Rule::Independence, i, message);
    }
    f.stop_with(found);
}

/// A used environment must start like a fresh one.
fn reset_leak(p: &CheckParams, make: Make<'_>, actions: &[Action], reference: &Reference, f: &mut Findings) {
    let mut used = Probe::new(make(), p.seed ^ 2);
    let before = random_actions(&used.env.action_space(), p.seed, "check actions before", p.steps.min(100));
    used.run(&before, f);
    if f.broke_off().is_some() {
        return;
    }
    used.rng = Probe::new(make(), p.seed).rng;
    let mut found = Findings::default();
    let seen = used.run(actions, &mut found);
    if let Some((i, difference)) = departure(reference, &seen, &found) {
        let message = format!("in a fresh environment and a used one, {difference}: reset leaks state");
        f.add(Rule::ResetLeak, i, message);
    }
    f.stop_with(found);
}

/// For each dimension, runs that differ in it alone must differ.
fn action_ignored(p: &CheckParams, make: Make<'_>, space: &Space, f: &mut Findings) {
    let steps = p.steps.min(200);
    for dimension in 0..space.action_len() {
        let choices = match space {
            Space::Discrete(n) => *n,
            Space::MultiDiscrete(ns) => ns[dimension],
            Space::MultiBinary(_) | Space::Box(_) | Space::Dict(_) | Space::Tuple(_) => 2,
        };
        let rest = random_actions(space, p.seed, "check held actions", steps);
        let held = |choice: usize| -> Vec<Action> {
            rest.iter().map(|action| with_choice(space, action, dimension, choice)).collect()
        };
        if choices < 2 || held(0) == held(choices - 1) {
            continue;
        }
        let reference = Probe::new(make(), p.seed).run(&held(0), f);
        let differs = |choice| {
            first_difference(&reference, &Probe::new(make(), p.seed).run(&held(choice), f)).is_some()
        };
        let makes_a_difference = (1..choices).rev().any(differs);
        if f.broke_off().is_some() {
            return;
        }
        if !makes_a_difference {
            let message = format!("dimension {dimension} of the action changes nothing in {steps} steps");
            f.add(Rule::ActionIgnored, steps, message);
        }
    }
}

/// `action` with one dimension set to the lowest (0) or another choice; the bounds for a box.
fn with_choice(space: &Space, action: &Action, dimension: usize, choice: usize) -> Action {
    let mut action = action.clone();
    match (&mut action, space) {
        (Action::Discrete(a), _) => a[dimension] = choice,
        (Action::Continuous(a), Space::Box(b)) => {
            let bound = if choice == 0 { b.low[dimension] } else { b.high[dimension] };
            let far = if choice == 0 { -1.0 } else { 1.0 };
            a[dimension] = if bound.is_finite() { bound } else { far };
        }
        _ => {}
    }
    action
}

/// A saved state must bring a moved-on environment, and a fresh one, back to the bit.
fn save_restore(p: &CheckParams, make: Make<'_>, actions: &[Action], f: &mut Findings) {
    const AHEAD: usize = 40;
    let mut probe = Probe::new(make(), p.seed);
    if probe.reset(f).is_none() || probe.env.save().is_none() {
        return;
    }
    let garbage = EnvState::new("no such environment").u64(u64::MAX);
    match told(|| probe.env.restore(&garbage)) {
        Ok(Err(_)) => {}
        Ok(Ok(())) => f.add(Rule::SaveRestore, 0, "restore accepts the state of another environment"),
        Err(panic) => f.add(Rule::Panic, 0, format!("restore panicked on a foreign state: {panic}")),
    }
    for (i, window) in actions.windows(AHEAD).enumerate() {
        if i % 7 == 0 && !restores(&mut probe, make, p.seed, window, f) {
            return;
        }
        let Some(record) = probe.step(&window[0], f) else {
            return;
        };
        if record.end.is_over() && probe.reset(f).is_none() {
            return;
        }
    }
}

fn restores(probe: &mut Probe, make: Make<'_>, seed: u64, ahead: &[Action], f: &mut Findings) -> bool {
    let Some(saved) = probe.env.save() else {
        f.add(Rule::SaveRestore, probe.steps, "save gives a state at some steps and none here");
        return false;
    };
    let (at, rng, mask) = (probe.steps, probe.rng.clone(), probe.mask.clone());
    let onwards = |probe: &mut Probe, f: &mut Findings| {
        let mut records = Vec::new();
        for action in ahead {
            let Some(record) = probe.step(action, f) else {
                break;
            };
            let over = record.end.is_over();
            records.push(record);
            if over {
                break;
            }
        }
        records
    };
    let expected = onwards(probe, f);
    if f.broke_off().is_some() {
        return false;
    }
    let mut fresh = Probe::new(make(), seed);
    let mut sound = true;
    for (which, probe) in [("a fresh environment", &mut fresh), ("the environment itself", probe)] {
        match told(|| probe.env.restore(&saved)) {
            Ok(Ok(())) => {}
            Ok(Err(EnvError::CannotRestore)) => {
                f.add(Rule::SaveRestore, at, "save gives a state, and restore is not implemented");
                return false;
            }
            Ok(Err(e)) => f.add(Rule::SaveRestore, at, format!("{which} refuses its own saved state: {e}")),
            Err(panic) => f.add(Rule::SaveRestore, at, format!("restore of {which} panicked: {panic}")),
        }
        (probe.rng, probe.steps, probe.mask) = (rng.clone(), at, mask.clone());
        if probe.env.save().as_ref() != Some(&saved) {
            f.add(
                Rule::SaveRestore,
                at,
                format!("{which} saves another state than it was just restored from"),
            );
            sound = false;
        }
        let mut found = f.clone();
        let seen = onwards(probe, &mut found);
        if let Some((i, difference)) = departure(&expected, &seen, &found) {
            let message = format!("{} steps after {which} was restored, {difference}", i + 1);
            f.add(Rule::SaveRestore, at, message);
            sound = false;
        }
        f.stop_with(found);
    }
    let restored = probe.env.restore(&saved).is_ok();
    (probe.rng, probe.steps, probe.mask) = (rng, at, mask);
    sound && restored
}

fn render(p: &CheckParams, make: Make<'_>, f: &mut Findings) {
    let mut probe = Probe::new(make(), p.seed);
    if probe.reset(f).is_none() {
        return;
    }
    match told(|| probe.env.render()) {
        Ok(Some(frame)) if frame.width == 0 || frame.height == 0 => {
            let (w, h) = (frame.width, frame.height);
            f.add(Rule::Render, 0, format!("a frame of {w} x {h} pixels shows nothing"));
        }
        Ok(Some(frame)) if frame.rgb.len() as u64 != 3 * u64::from(frame.width) * u64::from(frame.height) => {
            let (w, h, bytes) = (frame.width, frame.height, frame.rgb.len());
            f.add(Rule::Render, 0, format!("a frame of {w} x {h} pixels has {bytes} bytes"));
        }
        Ok(_) => {}
        Err(panic) => f.add(Rule::Panic, 0, format!("render panicked: {panic}")),
    }
}
