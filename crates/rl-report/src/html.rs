//! A chart in a page: shapes in a square of 10,000 by 10,000 that a browser stretches to any width, and texts beside it that it does not stretch.
//!
//! The path of a line is its data: whole numbers, each point given by what it is further than the one before. The page's script reads it.

use std::fmt::Write;

use crate::chart::{Chart, Mark, Shape};
use crate::scale::{Axis, Scale};
use crate::svg::COLOURS;

/// The side of the square.
const SIDE: f64 = 10_000.0;
/// How many sides beyond the square something is drawn at most; the page's script, which reads values from what is drawn, knows it.
const FAR: f64 = 100.0;

/// A text as HTML and SVG take it, also within quotes.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Chart {
    /// The chart as an element of a page.
    pub fn to_html(&self) -> String {
        let mut page = String::new();
        // Writing to a string cannot fail.
        let _ = write!(
            page,
            "<figure class=\"chart\" id=\"{}\" data-x=\"{}\" data-y=\"{}\"><figcaption><b>{}</b>",
            escaped(&self.id),
            of_axis(&self.x),
            of_axis(&self.y),
            escaped(&self.title),
        );
        page += "</figcaption>";
        let _ = write!(page, "<div class=\"unit\">{}</div>", escaped(&self.y.label));
        let names = if self.y.names.is_empty() { "" } else { " named" };
        let _ = write!(page, "<div class=\"plot{names}\" style=\"--h:{}px\"><div class=\"yt\">", self.height);
        // What is placed by hand takes no room, so the names are there once more, unseen.
        self.y.names.iter().for_each(|name| page += &unseen(name));
        for (at, text) in self.y.ticks() {
            let top = 100.0 * (1.0 - self.y.place(at));
            let title = if self.y.names.is_empty() {
                String::new()
            } else {
                format!(" title=\"{}\"", escaped(&text))
            };
            let _ = write!(page, "<span style=\"top:{top:.2}%\"{title}>{}</span>", escaped(&text));
        }
        let _ = write!(
            page,
            "</div><div class=\"area\"><svg viewBox=\"0 0 {SIDE} {SIDE}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">",
            escaped(&self.title)
        );
        let _ = write!(page, "<path class=\"grid\" d=\"{}\"/>", self.grid());
        self.marks.iter().for_each(|mark| page += &self.mark(mark));
        page += "</svg>";
        for (label, place) in self.labels.iter().zip(self.label_places(17.0)) {
            let _ = write!(
                page,
                "<span class=\"end {}{}\" style=\"left:{:.2}%;top:{:.2}%\" title=\"{4}\">{4}</span>",
                label.layer.class(),
                colour(label.colour),
                100.0 * self.x.place(label.at.0).clamp(0.0, 1.0),
                100.0 * (1.0 - place),
                escaped(&label.text)
            );
        }
        page += "</div><div class=\"ends\">";
        self.labels.iter().for_each(|label| page += &unseen(&label.text));
        page += "</div><div class=\"xt\">";
        for (at, text) in self.x.ticks() {
            let _ = write!(
                page,
                "<span style=\"left:{:.2}%\">{}</span>",
                100.0 * self.x.place(at),
                escaped(&text)
            );
        }
        let _ = write!(page, "</div><div class=\"xl\">{}</div></div>", escaped(&self.x.label));
        if !self.note.is_empty() {
            let _ = write!(page, "<p class=\"note\">{}</p>", escaped(&self.note));
        }
        page += "</figure>";
        page
    }

    fn grid(&self) -> String {
        let mut d = String::new();
        if self.y.names.is_empty() {
            for (at, _) in self.y.ticks() {
                let _ = write!(d, "M0 {}h{SIDE}", self.down(at));
            }
        } else {
            for (at, _) in self.x.ticks() {
                let _ = write!(d, "M{} 0v{SIDE}", self.right(at));
            }
        }
        d
    }

    fn mark(&self, mark: &Mark) -> String {
        let (kind, d) = match &mark.shape {
            Shape::Line(curve) => ("line", self.path(curve.points())),
            Shape::Dashes(curve) => ("dash", self.path(curve.points())),
            Shape::Thread(curve) => ("thread", self.path(curve.points())),
            Shape::Band(band) => {
                let upper = band.iter().map(|(x, _, high)| (*x, *high));
                let lower = band.iter().rev().map(|(x, low, _)| (*x, *low));
                ("band", self.path(upper.chain(lower)) + "z")
            }
            Shape::Specks(points) => ("specks", self.dots(points)),
            Shape::Dots(points) => ("dots", self.dots(points)),
            Shape::Bar(from, to) => ("bar", self.path([*from, *to].into_iter())),
            Shape::Block(from, to) => ("block", self.path([*from, *to].into_iter())),
            Shape::Level(y) => ("rule", format!("M0 {}h{SIDE}", self.down(*y))),
            Shape::Place(x) => ("rule", format!("M{} 0v{SIDE}", self.right(*x))),
        };
        let layer = mark.layer.class();
        let name =
            if mark.name.is_empty() { String::new() } else { format!(" data-n=\"{}\"", escaped(&mark.name)) };
        format!("<path class=\"{kind} {layer}{}\"{name} d=\"{d}\"/>", colour(mark.colour))
    }

    /// The first point, then how much further each is than the one before.
    fn path(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let (mut d, mut last) = (String::new(), None);
        for (x, y) in points {
            let (x, y) = (self.right(x), self.down(y));
            let _ = match last {
                None => write!(d, "M{x} {y}l"),
                Some((before_x, before_y)) => {
                    let (dx, dy): (i64, i64) = (x - before_x, y - before_y);
                    let space = if d.ends_with('l') || dx < 0 { "" } else { " " };
                    let between = if dy < 0 { "" } else { " " };
                    write!(d, "{space}{dx}{between}{dy}")
                }
            };
            last = Some((x, y));
        }
        // One point alone is drawn as a dot.
        if d.ends_with('l') { d + "0 0" } else { d }
    }

    fn dots(&self, points: &[(f64, f64)]) -> String {
        points.iter().map(|(x, y)| format!("M{} {}h0", self.right(*x), self.down(*y))).collect()
    }

    fn right(&self, x: f64) -> i64 {
        in_square(self.x.place(x))
    }

    fn down(&self, y: f64) -> i64 {
        in_square(1.0 - self.y.place(y))
    }
}

/// A place in the square; what lies very far outside is drawn nearer, and what has no place, below.
fn in_square(place: f64) -> i64 {
    if place.is_nan() { (1.5 * SIDE) as i64 } else { (place.clamp(-FAR, 1.0 + FAR) * SIDE).round() as i64 }
}

fn of_axis(axis: &Axis) -> String {
    let scale = match (axis.scale, axis.names.is_empty()) {
        (_, false) => "names",
        (Scale::Linear, true) => "linear",
        (Scale::Log, true) => "log",
    };
    format!("{} {} {scale}", axis.low, axis.high)
}

fn unseen(text: &str) -> String {
    format!("<i aria-hidden=\"true\">{}</i>", escaped(text))
}

fn colour(number: Option<usize>) -> String {
    number.map_or(" plain".to_owned(), |number| {
        // Columns that share a colour have other strokes.
        let round = match number / COLOURS.len() {
            0 => String::new(),
            round => format!(" r{}", 1 + (round - 1) % 3),
        };
        format!(" k{number} c{}{round}", number % COLOURS.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::Layer;
    use crate::curve::Curve;

    #[test]
    fn a_path_holds_the_data() {
        let line = Curve::new([(0.0, 0.0), (5.0, 10.0), (10.0, 7.5)]);
        let chart = Chart {
            id: "a".into(),
            title: "a < b".into(),
            note: String::new(),
            x: Axis::over("", [0.0, 10.0], Scale::Linear, 0.0),
            y: Axis::over("", [0.0, 10.0], Scale::Linear, 0.0),
            marks: vec![Mark::new(Shape::Line(line), Some(1), Layer::Iqm, "\"x\"")],
            labels: Vec::new(),
            height: 100.0,
        };
        let html = chart.to_html();
        assert!(html.contains("<path class=\"line iqm k1 c1\" data-n=\"&quot;x&quot;\" d=\"M0 10000l5000-10000 5000 2500\"/>"), "{html}");
        assert!(html.contains("a &lt; b"));
    }
}
