//! The statistics against rliable, SciPy and lifelines; `tests/golden/make_stats.py` made the numbers.
//!
//! Another folder of them is named by the environment variable `GOLDEN_STATS`.

use std::fs;
use std::path::PathBuf;

use rl_env::EnvRng;
use rl_env::rng::stream;
use rl_stats::{EventTime, Interval, KaplanMeier, Scores, StatsError};
use serde::Deserialize;

const CONFIDENCE: f64 = 0.95;

#[derive(Deserialize)]
struct Golden {
    resamples: usize,
    aggregates: Vec<AggregateCase>,
    samples: Vec<SampleCase>,
    survival: Vec<SurvivalCase>,
    paired: Vec<PairedCase>,
    bands: Vec<BandCase>,
}

/// The ranges in which the ends of a bootstrap interval may lie, by five standard errors of their levels.
#[derive(Deserialize)]
struct Ends {
    low: [f64; 2],
    high: [f64; 2],
}

#[derive(Deserialize)]
struct Aggregates<T> {
    mean: T,
    median: T,
    iqm: T,
    optimality_gap: T,
}

#[derive(Deserialize)]
struct AggregateCase {
    x: Vec<Vec<f64>>,
    y: Vec<Vec<f64>>,
    gamma: f64,
    taus: Vec<f64>,
    values: Aggregates<f64>,
    intervals: Aggregates<Ends>,
    improvement: f64,
    improvement_interval: Ends,
    profile: Vec<f64>,
    profile_bands: Vec<Ends>,
}

#[derive(Deserialize)]
struct SampleCase {
    x: Vec<f64>,
    q: Vec<f64>,
    quantiles: Vec<f64>,
    median: f64,
    std: f64,
    iqm: f64,
    steps: Vec<f64>,
    area: Option<f64>,
}

#[derive(Deserialize)]
struct SurvivalCase {
    time: Vec<f64>,
    reached: Vec<bool>,
    budget: f64,
    times: Vec<f64>,
    survival: Vec<f64>,
    at_risk: Vec<f64>,
    events: Vec<f64>,
    low: Vec<f64>,
    high: Vec<f64>,
    median: Option<f64>,
    median_low: Option<f64>,
    median_high: Option<f64>,
    restricted_mean: Option<f64>,
    restricted_error: Option<f64>,
}

#[derive(Deserialize)]
struct PairedCase {
    x: Vec<f64>,
    y: Vec<f64>,
    t: f64,
    p_t: f64,
    low: Option<f64>,
    high: Option<f64>,
    wilcoxon: Option<f64>,
    p_wilcoxon: Option<f64>,
    mean_interval: Ends,
    iqm_interval: Ends,
}

#[derive(Deserialize)]
struct BandCase {
    x: Vec<f64>,
    alpha: f64,
    trim: f64,
    half_width: f64,
    low: f64,
    high: f64,
}

fn golden() -> Golden {
    let committed = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/stats");
    let path = std::env::var_os("GOLDEN_STATS").map_or_else(committed, PathBuf::from).join("stats.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// To 1e-6 of the number, or of 1 where it is smaller.
#[track_caller]
fn equal(what: &str, ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() <= 1e-6 * theirs.abs().max(1.0), "{what}: {ours} and not {theirs}");
}

#[track_caller]
fn within(what: &str, ours: Interval, theirs: &Ends) {
    // A rounding error, where a range is a single value.
    let slack = |x: f64| 1e-9 * x.abs().max(1.0);
    for (end, [least, most]) in [(ours.low, theirs.low), (ours.high, theirs.high)] {
        assert!(
            least - slack(least) <= end && end <= most + slack(most),
            "{what}: {end} and not from {least} to {most}"
        );
    }
}

fn rng() -> EnvRng {
    stream(0, "golden", 0)
}

#[test]
fn aggregates_are_rliable_s() {
    let golden = golden();
    for case in &golden.aggregates {
        let (x, y) = (Scores::new(&case.x).unwrap(), Scores::new(&case.y).unwrap());
        let gap = |scores: &Scores| scores.optimality_gap(case.gamma);
        let Aggregates { mean, median, iqm, optimality_gap } = &case.values;
        equal("mean", x.mean(), *mean);
        equal("median", x.median(), *median);
        equal("IQM", x.iqm(), *iqm);
        equal("optimality gap", gap(&x), *optimality_gap);
        let interval = |statistic: &dyn Fn(&Scores) -> f64| {
            rl_stats::stratified_interval(statistic, &x, CONFIDENCE, golden.resamples, &mut rng()).unwrap()
        };
        let Aggregates { mean, median, iqm, optimality_gap } = &case.intervals;
        within("mean", interval(&Scores::mean), mean);
        within("median", interval(&Scores::median), median);
        within("IQM", interval(&Scores::iqm), iqm);
        within("optimality gap", interval(&gap), optimality_gap);

        let improvement = rl_stats::mean_probability_of_improvement(&x, &y).unwrap();
        equal("probability of improvement", improvement, case.improvement);
        let interval = rl_stats::mean_probability_of_improvement_interval(
            &x,
            &y,
            CONFIDENCE,
            golden.resamples,
            &mut rng(),
        );
        within("probability of improvement", interval.unwrap(), &case.improvement_interval);

        let profile = rl_stats::performance_profile(&x, &case.taus);
        assert_eq!(profile.len(), case.profile.len());
        profile.iter().zip(&case.profile).for_each(|(ours, theirs)| equal("profile", *ours, *theirs));
        let bands =
            rl_stats::performance_profile_bands(&x, &case.taus, CONFIDENCE, golden.resamples, &mut rng());
        for (band, theirs) in bands.unwrap().into_iter().zip(&case.profile_bands) {
            within("profile", band, theirs);
        }
    }
}

#[test]
fn samples_and_areas_are_numpy_s() {
    for case in golden().samples {
        for (q, quantile) in case.q.iter().zip(&case.quantiles) {
            equal("quantile", rl_stats::quantile(&case.x, *q), *quantile);
        }
        equal("median", rl_stats::median(&case.x), case.median);
        equal("standard deviation", rl_stats::std(&case.x), case.std);
        equal("IQM", rl_stats::iqm(&case.x), case.iqm);
        match (rl_stats::area_under_curve(&case.steps, &case.x), case.area) {
            (Ok(ours), Some(theirs)) => equal("area", ours, theirs),
            (Err(_), None) => {}
            (ours, theirs) => panic!("area: {ours:?} and not {theirs:?}"),
        }
    }
}

#[test]
fn survival_is_lifelines_s() {
    for case in golden().survival {
        let times: Vec<EventTime> = case
            .time
            .iter()
            .zip(&case.reached)
            .map(|(&time, &reached)| EventTime { time, reached })
            .collect();
        let km = KaplanMeier::new(&times).unwrap();
        assert_eq!(km.points().len(), case.times.len());
        for (i, point) in km.points().iter().enumerate() {
            equal("time", point.time, case.times[i]);
            equal("survival", point.survival, case.survival[i]);
            equal("at risk", point.at_risk as f64, case.at_risk[i]);
            equal("events", point.events as f64, case.events[i]);
            if let (Some(low), Some(high)) = (case.low.get(i), case.high.get(i)) {
                let interval = km.survival_interval(point, CONFIDENCE).unwrap();
                equal("survival, low", interval.low, *low);
                equal("survival, high", interval.high, *high);
            }
        }
        assert_eq!(km.median(), case.median);
        let median = km.median_interval(CONFIDENCE).unwrap();
        // Where all runs have reached it the formula has no value, and ours may end there by the exact bound.
        let is_last = |time: Option<f64>| time.is_some() && case.low.len() < case.times.len();
        for (ours, theirs) in [(median.low, case.median_low), (median.high, case.median_high)] {
            let at_the_end = is_last(ours) && theirs.is_none() && ours == case.times.last().copied();
            assert!(ours == theirs || at_the_end, "{ours:?} and not {theirs:?}");
        }
        match (km.restricted_mean(case.budget), case.restricted_mean, case.restricted_error) {
            (Ok(ours), Some(mean), Some(error)) => {
                equal("restricted mean", ours.mean, mean);
                equal("its error", ours.standard_error, error);
            }
            // Nobody was watched until the budget.
            (Err(StatsError::Horizon { .. }), None, None) => {}
            (ours, theirs, _) => panic!("restricted mean: {ours:?} and not {theirs:?}"),
        }
    }
}

#[test]
fn paired_tests_are_scipy_s() {
    let golden = golden();
    for case in &golden.paired {
        let (x, y) = (&case.x, &case.y);
        let t = rl_stats::paired_t_test(x, y).unwrap();
        equal("t", t.t, case.t);
        equal("p of t", t.p_value, case.p_t);
        let interval = rl_stats::paired_t_interval(x, y, CONFIDENCE).unwrap();
        equal("t interval, low", interval.low, case.low.unwrap());
        equal("t interval, high", interval.high, case.high.unwrap());
        if let (Some(statistic), Some(p)) = (case.wilcoxon, case.p_wilcoxon) {
            let ours = rl_stats::wilcoxon_signed_rank(x, y).unwrap();
            equal("Wilcoxon", ours.statistic, statistic);
            equal("p of Wilcoxon", ours.p_value, p);
        }
        for (statistic, theirs) in
            [(rl_stats::mean as fn(&[f64]) -> f64, &case.mean_interval), (rl_stats::iqm, &case.iqm_interval)]
        {
            let n = golden.resamples;
            let ours = rl_stats::paired_interval(statistic, x, y, CONFIDENCE, n, &mut rng()).unwrap();
            within("paired difference", ours, theirs);
        }
    }
}

#[test]
fn bands_hold_what_numpy_integrates() {
    for case in golden().bands {
        let half_width = rl_stats::dkw_half_width(case.x.len(), case.alpha).unwrap();
        equal("half-width", half_width, case.half_width);
        let support = Some((0.0, 1.0));
        let bounds = rl_stats::trimmed_mean_bounds(&case.x, half_width, case.trim, support).unwrap();
        // A sum over a million midpoints, each step of which is off by at most one of them.
        assert!((bounds.low - case.low).abs() < 1e-4, "{} {}", bounds.low, case.low);
        assert!((bounds.high - case.high).abs() < 1e-4, "{} {}", bounds.high, case.high);
    }
}
