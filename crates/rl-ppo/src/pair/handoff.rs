//! How a task goes from its owner to a helper and back: a state that both look at, and a slot whose turn it says.
//!
//! ```text
//!           owner            helper          owner           owner, tired of looking
//! Absent ─────────→ Called ─────────→ Idle ─────────→ Busy ─────────→ Awaited
//!    ↑                                 ↑│  ←───────── helper ───────────┘ (and wakes the owner)
//!    └────────── helper, tired ────────┘└─ owner ─→ Leaving ── helper ─→ Absent
//! ```
//!
//! Nobody looks at the state for long: an idle helper leaves, an owner sleeps until its task is done. So neither can be waited for
//! in vain, whatever the thread it runs on must do besides. A helper that is called need not come: without one the owner does the
//! work itself.
//!
//! `tests/loom_pair.rs` runs this file under a model checker, with other atomics and threads in `sync`.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::sync::{self, AtomicU8, Ordering, Spin, Thread, UnsafeCell};

/// No helper, and none called.
const ABSENT: u8 = 0;
/// A helper is called, and has not come.
const CALLED: u8 = 1;
/// The helper waits for a task.
const IDLE: u8 = 2;
/// The slot holds a task; it is the helper's until the state changes.
const BUSY: u8 = 3;
/// The same, and the owner sleeps until it is woken.
const AWAITED: u8 = 4;
/// The helper must go, or must not begin.
const LEAVING: u8 = 5;

/// The place where an owner and its helper meet; on cache lines of its own.
#[repr(align(128))]
pub(crate) struct Handoff {
    state: AtomicU8,
    slot: UnsafeCell<Slot>,
    owner: Thread,
}

#[derive(Default)]
struct Slot {
    task: Option<*mut (dyn FnMut() + Send)>,
    panic: Option<Box<dyn Any + Send>>,
}

// SAFETY: the state says whose the slot is: the helper's while it is `BUSY` or `AWAITED`, else the owner's. Only the owner makes it
// `BUSY`, and only the one helper that has made it `IDLE` ends that; release and acquire order what they do to the slot. The task in it
// is `Send`, so is a panic.
unsafe impl Sync for Handoff {}
// SAFETY: a task is `Send`.
unsafe impl Send for Handoff {}

impl Handoff {
    /// The current thread is the owner.
    pub(crate) fn new() -> Self {
        Handoff {
            state: AtomicU8::new(ABSENT),
            slot: UnsafeCell::new(Slot::default()),
            owner: sync::current(),
        }
    }

    /// The owner's side.
    ///
    /// # Safety
    ///
    /// On the thread that made it, and once.
    pub(crate) unsafe fn owner(&self) -> Owner<'_> {
        Owner(self)
    }

    /// The helper's side, to be run once for every [`Owner::call`]: serves until it is sent away or has nothing to do.
    pub(crate) fn serve(&self) {
        if self.pass(CALLED, IDLE).is_err() {
            return self.refuse();
        }
        loop {
            let mut spin = Spin::default();
            let mut state = self.state.load(Ordering::Acquire);
            while state == IDLE && spin.again() {
                state = self.state.load(Ordering::Acquire);
            }
            match state {
                IDLE => {
                    if self.pass(IDLE, ABSENT).is_ok() {
                        return;
                    }
                }
                LEAVING => return self.refuse(),
                _ => self.run_task(),
            }
        }
    }

    /// The other thing to do for a call: not to come.
    pub(crate) fn refuse(&self) {
        self.state.store(ABSENT, Ordering::Release);
    }

    fn run_task(&self) {
        self.slot.with_mut(|slot| {
            // SAFETY: the state is `BUSY` or `AWAITED`, so the slot is the helper's, which alone runs this.
            let slot = unsafe { &mut *slot };
            if let Some(task) = slot.task.take() {
                // SAFETY: the owner keeps the task alive until the state changes, and nobody else has the pointer.
                slot.panic = catch_unwind(AssertUnwindSafe(|| unsafe { (*task)() })).err();
            }
        });
        if self.state.swap(IDLE, Ordering::AcqRel) == AWAITED {
            self.owner.unpark();
        }
    }

    /// From one state to another, if it is the one.
    fn pass(&self, from: u8, to: u8) -> Result<u8, u8> {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
    }

    /// The owner waits until the task is no longer the helper's.
    fn wait(&self) {
        let mut spin = Spin::default();
        while self.state.load(Ordering::Acquire) == BUSY {
            if !spin.again() {
                if self.pass(BUSY, AWAITED).is_ok() {
                    while self.state.load(Ordering::Acquire) == AWAITED {
                        sync::park();
                    }
                }
                return;
            }
        }
    }
}

/// The one that has work to share. It sends its helper away when it is dropped.
pub(crate) struct Owner<'a>(&'a Handoff);

impl Owner<'_> {
    /// Whether a helper is to be sent to [`Handoff::serve`], which must happen then.
    pub(crate) fn call(&mut self) -> bool {
        self.0.state.load(Ordering::Acquire) == ABSENT && self.0.pass(ABSENT, CALLED).is_ok()
    }

    /// Runs both closures, at the same time if the helper is there; says whether it was.
    pub(crate) fn join<A, B: Send>(
        &mut self,
        a: impl FnOnce() -> A,
        b: impl FnOnce() -> B + Send,
    ) -> (A, B, bool) {
        let (mut b, mut result) = (Some(b), None);
        let mut task = || result = b.take().map(|b| b());
        if !self.offer(&mut task) {
            let a = a();
            task();
            return (a, filled(result), false);
        }
        let finished = Finished(self.0);
        let a = a();
        drop(finished);
        if let Some(panic) = self.slot(|slot| slot.panic.take()) {
            resume_unwind(panic);
        }
        (a, filled(result), true)
    }

    /// Gives the helper a task, if it is there. Whoever has the answer `true` must not end the borrow before the task is done: see
    /// [`Finished`].
    fn offer(&mut self, task: &mut (dyn FnMut() + Send)) -> bool {
        if self.0.state.load(Ordering::Acquire) != IDLE {
            return false;
        }
        let task: *mut (dyn FnMut() + Send + '_) = task;
        // SAFETY: only the lifetime is erased; the pointer is used while the task is alive.
        let task: *mut (dyn FnMut() + Send + 'static) = unsafe { std::mem::transmute(task) };
        self.slot(|slot| slot.task = Some(task));
        let taken = self.0.pass(IDLE, BUSY).is_ok();
        if !taken {
            self.slot(|slot| slot.task = None);
        }
        taken
    }

    /// The slot, between two tasks.
    fn slot<R>(&mut self, f: impl FnOnce(&mut Slot) -> R) -> R {
        // SAFETY: the owner has no task with the helper here: `join` has waited for it, and borrows `self` until then.
        self.0.slot.with_mut(|slot| f(unsafe { &mut *slot }))
    }
}

impl Drop for Owner<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.load(Ordering::Acquire);
        while state == CALLED || state == IDLE {
            match self.0.pass(state, LEAVING) {
                Ok(_) => return,
                Err(now) => state = now,
            }
        }
    }
}

/// Waits for the task in progress when dropped, also when the owner's own half panics.
struct Finished<'a>(&'a Handoff);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.wait();
    }
}

fn filled<B>(result: Option<B>) -> B {
    match result {
        Some(b) => b,
        None => unreachable!("the task ran to its end"),
    }
}
