use crate::envs::catch::{COLUMNS, ROWS};
use crate::render::Frame;
use crate::render::canvas::{Canvas, WHITE};

/// The screen, enlarged; the paddle in a tint of its own.
pub(crate) fn catch(ball: (usize, usize), paddle: usize) -> Option<Frame> {
    const PIXEL: usize = 40;
    let mut canvas = Canvas::new((COLUMNS * PIXEL) as u32, (ROWS * PIXEL) as u32)?;
    canvas.fill([24, 24, 32]);
    let mut pixel = |row: usize, column: usize, color| {
        let (x, y) = ((column * PIXEL) as f64, ((ROWS - 1 - row) * PIXEL) as f64);
        canvas.rectangle((x + 1.0, y + 1.0), (x + 39.0, y + 39.0), color);
    };
    pixel(ROWS - 1, paddle, [120, 190, 255]);
    pixel(ball.0, ball.1, WHITE);
    Some(canvas.into_frame())
}
