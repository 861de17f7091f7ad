//! Two threads that take turns quickly.

mod handoff;
mod ledger;
mod sync;

use std::cell::Cell;
use std::time::Instant;

use handoff::{Handoff, Owner};
pub use ledger::Ledger;
use ledger::Way;

/// A helper thread of the current rayon pool for many short [`join`](Pair::join)s.
///
/// `rayon::join` puts a thread to sleep between calls and needs microseconds to wake it: too much for the two halves of a
/// minibatch of tens of microseconds. The helper of a `Pair` stays awake, as long as there is something to do and a [`Ledger`] says
/// that it pays; it is called when it does and goes when it does not. Nothing ever waits for a helper that has not come, and with one
/// thread `join` simply runs both halves. What is computed does not depend on it.
///
/// Both halves run on threads of the pool, so that parallel sections inside them are the pool's.
pub struct Pair<'a> {
    helped: Option<Helped<'a>>,
    ledger: &'a mut Ledger,
}

struct Helped<'a> {
    owner: Owner<'a>,
    /// Gives the pool the helper's job.
    send: &'a dyn Fn(),
}

thread_local! {
    /// The pairs whose bodies run on this thread. Such a thread never helps others: while it waits inside rayon it may be handed any job of
    /// the pool, its own helper's among them, and what it waits for would have to wait until the other pair is done.
    static OWNED: Cell<usize> = const { Cell::new(0) };
}

impl Pair<'_> {
    /// Runs `body` with a helper from the current pool, if the pool has a second thread; from outside any pool, in the global one.
    /// The ledger keeps what was learnt about the helper for the next time.
    ///
    /// ```
    /// use rl_ppo::{Ledger, Pair};
    /// let sum = Pair::with(&mut Ledger::default(), |mut pair| {
    ///     let joined = (0..100).map(|i| pair.join(|| i, || 2 * i));
    ///     joined.map(|(a, b)| a + b).sum::<i32>()
    /// });
    /// assert_eq!(sum, 3 * 4950);
    /// ```
    pub fn with<R: Send>(ledger: &mut Ledger, body: impl FnOnce(Pair<'_>) -> R + Send) -> R {
        if rayon::current_num_threads() < 2 {
            return body(Pair { helped: None, ledger });
        }
        if rayon::current_thread_index().is_none() {
            // On a thread of the pool the body can run its own parallel sections itself, whatever the others are busy with.
            return rayon::scope(|_| Pair::with(ledger, body));
        }
        let handoff = Handoff::new();
        let _owning = Owning::new();
        rayon::scope(|scope| {
            let handoff = &handoff;
            let send = || scope.spawn(|_| help(handoff));
            // SAFETY: from within a pool `scope` stays on this thread, and this is the only call.
            let owner = unsafe { handoff.owner() };
            body(Pair { helped: Some(Helped { owner, send: &send }), ledger })
        })
    }

    /// Runs both closures, at the same time when a helper pays and is there.
    pub fn join<A: Send, B: Send>(
        &mut self,
        a: impl FnOnce() -> A + Send,
        b: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        let Pair { helped: Some(helped), ledger } = self else { return (a(), b()) };
        let begun = Instant::now();
        let (a, b, way) = match ledger.way() {
            Way::Alone => (a(), b(), Some(Way::Alone)),
            Way::Pooled => {
                let (a, b) = rayon::join(a, b);
                (a, b, Some(Way::Pooled))
            }
            Way::Together => {
                if helped.owner.call() {
                    (helped.send)();
                }
                let (a, b, came) = helped.owner.join(a, b);
                // A helper that has not come yet says nothing about what it is worth.
                (a, b, came.then_some(Way::Together))
            }
        };
        if let Some(way) = way {
            ledger.record(way, begun.elapsed());
        }
        (a, b)
    }
}

fn help(handoff: &Handoff) {
    if OWNED.get() > 0 { handoff.refuse() } else { handoff.serve() }
}

/// Counts a pair of this thread while it lasts.
struct Owning;

impl Owning {
    fn new() -> Self {
        OWNED.set(OWNED.get() + 1);
        Owning
    }
}

impl Drop for Owning {
    fn drop(&mut self) {
        OWNED.set(OWNED.get() - 1);
    }
}

#[cfg(test)]
mod tests;
