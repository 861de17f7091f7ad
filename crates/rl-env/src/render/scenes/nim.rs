use crate::envs::nim::HEAPS;
use crate::render::Frame;
use crate::render::canvas::Canvas;

/// The stones that are left, and where the others lay.
pub(crate) fn nim(heaps: [usize; 3]) -> Option<Frame> {
    const CELL: f64 = 56.0;
    let most = HEAPS.into_iter().max()?;
    let mut canvas = Canvas::new((3.0 * CELL) as u32, (most as f64 * CELL) as u32)?;
    canvas.fill([38, 92, 66]);
    for (heap, (left, full)) in heaps.into_iter().zip(HEAPS).enumerate() {
        for stone in 0..full {
            let at = ((heap as f64 + 0.5) * CELL, (stone as f64 + 0.5) * CELL);
            if stone < left {
                canvas.circle((at.0 + 2.0, at.1 - 2.0), 21.0, [24, 62, 44]);
                canvas.circle(at, 21.0, [214, 208, 196]);
            } else {
                canvas.circle(at, 21.0, [32, 80, 57]);
            }
        }
    }
    Some(canvas.into_frame())
}
