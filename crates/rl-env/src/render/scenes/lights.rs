use crate::envs::lights::LAMPS;
use crate::render::Frame;
use crate::render::canvas::{Canvas, Rgb};

/// The pattern asked for above, the lamps below.
pub(crate) fn lights(wanted: [bool; LAMPS], lit: [bool; LAMPS]) -> Option<Frame> {
    const WIDTH: f64 = 80.0;
    const ON: Rgb = [255, 214, 74];
    const OFF: Rgb = [64, 66, 78];
    let mut canvas = Canvas::new((WIDTH * LAMPS as f64) as u32, 160)?;
    canvas.fill([28, 30, 40]);
    let color = |on| if on { ON } else { OFF };
    for (k, (wanted, lit)) in wanted.into_iter().zip(lit).enumerate() {
        let x = (k as f64 + 0.5) * WIDTH;
        canvas.rectangle((x - 18.0, 124.0), (x + 18.0, 140.0), color(wanted));
        canvas.circle((x, 60.0), 31.0, [96, 98, 112]);
        canvas.circle((x, 60.0), 28.0, color(lit));
    }
    Some(canvas.into_frame())
}
