//! Whether a helper pays, from how long the work takes with it and without.

use std::time::Duration;

/// Who runs the two halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The owner, one after the other.
    Alone,
    /// The owner and its helper, at the same time.
    Together,
    /// The owner and whichever thread of the pool takes one half: for work that is long beside the waking of a thread.
    Pooled,
}

/// An account of the time a helper has saved and lost, and with it the decision whether there is to be one.
///
/// A helper costs where its core is also wanted by somebody else: a task it does not come to run keeps its owner waiting, in the worst case for
/// whole slices of the scheduler. So it works on credit. It begins with a *stake*; every join that is faster than one thread is paid in, up to a
/// *limit*; every join that is slower is paid out, several times (`LOSS_WEIGHT`). When nothing is left one thread works for a *pause* of at least
/// twenty times (`PAUSE_SHARE`) what was lost, twice as long after every trial in a row that did not come off. So what trials lose is less than a twentieth of
/// the time, and a helper that pays is noticed within a second.
///
/// What one thread needs is the median of the last joins without a helper, taken anew now and then (`TRUST`).
///
/// Times say who computes, never what.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// The last times alone, in nanoseconds, the newest at `samples % SAMPLES`.
    alone: [i64; SAMPLES],
    samples: usize,
    way: Way,
    /// What is left to do this way: joins, and nanoseconds alone.
    joins: usize,
    pause: i64,
    /// What the helper has left to lose, in nanoseconds.
    balance: i64,
    /// The pause after the last trial, unless that one came off.
    last_pause: i64,
}

/// Joins that say how long one takes alone.
const SAMPLES: usize = 7;
/// Joins with a helper before one thread's time is taken anew: of 1,031 joins 7 are slower, by less than a half.
const TRUST: usize = 1024;
/// A helper has to save a twentieth to count as faster at all.
const WORTH: f64 = 0.95;
/// A join slower than alone counts so often: the likely reason is that somebody else waits for the core, whose time counts too.
const LOSS_WEIGHT: i64 = 4;
/// A pause is at least so many times what the trial before it lost, every loss counted [`LOSS_WEIGHT`] times.
const PAUSE_SHARE: i64 = 20 / LOSS_WEIGHT;

/// From this length on (nanoseconds) waking a thread of the pool, some 10 to 70 µs, is a small part of a join; and a helper that comes within it would
/// find that nothing is left to do, and be gone before the next.
const LONG: i64 = 500_000;

const MS: i64 = 1_000_000;

impl Default for Ledger {
    fn default() -> Self {
        Ledger {
            alone: [0; SAMPLES],
            samples: 0,
            way: Way::Alone,
            joins: SAMPLES,
            pause: 0,
            balance: 0,
            last_pause: 0,
        }
    }
}

impl Ledger {
    /// How the next join is to be done.
    pub(super) fn way(&self) -> Way {
        if self.way == Way::Together && self.median() >= LONG { Way::Pooled } else { self.way }
    }

    /// A join was done in this way, and took so long.
    pub(super) fn record(&mut self, way: Way, time: Duration) {
        let time = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX / 1024).min(i64::MAX / 1024);
        match way {
            Way::Alone => self.record_alone(time),
            Way::Together => self.record_together(time),
            // A thread that sleeps costs nobody anything, so there is no balance; how long one takes alone is taken anew now and then.
            Way::Pooled => {
                self.joins = self.joins.saturating_sub(1);
                if self.joins == 0 {
                    (self.way, self.joins) = (Way::Alone, SAMPLES);
                }
            }
        }
    }

    fn record_alone(&mut self, time: i64) {
        self.alone[self.samples % SAMPLES] = time;
        self.samples += 1;
        self.joins = self.joins.saturating_sub(1);
        self.pause -= time;
        if self.joins == 0 && self.pause <= 0 {
            (self.way, self.joins) = (Way::Together, TRUST);
            if self.balance <= 0 {
                self.balance = self.stake();
            }
        }
    }

    fn record_together(&mut self, time: i64) {
        let saved = ((WORTH * self.median() as f64) as i64 - time).max(-self.slice());
        self.balance += if saved < 0 { LOSS_WEIGHT * saved } else { saved };
        self.joins = self.joins.saturating_sub(1);
        if self.balance <= 0 {
            let lost = self.stake() - self.balance;
            let pause = (PAUSE_SHARE * lost).max(2 * self.last_pause).min(self.longest_pause());
            (self.pause, self.last_pause, self.balance) = (pause, pause, 0);
        } else if self.balance >= self.limit() {
            (self.balance, self.last_pause) = (self.limit(), 0);
        }
        if self.balance <= 0 || self.joins == 0 {
            (self.way, self.joins) = (Way::Alone, SAMPLES);
        }
    }

    fn median(&self) -> i64 {
        let mut times = self.alone;
        times.sort_unstable();
        times[SAMPLES / 2]
    }

    /// The most that one join counts for: a slice of the scheduler, or a few joins. What takes longer stops the whole process, or machine.
    fn slice(&self) -> i64 {
        4 * MS + 4 * self.median()
    }

    /// What a trial may lose: half of a slice of the scheduler, or a few joins.
    fn stake(&self) -> i64 {
        (2 * MS).max(4 * self.median())
    }

    /// What a helper may have put by: enough for one disturbance of any length.
    fn limit(&self) -> i64 {
        20 * MS + 20 * self.median()
    }

    fn longest_pause(&self) -> i64 {
        (1000 * MS).max(200 * self.median())
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
