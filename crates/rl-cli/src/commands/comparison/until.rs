//! Seeds until it is clear: when to look, and what is seen.

use anyhow::{Result, bail};
use rl_stats::{Interval, SequentialIqm, mean_confidence_sequence};

use super::results::{CONFIDENCE, Group, Narrowed};
use crate::args::CompareArgs;
use crate::errors::usage;

/// The first look, from which on the interval of an IQM needs no bounds.
const FIRST_LOOK: u64 = 40;

/// A study that goes on until every interval is narrow.
pub(crate) struct Until {
    width: f64,
    max_seeds: u64,
    statistic: Statistic,
}

/// What the interval is of.
enum Statistic {
    /// For each column how often it was looked at.
    Iqm(Vec<SequentialIqm>),
    Mean {
        low: f64,
        high: f64,
    },
}

impl Until {
    /// What the arguments ask for, if they do.
    ///
    /// # Errors
    ///
    /// An error of usage for a width or bounds that cannot be used.
    pub(crate) fn new(args: &CompareArgs, columns: usize) -> Result<Option<Self>> {
        let Some(width) = args.until else { return Ok(None) };
        if !(width > 0.0 && width.is_finite()) {
            bail!(usage(format!("--until {width}: expected a positive number")));
        }
        let statistic = match &args.bounds {
            None => Statistic::Iqm(vec![SequentialIqm::new(CONFIDENCE, None)?; columns]),
            Some(text) => {
                let ends = text.split_once(',').and_then(|(low, high)| {
                    Some((low.trim().parse::<f64>().ok()?, high.trim().parse::<f64>().ok()?))
                });
                match ends {
                    Some((low, high)) if low < high && (high - low).is_finite() => {
                        Statistic::Mean { low, high }
                    }
                    _ => bail!(usage(format!("--bounds {text}: expected LOW,HIGH, such as 0,500"))),
                }
            }
        };
        Ok(Some(Until { width, max_seeds: args.max_seeds, statistic }))
    }

    /// How many seeds there are at every look: fixed beforehand, for what is seen must not decide when to look.
    pub(crate) fn looks(&self) -> Vec<u64> {
        let max = self.max_seeds;
        let mut looks: Vec<u64> =
            std::iter::successors(Some(FIRST_LOOK), |n| Some(n + n / 2)).take_while(|n| *n < max).collect();
        looks.push(max);
        looks
    }

    /// Looks at all runs so far, and says whether more would be too many. Scores that are withheld cannot become clearer.
    ///
    /// # Errors
    ///
    /// For scores outside of the bounds.
    pub(crate) fn look(&mut self, groups: &mut [Group]) -> Result<bool> {
        let mut are_narrow = true;
        for (column, group) in groups.iter_mut().enumerate() {
            let Ok(scores) = group.scores() else { continue };
            let interval = match &mut self.statistic {
                Statistic::Iqm(iqms) => iqms[column].look(&scores),
                Statistic::Mean { low, high } => mean_confidence_sequence(&scores, *low, *high, CONFIDENCE),
            };
            let Interval { low, high } = interval.map_err(|e| usage(format!("{}: {e}", group.name)))?;
            are_narrow &= high - low <= self.width;
            let interval = Interval { low, high };
            group.narrowed = Some(match self.statistic {
                Statistic::Iqm(_) => Narrowed::Iqm(interval),
                Statistic::Mean { .. } => Narrowed::Mean(interval),
            });
        }
        Ok(are_narrow)
    }

    /// What is to be said of it at the end.
    pub(crate) fn told(&self, seeds: u64, are_narrow: bool) -> String {
        let what = if matches!(self.statistic, Statistic::Iqm(_)) { "IQM" } else { "mean" };
        let end = if are_narrow { "reached with" } else { "not reached by" };
        format!(
            "Seeds were added until the interval of each {what} is at most {} wide: {end} {seeds} seeds. Such an interval holds the truth in \
             95 % of studies whenever one stops; the bootstrap intervals beside it do not.",
            self.width
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_half_as_many_again() {
        let until = |max_seeds| Until { width: 1.0, max_seeds, statistic: Statistic::Iqm(Vec::new()) };
        assert_eq!(until(200).looks(), [40, 60, 90, 135, 200]);
        assert_eq!(until(60).looks(), [40, 60]);
        assert_eq!(until(10).looks(), [10]);
    }
}
