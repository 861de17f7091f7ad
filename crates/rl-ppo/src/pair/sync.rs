//! What the handing over of tasks needs of threads. The model checker brings its own in place of this module.

pub(super) use std::sync::atomic::{AtomicU8, Ordering};
pub(super) use std::thread::{Thread, current};
use std::thread::{park_timeout, yield_now};
use std::time::{Duration, Instant};

/// A cell that the protocol, and not the compiler, gives to one thread at a time.
pub(super) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(super) fn new(value: T) -> Self {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }

    /// Runs `f` on the contents.
    pub(super) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// How long a thread without a processor's instruction to spare looks at a state before it gives the processor away.
const SPIN: Duration = Duration::from_micros(30);
/// How long it looks at all: a switch of threads costs a tenth of it.
const PATIENCE: Duration = Duration::from_micros(100);
/// Pauses between two looks at the clock.
const PAUSES: u32 = 32;

/// The bounded waiting for a state that is about to change.
#[derive(Default)]
pub(super) struct Spin {
    pauses: u32,
    since: Option<Instant>,
}

impl Spin {
    /// Passes a moment, or says that it has been long enough.
    pub(super) fn again(&mut self) -> bool {
        self.pauses += 1;
        if !self.pauses.is_multiple_of(PAUSES) {
            std::hint::spin_loop();
            return true;
        }
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        if waited > SPIN {
            yield_now();
        }
        waited < PATIENCE
    }
}

/// Waits to be woken, or for no reason. Meanwhile the thread is the pool's: what is waited for may itself wait for this very thread
/// (a broadcast, say), or be cut into jobs of which it can take some.
pub(super) fn park() {
    if rayon::yield_now() != Some(rayon::Yield::Executed) {
        park_timeout(Duration::from_millis(1));
    }
}
