//! Batches of actions.

use crate::{Real, gather};

/// A batch of actions, row-major `[rows, action_len]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Actions<F> {
    /// Indices.
    Discrete(Vec<usize>),
    /// Reals.
    Continuous(Vec<F>),
}

/// A borrowed batch of actions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ActionsRef<'a, F> {
    /// Indices.
    Discrete(&'a [usize]),
    /// Reals.
    Continuous(&'a [F]),
}

impl<F> Default for Actions<F> {
    fn default() -> Self {
        Actions::Discrete(Vec::new())
    }
}

impl<F> Actions<F> {
    /// The whole batch.
    pub fn as_ref(&self) -> ActionsRef<'_, F> {
        match self {
            Actions::Discrete(a) => ActionsRef::Discrete(a),
            Actions::Continuous(a) => ActionsRef::Continuous(a),
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Actions::Discrete(a) => a.len(),
            Actions::Continuous(a) => a.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all elements, keeping the memory.
    pub fn clear(&mut self) {
        match self {
            Actions::Discrete(a) => a.clear(),
            Actions::Continuous(a) => a.clear(),
        }
    }
}

impl<F: Real> Actions<F> {
    /// Becomes the rows `indices` of `source`, each of `width` elements.
    ///
    /// # Panics
    ///
    /// If a row lies outside `source`.
    pub fn gather(&mut self, source: ActionsRef<'_, F>, width: usize, indices: &[usize]) {
        match (&mut *self, source) {
            (Actions::Discrete(to), ActionsRef::Discrete(from)) => gather(from, width, indices, to),
            (Actions::Continuous(to), ActionsRef::Continuous(from)) => gather(from, width, indices, to),
            (_, ActionsRef::Discrete(_)) => {
                *self = Actions::Discrete(Vec::new());
                self.gather(source, width, indices);
            }
            (_, ActionsRef::Continuous(_)) => {
                *self = Actions::Continuous(Vec::new());
                self.gather(source, width, indices);
            }
        }
    }
}
