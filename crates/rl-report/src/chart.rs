//! A chart as data: axes, and what is drawn between them.

use crate::curve::{Curve, Summary};
use crate::scale::Axis;

/// What a mark belongs to, by which a page shows and hides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Always there.
    Fixed,
    /// Single runs.
    Seeds,
    /// The interquartile mean and its interval.
    Iqm,
    /// The mean and its interval.
    Mean,
}

impl Layer {
    /// Its name as a class.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Layer::Fixed => "fixed",
            Layer::Seeds => "seeds",
            Layer::Iqm => "iqm",
            Layer::Mean => "mean",
        }
    }
}

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A line through points.
    Line(Curve),
    /// The same, broken.
    Dashes(Curve),
    /// A thin line through points.
    Thread(Curve),
    /// An area between two values at every place.
    Band(Vec<(f64, f64, f64)>),
    /// Small points, through which one sees others.
    Specks(Vec<(f64, f64)>),
    /// Large points.
    Dots(Vec<(f64, f64)>),
    /// A thick line from a point to another.
    Bar((f64, f64), (f64, f64)),
    /// A broad one, without round ends.
    Block((f64, f64), (f64, f64)),
    /// A thin line over the whole width at a value.
    Level(f64),
    /// A thin line over the whole height at a place.
    Place(f64),
}

/// One thing that is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// What.
    pub shape: Shape,
    /// The number of its colour, which is that of its column; `None` for what belongs to none.
    pub colour: Option<usize>,
    /// When a page shows it.
    pub layer: Layer,
    /// What it is called.
    pub name: String,
}

/// A picture with two axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// The name of its file, and of its place in a page.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// What must be known to read it.
    pub note: String,
    /// To the right.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// What is drawn, the first undermost.
    pub marks: Vec<Mark>,
    /// A text at the end of the lines of this colour and layer.
    pub labels: Vec<Label>,
    /// Its height in pixels without the texts around it.
    pub height: f64,
}

/// A text that stands at the right end of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// What it says.
    pub text: String,
    /// The point to the right of which it stands.
    pub at: (f64, f64),
    /// Its colour.
    pub colour: Option<usize>,
    /// When it is shown.
    pub layer: Layer,
}

impl Mark {
    /// A mark of a column.
    pub fn new(shape: Shape, colour: Option<usize>, layer: Layer, name: impl Into<String>) -> Self {
        Mark { shape, colour, layer, name: name.into() }
    }

    /// A summary of many runs: its band, and the line over it.
    pub(crate) fn of_summary(summary: &Summary, colour: usize, layer: Layer, name: &str) -> Vec<Mark> {
        let bands =
            summary.bands().into_iter().map(|band| Mark::new(Shape::Band(band), Some(colour), layer, name));
        let middle = Some(&summary.middle).filter(|middle| !middle.is_empty());
        let line = middle.map(|middle| Mark::new(Shape::Line(middle.clone()), Some(colour), layer, name));
        bands.chain(line).collect()
    }

    /// The points it reaches to.
    pub(crate) fn extent(&self) -> Vec<(f64, f64)> {
        match &self.shape {
            Shape::Line(curve) | Shape::Dashes(curve) | Shape::Thread(curve) => curve.points().collect(),
            Shape::Band(band) => band.iter().flat_map(|(x, low, high)| [(*x, *low), (*x, *high)]).collect(),
            Shape::Specks(points) | Shape::Dots(points) => points.clone(),
            Shape::Bar(from, to) | Shape::Block(from, to) => vec![*from, *to],
            Shape::Level(_) | Shape::Place(_) => Vec::new(),
        }
    }
}

impl Chart {
    /// The heights at which its labels stand, from 0 at the bottom to 1, moved apart where they would cover each other; in the order of `labels`.
    /// Labels of different layers that are never shown together do not move each other.
    pub(crate) fn label_places(&self, text_height: f64) -> Vec<f64> {
        let mut places: Vec<f64> =
            self.labels.iter().map(|label| self.y.place(label.at.1).clamp(0.0, 1.0)).collect();
        for layer in [Layer::Fixed, Layer::Iqm, Layer::Mean] {
            let mut order: Vec<usize> =
                (0..places.len()).filter(|&i| self.labels[i].layer == layer).collect();
            order.sort_by(|&a, &b| places[a].total_cmp(&places[b]));
            let apart = text_height / self.height;
            for pair in order.windows(2) {
                places[pair[1]] = places[pair[1]].max(places[pair[0]] + apart);
            }
            // What stands too high moves down, with those below it.
            let mut ceiling = 1.0;
            for &i in order.iter().rev() {
                places[i] = places[i].min(ceiling);
                ceiling = places[i] - apart;
            }
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::Scale;

    #[test]
    fn labels_stand_apart() {
        let label = |at: f64, layer| Label { text: "a".into(), at: (1.0, at), colour: None, layer };
        let chart = Chart {
            id: "a".into(),
            title: String::new(),
            note: String::new(),
            x: Axis::over("", [0.0, 1.0], Scale::Linear, 0.0),
            y: Axis::over("", [0.0, 1.0], Scale::Linear, 0.0),
            marks: Vec::new(),
            labels: vec![
                label(0.99, Layer::Iqm),
                label(1.0, Layer::Iqm),
                label(0.2, Layer::Iqm),
                label(0.99, Layer::Mean),
            ],
            height: 100.0,
        };
        let places = chart.label_places(10.0);
        let expected = [0.9, 1.0, 0.2, 0.99];
        assert!(places.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{places:?}");
    }
}
