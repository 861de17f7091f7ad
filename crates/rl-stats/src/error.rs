//! What a statistic cannot be computed from.

/// The least number of runs that an interval is computed from.
///
/// Bootstrap intervals of few seeds are too narrow (Colas et al., "How Many Random Seeds?", 2018): of three runs there are only
/// ten different resamples, of five 126.
pub const MIN_RUNS: usize = 5;

/// What a statistic cannot be computed from.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StatsError {
    /// There are no scores.
    #[error("no scores")]
    NoSamples,
    /// There are no resamples.
    #[error("resamples is 0, expected at least 1")]
    NoResamples,
    /// Too few runs for an interval.
    #[error("an interval needs at least {MIN_RUNS} runs, got {got}")]
    TooFewRuns {
        /// How many there are.
        got: usize,
    },
    /// A score that is not a number.
    #[error("score {index} is not a number")]
    NotANumber {
        /// The index of the score.
        index: usize,
    },
    /// A confidence that is no probability.
    #[error("confidence is {got}, expected a number between 0 and 1")]
    Confidence {
        /// Its value.
        got: f64,
    },
    /// A parameter that cannot be used.
    #[error("{name} is {got}, expected {allowed}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// Its value.
        got: f64,
        /// What can be used.
        allowed: &'static str,
    },
    /// Two things that go together and are not equally many.
    #[error("{got} {what}, expected {expected}")]
    Count {
        /// What they are.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many there should be.
        expected: usize,
    },
    /// Steps that do not increase.
    #[error("step {index} of the curve is not above the one before")]
    NotIncreasing {
        /// The index of the step.
        index: usize,
    },
    /// A score outside of the bounds that were promised.
    #[error("score {index} is {got}, outside of its bounds {low} to {high}")]
    OutOfBounds {
        /// The index of the score.
        index: usize,
        /// Its value.
        got: f64,
        /// The lower bound.
        low: f64,
        /// The upper bound.
        high: f64,
    },
    /// Differences that are all the same, so that their spread says nothing.
    #[error("all differences are {all}: a test of their spread says nothing")]
    NoVariation {
        /// Their common value.
        all: f64,
    },
    /// A time beyond which nothing was observed while some runs had not reached the event.
    #[error("nothing was observed beyond {last}, so there is no restricted mean up to {horizon}")]
    Horizon {
        /// The time asked for.
        horizon: f64,
        /// The last time observed.
        last: f64,
    },
}

pub(crate) fn check_runs(runs: usize) -> Result<(), StatsError> {
    if runs < MIN_RUNS { Err(StatsError::TooFewRuns { got: runs }) } else { Ok(()) }
}

pub(crate) fn check_samples(samples: &[f64]) -> Result<(), StatsError> {
    if samples.is_empty() {
        return Err(StatsError::NoSamples);
    }
    match samples.iter().position(|x| x.is_nan()) {
        Some(index) => Err(StatsError::NotANumber { index }),
        None => Ok(()),
    }
}

pub(crate) fn check_confidence(confidence: f64) -> Result<(), StatsError> {
    if confidence > 0.0 && confidence < 1.0 {
        Ok(())
    } else {
        Err(StatsError::Confidence { got: confidence })
    }
}

/// A probability strictly between 0 and 1.
pub(crate) fn check_probability(name: &'static str, got: f64) -> Result<(), StatsError> {
    let allowed = "a number between 0 and 1, both excluded";
    if got > 0.0 && got < 1.0 { Ok(()) } else { Err(StatsError::Parameter { name, got, allowed }) }
}
