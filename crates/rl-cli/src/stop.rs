//! Signals: how a run is asked to stop, and what happens when it does not.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use rl_train::Rescue;

/// Signals that come sooner than this after another are the same one: `timeout` sends each twice.
const DUPLICATE: Duration = Duration::from_millis(100);
/// How long runs may take to stop by themselves.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Whether, and by which signal, the process was asked to stop.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<Inner>);

#[derive(Default)]
struct Inner {
    flag: Arc<AtomicBool>,
    signal: AtomicI32,
    /// The runs in progress, by their number, as they stood last.
    rescues: Mutex<Vec<Rescue>>,
}

/// Takes a run off the list of those in progress.
pub(crate) struct Rescued {
    stop: Stop,
    rescue: Rescue,
}

impl Stop {
    /// Listens to SIGINT and SIGTERM. The first sets the flag: runs leave their unfinished iteration, write a checkpoint and end. Where they do not within
    /// a second and a half, their last states are written for them and the process ends. Another signal ends it at once; whatever is on disk is whole.
    ///
    /// # Errors
    ///
    /// When the system takes no handler.
    pub(crate) fn on_signals() -> Result<Self> {
        let stop = Stop::default();
        listen(stop.clone())?;
        Ok(stop)
    }

    /// The flag that runs look at.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        self.0.flag.clone()
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.flag.load(Ordering::Relaxed)
    }

    /// What a stopped process ends with: 128 and the number of the signal.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    fn code(&self) -> u8 {
        const SIGINT: i32 = 2;
        let signal = self.0.signal.load(Ordering::Relaxed);
        128 + u8::try_from(if signal == 0 { SIGINT } else { signal }).unwrap_or(2)
    }

    /// Keeps at hand what would be left to do for a run that cannot stop in time.
    pub(crate) fn rescues(&self, rescue: Rescue) -> Rescued {
        self.0.rescues.lock().unwrap_or_else(PoisonError::into_inner).push(rescue.clone());
        Rescued { stop: self.clone(), rescue }
    }

    fn first(&self, signal: i32) {
        self.0.signal.store(signal, Ordering::Relaxed);
        self.0.flag.store(true, Ordering::Relaxed);
        eprintln!("rl: leaving the unfinished iteration and saving; once more to stop at once");
        let stop = self.clone();
        std::thread::spawn(move || {
            std::thread::sleep(PATIENCE);
            let rescues = stop.0.rescues.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if rescues.is_empty() {
                // They are done; what is left is to say so.
                return;
            }
            for rescue in &rescues {
                if let Err(error) = rescue.write() {
                    eprintln!("rl: {error}");
                }
                eprintln!("rl: go on with: rl train --resume {}", rescue.dir().path().display());
            }
            std::process::exit(stop.code().into());
        });
    }
}

impl Drop for Rescued {
    fn drop(&mut self) {
        let mut rescues = self.stop.0.rescues.lock().unwrap_or_else(PoisonError::into_inner);
        rescues.retain(|other| !other.is(&self.rescue));
    }
}

/// Calls [`Stop::first`] once, and ends the process at a later signal.
fn heard(stop: &Stop, signal: i32, last: &mut Option<Instant>) {
    let is_duplicate = last.replace(Instant::now()).is_some_and(|last| last.elapsed() < DUPLICATE);
    if !stop.is_set() {
        stop.first(signal);
    } else if !is_duplicate {
        std::process::exit(stop.code().into());
    }
}

#[cfg(unix)]
fn listen(stop: Stop) -> Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    std::thread::spawn(move || {
        let mut last = None;
        signals.forever().for_each(|signal| heard(&stop, signal, &mut last));
    });
    Ok(())
}

#[cfg(not(unix))]
fn listen(stop: Stop) -> Result<()> {
    let mut last = None;
    Ok(ctrlc::set_handler(move || heard(&stop, 2, &mut last))?)
}
