//! The handing over of tasks under loom, which tries every order in which two threads may do what they do to each other:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release -p rl-ppo --test loom_pair
//! ```

#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a failure in a helper is a failed test")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// The model's threads in place of the system's. Waiting is given up at once, so that every order is one of finitely many.
mod sync {
    pub(super) use loom::cell::UnsafeCell;
    pub(super) use loom::sync::atomic::{AtomicU8, Ordering};
    pub(super) use loom::thread::{Thread, current, park};

    #[derive(Default)]
    pub(super) struct Spin(bool);

    impl Spin {
        /// One look more, once.
        pub(super) fn again(&mut self) -> bool {
            loom::thread::yield_now();
            !std::mem::replace(&mut self.0, true)
        }
    }
}

#[path = "../src/pair/handoff.rs"]
#[allow(unreachable_pub, reason = "as in the library")]
mod handoff;

use handoff::Handoff;

/// What a half does: it counts in memory that loom watches.
struct Counter(UnsafeCell<u32>);

// SAFETY: that no two threads count at the same time is what the model checks.
unsafe impl Sync for Counter {}

impl Counter {
    fn new() -> Self {
        Counter(UnsafeCell::new(0))
    }

    fn count(&self) -> u32 {
        self.0.with_mut(|n| {
            // SAFETY: loom fails here if another thread is at it.
            let n = unsafe { &mut *n };
            *n += 1;
            *n
        })
    }
}

/// `joins` in a row; a helper is sent whenever one is called, at most `helpers` times.
fn model(joins: u32, helpers: usize) {
    loom::model(move || {
        let handoff = Arc::new(Handoff::new());
        let (left, right) = (Counter::new(), Counter::new());
        // SAFETY: this thread made it, and this is the only call.
        let mut owner = unsafe { handoff.owner() };
        let mut sent = Vec::new();
        for i in 1..=joins {
            if sent.len() < helpers && owner.call() {
                let handoff = handoff.clone();
                sent.push(thread::spawn(move || handoff.serve()));
            }
            let (a, b, _) = owner.join(|| left.count(), || right.count());
            assert_eq!((a, b), (i, i));
        }
        drop(owner);
        // None stays for good: the model fails where no thread can go on.
        sent.into_iter().for_each(|helper| helper.join().unwrap());
    });
}

#[test]
fn one_join() {
    model(1, 1);
}

#[test]
fn a_helper_that_serves_again_or_leaves() {
    model(2, 1);
}

#[test]
fn a_second_helper_after_the_first_has_left() {
    model(2, 2);
}

#[test]
fn a_helper_that_does_not_come() {
    loom::model(|| {
        let handoff = Arc::new(Handoff::new());
        // SAFETY: this thread made it, and this is the only call.
        let mut owner = unsafe { handoff.owner() };
        assert!(owner.call());
        let helper = {
            let handoff = handoff.clone();
            thread::spawn(move || handoff.refuse())
        };
        let (a, b, came) = owner.join(|| 1, || 2);
        assert_eq!((a, b, came), (1, 2, false));
        drop(owner);
        helper.join().unwrap();
    });
}

#[test]
fn panics_of_either_half_come_out_after_both_are_done() {
    for left_panics in [true, false] {
        loom::model(move || {
            let handoff = Arc::new(Handoff::new());
            let (left, right) = (Counter::new(), Counter::new());
            // SAFETY: this thread made it, and this is the only call.
            let mut owner = unsafe { handoff.owner() };
            assert!(owner.call());
            let helper = {
                let handoff = handoff.clone();
                thread::spawn(move || handoff.serve())
            };
            let joined = catch_unwind(AssertUnwindSafe(|| {
                let half = |counter: &Counter, panics| {
                    counter.count();
                    if panics {
                        std::panic::resume_unwind(Box::new(()));
                    }
                };
                owner.join(|| half(&left, left_panics), || half(&right, !left_panics))
            }));
            assert!(joined.is_err());
            // Nobody is at them any more.
            assert_eq!(left.count(), 2);
            let right = right.count();
            assert!(right == 2 || (left_panics && right == 1), "alone, a panic of the first half is the end");
            drop(owner);
            helper.join().unwrap();
        });
    }
}
