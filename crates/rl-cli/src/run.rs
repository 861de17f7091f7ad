//! A resolved run becomes a directory, a trainer and its sinks, and is run.

use std::fs;
use std::io::{ErrorKind, IsTerminal, stderr};
use std::num::NonZero;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};
use rl_train::{
    Csv, MaxTime, Progress, RewardReached, RunDir, SinkError, Summary, TensorBoard, Trainer, new_agent,
    with_threads,
};

use crate::errors::contained;
use crate::output::program;
use crate::recorder::{Recorder, Seen};
use crate::run_config::RunConfig;
use crate::stop::Stop;
use crate::{Known, config_file, warm_start};

/// Where progress goes: bars on a terminal, lines elsewhere, nowhere when quiet.
pub(crate) enum Screen {
    Bars(MultiProgress),
    Lines,
    Quiet,
}

impl Screen {
    pub(crate) fn new(quiet: bool) -> Self {
        match (quiet, stderr().is_terminal()) {
            (true, _) => Screen::Quiet,
            (false, true) => Screen::Bars(MultiProgress::with_draw_target(ProgressDrawTarget::stderr())),
            (false, false) => Screen::Lines,
        }
    }

    /// A bar or lines for one run.
    pub(crate) fn progress(&self) -> Option<Progress> {
        match self {
            Screen::Bars(bars) => Some(Progress::bar(bars.add(ProgressBar::hidden()))),
            Screen::Lines => Some(Progress::lines(stderr())),
            Screen::Quiet => None,
        }
    }
}

/// A run that was begun: how it ended, and what was seen of it on the way.
pub(crate) struct Ran {
    pub(crate) ended: Result<Summary>,
    pub(crate) seen: Seen,
}

/// Where a run's files go.
#[derive(Clone, Copy)]
pub(crate) enum Files<'a> {
    /// Nowhere.
    None,
    /// Into a directory of its own.
    New(&'a RunDir),
    /// Into the directory of the run that goes on, with schedules that end with its new budget or as they did.
    Resumed {
        dir: &'a RunDir,
        extend_schedule: bool,
        /// Whether it goes on without the rows of a log that is gone.
        with_gaps: bool,
    },
}

impl<'a> Files<'a> {
    pub(crate) fn dir(self) -> Option<&'a RunDir> {
        match self {
            Files::None => None,
            Files::New(dir) | Files::Resumed { dir, .. } => Some(dir),
        }
    }
}

/// Trains as configured and leaves everything in the directory, if there is one. What fails says where; what was written until then stays.
pub(crate) fn run(
    config: &RunConfig,
    known: &Known,
    files: Files<'_>,
    threads: usize,
    progress: Option<Progress>,
    stop: &Stop,
) -> Ran {
    let (recorder, is_told) = (Recorder::default(), progress.is_some());
    let train = || -> Result<Summary> {
        let agent = new_agent(&config.env, &config.net, config.seed)?;
        let mut trainer =
            Trainer::new(&config.env, config.train, agent, config.make_algorithm()?, config.seed)?
                .named(&config.algo.id, config.settings())
                .with_sink(recorder.clone())
                .stopped_by(stop.flag());
        if !matches!(files, Files::Resumed { .. })
            && let Some(policy) = warm_start::policy(config, &known.builders)?
        {
            trainer = trainer.initialised_from(&config.env, &policy)?;
        }
        let table = |dir: &RunDir| dir.file("progress.csv");
        let mut gone = Vec::new();
        trainer = match files {
            Files::None => trainer,
            Files::New(dir) => {
                dir.write("config.toml", &config_file::write(config, false))?;
                trainer.with_sink(TensorBoard::create(dir.path())?).with_sink(Csv::create(&table(dir))?)
            }
            Files::Resumed { dir, with_gaps, .. } => {
                let is_gone = |e: &SinkError| {
                    with_gaps
                        && matches!(e, SinkError::Io { source, .. } if source.kind() == ErrorKind::NotFound)
                };
                let tensorboard = match TensorBoard::append(dir.path()) {
                    Err(e) if is_gone(&e) => {
                        gone.push("the event file");
                        TensorBoard::create(dir.path())
                    }
                    there => there,
                };
                let csv = match Csv::append(&table(dir)) {
                    Err(e) if is_gone(&e) => {
                        gone.push("progress.csv");
                        Csv::create(&table(dir))
                    }
                    there => there,
                };
                let csv = if with_gaps { csv?.with_gaps() } else { csv? };
                trainer.with_sink(tensorboard?).with_sink(csv)
            }
        };
        // Before what depends on the screen: a checkpoint knows the sinks by their places.
        let goes_on = matches!(files, Files::Resumed { .. });
        trainer = known.listeners.add_to(trainer, files.dir().map(RunDir::path), goes_on)?;
        if let Some(eval) = config.eval {
            trainer = trainer.with_evaluation(&config.env, eval)?;
        }
        if config.film {
            trainer = trainer.with_films(&config.env)?;
        }
        if let Some(freq) = config.histogram_freq {
            trainer = trainer.with_histograms(freq);
        }
        if let Some(reward) = config.stop_at_reward {
            trainer = trainer.with_watcher(RewardReached(reward));
        }
        if let Some(hours) = config.max_hours {
            let limit = Duration::try_from_secs_f64(3600.0 * hours).unwrap_or(Duration::MAX);
            trainer = trainer.with_watcher(MaxTime::new(limit));
        }
        if let Some(progress) = progress {
            trainer = trainer.with_sink(progress);
        }
        if let Some(dir) = files.dir() {
            trainer = trainer.saving_in(dir.clone());
        }
        if let Some(checkpoints) = config.checkpoints.filter(|_| files.dir().is_some()) {
            trainer = trainer.with_checkpoints(checkpoints);
        }
        if let Files::Resumed { dir, extend_schedule, .. } = files {
            trainer = trainer.resumed_from(dir)?;
            for log in gone {
                trainer = trainer
                    .with_warning(format!("{log} was gone when the run went on: a new one begins there"));
            }
            if extend_schedule {
                trainer = trainer.extending_schedules();
            }
            if is_told {
                trainer
                    .ended_schedules()
                    .iter()
                    .for_each(|ended| eprintln!("{}: warning: {ended}", program()));
            }
            if !trainer.is_exact() {
                eprintln!(
                    "{}: {} cannot be saved: its environments start new episodes, and the run is another one than it would have been \
                     without the interruption",
                    program(),
                    config.env.id
                );
            }
            // It has not ended, and perhaps has another budget.
            dir.remove("summary.json")?;
            dir.write("config.toml", &config_file::write(config, false))?;
        }
        let _rescued = trainer.rescue().map(|rescue| stop.rescues(rescue));
        Ok(with_threads(threads, move || trainer.run())??)
    };
    let ended = contained(train).with_context(|| {
        let mut place = String::new();
        // Only an empty directory can be removed: that of a run that could not begin.
        if let Some(dir) = files.dir()
            && fs::remove_dir(dir.path()).is_err()
        {
            place = format!(", in {}", dir.path().display());
        }
        format!("{} on {}, seed {}{place}", config.name(), config.env.id, config.seed)
    });
    Ran { ended, seen: recorder.take() }
}

/// The threads to use: what was asked for, else one a core.
pub(crate) fn threads(asked: Option<u64>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
    asked.map_or_else(cores, |n| n as usize)
}
