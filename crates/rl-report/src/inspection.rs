//! One update under the microscope: surrogate and divergence along its step, true and as the local models have them.

use std::fmt::Write;

use crate::chart::{Chart, Label, Layer, Mark, Shape};
use crate::curve::Curve;
use crate::html::escaped;
use crate::page::document;
use crate::scale::{Axis, Scale};
use crate::svg::stacked;

/// Colours: what is true, what a model says, what was accepted, what was refused.
const TRUE: usize = 0;
const MODEL: usize = 1;
const ACCEPTED: usize = 2;
const REFUSED: usize = 3;

/// The policy at one place along the step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Place {
    /// How far: 0 the old policy, 1 the new one.
    pub fraction: f64,
    /// What the surrogate objective gains.
    pub gain: f64,
    /// Mean KL(old‖this), in nats.
    pub kl: f64,
    /// The largest over states.
    pub kl_max: f64,
    /// The mean entropy.
    pub entropy: f64,
}

/// One update, looked at along its step.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    /// Which update of which run.
    pub title: String,
    /// What the way is: an accepted step, or a displacement.
    pub along: String,
    /// What else is known, as name and value.
    pub facts: Vec<(String, String)>,
    /// Places along the step, with rising fractions.
    pub places: Vec<Place>,
    /// The linear model: what the surrogate gains by the whole step.
    pub slope: f64,
    /// The quadratic model: the mean divergence is half of this for the whole step, and grows with the square.
    pub curvature: f64,
    /// What a line search tried, with whether it was accepted; empty where there was none.
    pub candidates: Vec<(Place, bool)>,
    /// The limit on the mean divergence that the algorithm set itself at this update, and what it is called.
    pub limit: Option<(f64, String)>,
    /// Where what is drawn is not all that the algorithm looked at: sentences for the page.
    pub remarks: Vec<String>,
}

impl Inspection {
    /// Its charts.
    pub fn charts(&self) -> Vec<Chart> {
        let gain = self.chart(
            "surrogate",
            "Gain in the surrogate",
            "advantages",
            |place| place.gain,
            Some(("linear model", &|t| t * self.slope)),
        );
        let kl = |t: f64| 0.5 * t * t * self.curvature;
        let mut divergence =
            self.chart("kl", "Mean KL(old, new)", "nats", |place| place.kl, Some(("quadratic model", &kl)));
        if let Some((limit, name)) = &self.limit {
            divergence.marks.insert(0, Mark::new(Shape::Level(*limit), None, Layer::Fixed, name.clone()));
            let at = (divergence.x.high, *limit);
            divergence.labels.push(Label { text: name.clone(), at, colour: None, layer: Layer::Fixed });
        }
        let largest = self.chart("kl-max", "Largest KL of a state", "nats", |place| place.kl_max, None);
        let entropy = self.chart("entropy", "Entropy", "nats", |place| place.entropy, None);
        vec![gain, divergence, largest, entropy]
    }

    /// The page of it.
    pub fn page(&self, program: &str) -> String {
        let mut body = format!(
            "<header class=\"wrap\"><h1>{}</h1><p>{}</p></header><main class=\"wrap\">",
            escaped(&self.title),
            escaped(&self.about())
        );
        let figures: String = self.charts().iter().map(Chart::to_html).collect();
        // Writing to a string cannot fail.
        let _ = write!(
            body,
            "<div class=\"grid\">{figures}</div><h3>The update</h3><div class=\"scroll\"><table><tbody>"
        );
        for (name, value) in &self.facts {
            let _ = write!(body, "<tr><th>{}</th><td>{}</td></tr>", escaped(name), escaped(value));
        }
        let _ = write!(
            body,
            "</tbody></table></div></main><footer class=\"wrap\">Made by {}. Everything is in this file.</footer>",
            escaped(program)
        );
        document(&self.title, &body, "stat-iqm", 0)
    }

    /// Surrogate and divergence as one picture.
    pub fn to_svg(&self) -> String {
        stacked(&self.title, &self.charts()[..2])
    }

    fn about(&self) -> String {
        let search = if self.candidates.is_empty() { "" } else { " Dots are what the line search tried." };
        format!(
            "The policy along the straight line from the old parameters (0) to the new ones (1), over the update's own batch. Broken lines are the local \
             models at the old parameters: the surrogate to first order, the divergence to second.{search}{}",
            self.remarks.iter().map(|remark| format!(" {remark}")).collect::<String>()
        )
    }

    fn chart(
        &self,
        id: &str,
        title: &str,
        unit: &str,
        of: impl Fn(&Place) -> f64,
        model: Option<(&str, &dyn Fn(f64) -> f64)>,
    ) -> Chart {
        let truth = Curve::new(self.places.iter().map(|place| (place.fraction, of(place))));
        let mut labels: Vec<Label> = Vec::new();
        let mut label = |text: &str, at: Option<(f64, f64)>, colour: usize| {
            labels.extend(at.map(|at| Label {
                text: text.to_owned(),
                at,
                colour: Some(colour),
                layer: Layer::Fixed,
            }));
        };
        label("true", truth.points().last(), TRUE);
        let mut marks = vec![Mark::new(Shape::Place(1.0), None, Layer::Fixed, "the update")];
        if let Some((name, model)) = model {
            let curve = Curve::new(truth.x.iter().map(|&t| (t, model(t))));
            label(name, curve.points().last(), MODEL);
            marks.push(Mark::new(Shape::Dashes(curve), Some(MODEL), Layer::Fixed, name));
        }
        // Models may go far beyond what is true.
        let values = truth
            .y
            .iter()
            .copied()
            .chain(self.limit.as_ref().map(|(limit, _)| *limit).filter(|_| id == "kl"))
            .chain([0.0].into_iter().filter(|_| id != "entropy"));
        let highest = truth.y.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let modelled = marks
            .iter()
            .flat_map(Mark::extent)
            .map(|(_, y)| y)
            .filter(|y| *y <= highest + 0.6 * highest.abs());
        let y = Axis::over(unit, values.chain(modelled).collect::<Vec<_>>(), Scale::Linear, 0.05);
        marks.push(Mark::new(Shape::Line(truth), Some(TRUE), Layer::Fixed, "true"));
        for (accepted, colour, name) in [(false, REFUSED, "refused"), (true, ACCEPTED, "accepted")] {
            let tried = self.candidates.iter().filter(|(_, was)| *was == accepted);
            let points: Vec<(f64, f64)> = tried.map(|(place, _)| (place.fraction, of(place))).collect();
            label(name, points.first().copied(), colour);
            if !points.is_empty() {
                marks.push(Mark::new(Shape::Dots(points), Some(colour), Layer::Fixed, name));
            }
        }
        Chart {
            id: id.to_owned(),
            title: title.to_owned(),
            note: String::new(),
            x: Axis::over(
                self.along.clone(),
                self.places.iter().map(|place| place.fraction),
                Scale::Linear,
                0.0,
            ),
            y,
            marks,
            labels,
            height: 240.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_and_candidates_are_drawn() {
        let place = |t: f64| Place {
            fraction: t,
            gain: t - 0.2 * t * t,
            kl: 0.01 * t * t,
            kl_max: 0.1 * t,
            entropy: 1.0,
        };
        let places: Vec<Place> = (0..=15).map(|i| place(f64::from(i) / 10.0)).collect();
        let candidates = vec![(place(1.25), false), (place(1.0), true)];
        let inspection = Inspection {
            title: "update 3".into(),
            along: "share of the accepted step".into(),
            places,
            slope: 1.0,
            curvature: 0.02,
            candidates,
            limit: Some((0.012, "limit δ".into())),
            remarks: vec!["Without the bonus.".into()],
            ..Inspection::default()
        };
        let page = inspection.page("rl");
        for part in
            ["linear model", "quadratic model", "limit δ", "refused", "accepted", "Without the bonus."]
        {
            assert!(page.contains(part), "{part} is missing");
        }
        // Where the model is exact, both lines are the same one.
        let charts = inspection.charts();
        let line = |shape: fn(&Shape) -> Option<&Curve>| {
            charts[1].marks.iter().find_map(|mark| shape(&mark.shape)).unwrap()
        };
        let truth = line(|shape| if let Shape::Line(curve) = shape { Some(curve) } else { None });
        let model = line(|shape| if let Shape::Dashes(curve) = shape { Some(curve) } else { None });
        assert!(truth.y.iter().zip(&model.y).all(|(a, b)| (a - b).abs() < 1e-12));
        assert_eq!(inspection.to_svg().matches("<svg ").count(), 3);
    }
}
