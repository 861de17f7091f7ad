//! Spaces: what observations and actions may be.

mod flat;
mod masks;
mod parts;

use std::fmt;

use rand::Rng;
use rand::distr::Distribution;
use rl_kernels::StandardNormal;
use rl_kernels::elementary::ln;

use crate::{ActionRef, EnvError, EnvRng};

pub use parts::SpacePart;

/// A set of observations or actions.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Space {
    /// One of `n` indices.
    Discrete(usize),
    /// One index a dimension, each with its own count.
    MultiDiscrete(Vec<usize>),
    /// `n` bits.
    MultiBinary(usize),
    /// An n-dimensional box of reals.
    Box(BoxSpace),
    /// Named parts in order, for observations: the flattened form is that of one part after the other.
    Dict(Vec<(String, Space)>),
    /// Parts in order, for observations: the flattened form is that of one part after the other.
    Tuple(Vec<Space>),
}

/// A box of reals with a shape and bounds for every element; bounds may be infinite.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BoxSpace {
    /// The shape; its product is the number of elements.
    pub shape: Vec<usize>,
    /// Lower bound of each element, row-major.
    pub low: Vec<f32>,
    /// Upper bound of each element, row-major.
    pub high: Vec<f32>,
}

impl BoxSpace {
    /// A box whose elements share their bounds.
    pub fn uniform(low: f32, high: f32, shape: &[usize]) -> Self {
        let n = shape.iter().product();
        BoxSpace { shape: shape.to_vec(), low: vec![low; n], high: vec![high; n] }
    }

    /// A one-dimensional box with bounds for each element, as many lower as upper ones.
    ///
    /// ```
    /// use rl_env::{BoxSpace, Space};
    /// let space: Space = BoxSpace::between(&[-1.2, -0.07], &[0.6, 0.07]).into();
    /// assert_eq!(space.flat_shape(), [2]);
    /// ```
    pub fn between(low: &[f32], high: &[f32]) -> Self {
        BoxSpace { shape: vec![low.len()], low: low.to_vec(), high: high.to_vec() }
    }

    /// A one-dimensional box, symmetric about zero.
    pub fn symmetric(high: &[f32]) -> Self {
        BoxSpace { shape: vec![high.len()], low: high.iter().map(|h| -h).collect(), high: high.to_vec() }
    }
}

impl From<BoxSpace> for Space {
    fn from(space: BoxSpace) -> Self {
        Space::Box(space)
    }
}

impl Space {
    /// The most numbers that hold an observation or the choices of an action: a row of them takes 64 MiB.
    const LARGEST: usize = 1 << 24;

    /// What makes this no space at all: no element, bounds that are not numbers in order, or more elements than any policy could have weights for.
    pub(crate) fn fault(&self) -> Option<String> {
        self.malformed().or_else(|| {
            let n = self.flat_len();
            (n > Space::LARGEST).then(|| {
                format!("is too large: an element takes {n} numbers, and may take {}", Space::LARGEST)
            })
        })
    }

    fn malformed(&self) -> Option<String> {
        match self {
            Space::Discrete(0) | Space::MultiBinary(0) => Some("has no elements".into()),
            Space::MultiDiscrete(ns) if ns.is_empty() || ns.contains(&0) => Some("has no elements".into()),
            Space::Box(b) => {
                let n = b.shape.iter().fold(1_usize, |n, side| n.saturating_mul(*side));
                if n == 0 {
                    return Some("has no elements".into());
                }
                if b.low.len() != n || b.high.len() != n {
                    return Some(format!(
                        "has {n} elements by its shape, but {} lower and {} upper bounds",
                        b.low.len(),
                        b.high.len()
                    ));
                }
                let k = b
                    .low
                    .iter()
                    .zip(&b.high)
                    .position(|(low, high)| low.is_nan() || high.is_nan() || low > high)?;
                Some(format!("has element {k} between {} and {}", b.low[k], b.high[k]))
            }
            Space::Dict(_) | Space::Tuple(_) => self.fault_of_parts(),
            _ => None,
        }
    }

    /// What makes this no space of actions: as [`fault`](Space::fault), and parts, which no policy here chooses.
    pub(crate) fn action_fault(&self) -> Option<String> {
        match self {
            Space::Dict(_) | Space::Tuple(_) => {
                Some("is of several parts, which only observations may be; a MultiDiscrete or a Box holds several numbers".into())
            }
            other => other.fault(),
        }
    }

    /// The number of `f32` that hold an observation of this space: one-hot for the discrete ones.
    pub fn flat_len(&self) -> usize {
        match self {
            Space::Discrete(n) => *n,
            Space::MultiDiscrete(ns) => ns.iter().fold(0, |sum, n| sum.saturating_add(*n)),
            Space::MultiBinary(n) => *n,
            Space::Box(b) => b.low.len(),
            Space::Dict(parts) => {
                parts.iter().map(|(_, part)| part.flat_len()).fold(0, usize::saturating_add)
            }
            Space::Tuple(parts) => parts.iter().map(Space::flat_len).fold(0, usize::saturating_add),
        }
    }

    /// The number of elements of an action of this space: one index for `Discrete`, one a dimension otherwise. A space of parts has no
    /// actions; its elements are rows of [`flat_len`](Space::flat_len) reals.
    pub fn action_len(&self) -> usize {
        match self {
            Space::Discrete(_) => 1,
            Space::MultiDiscrete(ns) => ns.len(),
            Space::MultiBinary(n) => *n,
            Space::Box(b) => b.low.len(),
            Space::Dict(_) | Space::Tuple(_) => self.flat_len(),
        }
    }
}

impl Space {
    /// Whether `value` is an element; one of a space of parts is given in flattened form. A box contains its bounds, infinite ones included, and never NaN.
    ///
    /// ```
    /// use rl_env::{ActionRef, BoxSpace, Space};
    /// assert!(Space::Discrete(3).contains(ActionRef::Discrete(&[2])));
    /// assert!(!Space::Discrete(3).contains(ActionRef::Discrete(&[3])));
    /// let torque: Space = BoxSpace::symmetric(&[2.0]).into();
    /// assert!(torque.contains(ActionRef::Continuous(&[-2.0])));
    /// assert!(!torque.contains(ActionRef::Continuous(&[f32::NAN])));
    /// assert!(!torque.contains(ActionRef::Continuous(&[0.0, 0.0])));
    /// ```
    pub fn contains(&self, value: ActionRef<'_>) -> bool {
        match (self, value) {
            (Space::Discrete(n), ActionRef::Discrete([i])) => i < n,
            (Space::MultiDiscrete(ns), ActionRef::Discrete(a)) => {
                ns.len() == a.len() && a.iter().zip(ns).all(|(i, n)| i < n)
            }
            (Space::MultiBinary(n), ActionRef::Discrete(a)) => a.len() == *n && a.iter().all(|&bit| bit < 2),
            (Space::Box(b), ActionRef::Continuous(a)) => b.contains(a),
            (Space::Dict(_) | Space::Tuple(_), ActionRef::Continuous(a)) => self.contains_flat(a),
            _ => false,
        }
    }

    /// Draws an element: uniform where the space is bounded; an unbounded element of a box is standard normal, one
    /// bounded on one side exponential from there. That of a space of parts comes in flattened form.
    pub fn sample(&self, rng: &mut EnvRng) -> Action {
        match self {
            Space::Discrete(n) => Action::Discrete(vec![index(*n, rng)]),
            Space::MultiDiscrete(ns) => Action::Discrete(ns.iter().map(|&n| index(n, rng)).collect()),
            Space::MultiBinary(n) => Action::Discrete((0..*n).map(|_| index(2, rng)).collect()),
            Space::Box(b) => Action::Continuous(
                b.low.iter().zip(&b.high).map(|(&low, &high)| real(low, high, rng)).collect(),
            ),
            Space::Dict(_) | Space::Tuple(_) => Action::Continuous(self.sample_parts(rng)),
        }
    }
}

impl BoxSpace {
    /// Whether every element lies within its bounds.
    pub fn contains(&self, x: &[f32]) -> bool {
        x.len() == self.low.len()
            && x.iter().zip(self.low.iter().zip(&self.high)).all(|(x, (low, high))| low <= x && x <= high)
    }
}

/// The box a wrapper needs.
pub(crate) fn box_of(space: Space, wrapper: &str) -> Result<BoxSpace, EnvError> {
    match space {
        Space::Box(b) => Ok(b),
        other => Err(EnvError::Contract(format!(
            "{wrapper} needs an environment with a box of actions, not {other}"
        ))),
    }
}

/// An owned action.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Action {
    /// See [`ActionRef::Discrete`].
    Discrete(Vec<usize>),
    /// See [`ActionRef::Continuous`].
    Continuous(Vec<f32>),
}

impl Action {
    /// The action as environments take it.
    pub fn as_ref(&self) -> ActionRef<'_> {
        match self {
            Action::Discrete(a) => ActionRef::Discrete(a),
            Action::Continuous(a) => ActionRef::Continuous(a),
        }
    }
}

fn is_constant(v: &[f32]) -> bool {
    v.windows(2).all(|w| w[0].to_bits() == w[1].to_bits())
}

fn index(n: usize, rng: &mut EnvRng) -> usize {
    if n == 0 { 0 } else { rng.random_range(0..n) }
}

fn real(low: f32, high: f32, rng: &mut EnvRng) -> f32 {
    // In (0, 1], so that its logarithm is finite.
    let mut unit = || 1.0 - rng.random::<f64>();
    let x = match (low.is_finite(), high.is_finite()) {
        (true, true) => f64::from(low) + (f64::from(high) - f64::from(low)) * unit(),
        (true, false) => f64::from(low) - ln(unit()),
        (false, true) => f64::from(high) + ln(unit()),
        (false, false) => StandardNormal.sample(rng),
    };
    clip(x as f32, low, high)
}

/// `x` within its bounds, the lower one for NaN. By comparisons: which zero `f32::max` gives for two of different signs is the processor's
/// choice.
#[inline]
pub(crate) fn clip(x: f32, low: f32, high: f32) -> f32 {
    if x > high {
        high
    } else if x >= low {
        x
    } else {
        low
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Space::Discrete(n) => write!(f, "Discrete({n})"),
            Space::MultiDiscrete(ns) => write!(f, "MultiDiscrete({ns:?})"),
            Space::MultiBinary(n) => write!(f, "MultiBinary({n})"),
            Space::Box(b) if is_constant(&b.low) && is_constant(&b.high) => {
                let edge = |v: &[f32]| v.first().copied().unwrap_or(0.0);
                write!(f, "Box({}, {}, {:?})", edge(&b.low), edge(&b.high), b.shape)
            }
            Space::Box(b) => write!(f, "Box({:?}, {:?}, {:?})", b.low, b.high, b.shape),
            Space::Dict(parts) => {
                f.write_str("Dict(")?;
                for (i, (name, part)) in parts.iter().enumerate() {
                    let comma = if i > 0 { ", " } else { "" };
                    match name.contains(char::is_control) {
                        true => write!(f, "{comma}{name:?}: {part}")?,
                        false => write!(f, "{comma}{name}: {part}")?,
                    }
                }
                f.write_str(")")
            }
            Space::Tuple(parts) => {
                f.write_str("Tuple(")?;
                for (i, part) in parts.iter().enumerate() {
                    write!(f, "{}{part}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact by intent")]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn spaces() -> Vec<Space> {
        let inf = f32::INFINITY;
        vec![
            Space::Discrete(5),
            Space::MultiDiscrete(vec![2, 3, 1]),
            Space::MultiBinary(4),
            BoxSpace::uniform(0.0, 1.0, &[1, 2, 3]).into(),
            BoxSpace { shape: vec![4], low: vec![-inf, -1.0, -inf, 3.0], high: vec![inf, inf, 1.0, 3.0] }
                .into(),
            parts(),
        ]
    }

    /// A picture, where to go, and a pair of switches and a dial.
    fn parts() -> Space {
        Space::dict([
            ("picture", BoxSpace::uniform(0.0, 1.0, &[1, 2, 2]).into()),
            ("goal", Space::Discrete(3)),
            ("panel", Space::Tuple(vec![Space::MultiBinary(2), Space::MultiDiscrete(vec![2, 1])])),
        ])
    }

    #[test]
    fn parts_lie_one_after_the_other_and_have_names() {
        let space = parts();
        assert_eq!((space.flat_len(), space.flat_shape(), space.action_len()), (12, vec![12], 12));
        let leaves = space.parts();
        let told: Vec<_> = leaves.iter().map(|p| (p.name.as_str(), p.range.clone())).collect();
        assert_eq!(told, [("picture", 0..4), ("goal", 4..7), ("panel.0", 7..9), ("panel.1", 9..12)]);
        assert_eq!(leaves[0].space.flat_shape(), [1, 2, 2]);
        assert_eq!(space.part("panel.1").unwrap().space, &Space::MultiDiscrete(vec![2, 1]));
        assert!(space.part("panel").is_none());
        assert_eq!(Space::Discrete(2).parts()[0].range, 0..2);
        assert_eq!(
            space.to_string(),
            "Dict(picture: Box(0, 1, [1, 2, 2]), goal: Discrete(3), panel: Tuple(MultiBinary(2), MultiDiscrete([2, 1])))"
        );
        let json = serde_json::to_string(&space).unwrap();
        assert_eq!(serde_json::from_str::<Space>(&json).unwrap(), space);
    }

    #[test]
    fn what_is_wrong_with_one_part_is_wrong_with_the_whole() {
        let mut flat = vec![0.5, 0.5, 0.5, 0.5, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
        assert!(parts().contains_flat(&flat));
        flat[4] = 1.0;
        assert!(!parts().contains_flat(&flat));
        assert!(!parts().contains(ActionRef::Discrete(&[0; 12])));
        for (space, words) in [
            (Space::Dict(vec![]), "has no parts"),
            (Space::Tuple(vec![]), "has no parts"),
            (Space::Tuple(vec![Space::Discrete(2), Space::Discrete(0)]), "part \"1\" has no elements"),
            (Space::dict([("a", Space::Discrete(2)), ("a", Space::Discrete(2))]), "two parts called \"a\""),
            (Space::dict([("", Space::Discrete(2))]), "a part without a name"),
            (Space::dict([("a", Space::dict([(" ", Space::Discrete(2))]))]), "a part without a name"),
            (
                Space::dict([("a\nb", Space::Discrete(2))]),
                "a part called \"a\\nb\", with a control character",
            ),
            (
                Space::dict([("a.1", Space::Discrete(2)), ("a", Space::Tuple(vec![Space::Discrete(2); 2]))]),
                "two parts called \"a.1\": dots join",
            ),
        ] {
            let fault = space.fault().unwrap();
            assert!(fault.contains(words), "{fault}");
            assert_eq!(format!("{space} {fault}").lines().count(), 1);
        }
        // Looked up, saved and shown as they are.
        for name in ["left/camera", "joint 1", "it's \"here\"", "θ.1"] {
            let space = Space::dict([("other", Space::Discrete(2)), (name, Space::Discrete(3))]);
            assert_eq!((space.fault(), space.part(name).unwrap().range), (None, 2..5));
        }
        assert_eq!(parts().fault(), None);
        assert!(parts().action_fault().unwrap().contains("only observations"));
        assert_eq!(Space::MultiBinary(2).action_fault(), None);
    }

    #[test]
    fn samples_are_elements_and_survive_flattening() {
        let mut rng = EnvRng::seed_from_u64(1);
        for space in spaces() {
            let mut flat = vec![9.0; space.flat_len()];
            for _ in 0..200 {
                let x = space.sample(&mut rng);
                assert!(space.contains(x.as_ref()), "{space} does not contain {x:?}");
                space.flatten(x.as_ref(), &mut flat).unwrap();
                assert!(space.contains_flat(&flat), "{space}, flat {flat:?}");
                assert_eq!(space.unflatten(&flat).unwrap(), x);
            }
        }
    }

    #[test]
    fn what_is_no_element_is_refused_and_nothing_is_written() {
        let space = Space::MultiDiscrete(vec![2, 3]);
        let mut out = [7.0; 5];
        assert!(space.flatten(ActionRef::Discrete(&[1, 3]), &mut out).is_err());
        assert!(space.flatten(ActionRef::Continuous(&[1.0, 2.0]), &mut out).is_err());
        assert_eq!(out, [7.0; 5]);
        assert!(matches!(
            space.flatten(ActionRef::Discrete(&[1, 2]), &mut out[..4]),
            Err(EnvError::WrongLength { .. })
        ));
        space.flatten(ActionRef::Discrete(&[1, 2]), &mut out).unwrap();
        assert_eq!(out, [0.0, 1.0, 0.0, 0.0, 1.0]);
        assert!(space.unflatten(&[1.0, 1.0, 0.0, 0.0, 1.0]).is_err());
        assert!(!Space::MultiBinary(2).contains_flat(&[0.5, 1.0]));
    }

    #[test]
    fn clipping_gives_a_bound_an_element_or_for_nan_the_lower_bound() {
        assert_eq!([clip(-3.0, -1.0, 2.0), clip(0.5, -1.0, 2.0), clip(3.0, -1.0, 2.0)], [-1.0, 0.5, 2.0]);
        assert_eq!(clip(f32::NAN, -1.0, 2.0), -1.0);
        assert_eq!(clip(-0.0, 0.0, 1.0).to_bits(), (-0.0_f32).to_bits());
    }

    #[test]
    fn images_keep_their_shape() {
        let space: Space = BoxSpace::uniform(0.0, 1.0, &[1, 10, 5]).into();
        assert_eq!((space.flat_shape(), space.flat_len()), (vec![1, 10, 5], 50));
        assert_eq!(space.to_string(), "Box(0, 1, [1, 10, 5])");
    }
}
