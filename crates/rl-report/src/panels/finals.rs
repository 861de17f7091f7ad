//! What came out: scores with their intervals, profiles, comparisons, and where the time went.

use rand::Rng;
use rl_stats::{MIN_RUNS, Scores, performance_profile, performance_profile_bands, quantile};

use crate::chart::{Chart, Layer, Mark, Shape};
use crate::curve::Curve;
use crate::scale::{Axis, Scale};
use crate::study::{Column, Estimate, Task};

pub(super) fn charts(task: &Task, number: &dyn Fn(&str) -> usize, rng: &mut impl Rng) -> Vec<Chart> {
    let all = [scores(task, number), profile(task, number, rng), improvement(task), differences(task)];
    all.into_iter().flatten().collect()
}

/// The scores of all runs, with interquartile mean and mean.
fn scores(task: &Task, number: &dyn Fn(&str) -> usize) -> Option<Chart> {
    let mut marks: Vec<Mark> = Vec::new();
    // A run of somebody else's may have no score.
    let scored: Vec<Column> = task
        .columns
        .iter()
        .filter(|column| column.runs.iter().any(|run| run.score.is_some()))
        .cloned()
        .collect();
    for (row, column) in scored.iter().rev().enumerate() {
        let (row, colour) = (row as f64, Some(number(&column.name)));
        // Side by side as far as that goes: the order says nothing.
        let beside = |i: usize| row - 0.18 + 0.05 * ((i * 7) % 5) as f64 - 0.1;
        let specks = column.runs.iter().filter_map(|run| run.score).enumerate().map(|(i, x)| (x, beside(i)));
        let specks = Shape::Specks(specks.collect());
        marks.push(Mark::new(specks, colour, Layer::Seeds, format!("{}, seeds", column.name)));
        for (layer, estimate) in [(Layer::Iqm, column.iqm), (Layer::Mean, column.mean)] {
            marks.extend(
                estimate.map(|e| estimated(e, row + 0.18, colour, layer, &column.name)).into_iter().flatten(),
            );
        }
    }
    let values: Vec<f64> = marks.iter().flat_map(Mark::extent).map(|(x, _)| x).collect();
    if values.is_empty() {
        return None;
    }
    marks.splice(0..0, task.threshold.map(|x| Mark::new(Shape::Place(x), None, Layer::Fixed, "threshold")));
    let x = Axis::over("return of the final evaluation", values, Scale::Linear, 0.04);
    Some(rows("final-scores", "Final performance", x, names(&scored), marks))
}

/// The share of runs that score more than every value.
fn profile(task: &Task, number: &dyn Fn(&str) -> usize, rng: &mut impl Rng) -> Option<Chart> {
    let scores = |column: &Column| -> Vec<f64> { column.runs.iter().filter_map(|run| run.score).collect() };
    let all: Vec<f64> = task.columns.iter().flat_map(scores).collect();
    let x = Axis::over("return τ", all.iter().copied(), Scale::Linear, 0.02);
    let taus: Vec<f64> = (0..=100).map(|i| x.low + (x.high - x.low) * f64::from(i) / 100.0).collect();
    let mut marks = Vec::new();
    for column in task.columns.iter().filter(|column| column.withheld.is_none()) {
        let colour = Some(number(&column.name));
        let Ok(scores) = Scores::new(&[scores(column)]) else { continue };
        if scores.n_runs() < 2 {
            continue;
        }
        let shares = performance_profile(&scores, &taus);
        let resamples = (100_000 / scores.n_runs()).clamp(100, 1000);
        let bands = (scores.n_runs() >= MIN_RUNS)
            .then(|| performance_profile_bands(&scores, &taus, 0.95, resamples, rng).ok())
            .flatten();
        if let Some(bands) = bands {
            let band = taus.iter().zip(bands).map(|(tau, band)| (*tau, band.low, band.high)).collect();
            marks.push(Mark::new(Shape::Band(band), colour, Layer::Fixed, &*column.name));
        }
        let line = Curve::new(taus.iter().copied().zip(shares));
        marks.push(Mark::new(Shape::Line(line), colour, Layer::Fixed, &*column.name));
    }
    if marks.is_empty() {
        return None;
    }
    Some(Chart {
        id: "final-profile".to_owned(),
        title: "Performance profile".to_owned(),
        note: String::new(),
        x,
        y: Axis::over("share of runs that score more than τ", [0.0, 1.0], Scale::Linear, 0.02),
        marks,
        // All lines end at 0: names there would say nothing.
        labels: Vec::new(),
        height: 200.0,
    })
}

fn improvement(task: &Task) -> Option<Chart> {
    let pairs = || task.pairs.iter().rev();
    let names: Vec<String> = pairs().map(|pair| format!("{} better than {}", pair.name, pair.over)).collect();
    let marks = pairs().enumerate().flat_map(|(row, pair)| {
        estimated(
            pair.probability,
            row as f64,
            None,
            Layer::Fixed,
            &format!("P({} > {})", pair.name, pair.over),
        )
    });
    let mut marks: Vec<Mark> = marks.collect();
    if marks.is_empty() {
        return None;
    }
    marks.insert(0, Mark::new(Shape::Place(0.5), None, Layer::Fixed, "even"));
    let x = Axis::over("probability that a run ends better", [0.0, 1.0], Scale::Linear, 0.02);
    Some(rows("final-improvement", "Probability of improvement", x, names, marks))
}

fn differences(task: &Task) -> Option<Chart> {
    let pairs = || task.pairs.iter().filter_map(|pair| Some((pair, pair.difference?))).rev();
    let names: Vec<String> = pairs().map(|(pair, _)| format!("{} − {}", pair.name, pair.over)).collect();
    let marks = pairs().enumerate().flat_map(|(row, (pair, difference))| {
        estimated(difference, row as f64, None, Layer::Fixed, &format!("{} − {}", pair.name, pair.over))
    });
    let mut marks: Vec<Mark> = marks.collect();
    if marks.is_empty() {
        return None;
    }
    let values = marks.iter().flat_map(Mark::extent).map(|(x, _)| x).chain([0.0]);
    let x = Axis::over("difference in return, same seed", values.collect::<Vec<_>>(), Scale::Linear, 0.06);
    marks.insert(0, Mark::new(Shape::Place(0.0), None, Layer::Fixed, "none"));
    Some(rows("final-differences", "Paired differences", x, names, marks))
}

/// Seconds of training and of everything else, the median run of every column.
pub(super) fn seconds(task: &Task, number: &dyn Fn(&str) -> usize) -> Option<Chart> {
    let mut marks: Vec<Mark> = Vec::new();
    for (row, column) in task.columns.iter().rev().enumerate() {
        let row = row as f64;
        let median = |of: fn(&crate::Run) -> Option<f64>| {
            let seconds: Vec<f64> = column.runs.iter().filter_map(of).collect();
            (!seconds.is_empty()).then(|| quantile(&seconds, 0.5))
        };
        let Some(training) = median(|run| run.training_seconds) else { continue };
        let whole = median(|run| run.wall_seconds).unwrap_or(training).max(training);
        let block = |from: f64, to: f64| Shape::Block((from, row), (to, row));
        let colour = Some(number(&column.name));
        marks.push(Mark::new(
            block(training, whole),
            None,
            Layer::Fixed,
            format!("{}, evaluation and files", column.name),
        ));
        marks.push(Mark::new(
            block(0.0, training),
            colour,
            Layer::Fixed,
            format!("{}, training", column.name),
        ));
    }
    if marks.is_empty() {
        return None;
    }
    let values: Vec<f64> = marks.iter().flat_map(Mark::extent).map(|(x, _)| x).chain([0.0]).collect();
    let mut x = Axis::over("seconds of the median run", values, Scale::Linear, 0.0);
    x.high *= 1.02;
    let mut chart = rows("seconds", "Where the time went", x, names(&task.columns), marks);
    chart.note = "In colour: collecting and updating; grey: evaluations, checkpoints and logs.".to_owned();
    Some(chart)
}

fn names(columns: &[Column]) -> Vec<String> {
    columns.iter().rev().map(|column| column.name.clone()).collect()
}

/// A point with its interval.
fn estimated(estimate: Estimate, row: f64, colour: Option<usize>, layer: Layer, name: &str) -> Vec<Mark> {
    let Estimate { value, ends } = estimate;
    let bar = ends.map(|(low, high)| Mark::new(Shape::Bar((low, row), (high, row)), colour, layer, name));
    bar.into_iter().chain([Mark::new(Shape::Dots(vec![(value, row)]), colour, layer, name)]).collect()
}

/// A chart with a row for every name, the first one lowest.
fn rows(id: &str, title: &str, x: Axis, names: Vec<String>, marks: Vec<Mark>) -> Chart {
    let height = 24.0 + 44.0 * names.len() as f64;
    Chart {
        id: id.to_owned(),
        title: title.to_owned(),
        note: String::new(),
        x,
        y: Axis::named(names),
        marks,
        labels: Vec::new(),
        height,
    }
}
