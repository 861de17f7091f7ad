//! A chart as a file of its own, for papers and slides.

use std::fmt::Write;

use crate::chart::{Chart, Layer, Mark, Shape};
use crate::curve::Curve;
use crate::html::escaped;
use crate::panels::slug;

/// The colours of Okabe and Ito that can be told apart on white by everybody, in the order in which columns get them.
pub const COLOURS: [&str; 7] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A6A00"];

const WIDTH: f64 = 640.0;
const TOP: f64 = 52.0;
const BELOW: f64 = 46.0;

/// Where the plot lies in the picture.
struct Frame<'c> {
    chart: &'c Chart,
    left: f64,
    right: f64,
    height: f64,
}

impl Chart {
    /// The chart as an SVG document of 640 pixels' width, on white, with the layers a reader of paper can see: the IQM where there is one, else the
    /// mean, and single runs.
    pub fn to_svg(&self) -> String {
        let longest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0) as f64;
        let ticks = self.y.ticks();
        let left = 16.0 + 7.0 * longest(&mut ticks.iter().map(|(_, text)| text.chars().count()));
        let right = 16.0 + 7.0 * longest(&mut self.labels.iter().map(|label| label.text.chars().count()));
        let frame = Frame { chart: self, left, right: WIDTH - right, height: self.height };
        let (total, id) = (TOP + self.height + BELOW, slug(&self.id));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{total}\" viewBox=\"0 0 {WIDTH} {total}\" \
             font-family=\"Inter, Helvetica, Arial, 'DejaVu Sans', sans-serif\" font-size=\"12\" fill=\"#222\">\n\
             <title>{}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
            escaped(&self.title)
        );
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<text x=\"{left:.1}\" y=\"20\" font-size=\"14\" font-weight=\"600\">{}</text>\n\
             <text x=\"{left:.1}\" y=\"40\" fill=\"#555\">{}</text>",
            escaped(&self.title),
            escaped(&self.y.label)
        );
        svg += &frame.axes();
        let _ = writeln!(
            svg,
            "<clipPath id=\"{id}\"><rect x=\"{left:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\"/></clipPath>\n<g clip-path=\"url(#{id})\" fill=\"none\" \
             stroke-linejoin=\"round\" stroke-linecap=\"round\">",
            TOP - 4.0,
            frame.right - left,
            self.height + 8.0
        );
        let shown = self.shown();
        for mark in self.marks.iter().filter(|mark| shown.contains(&mark.layer)) {
            svg += &frame.mark(mark);
        }
        svg += "</g>\n";
        for (label, place) in self.labels.iter().zip(self.label_places(15.0)) {
            if shown.contains(&label.layer) {
                let _ = writeln!(
                    svg,
                    "<text x=\"{:.1}\" y=\"{:.1}\" dominant-baseline=\"central\" font-weight=\"600\" stroke=\"#fff\" stroke-width=\"3\" paint-order=\"stroke\" fill=\"{}\">{}</text>",
                    frame.x(label.at.0) + 8.0,
                    TOP + self.height * (1.0 - place),
                    colour(label.colour),
                    escaped(&label.text)
                );
            }
        }
        svg + "</svg>\n"
    }

    fn shown(&self) -> Vec<Layer> {
        let has = |layer| self.marks.iter().any(|mark| mark.layer == layer);
        let statistic = if has(Layer::Iqm) { Layer::Iqm } else { Layer::Mean };
        vec![Layer::Fixed, Layer::Seeds, statistic]
    }
}

impl Frame<'_> {
    fn x(&self, value: f64) -> f64 {
        self.left + (self.right - self.left) * self.chart.x.place(value)
    }

    fn y(&self, value: f64) -> f64 {
        let place = self.chart.y.place(value);
        TOP + self.height * (1.0 - if place.is_nan() { -1.0 } else { place })
    }

    fn axes(&self) -> String {
        let Frame { chart, left, right, height } = self;
        let mut svg = String::new();
        for (at, text) in chart.y.ticks() {
            let y = self.y(at);
            if chart.y.names.is_empty() {
                let _ = writeln!(svg, "<path d=\"M{left:.1} {y:.1}H{right:.1}\" stroke=\"#e3e3e3\"/>");
            }
            let x = left - 8.0;
            let text = escaped(&text);
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\" dominant-baseline=\"central\">{text}</text>"
            );
        }
        for (at, text) in chart.x.ticks() {
            let (x, bottom) = (self.x(at), TOP + height);
            if !chart.y.names.is_empty() {
                let _ = writeln!(svg, "<path d=\"M{x:.1} {TOP}V{bottom}\" stroke=\"#e3e3e3\"/>");
            }
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                bottom + 18.0,
                escaped(&text)
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{right:.1}\" y=\"{}\" text-anchor=\"end\" fill=\"#555\">{}</text>",
            TOP + height + 38.0,
            escaped(&chart.x.label)
        );
        svg
    }

    fn mark(&self, mark: &Mark) -> String {
        let colour = colour(mark.colour);
        let line = |curve: &Curve| self.path(curve.points());
        match &mark.shape {
            Shape::Line(curve) => {
                format!("<path d=\"{}\" stroke=\"{colour}\" stroke-width=\"2\"/>\n", line(curve))
            }
            Shape::Dashes(curve) => {
                format!(
                    "<path d=\"{}\" stroke=\"{colour}\" stroke-width=\"1.6\" stroke-dasharray=\"5 4\"/>\n",
                    line(curve)
                )
            }
            Shape::Thread(curve) => {
                format!(
                    "<path d=\"{}\" stroke=\"{colour}\" stroke-width=\"0.8\" stroke-opacity=\"0.25\"/>\n",
                    line(curve)
                )
            }
            Shape::Band(band) => {
                let upper = band.iter().map(|(x, _, high)| (*x, *high));
                let lower = band.iter().rev().map(|(x, low, _)| (*x, *low));
                format!(
                    "<path d=\"{}Z\" fill=\"{colour}\" fill-opacity=\"0.16\"/>\n",
                    self.path(upper.chain(lower))
                )
            }
            Shape::Specks(points) => {
                self.circles(points, 3.0, &format!("fill=\"{colour}\" fill-opacity=\"0.35\""))
            }
            Shape::Dots(points) => self.circles(points, 4.5, &format!("fill=\"{colour}\"")),
            Shape::Bar(from, to) => {
                format!(
                    "<path d=\"{}\" stroke=\"{colour}\" stroke-width=\"3\"/>\n",
                    self.path([*from, *to].into_iter())
                )
            }
            Shape::Block(from, to) => {
                let d = self.path([*from, *to].into_iter());
                format!("<path d=\"{d}\" stroke=\"{colour}\" stroke-width=\"16\" stroke-linecap=\"butt\"/>\n")
            }
            Shape::Level(y) => {
                let (y, Frame { left, right, .. }) = (self.y(*y), self);
                format!(
                    "<path d=\"M{left:.1} {y:.1}H{right:.1}\" stroke=\"{colour}\" stroke-dasharray=\"2 4\"/>\n"
                )
            }
            Shape::Place(x) => {
                let (x, bottom) = (self.x(*x), TOP + self.height);
                format!(
                    "<path d=\"M{x:.1} {TOP}V{bottom:.1}\" stroke=\"{colour}\" stroke-dasharray=\"2 4\"/>\n"
                )
            }
        }
    }

    fn path(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let point =
            |(i, (x, y))| format!("{}{:.1} {:.1}", if i == 0 { "M" } else { "L" }, self.x(x), self.y(y));
        points.enumerate().map(point).collect()
    }

    fn circles(&self, points: &[(f64, f64)], radius: f64, how: &str) -> String {
        let circle = |(x, y): &(f64, f64)| {
            format!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\" stroke=\"none\" {how}/>\n",
                self.x(*x),
                self.y(*y)
            )
        };
        points.iter().map(circle).collect()
    }
}

/// Charts one below the other, as one document.
pub(crate) fn stacked(title: &str, charts: &[Chart]) -> String {
    let (mut inner, mut total) = (String::new(), 0.0);
    for chart in charts {
        inner += &chart.to_svg().replacen("<svg ", &format!("<svg y=\"{total}\" "), 1);
        total += TOP + chart.height + BELOW;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{total}\" viewBox=\"0 0 {WIDTH} {total}\">\n<title>{}</title>\n{inner}</svg>\n",
        escaped(title)
    )
}

fn colour(number: Option<usize>) -> &'static str {
    number.map_or("#666", |number| COLOURS[number % COLOURS.len()])
}
