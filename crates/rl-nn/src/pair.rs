//! Two threads that take turns quickly.

use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU8, Ordering};

/// A helper thread of the current rayon pool, kept awake for many short [`join`](Pair::join)s.
///
/// `rayon::join` puts a thread to sleep between calls and needs microseconds to wake it: too much for the two halves of a
/// minibatch of tens of microseconds. A `Pair` spins instead. The helper serves only once a thread of the pool is free to take it;
/// until then, and with one thread, `join` simply runs both halves: nothing ever waits for a thread that has not come.
/// What is computed does not depend on it.
pub struct Pair<'a>(&'a Shared);

struct Shared {
    state: AtomicU8,
    slot: UnsafeCell<Slot>,
}

#[derive(Default)]
struct Slot {
    task: Option<*mut (dyn FnMut() + Send)>,
    panic: Option<Box<dyn Any + Send>>,
}

/// No helper has come.
const ALONE: u8 = 0;
/// The helper waits for a task.
const IDLE: u8 = 1;
/// The slot holds a task; it is the helper's until the state changes.
const BUSY: u8 = 2;
/// The helper must go, or must not begin.
const OVER: u8 = 3;

// SAFETY: the owner is the one `Pair`, whose `join` borrows it mutably: it writes the slot only while the state is `IDLE` (the
// helper then only reads the state), and the helper only while it is `BUSY` (the owner then only reads the state). The
// state's release and acquire order the two. The task in the slot is `Send`.
unsafe impl Sync for Shared {}

impl Pair<'_> {
    /// Runs `body` with a helper from the current pool, if the pool has a second thread; from outside any pool, in the global one.
    ///
    /// ```
    /// let sum = rl_nn::Pair::with(|mut pair| {
    ///     let joined = (0..100).map(|i| pair.join(|| i, || 2 * i));
    ///     joined.map(|(a, b)| a + b).sum::<i32>()
    /// });
    /// assert_eq!(sum, 3 * 4950);
    /// ```
    pub fn with<R: Send>(body: impl FnOnce(Pair<'_>) -> R + Send) -> R {
        let shared = Shared { state: AtomicU8::new(ALONE), slot: UnsafeCell::default() };
        if rayon::current_num_threads() < 2 {
            return body(Pair(&shared));
        }
        // `scope` and not `in_place_scope`: on a thread of the pool the body can run its own parallel sections itself, whatever
        // the others are busy with.
        rayon::scope(|scope| {
            scope.spawn(|_| shared.serve());
            let _over = Over(&shared);
            body(Pair(&shared))
        })
    }

    /// Runs both closures, at the same time when the helper is there.
    pub fn join<A, B: Send>(&mut self, a: impl FnOnce() -> A, b: impl FnOnce() -> B + Send) -> (A, B) {
        let shared = self.0;
        if shared.state.load(Ordering::Acquire) != IDLE {
            return (a(), b());
        }
        let (mut b, mut result) = (Some(b), None);
        let mut task = || result = b.take().map(|b| b());
        let task: *mut (dyn FnMut() + Send + '_) = &raw mut task;
        // SAFETY: the state is `IDLE` and `self` is borrowed mutably, so the slot is ours. The lifetime is erased, and `Finished`
        // keeps this frame until the helper is done with the task, also when `a` panics.
        unsafe {
            let task: *mut (dyn FnMut() + Send + 'static) = std::mem::transmute(task);
            (*shared.slot.get()).task = Some(task);
        }
        shared.state.store(BUSY, Ordering::Release);
        let finished = Finished(shared);
        let a = a();
        drop(finished);
        // SAFETY: `Finished` waited until the state was no longer `BUSY`, so the slot is ours again.
        if let Some(panic) = unsafe { (*shared.slot.get()).panic.take() } {
            resume_unwind(panic);
        }
        match result {
            Some(b) => (a, b),
            None => unreachable!("the helper ran the task to its end"),
        }
    }

    /// Whether the helper has come.
    #[cfg(test)]
    fn has_helper(&self) -> bool {
        self.0.state.load(Ordering::Acquire) == IDLE
    }
}

impl Shared {
    /// The helper's life.
    fn serve(&self) {
        if self.state.compare_exchange(ALONE, IDLE, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return;
        }
        loop {
            match self.wait_while(IDLE) {
                BUSY => {
                    // SAFETY: in state `BUSY` the slot is the helper's, and the task is alive until the state changes.
                    let slot = unsafe { &mut *self.slot.get() };
                    if let Some(task) = slot.task.take() {
                        // SAFETY: as above; nobody else holds the pointer.
                        slot.panic = catch_unwind(AssertUnwindSafe(|| unsafe { (*task)() })).err();
                    }
                    self.state.store(IDLE, Ordering::Release);
                }
                _ => return,
            }
        }
    }

    /// Spins until the state is another one and returns it; gives the processor away now and then, in case it is needed.
    fn wait_while(&self, state: u8) -> u8 {
        let mut spins = 0_u32;
        loop {
            let now = self.state.load(Ordering::Acquire);
            if now != state {
                return now;
            }
            spins += 1;
            if spins.is_multiple_of(4096) {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }
}

/// Waits for the task in progress when dropped.
struct Finished<'a>(&'a Shared);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.wait_while(BUSY);
    }
}

/// Sends the helper away when dropped.
struct Over<'a>(&'a Shared);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.state.store(OVER, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::{Duration, Instant};

    use rayon::prelude::*;

    fn in_pool<R: Send>(threads: usize, body: impl FnOnce() -> R + Send) -> R {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(body)
    }

    /// Waits until the helper is there, so that a test is about it.
    fn with_helper<R: Send>(body: impl FnOnce(Pair<'_>) -> R + Send) -> R {
        in_pool(2, || {
            Pair::with(|pair| {
                let begun = Instant::now();
                while !pair.has_helper() {
                    assert!(begun.elapsed() < Duration::from_secs(30), "no helper came");
                    thread::yield_now();
                }
                body(pair)
            })
        })
    }

    fn sums(mut pair: Pair<'_>) -> (u64, u64) {
        let (mut left, mut right) = (0, 0);
        (0..10_000).for_each(|i| {
            pair.join(|| left += i, || right += 2 * i);
        });
        (left, right)
    }

    #[test]
    fn both_halves_run_once_with_and_without_a_helper() {
        assert_eq!(with_helper(sums), (49_995_000, 99_990_000));
        for threads in [1, 3] {
            assert_eq!(in_pool(threads, || Pair::with(sums)), (49_995_000, 99_990_000));
        }
        assert_eq!(Pair::with(sums), (49_995_000, 99_990_000), "outside a pool");
    }

    #[test]
    fn the_halves_run_on_two_threads() {
        let id = || thread::current().id();
        let (a, b) = with_helper(|mut pair| pair.join(id, id));
        assert_ne!(a, b);
    }

    #[test]
    fn panics_come_out_and_leave_nothing_running() {
        for left in [true, false] {
            let outcome = catch_unwind(|| {
                with_helper(|mut pair| {
                    (0..1_000).for_each(|i| {
                        pair.join(|| assert!(!left || i < 999, "left"), || assert!(left || i < 999, "right"));
                    });
                });
            });
            let panic = outcome.unwrap_err();
            assert_eq!(panic.downcast_ref::<&str>(), Some(&if left { "left" } else { "right" }));
        }
    }

    /// Every thread of the pool is busy with a pair of its own: none of them may wait for a helper.
    #[test]
    fn pairs_without_a_free_thread_do_not_wait() {
        let sum = |k: u64| {
            Pair::with(|mut pair| {
                let joined = (0..1_000).map(|i| pair.join(|| i, || k));
                joined.map(|(a, b)| a + b).sum::<u64>()
            })
        };
        let sums: Vec<u64> = in_pool(2, || (0..8).into_par_iter().map(sum).collect());
        assert_eq!(sums, (0..8).map(|k| 499_500 + 1_000 * k).collect::<Vec<_>>());
    }

    /// Plain threads share the global pool, as many of them as it has threads, each with parallel sections inside.
    #[test]
    fn parallel_sections_inside_do_not_wait_either() {
        let work = || {
            Pair::with(|mut pair| {
                let sum = || (0..10_000_u64).into_par_iter().sum::<u64>();
                (0..50).map(|_| pair.join(sum, sum)).map(|(a, b)| a + b).sum::<u64>()
            })
        };
        let n = rayon::current_num_threads() + 1;
        let sums: Vec<u64> = thread::scope(|scope| {
            let owners: Vec<_> = (0..n).map(|_| scope.spawn(work)).collect();
            owners.into_iter().map(|owner| owner.join().unwrap()).collect()
        });
        assert_eq!(sums, vec![100 * 49_995_000; n]);
    }
}
