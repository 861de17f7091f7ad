use crate::render::Frame;
use crate::render::canvas::{BLACK, Canvas, turned_rectangle};

/// Cart at `x` m (the sheet shows ±2.4), pole at `theta` rad from upright, clockwise.
pub(crate) fn cart_pole(x: f64, theta: f64) -> Option<Frame> {
    const SCALE: f64 = 600.0 / 4.8;
    const TRACK: f64 = 100.0;
    let mut canvas = Canvas::new(600, 400)?;
    let cart = 300.0 + x * SCALE;
    canvas.line(&[(0.0, TRACK), (600.0, TRACK)], 1.0, BLACK);
    canvas.rectangle((cart - 25.0, TRACK - 15.0), (cart + 25.0, TRACK + 15.0), BLACK);
    let axle = (cart, TRACK + 7.5);
    canvas.polygon(&turned_rectangle((-5.0, -5.0), (5.0, SCALE - 5.0), -theta, axle), [202, 152, 101]);
    canvas.circle(axle, 5.0, [129, 132, 203]);
    Some(canvas.into_frame())
}
