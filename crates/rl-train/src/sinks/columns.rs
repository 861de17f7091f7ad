//! A table with other columns than it has.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::SinkError;
use crate::event::STEP_TAG;

/// The bytes of a table with these columns instead of its own, in this order: the cells as they stand there, empty ones in a column that it does not have.
///
/// # Errors
///
/// [`SinkError::Io`] when it cannot be read.
pub(super) fn with_columns(path: &Path, columns: &[Cow<'static, str>]) -> Result<Vec<u8>, SinkError> {
    let mut table = csv::ReaderBuilder::new().flexible(true).from_path(path).map_err(failed(path))?;
    let header = table.byte_headers().map_err(failed(path))?.clone();
    let places: HashMap<&[u8], usize> = header.iter().enumerate().map(|(k, column)| (column, k)).collect();
    let places: Vec<_> = columns.iter().map(|column| places.get(column.as_bytes()).copied()).collect();
    let mut written = csv::Writer::from_writer(Vec::new());
    written.write_record(columns.iter().map(|column| column.as_bytes())).map_err(failed(path))?;
    for row in table.byte_records() {
        let row = row.map_err(failed(path))?;
        let cells = places.iter().map(|place| place.and_then(|place| row.get(place)).unwrap_or_default());
        written.write_record(cells).map_err(failed(path))?;
    }
    written.into_inner().map_err(|e| failed(path)(io::Error::other(e.to_string()).into()))
}

/// The bytes of a table with these columns, of its rows before a step: those with as many cells as it has columns, in the order of their steps. What else
/// somebody left there is no row of a run.
///
/// # Errors
///
/// [`SinkError::Io`] when it cannot be read.
pub(super) fn rows_before(
    path: &Path,
    columns: &[Cow<'static, str>],
    end: f64,
) -> Result<Vec<u8>, SinkError> {
    let mut table = csv::ReaderBuilder::new().flexible(true).from_path(path).map_err(failed(path))?;
    let header = table.byte_headers().map_err(failed(path))?.clone();
    let place = |column: &str| header.iter().position(|c| c == column.as_bytes());
    let places: Vec<_> = columns.iter().map(|column| place(column)).collect();
    let mut written = csv::Writer::from_writer(Vec::new());
    written.write_record(columns.iter().map(|column| column.as_bytes())).map_err(failed(path))?;
    let mut last = f64::NEG_INFINITY;
    for row in table.byte_records() {
        let row = row.map_err(failed(path))?;
        let number = |place: usize| std::str::from_utf8(row.get(place)?).ok()?.parse::<f64>().ok();
        let step = place(STEP_TAG).and_then(number).filter(|step| *step > last && *step < end);
        if let Some(step) = step.filter(|_| row.len() == header.len()) {
            let cells = places.iter().map(|place| place.and_then(|place| row.get(place)).unwrap_or_default());
            written.write_record(cells).map_err(failed(path))?;
            last = step;
        }
    }
    written.into_inner().map_err(|e| failed(path)(io::Error::other(e.to_string()).into()))
}

fn failed(path: &Path) -> impl Fn(csv::Error) -> SinkError {
    move |e| {
        let source = match e.into_kind() {
            csv::ErrorKind::Io(source) => source,
            other => io::Error::new(ErrorKind::InvalidData, format!("its table cannot be read: {other:?}")),
        };
        SinkError::Io { path: path.to_owned(), source }
    }
}
