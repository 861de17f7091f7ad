//! A worker and the thread that waits for it, on one processor while an order and its answer pass between them.
//!
//! One of the two always waits for the other, so a second processor has nothing to do for them; but waking it from its sleep takes
//! some ten microseconds, as long as one step of CartPole. Where both are on the same processor, the system only switches.

use std::time::Duration;

/// Only short vector steps gain; and an environment that starts threads of its own in a step, which would be kept on the same processor too,
/// has none.
const SHORT: Duration = Duration::from_millis(2);
/// How many vector steps are looked at before it is decided.
const WATCHED: u32 = 16;

/// The processor that a worker and the thread that gives it orders have in common, if its vector steps are short. Between two orders the
/// system may place that thread anew, for its processor may have become busy with something else; the worker then follows.
#[derive(Default)]
pub(crate) struct SameProcessor {
    /// The worker's process; `None` where nothing is to be done, or the system refused.
    worker: Option<u32>,
    steps: u32,
    short_steps: u32,
    #[cfg(target_os = "linux")]
    worker_is_on: Option<usize>,
}

impl SameProcessor {
    pub(crate) fn of(worker: u32) -> Self {
        SameProcessor { worker: Some(worker), ..SameProcessor::default() }
    }

    /// A vector step took so long.
    pub(crate) fn took(&mut self, time: Duration) {
        if self.steps < WATCHED {
            self.steps += 1;
            self.short_steps += u32::from(time < SHORT);
        }
    }

    /// Whether most of the steps that were looked at were short.
    fn pays(&self) -> bool {
        self.steps == WATCHED && 2 * self.short_steps > WATCHED
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::process::Pid;
    use rustix::thread::{CpuSet, gettid, sched_getaffinity, sched_getcpu, sched_setaffinity};

    use super::SameProcessor;

    /// Gives a thread back the processors it may use.
    pub(crate) struct Kept(Pid, CpuSet);

    impl Drop for Kept {
        fn drop(&mut self) {
            // They were allowed before.
            let _ = sched_setaffinity(Some(self.0), &self.1);
        }
    }

    impl SameProcessor {
        /// Keeps this thread where it is until the value is dropped, and moves the worker there.
        pub(crate) fn keep(&mut self) -> Option<Kept> {
            if !self.pays() {
                return None;
            }
            let kept = self.try_keep(self.worker?);
            if kept.is_none() {
                self.worker = None;
            }
            kept
        }

        fn try_keep(&mut self, worker: u32) -> Option<Kept> {
            let worker = Pid::from_raw(worker.try_into().ok()?)?;
            let own = sched_getaffinity(None).ok()?;
            let here = sched_getcpu();
            if here >= CpuSet::MAX_CPU || own.count() < 2 {
                return None;
            }
            let mut one = CpuSet::new();
            one.set(here);
            let kept = Kept(gettid(), own);
            sched_setaffinity(None, &one).ok()?;
            if self.worker_is_on != Some(here) {
                sched_setaffinity(Some(worker), &one).ok()?;
                self.worker_is_on = Some(here);
            }
            Some(kept)
        }
    }

    #[cfg(test)]
    mod tests {
        use std::process::{Command, Stdio};

        use super::super::{SHORT, WATCHED};
        use super::*;

        fn own() -> CpuSet {
            sched_getaffinity(None).unwrap()
        }

        #[test]
        fn thread_and_worker_are_on_one_processor_until_the_answer() {
            let before = own();
            let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            let worker = Pid::from_raw(child.id().try_into().unwrap());
            let mut same = SameProcessor::of(child.id());
            let mut slow = SameProcessor::of(child.id());
            for i in 0..WATCHED {
                assert!(same.keep().is_none(), "it is not decided yet");
                same.took(if i == 3 { 2 * SHORT } else { SHORT / 2 });
                slow.took(SHORT);
            }
            assert!(slow.keep().is_none());
            // Where there is one processor only, there is nothing to keep.
            for _ in 0..if before.count() > 1 { 3 } else { 0 } {
                let kept = same.keep();
                assert_eq!((own().count(), own()), (1, sched_getaffinity(worker).unwrap()));
                drop(kept);
                assert_eq!(own(), before);
            }
            drop(child.stdin.take());
            child.wait().unwrap();

            // A process that is gone has no processor; the thread has its own again.
            let mut gone = SameProcessor::of(child.id());
            (0..WATCHED).for_each(|_| gone.took(SHORT / 2));
            assert!(gone.keep().is_none() && gone.keep().is_none());
            assert_eq!((own(), gone.worker), (before, None));
        }
    }
}

#[cfg(target_os = "linux")]
pub(crate) use linux::Kept;

/// Nothing is kept on this system.
#[cfg(not(target_os = "linux"))]
pub(crate) struct Kept;

#[cfg(not(target_os = "linux"))]
impl SameProcessor {
    /// Does nothing on this system.
    pub(crate) fn keep(&mut self) -> Option<Kept> {
        let _ = self.worker.filter(|_| self.pays());
        None
    }
}
