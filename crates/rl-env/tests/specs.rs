//! What a specification promises of the environments it makes, however careless they are themselves.

#![allow(clippy::unwrap_used, reason = "a test")]

use rl_env::rng::stream;
use rl_env::{ActionRef, BoxSpace, DynEnv, Env, EnvError, EnvRng, EnvSpec, Registry, Space, Step, StepEnd};
use rl_test_support as _;

/// Adds up whatever it is given, in whatever state it is, and is over beyond 1.
#[derive(Default)]
struct Careless {
    sum: f32,
}

impl Env for Careless {
    type Action = [f32];

    fn observation_space(&self) -> Space {
        BoxSpace::uniform(f32::NEG_INFINITY, f32::INFINITY, &[1]).into()
    }

    fn action_space(&self) -> Space {
        BoxSpace::symmetric(&[0.25]).into()
    }

    fn reset(&mut self, _: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        self.sum = 0.0;
        obs[0] = 0.0;
        Ok(())
    }

    fn step(&mut self, action: &[f32], _: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.sum += action[0];
        obs[0] = self.sum;
        let end = if self.sum > 1.0 { StepEnd::Terminated } else { StepEnd::Continues };
        Ok(Step { reward: 0.0, end })
    }
}

#[test]
fn a_careless_environment_is_guarded() {
    for spec in [
        EnvSpec::new("Careless-v0", Careless::default),
        EnvSpec::with_time_limit("Careless-v1", 50, Careless::default),
    ] {
        let (mut env, mut rng, mut obs) = (spec.make(), stream(0, "env", 0), [0.0]);
        let mut step = |env: &mut dyn DynEnv, action| env.step(action, &mut rng, &mut obs);
        let push = ActionRef::Continuous(&[0.75]);
        assert!(matches!(step(&mut *env, push), Err(EnvError::NeedsReset { .. })), "before the first reset");
        env.reset(&mut stream(0, "env", 0), &mut [0.0]).unwrap();
        for bad in [
            ActionRef::Continuous(&[f32::NAN]),
            ActionRef::Continuous(&[f32::INFINITY]),
            ActionRef::Continuous(&[0.0, 0.0]),
            ActionRef::Continuous(&[]),
            ActionRef::Discrete(&[0]),
        ] {
            step(&mut *env, bad).unwrap_err();
        }
        // Beyond its bounds, which the environment may make sense of.
        assert_eq!(step(&mut *env, push).unwrap().end, StepEnd::Continues);
        assert_eq!(step(&mut *env, push).unwrap().end, StepEnd::Terminated);
        assert!(matches!(step(&mut *env, push), Err(EnvError::NeedsReset { .. })), "after the end");
        assert_eq!(spec.check(), [], "{}", spec.id);
    }
}

#[test]
fn a_time_limit_of_no_steps_is_refused_when_an_episode_is_to_start() {
    let spec = EnvSpec::with_time_limit("Never-v0", 0, Careless::default);
    let error = spec.make_vec(2).unwrap().reset(0, "env").unwrap_err().to_string();
    assert!(error.contains("a time limit of 0 steps leaves no step to take"), "{error}");
    assert!(spec.make().reset(&mut stream(0, "env", 0), &mut [0.0]).is_err());
}

#[test]
fn no_episode_of_random_play_is_worse_than_the_worst() {
    for spec in Registry::builtin().iter() {
        let worst = spec.worst_return.unwrap();
        assert!(spec.reward_threshold.is_none_or(|threshold| worst < threshold), "{}", spec.id);
        let (mut env, mut rng) = (spec.make(), stream(1, "worst", 0));
        let mut obs = vec![0.0; env.observation_space().flat_len()];
        for _ in 0..50 {
            env.reset(&mut rng, &mut obs).unwrap();
            let mut total = 0.0;
            loop {
                let action = env.sample_action(&mut rng).unwrap();
                let step = env.step(action.as_ref(), &mut rng, &mut obs).unwrap();
                total += step.reward;
                if step.end.is_over() {
                    break;
                }
            }
            assert!(total >= worst - 1e-9, "{}: {total} is less than {worst}", spec.id);
        }
    }
}

#[test]
fn the_worst_return_is_a_users_to_say() {
    let spec = EnvSpec::new("Careless-v0", Careless::default);
    assert_eq!(spec.worst_return, None);
    assert_eq!(spec.with_worst_return(-3.0).worst_return, Some(-3.0));
}
