//! TensorBoard event files.

use std::io::{self, BufWriter, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use protobuf::{Message, RepeatedField};
use tensorboard_proto::event::Event as Record;
use tensorboard_proto::summary::{HistogramProto, Summary, Summary_Image, Summary_Value};
use tensorboard_rs::record_writer::RecordWriter;

use rl_algo::Histogram;
use rl_nn::State;

use super::hparams;
use crate::log_file::LogFile;
use crate::{Event, Film, Sink, SinkError};

/// Writes scalars, histograms and films with environment steps as their step, and the settings for the HParams plugin.
///
/// Values are stored as `f32`, which is TensorBoard's own precision; one without meaning is left out. The file is flushed after every event.
pub struct TensorBoard {
    writer: RecordWriter<BufWriter<LogFile>>,
    /// The same file, to ask for its length.
    file: LogFile,
}

impl TensorBoard {
    /// Makes a new event file in a directory. In a run that goes on it holds the events from then on.
    ///
    /// # Errors
    ///
    /// [`SinkError::Io`] when it cannot be made.
    pub fn create(dir: &Path) -> Result<Self, SinkError> {
        let (seconds, process) = (seconds_since_1970() as u64, std::process::id());
        let mut paths = (0u32..=u32::MAX).map(|n| dir.join(format!("{EVENT_FILE}{seconds}.{process}.{n}")));
        let made = paths.find_map(|path| match LogFile::create(&path) {
            Err(SinkError::Io { source, .. }) if source.kind() == ErrorKind::AlreadyExists => None,
            made => Some(made),
        });
        let none_free = || SinkError::Io { path: dir.to_owned(), source: ErrorKind::AlreadyExists.into() };
        let mut tensorboard = TensorBoard::over(made.ok_or_else(none_free)??)?;
        let mut version = Record::new();
        version.set_file_version("brain.Event:2".to_owned());
        tensorboard.write(version)?;
        tensorboard.flush()?;
        Ok(tensorboard)
    }

    /// Opens the newest event file that an earlier part of the run left in a directory, to go on with it ([`Sink::restore`]).
    ///
    /// # Errors
    ///
    /// [`SinkError::Io`] when there is none, or it cannot be opened.
    pub fn append(dir: &Path) -> Result<Self, SinkError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| SinkError::Io { path, source }
        };
        let entries = std::fs::read_dir(dir).map_err(failed(dir))?.filter_map(Result::ok).map(|e| e.path());
        // Others may have event files there, which are not ours to cut.
        let is_ours =
            |path: &PathBuf| path.file_name().is_some_and(|name| is_event_file(&name.to_string_lossy()));
        let newest = entries.filter(is_ours).max();
        let path = newest.ok_or_else(|| failed(dir)(ErrorKind::NotFound.into()))?;
        TensorBoard::over(LogFile::append(&path)?)
    }

    fn over(file: LogFile) -> Result<Self, SinkError> {
        let same = file.again()?;
        Ok(TensorBoard { writer: RecordWriter::new(BufWriter::new(file)), file: same })
    }

    fn write(&mut self, mut record: Record) -> Result<(), SinkError> {
        record.set_wall_time(seconds_since_1970());
        let bytes = record.write_to_bytes().map_err(io::Error::from);
        bytes.and_then(|bytes| self.writer.write(&bytes)).map_err(self.file.io())
    }

    fn write_values(&mut self, step: u64, values: Vec<Summary_Value>) -> Result<(), SinkError> {
        let mut summary = Summary::new();
        summary.set_value(RepeatedField::from_vec(values));
        let mut record = Record::new();
        record.set_step(i64::try_from(step).unwrap_or(i64::MAX));
        record.set_summary(summary);
        self.write(record)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.writer.flush().map_err(self.file.io())
    }
}

impl Sink for TensorBoard {
    fn event(&mut self, event: Event<'_>) -> Result<(), SinkError> {
        let scalars = event.scalars().into_iter().filter(|(_, value)| !value.is_nan());
        let scalars = scalars.map(|(tag, value)| {
            let mut scalar = Summary_Value::new();
            scalar.set_tag(tag.into_owned());
            scalar.set_simple_value(value as f32);
            scalar
        });
        let histograms = match event {
            Event::Update(update) => update.log.histograms(),
            _ => &[],
        };
        let values = scalars.chain(histograms.iter().map(|(tag, of)| histogram(tag, of))).collect();
        match event {
            Event::RunStarted(info) => {
                let session = hparams::session_start(info, seconds_since_1970())?;
                self.write_values(0, vec![session, hparams::settings_text(info)])?
            }
            Event::RunResumed { .. } => {}
            Event::Update(update) => self.write_values(update.step, values)?,
            Event::Evaluation { step, .. } => self.write_values(step, values)?,
            Event::Film { step, film } => self.write_values(step, vec![image("eval/film", film)])?,
            Event::RunFinished(summary) => {
                let end = hparams::session_end(summary.status, seconds_since_1970())?;
                self.write_values(summary.total_steps, vec![end])?;
                self.flush()?;
                return self.file.len().map(|_| ());
            }
        }
        self.flush()
    }

    fn state(&mut self) -> Result<Option<State>, SinkError> {
        self.flush()?;
        let length = self.file.len()?;
        Ok(Some(State::new("TensorBoard", 1).with("length", length)?))
    }

    fn restore(&mut self, state: &State) -> Result<(), SinkError> {
        if self.file.is_new() {
            return Ok(());
        }
        self.file.cut(state.owned_by("TensorBoard", 1)?.value("length")?)
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        self.flush()?;
        self.file.sync()
    }

    fn is_vital(&self) -> bool {
        false
    }
}

/// A histogram as its message: the right ends of its buckets, and how many are in each.
fn histogram(tag: &str, of: &Histogram) -> Summary_Value {
    let mut message = HistogramProto::new();
    message.set_min(of.min);
    message.set_max(of.max);
    message.set_num(of.n() as f64);
    message.set_sum(of.sum);
    message.set_sum_squares(of.sum_squares);
    message.set_bucket_limit((0..of.counts.len()).map(|bucket| of.limit(bucket)).collect());
    message.set_bucket(of.counts.iter().map(|n| *n as f64).collect());
    let mut value = Summary_Value::new();
    value.set_tag(tag.to_owned());
    value.set_histo(message);
    value
}

/// A film as an image of three colours, which TensorBoard hands to the browser as it is.
fn image(tag: &str, film: &Film) -> Summary_Value {
    let mut message = Summary_Image::new();
    message.set_width(i32::try_from(film.width).unwrap_or(i32::MAX));
    message.set_height(i32::try_from(film.height).unwrap_or(i32::MAX));
    message.set_colorspace(3);
    message.set_encoded_image_string(film.gif.clone());
    let mut value = Summary_Value::new();
    value.set_tag(tag.to_owned());
    value.set_image(message);
    value
}

/// What TensorBoard knows event files by.
const EVENT_FILE: &str = "events.out.tfevents.";

/// Whether it is the name of an event file that was made here, with three numbers; in those of other programs stands the machine's name.
pub(crate) fn is_event_file(name: &str) -> bool {
    let numbers = name.strip_prefix(EVENT_FILE).map(|rest| rest.split('.').map(str::parse::<u64>));
    numbers.is_some_and(|numbers| numbers.clone().count() == 3 && numbers.flatten().count() == 3)
}

fn seconds_since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
