//! Learning curves: returns against steps and against seconds.

use std::cmp::Ordering;

use rand::Rng;
use rl_stats::{iqm, mean, quantile};

use super::Section;
use crate::chart::{Chart, Label, Layer, Mark, Shape};
use crate::curve::{Curve, with_intervals, with_quantiles};
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
    let (mut above, mut notes) = (Vec::new(), Vec::new());
    if kind.seconds.is_some() {
        notes.push("Bold lines: every step at the time at which the median run was there.".to_owned());
    }
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
        let together = match aggregated(column, &curves) {
            Ok(together) => together,
            Err(why) => {
                notes.push(why);
                Vec::new()
            }
        };
        let stopped = column
            .runs
            .iter()
            .zip(&curves)
            .filter(|(run, curve)| run.is_stopped() && !curve.is_empty())
            .count();
        if stopped > 0 {
            notes.push(format!(
                "{stopped} of {} runs of {} ended before their budget was spent, for they were told to: in the bold line each keeps its last value.",
                column.runs.len(),
                column.name
            ));
        }
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
        note: notes.join(" "),
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
    let bands = |(quantiles, name): ((f64, f64), &str)| {
        let bands = with_quantiles(&all, POINTS, quantiles).bands();
        let name = format!("{}, {name}", column.name);
        bands
            .into_iter()
            .map(move |band| Mark::new(Shape::Band(band), Some(colour), Layer::Seeds, &*name))
            .collect::<Vec<_>>()
    };
    [((0.05, 0.95), "90 % of seeds"), ((0.25, 0.75), "50 % of seeds")].into_iter().flat_map(bands).collect()
}

/// The curves that statistics are of. A failed run is one of them: after its end it counts as the worst return. One that was ended early by what it had
/// reached keeps its last value: without it the line would be that of the slow runs alone. One that was interrupted is none of them.
///
/// # Errors
///
/// Why there are no statistics: a run failed, and no worst return is documented.
fn aggregated(column: &Column, curves: &[Curve]) -> Result<Vec<Curve>, String> {
    let failed = column.runs.iter().filter(|run| run.has_failed()).count();
    if failed > 0 && column.worst_return.is_none() {
        return Err(format!(
            "No bold line of {}: {failed} of {} runs failed, and no worst return is documented to count them as.",
            column.name,
            column.runs.len()
        ));
    }
    let longest = curves.iter().max_by(|a, b| a.x.last().partial_cmp(&b.x.last()).unwrap_or(Ordering::Equal));
    let longest = longest.cloned().unwrap_or_default();
    let mut together = Vec::new();
    for (run, curve) in column.runs.iter().zip(curves) {
        let after = match () {
            _ if run.has_failed() => column.worst_return,
            _ if run.is_stopped() => curve.y.last().copied(),
            _ if run.is_done() => None,
            _ => continue,
        };
        let end = curve.x.last().copied().unwrap_or(f64::NEG_INFINITY);
        let rest = longest.x.iter().filter(|x| **x > end).filter_map(|x| Some((*x, after?)));
        together.push(Curve::new(curve.points().chain(rest)));
    }
    together.retain(|curve| !curve.is_empty());
    Ok(together)
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
        let together = aggregated(&column, &curves).unwrap();
        assert_eq!(together.len(), 2);
        assert_eq!(together[1].y, [5.0, -9.0, -9.0]);
        column.worst_return = None;
        assert!(aggregated(&column, &curves).unwrap_err().contains("1 of 3 runs failed"));
        // A page says so below the chart.
        let task = Task { columns: vec![column], ..Task::default() };
        let mut rng = <rand_xoshiro::Xoshiro256PlusPlus as rand::SeedableRng>::seed_from_u64(0);
        let charts = charts(&task, &|_| 0, &mut rng);
        assert!(charts[0].1.note.contains("No bold line"), "{}", charts[0].1.note);
    }

    /// A run that reached its goal is still there, and does not cut the others off.
    #[test]
    fn stopped_runs_keep_their_last_value() {
        let runs =
            vec![run("stopped", &[(1.0, 500.0)]), run("finished", &[(1.0, 5.0), (2.0, 6.0), (3.0, 7.0)])];
        let curves: Vec<Curve> = runs.iter().map(evaluations).collect();
        let column = Column { name: "ppo".to_owned(), runs, ..Column::default() };
        assert_eq!(aggregated(&column, &curves).unwrap()[0].y, [500.0; 3]);
        let task = Task { columns: vec![column], ..Task::default() };
        let mut rng = <rand_xoshiro::Xoshiro256PlusPlus as rand::SeedableRng>::seed_from_u64(0);
        let chart = charts(&task, &|_| 0, &mut rng).remove(0).1;
        let bold = chart.marks.iter().find_map(|mark| match &mark.shape {
            Shape::Line(line) if mark.layer == Layer::Mean => Some(line),
            _ => None,
        });
        assert_eq!(bold.unwrap().x, [1.0, 2.0, 3.0]);
        assert!(
            chart.note.starts_with("1 of 2 runs of ppo ended before their budget was spent"),
            "{}",
            chart.note
        );
    }
}
