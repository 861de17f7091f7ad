use rl_kernels::elementary::sin_cos;
use tiny_skia::{Color, FillRule, LineCap, Paint, Path, PathBuilder, Pixmap, Stroke, Transform};

use super::Frame;

/// A colour.
pub(super) type Rgb = [u8; 3];

pub(super) const BLACK: Rgb = [0, 0, 0];
pub(super) const WHITE: Rgb = [255, 255, 255];

/// A white sheet to draw on, with `y` upwards and the origin at the bottom left, in pixels.
pub(super) struct Canvas {
    pixels: Pixmap,
}

/// A point or vector in pixels.
pub(super) type Point = (f64, f64);

impl Canvas {
    /// `None` for a sheet without area.
    pub(super) fn new(width: u32, height: u32) -> Option<Self> {
        let mut pixels = Pixmap::new(width, height)?;
        pixels.fill(Color::WHITE);
        Some(Canvas { pixels })
    }

    pub(super) fn fill(&mut self, [r, g, b]: Rgb) {
        self.pixels.fill(Color::from_rgba8(r, g, b, 255));
    }

    pub(super) fn polygon(&mut self, corners: &[Point], color: Rgb) {
        self.fill_path(self.path(corners, true), color);
    }

    /// The axis-aligned rectangle between two corners.
    pub(super) fn rectangle(&mut self, (x0, y0): Point, (x1, y1): Point, color: Rgb) {
        self.polygon(&[(x0, y0), (x0, y1), (x1, y1), (x1, y0)], color);
    }

    pub(super) fn circle(&mut self, (x, y): Point, radius: f64, color: Rgb) {
        let y = f64::from(self.pixels.height()) - y;
        self.fill_path(PathBuilder::from_circle(x as f32, y as f32, radius as f32), color);
    }

    /// A line through all points.
    pub(super) fn line(&mut self, points: &[Point], width: f64, color: Rgb) {
        let Some(path) = self.path(points, false) else {
            return;
        };
        let stroke = Stroke { width: width as f32, line_cap: LineCap::Butt, ..Stroke::default() };
        self.pixels.stroke_path(&path, &paint(color), &stroke, Transform::identity(), None);
    }

    pub(super) fn into_frame(self) -> Frame {
        let (width, height) = (self.pixels.width(), self.pixels.height());
        // Opaque everywhere, so premultiplied is plain.
        let rgb = self.pixels.data().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
        Frame { width, height, rgb }
    }

    fn path(&self, points: &[Point], close: bool) -> Option<Path> {
        let height = f64::from(self.pixels.height());
        let mut path = PathBuilder::new();
        for (i, &(x, y)) in points.iter().enumerate() {
            let (x, y) = (x as f32, (height - y) as f32);
            if i == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
        }
        if close {
            path.close();
        }
        path.finish()
    }

    fn fill_path(&mut self, path: Option<Path>, color: Rgb) {
        if let Some(path) = path {
            self.pixels.fill_path(&path, &paint(color), FillRule::Winding, Transform::identity(), None);
        }
    }
}

fn paint([r, g, b]: Rgb) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(r, g, b, 255);
    paint
}

/// `offset` turned by `angle` (rad, anticlockwise), added to `origin`.
pub(super) fn turned((x, y): Point, angle: f64, origin: Point) -> Point {
    let (sin, cos) = sin_cos(angle);
    (origin.0 + x * cos - y * sin, origin.1 + x * sin + y * cos)
}

/// The corners of a rectangle between two offsets, turned about `origin`.
pub(super) fn turned_rectangle((l, b): Point, (r, t): Point, angle: f64, origin: Point) -> [Point; 4] {
    [(l, b), (l, t), (r, t), (r, b)].map(|corner| turned(corner, angle, origin))
}
