//! Spaces: what observations and actions may be.

use std::fmt;

use rand::Rng;
use rand::distr::Distribution;
use rl_kernels::StandardNormal;
use rl_kernels::elementary::ln;

use crate::{ActionRef, EnvError, EnvRng};

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
    /// What makes this no space at all: no element, or bounds that are not numbers in order.
    pub(crate) fn fault(&self) -> Option<String> {
        match self {
            Space::Discrete(0) | Space::MultiBinary(0) => Some("has no elements".into()),
            Space::MultiDiscrete(ns) if ns.is_empty() || ns.contains(&0) => Some("has no elements".into()),
            Space::Box(b) => {
                let n: usize = b.shape.iter().product();
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
            _ => None,
        }
    }

    /// The number of `f32` that hold an observation of this space: one-hot for the discrete ones.
    pub fn flat_len(&self) -> usize {
        match self {
            Space::Discrete(n) => *n,
            Space::MultiDiscrete(ns) => ns.iter().sum(),
            Space::MultiBinary(n) => *n,
            Space::Box(b) => b.low.len(),
        }
    }

    /// The number of elements of an action of this space: one index for `Discrete`, one a dimension otherwise.
    pub fn action_len(&self) -> usize {
        match self {
            Space::Discrete(_) => 1,
            Space::MultiDiscrete(ns) => ns.len(),
            Space::MultiBinary(n) => *n,
            Space::Box(b) => b.low.len(),
        }
    }
}

impl Space {
    /// Whether `value` is an element. A box contains its bounds, infinite ones included, and never NaN.
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
            _ => false,
        }
    }

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
        }
    }

    /// Draws an element: uniform where the space is bounded; an unbounded element of a box is standard normal, one
    /// bounded on one side exponential from there.
    pub fn sample(&self, rng: &mut EnvRng) -> Action {
        match self {
            Space::Discrete(n) => Action::Discrete(vec![index(*n, rng)]),
            Space::MultiDiscrete(ns) => Action::Discrete(ns.iter().map(|&n| index(n, rng)).collect()),
            Space::MultiBinary(n) => Action::Discrete((0..*n).map(|_| index(2, rng)).collect()),
            Space::Box(b) => Action::Continuous(
                b.low.iter().zip(&b.high).map(|(&low, &high)| real(low, high, rng)).collect(),
            ),
        }
    }

    /// Writes an element in flattened form: one-hot where the space is discrete, as it is otherwise.
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
            Space::Box(_) => Action::Continuous(flat.to_vec()),
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

/// Where each dimension's one-hot block lies.
fn blocks(ns: &[usize]) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
    ns.iter().scan(0, |start, &n| {
        let block = *start..*start + n;
        *start += n;
        Some(block)
    })
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
        ]
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
