//! Everything that goes wrong in Python is one clear error here, and leaves no process behind.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::time::Duration;

use common::{alone, eventually, faulty, groups_of, interpreter, name, workers};
use rl_env::{ActionsRef, EnvError, VecEnv};
use rl_gym::{GymError, GymName, Interpreter, registered, spec};

/// Steps three environments in two workers until something goes wrong.
fn run(name: &GymName, interpreter: &Interpreter) -> (Box<dyn VecEnv>, EnvError) {
    let spec = spec(name, &Interpreter { workers: Some(2), ..interpreter.clone() }).unwrap();
    let mut envs = spec.make_vec(3).unwrap();
    if let Err(error) = envs.reset(1, "env") {
        return (envs, error);
    }
    for _ in 0..20 {
        if let Err(error) = envs.step(ActionsRef::Discrete(&[0, 1, 0])) {
            return (envs, error);
        }
    }
    panic!("nothing goes wrong in {name}");
}

/// The whole error in one line, as the command line tells it.
fn told(error: &EnvError) -> String {
    error.to_string()
}

#[test]
fn exceptions_are_told_with_their_place() {
    let (Some(interpreter), _alone) = (interpreter(), alone()) else { return };
    let (_, error) = run(&faulty("exception", 5), &interpreter);
    let text = told(&error);
    assert!(matches!(error, EnvError::At { index: 0, step: 5, .. }), "{error:?}");
    for part in
        ["environment 0, step 5", "ZeroDivisionError: the cable broke", "faulty.py:", "in step", "with seed "]
    {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    let (_, error) = run(&faulty("exit", 5), &interpreter);
    assert!(told(&error).contains("SystemExit: 3"), "{error}");

    // In `reset`, which the first look at it does not need.
    let spec = spec(&faulty("reset", 0), &Interpreter { workers: Some(1), ..interpreter }).unwrap();
    let error = spec.make_vec(1).unwrap().reset(0, "env").unwrap_err();
    assert!(told(&error).contains("RuntimeError: cannot begin in reset"), "{error}");
    eventually("no worker is left", || workers().is_empty());
}

#[test]
fn numbers_that_are_none_and_shapes_that_are_others_are_refused() {
    let (Some(interpreter), _alone) = (interpreter(), alone()) else { return };
    for (fault, part) in [
        ("nan", "element 1 of the observation is NaN"),
        ("reward", "the reward is inf"),
        ("shape", "the observation has shape [3], its space says [2]"),
    ] {
        let (_, error) = run(&faulty(fault, 4), &interpreter);
        let text = told(&error);
        assert!(text.contains(part) && text.contains("environment 0, step 4"), "{text}");
    }
}

#[test]
fn a_worker_that_dies_is_told_of_and_the_others_end() {
    let (Some(interpreter), _alone) = (interpreter(), alone()) else { return };
    let (envs, error) = run(&faulty("killed", 3), &interpreter);
    let text = told(&error);
    assert!(text.contains("environments 0 to 1") && text.contains("signal: 6"), "{text}");
    drop(envs);
    assert_eq!(workers(), [0; 0]);
}

#[test]
fn a_hang_is_ended() {
    let (Some(interpreter), _alone) = (interpreter(), alone()) else { return };
    let interpreter = Interpreter { timeout: Duration::from_secs(3), ..interpreter };
    for fault in ["hang", "hang_in_c"] {
        let (envs, error) = run(&faulty(fault, 3), &interpreter);
        let text = told(&error);
        assert!(text.contains("no answer to step in 3 s"), "{text}");
        drop(envs);
        assert_eq!(workers(), [0; 0], "{fault}");
    }
}

#[test]
fn nothing_is_left_behind() {
    let (Some(interpreter), _alone) = (interpreter(), alone()) else { return };
    let spec = spec(&name("gym:CartPole-v1"), &Interpreter { workers: Some(3), ..interpreter }).unwrap();
    assert_eq!(workers(), [0; 0], "the process that was asked what it is");
    // Made on a thread that ends: the workers stay.
    let mut envs = std::thread::spawn(move || spec.make_vec(3).unwrap()).join().unwrap();
    assert_eq!(workers().len(), 3);
    std::thread::sleep(Duration::from_millis(100));
    envs.reset(0, "env").unwrap();
    envs.step(ActionsRef::Discrete(&[0, 1, 0])).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        envs.step(ActionsRef::Discrete(&[1, 1, 0])).unwrap();
        panic!("as a trainer may");
    }));
    assert!(panicked.is_err());
    assert_eq!(workers(), [0; 0]);
}

/// What an environment has started ends with its worker, however that ends.
#[test]
fn nothing_that_an_environment_started_is_left_behind() {
    let (Some(interpreter), _alone) = (interpreter(), alone()) else { return };
    for (fault, steps) in [("child", 3), ("child_killed", 100)] {
        let spec = spec(&faulty(fault, 5), &Interpreter { workers: Some(2), ..interpreter.clone() }).unwrap();
        let mut envs = spec.make_vec(2).unwrap();
        envs.reset(0, "env").unwrap();
        let leaders = workers();
        let groups = groups_of(&leaders);
        assert_eq!((leaders.len(), groups.len()), (2, 6), "two workers, with a guard and a process each");
        let died = (0..steps).find_map(|_| envs.step(ActionsRef::Discrete(&[0, 1])).err());
        assert_eq!(died.is_some(), fault == "child_killed");
        drop(envs);
        eventually("all of them end", || groups_of(&leaders).is_empty());
        assert_eq!(workers(), [0; 0], "{fault}");
    }
}

/// One that somebody else kills is told of by its signal.
#[test]
fn a_worker_that_is_killed_from_outside_is_told_of() {
    let (Some(interpreter), _alone) = (interpreter(), alone()) else { return };
    let spec = spec(&name("gym:CartPole-v1"), &Interpreter { workers: Some(2), ..interpreter }).unwrap();
    let mut envs = spec.make_vec(4).unwrap();
    envs.reset(0, "env").unwrap();
    let second = workers().into_iter().max().unwrap();
    let killed = std::process::Command::new("kill").args(["-KILL", &second.to_string()]).status().unwrap();
    assert!(killed.success());
    let error = (0..3).find_map(|_| envs.step(ActionsRef::Discrete(&[0, 1, 0, 1])).err()).unwrap();
    let text = told(&error);
    assert!(text.contains("environments 2 to 3") && text.contains("signal: 9"), "{text}");
    drop(envs);
    assert_eq!(workers(), [0; 0]);
}

/// An environment whose simulator is not installed says so itself, and its module's own missing parts are named.
#[test]
fn a_missing_dependency_is_said() {
    let (Some(interpreter), _alone) = (interpreter(), alone()) else { return };
    let error = spec(&name("gym:tests.python.faulty:Needy-v0"), &interpreter).unwrap_err();
    assert!(matches!(error, GymError::Refused { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("Needy-v0: No module named 'no_such_simulator'"), "{text}");
    assert_eq!(workers(), [0; 0]);
}

#[test]
fn what_cannot_be_started_is_said() {
    let error = spec(&name("gym:CartPole-v1"), &Interpreter::new("no-such-python")).unwrap_err();
    assert!(matches!(error, GymError::Start { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("cannot start the Python interpreter \"no-such-python\""), "{text}");

    let (Some(interpreter), _alone) = (interpreter(), alone()) else { return };
    for (text, parts) in [
        ("gym:Hoper-v5", &["knows no environment 'Hoper-v5'", "did you mean 'Hopper-v5'"][..]),
        ("gym:no_such_module:X-v0", &["there is no module 'no_such_module'"]),
        (r#"gym:CartPole-v1?{"kwargs":{"gravitas":1}}"#, &["gravitas", "TypeError"]),
        (r#"gym:CartPole-v1?{"wrappers":["json:wrap"]}"#, &["has no function 'wrap'"]),
        (r#"gym:tests.python.faulty:Faulty-v0?{"kwargs":{"fault":"make"}}"#, &["ValueError: cannot be made"]),
    ] {
        let error = spec(&name(text), &interpreter).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{text}: {error}");
    }
    assert_eq!(workers(), [0; 0]);
}

/// A Python without Gymnasium: the user's own, its packages hidden.
#[test]
fn a_missing_gymnasium_is_said_with_its_remedy() {
    let (Some(interpreter), _alone) = (interpreter(), alone()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let bare = dir.path().join("bare-python");
    let script = format!("#!/bin/sh\nexec {} -S \"$@\"\n", interpreter.python.to_string_lossy());
    std::fs::write(&bare, script).unwrap();
    std::fs::set_permissions(&bare, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let error = spec(&name("gym:CartPole-v1"), &Interpreter::new(&bare)).unwrap_err();
    assert!(matches!(error, GymError::NoGymnasium { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("-m pip install 'gymnasium"), "{text}");
}

#[test]
fn the_registry_is_listed() {
    let (Some(interpreter), _alone) = (interpreter(), alone()) else { return };
    let envs = registered(&interpreter, Some("tests.python.faulty")).unwrap();
    let cartpole = envs.iter().find(|env| env.id == "CartPole-v1").unwrap();
    assert_eq!((cartpole.max_episode_steps, cartpole.reward_threshold), (Some(500), Some(475.0)));
    assert!(envs.iter().any(|env| env.id == "Faulty-v0"));
    assert!(envs.is_sorted_by_key(|env| env.id.clone()));
}
