//! What somebody needs to go on where they stopped, to the bit.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::NnError;
use crate::archive::{Archive, Data};

/// The state of an owner (an algorithm, a collector, a log) as named arrays and values, with the states of its parts: everything that changes during a run
/// and that the next bit depends on.
///
/// ```
/// use rl_nn::{Archive, Data, State};
/// let adam = State::new("Adam", 1).with("t", 3)?.with_array("m", Data::F32(vec![0.5, -1.0]));
/// let mut archive = Archive::default();
/// State::new("Ppo", 1).with_part("adam", adam).store(&mut archive, "algorithm");
/// let read = State::load(&archive, "algorithm")?;
/// let adam = read.owned_by("Ppo", 1)?.part("adam")?.owned_by("Adam", 1)?;
/// assert_eq!((adam.value::<u64>("t")?, adam.f32s("m", 2)?), (3, &[0.5, -1.0][..]));
/// assert!(read.owned_by("Trpo", 1).is_err());
/// # Ok::<(), rl_nn::NnError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    owner: String,
    version: u64,
    values: Map<String, Value>,
    arrays: BTreeMap<String, Data>,
    parts: BTreeMap<String, State>,
}

impl State {
    /// An empty state of `owner`, in the form `version` of it.
    pub fn new(owner: &str, version: u64) -> Self {
        State { owner: owner.to_owned(), version, ..State::default() }
    }

    /// Whose state it is.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The same with a value. Reals that must come back to the bit belong in arrays: a NaN has no JSON.
    ///
    /// # Errors
    ///
    /// [`NnError::Saved`] for a value that JSON cannot hold.
    pub fn with(mut self, key: &str, value: impl Serialize) -> Result<Self, NnError> {
        let value = serde_json::to_value(value).map_err(|e| NnError::Saved(format!("{key:?}: {e}")))?;
        self.values.insert(key.to_owned(), value);
        Ok(self)
    }

    /// The same with an array.
    #[must_use]
    pub fn with_array(mut self, name: &str, data: Data) -> Self {
        self.arrays.insert(name.to_owned(), data);
        self
    }

    /// The same with the state of a part.
    #[must_use]
    pub fn with_part(mut self, name: &str, part: State) -> Self {
        self.parts.insert(name.to_owned(), part);
        self
    }

    /// The state itself, where it is this owner's and in this form.
    ///
    /// # Errors
    ///
    /// [`NnError::Saved`] for another owner's, or another form of it.
    pub fn owned_by(&self, owner: &str, version: u64) -> Result<&Self, NnError> {
        if self.owner != owner {
            return Err(NnError::Saved(format!(
                "the state is of {:?}, expected one of {owner:?}",
                self.owner
            )));
        }
        if self.version != version {
            let found = self.version;
            let message = format!("the state of {owner:?} is of version {found}, expected version {version}");
            return Err(NnError::Saved(message));
        }
        Ok(self)
    }

    /// A value.
    ///
    /// # Errors
    ///
    /// [`NnError::Saved`] for one that is missing or of another kind.
    pub fn value<T: DeserializeOwned>(&self, key: &str) -> Result<T, NnError> {
        let value = self.values.get(key).cloned().unwrap_or(Value::Null);
        serde_json::from_value(value).map_err(|e| self.fault(key, &e.to_string()))
    }

    /// The elements of an array of `len` `f32`.
    ///
    /// # Errors
    ///
    /// [`NnError::Saved`] for one that is missing, of another type or length.
    pub fn f32s(&self, name: &str, len: usize) -> Result<&[f32], NnError> {
        match self.array(name)? {
            Data::F32(x) if x.len() == len => Ok(x),
            other => Err(self.fault(name, &format!("{} elements, expected {len} of f32", other.len()))),
        }
    }

    /// The elements of an array of `f64`, however many there are.
    ///
    /// # Errors
    ///
    /// [`NnError::Saved`] for one that is missing or of another type.
    pub fn f64s(&self, name: &str) -> Result<&[f64], NnError> {
        match self.array(name)? {
            Data::F64(x) => Ok(x),
            _ => Err(self.fault(name, "expected f64")),
        }
    }

    /// The elements of an array of `f32`, however many there are.
    ///
    /// # Errors
    ///
    /// As [`f64s`](Self::f64s).
    pub fn all_f32s(&self, name: &str) -> Result<&[f32], NnError> {
        match self.array(name)? {
            Data::F32(x) => Ok(x),
            _ => Err(self.fault(name, "expected f32")),
        }
    }

    /// The state of a part.
    ///
    /// # Errors
    ///
    /// [`NnError::Saved`] where there is none.
    pub fn part(&self, name: &str) -> Result<&State, NnError> {
        self.parts.get(name).ok_or_else(|| self.fault(name, "there is no such part"))
    }

    /// The parts with their names.
    pub fn parts(&self) -> impl Iterator<Item = (&str, &State)> {
        self.parts.iter().map(|(name, part)| (name.as_str(), part))
    }

    fn array(&self, name: &str) -> Result<&Data, NnError> {
        self.arrays.get(name).ok_or_else(|| self.fault(name, "there is no such array"))
    }

    fn fault(&self, name: &str, why: &str) -> NnError {
        NnError::Saved(format!("the state of {:?}, {name:?}: {why}", self.owner))
    }

    /// Puts the state into an archive, under a name: its arrays are called `name.…`.
    pub fn store(&self, archive: &mut Archive, name: &str) {
        let parts: Vec<&String> = self.parts.keys().collect();
        let arrays: Vec<&String> = self.arrays.keys().collect();
        let about = json!({
            "owner": self.owner, "version": self.version, "values": self.values, "arrays": arrays, "parts": parts,
        });
        archive.about.insert(name.to_owned(), about);
        for (key, data) in &self.arrays {
            archive.insert(format!("{name}.{key}"), &[data.len()], data.clone());
        }
        for (key, part) in &self.parts {
            part.store(archive, &format!("{name}.{key}"));
        }
    }

    /// Takes a state out of an archive.
    ///
    /// # Errors
    ///
    /// [`NnError::Saved`] where there is none of that name, or it is not whole.
    pub fn load(archive: &Archive, name: &str) -> Result<Self, NnError> {
        State::load_within(archive, name, 16)
    }

    fn load_within(archive: &Archive, name: &str, depth: usize) -> Result<Self, NnError> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct About {
            owner: String,
            version: u64,
            values: Map<String, Value>,
            arrays: Vec<String>,
            parts: Vec<String>,
        }
        let about = archive.about.get(name).filter(|_| depth > 0);
        let about = about.ok_or_else(|| NnError::Saved(format!("there is no state {name:?}")))?;
        let About { owner, version, values, arrays, parts } = serde_json::from_value(about.clone())
            .map_err(|e| NnError::Saved(format!("the state {name:?}: {e}")))?;
        let mut state = State { owner, version, values, ..State::default() };
        // A name that comes twice could be a large array a thousand times.
        let twice = |key: &str| NnError::Saved(format!("the state {name:?} has {key:?} twice"));
        for key in arrays {
            if state.arrays.contains_key(&key) {
                return Err(twice(&key));
            }
            let data = archive.get(&format!("{name}.{key}"))?.data.clone();
            state.arrays.insert(key, data);
        }
        for key in parts {
            if state.parts.contains_key(&key) {
                return Err(twice(&key));
            }
            let part = State::load_within(archive, &format!("{name}.{key}"), depth - 1)?;
            state.parts.insert(key, part);
        }
        Ok(state)
    }
}
