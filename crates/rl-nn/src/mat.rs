//! Strided views of matrices in host memory, and their product.

use crate::Real;

/// A read-only view of a matrix.
#[derive(Clone, Copy, Debug)]
pub struct MatRef<'a, F> {
    data: &'a [F],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

/// A mutable row-major view of a matrix.
#[derive(Debug)]
pub struct MatMut<'a, F> {
    data: &'a mut [F],
    rows: usize,
    cols: usize,
}

impl<'a, F> MatRef<'a, F> {
    /// A row-major `[rows, cols]` view.
    ///
    /// # Panics
    ///
    /// If `data` does not have `rows · cols` elements.
    pub fn new(data: &'a [F], rows: usize, cols: usize) -> Self {
        assert_eq!(data.len(), rows * cols, "a [{rows}, {cols}] matrix over {} elements", data.len());
        MatRef { data, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// The transpose, without moving an element.
    pub fn t(self) -> Self {
        MatRef {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }
}

impl<'a, F> MatMut<'a, F> {
    /// A row-major `[rows, cols]` view.
    ///
    /// # Panics
    ///
    /// If `data` does not have `rows · cols` elements.
    pub fn new(data: &'a mut [F], rows: usize, cols: usize) -> Self {
        assert_eq!(data.len(), rows * cols, "a [{rows}, {cols}] matrix over {} elements", data.len());
        MatMut { data, rows, cols }
    }
}

/// `C ← A B`, or `C ← C + A B` with `accumulate`, on the calling thread.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn matmul<F: Real>(c: MatMut<'_, F>, a: MatRef<'_, F>, b: MatRef<'_, F>, accumulate: bool) {
    assert_eq!((a.rows, a.cols, b.cols), (c.rows, b.rows, c.cols), "the shapes of C = A B do not fit");
    let alpha = if accumulate { F::one() } else { F::zero() };
    // SAFETY: the views' constructors checked that every index they can form lies inside their slices, the assertion
    // above that the shapes agree, and `c` is borrowed mutably, so it overlaps neither `a` nor `b`.
    unsafe {
        gemm::gemm(
            c.rows,
            c.cols,
            a.cols,
            c.data.as_mut_ptr(),
            1,
            c.cols as isize,
            accumulate,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            alpha,
            F::one(),
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_all_orientations() {
        // A = [[1,2,3],[4,5,6]], B = [[1,0],[0,1],[1,1]]: A B = [[4,5],[10,11]]
        let (a, at) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let (b, bt) = ([1.0, 0.0, 0.0, 1.0, 1.0, 1.0], [1.0, 0.0, 1.0, 0.0, 1.0, 1.0]);
        let views_a = [MatRef::new(&a, 2, 3), MatRef::new(&at, 3, 2).t()];
        let views_b = [MatRef::new(&b, 3, 2), MatRef::new(&bt, 2, 3).t()];
        for a in views_a {
            for b in views_b {
                let mut c = [100.0_f64; 4];
                matmul(MatMut::new(&mut c, 2, 2), a, b, false);
                assert_eq!(c, [4.0, 5.0, 10.0, 11.0]);
                matmul(MatMut::new(&mut c, 2, 2), a, b, true);
                assert_eq!(c, [8.0, 10.0, 20.0, 22.0]);
            }
        }
    }
}
