//! Strided views of matrices in host memory.

/// A read-only view of a matrix.
#[derive(Clone, Copy, Debug)]
pub struct MatRef<'a, F> {
    pub(crate) data: &'a [F],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) row_stride: usize,
    pub(crate) col_stride: usize,
}

/// What a product is added to.
#[derive(Clone, Copy, Debug)]
pub enum Init<'a, F> {
    /// Nothing.
    Zero,
    /// One number for every row of the result.
    RowBias(&'a [F]),
    /// One number for every column of the result.
    ColumnBias(&'a [F]),
    /// What the result holds already.
    Accumulate,
}

/// What every element of a product goes through before it is left.
#[derive(Clone, Copy, Debug)]
pub enum Finish<'a, F> {
    /// Nothing.
    Nothing,
    /// `c ← tanh(c)`
    Tanh,
    /// `c ← c (1 − a²)`: the derivative of tanh in terms of its values `a`, which lie as the product does.
    TanhDerivative(&'a [F]),
}

impl<F> Finish<'_, F> {
    /// Where the values of a derivative of tanh begin for element `at` of the product.
    pub(crate) fn tanh_values_at(&self, at: usize) -> Option<*const F> {
        match self {
            Finish::TanhDerivative(values) => Some(values.as_ptr().wrapping_add(at)),
            _ => None,
        }
    }
}

impl<'a, F> MatRef<'a, F> {
    /// A row-major `[rows, cols]` view.
    ///
    /// # Panics
    ///
    /// If `data` does not have `rows · cols` elements.
    pub fn new(data: &'a [F], rows: usize, cols: usize) -> Self {
        let fits = rows.checked_mul(cols) == Some(data.len());
        assert!(fits, "a [{rows}, {cols}] matrix over {} elements", data.len());
        MatRef { data, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// A `[rows, cols]` matrix of one number.
    pub fn filled(value: &'a F, rows: usize, cols: usize) -> Self {
        MatRef { data: std::slice::from_ref(value), rows, cols, row_stride: 0, col_stride: 0 }
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

/// # Panics
///
/// If the shapes of `C ← finish(init + A B)` do not fit.
pub(crate) fn check_product<F>(
    c: &[F],
    a: MatRef<'_, F>,
    b: MatRef<'_, F>,
    init: Init<'_, F>,
    finish: Finish<'_, F>,
) {
    let fits = a.rows.checked_mul(b.cols) == Some(c.len()) && a.cols == b.rows;
    assert!(fits, "the shapes of C = A B do not fit");
    match init {
        Init::RowBias(bias) => assert_eq!(bias.len(), a.rows, "one bias for every row of C"),
        Init::ColumnBias(bias) => assert_eq!(bias.len(), b.cols, "one bias for every column of C"),
        Init::Zero | Init::Accumulate => {}
    }
    if let Finish::TanhDerivative(values) = finish {
        assert_eq!(values.len(), c.len(), "a value for every element of C");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Real;

    fn reference<F: Real>(c: &[F], a: MatRef<'_, F>, b: MatRef<'_, F>, init: Init<'_, F>) -> Vec<F> {
        let at = |m: MatRef<'_, F>, r: usize, c: usize| m.data[r * m.row_stride + c * m.col_stride].widen();
        let element = |i: usize, j: usize| {
            let sum: f64 = (0..a.cols).map(|k| at(a, i, k) * at(b, k, j)).sum();
            sum + match init {
                Init::Zero => 0.0,
                Init::RowBias(bias) => bias[i].widen(),
                Init::ColumnBias(bias) => bias[j].widen(),
                Init::Accumulate => c[i * b.cols + j].widen(),
            }
        };
        (0..a.rows * b.cols).map(|e| F::narrow(element(e / b.cols, e % b.cols))).collect()
    }

    fn check<F: Real>(tolerance: f64) {
        let mut next = 0_u32;
        let mut draw = |n: usize| -> Vec<F> {
            (0..n)
                .map(|_| {
                    next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    F::narrow(f64::from(next >> 8) / f64::from(1 << 24) - 0.5)
                })
                .collect()
        };
        for m in [0, 1, 2, 5, 6, 7, 13, 17] {
            for k in [0, 1, 3, 16, 37] {
                for n in [0, 1, 3, 8, 16, 17, 40, 64, 65, 130] {
                    let (a, b, c) = (draw(m * k), draw(k * n), draw(m * n));
                    let (rows, columns) = (draw(m), draw(n));
                    for a in [MatRef::new(&a, m, k), MatRef::new(&a, k, m).t()] {
                        let biases = [Init::RowBias(&rows), Init::ColumnBias(&columns)];
                        for init in [Init::Zero, Init::Accumulate].into_iter().chain(biases) {
                            let b_view = MatRef::new(&b, k, n);
                            let mut got = c.clone();
                            F::matmul(&mut got, a, b_view, init);
                            for (g, e) in got.iter().zip(reference(&c, a, b_view, init)) {
                                assert!((*g - e).abs().widen() < tolerance, "{m}x{k}x{n} {init:?}: {g} {e}");
                            }
                        }
                    }
                    let bt = draw(n * k);
                    let mut got = c.clone();
                    F::matmul_nt(&mut got, &a, &bt, k);
                    let expected =
                        reference(&c, MatRef::new(&a, m, k), MatRef::new(&bt, n, k).t(), Init::Zero);
                    for (g, e) in got.iter().zip(expected) {
                        assert!((*g - e).abs().widen() < tolerance, "{m}x{k}x{n} nt: {g} {e}");
                    }
                }
            }
        }
    }

    /// Products of all kinds are the same bits with every instruction set.
    #[test]
    fn the_same_bits_with_every_instruction_set() {
        use crate::{Isa, product};
        let draw = |n: usize| (0..n).map(|i| ((i * 7919) % 1009) as f32 / 500.0 - 1.0).collect::<Vec<_>>();
        for (m, k, n) in
            [(1, 4, 1), (7, 5, 40), (13, 3, 17), (64, 64, 64), (5, 33, 9), (16, 64, 2), (130, 600, 131)]
        {
            let (a, b, c, values) = (draw(m * k), draw(k * n), draw(m * n), draw(m * n));
            let (rows, columns) = (draw(m), draw(n));
            let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
            let (a64, b64) = (wide(&a), wide(&b));
            for transposed in [false, true] {
                let of = |isa: Isa| {
                    let mut bits = Vec::new();
                    let a = if transposed { MatRef::new(&a, k, m).t() } else { MatRef::new(&a, m, k) };
                    for init in
                        [Init::Zero, Init::Accumulate, Init::RowBias(&rows), Init::ColumnBias(&columns)]
                    {
                        for finish in [Finish::Nothing, Finish::Tanh, Finish::TanhDerivative(&values)] {
                            let mut c = c.clone();
                            product::matmul(isa, &mut c, a, MatRef::new(&b, k, n), init, finish);
                            bits.extend(c.iter().map(|x| u64::from(x.to_bits())));
                        }
                    }
                    let mut c = vec![0.0_f32; m * n];
                    product::matmul_nt_f32(isa, &mut c, &draw(m * k), &b, k);
                    bits.extend(c.iter().map(|x| u64::from(x.to_bits())));
                    let mut c = vec![0.0_f64; m * n];
                    let (a, b) = (MatRef::new(&a64, m, k), MatRef::new(&b64, n, k).t());
                    product::matmul(isa, &mut c, a, b, Init::Zero, Finish::Nothing);
                    bits.extend(c.iter().map(|x| x.to_bits()));
                    bits
                };
                let portable = of(Isa::Portable);
                for isa in Isa::available() {
                    assert!(of(isa) == portable, "{m}x{k}x{n} with {isa}");
                }
            }
        }
    }

    /// A packed product is the unpacked one, to the bit.
    #[test]
    fn packing_changes_no_bit() {
        let (m, k, n) = (70, 600, 131);
        let draw = |n: usize| (0..n).map(|i| ((i * 7919) % 1009) as f32 / 500.0 - 1.0).collect::<Vec<f32>>();
        let (a, b, bias) = (draw(m * k), draw(k * n), draw(n));
        let product = |rows: std::ops::Range<usize>| {
            let mut c = vec![0.0; rows.len() * n];
            let a = MatRef::new(&a[rows.start * k..rows.end * k], rows.len(), k);
            f32::matmul(&mut c, a, MatRef::new(&b, k, n), Init::ColumnBias(&bias));
            c
        };
        // Too few rows to be packed, and all of them.
        let small: Vec<f32> = (0..7).flat_map(|i| product(10 * i..10 * i + 10)).collect();
        assert!(small.iter().zip(product(0..m)).all(|(a, b)| a.to_bits() == b.to_bits()));
    }

    /// A finished product is the product, finished, to the bit; tiled or packed.
    #[test]
    fn products_are_finished_as_slices_are() {
        for (m, k, n) in [(7, 5, 40), (13, 3, 17), (64, 64, 64), (1, 4, 1), (130, 260, 129)] {
            let draw =
                |n: usize| (0..n).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect::<Vec<_>>();
            let (a, b, values) = (draw(m * k), draw(k * n), draw(m * n));
            let (a, b) = (MatRef::new(&a, m, k), MatRef::new(&b, k, n));
            let mut product = vec![0.0; m * n];
            f32::matmul(&mut product, a, b, Init::Zero);
            for finish in [Finish::Nothing, Finish::Tanh, Finish::TanhDerivative(&values)] {
                let (mut expected, mut got) = (product.clone(), vec![0.0; m * n]);
                match finish {
                    Finish::Nothing => {}
                    Finish::Tanh => f32::tanh_in_place(&mut expected),
                    Finish::TanhDerivative(values) => f32::mul_tanh_derivative(&mut expected, values),
                }
                f32::matmul_finish(&mut got, a, b, Init::Zero, finish);
                for (g, e) in got.iter().zip(expected) {
                    assert_eq!(g.to_bits(), e.to_bits(), "{m}x{k}x{n} {finish:?}: {g} {e}");
                }
            }
        }
    }

    /// Above the size from which `f32` products are packed.
    #[test]
    fn large_products() {
        let (m, n, k) = (130, 129, 260);
        let element = |i: usize| ((i * 7919) % 1000) as f32 / 1000.0 - 0.5;
        let draw = |n: usize| (0..n).map(element).collect::<Vec<f32>>();
        let (a, b, c, rows, columns) = (draw(m * k), draw(k * n), draw(m * n), draw(m), draw(n));
        for init in [Init::Zero, Init::Accumulate, Init::RowBias(&rows), Init::ColumnBias(&columns)] {
            for a in [MatRef::new(&a, m, k), MatRef::new(&a, k, m).t()] {
                let b = MatRef::new(&b, k, n);
                let mut got = c.clone();
                f32::matmul(&mut got, a, b, init);
                for (g, e) in got.iter().zip(reference(&c, a, b, init)) {
                    assert!((g - e).abs() < 1e-4, "{init:?}: {g} {e}");
                }
            }
        }
    }

    #[test]
    fn products_of_all_shapes() {
        check::<f32>(1e-5);
        check::<f64>(1e-13);
    }
}
