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

/// Says that it takes one index, or whatever the test says, in the test's space.
struct Claims<A: ?Sized>(Space, std::marker::PhantomData<fn(&A)>);

impl<A: rl_env::EnvAction + ?Sized> Env for Claims<A> {
    type Action = A;

    fn observation_space(&self) -> Space {
        BoxSpace::uniform(0.0, 1.0, &[1]).into()
    }

    fn action_space(&self) -> Space {
        self.0.clone()
    }

    fn reset(&mut self, _: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        obs[0] = 0.0;
        Ok(())
    }

    fn step(&mut self, _: &A, _: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        obs[0] = 0.0;
        Ok(Step { reward: 0.0, end: StepEnd::Terminated })
    }
}

fn claims<A: rl_env::EnvAction + ?Sized + 'static>(id: &str, space: &Space) -> EnvSpec {
    let space = space.clone();
    EnvSpec::new(id, move || Claims::<A>(space.clone(), std::marker::PhantomData))
}

/// An environment whose type of actions is not that of its space is refused before it is stepped, with the type that would be right.
#[test]
fn actions_of_another_type_are_refused_at_once() {
    let (real, reals): (Space, Space) =
        (BoxSpace::symmetric(&[1.0]).into(), BoxSpace::symmetric(&[1.0, 2.0]).into());
    let (one, many, bits) = (Space::Discrete(3), Space::MultiDiscrete(vec![2, 3]), Space::MultiBinary(4));
    for spec in [
        claims::<usize>("A-v0", &one),
        claims::<[usize]>("A-v0", &one),
        claims::<[usize]>("A-v0", &many),
        claims::<[usize]>("A-v0", &bits),
        claims::<[f32]>("A-v0", &real),
        claims::<[f32; 2]>("A-v0", &reals),
    ] {
        spec.check_description().unwrap();
        let mut envs = spec.make_vec(1).unwrap();
        envs.reset(0, "env").unwrap();
    }
    for (spec, fitting) in [
        (claims::<usize>("A-v0", &real), "a `Box` of 1 elements, and `type Action` is `usize`: use `[f32]`"),
        (
            claims::<usize>("A-v0", &many),
            "`MultiDiscrete` of 2 elements, and `type Action` is `usize`: use `[usize]`",
        ),
        (claims::<[usize]>("A-v0", &reals), "`type Action` is `[usize]`: use `[f32]`"),
        (claims::<[f32]>("A-v0", &one), "`type Action` is `[f32]`: use `usize`"),
        (
            claims::<[f32; 3]>("A-v0", &reals),
            "a `Box` of 2 elements, and `type Action` is `[f32; 3]`: use `[f32]`",
        ),
    ] {
        let errors = [
            Registry::empty().register(spec.clone()).unwrap_err().to_string(),
            spec.make_vec(2).err().unwrap().to_string(),
            spec.make_parts(4, 2).err().unwrap().to_string(),
        ];
        for error in errors {
            assert!(
                error.starts_with("environment \"A-v0\" cannot be used: `action_space()` is "),
                "{error}"
            );
            assert!(error.ends_with(fitting), "{error}");
        }
    }
}

#[test]
fn what_is_no_name_and_no_space_is_not_registered() {
    let inverted = BoxSpace::uniform(1.0, 0.0, &[1]).into();
    for (spec, reason) in [
        (claims::<[f32]>("Inverted-v0", &inverted), "has element 0 between 1 and 0"),
        (claims::<usize>("weird name", &Space::Discrete(2)), "an identifier is a word"),
        (claims::<usize>("", &Space::Discrete(2)), "an identifier is a word"),
        (claims::<usize>("gym:Walk-v0", &Space::Discrete(2)), "what begins with \"gym:\" is made by Python"),
        (claims::<usize>("gymvec:Walk-v0", &Space::Discrete(2)), "what begins with \"gymvec:\" is made by"),
        (claims::<usize>("-v0", &Space::Discrete(2)), "what begins with a dash is a flag"),
        (claims::<usize>("Walk,Run", &Space::Discrete(2)), "an identifier has no ','"),
        (claims::<usize>("Walk?", &Space::Discrete(2)), "an identifier has no '?'"),
        (claims::<usize>("*", &Space::Discrete(2)), "an identifier has no '*'"),
    ] {
        let error = Registry::empty().register(spec).unwrap_err().to_string();
        assert!(error.contains("cannot be used") && error.contains(reason), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
    // Names that become directories of their own.
    for id in ["ALE/Pong-v5", "mine:Walk-v0", "gymnastics", "Walk.2"] {
        Registry::empty().register(claims::<usize>(id, &Space::Discrete(2))).unwrap();
    }
}

#[test]
fn limits_and_returns_that_mean_nothing_are_not_registered() {
    let walk = || claims::<usize>("Walk-v0", &Space::Discrete(2));
    let limited = EnvSpec::with_time_limit("Walk-v0", 0, Careless::default);
    let at_worst = f64::NEG_INFINITY;
    for (spec, reason) in [
        (limited, "a time limit of 0 steps leaves no step to take"),
        (walk().with_own_time_limit(0), "a time limit of 0 steps leaves no step to take"),
        (walk().with_reward_threshold(f64::NAN), "its reward threshold is NaN, and must be a finite number"),
        (
            walk().with_reward_threshold(f64::INFINITY),
            "its reward threshold is inf, and must be a finite number",
        ),
        (walk().with_worst_return(f64::NAN), "its worst return is NaN, and must be a finite number"),
        (walk().with_worst_return(at_worst), "its worst return is -inf, and must be a finite number"),
    ] {
        let error = Registry::empty().register(spec).unwrap_err().to_string();
        assert_eq!(error, format!("environment \"Walk-v0\" cannot be used: {reason}"));
    }
    let spec = walk().with_own_time_limit(1).with_reward_threshold(0.0).with_worst_return(-1e300);
    Registry::empty().register(spec).unwrap();
}
