//! Intervals that are looked at again and again while runs are added, and are believed when they are narrow enough, still hold
//! the truth as often as they say.

#![allow(clippy::disallowed_methods, reason = "the system's functions are good enough here")]
use rand::Rng;
use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
use rl_stats::{Interval, SequentialIqm, bootstrap_interval, iqm, mean_confidence_sequence};

const STUDIES: u64 = 200;
/// Of 200 studies at 95 %, 190 are expected; 183 is what chance allows at 1 %.
const AT_LEAST: usize = 183;

/// Where a run's score comes from: a quantile function on `[0, 1]`, with scores between 0 and 500.
struct Source {
    name: &'static str,
    quantile: fn(f64) -> f64,
    /// The width at which a study of the IQM stops, and one of the mean.
    widths: (f64, f64),
}

/// 95 % solved and 5 % collapsed; exactly a quarter collapsed, where the IQM is most delicate; a fifth collapsed and the rest
/// spread; uniform; skewed; and two halves.
const SOURCES: [Source; 6] = [
    Source { name: "5 % collapsed", quantile: |u| if u < 0.05 { 9.0 } else { 500.0 }, widths: (10.0, 50.0) },
    Source { name: "25 % collapsed", quantile: |u| if u < 0.25 { 9.0 } else { 500.0 }, widths: (40.0, 80.0) },
    Source {
        name: "20 % collapsed",
        quantile: |u| if u < 0.2 { 10.0 * u } else { 400.0 + 100.0 * u },
        widths: (60.0, 80.0),
    },
    Source { name: "uniform", quantile: |u| 500.0 * u, widths: (100.0, 80.0) },
    Source { name: "skewed", quantile: |u| 500.0 * u.powi(6), widths: (60.0, 60.0) },
    Source { name: "two halves", quantile: |u| if u < 0.5 { 100.0 } else { 400.0 }, widths: (80.0, 60.0) },
];

impl Source {
    fn draw(&self, rng: &mut impl Rng) -> f64 {
        (self.quantile)(rng.random::<f64>())
    }

    /// The mean quantile between two probabilities, by the midpoint rule.
    fn mean_quantile(&self, from: f64, to: f64) -> f64 {
        let n = 200_000;
        let at = |i: u32| (self.quantile)(from + (to - from) * (f64::from(i) + 0.5) / f64::from(n));
        (0..n).map(at).sum::<f64>() / f64::from(n)
    }
}

/// After how many runs a study looks: 40, then half as many again each time.
fn looks() -> impl Iterator<Item = usize> {
    std::iter::successors(Some(40), |n| Some(n + n / 2)).take_while(|n| *n < 10_000)
}

fn holds(interval: Interval, truth: f64) -> bool {
    // The truth is known to the accuracy of its integral.
    interval.low <= truth + 1e-2 && truth - 1e-2 <= interval.high
}

fn runs(source: &Source, study: u64) -> impl Iterator<Item = f64> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(study);
    std::iter::repeat_with(move || source.draw(&mut rng))
}

#[test]
fn the_iqm_is_held_whenever_one_stops() {
    for source in &SOURCES {
        let truth = source.mean_quantile(0.25, 0.75);
        let (mut at_the_end, mut at_every_look, mut used) = (0, 0, Vec::new());
        for study in 0..STUDIES {
            let mut iqm = SequentialIqm::new(0.95, Some((0.0, 500.0))).unwrap();
            let (mut scores, mut source_of_runs) = (Vec::new(), runs(source, study));
            let (mut last, mut always) = (None, true);
            for n in looks() {
                scores.extend(source_of_runs.by_ref().take(n - scores.len()));
                let interval = iqm.look(&scores).unwrap();
                (last, always) = (Some(interval), always && holds(interval, truth));
                if interval.high - interval.low <= source.widths.0 {
                    break;
                }
            }
            at_the_end += usize::from(holds(last.unwrap(), truth));
            at_every_look += usize::from(always);
            used.push(scores.len());
        }
        used.sort_unstable();
        println!("{}: {at_the_end}, {at_every_look} of {STUDIES}, median {} runs", source.name, used[100]);
        assert!(at_the_end >= AT_LEAST && at_every_look >= AT_LEAST, "{}: {at_the_end}", source.name);
        assert!(used[used.len() - 1] < 10_000, "{} does not stop", source.name);
    }
}

#[test]
fn the_mean_is_held_whenever_one_stops() {
    for source in &SOURCES {
        let truth = source.mean_quantile(0.0, 1.0);
        let (mut at_the_end, mut used) = (0, Vec::new());
        for study in 0..STUDIES {
            let (mut scores, mut source_of_runs) = (Vec::new(), runs(source, study));
            let (mut last, mut n) = (None, 10);
            // Looks cost nothing here: after every tenth run at first, and no more than a tenth apart.
            while n <= 4000 {
                scores.extend(source_of_runs.by_ref().take(n - scores.len()));
                let interval = mean_confidence_sequence(&scores, 0.0, 500.0, 0.95).unwrap();
                last = Some(interval);
                if interval.high - interval.low <= source.widths.1 {
                    break;
                }
                n += (n / 10).max(10);
            }
            at_the_end += usize::from(holds(last.unwrap(), truth));
            used.push(scores.len());
        }
        used.sort_unstable();
        println!("{}: {at_the_end} of {STUDIES}, median {} runs", source.name, used[100]);
        assert!(at_the_end >= AT_LEAST, "{}: {at_the_end}", source.name);
        assert!(used[used.len() - 1] < 4000, "{} does not stop", source.name);
    }
}

/// Why this is needed: a bootstrap interval that is looked at after every few runs, by somebody who stops as soon as it excludes a
/// value, excludes the true one far more often than one time in twenty.
#[test]
fn a_bootstrap_interval_does_not_survive_stopping() {
    let source = &SOURCES[3];
    let truth = source.mean_quantile(0.25, 0.75);
    let mut misled = 0;
    for study in 0..STUDIES {
        let (mut scores, mut source_of_runs) = (Vec::new(), runs(source, study));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1000 + study);
        misled += usize::from((1..=15).any(|look| {
            scores.extend(source_of_runs.by_ref().take(20 * look - scores.len()));
            !holds(bootstrap_interval(iqm, &scores, 0.95, 200, &mut rng).unwrap(), truth)
        }));
    }
    assert!(misled > 25, "{misled} of {STUDIES}");
}
