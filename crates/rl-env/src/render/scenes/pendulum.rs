use std::f64::consts::{FRAC_PI_2, PI};

use crate::render::Frame;
use crate::render::canvas::{BLACK, Canvas, turned, turned_rectangle};

/// Rod at `theta` from upright, anticlockwise, and an arrow for the last `torque` (N·m).
pub(crate) fn pendulum(theta: f64, torque: f64) -> Option<Frame> {
    const SCALE: f64 = 500.0 / 4.4;
    const AXLE: (f64, f64) = (250.0, 250.0);
    const HALF: f64 = 0.1 * SCALE;
    let mut canvas = Canvas::new(500, 500)?;
    let angle = theta + FRAC_PI_2;
    let rod = [204, 77, 77];
    canvas.polygon(&turned_rectangle((0.0, -HALF), (SCALE, HALF), angle, AXLE), rod);
    canvas.circle(AXLE, HALF, rod);
    canvas.circle(turned((SCALE, 0.0), angle, AXLE), HALF, rod);
    arrow(&mut canvas, AXLE, torque, SCALE * torque.abs() / 4.0);
    canvas.circle(AXLE, 0.05 * SCALE, BLACK);
    Some(canvas.into_frame())
}

/// Three quarters of a circle about `centre` from its top, with a head in the direction of `torque`: anticlockwise when
/// positive.
fn arrow(canvas: &mut Canvas, centre: (f64, f64), torque: f64, radius: f64) {
    if radius < 2.0 {
        return;
    }
    let sense = torque.signum();
    let at = |turn: f64, radius: f64| turned((0.0, radius), sense * turn, centre);
    let end = 1.42 * PI;
    let arc: Vec<_> = (0..=60).map(|i| at(end * f64::from(i) / 60.0, radius)).collect();
    canvas.line(&arc, 2.0, BLACK);
    let head = 0.16 * radius;
    canvas.polygon(&[at(end, radius - head), at(end, radius + head), at(end + 0.4, radius)], BLACK);
}
