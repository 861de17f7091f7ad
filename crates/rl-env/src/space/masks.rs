//! Masks: which choices of an action are allowed.

use std::ops::Range;

use rand::Rng;

use super::{Action, Space};
use crate::{ActionRef, EnvError, EnvRng};

impl Space {
    /// The number of elements of a mask over the actions of this space: one a choice, dimension by dimension.
    ///
    /// `Discrete(n)` has `n` choices; `MultiDiscrete` those of its dimensions one after the other; every bit of a `MultiBinary(n)` two,
    /// "may be 0" and "may be 1", so `2 n` elements. A box has none: its actions are not masked.
    ///
    /// ```
    /// use rl_env::{ActionRef, Space};
    /// let bits = Space::MultiBinary(2);
    /// assert_eq!(bits.mask_len(), 4);
    /// // The first bit must be 1, the second may be either.
    /// let mask = [false, true, true, true];
    /// assert!(bits.allows(&mask, ActionRef::Discrete(&[1, 0])));
    /// assert!(!bits.allows(&mask, ActionRef::Discrete(&[0, 0])));
    /// ```
    pub fn mask_len(&self) -> usize {
        match self {
            Space::Discrete(n) => *n,
            Space::MultiDiscrete(ns) => ns.iter().sum(),
            Space::MultiBinary(n) => 2 * n,
            Space::Box(_) | Space::Dict(_) | Space::Tuple(_) => 0,
        }
    }

    /// Where the choices of each dimension lie in a mask.
    pub fn mask_blocks(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        (0..self.mask_dimensions()).scan(0, |start, dimension| {
            let block = *start..*start + self.choices(dimension);
            *start = block.end;
            Some(block)
        })
    }

    /// Whether `action` is an element of this space that `mask` allows in every dimension.
    pub fn allows(&self, mask: &[bool], action: ActionRef<'_>) -> bool {
        let ActionRef::Discrete(action_indices) = action else { return self.contains(action) };
        self.contains(action)
            && mask.len() == self.mask_len()
            && self.mask_blocks().zip(action_indices).all(|(block, &i)| mask[block][i])
    }

    /// Draws an element that `mask` allows, every allowed choice of a dimension equally likely.
    ///
    /// # Errors
    ///
    /// [`EnvError::WrongLength`] for the mask, [`EnvError::Contract`] where it allows nothing in some dimension.
    pub fn sample_allowed(&self, mask: &[bool], rng: &mut EnvRng) -> Result<Action, EnvError> {
        if self.mask_len() == 0 {
            return Ok(self.sample(rng));
        }
        self.check_mask(mask)?;
        let draw = |block: Range<usize>| {
            let mask = &mask[block];
            let k = rng.random_range(0..mask.iter().filter(|allowed| **allowed).count());
            let mut allowed = (0..mask.len()).filter(|i| mask[*i]);
            allowed.nth(k).unwrap_or_default()
        };
        Ok(Action::Discrete(self.mask_blocks().map(draw).collect()))
    }

    /// Refuses a mask of the wrong length, or one that allows nothing in some dimension.
    ///
    /// # Errors
    ///
    /// [`EnvError::WrongLength`], [`EnvError::Contract`].
    pub fn check_mask(&self, mask: &[bool]) -> Result<(), EnvError> {
        let expected = self.mask_len();
        if mask.len() != expected {
            return Err(EnvError::WrongLength { what: "the action mask", got: mask.len(), expected });
        }
        match self.mask_blocks().position(|block| !mask[block].contains(&true)) {
            None => Ok(()),
            Some(dimension) => Err(EnvError::Contract(format!(
                "the mask allows no choice in dimension {dimension} of the action"
            ))),
        }
    }

    /// `action` with every choice that `mask` forbids replaced by the next one that it allows, the first after the last.
    pub(crate) fn next_allowed(&self, mask: &[bool], action: &Action) -> Action {
        let Action::Discrete(indices) = action else { return action.clone() };
        let next = |(block, &i): (Range<usize>, &usize)| {
            let mask = &mask[block];
            (i..mask.len()).chain(0..i).find(|&k| mask[k]).unwrap_or(i)
        };
        Action::Discrete(self.mask_blocks().zip(indices).map(next).collect())
    }

    /// How many dimensions a mask has.
    fn mask_dimensions(&self) -> usize {
        match self {
            Space::Box(_) | Space::Dict(_) | Space::Tuple(_) => 0,
            discrete => discrete.action_len(),
        }
    }

    /// How many choices a dimension has.
    fn choices(&self, dimension: usize) -> usize {
        match self {
            Space::Discrete(n) => *n,
            Space::MultiDiscrete(ns) => ns[dimension],
            Space::MultiBinary(_) => 2,
            Space::Box(_) | Space::Dict(_) | Space::Tuple(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::BoxSpace;

    #[test]
    fn a_mask_has_a_place_for_every_choice() {
        let ends = |space: Space| {
            (space.mask_len(), space.mask_blocks().map(|b| (b.start, b.end)).collect::<Vec<_>>())
        };
        assert_eq!(ends(Space::Discrete(3)), (3, vec![(0, 3)]));
        assert_eq!(ends(Space::MultiDiscrete(vec![2, 1, 3])), (6, vec![(0, 2), (2, 3), (3, 6)]));
        assert_eq!(ends(Space::MultiBinary(2)), (4, vec![(0, 2), (2, 4)]));
        assert_eq!(ends(BoxSpace::uniform(0.0, 1.0, &[2]).into()), (0, vec![]));
        assert_eq!(ends(Space::Tuple(vec![Space::Discrete(3)])), (0, vec![]));
    }

    #[test]
    fn only_what_is_allowed_is_drawn_and_all_of_it() {
        let mut rng = EnvRng::seed_from_u64(3);
        for (space, mask) in [
            (Space::Discrete(4), vec![false, true, false, true]),
            (Space::MultiDiscrete(vec![2, 3]), vec![true, false, true, false, true]),
            (Space::MultiBinary(2), vec![true, true, false, true]),
        ] {
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..200 {
                let action = space.sample_allowed(&mask, &mut rng).unwrap();
                assert!(space.allows(&mask, action.as_ref()), "{space} {action:?}");
                let Action::Discrete(indices) = action else { panic!("{space} has indices") };
                seen.insert(indices);
            }
            assert_eq!(seen.len(), 2, "{space}: {seen:?}");
            // Whatever was meant, what comes of it is allowed.
            for _ in 0..50 {
                let meant = space.sample(&mut rng);
                let taken = space.next_allowed(&mask, &meant);
                assert!(space.allows(&mask, taken.as_ref()));
                assert!(!space.allows(&mask, meant.as_ref()) || taken == meant);
            }
        }
    }

    #[test]
    fn a_mask_that_leaves_no_choice_is_refused() {
        let (space, mut rng) = (Space::MultiDiscrete(vec![2, 2]), EnvRng::seed_from_u64(0));
        let error = space.sample_allowed(&[true, true, false, false], &mut rng).unwrap_err();
        assert!(error.to_string().contains("no choice in dimension 1"), "{error}");
        assert!(matches!(space.check_mask(&[true; 3]), Err(EnvError::WrongLength { got: 3, .. })));
        assert!(!space.allows(&[true; 4], ActionRef::Discrete(&[0, 2])));
    }
}
