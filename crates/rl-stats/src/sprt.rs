//! A sequential test of how often something succeeds.

use crate::error::{StatsError, check_probability};

/// What a log-likelihood ratio may miss a bound by; error probabilities grow by this share of themselves.
const ROUNDING: f64 = 1e-9;

/// The sequential probability ratio test of success probability `p ≥ p₁` against `p ≤ p₀`, ended after a number of runs.
///
/// After `s` successes and `f` failures the log-likelihood ratio is `Λ = s ln(p₁/p₀) + f ln((1 − p₁)/(1 − p₀))`. The test passes
/// as soon as `Λ ≥ ln(1/α)`, fails as soon as `Λ ≤ ln β`, and is undecided when neither has happened by `max_runs`.
///
/// If `p ≤ p₀` it passes with probability at most `α`; if `p ≥ p₁` it fails with probability at most `β`; whenever and in
/// whatever batches one looks. Between `p₀` and `p₁` any verdict is right. [`Sprt::characteristics`] gives the exact
/// probabilities and the expected number of runs.
///
/// # Source
///
/// Wald, "Sequential Tests of Statistical Hypotheses", 1945. His bounds `ln((1 − β)/α)` and `ln(β/(1 − α))` keep the error
/// probabilities only approximately; these do so strictly, by the same inequality (the likelihood ratio's maximal inequality, his equation 3:8
/// without the division), for slightly more runs.
///
/// # Example
///
/// ```
/// use rl_stats::{Sprt, Verdict};
///
/// let test = Sprt::new(0.5, 0.9, 0.05, 0.05, 30)?;
/// assert_eq!(test.decide(3, 0), None); // 3 ln 1.8 = 1.76 is below ln 20 = 3.0
/// assert_eq!(test.decide(6, 0), Some(Verdict::Pass));
/// assert_eq!(test.decide(0, 2), Some(Verdict::Fail)); // 2 ln 0.2 = −3.2
/// assert_eq!(test.decide(21, 9), Some(Verdict::Undecided));
/// # Ok::<(), rl_stats::StatsError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sprt {
    max_runs: usize,
    success: f64,
    failure: f64,
    pass: f64,
    fail: f64,
}

/// What a test says when it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It succeeds more often than `p₀`.
    Pass,
    /// It succeeds less often than `p₁`.
    Fail,
    /// The runs are used up without either.
    Undecided,
}

/// How a test turns out when the true success probability is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Characteristics {
    /// The probability that it passes.
    pub pass: f64,
    /// The probability that it fails.
    pub fail: f64,
    /// The probability that it is undecided.
    pub undecided: f64,
    /// The expected number of runs.
    pub expected_runs: f64,
}

impl Sprt {
    /// The test with its two hypotheses, its two error probabilities and its greatest number of runs.
    ///
    /// # Errors
    ///
    /// [`StatsError::Parameter`] where a probability is not between 0 and 1, `p1` is not above `p0`, `alpha` or `beta` is above ½,
    /// or `max_runs` is 0.
    pub fn new(p0: f64, p1: f64, alpha: f64, beta: f64, max_runs: usize) -> Result<Self, StatsError> {
        for (name, p) in [("p0", p0), ("p1", p1), ("alpha", alpha), ("beta", beta)] {
            check_probability(name, p)?;
        }
        let refused = |name, got, allowed| Err(StatsError::Parameter { name, got, allowed });
        if p1 <= p0 {
            return refused("p1", p1, "a number above p0");
        }
        if alpha > 0.5 || beta > 0.5 {
            let (name, got) = if alpha > 0.5 { ("alpha", alpha) } else { ("beta", beta) };
            return refused(name, got, "a number up to 0.5");
        }
        if max_runs == 0 {
            return refused("max_runs", 0.0, "an integer from 1 up");
        }
        Ok(Sprt {
            max_runs,
            success: (p1 / p0).ln(),
            failure: ((1.0 - p1) / (1.0 - p0)).ln(),
            pass: -alpha.ln(),
            fail: beta.ln(),
        })
    }

    /// The verdict after so many successes and failures; `None` where the test goes on.
    ///
    /// The order of the runs does not matter, but the test is over at the first verdict.
    #[must_use]
    pub fn decide(&self, successes: usize, failures: usize) -> Option<Verdict> {
        let ratio = successes as f64 * self.success + failures as f64 * self.failure;
        // Ratios such as 0.05/0.5 = 1/10 may meet a bound exactly; a rounding error must not decide.
        if ratio >= self.pass - ROUNDING {
            Some(Verdict::Pass)
        } else if ratio <= self.fail + ROUNDING {
            Some(Verdict::Fail)
        } else if successes + failures >= self.max_runs {
            Some(Verdict::Undecided)
        } else {
            None
        }
    }

    /// How the test turns out, looked at after every run, where a run succeeds with probability `p`: exact, by adding up all paths.
    ///
    /// # Errors
    ///
    /// [`StatsError::Parameter`] where `p` is not in `[0, 1]`.
    pub fn characteristics(&self, p: f64) -> Result<Characteristics, StatsError> {
        if !(0.0..=1.0).contains(&p) {
            return Err(StatsError::Parameter { name: "p", got: p, allowed: "a number from 0 to 1" });
        }
        let mut all = Characteristics { pass: 0.0, fail: 0.0, undecided: 0.0, expected_runs: 0.0 };
        // `going[s]`: the probability that the test goes on after so many runs with `s` successes.
        let mut going = vec![1.0];
        for runs in 1..=self.max_runs {
            all.expected_runs += going.iter().sum::<f64>();
            let mut next = vec![0.0; runs + 1];
            for (successes, probability) in going.iter().enumerate() {
                next[successes] += probability * (1.0 - p);
                next[successes + 1] += probability * p;
            }
            for (successes, probability) in next.iter_mut().enumerate() {
                let ended = match self.decide(successes, runs - successes) {
                    None => continue,
                    Some(Verdict::Pass) => &mut all.pass,
                    Some(Verdict::Fail) => &mut all.fail,
                    Some(Verdict::Undecided) => &mut all.undecided,
                };
                *ended += std::mem::take(probability);
            }
            going = next;
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};

    use super::*;

    const TESTS: [(f64, f64, f64, f64, usize); 4] = [
        (0.5, 0.9, 0.05, 0.05, 40),
        (0.7, 0.95, 0.01, 0.05, 60),
        (0.8, 0.9, 0.1, 0.02, 400),
        (0.1, 0.3, 0.05, 0.2, 9),
    ];

    #[test]
    fn errors_are_as_promised() {
        for (p0, p1, alpha, beta, max) in TESTS {
            let test = Sprt::new(p0, p1, alpha, beta, max).unwrap();
            for p in [0.0, 0.5 * p0, p0] {
                assert!(test.characteristics(p).unwrap().pass <= alpha * (1.0 + ROUNDING), "{p0} {p1} {p}");
            }
            for p in [p1, 0.5 + 0.5 * p1, 1.0] {
                assert!(test.characteristics(p).unwrap().fail <= beta * (1.0 + ROUNDING), "{p0} {p1} {p}");
            }
        }
    }

    /// 4000 tests each, decided run by run, beside the exact probabilities: within four standard errors.
    #[test]
    fn simulation_agrees() {
        let n = 4000;
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
        for (p0, p1, alpha, beta, max) in TESTS {
            let test = Sprt::new(p0, p1, alpha, beta, max).unwrap();
            for p in [p0, 0.5 * (p0 + p1), p1] {
                let exact = test.characteristics(p).unwrap();
                assert!((exact.pass + exact.fail + exact.undecided - 1.0).abs() < 1e-12);
                let (mut counts, mut runs) = ([0; 3], 0);
                for _ in 0..n {
                    let (mut successes, mut failures) = (0, 0);
                    let verdict = loop {
                        if rng.random_bool(p) {
                            successes += 1
                        } else {
                            failures += 1
                        }
                        if let Some(verdict) = test.decide(successes, failures) {
                            break verdict;
                        }
                    };
                    counts[verdict as usize] += 1;
                    runs += successes + failures;
                }
                let shares = [exact.pass, exact.fail, exact.undecided];
                for (count, share) in counts.into_iter().zip(shares) {
                    let error = (share * (1.0 - share) / f64::from(n)).sqrt();
                    let off = f64::from(count) / f64::from(n) - share;
                    assert!(off.abs() <= 4.0 * error + 1e-12, "{p0} {p1} {p}: {off}");
                }
                let off = runs as f64 / f64::from(n) - exact.expected_runs;
                assert!(off.abs() < 4.0 * max as f64 / f64::from(n).sqrt(), "{off}");
            }
        }
    }

    #[test]
    fn hypotheses_that_cannot_be_told_apart_are_refused() {
        let refused = |p0, p1, alpha, beta, max| Sprt::new(p0, p1, alpha, beta, max).unwrap_err();
        for bad in [
            refused(0.9, 0.9, 0.05, 0.05, 10),
            refused(0.5, 1.0, 0.05, 0.05, 10),
            refused(0.5, f64::NAN, 0.05, 0.05, 10),
            refused(0.5, 0.9, 0.0, 0.05, 10),
            refused(0.5, 0.9, 0.05, 0.6, 10),
            refused(0.5, 0.9, 0.05, 0.05, 0),
        ] {
            assert!(matches!(bad, StatsError::Parameter { .. }), "{bad}");
        }
        assert!(Sprt::new(0.5, 0.9, 0.05, 0.05, 10).unwrap().characteristics(1.5).is_err());
    }
}
