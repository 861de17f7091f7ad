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
pub struct Pair {
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

// SAFETY: the slot is written by the owner only while the state is `IDLE` (the helper then only reads the state) and by the
// helper only while it is `BUSY` (the owner then only reads the state); the state's release and acquire order the two.
unsafe impl Sync for Pair {}
// SAFETY: the pointer in the slot is to a `Send` task and never outlives the `join` that put it there.
unsafe impl Send for Pair {}

impl Pair {
    /// Runs `body` with a helper from the current pool, if the pool has a second thread.
    ///
    /// ```
    /// let sum = rl_nn::Pair::with(|pair| (0..100).map(|i| { let (a, b) = pair.join(|| i, || 2 * i); a + b }).sum::<i32>());
    /// assert_eq!(sum, 3 * 4950);
    /// ```
    pub fn with<R: Send>(body: impl FnOnce(&Pair) -> R + Send) -> R {
        let pair = Pair { state: AtomicU8::new(ALONE), slot: UnsafeCell::default() };
        if rayon::current_num_threads() < 2 {
            return body(&pair);
        }
        rayon::in_place_scope(|scope| {
            scope.spawn(|_| pair.serve());
            let _over = Over(&pair);
            body(&pair)
        })
    }

    /// Runs both closures, at the same time when the helper is there.
    pub fn join<A, B: Send>(&self, a: impl FnOnce() -> A, b: impl FnOnce() -> B + Send) -> (A, B) {
        if self.state.load(Ordering::Acquire) != IDLE {
            return (a(), b());
        }
        let (mut b, mut result) = (Some(b), None);
        let mut task = || result = b.take().map(|b| b());
        let task: *mut (dyn FnMut() + Send + '_) = &raw mut task;
        // SAFETY: the state is `IDLE`, so the slot is ours. The lifetime is erased, and `Finished` keeps this frame until the
        // helper is done with the task, also when `a` panics.
        unsafe {
            let task: *mut (dyn FnMut() + Send + 'static) = std::mem::transmute(task);
            (*self.slot.get()).task = Some(task);
        }
        self.state.store(BUSY, Ordering::Release);
        let finished = Finished(self);
        let a = a();
        drop(finished);
        // SAFETY: `Finished` waited until the state was no longer `BUSY`, so the slot is ours again.
        if let Some(panic) = unsafe { (*self.slot.get()).panic.take() } {
            resume_unwind(panic);
        }
        match result {
            Some(b) => (a, b),
            None => unreachable!("the helper ran the task to its end"),
        }
    }

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
struct Finished<'a>(&'a Pair);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.wait_while(BUSY);
    }
}

/// Sends the helper away when dropped.
struct Over<'a>(&'a Pair);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.state.store(OVER, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::Mutex;
    use std::thread;
    use std::time::{Duration, Instant};

    fn in_pool<R: Send>(threads: usize, body: impl FnOnce() -> R + Send) -> R {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(body)
    }

    #[test]
    fn both_halves_run_once_for_any_number_of_threads() {
        for threads in [1, 2, 3] {
            let sums = in_pool(threads, || {
                Pair::with(|pair| {
                    let (mut left, mut right) = (0, 0);
                    (0..10_000).for_each(|i| {
                        pair.join(|| left += i, || right += 2 * i);
                    });
                    (left, right)
                })
            });
            assert_eq!(sums, (49_995_000, 99_990_000), "{threads} threads");
        }
    }

    #[test]
    fn a_second_thread_comes_to_help() {
        let seen = Mutex::new(HashSet::new());
        in_pool(2, || {
            Pair::with(|pair| {
                let begun = Instant::now();
                while seen.lock().unwrap().len() < 2 && begun.elapsed() < Duration::from_secs(10) {
                    let note = || seen.lock().unwrap().insert(thread::current().id());
                    pair.join(note, note);
                }
            });
        });
        assert_eq!(seen.lock().unwrap().len(), 2);
    }

    #[test]
    fn panics_come_out_and_leave_nothing_running() {
        for threads in [1, 2] {
            for left in [true, false] {
                let outcome = catch_unwind(|| {
                    in_pool(threads, || {
                        Pair::with(|pair| {
                            (0..1_000).for_each(|i| {
                                pair.join(|| assert!(!left || i < 999), || assert!(left || i < 999));
                            });
                        });
                    });
                });
                assert!(outcome.is_err());
            }
        }
    }

    /// Every thread of the pool is busy with a pair of its own: none of them may wait for a helper.
    #[test]
    fn pairs_without_a_free_thread_do_not_wait() {
        let sums: Vec<u64> = in_pool(2, || {
            use rayon::prelude::*;
            (0..8_u64)
                .into_par_iter()
                .map(|k| {
                    Pair::with(|pair| {
                        (0..1_000)
                            .map(|i| {
                                let (a, b) = pair.join(|| i, || k);
                                a + b
                            })
                            .sum()
                    })
                })
                .collect()
        });
        assert_eq!(sums, (0..8).map(|k| 499_500 + 1_000 * k).collect::<Vec<_>>());
    }
}
