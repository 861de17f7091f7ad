//! Named arrays with a description, as one file that anybody can open.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Map, Value};

use crate::NnError;

/// Named arrays and a description of them: a saved policy, a checkpoint.
///
/// As bytes it is a safetensors file, which PyTorch, JAX and NumPy read, with one entry of metadata, `rl`: the description as JSON, its keys sorted, with a
/// checksum (CRC-32) of the whole file in which the checksum's own digits are zeros. The same contents give the same bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Archive {
    /// The description.
    pub about: Map<String, Value>,
    arrays: BTreeMap<String, Array>,
}

/// An array of an [`Archive`].
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its shape, row-major.
    pub shape: Vec<usize>,
    /// Its elements.
    pub data: Data,
}

/// Elements of an [`Array`].
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Parameters, observations.
    F32(Vec<f32>),
    /// Statistics, states.
    F64(Vec<f64>),
    /// Counters, generators.
    U64(Vec<u64>),
    /// Bytes, flags.
    U8(Vec<u8>),
}

/// The metadata's key.
const KEY: &str = "rl";
/// The description's key of the checksum.
const CHECKSUM: &str = "checksum";
/// What stands for the checksum where it is computed.
const BLANK: &str = "00000000";

impl Archive {
    /// Adds an array, in place of an earlier one of that name.
    ///
    /// # Panics
    ///
    /// If there are not as many elements as the shape says.
    pub fn insert(&mut self, name: impl Into<String>, shape: &[usize], data: Data) {
        assert_eq!(
            shape.iter().product::<usize>(),
            data.len(),
            "the elements of an array of shape {shape:?}"
        );
        self.arrays.insert(name.into(), Array { shape: shape.to_vec(), data });
    }

    /// The names of all arrays, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.arrays.keys().map(String::as_str)
    }

    /// An array.
    ///
    /// # Errors
    ///
    /// [`NnError::Saved`] where there is none of that name.
    pub fn get(&self, name: &str) -> Result<&Array, NnError> {
        self.arrays.get(name).ok_or_else(|| NnError::Saved(format!("there is no array {name:?}")))
    }

    /// The elements of an array of `f32` with this shape.
    ///
    /// # Errors
    ///
    /// [`NnError::Saved`] for a missing one, or of another type or shape; the message names it.
    pub fn f32s(&self, name: &str, shape: &[usize]) -> Result<&[f32], NnError> {
        match self.get(name)? {
            Array { shape: found, data: Data::F32(x) } if found == shape => Ok(x),
            other => Err(other.misfit(name, "F32", shape)),
        }
    }

    /// The elements of an array of `f64` with this shape.
    ///
    /// # Errors
    ///
    /// As [`f32s`](Self::f32s).
    pub fn f64s(&self, name: &str, shape: &[usize]) -> Result<&[f64], NnError> {
        match self.get(name)? {
            Array { shape: found, data: Data::F64(x) } if found == shape => Ok(x),
            other => Err(other.misfit(name, "F64", shape)),
        }
    }

    /// The whole as bytes.
    ///
    /// # Errors
    ///
    /// [`NnError::Saved`] should the format refuse it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NnError> {
        let failed = |e: &dyn std::fmt::Display| NnError::Saved(e.to_string());
        let mut about = self.about.clone();
        about.insert(CHECKSUM.to_owned(), BLANK.into());
        let description = sorted(Value::Object(about)).to_string();
        let bytes: Vec<(&str, &Array, Vec<u8>)> =
            self.arrays.iter().map(|(name, array)| (&**name, array, array.data.to_bytes())).collect();
        let views = bytes.iter().map(|(name, array, bytes)| {
            Ok((*name, TensorView::new(array.data.dtype(), array.shape.clone(), bytes)?))
        });
        let views: Result<Vec<_>, safetensors::SafeTensorError> = views.collect();
        let metadata = [(KEY.to_owned(), description)].into_iter().collect();
        let mut file =
            safetensors::serialize(views.map_err(|e| failed(&e))?, Some(metadata)).map_err(|e| failed(&e))?;
        let at = checksum_at(&file).ok_or_else(|| failed(&"the checksum's place is lost"))?;
        let checksum = format!("{:08x}", crc32fast::hash(&file));
        file[at..at + BLANK.len()].copy_from_slice(checksum.as_bytes());
        Ok(file)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. Whatever the bytes are, nothing is allocated beyond their size.
    ///
    /// # Errors
    ///
    /// [`NnError::Saved`] for bytes that are no safetensors file, have no description, or do not give the checksum they carry.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NnError> {
        let fault = |e: &dyn std::fmt::Display| NnError::Saved(e.to_string());
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| match kind_of(bytes) {
            Some(kind) => fault(&format!("it is {kind} and no safetensors file")),
            None => fault(&format!("it is no whole safetensors file ({e})")),
        })?;
        let description = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
        let description =
            description.ok_or_else(|| fault(&"it is a safetensors file, but not one of this program's"))?;
        let Value::Object(mut about) = serde_json::from_str(description).map_err(|e| fault(&e))? else {
            return Err(fault(&"its description is no JSON object"));
        };
        let claimed = about.remove(CHECKSUM);
        let at = checksum_at(bytes).ok_or_else(|| fault(&"it carries no checksum"))?;
        let mut hasher = crc32fast::Hasher::new();
        [&bytes[..at], BLANK.as_bytes(), &bytes[at + BLANK.len()..]]
            .iter()
            .for_each(|part| hasher.update(part));
        let checksum = format!("{:08x}", hasher.finalize());
        if claimed.as_ref().and_then(Value::as_str) != Some(&*checksum) {
            return Err(fault(&"it is damaged: its contents do not give the checksum that it carries"));
        }
        let file = SafeTensors::deserialize(bytes).map_err(|e| fault(&e))?;
        let mut arrays = BTreeMap::new();
        for (name, view) in file.iter() {
            let data = Data::from_bytes(view.dtype(), view.data())
                .ok_or_else(|| fault(&format!("array {name:?} is of the type {:?}", view.dtype())))?;
            arrays.insert(name.to_owned(), Array { shape: view.shape().to_vec(), data });
        }
        Ok(Archive { about, arrays })
    }
}

/// What a file is that is no archive, as far as its first bytes say it.
fn kind_of(bytes: &[u8]) -> Option<&'static str> {
    let begin = &bytes[..bytes.len().min(512)];
    // Of a safetensors file the first eight bytes are a number, and what follows begins a JSON object.
    let is_text =
        !begin.is_empty() && begin.iter().all(|b| matches!(b, b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0x80..));
    match begin {
        [] => Some("empty"),
        [b'P', b'K', 3, 4, ..] => Some("a zip archive, such as Stable-Baselines3 writes,"),
        _ if is_text => Some("a text"),
        _ => None,
    }
}

/// Where the checksum's digits stand: in JSON within JSON, before any array.
fn checksum_at(file: &[u8]) -> Option<usize> {
    let header = file.get(..8)?.try_into().ok().map(u64::from_le_bytes)?;
    let header = file.get(..usize::try_from(header).ok()?.checked_add(8)?)?;
    let label = br#"\"checksum\":\""#;
    let at = header.windows(label.len()).rposition(|window| window == label)? + label.len();
    (at + BLANK.len() <= header.len()).then_some(at)
}

/// A JSON value with the keys of every object sorted.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().map(|(k, v)| (k, sorted(v))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(sorted).collect()),
        other => other,
    }
}

impl Array {
    fn misfit(&self, name: &str, dtype: &str, shape: &[usize]) -> NnError {
        let (found, found_shape) = (self.data.dtype(), &self.shape);
        NnError::Saved(format!("array {name:?} is {found:?} {found_shape:?}, expected {dtype} {shape:?}"))
    }
}

impl Data {
    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::F32(x) => x.len(),
            Data::F64(x) => x.len(),
            Data::U64(x) => x.len(),
            Data::U8(x) => x.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn dtype(&self) -> Dtype {
        match self {
            Data::F32(_) => Dtype::F32,
            Data::F64(_) => Dtype::F64,
            Data::U64(_) => Dtype::U64,
            Data::U8(_) => Dtype::U8,
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Data::F32(x) => x.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Data::F64(x) => x.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Data::U64(x) => x.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Data::U8(x) => x.clone(),
        }
    }

    fn from_bytes(dtype: Dtype, bytes: &[u8]) -> Option<Self> {
        Some(match dtype {
            Dtype::F32 => Data::F32(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
            Dtype::F64 => Data::F64(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect()),
            Dtype::U64 => Data::U64(bytes.as_chunks().0.iter().map(|b| u64::from_le_bytes(*b)).collect()),
            Dtype::U8 => Data::U8(bytes.to_vec()),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Archive {
        let mut archive = Archive::default();
        archive
            .about
            .insert("z".to_owned(), serde_json::json!({"b": 1, "a": [{"d": 1, "c": "\"checksum\":\""}]}));
        archive.about.insert("a".to_owned(), 0.1.into());
        archive.insert("w", &[2, 2], Data::F32(vec![1.0, -0.0, f32::NAN, 2.5]));
        archive.insert("checksum", &[1], Data::U64(vec![u64::MAX]));
        archive.insert("mean", &[3], Data::F64(vec![1e300, 0.0, -1.0]));
        archive.insert("nothing", &[0], Data::U8(Vec::new()));
        archive
    }

    #[test]
    fn an_archive_comes_back_to_the_byte() {
        let bytes = archive().to_bytes().unwrap();
        let read = Archive::from_bytes(&bytes).unwrap();
        assert_eq!(read.to_bytes().unwrap(), bytes);
        assert_eq!((&read.about["a"], read.names().count()), (&Value::from(0.1), 4));
        assert_eq!(read.f64s("mean", &[3]).unwrap(), [1e300, 0.0, -1.0]);
        for error in [read.f32s("mean", &[3]), read.f32s("w", &[4]), read.f32s("v", &[4])] {
            assert!(matches!(error, Err(NnError::Saved(_))));
        }
    }

    /// Every byte, in every bit; and every length.
    #[test]
    fn damage_is_noticed() {
        let bytes = archive().to_bytes().unwrap();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                assert!(Archive::from_bytes(&damaged).is_err(), "bit {bit} of byte {at}");
            }
            assert!(Archive::from_bytes(&bytes[..at]).is_err(), "{at} bytes");
        }
        assert!(Archive::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    }
}
