//! What a network sees of a batch, and what it keeps between steps.

use std::ops::Range;

use crate::NnError;

/// A batch of states: rows of observations, row-major, in host memory, and perhaps which actions each allows.
///
/// Networks and distributions see a batch through this type alone, so that more can come with a row (which environment it is of, and where its
/// episode begins) without another signature.
#[derive(Clone, Copy, Debug)]
pub struct States<'a, F> {
    obs: &'a [F],
    width: usize,
    masks: Option<&'a [bool]>,
    n_envs: usize,
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
        Ok(States { obs, width, masks: None, n_envs: 1 })
    }

    /// The same with a mask for every row, in which `true` is what is allowed; `None` where every action always is.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when `masks` is not as many rows.
    pub fn with_masks(self, masks: Option<&'a [bool]>) -> Result<Self, NnError> {
        let whole = masks.is_none_or(|masks| masks.len().is_multiple_of(self.rows().max(1)));
        let len = masks.map_or(0, <[bool]>::len);
        NnError::check(
            "the masks of the actions",
            len,
            if whole { len } else { len / self.rows() * self.rows() },
        )?;
        Ok(States { masks, ..self })
    }

    /// The same, known to be `[T, N]`: a row of each of `N` environments, then the next one of each. A number that does not divide the rows says nothing.
    #[must_use]
    pub fn of_envs(self, n_envs: usize) -> Self {
        let fits = n_envs > 0 && self.rows().is_multiple_of(n_envs);
        States { n_envs: if fits { n_envs } else { 1 }, ..self }
    }

    /// How many environments the rows are of, in turn; 1 where nothing is known of that.
    #[inline]
    pub fn n_envs(&self) -> usize {
        self.n_envs
    }

    /// The observations, `[rows, width]`.
    #[inline]
    pub fn obs(&self) -> &'a [F] {
        self.obs
    }

    /// The masks of the actions, `[rows, M]`, where there are any.
    #[inline]
    pub fn masks(&self) -> Option<&'a [bool]> {
        self.masks
    }

    /// Elements of a mask; 0 without.
    pub fn mask_width(&self) -> usize {
        self.masks.map_or(0, |masks| masks.len() / self.rows().max(1))
    }

    /// Elements of a row of observations.
    #[inline]
    pub fn width(&self) -> usize {
        self.width
    }

    /// The number of rows.
    #[inline]
    pub fn rows(&self) -> usize {
        self.obs.len().checked_div(self.width).unwrap_or(0)
    }

    /// The rows of a range, of which nothing is known but themselves.
    ///
    /// # Panics
    ///
    /// If they lie outside the batch.
    pub fn slice(&self, rows: Range<usize>) -> Self {
        let of = |width: usize| rows.start * width..rows.end * width;
        States {
            obs: &self.obs[of(self.width)],
            width: self.width,
            masks: self.masks.map(|masks| &masks[of(self.mask_width())]),
            n_envs: 1,
        }
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
        assert_eq!([0, 1, 3, 7, 8].map(|n| states.of_envs(n).n_envs()), [1, 1, 1, 7, 1]);
        let masks = [true; 21];
        assert!(states.with_masks(Some(&masks[1..])).is_err());
        let masked = states.with_masks(Some(&masks)).unwrap();
        assert_eq!((masked.mask_width(), masked.slice(2..5).masks().unwrap().len()), (3, 9));
    }
}
