use std::f64::consts::FRAC_PI_2;

use crate::render::Frame;
use crate::render::canvas::{BLACK, Canvas, turned, turned_rectangle};

/// Links at `theta1` from hanging down and `theta2` relative to the first; the line is the height to reach.
pub(crate) fn acrobot(theta1: f64, theta2: f64) -> Option<Frame> {
    const SCALE: f64 = 500.0 / 4.4;
    const JOINT: (f64, f64) = (250.0, 250.0);
    let mut canvas = Canvas::new(500, 500)?;
    canvas.line(&[(0.0, JOINT.1 + SCALE), (500.0, JOINT.1 + SCALE)], 1.5, BLACK);
    let first = theta1 - FRAC_PI_2;
    let elbow = turned((SCALE, 0.0), first, JOINT);
    for (joint, angle) in [(JOINT, first), (elbow, first + theta2)] {
        let half = 0.1 * SCALE;
        canvas.polygon(&turned_rectangle((0.0, -half), (SCALE, half), angle, joint), [0, 204, 204]);
        canvas.circle(joint, half, [204, 204, 0]);
    }
    Some(canvas.into_frame())
}
