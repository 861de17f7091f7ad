//! Who may end a run early.

use std::time::{Duration, Instant};

use rl_nn::{Data, NnError, State};

use crate::{Event, shown};

/// What a watcher thinks of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Continue,
    /// It ends, with its evaluation at the end and its checkpoint, for this reason.
    Stop(String),
}

/// Someone who hears of a run's events and may end it, but cannot reach into it. A closure from an event to a verdict is one.
///
/// ```
/// use rl_train::{Event, Verdict, Watcher};
///
/// let mut updates = 0;
/// let mut after_ten = move |event: Event<'_>| {
///     updates += u32::from(matches!(event, Event::Update(_)));
///     if updates == 10 { Verdict::Stop("ten updates are enough".into()) } else { Verdict::Continue }
/// };
/// # fn is_watcher(_: &mut impl Watcher) {}
/// is_watcher(&mut after_ten);
/// ```
pub trait Watcher: Send {
    /// Takes note of an event, and judges.
    fn watch(&mut self, event: Event<'_>) -> Verdict;

    /// What it is called, where it judges by evaluations: a run without any is refused then, because it would never hear of one. `None` (the default) for
    /// one that judges by anything else.
    fn needs_evaluations(&self) -> Option<&str> {
        None
    }

    /// What its judgement depends on; `None` (the default) for one that need not know when a run goes on.
    ///
    /// # Errors
    ///
    /// [`NnError`] for what a state cannot hold.
    fn state(&self) -> Result<Option<State>, NnError> {
        Ok(None)
    }

    /// Goes on from a state that [`state`](Watcher::state) gave.
    ///
    /// # Errors
    ///
    /// [`NnError`] for a state of another watcher.
    fn restore(&mut self, _state: &State) -> Result<(), NnError> {
        Ok(())
    }
}

impl<F: FnMut(Event<'_>) -> Verdict + Send> Watcher for F {
    fn watch(&mut self, event: Event<'_>) -> Verdict {
        self(event)
    }
}

/// Ends a run at the first evaluation whose mean return reaches a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RewardReached(pub f64);

impl Watcher for RewardReached {
    fn watch(&mut self, event: Event<'_>) -> Verdict {
        match event {
            Event::Evaluation { step, evaluation } if evaluation.mean >= self.0 => {
                let mean = shown(evaluation.mean, evaluation.mean);
                Verdict::Stop(format!("the evaluation at step {step} reached {}: {mean}", self.0))
            }
            _ => Verdict::Continue,
        }
    }

    fn needs_evaluations(&self) -> Option<&str> {
        Some("RewardReached")
    }
}

/// Ends a run after so many evaluations in a row of which none was better than the best before them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoImprovement {
    patience: u64,
    best: f64,
    since: u64,
}

impl NoImprovement {
    /// After `patience` evaluations, at least one.
    pub fn for_evaluations(patience: u64) -> Self {
        NoImprovement { patience: patience.max(1), best: f64::NEG_INFINITY, since: 0 }
    }
}

impl Watcher for NoImprovement {
    fn watch(&mut self, event: Event<'_>) -> Verdict {
        let Event::Evaluation { evaluation, .. } = event else { return Verdict::Continue };
        if evaluation.mean > self.best {
            (self.best, self.since) = (evaluation.mean, 0);
            return Verdict::Continue;
        }
        self.since += 1;
        if self.since < self.patience {
            return Verdict::Continue;
        }
        let best = shown(self.best, self.best);
        Verdict::Stop(format!("none of {} evaluations in a row was better than {best}", self.since))
    }

    fn needs_evaluations(&self) -> Option<&str> {
        Some("NoImprovement")
    }

    fn state(&self) -> Result<Option<State>, NnError> {
        let state = State::new("NoImprovement", 1).with("since", self.since)?;
        Ok(Some(state.with_array("best", Data::F64(vec![self.best]))))
    }

    fn restore(&mut self, state: &State) -> Result<(), NnError> {
        let state = state.owned_by("NoImprovement", 1)?;
        self.since = state.value("since")?;
        self.best = state.f64s("best")?.first().copied().unwrap_or(f64::NEG_INFINITY);
        Ok(())
    }
}

/// Ends a run after some time, that of evaluations included; time before it went on does not count.
#[derive(Clone, Copy, Debug)]
pub struct MaxTime {
    limit: Duration,
    started: Option<Instant>,
}

impl MaxTime {
    /// After this time.
    pub fn new(limit: Duration) -> Self {
        MaxTime { limit, started: None }
    }
}

impl Watcher for MaxTime {
    fn watch(&mut self, event: Event<'_>) -> Verdict {
        let started = *self.started.get_or_insert_with(Instant::now);
        match event {
            Event::Update(_) if started.elapsed() >= self.limit => {
                Verdict::Stop(format!("{:.1} seconds are over", self.limit.as_secs_f64()))
            }
            _ => Verdict::Continue,
        }
    }
}

/// Calls a function at the first update after every so many environment steps; it judges as a watcher does.
pub struct EverySteps<F> {
    every: u64,
    next: u64,
    call: F,
}

impl<F: FnMut(&crate::Update) -> Verdict + Send> EverySteps<F> {
    /// Every `every` steps, at least one.
    pub fn new(every: u64, call: F) -> Self {
        EverySteps { every: every.max(1), next: every.max(1), call }
    }
}

impl<F: FnMut(&crate::Update) -> Verdict + Send> Watcher for EverySteps<F> {
    fn watch(&mut self, event: Event<'_>) -> Verdict {
        match event {
            Event::Update(update) if update.step >= self.next => {
                self.next = (update.step / self.every + 1) * self.every;
                (self.call)(update)
            }
            _ => Verdict::Continue,
        }
    }
}
