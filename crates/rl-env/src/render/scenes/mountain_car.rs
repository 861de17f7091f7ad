use rl_kernels::elementary::{cos, sin};

use crate::render::Frame;
use crate::render::canvas::{BLACK, Canvas, turned, turned_rectangle};

/// Car at `x` on the track from −1.2 to 0.6, flag at `goal`.
pub(crate) fn mountain_car(x: f64, goal: f64) -> Option<Frame> {
    const SCALE: f64 = 600.0 / 1.8;
    let mut canvas = Canvas::new(600, 400)?;
    let on_track = |x: f64| ((x + 1.2) * SCALE, (sin(3.0 * x) * 0.45 + 0.55) * SCALE);
    let track: Vec<_> = (0..=120).map(|i| on_track(-1.2 + 1.8 * f64::from(i) / 120.0)).collect();
    canvas.line(&track, 1.5, BLACK);

    let (flag_x, foot) = on_track(goal);
    let top = foot + 50.0;
    canvas.line(&[(flag_x, foot), (flag_x, top)], 1.5, BLACK);
    canvas.polygon(&[(flag_x, top), (flag_x, top - 10.0), (flag_x + 25.0, top - 5.0)], [204, 204, 0]);

    // The car follows the slope; 10 pixels of clearance leave room for the wheels.
    let (car_x, height) = on_track(x);
    let (car, slope) = ((car_x, height + 10.0), cos(3.0 * x));
    canvas.polygon(&turned_rectangle((-20.0, 0.0), (20.0, 20.0), slope, car), BLACK);
    for wheel in [10.0, -10.0] {
        canvas.circle(turned((wheel, 0.0), slope, car), 8.0, [128, 128, 128]);
    }
    Some(canvas.into_frame())
}
