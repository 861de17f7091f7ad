//! `progress.csv`: one row for every update, one column for every scalar.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use rl_nn::{Data, State};

use crate::event::EVAL_TAGS;
use crate::{Event, Sink, SinkError};

/// Writes one row for every update, with the evaluation at the same step in it.
///
/// The columns are those of the first update and of evaluations; `time/total_timesteps` is the step. Numbers are the
/// shortest that read back as the same `f64`; a value without meaning is an empty cell. A row is on disk when the next begins.
pub struct Csv {
    path: PathBuf,
    writer: csv::Writer<BufWriter<File>>,
    columns: Vec<Cow<'static, str>>,
    row: Option<Vec<f64>>,
}

impl Csv {
    /// Makes the file.
    ///
    /// # Errors
    ///
    /// [`SinkError::Io`] when it exists already or cannot be made.
    pub fn create(path: &Path) -> Result<Self, SinkError> {
        let file =
            File::create_new(path).map_err(|source| SinkError::Io { path: path.to_owned(), source })?;
        let writer = csv::Writer::from_writer(BufWriter::new(file));
        Ok(Csv { path: path.to_owned(), writer, columns: Vec::new(), row: None })
    }

    /// Opens the file that an earlier part of the run left, to go on with it ([`Sink::restore`]).
    ///
    /// # Errors
    ///
    /// [`SinkError::Io`] when it cannot be opened.
    pub fn append(path: &Path) -> Result<Self, SinkError> {
        let file = File::options().append(true).read(true).open(path);
        let file = file.map_err(|source| SinkError::Io { path: path.to_owned(), source })?;
        let writer = csv::Writer::from_writer(BufWriter::new(file));
        Ok(Csv { path: path.to_owned(), writer, columns: Vec::new(), row: None })
    }

    fn io(&self) -> impl Fn(io::Error) -> SinkError + use<> {
        let path = self.path.clone();
        move |source| SinkError::Io { path: path.clone(), source }
    }

    fn set(&mut self, tag: &str, value: f64) -> Result<(), SinkError> {
        let (Some(column), Some(row)) = (self.columns.iter().position(|c| c == tag), &mut self.row) else {
            return Err(SinkError::UnknownColumn { path: self.path.clone(), tag: tag.to_owned() });
        };
        row[column] = value;
        Ok(())
    }

    fn write_header(&mut self, scalars: &[(Cow<'static, str>, f64)]) -> Result<(), SinkError> {
        self.columns =
            scalars.iter().map(|(tag, _)| tag.clone()).chain(EVAL_TAGS.map(Cow::Borrowed)).collect();
        self.columns.sort();
        self.writer.write_record(self.columns.iter().map(|c| c.as_bytes())).map_err(|e| self.io()(e.into()))
    }

    fn write_row(&mut self) -> Result<(), SinkError> {
        let Some(row) = self.row.take() else { return Ok(()) };
        let cells = row.iter().map(|x| if x.is_nan() { String::new() } else { x.to_string() });
        self.writer.write_record(cells).map_err(|e| self.io()(e.into()))?;
        self.writer.flush().map_err(self.io())
    }
}

impl Sink for Csv {
    fn event(&mut self, event: Event<'_>) -> Result<(), SinkError> {
        let scalars = event.scalars();
        match event {
            Event::RunStarted(_) | Event::RunResumed { .. } => return Ok(()),
            Event::RunFinished(_) => {
                self.write_row()?;
                return self.writer.flush().map_err(self.io());
            }
            Event::Update(_) => {
                self.write_row()?;
                if self.columns.is_empty() {
                    self.write_header(&scalars)?;
                }
                self.row = Some(vec![f64::NAN; self.columns.len()]);
            }
            Event::Evaluation { .. } => {}
        }
        scalars.iter().try_for_each(|(tag, value)| self.set(tag, *value))
    }

    /// The length of the file, the columns, and the row that is not written yet.
    fn state(&mut self) -> Result<Option<State>, SinkError> {
        self.writer.flush().map_err(self.io())?;
        let length = self.writer.get_ref().get_ref().metadata().map_err(self.io())?.len();
        let row = self.row.clone().unwrap_or_default();
        let state = State::new("Csv", 1)
            .with("length", length)?
            .with("columns", &self.columns)?
            .with("has_row", self.row.is_some())?
            .with_array("row", Data::F64(row));
        Ok(Some(state))
    }

    fn restore(&mut self, state: &State) -> Result<(), SinkError> {
        let state = state.owned_by("Csv", 1)?;
        let columns: Vec<String> = state.value("columns")?;
        let row = state.f64s("row")?.to_vec();
        cut(self.writer.get_ref().get_ref(), &self.path, state.value("length")?)?;
        self.row = state.value::<bool>("has_row")?.then_some(row).filter(|row| row.len() == columns.len());
        self.columns = columns.into_iter().map(Cow::Owned).collect();
        Ok(())
    }
}

/// Cuts a log back to a length that it once had.
pub(super) fn cut(file: &File, path: &Path, length: u64) -> Result<(), SinkError> {
    let failed = |source| SinkError::Io { path: path.to_owned(), source };
    let found = file.metadata().map_err(failed)?.len();
    if found < length {
        let reason = format!("it has {found} bytes, and had {length} when the checkpoint was written");
        return Err(SinkError::Log { path: path.to_owned(), reason });
    }
    file.set_len(length).and_then(|()| file.sync_all()).map_err(failed)
}
