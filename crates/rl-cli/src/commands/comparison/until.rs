//! Seeds until it is clear: when to look, and what is seen.

use anyhow::{Result, bail};
use rl_stats::{Interval, SequentialIqm, mean_confidence_sequence};

use super::results::{CONFIDENCE, Group, Narrowed};
use crate::args::CompareArgs;
use crate::errors::usage;
use crate::run_config::RunConfig;

/// The first look, from which on the interval of an IQM needs no bounds.
const FIRST_LOOK: u64 = 40;

/// A study that goes on until every interval is narrow.
pub(crate) struct Until {
    width: f64,
    max_seeds: u64,
    statistic: Statistic,
    /// The columns whose scores are withheld, so that more seeds would tell no more.
    withheld: Vec<String>,
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
    pub(crate) fn new(args: &CompareArgs, columns: &[RunConfig]) -> Result<Option<Self>> {
        let Some(width) = args.until else { return Ok(None) };
        if !(width > 0.0 && width.is_finite()) {
            bail!(usage(format!("--until {width}: expected a positive number")));
        }
        if let Some(column) = columns.iter().find(|column| column.eval.is_none()) {
            bail!(usage(format!("--until {width}: {} is never evaluated", column.name())));
        }
        let statistic = match &args.bounds {
            None => Statistic::Iqm(vec![SequentialIqm::new(CONFIDENCE, None)?; columns.len()]),
            Some(text) => {
                let ends = text.split_once(',').and_then(|(low, high)| {
                    Some((low.trim().parse::<f64>().ok()?, high.trim().parse::<f64>().ok()?))
                });
                match ends {
                    Some((low, high)) if low < high && (high - low).is_finite() => {
                        Statistic::Mean { low, high }
                    }
                    _ => bail!(usage(format!(
                        "--bounds {text}: expected LOW,HIGH with LOW below HIGH, such as 0,500"
                    ))),
                }
            }
        };
        Ok(Some(Until { width, max_seeds: args.max_seeds, statistic, withheld: Vec::new() }))
    }

    /// How many seeds there are at every look: fixed beforehand, for what is seen must not decide when to look.
    pub(crate) fn looks(&self) -> Vec<u64> {
        let max = self.max_seeds;
        let mut looks: Vec<u64> =
            std::iter::successors(Some(FIRST_LOOK), |n| Some(n + n / 2)).take_while(|n| *n < max).collect();
        looks.push(max);
        looks
    }

    /// Looks at all runs so far, and says whether more would be too many. Where scores are withheld nothing can become clearer.
    ///
    /// # Errors
    ///
    /// For scores outside of the bounds.
    pub(crate) fn look(&mut self, groups: &mut [Group]) -> Result<bool> {
        let mut are_narrow = true;
        self.withheld.clear();
        for (column, group) in groups.iter_mut().enumerate() {
            let Ok(scores) = group.scores() else {
                self.withheld.push(format!("{} on {}", group.name, group.env));
                continue;
            };
            let interval = match &mut self.statistic {
                Statistic::Iqm(iqms) => iqms[column].look(&scores),
                Statistic::Mean { low, high } => mean_confidence_sequence(&scores, *low, *high, CONFIDENCE),
            };
            let told =
                |e| usage(format!("{}: {e}; without --bounds the interval of an IQM needs none", group.name));
            let Interval { low, high } = interval.map_err(told)?;
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
        let withheld = match &self.withheld[..] {
            [] => String::new(),
            columns => format!(" But for {}, whose scores are withheld.", columns.join(", ")),
        };
        format!(
            "Seeds were added until the interval of each {what} is at most {} wide: {end} {seeds} seeds.{withheld} Such an interval holds the truth in \
             95 % of studies whenever one stops; the bootstrap intervals beside it do not.",
            self.width
        )
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use rl_env::rng::stream;
    use serde_json::json;

    use super::*;
    use crate::commands::comparison::Run;
    use crate::commands::comparison::results::Ended;

    /// A run with this score, or one that failed.
    fn run(seed: u64, score: Option<f64>) -> Run {
        let summary = json!({
            "algo": "ppo", "env": "CartPole-v1", "reproducible": "everywhere", "seed": seed, "status": "finished", "error": null,
            "total_steps": 1, "wall_seconds": 1.0, "steps_per_second": 1.0, "episodes": 1, "mean_return_100": null,
            "eval": {"episodes": 1, "mean": score, "std": 0.0, "min": score, "max": score, "mean_length": 1.0},
            "updates": 1, "rejected_updates": 0, "threshold": null, "steps_to_threshold": null, "seconds_to_threshold": null,
        });
        let ended = match score {
            Some(_) => Ended::Well(serde_json::from_value(summary).unwrap()),
            None => Ended::Badly { error: "it broke".to_owned(), left: None },
        };
        Run { seed, dir: None, ended, curve: Vec::new(), fault: None, was_there: false }
    }

    type Score = fn(f64) -> Option<f64>;

    /// Of a run at the share `u` of all, the score: 5 % collapse, half of them by failing, and the rest solves the task, or is spread from 405 to
    /// 500.
    const SOURCES: [(Score, f64); 2] = [
        (|u| if u < 0.025 { None } else { Some(if u < 0.05 { 9.0 } else { 500.0 }) }, 500.0),
        (|u| if u < 0.025 { None } else { Some(if u < 0.05 { 9.0 } else { 400.0 + 100.0 * u }) }, 450.0),
    ];

    /// Of 200 studies 190 are expected to hold the truth at the end, and 183 is what chance allows at 1 %.
    #[test]
    fn studies_that_stop_hold_the_truth() {
        let config = json!({"algo": "ppo", "env": "CartPole-v1", "eval_freq": 1, "total_steps": 1});
        for (score, truth) in SOURCES {
            let mut held = 0;
            for study in 0..200 {
                let mut rng = stream(study, "study", 0);
                let statistic = Statistic::Iqm(vec![SequentialIqm::new(CONFIDENCE, None).unwrap()]);
                let mut until = Until { width: 30.0, max_seeds: 2000, statistic, withheld: Vec::new() };
                let mut groups = [Group::new(config.as_object().unwrap(), None, Some(0.0))];
                for seeds in until.looks() {
                    let runs = &mut groups[0].runs;
                    runs.extend((runs.len() as u64..seeds).map(|seed| run(seed, score(rng.random()))));
                    if until.look(&mut groups).unwrap() {
                        break;
                    }
                }
                let interval = groups[0].iqm_interval().unwrap();
                assert!(interval.high - interval.low <= 30.0);
                held += usize::from(interval.low <= truth && truth <= interval.high);
            }
            println!("{held} of 200");
            assert!(held >= 183, "{held} of 200");
        }
    }

    #[test]
    fn looks_are_half_as_many_again() {
        let until = |max_seeds| Until {
            width: 1.0,
            max_seeds,
            statistic: Statistic::Iqm(Vec::new()),
            withheld: Vec::new(),
        };
        assert_eq!(until(200).looks(), [40, 60, 90, 135, 200]);
        assert_eq!(until(60).looks(), [40, 60]);
        assert_eq!(until(10).looks(), [10]);
    }
}
