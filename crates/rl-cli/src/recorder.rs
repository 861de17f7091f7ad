//! What a run tells while it runs, kept.

use std::sync::{Arc, Mutex, PoisonError};

use rl_train::{Event, Sink, SinkError, Summary};
use serde::{Deserialize, Serialize};

/// One evaluation of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EvaluationPoint {
    pub(crate) step: u64,
    /// Seconds of training until then.
    pub(crate) seconds: Option<f64>,
    pub(crate) mean: f64,
    pub(crate) mean_length: Option<f64>,
}

/// What was seen of a run.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) curve: Vec<EvaluationPoint>,
    /// Its end, which a run that failed tells as well, unless it failed before it began.
    pub(crate) summary: Option<Summary>,
    elapsed: Option<f64>,
}

/// Keeps what a run tells.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Seen>>);

impl Recorder {
    /// What was seen, which is then forgotten.
    pub(crate) fn take(&self) -> Seen {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink for Recorder {
    fn event(&mut self, event: Event<'_>) -> Result<(), SinkError> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Update(update) => seen.elapsed = Some(update.timing.elapsed),
            Event::Evaluation { step, evaluation } => {
                let (mean, mean_length) = (evaluation.mean, Some(evaluation.mean_length));
                let point = EvaluationPoint { step, seconds: seen.elapsed, mean, mean_length };
                seen.curve.push(point);
            }
            Event::RunFinished(summary) => seen.summary = Some(summary.clone()),
            _ => {}
        }
        Ok(())
    }
}
