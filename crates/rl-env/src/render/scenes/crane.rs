use crate::envs::crane::SIDE;
use crate::render::Frame;
use crate::render::canvas::{Canvas, Rgb};

/// The yard from above: the bridge across it, the trolley on the bridge, the load on the ground.
pub(crate) fn crane(at: [usize; 2], load: [usize; 2]) -> Option<Frame> {
    const PLACE: f64 = 48.0;
    const STEEL: Rgb = [232, 150, 32];
    let size = SIDE as f64 * PLACE;
    let mut canvas = Canvas::new(size as u32, size as u32)?;
    canvas.fill([205, 205, 200]);
    for k in 1..SIDE {
        let k = k as f64 * PLACE;
        canvas.line(&[(k, 0.0), (k, size)], 1.0, [184, 184, 178]);
        canvas.line(&[(0.0, k), (size, k)], 1.0, [184, 184, 178]);
    }
    let middle = |[x, y]: [usize; 2]| ((x as f64 + 0.5) * PLACE, (y as f64 + 0.5) * PLACE);
    let (x, y) = middle(load);
    canvas.rectangle((x - 17.0, y - 17.0), (x + 17.0, y + 17.0), [52, 96, 148]);
    canvas.rectangle((x - 11.0, y - 11.0), (x + 11.0, y + 11.0), [84, 136, 196]);
    let (x, y) = middle(at);
    for rail in [x - 12.0, x + 7.0] {
        canvas.rectangle((rail, 0.0), (rail + 5.0, size), STEEL);
    }
    canvas.rectangle((x - 19.0, y - 7.0), (x + 19.0, y + 7.0), [60, 60, 66]);
    canvas.circle((x, y), 4.0, STEEL);
    Some(canvas.into_frame())
}
