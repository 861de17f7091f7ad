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
/// The most that names may take at either side.
const MOST_MARGIN: f64 = 170.0;
/// The width of a letter, about.
const LETTER: f64 = 7.0;
/// The height of a line of a legend or a note.
const LINE: f64 = 17.0;
/// The strokes of columns that share a colour, in turn.
const STROKES: [&str; 4] = ["", "9 4", "3 3", "9 3 2 3"];

/// Where the plot lies in the picture.
struct Frame<'c> {
    chart: &'c Chart,
    left: f64,
    right: f64,
    height: f64,
}

impl Chart {
    /// The chart as an SVG document of 640 pixels' width, on white, with the layers a reader of paper can see: the IQM where there is one, else the
    /// mean, and single runs. Below it stand its note, and a legend where its lines have no names beside them.
    pub fn to_svg(&self) -> String {
        let longest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0) as f64;
        let ticks = self.y.ticks();
        let margin = |letters: f64| (16.0 + LETTER * letters).min(MOST_MARGIN);
        let left = margin(longest(&mut ticks.iter().map(|(_, text)| text.chars().count())));
        let right = margin(longest(&mut self.labels.iter().map(|label| label.text.chars().count())));
        let frame = Frame { chart: self, left, right: WIDTH - right, height: self.height };
        let (total, id) = (self.svg_height(), slug(&self.id));
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
                let x = frame.x(label.at.0) + 8.0;
                let _ = writeln!(
                    svg,
                    "<text x=\"{x:.1}\" y=\"{:.1}\" dominant-baseline=\"central\" font-weight=\"600\" stroke=\"#fff\" stroke-width=\"3\" paint-order=\"stroke\" fill=\"{}\">{}</text>",
                    TOP + self.height * (1.0 - place),
                    colour(label.colour),
                    shortened(&label.text, WIDTH - x)
                );
            }
        }
        svg += &self.below(left);
        svg + "</svg>\n"
    }

    /// The height of the document.
    fn svg_height(&self) -> f64 {
        TOP + self.height + BELOW + LINE * (self.legend().len() + wrapped(&self.note).len()) as f64
    }

    /// The lines that have no names beside them: name and number of the colour.
    fn legend(&self) -> Vec<(&str, usize)> {
        let mut lines: Vec<(&str, usize)> = Vec::new();
        for mark in self.marks.iter().filter(|_| self.labels.is_empty() && self.y.names.is_empty()) {
            if let (Shape::Line(_), Some(number)) = (&mark.shape, mark.colour)
                && !lines.contains(&(&*mark.name, number))
            {
                lines.push((&mark.name, number));
            }
        }
        lines
    }

    /// Legend and note.
    fn below(&self, left: f64) -> String {
        let (mut svg, mut y) = (String::new(), TOP + self.height + BELOW + 8.0);
        for (name, number) in self.legend() {
            let _ = writeln!(
                svg,
                "<path d=\"M{left:.1} {y:.1}h22\" stroke=\"{}\" stroke-width=\"2\"{}/><text x=\"{:.1}\" y=\"{y:.1}\" dominant-baseline=\"central\">{}</text>",
                colour(Some(number)),
                stroke(Some(number)),
                left + 30.0,
                shortened(name, WIDTH - left - 30.0)
            );
            y += LINE;
        }
        for line in wrapped(&self.note) {
            let _ = writeln!(svg, "<text x=\"16\" y=\"{y:.1}\" fill=\"#555\">{}</text>", escaped(&line));
            y += LINE;
        }
        svg
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
            let text = shortened(&text, left - 8.0);
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
                let strokes = stroke(mark.colour);
                format!("<path d=\"{}\" stroke=\"{colour}\" stroke-width=\"2\"{strokes}/>\n", line(curve))
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
        total += chart.svg_height();
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{total}\" viewBox=\"0 0 {WIDTH} {total}\">\n<title>{}</title>\n{inner}</svg>\n",
        escaped(title)
    )
}

/// A text that fits into a width, as an element's content: the whole of it is its title where that is more.
fn shortened(text: &str, width: f64) -> String {
    let fitting = (width / LETTER) as usize;
    if text.chars().count() <= fitting {
        return escaped(text);
    }
    // Names that begin alike often end differently.
    let letters: Vec<char> = text.chars().collect();
    let (head, tail) = (fitting.saturating_sub(1).div_ceil(2), fitting.saturating_sub(1) / 2);
    let shown: String =
        letters[..head].iter().chain(['…'].iter()).chain(&letters[letters.len() - tail..]).collect();
    format!("{}<title>{}</title>", escaped(&shown), escaped(text))
}

/// A text in lines that fit into the document.
fn wrapped(text: &str) -> Vec<String> {
    let most = ((WIDTH - 32.0) / (LETTER - 1.0)) as usize;
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                *line += &format!(" {word}")
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The attribute that tells columns of one colour apart.
fn stroke(number: Option<usize>) -> String {
    match STROKES[number.unwrap_or(0) / COLOURS.len() % STROKES.len()] {
        "" => String::new(),
        dashes => format!(" stroke-dasharray=\"{dashes}\" stroke-linecap=\"butt\""),
    }
}

fn colour(number: Option<usize>) -> &'static str {
    number.map_or("#666", |number| COLOURS[number % COLOURS.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::{Axis, Scale};

    fn chart(name: &str, number: usize) -> Chart {
        let line = Curve::new([(0.0, 0.0), (1.0, 1.0)]);
        Chart {
            id: "a".into(),
            title: "a".into(),
            note: "What must be known to read it, in a sentence that is longer than a line of the picture may be, and then another.".into(),
            x: Axis::over("", [0.0, 1.0], Scale::Linear, 0.0),
            y: Axis::over("", [0.0, 1.0], Scale::Linear, 0.0),
            marks: vec![Mark::new(Shape::Line(line), Some(number), Layer::Fixed, name)],
            labels: Vec::new(),
            height: 100.0,
        }
    }

    /// A file of its own says all that is needed to read it.
    #[test]
    fn a_picture_is_read_by_itself() {
        let svg = chart("trpo & co", 8).to_svg();
        assert!(svg.contains(">trpo &amp; co</text>"), "no legend: {svg}");
        assert!(
            svg.contains(">What must be known") && svg.matches("fill=\"#555\"").count() >= 4,
            "no note: {svg}"
        );
        // The line, and that of the legend: the colour is the second column's as well.
        assert_eq!(svg.matches("stroke-dasharray=\"9 4\"").count(), 2);
        assert!(!chart("a", 1).to_svg().contains("stroke-dasharray"));
        let labelled = Chart { note: String::new(), ..chart("b", 0) };
        let more = chart("a", 0).svg_height() - labelled.svg_height();
        assert!((more - 2.0 * LINE).abs() < 1e-9, "{more}");
    }

    #[test]
    fn long_names_leave_room_for_the_picture() {
        let long = "trpo:".to_owned() + &"backtrack_coeff=0.5,".repeat(10);
        let mut chart = chart(&long, 0);
        chart.labels = vec![crate::chart::Label {
            text: long.clone(),
            at: (1.0, 0.5),
            colour: Some(0),
            layer: Layer::Fixed,
        }];
        let svg = chart.to_svg();
        assert!(
            svg.contains(&format!("eff=0.5,<title>{long}</title>")) && svg.contains(">trpo:backt"),
            "{svg}"
        );
        let width =
            svg.split("width=\"").filter_map(|rest| rest.split('"').next()?.parse::<f64>().ok()).nth(1);
        assert!(width.is_some_and(|width| width > 400.0), "{width:?}: {svg}");
    }
}
