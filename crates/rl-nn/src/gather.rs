//! Rows of a matrix.

/// Makes `to` the rows `rows` of `from`, a row-major matrix of this width.
///
/// ```
/// let mut to = Vec::new();
/// rl_nn::gather(&[0, 1, 10, 11, 20, 21], 2, &[2, 0], &mut to);
/// assert_eq!(to, [20, 21, 0, 1]);
/// ```
///
/// # Panics
///
/// If a row lies outside `from`.
pub fn gather<T: Copy + Default>(from: &[T], width: usize, rows: &[usize], to: &mut Vec<T>) {
    to.resize(rows.len() * width, T::default());
    // Narrow rows by moves of known length.
    match width {
        0 => {}
        1 => by_chunks::<T, 1>(from, rows, to),
        2 => by_chunks::<T, 2>(from, rows, to),
        3 => by_chunks::<T, 3>(from, rows, to),
        4 => by_chunks::<T, 4>(from, rows, to),
        6 => by_chunks::<T, 6>(from, rows, to),
        8 => by_chunks::<T, 8>(from, rows, to),
        _ => {
            for (to, &row) in to.chunks_exact_mut(width).zip(rows) {
                to.copy_from_slice(&from[row * width..(row + 1) * width]);
            }
        }
    }
}

fn by_chunks<T: Copy, const WIDTH: usize>(from: &[T], rows: &[usize], to: &mut [T]) {
    let from = from.as_chunks::<WIDTH>().0;
    for (to, &row) in to.as_chunks_mut::<WIDTH>().0.iter_mut().zip(rows) {
        *to = from[row];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width() {
        for width in 0..12 {
            let from: Vec<usize> = (0..5 * width).collect();
            let mut to = vec![7; 3];
            gather(&from, width, &[4, 1, 1], &mut to);
            let expected = [4, 1, 1].map(|row| (row * width..(row + 1) * width).collect::<Vec<_>>()).concat();
            assert_eq!(to, expected);
        }
    }
}
