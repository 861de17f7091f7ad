//! Transposition.

use super::dispatch;
use crate::Real;

/// `y[c, r] = x[r, c]` for a row-major `[rows, cols]` matrix.
///
/// # Panics
///
/// If the slices are shorter than `rows · cols`.
pub(crate) fn transpose<F: Real>(x: &[F], rows: usize, cols: usize, y: &mut [F]) {
    const BLOCK: usize = 16;
    let (x, y) = (&x[..rows * cols], &mut y[..rows * cols]);
    if rows == 1 || cols == 1 {
        y.copy_from_slice(x);
        return;
    }
    dispatch(
        #[inline(always)]
        || {
            for r0 in (0..rows).step_by(BLOCK) {
                for c0 in (0..cols).step_by(BLOCK) {
                    if r0 + BLOCK <= rows && c0 + BLOCK <= cols {
                        // A whole block through a local array, whose bounds the compiler knows.
                        let mut block = [[F::zero(); BLOCK]; BLOCK];
                        for (r, line) in block.iter_mut().enumerate() {
                            line.copy_from_slice(&x[(r0 + r) * cols + c0..][..BLOCK]);
                        }
                        for c in 0..BLOCK {
                            let out: &mut [F] = &mut y[(c0 + c) * rows + r0..][..BLOCK];
                            for (r, out) in out.iter_mut().enumerate() {
                                *out = block[r][c];
                            }
                        }
                    } else {
                        for r in r0..rows.min(r0 + BLOCK) {
                            for c in c0..cols.min(c0 + BLOCK) {
                                y[c * rows + r] = x[r * cols + c];
                            }
                        }
                    }
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape() {
        for rows in [1, 2, 15, 16, 17, 64] {
            for cols in [1, 4, 16, 33, 64] {
                let x: Vec<f32> = (0..rows * cols).map(|i| i as f32).collect();
                let mut y = vec![0.0; rows * cols];
                transpose(&x, rows, cols, &mut y);
                for r in 0..rows {
                    for c in 0..cols {
                        assert_eq!(
                            y[c * rows + r].to_bits(),
                            x[r * cols + c].to_bits(),
                            "{rows}x{cols}: ({r}, {c})"
                        );
                    }
                }
            }
        }
    }
}
