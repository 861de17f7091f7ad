//! What is seen of a grid while it runs: a bar or lines for each of a few runs, one line for many.

use std::io::{IsTerminal, stderr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rl_train::Progress;

use super::results::Run;
use crate::run::Screen;

/// More runs than this share one line.
const A_FEW: usize = 4;

/// What is seen of a grid while it runs.
pub(crate) enum Display {
    /// Every run by itself.
    Each(Screen),
    /// All in one line.
    Together(Mutex<Together>),
}

/// How far a grid is.
pub(crate) struct Together {
    /// A bar on a terminal, lines elsewhere.
    bar: Option<ProgressBar>,
    total: usize,
    done: usize,
    failed: usize,
    were_there: usize,
    started: Instant,
    next_tenth: usize,
}

impl Display {
    /// For so many runs.
    pub(crate) fn new(quiet: bool, total: usize) -> Self {
        if quiet || total <= A_FEW {
            return Display::Each(Screen::new(quiet));
        }
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:24} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        let together = Together {
            bar,
            total,
            done: 0,
            failed: 0,
            were_there: 0,
            started: Instant::now(),
            next_tenth: 1,
        };
        Display::Together(Mutex::new(together))
    }

    /// What shows a single run, if single runs are shown.
    pub(crate) fn progress(&self) -> Option<Progress> {
        match self {
            Display::Each(screen) => screen.progress(),
            Display::Together(_) => None,
        }
    }

    /// Takes note of a run that ended.
    pub(crate) fn ended(&self, run: &Run) {
        if let Display::Together(together) = self {
            together.lock().unwrap_or_else(PoisonError::into_inner).ended(run);
        }
    }
}

impl Together {
    fn ended(&mut self, run: &Run) {
        self.done += 1;
        self.failed += usize::from(run.has_failed());
        self.were_there += usize::from(run.was_there);
        let line = self.line(self.started.elapsed());
        let is_over = self.done == self.total;
        match &self.bar {
            Some(bar) => {
                bar.set_position(self.done as u64);
                bar.set_message(line.clone());
                if is_over {
                    bar.abandon_with_message(line);
                }
            }
            None if is_over || self.done * 10 / self.total >= self.next_tenth => {
                self.next_tenth = self.done * 10 / self.total + 1;
                eprintln!("{line}");
            }
            None => {}
        }
    }

    fn line(&self, elapsed: Duration) -> String {
        let Together { total, done, failed, were_there, .. } = *self;
        let some = |n: usize, what: &str| if n == 0 { String::new() } else { format!(", {n} {what}") };
        let (failed, there) = (some(failed, "failed"), some(were_there, "there already"));
        let remaining = match (total - done, done - were_there) {
            (0, _) => String::new(),
            (_, 0) => ", ETA -".to_owned(),
            (left, ran) => {
                let remaining = elapsed.mul_f64(left as f64 / ran as f64);
                format!(", ETA {:#}", HumanDuration(remaining))
            }
        };
        format!("{done}/{total} runs{failed}{there}{remaining}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_remains() {
        let mut together = Together {
            bar: None,
            total: 30,
            done: 20,
            failed: 2,
            were_there: 10,
            started: Instant::now(),
            next_tenth: 1,
        };
        assert_eq!(together.line(Duration::from_secs(60)), "20/30 runs, 2 failed, 10 there already, ETA 60s");
        (together.done, together.failed, together.were_there) = (30, 0, 0);
        assert_eq!(together.line(Duration::from_secs(60)), "30/30 runs");
    }
}
