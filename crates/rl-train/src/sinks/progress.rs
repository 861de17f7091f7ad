//! Progress for people to watch: a bar on a terminal, plain lines elsewhere.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::{Event, RunInfo, Sink, SinkError, Status, Summary, Update, shown};

/// Shows steps, steps a second, the mean return of the last 100 episodes and the time that remains.
pub struct Progress {
    to: To,
    name: String,
    total_steps: u64,
    rejected: u64,
    next_tenth: u64,
}

enum To {
    Bar(ProgressBar),
    Lines(Box<dyn Write + Send>),
}

impl Progress {
    /// Draws on a bar, whose draw target the caller chose.
    pub fn bar(bar: ProgressBar) -> Self {
        Progress::new(To::Bar(bar))
    }

    /// Writes a line at every tenth of the budget, and at the end.
    pub fn lines(to: impl Write + Send + 'static) -> Self {
        Progress::new(To::Lines(Box::new(to)))
    }

    fn new(to: To) -> Self {
        Progress { to, name: String::new(), total_steps: 1, rejected: 0, next_tenth: 1 }
    }

    fn start(&mut self, info: &RunInfo) {
        self.name = format!("{} {} s{}", info.name(), info.env, info.seed);
        self.total_steps = info.total_steps;
        if let To::Bar(bar) = &self.to {
            let template = "{prefix:24} {bar:24} {pos}/{len} {msg}";
            bar.set_style(
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.set_length(self.total_steps);
            bar.set_prefix(self.name.clone());
        }
    }

    fn update(&mut self, update: &Update) -> io::Result<()> {
        if update.report.outcome.is_rejected() {
            self.rejected += 1;
        }
        let message = self.message(update);
        match &mut self.to {
            To::Bar(bar) => {
                bar.set_message(message);
                bar.set_position(update.step.min(self.total_steps));
                Ok(())
            }
            To::Lines(to) => {
                let tenths = update.step.saturating_mul(10) / self.total_steps.max(1);
                if tenths < self.next_tenth {
                    return Ok(());
                }
                self.next_tenth = tenths + 1;
                writeln!(to, "{}: {}/{} steps, {message}", self.name, update.step, self.total_steps)?;
                to.flush()
            }
        }
    }

    fn message(&self, update: &Update) -> String {
        let fps = update.timing.fps;
        let mean = update.rollout.ep_rew_mean.map_or_else(|| "-".to_owned(), |mean| shown(mean, mean));
        let remaining = self.total_steps.saturating_sub(update.step) as f64 / fps;
        let eta = indicatif::HumanDuration(Duration::try_from_secs_f64(remaining).unwrap_or(Duration::MAX));
        let rejected = match self.rejected {
            0 => String::new(),
            n => format!(", {n} of {} updates rejected", update.iteration),
        };
        format!("{fps:.0} steps/s, mean return {mean}, ETA {eta:#}{rejected}")
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        let outcome = match (&summary.status, &summary.eval) {
            (Status::Failed, _) => "failed".to_owned(),
            (Status::Interrupted, _) => "interrupted".to_owned(),
            (Status::Finished | Status::Stopped, Some(e)) => {
                format!("evaluation {} ± {}", shown(e.mean, e.mean), shown(e.std, e.mean))
            }
            (Status::Finished | Status::Stopped, None) => "done".to_owned(),
        };
        let message =
            format!("{outcome}, {:.0} steps/s, {:.1} s", summary.steps_per_second, summary.wall_seconds);
        match &mut self.to {
            To::Bar(bar) => bar.abandon_with_message(message),
            To::Lines(to) => {
                writeln!(to, "{}: {} steps, {message}", self.name, summary.total_steps)?;
                to.flush()?;
            }
        }
        Ok(())
    }
}

impl Sink for Progress {
    fn event(&mut self, event: Event<'_>) -> Result<(), SinkError> {
        let told = match event {
            Event::RunStarted(info) => {
                self.start(info);
                Ok(())
            }
            Event::RunResumed { info, step } => {
                self.start(info);
                self.next_tenth = step.saturating_mul(10) / self.total_steps.max(1) + 1;
                Ok(())
            }
            Event::Update(update) => self.update(update),
            Event::Evaluation { .. } | Event::Film { .. } => Ok(()),
            Event::RunFinished(summary) => self.finish(summary),
        };
        told.map_err(|source| SinkError::Io { path: PathBuf::from("the progress"), source })
    }
    fn is_vital(&self) -> bool {
        false
    }
}
