//! `progress.csv`: one row for every update, one column for every scalar.

use std::borrow::Cow;
use std::io::{BufWriter, ErrorKind};
use std::path::Path;

use rl_nn::{Data, State};

use super::columns::{rows_before, with_columns};
use crate::event::{EVAL_TAGS, STEP_TAG};
use crate::log_file::LogFile;
use crate::{Event, Sink, SinkError};

/// Writes one row for every update, with the evaluation at the same step in it.
///
/// The columns are sorted by name; `time/total_timesteps` is the step. A scalar that is told for the first time later on gets a column of its own: the
/// file is written anew beside itself and renamed, the rows before have empty cells there. Numbers are the shortest that read back as the same `f64`; a
/// value without meaning is an empty cell. A row is on disk when the next begins.
pub struct Csv {
    writer: csv::Writer<BufWriter<LogFile>>,
    columns: Vec<Cow<'static, str>>,
    row: Option<Vec<f64>>,
    has_gaps: bool,
    warning: Option<String>,
}

impl Csv {
    /// Makes the file. In a run that goes on it holds the rows from then on.
    ///
    /// # Errors
    ///
    /// [`SinkError::Log`] when it exists already, [`SinkError::Io`] when it cannot be made.
    pub fn create(path: &Path) -> Result<Self, SinkError> {
        let file = LogFile::create(path).map_err(|e| match e {
            SinkError::Io { path, source } if source.kind() == ErrorKind::AlreadyExists => {
                let reason = "is there already, and nothing is overwritten; Csv::append goes on with the log of a run that goes on";
                SinkError::Log { path, reason: reason.to_owned() }
            }
            e => e,
        })?;
        Ok(Csv::over(file))
    }

    /// Opens the file that an earlier part of the run left, to go on with it ([`Sink::restore`]).
    ///
    /// # Errors
    ///
    /// [`SinkError::Io`] when it cannot be opened.
    pub fn append(path: &Path) -> Result<Self, SinkError> {
        Ok(Csv::over(LogFile::append(path)?))
    }

    /// Goes on as well with a file that somebody has changed since the checkpoint: with those of its rows that can be read, and a warning.
    pub fn with_gaps(self) -> Self {
        Csv { has_gaps: true, ..self }
    }

    fn over(file: LogFile) -> Self {
        Csv {
            writer: csv::Writer::from_writer(BufWriter::new(file)),
            columns: Vec::new(),
            row: None,
            has_gaps: false,
            warning: None,
        }
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

    /// Sees to it that there is a column for every scalar, in the file and in the row not yet written.
    fn widen(&mut self, scalars: &[(Cow<'static, str>, f64)]) -> Result<(), SinkError> {
        let is_new = |tag: &str| self.columns.iter().all(|column| column != tag);
        let new: Vec<_> = scalars.iter().map(|(tag, _)| tag).filter(|tag| is_new(tag)).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        let had_header = !self.columns.is_empty();
        let always = if had_header { &[][..] } else { &EVAL_TAGS };
        let before = self.columns.clone();
        self.columns.extend(new.into_iter().chain(always.iter().copied().map(Cow::Borrowed)));
        self.columns.sort();
        self.columns.dedup();
        if !had_header {
            let header = self.columns.iter().map(|column| column.as_bytes());
            return self.writer.write_record(header).map_err(|e| self.file().io()(e.into()));
        }
        if let Some(row) = &mut self.row {
            let cell = |column| Some(row[before.iter().position(|c| c == column)?]);
            *row = self.columns.iter().map(|column| cell(column).unwrap_or(f64::NAN)).collect();
        }
        self.flush()?;
        let wider = with_columns(self.file().path(), &self.columns)?;
        self.replace(&wider)
    }

    /// Has other contents in the file from now on; everything before is in it.
    fn replace(&mut self, contents: &[u8]) -> Result<(), SinkError> {
        let mut file = self.file().again()?;
        file.replace(contents)?;
        self.writer = csv::Writer::from_writer(BufWriter::new(file));
        Ok(())
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
            Event::RunStarted(_) | Event::RunResumed { .. } | Event::Film { .. } => return Ok(()),
            Event::RunFinished(_) => {
                self.write_row()?;
                self.flush()?;
                return self.file().len().map(|_| ());
            }
            Event::Update(_) => {
                self.write_row()?;
                self.widen(&scalars)?;
                self.row = Some(vec![f64::NAN; self.columns.len()]);
            }
            // Of a step that has no row here: the file went without some, and goes on with the next update.
            Event::Evaluation { step, .. } if self.step_of_row() != Some(step) => return Ok(()),
            Event::Evaluation { .. } => self.widen(&scalars)?,
        }
        for (tag, value) in &scalars {
            let column = self.columns.iter().position(|column| column == tag);
            if let (Some(column), Some(row)) = (column, &mut self.row) {
                row[column] = *value;
            }
        }
        Ok(())
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

    /// Rows and columns that came after the state are cut off: where the file has got wider since, it is written anew as it was.
    fn restore(&mut self, state: &State) -> Result<(), SinkError> {
        let state = state.owned_by("Csv", 1)?;
        if self.file().is_new() {
            return Ok(());
        }
        let columns: Vec<Cow<'static, str>> = state.value("columns")?;
        let (row, length) = (state.f64s("row")?.to_vec(), state.value::<u64>("length")?);
        self.row = state.value::<bool>("has_row")?.then_some(row).filter(|row| row.len() == columns.len());
        self.columns = columns;
        let Some(step) = self.step_of_row() else {
            self.file().has(length)?;
            return self.file().cut(length);
        };
        let rows = rows_before(self.file().path(), &self.columns, step as f64)?;
        if rows.len() as u64 != length && !self.has_gaps {
            let reason = "its rows are not those that were there when the checkpoint was written; without the file the run can go on, and has its rows from then on";
            return Err(self.file().differs(reason.to_owned()));
        }
        if rows.len() as u64 != length {
            let path = self.file().path();
            // Not over what an earlier time left there.
            let copy = path.with_extension("csv.changed");
            if !copy.exists() {
                std::fs::copy(path, &copy).map_err(self.file().io())?;
            }
            let (path, copy) = (path.display(), copy.display());
            self.warning = Some(format!(
                "{path} had been changed when the run went on: those of its rows that can be read were kept, and it is in {copy} as it was"
            ));
        }
        let is_there = std::fs::read(self.file().path()).is_ok_and(|bytes| bytes.starts_with(&rows));
        if is_there { self.file().cut(rows.len() as u64) } else { self.replace(&rows) }
    }

    fn take_warning(&mut self) -> Option<String> {
        self.warning.take()
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        self.flush()?;
        self.file().sync()
    }

    fn is_vital(&self) -> bool {
        false
    }
}
