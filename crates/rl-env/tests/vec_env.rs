//! Vectors of environments: the same bits as single ones, on any number of threads, and through a save.

#![allow(clippy::float_cmp, clippy::unwrap_used, reason = "a test that compares bits")]

use rand::RngCore;
use rl_env::envs::CartPole;
use rl_env::rng::stream;
use rl_env::{
    Action, ActionRef, ActionsRef, DynEnv, EnvError, EnvSpec, NormalizeObservation, NormalizeReward,
    Registry, Space, StepEnd, SyncVecEnv, TimeLimit, VecEnv, VecEnvState, envs,
};
use rl_test_support as _;

fn registered(id: &str, n: usize) -> Vec<Box<dyn DynEnv>> {
    let registry = Registry::builtin();
    (0..n).map(|_| registry.get(id).unwrap().make()).collect()
}

/// Random actions for the environments, of those that they allow.
fn actions(envs: &dyn VecEnv, round: u64) -> Action {
    let (space, mut rng) = (envs.action_space(), stream(round, "actions", 0));
    let mut sample = |i: usize| match envs.action_masks() {
        Some(masks) => {
            let m = space.mask_len();
            space.sample_allowed(&masks[i * m..(i + 1) * m], &mut rng).unwrap()
        }
        None => space.sample(&mut rng),
    };
    let mut all = sample(0);
    for i in 1..envs.n_envs() {
        match (&mut all, sample(i)) {
            (Action::Discrete(all), Action::Discrete(a)) => all.extend(a),
            (Action::Continuous(all), Action::Continuous(a)) => all.extend(a),
            _ => unreachable!(),
        }
    }
    all
}

fn as_rows(all: &Action) -> ActionsRef<'_> {
    match all {
        Action::Discrete(a) => ActionsRef::Discrete(a),
        Action::Continuous(a) => ActionsRef::Continuous(a),
    }
}

type Snapshot = (Vec<f32>, Vec<f64>, Vec<f64>, Vec<StepEnd>, Vec<f32>);

/// Everything a step shows; stale rows of final observations too.
fn snapshot(envs: &dyn VecEnv) -> Snapshot {
    (
        envs.observations().to_vec(),
        envs.rewards().to_vec(),
        envs.raw_rewards().to_vec(),
        envs.ends().to_vec(),
        envs.final_observations().to_vec(),
    )
}

fn drive(envs: &mut dyn VecEnv, rounds: std::ops::Range<u64>) -> Vec<Snapshot> {
    rounds
        .map(|round| {
            let all = actions(envs, round);
            envs.step(as_rows(&all)).unwrap();
            snapshot(envs)
        })
        .collect()
}

#[test]
fn a_vector_is_its_environments_one_by_one() {
    for spec in Registry::builtin().iter() {
        const N: usize = 3;
        let mut vector = spec.make_vec(N).unwrap();
        vector.reset(9, "env").unwrap();
        let mut singles = registered(&spec.id, N);
        let mut rngs: Vec<_> = (0..N as u64).map(|i| stream(9, "env", i)).collect();
        let o = vector.observation_space().flat_len();
        let a = vector.action_space().action_len();
        let mut obs = vec![0.0; N * o];
        for i in 0..N {
            singles[i].reset(&mut rngs[i], &mut obs[i * o..(i + 1) * o]).unwrap();
        }
        assert_eq!(vector.observations(), obs);
        for round in 0..600 {
            let all = actions(&vector, round);
            vector.step(as_rows(&all)).unwrap();
            for i in 0..N {
                let row = &mut obs[i * o..(i + 1) * o];
                let step = singles[i].step(as_rows(&all).row(i, a), &mut rngs[i], row).unwrap();
                assert_eq!((vector.rewards()[i], vector.ends()[i]), (step.reward, step.end));
                if step.end.is_over() {
                    assert_eq!(&vector.final_observations()[i * o..(i + 1) * o], row);
                    singles[i].reset(&mut rngs[i], row).unwrap();
                }
            }
            assert_eq!(vector.observations(), obs, "{} round {round}", spec.id);
        }
    }
}

#[test]
fn threads_change_nothing() {
    for id in ["CartPole-v1", "FrozenLake-v1", "Nim-v0", "Pendulum-v1"] {
        let mut reference = SyncVecEnv::new(registered(id, 7)).unwrap();
        reference.reset(3, "env").unwrap();
        let expected = drive(&mut reference, 0..300);
        for threads in [0, 2, 3, 16] {
            let mut envs = SyncVecEnv::new(registered(id, 7)).unwrap().with_threads(threads).unwrap();
            envs.reset(3, "env").unwrap();
            assert!(drive(&mut envs, 0..300) == expected, "{id} on {threads} threads");
        }
    }
}

#[test]
fn a_restored_vector_continues_to_the_bit() {
    for spec in Registry::builtin().iter() {
        let make = || NormalizeReward::new(NormalizeObservation::new(spec.make_vec(4).unwrap()), 0.99);
        let mut envs = make();
        envs.reset(5, "env").unwrap();
        drive(&mut envs, 0..117);
        let saved = serde_json::to_string(&envs.save().unwrap()).unwrap();
        let at_save = snapshot(&envs);
        let expected = drive(&mut envs, 117..400);

        let saved: VecEnvState = serde_json::from_str(&saved).unwrap();
        let mut restored = make();
        restored.restore(&saved).unwrap();
        assert_eq!(snapshot(&restored), at_save, "{}", spec.id);
        assert_eq!(restored.save().unwrap(), saved);
        assert!(drive(&mut restored, 117..400) == expected, "{}", spec.id);
        assert_eq!(restored.observation_normalizer(), envs.observation_normalizer());
    }
}

#[test]
fn a_state_of_something_else_is_refused() {
    let save = |id: &str, n| {
        let mut envs = SyncVecEnv::new(registered(id, n)).unwrap();
        envs.reset(0, "env").unwrap();
        envs.save().unwrap()
    };
    let mut envs = SyncVecEnv::new(registered("CartPole-v1", 2)).unwrap();
    assert!(envs.save().is_none(), "nothing to save before the first reset");
    let error = envs.restore(&save("CartPole-v1", 3)).unwrap_err().to_string();
    assert_eq!(error, "the saved state does not fit: it has 3 environments, these environments 2");
    let error = envs.restore(&save("MountainCar-v0", 2)).unwrap_err();
    assert!(matches!(error, EnvError::InvalidState(_)), "{error}");
    let mut normalized = NormalizeObservation::new(SyncVecEnv::new(registered("CartPole-v1", 2)).unwrap());
    let error = normalized.restore(&save("CartPole-v1", 2)).unwrap_err().to_string();
    assert!(error.contains("without a normaliser"), "{error}");
    normalized.reset(0, "env").unwrap();
    assert!(envs.restore(&normalized.save().unwrap()).is_err());
}

#[test]
fn invalid_actions_move_nothing() {
    let mut envs = SyncVecEnv::new(registered("CartPole-v1", 3)).unwrap();
    envs.reset(0, "env").unwrap();
    let before = (snapshot(&envs), envs.save());
    let error = envs.step(ActionsRef::Discrete(&[0, 1, 2])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "environment 2, step 0 since its construction: action [2] is not in the action space Discrete(2)"
    );
    assert!(matches!(
        envs.step(ActionsRef::Discrete(&[0, 1])),
        Err(EnvError::WrongLength { got: 2, expected: 3, .. })
    ));
    assert!(matches!(envs.step(ActionsRef::Continuous(&[0.0; 3])), Err(EnvError::ActionKind { .. })));
    assert_eq!((snapshot(&envs), envs.save()), before);

    let mut envs = SyncVecEnv::new(registered("Pendulum-v1", 2)).unwrap();
    envs.reset(0, "env").unwrap();
    let before = (snapshot(&envs), envs.save());
    let error = envs.step(ActionsRef::Continuous(&[0.0, f32::NAN])).unwrap_err();
    assert!(matches!(error, EnvError::At { index: 1, .. }), "{error}");
    assert!(matches!(envs.step(ActionsRef::Discrete(&[0, 1])), Err(EnvError::ActionKind { .. })));
    assert_eq!((snapshot(&envs), envs.save()), before);
    envs.step(ActionsRef::Continuous(&[0.0, 1e30])).unwrap();
}

#[test]
fn a_vector_needs_a_reset_and_environments_alike() {
    let mut envs = SyncVecEnv::new(registered("CartPole-v1", 1)).unwrap();
    assert!(matches!(envs.step(ActionsRef::Discrete(&[0])), Err(EnvError::NeedsReset { .. })));
    assert!(SyncVecEnv::<Box<dyn DynEnv>>::new(vec![]).is_err());
    let mut mixed = registered("CartPole-v1", 1);
    mixed.extend(registered("Acrobot-v1", 1));
    let error = SyncVecEnv::new(mixed).err().unwrap().to_string();
    assert!(error.contains("environment 1 has other spaces"), "{error}");
}

#[test]
fn every_environment_refuses_what_its_episode_does_not_allow() {
    for spec in Registry::builtin().iter() {
        let mut env = spec.make();
        let (space, mut rng) = (env.action_space(), stream(0, "env", 0));
        let mut obs = vec![0.0; env.observation_space().flat_len()];
        let action = space.sample(&mut rng);
        let early = env.step(action.as_ref(), &mut rng, &mut obs);
        assert!(matches!(early, Err(EnvError::NeedsReset { .. })), "{} before the first reset", spec.id);
        env.reset(&mut rng, &mut obs).unwrap();
        loop {
            let action = env.sample_action(&mut rng).unwrap();
            if env.step(action.as_ref(), &mut rng, &mut obs).unwrap().end.is_over() {
                break;
            }
        }
        let late = env.step(action.as_ref(), &mut rng, &mut obs);
        assert!(matches!(late, Err(EnvError::NeedsReset { .. })), "{} after the end", spec.id);

        env.reset(&mut rng, &mut obs).unwrap();
        let (before, obs_before) = (env.save(), obs.clone());
        let bad: [ActionRef<'_>; 8] = [
            ActionRef::Discrete(&[9, 9]),
            ActionRef::Discrete(&[2, 2, 2, 2, 2]),
            ActionRef::Discrete(&[17]),
            ActionRef::Discrete(&[0, 0, 0]),
            ActionRef::Discrete(&[]),
            ActionRef::Continuous(&[f32::NAN]),
            ActionRef::Continuous(&[f32::INFINITY]),
            ActionRef::Continuous(&[0.0, 0.0]),
        ];
        for action in bad {
            let error = env.step(action, &mut rng, &mut obs).unwrap_err();
            assert!(
                matches!(
                    error,
                    EnvError::InvalidAction { .. }
                        | EnvError::ActionKind { .. }
                        | EnvError::WrongLength { .. }
                ),
                "{}: {action:?} gives {error}",
                spec.id
            );
            assert_eq!((env.save(), &obs), (before.clone(), &obs_before), "{} after {action:?}", spec.id);
        }
    }
}

#[test]
fn registry_names_the_nearest() {
    let error = Registry::builtin().get("Cartpole-v2").unwrap_err().to_string();
    assert!(error.contains("did you mean \"CartPole-v"), "{error}");
    assert_eq!(Registry::builtin().iter().count(), 14);
}

#[test]
fn a_termination_at_the_limit_is_a_termination() {
    let mut env = TimeLimit::new(envs::Catch::new(), 9);
    let (mut rng, mut obs) = (stream(0, "env", 0), [0.0; 50]);
    DynEnv::reset(&mut env, &mut rng, &mut obs).unwrap();
    let mut ends =
        (0..9).map(|_| DynEnv::step(&mut env, ActionRef::Discrete(&[1]), &mut rng, &mut obs).unwrap().end);
    assert!(ends.by_ref().take(8).all(|end| end == StepEnd::Continues));
    assert_eq!(ends.next(), Some(StepEnd::Terminated));
}

/// Two doors, one of them locked, in turns.
#[derive(Default)]
struct Doors {
    open: usize,
}

impl rl_env::Env for Doors {
    type Action = usize;
    fn observation_space(&self) -> Space {
        Space::Discrete(2)
    }
    fn action_space(&self) -> Space {
        Space::Discrete(2)
    }
    fn reset(&mut self, _: &mut rl_env::EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        self.open = 0;
        obs.copy_from_slice(&[1.0, 0.0]);
        Ok(())
    }
    fn step(
        &mut self,
        &a: &usize,
        _: &mut rl_env::EnvRng,
        obs: &mut [f32],
    ) -> Result<rl_env::Step, EnvError> {
        if a != self.open {
            return Err(EnvError::invalid_action(a, Space::Discrete(2)));
        }
        self.open = 1 - self.open;
        obs.fill(0.0);
        obs[self.open] = 1.0;
        Ok(rl_env::Step { reward: 0.0, end: StepEnd::Continues })
    }
    fn action_mask(&self, mask: &mut [bool]) -> bool {
        mask.copy_from_slice(&[self.open == 0, self.open == 1]);
        true
    }
}

#[test]
fn masks_follow_the_environments() {
    let mut envs = SyncVecEnv::new((0..2).map(|_| TimeLimit::new(Doors::default(), 3)).collect()).unwrap();
    envs.reset(0, "env").unwrap();
    assert_eq!(envs.action_masks(), Some(&[true, false, true, false][..]));
    envs.step(ActionsRef::Discrete(&[0, 0])).unwrap();
    let normalized = NormalizeObservation::new(envs);
    assert_eq!(normalized.action_masks(), Some(&[false, true, false, true][..]));
    let mut unmasked = SyncVecEnv::new(registered("CartPole-v1", 2)).unwrap();
    unmasked.reset(0, "env").unwrap();
    assert_eq!(unmasked.action_masks(), None);
}

/// Two switches; the first is stuck at 1, or the mask says that it may be neither.
#[derive(Clone, Copy)]
struct Switches {
    deadlocked: bool,
}

impl rl_env::Env for Switches {
    type Action = [usize];
    fn observation_space(&self) -> Space {
        Space::MultiBinary(2)
    }
    fn action_space(&self) -> Space {
        Space::MultiBinary(2)
    }
    fn reset(&mut self, _: &mut rl_env::EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        obs.copy_from_slice(&[1.0, 0.0]);
        Ok(())
    }
    fn step(
        &mut self,
        a: &[usize],
        _: &mut rl_env::EnvRng,
        obs: &mut [f32],
    ) -> Result<rl_env::Step, EnvError> {
        if a[0] == 0 {
            return Err(EnvError::masked_action(a, "the first switch is stuck"));
        }
        obs.copy_from_slice(&[1.0, a[1] as f32]);
        Ok(rl_env::Step { reward: 0.0, end: StepEnd::Continues })
    }
    fn action_mask(&self, mask: &mut [bool]) -> bool {
        mask.copy_from_slice(&[false, !self.deadlocked, true, true]);
        true
    }
}

#[test]
fn a_mask_over_bits_has_two_places_for_each() {
    let make = |deadlocked| SyncVecEnv::new(vec![Switches { deadlocked: false }, Switches { deadlocked }]);
    let mut envs = make(false).unwrap();
    envs.reset(0, "env").unwrap();
    assert_eq!(envs.action_masks(), Some(&[false, true, true, true].repeat(2)[..]));
    for round in 0..20 {
        let all = actions(&envs, round);
        envs.step(as_rows(&all)).unwrap();
    }
    let error = envs.step(ActionsRef::Discrete(&[1, 0, 0, 1])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "environment 1, step 21 since its construction: action [0, 1] is masked: the first switch is stuck"
    );
    let error = make(true).unwrap().reset(0, "env").unwrap_err().to_string();
    assert!(error.contains("environment 1") && error.contains("no choice in dimension 0"), "{error}");
}

#[test]
fn a_space_of_parts_is_no_action_space() {
    /// Takes what nobody can choose.
    struct Parts;
    impl rl_env::Env for Parts {
        type Action = [f32];
        fn observation_space(&self) -> Space {
            Space::dict([("a", Space::Discrete(2)), ("b", Space::MultiBinary(1))])
        }
        fn action_space(&self) -> Space {
            Space::Tuple(vec![Space::Discrete(2), Space::Discrete(3)])
        }
        fn reset(&mut self, _: &mut rl_env::EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
            obs.copy_from_slice(&[1.0, 0.0, 0.0]);
            Ok(())
        }
        fn step(
            &mut self,
            _: &[f32],
            _: &mut rl_env::EnvRng,
            obs: &mut [f32],
        ) -> Result<rl_env::Step, EnvError> {
            obs.copy_from_slice(&[1.0, 0.0, 1.0]);
            Ok(rl_env::Step { reward: 0.0, end: StepEnd::Continues })
        }
    }
    let error = SyncVecEnv::new(vec![Parts]).err().unwrap().to_string();
    assert!(
        error.contains("Tuple(Discrete(2), Discrete(3))") && error.contains("only observations"),
        "{error}"
    );
    let findings = EnvSpec::new("Parts-v0", || Parts).check();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].to_string().starts_with("spaces (step 0): the action space"), "{findings:?}");
}

/// An environment that is only made as a whole vector does alone, and in the one part it comes in, what the vector does.
#[test]
fn a_vector_of_one_stands_alone() {
    let known = Registry::builtin().get("CartPole-v1").unwrap().clone();
    let (observations, actions) = (known.observation_space.clone(), known.action_space.clone());
    let spec = EnvSpec::from_vec("Poles-v0", observations, actions, |numbers| {
        let poles = numbers.clone().map(|_| TimeLimit::new(CartPole::new(), 30)).collect();
        Ok(Box::new(SyncVecEnv::numbered_from(numbers.start, poles)?))
    });
    assert_eq!(spec.make_parts(5, 2).unwrap().iter().map(|part| part.n_envs()).collect::<Vec<_>>(), [5]);

    let mut rng = stream(3, "alone", 0);
    let mut vector = spec.make_vec(1).unwrap();
    vector.reset(rng.clone().next_u64(), "env").unwrap();
    let mut alone = spec.make();
    let mut obs = [0.0; 4];
    let refused = alone.step(ActionRef::Discrete(&[0]), &mut rng.clone(), &mut obs);
    assert!(matches!(refused, Err(EnvError::NeedsReset { .. })), "{refused:?}");
    alone.reset(&mut rng, &mut obs).unwrap();
    let mut ends = 0;
    for t in 0..200 {
        assert_eq!(obs, vector.observations(), "step {t}");
        let action = [usize::from(obs[2] > 0.0)];
        vector.step(ActionsRef::Discrete(&action)).unwrap();
        let step = alone.step(ActionRef::Discrete(&action), &mut rng, &mut obs).unwrap();
        assert_eq!((step.reward, step.end), (vector.rewards()[0], vector.ends()[0]));
        if step.end.is_over() {
            ends += 1;
            assert_eq!(obs, vector.final_observations());
            assert!(alone.step(ActionRef::Discrete(&action), &mut rng, &mut obs).is_err());
            alone.reset(&mut rng, &mut obs).unwrap();
        }
    }
    assert!(ends >= 5, "{ends} episodes");
    assert_eq!(spec.check(), []);
}
