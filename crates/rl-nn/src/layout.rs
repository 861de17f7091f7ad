//! Where each named tensor lies in the flat parameter vector.

use std::ops::Range;

/// One tensor inside θ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its name, `0.weight`.
    pub name: String,
    /// Its shape, row-major.
    pub shape: Vec<usize>,
    /// The index of its first element in θ.
    pub offset: usize,
}

impl Param {
    /// The elements of θ it covers.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.shape.iter().product::<usize>()
    }
}

/// The tensors of θ in order, without gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    params: Vec<Param>,
    len: usize,
}

impl Layout {
    /// No tensor yet.
    pub fn new() -> Self {
        Layout::default()
    }

    /// Appends a tensor and returns its range.
    pub fn push(&mut self, name: impl Into<String>, shape: &[usize]) -> Range<usize> {
        let param = Param { name: name.into(), shape: shape.to_vec(), offset: self.len };
        let range = param.range();
        self.len = range.end;
        self.params.push(param);
        range
    }

    /// Appends the tensors of a part, their names behind the part's and a dot, and returns the range of all of them.
    pub fn extend(&mut self, name: &str, part: &Layout) -> Range<usize> {
        let start = self.len;
        for param in part.params() {
            self.push(format!("{name}.{}", param.name), &param.shape);
        }
        start..self.len
    }

    /// The tensors in order.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// The number of elements of θ.
    pub fn n_params(&self) -> usize {
        self.len
    }
}
