//! Everybody who hears of a run.

use rl_nn::{Archive, NnError, State};

use crate::{Event, Sink, SinkError};

/// A run's sinks. One whose file cannot be written, and that is not vital, hears nothing more, and the run is told so once.
#[derive(Default)]
pub(crate) struct Listeners {
    all: Vec<Listener>,
    warnings: Vec<String>,
}

struct Listener {
    sink: Box<dyn Sink>,
    /// Where it stood when it was last asked: what a lost one goes on from when the run does.
    state: Option<State>,
    is_lost: bool,
}

impl Listeners {
    pub(crate) fn push(&mut self, sink: impl Sink + 'static) {
        self.all.push(Listener { sink: Box::new(sink), state: None, is_lost: false });
    }

    /// Tells every sink, even after one has failed; the first error counts.
    pub(crate) fn tell(&mut self, event: Event<'_>) -> Result<(), SinkError> {
        self.each(|listener| listener.sink.event(event))
    }

    /// Makes sure that what they were told is on disk.
    pub(crate) fn sync(&mut self) -> Result<(), SinkError> {
        self.each(|listener| listener.sink.sync())
    }

    /// Where they stand.
    pub(crate) fn state(&mut self) -> Result<State, SinkError> {
        self.each(|listener| {
            listener.state = listener.sink.state()?;
            Ok(())
        })?;
        let mut states = State::new("Sinks", 1);
        for (i, listener) in self.all.iter().enumerate() {
            if let Some(state) = &listener.state {
                states = states.with_part(&i.to_string(), state.clone());
            }
        }
        Ok(states)
    }

    /// Lets them forget what they were told after a state. Whether all stand where it says: a log that begins anew does not.
    pub(crate) fn restore(&mut self, states: &State) -> Result<bool, SinkError> {
        let mut all = true;
        let there = self.all.len();
        for (name, state) in states.owned_by("Sinks", 1)?.parts() {
            let listener = name.parse::<usize>().ok().and_then(|i| self.all.get_mut(i));
            let unknown = || {
                NnError::Saved(format!(
                    "it has the state of a sink in place {name}, counted from 0, and this run has {there} sinks: a run that goes on needs the sinks \
                     that it began with, in the same order, before it does"
                ))
            };
            let listener = listener.ok_or_else(unknown)?;
            listener.sink.restore(state)?;
            listener.state = listener.sink.state()?;
            all &= bytes(listener.state.as_ref())? == bytes(Some(state))?;
        }
        Ok(all)
    }

    /// What was not told, since this was last asked.
    pub(crate) fn take_warnings(&mut self) -> Vec<String> {
        self.warnings.extend(self.all.iter_mut().filter_map(|listener| listener.sink.take_warning()));
        std::mem::take(&mut self.warnings)
    }

    fn each(
        &mut self,
        mut does: impl FnMut(&mut Listener) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        let mut first = Ok(());
        for listener in self.all.iter_mut().filter(|listener| !listener.is_lost) {
            let error = match does(listener) {
                Ok(()) => continue,
                Err(error) => error,
            };
            if !listener.sink.is_vital() && matches!(error, SinkError::Io { .. } | SinkError::Log { .. }) {
                listener.is_lost = true;
                self.warnings.push(format!("a log ends early, and the run went on without it: {error}"));
            } else {
                first = first.and(Err(error));
            }
        }
        first
    }
}

/// A state as it is saved: NaN is equal to NaN there.
fn bytes(state: Option<&State>) -> Result<Vec<u8>, NnError> {
    let mut archive = Archive::default();
    state.into_iter().for_each(|state| state.clone().store(&mut archive, "state"));
    archive.to_bytes()
}
