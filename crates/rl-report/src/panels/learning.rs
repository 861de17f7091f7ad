//! Learning curves: returns against steps and against seconds.

use rand::Rng;
use rl_stats::{iqm, mean, quantile};

use super::Section;
use crate::chart::{Chart, Label, Layer, Mark, Shape};
use crate::curve::{Curve, Summary, with_intervals, with_quantiles};
use crate::scale::{Axis, Scale};
use crate::study::{Column, Run, Task};

/// More seeds than this are drawn as quantiles instead of lines.
const A_FEW: usize = 40;
/// Points of a line.
const POINTS: usize = 120;

/// What a learning curve is of, and against what.
#[derive(Clone, Copy)]
struct Kind {
    section: Section,
    id: &'static str,
    title: &'static str,
    x: &'static str,
    /// Values against steps.
    of: fn(&Run) -> Curve,
    /// Seconds against steps, where seconds are what it is drawn against.
    seconds: Option<fn(&Run) -> Curve>,
}

const KINDS: [Kind; 4] = [
    Kind {
        section: Section::Evaluation,
        id: "evaluation-steps",
        title: "Evaluation, by steps",
        x: "environment steps",
        of: evaluations,
        seconds: None,
    },
    Kind {
        section: Section::Evaluation,
        id: "evaluation-seconds",
        title: "Evaluation, by wall time",
        x: "seconds of training",
        of: evaluations,
        seconds: Some(seconds_of_evaluations),
    },
    Kind {
        section: Section::Training,
        id: "training-steps",
        title: "Training episodes, by steps",
        x: "environment steps",
        of: training,
        seconds: None,
    },
    Kind {
        section: Section::Training,
        id: "training-seconds",
        title: "Training episodes, by wall time",
        x: "seconds of training",
        of: training,
        seconds: Some(|run| run.clock.clone()),
    },
];

pub(super) fn charts(
    task: &Task,
    number: &dyn Fn(&str) -> usize,
    rng: &mut impl Rng,
) -> Vec<(Section, Chart)> {
    KINDS.iter().filter_map(|kind| Some((kind.section, chart(task, *kind, number, rng)?))).collect()
}

fn chart(task: &Task, kind: Kind, number: &dyn Fn(&str) -> usize, rng: &mut impl Rng) -> Option<Chart> {
    let mut marks: Vec<Mark> = Vec::new();
    let mut labels = Vec::new();
    marks.extend(task.threshold.map(|y| Mark::new(Shape::Level(y), None, Layer::Fixed, "threshold")));
    let mut above = Vec::new();
    for column in &task.columns {
        let colour = number(&column.name);
        let curves: Vec<Curve> = column.runs.iter().map(kind.of).collect();
        let clocks = kind.seconds.map(|seconds| column.runs.iter().map(seconds).collect::<Vec<Curve>>());
        let drawn = match &clocks {
            None => curves.clone(),
            Some(clocks) => curves
                .iter()
                .zip(clocks)
                .map(|(curve, clock)| in_time(curve, |step| clock.at(step)))
                .collect(),
        };
        marks.extend(seeds(column, &drawn, colour));
        let together = aggregated(column, &curves);
        let together: Vec<&Curve> = together.iter().collect();
        for (layer, statistic) in [(Layer::Iqm, iqm as fn(&[f64]) -> f64), (Layer::Mean, mean)] {
            let mut summary = with_intervals(&together, POINTS, statistic, rng);
            if let Some(clocks) = &clocks {
                summary = summary.moved(|step| median_at(clocks, step));
            }
            let last = summary.middle.points().last();
            labels.extend(last.map(|at| Label {
                text: column.name.clone(),
                at,
                colour: Some(colour),
                layer,
            }));
            above.extend(Mark::of_summary(&summary, colour, layer, &column.name));
        }
    }
    marks.extend(above);
    let points = || marks.iter().flat_map(Mark::extent);
    points().next()?;
    let x = Axis::over(kind.x, points().map(|(x, _)| x).chain([0.0]), Scale::Linear, 0.0);
    let y = Axis::over("mean return", points().map(|(_, y)| y), Scale::Linear, 0.04);
    Some(Chart {
        id: kind.id.to_owned(),
        title: kind.title.to_owned(),
        note: match kind.seconds {
            Some(_) => "Bold lines: every step at the time at which the median run was there.".to_owned(),
            None => String::new(),
        },
        x,
        y,
        marks,
        labels,
        height: 300.0,
    })
}

/// Single runs; where there are many, what share of them lies where.
fn seeds(column: &Column, curves: &[Curve], colour: usize) -> Vec<Mark> {
    if curves.len() <= A_FEW {
        let named = column.runs.iter().zip(curves).filter(|(_, curve)| !curve.is_empty());
        let thread = |(run, curve): (&Run, &Curve)| {
            let name = format!("{}, {}", column.name, run.name);
            Mark::new(Shape::Thread(curve.thinned(POINTS)), Some(colour), Layer::Seeds, name)
        };
        return named.map(thread).collect();
    }
    let all: Vec<&Curve> = curves.iter().filter(|curve| !curve.is_empty()).collect();
    let band = |(quantiles, name): ((f64, f64), &str)| {
        let Summary { middle, ends } = with_quantiles(&all, POINTS, quantiles);
        let band = middle.x.iter().zip(&ends).map(|(x, (low, high))| (*x, *low, *high)).collect();
        Mark::new(Shape::Band(band), Some(colour), Layer::Seeds, format!("{}, {name}", column.name))
    };
    [((0.05, 0.95), "90 % of seeds"), ((0.25, 0.75), "50 % of seeds")].into_iter().map(band).collect()
}

/// The curves that statistics are of. A failed run is one of them: after its end it counts as the worst return, and where none is documented there
/// are no statistics. One that was interrupted is not.
fn aggregated(column: &Column, curves: &[Curve]) -> Vec<Curve> {
    let longest = curves.iter().max_by_key(|curve| curve.x.len()).cloned().unwrap_or_default();
    let mut together = Vec::new();
    for (run, curve) in column.runs.iter().zip(curves) {
        match (run.has_failed(), column.worst_return) {
            (true, None) => return Vec::new(),
            (true, Some(worst)) => {
                let end = curve.x.last().copied().unwrap_or(f64::NEG_INFINITY);
                let rest = longest.x.iter().filter(|x| **x > end).map(|x| (*x, worst));
                together.push(Curve::new(curve.points().chain(rest)));
            }
            (false, _) if run.is_done() => together.push(curve.clone()),
            (false, _) => {}
        }
    }
    together.retain(|curve| !curve.is_empty());
    together
}

fn evaluations(run: &Run) -> Curve {
    Curve::new(run.evaluations.iter().map(|(step, _, mean)| (*step, *mean)))
}

fn seconds_of_evaluations(run: &Run) -> Curve {
    Curve::new(run.evaluations.iter().filter_map(|(step, seconds, _)| Some((*step, (*seconds)?))))
}

fn training(run: &Run) -> Curve {
    run.scalar("rollout/ep_rew_mean").cloned().unwrap_or_default()
}

/// A curve against seconds instead of steps.
fn in_time(curve: &Curve, seconds: impl Fn(f64) -> Option<f64>) -> Curve {
    Curve::new(curve.points().filter_map(|(step, y)| Some((seconds(step)?, y))))
}

/// When the median of the runs that come so far is at a step.
fn median_at(clocks: &[Curve], step: f64) -> Option<f64> {
    let seconds: Vec<f64> = clocks.iter().filter_map(|clock| clock.at(step)).collect();
    (!seconds.is_empty()).then(|| quantile(&seconds, 0.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(status: &str, points: &[(f64, f64)]) -> Run {
        let evaluations = points.iter().map(|(x, y)| (*x, None, *y)).collect();
        Run { status: status.to_owned(), evaluations, ..Run::default() }
    }

    #[test]
    fn failed_runs_count_after_their_end() {
        let runs = vec![
            run("finished", &[(1.0, 5.0), (2.0, 6.0), (3.0, 7.0)]),
            run("failed", &[(1.0, 5.0)]),
            run("interrupted", &[(1.0, 100.0)]),
        ];
        let curves: Vec<Curve> = runs.iter().map(evaluations).collect();
        let mut column = Column { runs, worst_return: Some(-9.0), ..Column::default() };
        let together = aggregated(&column, &curves);
        assert_eq!(together.len(), 2);
        assert_eq!(together[1].y, [5.0, -9.0, -9.0]);
        column.worst_return = None;
        assert!(aggregated(&column, &curves).is_empty(), "a statistic without its failures");
    }
}
