//! What each wrapper shows and passes on.

#![allow(clippy::float_cmp, clippy::unwrap_used, reason = "a test")]

use rl_env::rng::stream;
use rl_env::wrappers::{ClipAction, EpisodeStatistics, FrameStack, Guard, RescaleAction};
use rl_env::{ActionRef, DynEnv, Env, EnvError, Step, StepEnd, TimeLimit, envs};
use rl_test_support as _;

/// The pendulum's step under a torque, alone and wrapped.
fn rewards(mut wrapped: impl DynEnv, action: f32, torque: f32) -> (f64, f64) {
    let mut plain = envs::Pendulum::new();
    let mut obs = [0.0; 3];
    DynEnv::reset(&mut plain, &mut stream(4, "env", 0), &mut obs).unwrap();
    wrapped.reset(&mut stream(4, "env", 0), &mut obs).unwrap();
    let mut rng = stream(4, "env", 0);
    let plain = DynEnv::step(&mut plain, ActionRef::Continuous(&[torque]), &mut rng, &mut obs).unwrap();
    (wrapped.step(ActionRef::Continuous(&[action]), &mut rng, &mut obs).unwrap().reward, plain.reward)
}

#[test]
fn clip_and_rescale_pass_on_what_they_should() {
    for (action, torque) in [(1e9, 2.0), (-7.0, -2.0), (0.3, 0.3), (f32::INFINITY, 2.0)] {
        let (ours, expected) = rewards(ClipAction::new(envs::Pendulum::new()).unwrap(), action, torque);
        assert_eq!(ours, expected);
    }
    for (action, torque) in [(1.0, 2.0), (0.0, -2.0), (0.75, 1.0), (5.0, 2.0)] {
        let (ours, expected) =
            rewards(RescaleAction::new(envs::Pendulum::new(), 0.0, 1.0).unwrap(), action, torque);
        assert_eq!(ours, expected);
    }
}

#[test]
fn wrappers_of_box_actions_refuse_what_they_cannot_wrap() {
    assert!(RescaleAction::new(envs::Pendulum::new(), 1.0, 1.0).is_err());
    assert!(RescaleAction::new(ClipAction::new(envs::Pendulum::new()).unwrap(), -1.0, 1.0).is_err());
    assert!(ClipAction::new(envs::CartPole::new()).is_err());
    assert!(FrameStack::new(envs::CartPole::new(), 0).is_err());
}

#[test]
fn a_stack_shows_the_last_observations_oldest_first() {
    let mut env = FrameStack::new(envs::CartPole::new(), 3).unwrap();
    let mut plain = envs::CartPole::new();
    let (mut rng, mut obs, mut single) = (stream(0, "env", 0), [0.0; 12], [0.0; 4]);
    Env::reset(&mut plain, &mut rng.clone(), &mut single).unwrap();
    Env::reset(&mut env, &mut rng, &mut obs).unwrap();
    let mut seen = vec![single; 3];
    for action in [0, 1, 1, 0] {
        assert_eq!(obs, seen[seen.len() - 3..].concat()[..]);
        Env::step(&mut plain, &action, &mut rng, &mut single).unwrap();
        Env::step(&mut env, &action, &mut rng, &mut obs).unwrap();
        seen.push(single);
    }
    assert_eq!(obs, seen[4..].concat()[..]);
    assert!(matches!(Env::step(&mut env, &0, &mut rng, &mut obs[..4]), Err(EnvError::WrongLength { .. })));
}

#[test]
fn statistics_are_those_of_the_episode() {
    let mut env = EpisodeStatistics::new(TimeLimit::new(envs::MountainCar::new(), 12));
    let (mut rng, mut obs) = (stream(0, "env", 0), [0.0; 2]);
    for episode in 1..=3 {
        Env::reset(&mut env, &mut rng, &mut obs).unwrap();
        while !Env::step(&mut env, &1, &mut rng, &mut obs).unwrap().end.is_over() {}
        let last = env.last_episode().unwrap();
        assert_eq!((last.total_reward, last.length, last.end), (-12.0, 12, StepEnd::Truncated));
        assert_eq!((env.episodes(), env.running()), (episode, (-12.0, 12)));
    }
}

#[test]
fn a_guard_and_a_limit_stop_at_the_end() {
    let (mut rng, mut obs) = (stream(0, "env", 0), [0.0; 4]);
    let fall = |env: &mut dyn DynEnv, rng: &mut _, obs: &mut [f32]| -> (u32, Step) {
        env.reset(rng, obs).unwrap();
        for steps in 1.. {
            let step = env.step(ActionRef::Discrete(&[1]), rng, obs).unwrap();
            if step.end.is_over() {
                assert!(matches!(
                    env.step(ActionRef::Discrete(&[1]), rng, obs),
                    Err(EnvError::NeedsReset { when: "after the end of the episode" })
                ));
                return (steps, step);
            }
        }
        unreachable!()
    };
    let (steps, step) = fall(&mut Guard::new(envs::CartPole::new()), &mut rng, &mut obs);
    assert!(steps < 20 && step.end == StepEnd::Terminated);
    let (steps, step) = fall(&mut TimeLimit::new(envs::CartPole::new(), 4), &mut rng, &mut obs);
    assert_eq!((steps, step.end), (4, StepEnd::Truncated));
}
