//! What a run told at every update, as its `progress.csv` has it: ours, and Stable-Baselines3's.

use std::fs;
use std::path::Path;

use rl_report::{Curve, DRAWN_TAGS};

const STEP: &str = "time/total_timesteps";
const SECONDS: &str = "time/time_elapsed";
const EVALUATION: &str = "eval/mean_reward";
/// More points of a scalar than this are thinned.
const POINTS: usize = 2000;

/// Those scalars of a run that a report draws, by name, against steps.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) scalars: Vec<(String, Curve)>,
    /// Seconds of training against steps.
    pub(super) clock: Curve,
    /// Evaluations: steps, seconds, mean return.
    pub(super) evaluations: Vec<(f64, Option<f64>, f64)>,
}

impl Progress {
    /// That of a run's directory; of none there is nothing.
    pub(super) fn in_dir(dir: &Path) -> Self {
        Progress::of(&fs::read(dir.join("progress.csv")).unwrap_or_default())
    }

    /// A row for every update, a column for every scalar; what is no number is left out, and what nothing is drawn from.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
        let Ok(header) = reader.byte_headers().cloned() else { return Progress::default() };
        let header: Vec<String> =
            header.iter().map(|tag| String::from_utf8_lossy(tag).into_owned()).collect();
        let column = |tag: &str| header.iter().position(|column| column == tag);
        let Some(step) = column(STEP) else { return Progress::default() };
        let drawn = header.iter().enumerate().filter(|(_, tag)| DRAWN_TAGS.contains(&tag.as_str()));
        // Of many columns only these are kept.
        let wanted: Vec<usize> = [Some(step), column(SECONDS), column(EVALUATION)]
            .into_iter()
            .flatten()
            .chain(drawn.clone().map(|(i, _)| i))
            .collect();
        let mut cells: Vec<Vec<f64>> = vec![Vec::new(); wanted.len()];
        for row in reader.byte_records().filter_map(Result::ok) {
            for (cells, column) in cells.iter_mut().zip(&wanted) {
                let cell = row.get(*column).and_then(|cell| std::str::from_utf8(cell).ok()?.parse().ok());
                cells.push(cell.unwrap_or(f64::NAN));
            }
        }
        let of =
            |column: usize| wanted.iter().position(|other| *other == column).map_or(&[][..], |i| &cells[i]);
        let steps = || of(step).iter().copied();
        let curve = |column: usize| Curve::new(steps().zip(of(column).iter().copied())).thinned(POINTS);
        let seconds = column(SECONDS).map_or(&[][..], of);
        let evaluations = column(EVALUATION).map_or(&[][..], of).iter().zip(steps()).enumerate();
        Progress {
            evaluations: evaluations
                .filter(|(_, (mean, at))| at.is_finite() && mean.is_finite())
                .map(|(i, (mean, at))| (at, seconds.get(i).copied().filter(|s| s.is_finite()), *mean))
                .collect(),
            clock: column(SECONDS).map(curve).unwrap_or_default(),
            scalars: drawn.map(|(i, tag)| (tag.clone(), curve(i))).filter(|(_, c)| !c.is_empty()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_whoever_wrote_it() {
        let text = "eval/mean_reward,time/time_elapsed,time/total_timesteps,train/approx_kl,mine/x\n,1,100,0.5,1\n7,2,200,,1\n8.5,3,300,x,y\n";
        let progress = Progress::of(text.as_bytes());
        assert_eq!(progress.evaluations, [(200.0, Some(2.0), 7.0), (300.0, Some(3.0), 8.5)]);
        assert_eq!(progress.clock.x, [100.0, 200.0, 300.0]);
        let kl = progress.scalars.iter().find(|(tag, _)| tag == "train/approx_kl").unwrap();
        assert_eq!(kl.1.y, [0.5]);
        assert_eq!(progress.scalars.len(), 1, "what nothing draws is kept");
        let rows: String = (0..9000).map(|i| format!("{i},{}\n", i % 7)).collect();
        let long = Progress::of(format!("time/total_timesteps,train/kl_max\n{rows}").as_bytes());
        assert_eq!(long.scalars[0].1.x.len(), POINTS);
        assert!(Progress::of(b"a,b\n1,2\n").scalars.is_empty());
    }

    #[test]
    fn fuzz_progress() {
        let words = [
            "time/total_timesteps",
            "time/time_elapsed",
            "eval/mean_reward",
            ",",
            "\n",
            "\"",
            "1e999",
            "nan",
        ];
        rl_test_support::fuzz("progress", &words, |bytes| !Progress::of(bytes).scalars.is_empty());
    }
}
