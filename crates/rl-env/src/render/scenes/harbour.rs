use crate::envs::harbour::{DOCKS, REACH};
use crate::render::Frame;
use crate::render::canvas::Canvas;

/// The harbour from above, the dock to go to in a tint of its own.
pub(crate) fn harbour(position: [f64; 2], dock: usize) -> Option<Frame> {
    const SCALE: f64 = 150.0;
    const MARGIN: f64 = 20.0;
    let pixels = |[x, y]: [f64; 2]| ((x + 1.0) * SCALE + MARGIN, (y + 1.0) * SCALE + MARGIN);
    let size = 2.0 * (SCALE + MARGIN);
    let mut canvas = Canvas::new(size as u32, size as u32)?;
    canvas.fill([150, 138, 118]);
    canvas.rectangle((MARGIN, MARGIN), (size - MARGIN, size - MARGIN), [88, 150, 190]);
    for (k, at) in DOCKS.into_iter().enumerate() {
        let color = if k == dock { [92, 190, 96] } else { [200, 96, 84] };
        canvas.circle(pixels(at), REACH * SCALE, color);
    }
    let (x, y) = pixels(position);
    let hull = [(x - 13.0, y - 7.0), (x + 13.0, y - 7.0), (x + 18.0, y + 3.0), (x - 18.0, y + 3.0)];
    canvas.polygon(&hull, [92, 56, 40]);
    canvas.polygon(&[(x, y + 3.0), (x, y + 26.0), (x + 15.0, y + 7.0)], [250, 250, 244]);
    Some(canvas.into_frame())
}
