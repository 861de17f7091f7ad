//! `progress.csv`: one row for every update, one column for every scalar.

use std::borrow::Cow;
use std::io::BufWriter;
use std::path::Path;

use rl_nn::{Data, State};

use crate::event::{EVAL_TAGS, STEP_TAG};
use crate::log_file::LogFile;
use crate::{Event, Sink, SinkError};

/// Writes one row for every update, with the evaluation at the same step in it.
///
/// The columns are those of the first update and of evaluations; `time/total_timesteps` is the step. Numbers are the
/// shortest that read back as the same `f64`; a value without meaning is an empty cell. A row is on disk when the next begins.
pub struct Csv {
    writer: csv::Writer<BufWriter<LogFile>>,
    columns: Vec<Cow<'static, str>>,
    row: Option<Vec<f64>>,
}

impl Csv {
    /// Makes the file. In a run that goes on it holds the rows from then on.
    ///
    /// # Errors
    ///
    /// [`SinkError::Io`] when it exists already or cannot be made.
    pub fn create(path: &Path) -> Result<Self, SinkError> {
        Ok(Csv::over(LogFile::create(path)?))
    }

    /// Opens the file that an earlier part of the run left, to go on with it ([`Sink::restore`]).
    ///
    /// # Errors
    ///
    /// [`SinkError::Io`] when it cannot be opened.
    pub fn append(path: &Path) -> Result<Self, SinkError> {
        Ok(Csv::over(LogFile::append(path)?))
    }

    fn over(file: LogFile) -> Self {
        let writer = csv::Writer::from_writer(BufWriter::new(file));
        Csv { writer, columns: Vec::new(), row: None }
    }

    fn file(&self) -> &LogFile {
        self.writer.get_ref().get_ref()
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.writer.flush().map_err(self.file().io())
    }

    /// The step that the row not yet written is of.
    fn step_of_row(&self) -> Option<u64> {
        let column = self.columns.iter().position(|column| column == STEP_TAG)?;
        Some(*self.row.as_ref()?.get(column)? as u64)
    }

    fn set(&mut self, tag: &str, value: f64) -> Result<(), SinkError> {
        let (Some(column), Some(row)) = (self.columns.iter().position(|c| c == tag), &mut self.row) else {
            return Err(SinkError::UnknownColumn {
                path: self.file().path().to_owned(),
                tag: tag.to_owned(),
            });
        };
        row[column] = value;
        Ok(())
    }

    fn write_header(&mut self, scalars: &[(Cow<'static, str>, f64)]) -> Result<(), SinkError> {
        self.columns =
            scalars.iter().map(|(tag, _)| tag.clone()).chain(EVAL_TAGS.map(Cow::Borrowed)).collect();
        self.columns.sort();
        self.writer
            .write_record(self.columns.iter().map(|c| c.as_bytes()))
            .map_err(|e| self.file().io()(e.into()))
    }

    fn write_row(&mut self) -> Result<(), SinkError> {
        let Some(row) = self.row.take() else { return Ok(()) };
        let cells = row.iter().map(|x| if x.is_nan() { String::new() } else { x.to_string() });
        self.writer.write_record(cells).map_err(|e| self.file().io()(e.into()))?;
        self.flush()
    }
}

impl Sink for Csv {
    fn event(&mut self, event: Event<'_>) -> Result<(), SinkError> {
        let scalars = event.scalars();
        match event {
            Event::RunStarted(_) | Event::RunResumed { .. } => return Ok(()),
            Event::RunFinished(_) => {
                self.write_row()?;
                self.flush()?;
                return self.file().len().map(|_| ());
            }
            Event::Update(_) => {
                self.write_row()?;
                if self.columns.is_empty() {
                    self.write_header(&scalars)?;
                }
                self.row = Some(vec![f64::NAN; self.columns.len()]);
            }
            // Of a step that has no row here: the file went without some, and goes on with the next update.
            Event::Evaluation { step, .. } if self.step_of_row() != Some(step) => return Ok(()),
            Event::Evaluation { .. } => {}
        }
        scalars.iter().try_for_each(|(tag, value)| self.set(tag, *value))
    }

    /// The length of the file, the columns, and the row that is not written yet.
    fn state(&mut self) -> Result<Option<State>, SinkError> {
        self.flush()?;
        let length = self.file().len()?;
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
        if self.file().is_new() {
            return Ok(());
        }
        let columns: Vec<String> = state.value("columns")?;
        let row = state.f64s("row")?.to_vec();
        self.file().cut(state.value("length")?)?;
        self.row = state.value::<bool>("has_row")?.then_some(row).filter(|row| row.len() == columns.len());
        self.columns = columns.into_iter().map(Cow::Owned).collect();
        Ok(())
    }
    fn sync(&mut self) -> Result<(), SinkError> {
        self.flush()?;
        self.file().sync()
    }

    fn is_vital(&self) -> bool {
        false
    }
}
