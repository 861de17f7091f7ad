//! What a network sees of a batch, and what it keeps between steps.

use std::ops::Range;

use crate::NnError;

/// A batch of states: rows of observations, row-major, in host memory.
///
/// A network sees a batch through this type alone, so that more can come with a row (which environment it is of, and where its episode
/// begins) without another signature.
#[derive(Clone, Copy, Debug)]
pub struct States<'a, F> {
    obs: &'a [F],
    width: usize,
}

impl<'a, F> States<'a, F> {
    /// Rows of `width` elements.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when `obs` is not a whole number of rows.
    pub fn new(obs: &'a [F], width: usize) -> Result<Self, NnError> {
        let rows = obs.len().checked_div(width).unwrap_or(0);
        NnError::check("the input", obs.len(), rows * width)?;
        Ok(States { obs, width })
    }

    /// The observations, `[rows, width]`.
    #[inline]
    pub fn obs(&self) -> &'a [F] {
        self.obs
    }

    /// Elements of a row.
    #[inline]
    pub fn width(&self) -> usize {
        self.width
    }

    /// The number of rows.
    #[inline]
    pub fn rows(&self) -> usize {
        self.obs.len().checked_div(self.width).unwrap_or(0)
    }

    /// The rows of a range.
    ///
    /// # Panics
    ///
    /// If they lie outside the batch.
    pub fn slice(&self, rows: Range<usize>) -> Self {
        States { obs: &self.obs[rows.start * self.width..rows.end * self.width], width: self.width }
    }

    /// The rows of every shard when the batch is cut into shards of at most `shard_rows` rows. Independent rows may be cut anywhere.
    pub fn cut(&self, shard_rows: usize) -> impl ExactSizeIterator<Item = Range<usize>> + use<F> {
        let (rows, shard_rows) = (self.rows(), shard_rows.max(1));
        (0..rows.div_ceil(shard_rows)).map(move |s| s * shard_rows..((s + 1) * shard_rows).min(rows))
    }
}

/// What a network keeps from one step of its environments to the next, a row for each of them: nothing, for a feed-forward one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Carry<F> {
    /// The elements; the network decides how they lie.
    pub state: Vec<F>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_cut_into_all_its_rows() {
        let obs = [0.0_f32; 14];
        let states = States::new(&obs, 2).unwrap();
        assert_eq!(states.cut(3).collect::<Vec<_>>(), [0..3, 3..6, 6..7]);
        assert_eq!(states.slice(2..5).rows(), 3);
        assert_eq!(States::<f32>::new(&[], 0).unwrap().cut(3).len(), 0);
        assert!(States::new(&obs, 4).is_err());
    }
}
