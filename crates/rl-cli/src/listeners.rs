//! Sinks and watchers of a program's own.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rl_train::{RunInfo, Sink, SinkError, Trainer, Watcher};

/// What a sink or a watcher of a program's own is made for: a run that begins or goes on.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RunContext<'a> {
    /// The run's algorithm, environment, seed, budget and settings.
    pub info: &'a RunInfo,
    /// The run's directory, which is there; none for a run that leaves no files (`compare --lean`).
    pub dir: Option<&'a Path>,
    /// Whether it is a run that was interrupted, or one that is to be longer. What is made hears [`rl_train::Event::RunResumed`] first, and is given back the
    /// state that its [`Sink::state`] or [`Watcher::state`] had at the checkpoint.
    pub goes_on: bool,
}

type Add = dyn Fn(Trainer, &RunContext<'_>) -> Result<Trainer, SinkError> + Send + Sync;

/// What makes them, in the order in which they were added.
#[derive(Clone, Default)]
pub(crate) struct Listeners(Vec<Arc<Add>>);

impl Listeners {
    /// One more sink.
    pub(crate) fn push_sink<S: Sink + 'static>(
        &mut self,
        make: impl Fn(&RunContext<'_>) -> Result<S, SinkError> + Send + Sync + 'static,
    ) {
        self.0.push(Arc::new(move |trainer, run| Ok(trainer.with_sink(make(run)?))));
    }

    /// One more watcher.
    pub(crate) fn push_watcher<W: Watcher + 'static>(
        &mut self,
        make: impl Fn(&RunContext<'_>) -> Result<W, SinkError> + Send + Sync + 'static,
    ) {
        self.0.push(Arc::new(move |trainer, run| Ok(trainer.with_watcher(make(run)?))));
    }

    /// Makes all of them for a trainer's run.
    ///
    /// # Errors
    ///
    /// The first that cannot be made.
    pub(crate) fn add_to(
        &self,
        mut trainer: Trainer,
        dir: Option<&Path>,
        goes_on: bool,
    ) -> Result<Trainer, SinkError> {
        let info = trainer.info().clone();
        for add in &self.0 {
            trainer = add(trainer, &RunContext { info: &info, dir, goes_on })?;
        }
        Ok(trainer)
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sinks and watchers", self.0.len())
    }
}
