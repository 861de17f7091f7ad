//! Saved states: what an environment was, to the bit.

use serde::{Deserialize, Serialize};

use crate::EnvError;

/// The exact state of an environment (or of a wrapper around one), as 64-bit words.
///
/// Reals are kept as their bits, so that every serialisation format brings them back exactly.
///
/// ```
/// use rl_env::EnvState;
/// let saved = EnvState::new("Corridor").f64(0.1).u64(3).bool(true);
/// let mut words = saved.read("Corridor")?;
/// assert_eq!((words.f64()?, words.u64()?, words.bool()?), (0.1, 3, true));
/// words.finish()?;
/// assert!(saved.read("CartPole").is_err());
/// # Ok::<(), rl_env::EnvError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvState {
    /// Whose state it is.
    pub owner: String,
    /// The state, in an order its owner knows.
    pub words: Vec<u64>,
    /// The states of the environments it wraps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inner: Vec<EnvState>,
}

impl EnvState {
    /// An empty state of `owner`.
    pub fn new(owner: &str) -> Self {
        EnvState { owner: owner.to_owned(), words: Vec::new(), inner: Vec::new() }
    }

    /// Appends a whole number.
    pub fn u64(mut self, x: u64) -> Self {
        self.words.push(x);
        self
    }

    /// Appends a real, bit by bit.
    pub fn f64(self, x: f64) -> Self {
        self.u64(x.to_bits())
    }

    /// Appends reals in order.
    pub fn f64s(mut self, xs: &[f64]) -> Self {
        self.words.extend(xs.iter().map(|x| x.to_bits()));
        self
    }

    /// Appends single-precision reals in order.
    pub fn f32s(mut self, xs: &[f32]) -> Self {
        self.words.extend(xs.iter().map(|x| u64::from(x.to_bits())));
        self
    }

    /// Appends a flag.
    pub fn bool(self, x: bool) -> Self {
        self.u64(u64::from(x))
    }

    /// Adds the state of a wrapped environment.
    pub fn wrapping(mut self, inner: EnvState) -> Self {
        self.inner.push(inner);
        self
    }

    /// Reads the words back in the order they were written.
    ///
    /// # Errors
    ///
    /// [`EnvError::InvalidState`] when the state is somebody else's.
    pub fn read(&self, owner: &'static str) -> Result<StateReader<'_>, EnvError> {
        if self.owner != owner {
            return Err(EnvError::InvalidState(format!("it is of {:?}, not of {owner:?}", self.owner)));
        }
        Ok(StateReader { state: self, owner, next: 0 })
    }

    /// The state of the one wrapped environment.
    ///
    /// # Errors
    ///
    /// [`EnvError::InvalidState`] when there is not exactly one.
    pub fn wrapped(&self) -> Result<&EnvState, EnvError> {
        match self.inner.as_slice() {
            [inner] => Ok(inner),
            other => Err(EnvError::InvalidState(format!(
                "{:?} wraps one environment, the state has {}",
                self.owner,
                other.len()
            ))),
        }
    }
}

/// Reads an [`EnvState`] word by word; restore into locals first, so that a bad state changes nothing.
#[derive(Debug)]
pub struct StateReader<'a> {
    state: &'a EnvState,
    owner: &'static str,
    next: usize,
}

impl StateReader<'_> {
    /// The next whole number.
    ///
    /// # Errors
    ///
    /// [`EnvError::InvalidState`] when the state has no more words.
    pub fn u64(&mut self) -> Result<u64, EnvError> {
        let word = self.state.words.get(self.next).copied();
        self.next += 1;
        word.ok_or_else(|| self.wrong_length())
    }

    /// The next real.
    ///
    /// # Errors
    ///
    /// As [`u64`](StateReader::u64).
    pub fn f64(&mut self) -> Result<f64, EnvError> {
        self.u64().map(f64::from_bits)
    }

    /// The next `N` reals.
    ///
    /// # Errors
    ///
    /// As [`u64`](StateReader::u64).
    pub fn f64s<const N: usize>(&mut self) -> Result<[f64; N], EnvError> {
        let mut xs = [0.0; N];
        for x in &mut xs {
            *x = self.f64()?;
        }
        Ok(xs)
    }

    /// The next single-precision real.
    ///
    /// # Errors
    ///
    /// As [`u64`](StateReader::u64), and for a word that is no single-precision real.
    pub fn f32(&mut self) -> Result<f32, EnvError> {
        let word = self.u64()?;
        u32::try_from(word).map(f32::from_bits).map_err(|_| self.bad_word(word, "a single-precision real"))
    }

    /// The next whole number, at most `max`.
    ///
    /// # Errors
    ///
    /// As [`u64`](StateReader::u64), and for a greater number.
    pub fn usize_up_to(&mut self, max: usize) -> Result<usize, EnvError> {
        let word = self.u64()?;
        usize::try_from(word)
            .ok()
            .filter(|&x| x <= max)
            .ok_or_else(|| self.bad_word(word, &format!("a number up to {max}")))
    }

    /// The next flag.
    ///
    /// # Errors
    ///
    /// As [`u64`](StateReader::u64), and for a word that is neither 0 nor 1.
    pub fn bool(&mut self) -> Result<bool, EnvError> {
        self.usize_up_to(1).map(|x| x == 1)
    }

    /// Checks that every word was read.
    ///
    /// # Errors
    ///
    /// [`EnvError::InvalidState`] when words are left over.
    pub fn finish(self) -> Result<(), EnvError> {
        if self.next == self.state.words.len() { Ok(()) } else { Err(self.wrong_length()) }
    }

    #[cold]
    fn wrong_length(&self) -> EnvError {
        EnvError::InvalidState(format!("{} words do not make a {}", self.state.words.len(), self.owner))
    }

    #[cold]
    fn bad_word(&self, word: u64, expected: &str) -> EnvError {
        EnvError::InvalidState(format!("word {} of {} is {word}, not {expected}", self.next - 1, self.owner))
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact by intent")]
mod tests {
    use super::*;

    #[test]
    fn every_word_must_be_read_and_no_more() {
        let saved = EnvState::new("A").f64s(&[1.0, -0.0]).f32s(&[f32::MIN_POSITIVE]);
        let mut r = saved.read("A").unwrap();
        assert_eq!(r.f64s::<2>().unwrap().map(f64::to_bits), [1.0_f64, -0.0].map(f64::to_bits));
        assert_eq!(r.f32().unwrap(), f32::MIN_POSITIVE);
        assert!(r.u64().is_err());
        let mut r = saved.read("A").unwrap();
        r.u64().unwrap();
        assert!(matches!(r.finish(), Err(EnvError::InvalidState(_))));
    }

    #[test]
    fn words_out_of_range_are_refused() {
        let saved = EnvState::new("A").u64(7);
        assert!(saved.read("A").unwrap().bool().is_err());
        assert!(saved.read("A").unwrap().usize_up_to(6).is_err());
        assert_eq!(saved.read("A").unwrap().usize_up_to(7).unwrap(), 7);
    }
}
