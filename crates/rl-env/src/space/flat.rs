//! Elements of spaces as rows of numbers.

use super::{Action, Space};
use crate::{ActionRef, EnvError};

impl Space {
    /// Whether `obs` is an element in flattened form: one-hot where the space is discrete.
    pub fn contains_flat(&self, obs: &[f32]) -> bool {
        let bit = |x: f32| x.to_bits() == 0 || x.to_bits() == 1.0_f32.to_bits();
        let one_hot = |x: &[f32]| x.iter().all(|&x| bit(x)) && x.iter().filter(|&&x| x > 0.5).count() == 1;
        match self {
            _ if obs.len() != self.flat_len() => false,
            Space::Discrete(_) => one_hot(obs),
            Space::MultiDiscrete(ns) => blocks(ns).all(|block| one_hot(&obs[block])),
            Space::MultiBinary(_) => obs.iter().all(|&x| bit(x)),
            Space::Box(b) => b.contains(obs),
            Space::Dict(_) | Space::Tuple(_) => {
                self.children().all(|(_, range, part)| part.contains_flat(&obs[range]))
            }
        }
    }

    /// Writes an element in flattened form: one-hot where the space is discrete, part after part where there are parts, as it is
    /// otherwise.
    ///
    /// # Shapes
    ///
    /// `out` has [`flat_len`](Space::flat_len) elements.
    ///
    /// # Errors
    ///
    /// [`EnvError::InvalidAction`] for a value that is no element, [`EnvError::WrongLength`] for `out`; it is untouched.
    pub fn flatten(&self, value: ActionRef<'_>, out: &mut [f32]) -> Result<(), EnvError> {
        if !self.contains(value) {
            return Err(EnvError::invalid_action(value, self.clone()));
        }
        self.check_flat_len(out.len())?;
        match (self, value) {
            (Space::MultiBinary(_), ActionRef::Discrete(bits)) => {
                out.iter_mut().zip(bits).for_each(|(o, &bit)| *o = bit as f32);
            }
            (Space::MultiDiscrete(ns), ActionRef::Discrete(a)) => {
                out.fill(0.0);
                blocks(ns).zip(a).for_each(|(block, &i)| out[block.start + i] = 1.0);
            }
            (_, ActionRef::Discrete(a)) => {
                out.fill(0.0);
                out[a[0]] = 1.0;
            }
            (_, ActionRef::Continuous(a)) => out.copy_from_slice(a),
        }
        Ok(())
    }

    /// The element whose flattened form `flat` is.
    ///
    /// # Errors
    ///
    /// [`EnvError::WrongLength`], and [`EnvError::InvalidAction`] where it is not the form of any element.
    pub fn unflatten(&self, flat: &[f32]) -> Result<Action, EnvError> {
        self.check_flat_len(flat.len())?;
        if !self.contains_flat(flat) {
            return Err(EnvError::invalid_action(flat, self.clone()));
        }
        let hot = |x: &[f32]| x.iter().position(|&x| x > 0.5).unwrap_or_default();
        Ok(match self {
            Space::Discrete(_) => Action::Discrete(vec![hot(flat)]),
            Space::MultiDiscrete(ns) => Action::Discrete(blocks(ns).map(|block| hot(&flat[block])).collect()),
            Space::MultiBinary(_) => Action::Discrete(flat.iter().map(|&x| usize::from(x > 0.5)).collect()),
            Space::Box(_) | Space::Dict(_) | Space::Tuple(_) => Action::Continuous(flat.to_vec()),
        })
    }

    /// The shape of an observation: that of a box, `[flat_len]` otherwise.
    pub fn flat_shape(&self) -> Vec<usize> {
        match self {
            Space::Box(b) => b.shape.clone(),
            other => vec![other.flat_len()],
        }
    }

    fn check_flat_len(&self, got: usize) -> Result<(), EnvError> {
        match self.flat_len() {
            expected if expected == got => Ok(()),
            expected => Err(EnvError::WrongLength { what: "the flattened value", got, expected }),
        }
    }
}

/// Where each dimension's one-hot block lies.
pub(super) fn blocks(ns: &[usize]) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
    ns.iter().scan(0, |start, &n| {
        let block = *start..*start + n;
        *start += n;
        Some(block)
    })
}
