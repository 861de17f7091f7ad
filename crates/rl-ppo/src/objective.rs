//! What the policy's loss is on one row: its value, and its derivative by `log π`.
//!
//! ```text
//! ratio       r A
//! clipped     min(r A, clip(r, 1−ε, 1+ε′) A)            with dual clip, where A < 0: max(that, c A)
//! log prob    A log π                                                              r = π_θ(a|s) / π_old(a|s)
//! ```

use rl_nn::Real;

/// What the policy is to make large, as a mean over rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Objective {
    /// `r A`: the surrogate of Kakade and Langford (2002) and of TRPO.
    Ratio,
    /// The surrogate with a ratio that counts only so far (Schulman et al. 2017, equation 7).
    Clipped(Clip),
    /// `A log π`, whose gradient is the policy gradient (Mnih et al. 2016, "Asynchronous methods", algorithm S3).
    LogProb,
}

/// How far the ratio counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clip {
    /// ε: down to `1 − ε`.
    pub low: f64,
    /// ε′: up to `1 + ε′`; equal to ε in the paper, larger in DAPO (Yu et al. 2025, section 3.1).
    pub high: f64,
    /// c > 1: where `A < 0`, the objective is at least `c A` (Ye et al. 2020, "Mastering complex control in MOBA games", equation 5).
    pub dual: Option<f64>,
}

impl Clip {
    /// The paper's: ε to both sides.
    pub fn symmetric(epsilon: f64) -> Self {
        Clip { low: epsilon, high: epsilon, dual: None }
    }
}

/// What the policy's loss is a function of, a number a row each, and what it comes to.
pub(crate) struct Rows<'a, F> {
    pub(crate) log_prob: &'a [F],
    pub(crate) ratio: &'a [F],
    pub(crate) advantage: &'a [F],
    /// The objective.
    pub(crate) objective: &'a mut [F],
    /// The derivative of the negative objective, times `scale`, by `log π`.
    pub(crate) weight: &'a mut [F],
}

impl Objective {
    /// Writes objective and weight of every row; returns how many ratios lie outside the clip range.
    pub(crate) fn evaluate<F: Real>(&self, rows: Rows<'_, F>, scale: F) -> u32 {
        match self {
            Objective::Ratio => rows.write(|_, ratio, advantage| {
                let objective = ratio * advantage;
                (objective, -objective * scale, false)
            }),
            Objective::Clipped(clip) => {
                let (low, high) = (F::narrow(1.0 - clip.low), F::narrow(1.0 + clip.high));
                match clip.dual.map(F::narrow) {
                    None => rows.write(|_, ratio, advantage| clipped(ratio, advantage, (low, high), scale)),
                    Some(c) => rows.write(|_, ratio, advantage| {
                        let (objective, weight, is_outside) = clipped(ratio, advantage, (low, high), scale);
                        let floor = c * advantage;
                        if advantage < F::zero() && objective < floor {
                            (floor, F::zero(), is_outside)
                        } else {
                            (objective, weight, is_outside)
                        }
                    }),
                }
            }
            Objective::LogProb => {
                rows.write(|log_prob, _, advantage| (log_prob * advantage, -advantage * scale, false))
            }
        }
    }
}

/// `min(r A, clip(r, low, high) A)`, and its derivative: `r A`, or 0 where it is cut.
#[inline(always)]
fn clipped<F: Real>(ratio: F, advantage: F, (low, high): (F, F), scale: F) -> (F, F, bool) {
    let clipped = if ratio < low {
        low
    } else if ratio > high {
        high
    } else {
        ratio
    };
    let (free, bounded) = (ratio * advantage, clipped * advantage);
    // NaN takes the branch that shows it.
    let is_cut = bounded < free;
    let objective = if is_cut { bounded } else { free };
    let weight = if is_cut { F::zero() } else { -free * scale };
    (objective, weight, ratio < low || ratio > high)
}

impl<F: Real> Rows<'_, F> {
    #[inline(always)]
    fn write(self, row: impl Fn(F, F, F) -> (F, F, bool)) -> u32 {
        let inputs = self.log_prob.iter().zip(self.ratio).zip(self.advantage);
        let outputs = self.objective.iter_mut().zip(self.weight);
        let mut n_outside = 0;
        for (((&log_prob, &ratio), &advantage), (objective, weight)) in inputs.zip(outputs) {
            let is_outside;
            (*objective, *weight, is_outside) = row(log_prob, ratio, advantage);
            n_outside += u32::from(is_outside);
        }
        n_outside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Objective, minus the weight, and how many lie outside, of one row.
    fn row(objective: Objective, ratio: f64, advantage: f64) -> (f64, f64, u32) {
        let (log_prob, ratio, advantage) = (&[-0.5], &[ratio], &[advantage]);
        let (mut value, mut weight) = ([0.0], [0.0]);
        let rows = Rows { log_prob, ratio, advantage, objective: &mut value, weight: &mut weight };
        let outside = objective.evaluate(rows, 1.0);
        (value[0], -weight[0], outside)
    }

    #[test]
    #[allow(clippy::float_cmp, reason = "the values compared are exact")]
    fn the_pieces_of_the_clipped_objective() {
        let clip = Clip { low: 0.25, high: 0.5, dual: None };
        let of = |ratio, advantage| row(Objective::Clipped(clip), ratio, advantage);
        assert_eq!(of(1.25, 2.0), (2.5, 2.5, 0));
        assert_eq!(of(2.0, 2.0), (3.0, 0.0, 1)); // up to 1 + ε′
        assert_eq!(of(0.5, 2.0), (1.0, 1.0, 1)); // a good action that has become rarer is not cut
        assert_eq!(of(0.5, -2.0), (-1.5, 0.0, 1)); // down to 1 − ε
        assert_eq!(of(2.0, -2.0), (-4.0, -4.0, 1)); // a bad one that has become more frequent is not cut
        let dual = Objective::Clipped(Clip { dual: Some(1.75), ..clip });
        assert_eq!(row(dual, 2.0, -2.0), (-3.5, 0.0, 1)); // but by the dual clip
        assert_eq!(row(dual, 1.625, -2.0), (-3.25, -3.25, 1));
        for (ratio, advantage) in [(1.25, 2.0), (2.0, 2.0), (4.0, 2.0), (0.5, 2.0), (0.5, -2.0), (1.0, 0.0)] {
            assert_eq!(row(dual, ratio, advantage), of(ratio, advantage));
        }
        assert_eq!(row(Objective::Ratio, 3.0, -2.0), (-6.0, -6.0, 0));
        assert_eq!(row(Objective::LogProb, 1.0, 3.0), (-1.5, 3.0, 0));
    }

    #[test]
    fn a_ratio_that_is_not_a_number_shows() {
        for objective in
            [Objective::Ratio, Objective::Clipped(Clip { dual: Some(2.0), ..Clip::symmetric(0.2) })]
        {
            let (value, weight, _) = row(objective, f64::NAN, -1.0);
            assert!(value.is_nan() && weight.is_nan(), "{objective:?}");
        }
    }
}
