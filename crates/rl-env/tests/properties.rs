//! Whatever the actions: observations stay in their space, rewards are finite, and a restored environment continues to
//! the bit.

#![allow(clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;
use rl_env::rng::stream;
use rl_env::{Action, EnvState, Registry, Space};
use rl_test_support as _;

/// An action from three raw numbers: any index, or any real up to twice beyond the bounds.
fn action(space: &Space, raw: &[(usize, f32)]) -> Action {
    match space {
        Space::Box(b) => {
            let scale = |k: usize| raw[k % raw.len()].1 * 2.0 * b.high[k].min(1e3);
            Action::Continuous((0..b.low.len()).map(scale).collect())
        }
        Space::Discrete(n) => Action::Discrete(vec![raw[0].0 % n]),
        Space::MultiDiscrete(ns) => {
            Action::Discrete(ns.iter().enumerate().map(|(k, n)| raw[k % raw.len()].0 % n).collect())
        }
        Space::Dict(_) | Space::Tuple(_) => unreachable!("no built-in environment has parts in its actions"),
        Space::MultiBinary(n) => Action::Discrete((0..*n).map(|k| raw[k % raw.len()].0 % 2).collect()),
    }
}

/// What a run of actions shows, to the bit: observations, rewards, ends.
type Shown = Vec<(Vec<u32>, u64, bool)>;

fn check(id: &str, seed: u64, raw: &[(usize, f32)], hold: usize, cut: usize) -> Result<(), TestCaseError> {
    let registry = Registry::builtin();
    let spec = registry.get(id).unwrap();
    let mut env = spec.make();
    let (obs_space, action_space) = (env.observation_space(), env.action_space());
    let (mut rng, mut obs) = (stream(seed, "env", 0), vec![f32::NAN; obs_space.flat_len()]);
    env.reset(&mut rng, &mut obs).unwrap();
    prop_assert!(obs_space.contains_flat(&obs), "{id} starts at {obs:?}");

    let actions: Vec<Action> = (0..raw.len()).map(|i| action(&action_space, &raw[i - i % hold..])).collect();
    let run = |env: &mut dyn rl_env::DynEnv,
               rng: &mut rl_env::EnvRng,
               actions: &[Action]|
     -> Result<Shown, TestCaseError> {
        let mut obs = vec![f32::NAN; obs_space.flat_len()];
        let mut shown = vec![];
        let mut mask = vec![true; action_space.mask_len()];
        for action in actions {
            let masked = env.action_mask(&mut mask) && !action_space.allows(&mask, action.as_ref());
            // In the place of what is not allowed, always the same of what is.
            let replacement = masked
                .then(|| action_space.sample_allowed(&mask, &mut stream(seed, "replacement", 0)).unwrap());
            let action = replacement.as_ref().unwrap_or(action);
            let step = env.step(action.as_ref(), rng, &mut obs).unwrap();
            prop_assert!(obs_space.contains_flat(&obs), "{id}: {obs:?} after {action:?}");
            prop_assert!(step.reward.is_finite());
            shown.push((
                obs.iter().map(|x| x.to_bits()).collect(),
                step.reward.to_bits(),
                step.end.is_over(),
            ));
            if step.end.is_over() {
                env.reset(rng, &mut obs).unwrap();
                shown.push((obs.iter().map(|x| x.to_bits()).collect(), 0, false));
            }
        }
        Ok(shown)
    };
    let cut = cut % actions.len();
    run(&mut *env, &mut rng, &actions[..cut])?;
    let text = serde_json::to_string(&(env.save().unwrap(), &rng)).unwrap();
    let expected = run(&mut *env, &mut rng, &actions[cut..])?;

    let (saved, mut rng): (EnvState, _) = serde_json::from_str(&text).unwrap();
    let mut restored = spec.make();
    restored.restore(&saved).unwrap();
    prop_assert_eq!(restored.save().unwrap(), saved);
    prop_assert!(run(&mut *restored, &mut rng, &actions[cut..])? == expected, "{} restored at {}", id, cut);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn spaces_hold_and_saves_are_exact(
        seed: u64,
        raw in prop::collection::vec((any::<usize>(), -1.0_f32..1.0), 1..400),
        hold in 1_usize..60,
        cut: usize,
    ) {
        for spec in Registry::builtin().iter() {
            check(&spec.id, seed, &raw, hold, cut)?;
        }
    }
}
