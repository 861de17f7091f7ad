//! What a run told at every update, as its `progress.csv` has it: ours, and Stable-Baselines3's.

use std::fs;
use std::path::Path;

use rl_report::Curve;

const STEP: &str = "time/total_timesteps";
const SECONDS: &str = "time/time_elapsed";

/// A run's scalars by name, against steps.
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

    /// A row for every update, a column for every scalar; what is no number is left out.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
        let Ok(header) = reader.byte_headers().cloned() else { return Progress::default() };
        let header: Vec<String> =
            header.iter().map(|tag| String::from_utf8_lossy(tag).into_owned()).collect();
        let column = |tag: &str| header.iter().position(|column| column == tag);
        let (Some(step), seconds) = (column(STEP), column(SECONDS)) else { return Progress::default() };
        let rows: Vec<Vec<f64>> = reader
            .byte_records()
            .filter_map(Result::ok)
            .map(|row| {
                row.iter()
                    .map(|cell| std::str::from_utf8(cell).ok()?.parse().ok())
                    .map(|x| x.unwrap_or(f64::NAN))
                    .collect()
            })
            .collect();
        let cell = |row: &[f64], column: usize| row.get(column).copied().unwrap_or(f64::NAN);
        let curve = |of: usize| Curve::new(rows.iter().map(|row| (cell(row, step), cell(row, of))));
        let evaluation = column("eval/mean_reward");
        let evaluations = rows.iter().filter_map(|row| {
            let (at, mean) = (cell(row, step), cell(row, evaluation?));
            let seconds = seconds.map(|seconds| cell(row, seconds)).filter(|s| s.is_finite());
            (at.is_finite() && mean.is_finite()).then_some((at, seconds, mean))
        });
        Progress {
            evaluations: evaluations.collect(),
            clock: seconds.map(curve).unwrap_or_default(),
            scalars: header
                .iter()
                .enumerate()
                .map(|(i, tag)| (tag.clone(), curve(i)))
                .filter(|(_, c)| !c.is_empty())
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_whoever_wrote_it() {
        let text = "eval/mean_reward,time/time_elapsed,time/total_timesteps,train/approx_kl\n,1,100,0.5\n7,2,200,\n8.5,3,300,x,y\n";
        let progress = Progress::of(text.as_bytes());
        assert_eq!(progress.evaluations, [(200.0, Some(2.0), 7.0), (300.0, Some(3.0), 8.5)]);
        assert_eq!(progress.clock.x, [100.0, 200.0, 300.0]);
        let kl = progress.scalars.iter().find(|(tag, _)| tag == "train/approx_kl").unwrap();
        assert_eq!(kl.1.y, [0.5]);
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
