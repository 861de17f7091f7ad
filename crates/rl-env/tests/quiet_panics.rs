//! A panic that `check_env` finds is not printed as well, and one that nobody looks for is. In a process of its own: what it does with panics is everybody's.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicUsize, Ordering};

use rl_env::{CheckParams, DynEnv, Env, EnvError, EnvRng, Rule, Space, Step, check_env};
use rl_test_support as _;

struct Panics;

impl Env for Panics {
    type Action = usize;

    fn observation_space(&self) -> Space {
        Space::Discrete(2)
    }

    fn action_space(&self) -> Space {
        Space::Discrete(2)
    }

    fn reset(&mut self, _: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        obs.copy_from_slice(&[1.0, 0.0]);
        Ok(())
    }

    fn step(&mut self, _: &usize, _: &mut EnvRng, _: &mut [f32]) -> Result<Step, EnvError> {
        panic!("not a step");
    }
}

#[test]
fn a_panic_that_is_found_is_printed_only_with_its_backtrace() {
    static PRINTED: AtomicUsize = AtomicUsize::new(0);
    let before = take_hook();
    set_hook(Box::new(move |info| {
        PRINTED.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
    let wants_backtrace = Backtrace::capture().status() == BacktraceStatus::Captured;
    let expected = usize::from(wants_backtrace);
    for _ in 0..2 {
        let found = check_env(&CheckParams::default(), &|| -> Box<dyn DynEnv> { Box::new(Panics) });
        assert_eq!(found.iter().map(|f| f.rule).collect::<Vec<_>>(), [Rule::Panic], "{found:?}");
        assert!(found[0].message.starts_with("step panicked: not a step ("), "{found:?}");
        assert_eq!(PRINTED.load(Ordering::Relaxed), expected);
    }
    assert!(catch_unwind(|| panic!("on its own")).is_err());
    assert_eq!(PRINTED.load(Ordering::Relaxed), expected + 1);
}
