use crate::envs::grid_map::Cell;
use crate::render::Frame;
use crate::render::canvas::{BLACK, Canvas, Point, Rgb};

const ICE: Rgb = [226, 240, 252];
const EDGE: Rgb = [180, 205, 228];

/// The map row by row from the top left, the walker on cell `at`.
pub(crate) fn grid_world(cells: &[Cell], columns: usize, at: usize) -> Option<Frame> {
    let rows = cells.len().checked_div(columns)?;
    let side = (512 / rows.max(columns)).clamp(8, 64);
    let mut canvas = Canvas::new((columns * side) as u32, (rows * side) as u32)?;
    let s = side as f64;
    for (i, &cell) in cells.iter().enumerate() {
        let corner = ((i % columns) as f64 * s, (rows - 1 - i / columns) as f64 * s);
        // Offsets in shares of the side, from the bottom left corner.
        let at = |(x, y): Point| (corner.0 + x * s, corner.1 + y * s);
        canvas.rectangle(at((0.0, 0.0)), at((1.0, 1.0)), EDGE);
        canvas.rectangle(
            at((0.02, 0.02)),
            at((0.98, 0.98)),
            if cell == Cell::Wall { [96, 88, 84] } else { ICE },
        );
        match cell {
            Cell::Wall => bricks(&mut canvas, &at),
            Cell::Pit => {
                canvas.circle(at((0.5, 0.5)), 0.38 * s, [150, 190, 222]);
                canvas.circle(at((0.5, 0.5)), 0.32 * s, [36, 78, 122]);
            }
            Cell::Goal => gift(&mut canvas, &at),
            Cell::Start => canvas.rectangle(at((0.2, 0.12)), at((0.8, 0.22)), [168, 132, 92]),
            Cell::Free => {}
        }
    }
    let corner = ((at % columns) as f64 * s, (rows - 1 - at / columns) as f64 * s);
    walker(&mut canvas, &|(x, y): Point| (corner.0 + x * s, corner.1 + y * s), s);
    Some(canvas.into_frame())
}

fn bricks(canvas: &mut Canvas, at: &dyn Fn(Point) -> Point) {
    for (row, shift) in [(0, 0.0), (1, 0.25), (2, 0.0)] {
        let y = 0.05 + 0.31 * f64::from(row);
        for column in -1..3 {
            let x = shift + 0.5 * f64::from(column);
            let (l, r) = ((x + 0.02).max(0.04), (x + 0.48).min(0.96));
            if l < r {
                canvas.rectangle(at((l, y)), at((r, y + 0.27)), [158, 92, 74]);
            }
        }
    }
}

fn gift(canvas: &mut Canvas, at: &dyn Fn(Point) -> Point) {
    const RED: Rgb = [196, 52, 60];
    const GOLD: Rgb = [244, 200, 72];
    canvas.rectangle(at((0.22, 0.15)), at((0.78, 0.58)), RED);
    canvas.rectangle(at((0.17, 0.52)), at((0.83, 0.68)), [216, 72, 78]);
    canvas.rectangle(at((0.45, 0.15)), at((0.55, 0.68)), GOLD);
    canvas.polygon(&[at((0.5, 0.68)), at((0.32, 0.84)), at((0.3, 0.7))], GOLD);
    canvas.polygon(&[at((0.5, 0.68)), at((0.68, 0.84)), at((0.7, 0.7))], GOLD);
}

fn walker(canvas: &mut Canvas, at: &dyn Fn(Point) -> Point, s: f64) {
    const GREEN: Rgb = [52, 140, 74];
    canvas.polygon(&[at((0.3, 0.14)), at((0.7, 0.14)), at((0.6, 0.5)), at((0.4, 0.5))], GREEN);
    canvas.circle(at((0.5, 0.58)), 0.15 * s, [244, 206, 172]);
    canvas.polygon(&[at((0.34, 0.64)), at((0.66, 0.64)), at((0.54, 0.92))], GREEN);
    canvas.circle(at((0.44, 0.58)), 0.022 * s, BLACK);
    canvas.circle(at((0.56, 0.58)), 0.022 * s, BLACK);
}
