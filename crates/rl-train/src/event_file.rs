//! Reading the scalars of a TensorBoard event file.
//!
//! By hand and not with the `protobuf` crate, whose version here follows nested groups of an unknown field without bound: a hostile file would end
//! the process. Only the fields that scalars have are looked at, none of which is nested by the file's choice.

use std::path::Path;

use crate::TrainError;

/// One point of a curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// Environment steps.
    pub step: i64,
    /// What it is of, such as `eval/mean_reward`.
    pub tag: String,
    /// The value in TensorBoard's own precision.
    pub value: f32,
}

/// Why bytes are no event file. Every fault says at which byte the record begins that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventFault {
    /// It ends within a record: it is being written, or was when its process ended.
    #[error("it ends within the record at byte {at}")]
    Truncated {
        /// Where the record begins.
        at: usize,
    },
    /// The bytes are not those that were written.
    #[error("the record at byte {at} does not give the checksum that it carries")]
    Checksum {
        /// Where the record begins.
        at: usize,
    },
    /// The bytes are whole, and no event.
    #[error("the record at byte {at} is no event")]
    Malformed {
        /// Where the record begins.
        at: usize,
    },
}

/// The scalars of an event file in the order in which they were written.
///
/// # Errors
///
/// [`TrainError::Io`] when the file cannot be read, [`TrainError::EventFile`] when it is damaged or something else.
pub fn read_scalars(path: &Path) -> Result<Vec<Scalar>, TrainError> {
    let bytes = std::fs::read(path).map_err(TrainError::io("read", path))?;
    scalars_in(&bytes).map_err(|fault| TrainError::EventFile { path: path.to_owned(), fault })
}

/// The scalars of an event file that is given as its bytes. Nothing is allocated beyond their size.
///
/// # Source
///
/// TensorFlow's `record_writer.cc` (length, CRC-32C of the length, data, CRC-32C of the data; little-endian, checksums masked) and `event.proto`.
///
/// # Errors
///
/// [`EventFault`] with the record that cannot be used.
pub fn scalars_in(bytes: &[u8]) -> Result<Vec<Scalar>, EventFault> {
    let mut scalars = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let (truncated, checksum) = (EventFault::Truncated { at }, EventFault::Checksum { at });
        let length = take(&mut rest, 8).ok_or(truncated)?;
        if masked_crc(length) != u32::from_le_bytes(array(take(&mut rest, 4)).ok_or(truncated)?) {
            return Err(checksum);
        }
        let n = u64::from_le_bytes(array(Some(length)).ok_or(truncated)?);
        let data = usize::try_from(n).ok().and_then(|n| take(&mut rest, n)).ok_or(truncated)?;
        if masked_crc(data) != u32::from_le_bytes(array(take(&mut rest, 4)).ok_or(truncated)?) {
            return Err(checksum);
        }
        event(data, &mut scalars).ok_or(EventFault::Malformed { at })?;
    }
    Ok(scalars)
}

/// A field's value as it stands in a message.
enum Field<'a> {
    Number(u64),
    Float(f32),
    Bytes(&'a [u8]),
    Other,
}

/// `Event { step = 2, summary = 5 }`.
fn event(mut message: &[u8], scalars: &mut Vec<Scalar>) -> Option<()> {
    let (mut step, mut summaries) = (0, Vec::new());
    while !message.is_empty() {
        match field(&mut message)? {
            (2, Field::Number(n)) => step = n as i64,
            (5, Field::Bytes(summary)) => summaries.push(summary),
            (2 | 5, _) => return None,
            _ => {}
        }
    }
    summaries.into_iter().try_for_each(|summary| values(summary, step, scalars))
}

/// `Summary { repeated Value value = 1 }`, `Value { tag = 1, simple_value = 2 }`. Values of other kinds are passed over.
fn values(mut summary: &[u8], step: i64, scalars: &mut Vec<Scalar>) -> Option<()> {
    while !summary.is_empty() {
        let mut message = match field(&mut summary)? {
            (1, Field::Bytes(message)) => message,
            (1, _) => return None,
            _ => continue,
        };
        let (mut tag, mut value) = (String::new(), None);
        while !message.is_empty() {
            match field(&mut message)? {
                (1, Field::Bytes(bytes)) => tag = std::str::from_utf8(bytes).ok()?.to_owned(),
                (2, Field::Float(x)) => value = Some(x),
                (1 | 2, _) => return None,
                _ => {}
            }
        }
        scalars.extend(value.map(|value| Scalar { step, tag, value }));
    }
    Some(())
}

/// The next field's number and value.
fn field<'a>(message: &mut &'a [u8]) -> Option<(u64, Field<'a>)> {
    let key = varint(message)?;
    let value = match key & 7 {
        0 => Field::Number(varint(message)?),
        1 => take(message, 8).map(|_| Field::Other)?,
        2 => {
            let n = usize::try_from(varint(message)?).ok()?;
            Field::Bytes(take(message, n)?)
        }
        5 => Field::Float(f32::from_le_bytes(array(take(message, 4))?)),
        // Groups, which no version of these messages has.
        _ => return None,
    };
    Some((key >> 3, value))
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut x = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = take(message, 1)?[0];
        x |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(x);
        }
    }
    None
}

fn take<'a>(rest: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(n)?;
    *rest = left;
    Some(taken)
}

fn array<const N: usize>(bytes: Option<&[u8]>) -> Option<[u8; N]> {
    bytes?.try_into().ok()
}

/// CRC-32C, rotated and with a constant added, as TensorFlow stores it.
fn masked_crc(bytes: &[u8]) -> u32 {
    let crc = !bytes.iter().fold(!0u32, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8));
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The remainders of single bytes by Castagnoli's polynomial, reflected.
const TABLE: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut i = 0;
    while i < 256 {
        let (mut x, mut bit) = (i as u32, 0);
        while bit < 8 {
            x = if x & 1 == 1 { (x >> 1) ^ 0x82f6_3b78 } else { x >> 1 };
            bit += 1;
        }
        table[i] = x;
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn record(data: &[u8]) -> Vec<u8> {
        let length = (data.len() as u64).to_le_bytes();
        let (of_length, of_data) = (masked_crc(&length).to_le_bytes(), masked_crc(data).to_le_bytes());
        [&length, &of_length[..], data, &of_data].concat()
    }

    #[test]
    fn the_checksum_is_castagnolis() {
        // RFC 3720, B.4: 32 bytes of zeros, and of ones.
        let unmasked = |bytes: &[u8]| masked_crc(bytes).wrapping_sub(0xa282_ead8).rotate_left(15);
        assert_eq!((unmasked(&[0; 32]), unmasked(&[0xff; 32])), (0x8a91_36aa, 0x62a8_ab43));
    }

    #[test]
    fn scalars_are_found_among_other_fields() {
        // step 300; a summary of a value with tag "a" and 1.5, and of one that is no scalar.
        let value = [&[0x0a, 1, b'a', 0x15][..], &1.5f32.to_le_bytes()].concat();
        let summary = [&[0x0a, value.len() as u8][..], &value, &[0x0a, 3, 0x0a, 1, b'b']].concat();
        let wall_time = [&[0x09][..], &1e9f64.to_le_bytes()].concat();
        let event = [&wall_time[..], &[0x10, 0xac, 0x02, 0x2a, summary.len() as u8], &summary].concat();
        let file = [record(&[0x1a, 1, b'x']), record(&event)].concat();
        let expected = Scalar { step: 300, tag: "a".to_owned(), value: 1.5 };
        assert_eq!(scalars_in(&file).unwrap(), [expected]);
    }

    #[test]
    fn faults_are_told_apart() {
        let whole = record(&[0x10, 1]);
        assert_eq!(scalars_in(&whole), Ok(Vec::new()));
        for n in 1..whole.len() {
            assert_eq!(scalars_in(&whole[..n]), Err(EventFault::Truncated { at: 0 }), "{n} bytes");
        }
        let mut damaged = whole.clone();
        damaged[12] ^= 1;
        assert_eq!(
            scalars_in(&[&whole[..], &damaged].concat()),
            Err(EventFault::Checksum { at: whole.len() })
        );
        let endless = [0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        for no_event in [&[0x10][..], &[0x2a, 5, 1], &[0x12, 0], &[0x0b], &endless, &[0x2a, 2, 0x0a, 9]] {
            assert_eq!(scalars_in(&record(no_event)), Err(EventFault::Malformed { at: 0 }), "{no_event:?}");
        }
    }
}
