//! Spaces of several parts: where each lies, and under which name.

use std::ops::Range;

use super::{Action, Space};
use crate::EnvRng;

/// One part of a space, in the flattened form of the whole.
#[derive(Clone, Debug, PartialEq)]
pub struct SpacePart<'a> {
    /// Its name: that in the `Dict`, or its place in the `Tuple`; of nested parts all of them, joined by dots.
    pub name: String,
    /// Where it lies in the flattened form.
    pub range: Range<usize>,
    /// The part, no longer of parts itself.
    pub space: &'a Space,
}

impl Space {
    /// A space of named parts in this order.
    ///
    /// ```
    /// use rl_env::{BoxSpace, Space};
    /// let space = Space::dict([("position", BoxSpace::symmetric(&[1.0, 1.0]).into()), ("goal", Space::Discrete(4))]);
    /// assert_eq!(space.flat_len(), 6);
    /// assert_eq!(space.part("goal").map(|goal| goal.range), Some(2..6));
    /// assert_eq!(space.to_string(), "Dict(position: Box(-1, 1, [2]), goal: Discrete(4))");
    /// ```
    pub fn dict<N: Into<String>>(parts: impl IntoIterator<Item = (N, Space)>) -> Self {
        Space::Dict(parts.into_iter().map(|(name, part)| (name.into(), part)).collect())
    }

    /// The parts that have no parts themselves, in the order of the flattened form. A space without parts is one, without a name.
    pub fn parts(&self) -> Vec<SpacePart<'_>> {
        let mut parts = Vec::new();
        self.collect_parts("", 0, &mut parts);
        parts
    }

    /// The part of this name; see [`parts`](Space::parts).
    pub fn part(&self, name: &str) -> Option<SpacePart<'_>> {
        self.parts().into_iter().find(|part| part.name == name)
    }

    fn collect_parts<'a>(&'a self, name: &str, start: usize, parts: &mut Vec<SpacePart<'a>>) {
        if !matches!(self, Space::Dict(_) | Space::Tuple(_)) {
            let range = start..start + self.flat_len();
            parts.push(SpacePart { name: name.to_owned(), range, space: self });
        }
        for (child, range, space) in self.children() {
            let child = if name.is_empty() { child } else { format!("{name}.{child}") };
            space.collect_parts(&child, start + range.start, parts);
        }
    }

    /// The parts of a `Dict` or `Tuple`, which may have parts themselves: name, place in the flattened form, space.
    pub(super) fn children(&self) -> impl Iterator<Item = (String, Range<usize>, &Space)> {
        let named: Vec<(String, &Space)> = match self {
            Space::Dict(parts) => parts.iter().map(|(name, part)| (name.clone(), part)).collect(),
            Space::Tuple(parts) => parts.iter().enumerate().map(|(i, part)| (i.to_string(), part)).collect(),
            _ => Vec::new(),
        };
        named.into_iter().scan(0, |start, (name, part)| {
            let range = *start..*start + part.flat_len();
            *start = range.end;
            Some((name, range, part))
        })
    }

    /// What is wrong with the parts of a `Dict` or `Tuple`.
    pub(super) fn fault_of_parts(&self) -> Option<String> {
        let children: Vec<_> = self.children().collect();
        if children.is_empty() {
            return Some("has no parts".into());
        }
        for (i, (name, _, part)) in children.iter().enumerate() {
            if name.trim().is_empty() {
                return Some("has a part without a name".into());
            }
            if name.contains(char::is_control) {
                return Some(format!("has a part called {name:?}, with a control character in its name"));
            }
            if children[..i].iter().any(|(other, ..)| other == name) {
                return Some(format!("has two parts called {name:?}"));
            }
            if let Some(fault) = part.fault() {
                return Some(format!("is wrong: its part {name:?} {fault}"));
            }
        }
        // Those of nested parts are joined by dots.
        let mut names: Vec<_> = self.parts().into_iter().map(|part| part.name).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1])?;
        Some(format!("has two parts called {:?}: dots join the names of nested parts", twice[0]))
    }

    /// Draws an element of every part, in flattened form.
    pub(super) fn sample_parts(&self, rng: &mut EnvRng) -> Vec<f32> {
        let mut flat = vec![0.0; self.flat_len()];
        for (_, range, part) in self.children() {
            let out = &mut flat[range];
            match (part, part.sample(rng)) {
                (Space::MultiBinary(_), Action::Discrete(bits)) => {
                    out.iter_mut().zip(bits).for_each(|(x, bit)| *x = bit as f32);
                }
                (Space::Discrete(_), Action::Discrete(hot)) => out[hot[0]] = 1.0,
                (Space::MultiDiscrete(ns), Action::Discrete(hot)) => {
                    super::flat::blocks(ns).zip(hot).for_each(|(block, i)| out[block.start + i] = 1.0);
                }
                (_, Action::Continuous(x)) => out.copy_from_slice(&x),
                (_, Action::Discrete(_)) => {}
            }
        }
        flat
    }
}
