//! What updates did to the policy: the same quantities for every algorithm, on the same axes.

use crate::chart::{Chart, Label, Layer, Mark, Shape};
use crate::curve::{Curve, Summary, with_quantiles};
use crate::scale::{Axis, Scale, value};
use crate::study::{Column, Limit, Run, Task};

/// Points of a line.
const POINTS: usize = 120;

/// One quantity.
struct Quantity {
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    scale: Scale,
    /// What is told of it, and the factor that makes it what the title says.
    tag: &'static str,
    factor: f64,
    /// What it is a share of.
    over: Option<&'static str>,
    /// What the algorithm expected it to be.
    expected: Option<&'static str>,
    /// What must be known of it.
    about: &'static str,
    /// The least value that is worth a place.
    least: Option<f64>,
}

const QUANTITIES: [Quantity; 9] = [
    Quantity::new("kl-mean", "Mean KL divergence of an update", "nats", Scale::Log, "train/approx_kl"),
    Quantity::new("kl-max", "Largest KL divergence of a state", "nats", Scale::Log, "train/kl_max"),
    Quantity {
        factor: -1.0,
        ..Quantity::new("entropy", "Entropy", "nats", Scale::Linear, "train/entropy_loss")
    },
    Quantity {
        expected: Some("train/expected_gain"),
        ..Quantity::new(
            "surrogate",
            "Gain in the surrogate",
            "advantages",
            Scale::Linear,
            "train/surrogate_gain",
        )
    },
    Quantity::new(
        "backtracks",
        "Backtracks of the line search",
        "per update",
        Scale::Linear,
        "train/backtracks",
    ),
    Quantity {
        over: Some("train/grad_norm"),
        ..Quantity::new(
            "cg-residual",
            "Residual of conjugate gradient",
            "share of the gradient’s norm",
            Scale::Log,
            "train/cg_residual",
        )
    },
    Quantity::new(
        "clip-fraction",
        "Samples beyond the clip range",
        "share",
        Scale::Linear,
        "train/clip_fraction",
    ),
    Quantity {
        about: "The surrogate’s before the step for TRPO and NPG, the mean over minibatches for PPO: not the same quantity.",
        ..Quantity::new(
            "grad-norm",
            "Norm of the gradient",
            "as each algorithm has it",
            Scale::Log,
            "train/grad_norm",
        )
    },
    Quantity {
        // A few returns without variance would hide everything else.
        least: Some(-1.0),
        ..Quantity::new(
            "explained",
            "Explained variance",
            "share of the returns’ variance",
            Scale::Linear,
            "train/explained_variance",
        )
    },
];

impl Quantity {
    const fn new(
        id: &'static str,
        title: &'static str,
        unit: &'static str,
        scale: Scale,
        tag: &'static str,
    ) -> Self {
        Quantity {
            id,
            title,
            unit,
            scale,
            tag,
            factor: 1.0,
            over: None,
            expected: None,
            about: "",
            least: None,
        }
    }

    /// What a run told of it; `None` where it told nothing.
    fn of(&self, run: &Run) -> Option<Curve> {
        let told = run.scalar(self.tag)?;
        let of = |x: f64| match self.over {
            Some(over) => run.scalar(over)?.at(x).filter(|whole| *whole > 0.0),
            None => Some(1.0),
        };
        Some(Curve::new(told.points().filter_map(|(x, y)| Some((x, self.factor * y / of(x)?)))))
    }
}

pub(super) fn charts(task: &Task, number: &dyn Fn(&str) -> usize) -> Vec<Chart> {
    let steps = |column: &Column| {
        column.runs.iter().filter_map(|run| run.clock.x.last().copied()).fold(0.0, f64::max)
    };
    let horizon = task.columns.iter().map(steps).fold(0.0, f64::max);
    QUANTITIES.iter().filter_map(|quantity| chart(task, quantity, horizon, number)).collect()
}

fn chart(task: &Task, quantity: &Quantity, horizon: f64, number: &dyn Fn(&str) -> usize) -> Option<Chart> {
    let (mut marks, mut labels) = (Vec::new(), Vec::new());
    let (mut silent, mut without_place, mut thin) = (Vec::new(), Vec::new(), Vec::new());
    let (mut limits, mut limit_marks) = (Vec::new(), Vec::new());
    for column in &task.columns {
        let colour = number(&column.name);
        let curves: Vec<Curve> = column.runs.iter().filter_map(|run| quantity.of(run)).collect();
        if curves.is_empty() {
            silent.push(column.name.as_str());
            continue;
        }
        let Some(told) = summary(&curves, quantity.scale) else {
            without_place.push(column.name.as_str());
            continue;
        };
        let last = told.middle.points().last();
        labels.extend(last.map(|at| Label {
            text: column.name.clone(),
            at,
            colour: Some(colour),
            layer: Layer::Fixed,
        }));
        thin.extend(told.thins().map(|(last, most)| format!("{last} of {most} of {}", column.name)));
        marks.extend(Mark::of_summary(&told, colour, Layer::Fixed, &column.name));
        if let Some(expected) = quantity.expected.and_then(|tag| of_tag(column, tag, quantity.scale)) {
            let name = format!("{}, predicted", column.name);
            marks.push(Mark::new(Shape::Dashes(expected.middle), Some(colour), Layer::Fixed, name));
        }
        if let Some(limit) = column.max_kl.filter(|_| quantity.id == "kl-mean") {
            let name = format!("{}, limit", column.name);
            let mark = |shape| Mark::new(shape, Some(colour), Layer::Fixed, name);
            // One on the mean over dimensions is told as one on their sum as well, which is what is drawn.
            let told = of_tag(column, "train/max_kl_sum", quantity.scale);
            let told = told.or_else(|| of_tag(column, "train/max_kl", quantity.scale));
            match (told, limit) {
                // Where a schedule, or the advantages, make it another one from update to update.
                (Some(told), _) if !is_level(&told.middle) => {
                    limits.extend(&told.middle.y);
                    limit_marks.push(mark(Shape::Dashes(told.middle)));
                }
                (Some(told), _) => {
                    limits.push(told.middle.y[0]);
                    limit_marks.push(mark(Shape::Level(told.middle.y[0])));
                }
                (None, Limit::Constant(limit)) => {
                    limits.push(limit);
                    limit_marks.push(mark(Shape::Level(limit)));
                }
                (None, Limit::Changing) => {}
            }
        }
    }
    let points: Vec<(f64, f64)> = marks.iter().flat_map(Mark::extent).collect();
    if points.is_empty() {
        return None;
    }
    let mut notes = Vec::new();
    if quantity.expected.is_some() && marks.iter().any(|mark| matches!(mark.shape, Shape::Dashes(_))) {
        notes.push("Broken: what the linear model promised.".to_owned());
    }
    if !limits.is_empty() {
        notes.push("Dotted: the limit that the algorithm sets itself; broken where it changes.".to_owned());
    }
    if !quantity.about.is_empty() {
        notes.push(quantity.about.to_owned());
    }
    if !thin.is_empty() {
        notes.push(format!(
            "Lines go as far as the longest run; at their ends they are of {}.",
            thin.join(", ")
        ));
    }
    if !without_place.is_empty() {
        notes.push(format!("Never above 0 for {}.", without_place.join(", ")));
    }
    if !silent.is_empty() {
        notes.push(format!("Not reported by {}.", silent.join(", ")));
    }
    let values = points.iter().map(|(_, y)| *y).chain(limits);
    if let Some(least) = quantity.least.filter(|least| values.clone().any(|y| y < *least)) {
        notes.push(format!("Cut off below {}.", value(least)));
    }
    let values = values.map(|y| quantity.least.map_or(y, |least| y.max(least)));
    let y = Axis::over(quantity.unit, values, quantity.scale, 0.05);
    marks.splice(0..0, limit_marks);
    Some(Chart {
        id: format!("trust-{}", quantity.id),
        title: quantity.title.to_owned(),
        note: notes.join(" "),
        x: Axis::over("environment steps", [0.0, horizon], Scale::Linear, 0.0),
        y,
        marks,
        labels,
        height: 170.0,
    })
}

/// Whether a curve has one value throughout.
fn is_level(curve: &Curve) -> bool {
    curve.y.windows(2).all(|pair| pair[0].to_bits() == pair[1].to_bits())
}

/// The median over a column's runs of what they told under a name, and where 80 % of them lie.
fn of_tag(column: &Column, tag: &str, scale: Scale) -> Option<Summary> {
    let curves: Vec<Curve> = column.runs.iter().filter_map(|run| run.scalar(tag).cloned()).collect();
    summary(&curves, scale)
}

/// The same of curves; `None` where no value has a place on the axis.
fn summary(curves: &[Curve], scale: Scale) -> Option<Summary> {
    let fits = |y: &f64| scale == Scale::Linear || *y > 0.0;
    let curves: Vec<Curve> =
        curves.iter().map(|curve| Curve::new(curve.points().filter(|(_, y)| fits(y)))).collect();
    let curves: Vec<&Curve> = curves.iter().filter(|curve| !curve.is_empty()).collect();
    let summary = match curves[..] {
        [one] => Summary {
            middle: one.thinned(2 * POINTS),
            ends: vec![None; one.x.len().min(2 * POINTS)],
            counts: vec![1; one.x.len().min(2 * POINTS)],
        },
        _ => with_quantiles(&curves, POINTS, (0.1, 0.9)),
    };
    (!summary.middle.is_empty()).then_some(summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limit of an algorithm that tests one is drawn: as a level, or as it was from update to update; of one that tests none nothing is.
    #[test]
    fn limits_are_those_of_the_updates() {
        let curve = |values: [f64; 3]| Curve::new([1.0, 2.0, 3.0].into_iter().zip(values));
        let shapes = |max_kl: Option<Limit>, told: Option<[f64; 3]>| {
            let mut scalars = vec![("train/approx_kl".to_owned(), curve([0.01, 0.02, 0.01]))];
            scalars.extend(told.map(|told| ("train/max_kl".to_owned(), curve(told))));
            let run = Run { scalars, clock: curve([1.0, 2.0, 3.0]), ..Run::default() };
            let column = Column { name: "trpo".to_owned(), runs: vec![run], max_kl, ..Column::default() };
            let task = Task { columns: vec![column], ..Task::default() };
            let marks = charts(&task, &|_| 0).remove(0).marks;
            let limits = marks.into_iter().filter(|mark| mark.name == "trpo, limit");
            limits.map(|mark| mark.shape).collect::<Vec<_>>()
        };
        let constant = Some(Limit::Constant(0.02));
        assert!(matches!(shapes(constant, None)[..], [Shape::Level(0.02)]));
        assert!(matches!(shapes(constant, Some([0.02; 3]))[..], [Shape::Level(0.02)]));
        let falling = [0.02, 0.015, 0.01];
        for limit in [constant, Some(Limit::Changing)] {
            let [Shape::Dashes(drawn)] = &shapes(limit, Some(falling))[..] else { panic!("no curve") };
            assert_eq!(drawn.y, falling);
        }
        assert!(shapes(Some(Limit::Changing), None).is_empty());
        assert!(shapes(None, Some(falling)).is_empty());
    }

    /// Runs of one group need not be equally long: what the longer ones told is not left out, and a value that has no place on an axis is not silence.
    #[test]
    fn short_runs_hide_nothing() {
        let run = |values: &[(f64, f64)]| Run {
            scalars: vec![
                ("train/cg_residual".to_owned(), Curve::new(values.iter().map(|(x, y)| (*x, 0.5 * y)))),
                ("train/grad_norm".to_owned(), Curve::new(values.iter().copied())),
            ],
            ..Run::default()
        };
        let charts_of = |runs: Vec<Run>| {
            let column = Column { name: "trpo".to_owned(), runs, ..Column::default() };
            charts(&Task { columns: vec![column], ..Task::default() }, &|_| 0)
        };
        let charts = charts_of(vec![run(&[(1.0, 2.0), (2.0, 4.0)]), run(&[(3.0, 8.0), (4.0, 8.0)])]);
        let line = |chart: &Chart| {
            chart
                .marks
                .iter()
                .find_map(|mark| if let Shape::Line(line) = &mark.shape { Some(line.clone()) } else { None })
                .unwrap()
        };
        assert_eq!(line(&charts[1]), Curve::new([(1.0, 2.0), (2.0, 4.0), (3.0, 8.0), (4.0, 8.0)]));
        // A share is one of the same update's gradient.
        assert_eq!(line(&charts[0]).y, [0.5; 4]);
        let (mut none, some) = (run(&[(1.0, 2.0)]), run(&[(1.0, 2.0), (2.0, 2.0)]));
        none.scalars[0].1 = Curve::new([(1.0, 0.0)]);
        let column =
            |name: &str, run: Run| Column { name: name.to_owned(), runs: vec![run], ..Column::default() };
        let columns = vec![column("exact", none), column("trpo", some)];
        let chart = super::charts(&Task { columns, ..Task::default() }, &|_| 0).remove(0);
        assert_eq!(chart.note, "Never above 0 for exact.");
        let charts = charts_of(vec![run(&[(1.0, 2.0), (2.0, 4.0)]), run(&[(1.0, 8.0)])]);
        assert!(charts[0].note.contains("at their ends they are of 1 of 2 of trpo"), "{}", charts[0].note);
    }

    #[test]
    fn who_reports_nothing_is_named() {
        let clock = Curve::new([(1.0, 1.0), (2.0, 2.0)]);
        let run = |tag: &str| Run {
            scalars: vec![(tag.to_owned(), clock.clone())],
            clock: clock.clone(),
            ..Run::default()
        };
        let column = |name: &str, tag: &str| Column {
            name: name.to_owned(),
            runs: vec![run(tag)],
            ..Column::default()
        };
        let columns = vec![column("trpo", "train/backtracks"), column("ppo", "train/clip_fraction")];
        let task = Task { columns, ..Task::default() };
        let charts = charts(&task, &|_| 0);
        let notes: Vec<&str> = charts.iter().map(|chart| chart.note.as_str()).collect();
        assert_eq!(notes, ["Not reported by ppo.", "Not reported by trpo."]);
        assert!(charts.windows(2).all(|pair| pair[0].x == pair[1].x), "axes differ");
    }
}
