//! Schedules as configuration files write them.

#![allow(clippy::float_cmp, reason = "the values compared are exact")]
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers included")]

use rl_optim::Schedule;
use rl_test_support as _;

#[test]
fn json_goes_there_and_back() {
    for (json, schedule) in [
        ("0.0003", Schedule::Constant(3e-4)),
        ("\"lin_0.001\"", Schedule::Linear(1e-3)),
        ("2.0", Schedule::Constant(2.0)),
    ] {
        assert_eq!(serde_json::from_str::<Schedule>(json).unwrap(), schedule);
        assert_eq!(serde_json::to_string(&schedule).unwrap(), json);
    }
    assert_eq!(serde_json::from_str::<Schedule>("2").unwrap(), Schedule::Constant(2.0));
    assert_eq!(serde_json::from_str::<Schedule>("\"3e-4\"").unwrap(), Schedule::Constant(3e-4));
}

#[test]
fn what_is_no_schedule_is_refused() {
    for text in ["lin_", "lin_x", "lin_nan", "inf", "", "lin 0.1", "LIN_0.1", "lin_lin_1"] {
        let error = text.parse::<Schedule>().unwrap_err().to_string();
        assert!(error.contains(&format!("\"{text}\" is not a schedule")), "{error}");
    }
    assert!(serde_json::from_str::<Schedule>("true").is_err());
    assert!(serde_json::from_str::<Schedule>("\"exp_1\"").is_err());
}

#[test]
fn text_goes_there_and_back() {
    for schedule in [Schedule::Constant(1e-10), Schedule::Linear(2.5e-4), Schedule::Constant(-1.0)] {
        assert_eq!(schedule.to_string().parse::<Schedule>().unwrap(), schedule);
    }
}

#[test]
fn progress_beyond_the_end_counts_as_the_end() {
    let linear = Schedule::Linear(0.5);
    assert_eq!([1.2, 1.0, 0.5, 0.0, -0.01].map(|p| linear.at(p)), [0.5, 0.5, 0.25, 0.0, 0.0]);
    assert_eq!([1.2, 0.0].map(|p| Schedule::from(0.5).at(p)), [0.5, 0.5]);
    assert!((linear.initial() - 0.5).abs() < 1e-15);
}

/// The share that is done comes as the share that remains, rounded: a step and a jump are not an update late for it, and no update early.
#[test]
fn a_moment_is_not_missed_by_rounding() {
    let mut late = 0;
    for n in [10, 7, 977] {
        for k in 1..n {
            let (done, before) = (f64::from(k) / f64::from(n), f64::from(k) / f64::from(n) - 1e-9);
            late += u32::from(1.0 - (1.0 - done) < done);
            for text in [format!("steps_1_{done}:2"), format!("piecewise_0:1_{done}:1_{done}:2_1:2")] {
                let schedule: Schedule = text.parse().unwrap();
                assert_eq!([before, done].map(|t| schedule.at(1.0 - t)), [1.0, 2.0], "{text}");
                // The other schedule's moment within a warm-up's rest.
                let warm: Schedule = format!("warmup_0.1_{text}").parse().unwrap();
                assert_eq!(warm.at(1.0 - (0.1 + 0.9 * done)), 2.0, "{warm}");
            }
        }
    }
    assert!(late > 100, "the case must be able to fail");
}

/// Every kind: its text, and its value at the start, a quarter, the middle, three quarters and the end.
#[test]
fn every_kind_takes_the_values_of_its_equation() {
    // cos(π/4) = 1/√2
    let (high, low) = (0.5 + 0.25 * 2f64.sqrt(), 0.5 - 0.25 * 2f64.sqrt());
    for (text, values) in [
        ("0.5", [0.5; 5]),
        ("lin_1", [1.0, 0.75, 0.5, 0.25, 0.0]),
        ("lin_1_3", [1.0, 1.5, 2.0, 2.5, 3.0]),
        ("cos_1_0", [1.0, high, 0.5, low, 0.0]),
        ("cos_-1_1", [-1.0, 1.0 - 2.0 * high, 0.0, 1.0 - 2.0 * low, 1.0]),
        ("exp_16_1", [16.0, 8.0, 4.0, 2.0, 1.0]),
        ("steps_1_0.25:2_0.75:3", [1.0, 2.0, 2.0, 3.0, 3.0]),
        ("piecewise_0:4_0.5:2_1:2", [4.0, 3.0, 2.0, 2.0, 2.0]),
        ("piecewise_0:1_0.5:2_0.5:6_1:8", [1.0, 1.5, 6.0, 7.0, 8.0]),
        ("warmup_0.5_2", [0.0, 1.0, 2.0, 2.0, 2.0]),
        ("warmup_0.5_lin_2", [0.0, 1.0, 2.0, 1.0, 0.0]),
        ("warmup_0.25_steps_4_0.3333:1", [0.0, 4.0, 1.0, 1.0, 1.0]),
    ] {
        let schedule: Schedule = text.parse().unwrap();
        for (value, remaining) in values.into_iter().zip([1.0, 0.75, 0.5, 0.25, 0.0]) {
            let got = schedule.at(remaining);
            assert!((got - value).abs() < 1e-14, "{text} where {remaining} remains: {got}, not {value}");
        }
        assert_eq!(schedule.to_string(), text);
        let json = serde_json::to_string(&schedule).unwrap();
        assert_eq!(serde_json::from_str::<Schedule>(&json).unwrap(), schedule);
    }
    assert_eq!("cos_1".parse::<Schedule>().unwrap(), "cos_1_0".parse().unwrap());
}

#[test]
fn an_error_says_what_is_wrong() {
    for (text, why) in [
        ("exp_1", "from one positive number to another"),
        ("exp_1_0", "from one positive number to another"),
        ("exp_-1_-2", "from one positive number to another"),
        ("lin_1_2_3", "\"2_3\" is not a number"),
        (
            "step_1_0.5:1",
            "\"step\" is no kind of schedule; there are lin, cos, exp, steps, piecewise and warmup",
        ),
        ("steps_1", "steps begin as"),
        ("steps_1_0.5", "\"0.5\" is no point such as"),
        ("steps_1_0.5:2_0.4:1", "0.4"),
        ("steps_1_1:2", "a step comes between 0 and 1"),
        ("steps_1_0:2", "a step comes between 0 and 1"),
        ("steps_1_nan:2", "\"nan\" is not a number"),
        ("piecewise_0:1", "the last at 1"),
        ("piecewise_0.1:1_1:1", "the first point is at 0"),
        ("piecewise_0:1_0.6:1_0.5:1_1:2", "its times must rise, and 0.5 follows 0.6"),
        ("warmup_0.1", "followed by a schedule"),
        ("warmup_0_1", "between 0 and 1, not 0"),
        ("warmup_1_1", "between 0 and 1, not 1"),
        ("warmup_0.1_warmup_0.1_1", "one warm-up is enough"),
    ] {
        let error = text.parse::<Schedule>().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("\"{text}\" is not a schedule: ")) && error.contains(why),
            "{error}"
        );
    }
}

/// What bounds are checked on: the extremes, when they are, and whether they are ever used.
#[test]
fn the_course_is_known() {
    let course = |text: &str| -> Vec<(f64, f64, bool)> {
        let schedule: Schedule = text.parse().unwrap();
        schedule.course().iter().map(|m| (m.done, m.value, m.taken)).collect()
    };
    assert_eq!(course("2"), [(0.0, 2.0, true)]);
    assert_eq!(course("lin_2"), [(0.0, 2.0, false), (1.0, 0.0, false)]);
    assert_eq!(course("lin_0"), [(0.0, 0.0, true), (1.0, 0.0, true)]);
    assert_eq!(course("exp_2_1"), [(0.0, 2.0, false), (1.0, 1.0, false)]);
    assert_eq!(course("cos_1_1"), [(0.0, 1.0, true), (1.0, 1.0, true)]);
    assert_eq!(course("steps_2_0.5:0"), [(0.0, 2.0, true), (0.5, 0.0, true)]);
    assert_eq!(course("piecewise_0:1_0.5:2_1:0"), [(0.0, 1.0, false), (0.5, 2.0, true), (1.0, 0.0, false)]);
    assert_eq!(course("piecewise_0:0_0.5:0_1:1"), [(0.0, 0.0, true), (0.5, 0.0, true), (1.0, 1.0, false)]);
    assert_eq!(course("piecewise_0:1_0.5:0_1:0"), [(0.0, 1.0, false), (0.5, 0.0, true), (1.0, 0.0, true)]);
    assert_eq!(course("warmup_0.5_lin_2"), [(0.0, 0.0, false), (0.5, 2.0, true), (1.0, 0.0, false)]);
}

#[test]
fn a_function_is_a_schedule_that_cannot_be_saved() {
    let schedule = Schedule::custom(|remaining| 2.0 * remaining * remaining);
    assert_eq!([1.0, 0.5, 0.0, -1.0].map(|p| schedule.at(p)), [2.0, 0.5, 0.0, 0.0]);
    assert_eq!(schedule, schedule.clone());
    assert_ne!(schedule, Schedule::custom(|remaining| 2.0 * remaining * remaining));
    let warm = Schedule::WarmUp { share: 0.5, then: Box::new(schedule.clone()) };
    assert_eq!(warm.at(0.5), 2.0);
    for schedule in [schedule, warm] {
        assert!(schedule.is_custom());
        let error = serde_json::to_string(&schedule).unwrap_err().to_string();
        assert!(error.contains("cannot be saved; give a number"), "{error}");
    }
    assert!("custom".parse::<Schedule>().is_err());
    let course = Schedule::custom(|remaining| remaining).course();
    assert_eq!(
        (course.len(), course[0].taken, course[500].value, course[1000].taken),
        (1001, false, 0.5, false)
    );
}

/// Only what is the same throughout is constant.
#[test]
fn a_constant_is_known_as_one() {
    assert_eq!(Schedule::Constant(0.3).constant(), Some(0.3));
    assert_eq!(Schedule::Linear(0.3).constant(), None);
    assert_eq!(Schedule::custom(|_| 0.3).constant(), None);
}

/// Of a function both ends are looked at, but no update takes their values.
#[test]
fn the_course_of_a_function_is_taken_between_its_ends() {
    let course = Schedule::custom(|remaining| 2.0 * remaining).course();
    let (first, last) = (course.first().unwrap(), course.last().unwrap());
    assert_eq!((first.done, first.value, first.taken), (0.0, 2.0, false));
    assert_eq!((last.done, last.value, last.taken), (1.0, 0.0, false));
    assert!(course[1..course.len() - 1].iter().all(|moment| moment.taken));
}
