//! Pictures of the built-in environments.

#![cfg(feature = "render")]
#![allow(clippy::unwrap_used, reason = "a test")]

use rl_env::rng::stream;
use rl_env::{ActionRef, DynEnv, Frame, Registry, SyncVecEnv, VecEnv, envs};
use rl_test_support as _;

fn pixel(frame: &Frame, x: u32, y: u32) -> [u8; 3] {
    let i = 3 * (y * frame.width + x) as usize;
    frame.rgb[i..i + 3].try_into().unwrap()
}

#[test]
fn every_built_in_environment_has_a_picture_that_shows_its_state() {
    for spec in Registry::builtin().iter() {
        let (mut env, mut rng) = (spec.make(), stream(3, "picture", 0));
        let mut obs = vec![0.0; env.observation_space().flat_len()];
        env.reset(&mut rng, &mut obs).unwrap();
        let first = env.render().unwrap();
        assert_eq!(first.rgb.len() as u32, 3 * first.width * first.height, "{}", spec.id);
        let saved = env.save();
        assert_eq!(env.render().unwrap(), first);
        assert_eq!(env.save(), saved, "{}: drawing changes nothing", spec.id);
        let mut changed = false;
        for _ in 0..8 {
            let action = env.sample_action(&mut rng).unwrap();
            let over = env.step(action.as_ref(), &mut rng, &mut obs).unwrap().end.is_over();
            changed |= env.render().unwrap() != first;
            if over {
                env.reset(&mut rng, &mut obs).unwrap();
            }
        }
        assert!(changed, "{}: the picture never changes", spec.id);
    }
}

#[test]
fn sizes_and_places_are_gymnasiums() {
    let mut cart = envs::CartPole::new();
    cart.set_state([1.2, 0.0, 0.0, 0.0]);
    let frame = DynEnv::render(&cart).unwrap();
    assert_eq!((frame.width, frame.height), (600, 400));
    // The cart a quarter of the track right of the middle, its pole upright, the track 100 pixels above the floor.
    assert_eq!(pixel(&frame, 430, 300), [0, 0, 0]);
    assert_eq!(pixel(&frame, 450, 220), [202, 152, 101]);
    assert_eq!(pixel(&frame, 300, 220), [255, 255, 255]);

    let mut pendulum = envs::Pendulum::new();
    pendulum.set_state([0.0, 0.0]);
    let frame = DynEnv::render(&pendulum).unwrap();
    assert_eq!((frame.width, frame.height), (500, 500));
    assert_eq!(pixel(&frame, 250, 160), [204, 77, 77]);

    let mut acrobot = envs::Acrobot::new();
    acrobot.set_state([0.0; 4]);
    let frame = DynEnv::render(&acrobot).unwrap();
    assert_eq!(pixel(&frame, 250, 330), [0, 204, 204]);

    let mut car = envs::MountainCar::new();
    car.set_state([-0.5, 0.0]);
    let frame = DynEnv::render(&car).unwrap();
    assert_eq!(pixel(&frame, 233, 345), [0, 0, 0]);
}

#[test]
fn a_picture_is_restored_with_the_state() {
    let registry = Registry::builtin();
    let (mut env, mut rng, mut obs) =
        (registry.get("Pendulum-v1").unwrap().make(), stream(0, "env", 0), [0.0; 3]);
    env.reset(&mut rng, &mut obs).unwrap();
    env.step(ActionRef::Continuous(&[1.7]), &mut rng, &mut obs).unwrap();
    let mut other = registry.get("Pendulum-v1").unwrap().make();
    other.restore(&env.save().unwrap()).unwrap();
    assert_eq!(other.render(), env.render());
    let envs = SyncVecEnv::new(vec![other]).unwrap();
    assert_eq!(VecEnv::render(&envs, 0), env.render());
    assert_eq!(VecEnv::render(&envs, 1), None);
}
