//! How long runs take to reach a threshold, where some never do.

use crate::Interval;
use crate::error::{StatsError, check_confidence, check_runs};
use crate::special::normal_quantile;

/// When a run reached the threshold, or until when it was watched without reaching it (it is *right-censored* there).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EventTime {
    /// Steps or seconds.
    pub time: f64,
    /// Whether the threshold was reached then.
    pub reached: bool,
}

/// The product-limit estimate of the share of runs that have not reached the threshold yet, as a function of time:
/// `S(t) = Π_{tᵢ ≤ t} (1 − dᵢ/nᵢ)`, with `dᵢ` the runs that reach it at `tᵢ` and `nᵢ` those watched until then.
///
/// A run that ends its budget without reaching the threshold is censored there, and so must be one that failed: it would
/// not have reached it either. To count only the runs that reached it would call an algorithm fast that succeeds rarely.
///
/// # Source
///
/// Kaplan and Meier, "Nonparametric Estimation from Incomplete Observations", 1958. Runs censored at the time of an event are
/// still watched at it, as in their paper, lifelines and R's `survival`.
///
/// # Example
///
/// Three of five reach the threshold, the third at 300; two never do within 1000:
///
/// ```
/// use rl_stats::{EventTime, KaplanMeier};
///
/// let reached = |time| EventTime { time, reached: true };
/// let never = EventTime { time: 1000.0, reached: false };
/// let km = KaplanMeier::new(&[reached(100.0), reached(200.0), reached(300.0), never, never])?;
/// assert!((km.survival(250.0) - 0.6).abs() < 1e-15);
/// assert_eq!(km.median(), Some(300.0));
/// let mean = km.restricted_mean(1000.0)?; // (100 + 200 + 300 + 1000 + 1000) / 5
/// assert!((mean.mean - 520.0).abs() < 1e-12);
/// # Ok::<(), rl_stats::StatsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct KaplanMeier {
    runs: usize,
    last: f64,
    points: Vec<SurvivalPoint>,
}

/// The estimate from one event time on until the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SurvivalPoint {
    /// The time at which runs reach the threshold.
    pub time: f64,
    /// `n`, the runs watched until then that had not reached it.
    pub at_risk: usize,
    /// `d`, those that reach it now.
    pub events: usize,
    /// `S`, the estimated share that has not reached it after this time.
    pub survival: f64,
    /// Greenwood's sum `Σ dᵢ / (nᵢ (nᵢ − dᵢ))` up to this time: the variance of `ln S`; infinite where `S` is 0.
    pub log_variance: f64,
}

/// An interval of the median; an end is `None` where the data give no bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MedianInterval {
    /// The lower end: `None` where the median may lie beyond all that was observed.
    pub low: Option<f64>,
    /// The upper end: `None` where it is not known that half of all runs ever reach the threshold.
    pub high: Option<f64>,
}

/// The mean time to the threshold where time beyond a horizon counts as the horizon.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RestrictedMean {
    /// `∫₀^τ S(t) dt`.
    pub mean: f64,
    /// Its standard error.
    pub standard_error: f64,
}

impl KaplanMeier {
    /// The estimate from the times of all runs.
    ///
    /// # Errors
    ///
    /// [`StatsError`] where there is no run, or a time is NaN or negative.
    pub fn new(times: &[EventTime]) -> Result<Self, StatsError> {
        if times.is_empty() {
            return Err(StatsError::NoSamples);
        }
        if let Some(index) = times.iter().position(|t| t.time.is_nan()) {
            return Err(StatsError::NotANumber { index });
        }
        if let Some(t) = times.iter().find(|t| t.time < 0.0) {
            return Err(StatsError::Parameter { name: "time", got: t.time, allowed: "a number from 0 up" });
        }
        let mut times = times.to_vec();
        times.sort_by(|a, b| a.time.total_cmp(&b.time));
        let mut points: Vec<SurvivalPoint> = Vec::new();
        let (mut survival, mut log_variance) = (1.0, 0.0);
        let mut at_risk = times.len();
        for together in times.chunk_by(|a, b| a.time.total_cmp(&b.time).is_eq()) {
            let events = together.iter().filter(|t| t.reached).count();
            if events > 0 {
                let (n, d) = (at_risk as f64, events as f64);
                survival *= 1.0 - d / n;
                log_variance += d / (n * (n - d));
                points.push(SurvivalPoint {
                    time: together[0].time,
                    at_risk,
                    events,
                    survival,
                    log_variance,
                });
            }
            at_risk -= together.len();
        }
        Ok(KaplanMeier { runs: times.len(), last: times[times.len() - 1].time, points })
    }

    /// The estimate at every event time, in order.
    #[must_use]
    pub fn points(&self) -> &[SurvivalPoint] {
        &self.points
    }

    /// The estimated share of runs that have not reached the threshold at a time.
    #[must_use]
    pub fn survival(&self, time: f64) -> f64 {
        match self.points.partition_point(|p| p.time <= time) {
            0 => 1.0,
            n => self.points[n - 1].survival,
        }
    }

    /// The first time at which at most half of the runs have not reached the threshold; `None` where that never happens.
    ///
    /// # Source
    ///
    /// lifelines' `median_survival_time_`.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        // A half by products such as (1 − 1/n)(1 − 1/(n−1))… may come out a rounding error above.
        self.points.iter().find(|p| p.survival <= 0.5 + 1e-12).map(|p| p.time)
    }

    /// The interval of `S` from a point on: `exp(−exp(ln(−ln S) ± z √V / ln S))`, with `V` Greenwood's sum.
    ///
    /// Where `S` is 0 that formula has no value. There the interval goes from 0 to `1 − ((1 − confidence)/2)^(1/n)`, the exact
    /// binomial bound, with `n` all runs if none was censored before, else those still watched.
    ///
    /// # Source
    ///
    /// Kalbfleisch and Prentice, "The Statistical Analysis of Failure Time Data", 1980, the log-log interval; lifelines'
    /// `confidence_interval_` (which takes both ends as 0 where `S` is 0).
    ///
    /// # Errors
    ///
    /// [`StatsError`] where there are fewer than [`MIN_RUNS`](crate::MIN_RUNS) runs, or `confidence` is not between 0 and 1.
    pub fn survival_interval(&self, point: &SurvivalPoint, confidence: f64) -> Result<Interval, StatsError> {
        check_runs(self.runs)?;
        check_confidence(confidence)?;
        let tail = (1.0 - confidence) / 2.0;
        if point.survival <= 0.0 {
            let reached: usize =
                self.points.iter().take_while(|p| p.time <= point.time).map(|p| p.events).sum();
            let n = if reached == self.runs { self.runs } else { point.at_risk };
            return Ok(Interval { low: 0.0, high: 1.0 - tail.powf(1.0 / n as f64) });
        }
        let log = point.survival.ln();
        let half_width = normal_quantile(1.0 - tail) * point.log_variance.sqrt() / log.abs();
        let end = |shift: f64| (-((-log).ln() + shift).exp()).exp();
        Ok(Interval { low: end(half_width), high: end(-half_width) })
    }

    /// The interval of the median: the times at which a half lies within the interval of `S`.
    ///
    /// # Source
    ///
    /// Brookmeyer and Crowley, "A Confidence Interval for the Median Survival Time", 1982, with the log-log interval as in
    /// lifelines' `median_survival_times(confidence_interval_)`.
    ///
    /// # Errors
    ///
    /// [`StatsError`] as in [`survival_interval`](Self::survival_interval).
    pub fn median_interval(&self, confidence: f64) -> Result<MedianInterval, StatsError> {
        check_runs(self.runs)?;
        check_confidence(confidence)?;
        let mut interval = MedianInterval { low: None, high: None };
        for point in &self.points {
            let Interval { low, high } = self.survival_interval(point, confidence)?;
            if low <= 0.5 && interval.low.is_none() {
                interval.low = Some(point.time);
            }
            if high <= 0.5 && interval.high.is_none() {
                interval.high = Some(point.time);
            }
        }
        Ok(interval)
    }

    /// The restricted mean `∫₀^τ S(t) dt` up to a horizon `τ`, such as the budget, and its standard error
    /// `√(Σ_{tᵢ ≤ τ} (∫_{tᵢ}^τ S)² dᵢ / (nᵢ (nᵢ − dᵢ)))`.
    ///
    /// Without censoring before `τ` it is the mean of `min(T, τ)`, and its standard error that mean's, `√(Σ (x − mean)² / n²)`.
    ///
    /// # Source
    ///
    /// Irwin, "The Standard Error of an Estimate of Expectation of Life", 1949; Royston and Parmar, "Restricted Mean Survival
    /// Time", 2013.
    ///
    /// # Units
    ///
    /// Those of the times.
    ///
    /// # Errors
    ///
    /// [`StatsError::Horizon`] where runs that had not reached the threshold were not watched until `τ`,
    /// [`StatsError::Parameter`] where `τ` is not above 0.
    pub fn restricted_mean(&self, horizon: f64) -> Result<RestrictedMean, StatsError> {
        if horizon <= 0.0 || horizon.is_nan() {
            let allowed = "a number above 0";
            return Err(StatsError::Parameter { name: "horizon", got: horizon, allowed });
        }
        let is_known = self.points.last().is_some_and(|p| p.survival <= 0.0);
        if horizon > self.last && !is_known {
            return Err(StatsError::Horizon { horizon, last: self.last });
        }
        // From the horizon backwards, so that the area beyond each event is known when its term is added.
        let (mut area, mut variance, mut end) = (0.0, 0.0, horizon);
        for point in self.points.iter().rev().filter(|p| p.time <= horizon) {
            area += point.survival * (end - point.time);
            end = point.time;
            let (n, d) = (point.at_risk as f64, point.events as f64);
            // Where all reach it the area beyond is 0, and so is the term.
            if point.events < point.at_risk {
                variance += area * area * d / (n * (n - d));
            }
        }
        Ok(RestrictedMean { mean: area + end, standard_error: variance.sqrt() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{mean, std};

    fn reached(time: f64) -> EventTime {
        EventTime { time, reached: true }
    }

    fn never(time: f64) -> EventTime {
        EventTime { time, reached: false }
    }

    /// The example of Kaplan and Meier's section 2: deaths at 0.8, 3.1, 5.4, 9.2, losses at 1.0, 2.7, 7.0, 12.1.
    #[test]
    fn the_paper_s_example() {
        let times = [0.8, 3.1, 5.4, 9.2].map(reached);
        let lost = [1.0, 2.7, 7.0, 12.1].map(never);
        let km = KaplanMeier::new(&[times, lost].concat()).unwrap();
        let expected = [7.0 / 8.0, 7.0 / 8.0 * 4.0 / 5.0, 21.0 / 40.0, 21.0 / 80.0];
        for (point, expected) in km.points().iter().zip(expected) {
            assert!((point.survival - expected).abs() < 1e-12, "{point:?}");
        }
        assert_eq!(km.median(), Some(9.2));
    }

    #[test]
    fn all_at_once() {
        let interval = |n| KaplanMeier::new(&vec![reached(7.0); n]).unwrap().median_interval(0.95).unwrap();
        // (1/2)⁵ is above 2.5 % and (1/2)⁶ below: from six on it is known that half of all runs reach it by then.
        assert_eq!(interval(5), MedianInterval { low: Some(7.0), high: None });
        assert_eq!(interval(6), MedianInterval { low: Some(7.0), high: Some(7.0) });
    }

    #[test]
    fn none_at_all() {
        let km = KaplanMeier::new(&[never(10.0); 6]).unwrap();
        assert_eq!(km.median(), None);
        assert_eq!(km.median_interval(0.95).unwrap(), MedianInterval { low: None, high: None });
        let mean = km.restricted_mean(10.0).unwrap();
        assert_eq!(mean, RestrictedMean { mean: 10.0, standard_error: 0.0 });
        assert_eq!(km.restricted_mean(11.0), Err(StatsError::Horizon { horizon: 11.0, last: 10.0 }));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        assert_eq!(KaplanMeier::new(&[]), Err(StatsError::NoSamples));
        assert_eq!(KaplanMeier::new(&[never(f64::NAN)]), Err(StatsError::NotANumber { index: 0 }));
        assert!(KaplanMeier::new(&[never(-1.0)]).is_err());
        let km = KaplanMeier::new(&[reached(1.0); 4]).unwrap();
        assert_eq!(km.median_interval(0.95), Err(StatsError::TooFewRuns { got: 4 }));
        assert!(km.restricted_mean(f64::NAN).is_err());
    }

    proptest! {
        #[test]
        fn without_early_censoring_the_restricted_mean_is_a_mean(times in prop::collection::vec(1_u32..20, 1..30)) {
            let horizon = 12.0;
            let watched = times.iter().map(|&t| f64::from(t)).map(|t| if t < horizon { reached(t) } else { never(horizon) });
            let km = KaplanMeier::new(&watched.clone().collect::<Vec<_>>()).unwrap();
            let clipped: Vec<f64> = watched.map(|t| t.time).collect();
            let restricted = km.restricted_mean(horizon).unwrap();
            prop_assert!((restricted.mean - mean(&clipped)).abs() < 1e-9);
            let error = std(&clipped) / (clipped.len() as f64).sqrt();
            prop_assert!((restricted.standard_error - error).abs() < 1e-9, "{} {error}", restricted.standard_error);
        }
    }
}
