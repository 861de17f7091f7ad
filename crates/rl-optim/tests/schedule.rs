//! Schedules as configuration files write them.

#![allow(clippy::float_cmp, reason = "the values compared are exact")]

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
