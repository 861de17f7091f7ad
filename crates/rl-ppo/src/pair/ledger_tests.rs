use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::*;

type Noise = Xoshiro256PlusPlus;

/// How long a machine takes for a join: by who does it, and when, in seconds.
type Machine<'a> = &'a dyn Fn(&mut Noise, Way, f64) -> f64;

const US: f64 = 1e-6;

/// A join by one thread takes 50 µs, by two 29.
fn idle(noise: &mut Noise, way: Way, _: f64) -> f64 {
    noise.random_range(0.95..1.05) * if way == Way::Alone { 50.0 * US } else { 29.0 * US }
}

/// The helper's core is somebody else's for a part of the time: tasks wait for it, some for long.
fn busy(noise: &mut Noise, way: Way, t: f64) -> f64 {
    let stalls = way == Way::Together && noise.random_bool(0.02);
    idle(noise, way, t) + if stalls { noise.random_range(0.2e-3..4e-3) } else { 0.0 }
}

/// Joins in so many seconds: of the ledger's choice, or all of one way; and the share of those with a helper.
fn joins_in(seconds: f64, fixed: Option<Way>, machine: Machine<'_>) -> (f64, f64) {
    let mut noise = Noise::seed_from_u64(1);
    let mut ledger = Ledger::default();
    let (mut t, mut joins, mut together) = (0.0, 0.0, 0.0);
    while t < seconds {
        let way = fixed.unwrap_or(ledger.way());
        let time = machine(&mut noise, way, t);
        ledger.record(way, Duration::from_secs_f64(time));
        t += time;
        joins += 1.0;
        together += f64::from(u8::from(way == Way::Together));
    }
    (joins, together / joins)
}

/// The joins that the ledger gets done in ten seconds, as a share of what the better of the two ways does; and the share with a helper.
fn against_the_better_way(machine: Machine<'_>) -> (f64, f64) {
    let (joins, together) = joins_in(10.0, None, machine);
    let of = |way| joins_in(10.0, Some(way), machine).0;
    (joins / of(Way::Alone).max(of(Way::Together)), together)
}

#[test]
fn a_helper_that_pays_is_used() {
    let (share, together) = against_the_better_way(&idle);
    assert!(share > 0.99 && together > 0.99, "{share} {together}");
}

#[test]
fn a_helper_that_waits_for_its_core_is_not() {
    let (share, together) = against_the_better_way(&busy);
    assert!(share > 0.97 && together < 0.1, "{share} {together}");
    let halved =
        |noise: &mut Noise, way, t| idle(noise, way, t) * if way == Way::Together { 3.5 } else { 1.0 };
    let (share, together) = against_the_better_way(&halved);
    assert!(share > 0.97 && together < 0.1, "{share} {together}");
}

/// Two threads of one core: whatever is chosen is right, so nothing may be lost by choosing.
#[test]
fn a_helper_that_changes_nothing_costs_nothing() {
    for factor in [0.97, 1.0, 1.03] {
        let alike = |noise: &mut Noise, way, t| {
            idle(noise, Way::Alone, t) * if way == Way::Together { factor } else { 1.0 }
        };
        let (share, together) = against_the_better_way(&alike);
        assert!(share > 0.96, "{factor}: {share} {together}");
    }
}

#[test]
fn a_neighbour_comes_and_goes() {
    let is_there = |t: f64| (2.0..5.0).contains(&t) || (8.0..9.0).contains(&t);
    let machine =
        |noise: &mut Noise, way, t| if is_there(t) { busy(noise, way, t) } else { idle(noise, way, t) };
    let knowing = |noise: &mut Noise, _, t| {
        let way = if is_there(t) { Way::Alone } else { Way::Together };
        machine(noise, way, t)
    };
    let share = joins_in(12.0, None, &machine).0 / joins_in(12.0, None, &knowing).0;
    assert!(share > 0.93, "{share} of what somebody does who knows when");
}

/// A helper is used again within 1.1 seconds of its core's becoming free, however long it was not.
#[test]
fn a_free_core_is_noticed() {
    for busy_until in [0.5, 3.0, 60.0] {
        let mut noise = Noise::seed_from_u64(2);
        let mut ledger = Ledger::default();
        let (mut t, mut free_and_alone) = (0.0, 0.0);
        while t < busy_until + 2.0 {
            let way = ledger.way();
            let time = if t < busy_until { busy(&mut noise, way, t) } else { idle(&mut noise, way, t) };
            ledger.record(way, Duration::from_secs_f64(time));
            t += time;
            free_and_alone += if t > busy_until && way == Way::Alone { time } else { 0.0 };
        }
        assert!(free_and_alone < 1.1, "{free_and_alone} s after {busy_until} s");
    }
}

/// What disturbs everybody now and then (a page fault, an interrupt, a moment of another process) does not end it.
#[test]
fn noise_does_not_send_a_good_helper_away() {
    let noisy = |noise: &mut Noise, way, t| {
        let hiccup = if noise.random_bool(2e-4) { noise.random_range(0.1e-3..2e-3) } else { 0.0 };
        idle(noise, way, t) * noise.random_range(0.8..1.4) + hiccup
    };
    let (share, together) = against_the_better_way(&noisy);
    assert!(share > 0.95 && together > 0.9, "{share} {together}");
}

/// The whole machine slows down, or minibatches grow: what one thread needed before is no measure any more.
#[test]
fn another_speed_is_learnt() {
    for factor in [0.3, 3.0] {
        let changing = |noise: &mut Noise, way, t| idle(noise, way, t) * if t > 3.0 { factor } else { 1.0 };
        let (share, together) = against_the_better_way(&changing);
        assert!(share > 0.97, "{factor}: {share} {together}");
    }
    let worse = |noise: &mut Noise, way, t| {
        let faster = if way == Way::Alone && t > 1.0 { 0.4 } else { 1.0 };
        idle(noise, way, t) * faster
    };
    let (share, together) = against_the_better_way(&worse);
    assert!(share > 0.95 && together < 0.2, "{share} {together}");
}

/// A helper that looks for work for a tenth of a millisecond is of no use to long joins: rayon's own is, and one thread's time is still taken anew.
#[test]
fn long_joins_are_left_to_the_pool() {
    let mut ledger = Ledger::default();
    let mut ways = Vec::new();
    for _ in 0..2 * (SAMPLES + TRUST) {
        ways.push(ledger.way());
        ledger.record(ledger.way(), Duration::from_millis(23));
    }
    let expected = [vec![Way::Alone; SAMPLES], vec![Way::Pooled; TRUST]].concat().repeat(2);
    assert_eq!(ways, expected);
    // The machine was busy; joins are short again.
    (0..SAMPLES).for_each(|_| ledger.record(Way::Alone, Duration::from_micros(60)));
    assert_eq!(ledger.way(), Way::Together);
}

/// Whatever a helper does, trials cost less than a twentieth of the time, once the first of them is over.
#[test]
fn the_worst_helper_costs_a_bounded_share() {
    for loss in [1.5, 3.0, 10.0, 60.0] {
        let awful = |noise: &mut Noise, way, t| {
            idle(noise, Way::Alone, t) * if way == Way::Together { loss } else { 1.0 }
        };
        let joins = joins_in(10.0, None, &awful).0;
        let alone = joins_in(10.0, Some(Way::Alone), &awful).0;
        assert!(joins > 0.95 * alone, "{loss}: {joins} of {alone}");
    }
}

/// Nothing that a clock may say makes it overflow, or stay with a helper for good.
#[test]
fn impossible_times_do_no_harm() {
    let mut ledger = Ledger::default();
    for time in
        [Duration::ZERO, Duration::MAX, Duration::from_nanos(1), Duration::MAX, Duration::from_secs(1)]
    {
        (0..20).for_each(|_| ledger.record(ledger.way(), time));
    }
    (0..2_000_000).for_each(|_| ledger.record(ledger.way(), Duration::from_micros(50)));
    assert_eq!(ledger.median(), 50_000);
}
