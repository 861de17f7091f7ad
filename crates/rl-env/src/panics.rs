//! What is known of a panic in a user's code.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{Mutex, Once, PoisonError};

use crate::EnvError;

/// Messages of the latest panics, each with the place in the source.
static NOTED: Mutex<VecDeque<(String, String)>> = Mutex::new(VecDeque::new());
/// How many are kept.
const KEPT: usize = 64;

/// What is printed of panics.
#[derive(Clone, Copy, PartialEq)]
enum Printed {
    All,
    /// New ones, where their backtraces are asked for.
    Backtraces,
    None,
}

thread_local! {
    static PRINTED: Cell<Printed> = const { Cell::new(Printed::All) };
}

/// Lets [`panic_message`] say in which file and line a panic was, from now on: what a process does with panics (a message on stderr, or what somebody
/// has set) it does as before, but for those that [`check_env`](crate::check_env) finds.
pub fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            let is_new = info.location().is_none_or(|place| {
                let panic = (text(info.payload()), format!("{}:{}", place.file(), place.line()));
                note(panic)
            });
            let is_printed = match PRINTED.get() {
                Printed::All => true,
                Printed::Backtraces => is_new && wants_backtrace(),
                Printed::None => false,
            };
            if is_printed {
                before(info);
            }
        }));
    });
}

/// Keeps a panic's message and place; whether they are none of those that are kept already.
fn note(panic: (String, String)) -> bool {
    let mut noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner);
    let is_new = !noted.contains(&panic);
    if noted.len() == KEPT {
        noted.pop_front();
    }
    noted.push_back(panic);
    is_new
}

/// What a panic says, by what [`std::panic::catch_unwind`] gives; with file and line where [`note_panics`] was called before.
pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = text(payload);
    let noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner);
    match noted.iter().rev().find(|(message, _)| *message == text) {
        Some((_, place)) => format!("{text} ({place})"),
        None => text,
    }
}

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}

/// Which environment is called just now, and which of its methods: what is told of a panic. Two cells, for the first is written at every step.
pub(crate) struct During {
    pub(crate) index: Cell<usize>,
    pub(crate) method: Cell<&'static str>,
}

impl During {
    pub(crate) fn new(method: &'static str) -> Self {
        During { index: Cell::new(0), method: Cell::new(method) }
    }
}

/// Calls environments; a panic in one is an error, of what `during` says then.
pub(crate) fn caught<T>(
    during: &During,
    step: u64,
    work: impl FnOnce() -> Result<T, EnvError>,
) -> Result<T, EnvError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let error = EnvError::Panic { during: during.method.get(), message: panic_message(&*payload) };
        Err(error.at(during.index.get(), step))
    })
}

/// Calls a user's code, of whose panic the caller tells: what it says, and where. It is printed only where backtraces are asked for, and then
/// once.
pub(crate) fn told<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    note_panics();
    let outcome = printing(Printed::Backtraces, || catch_unwind(AssertUnwindSafe(call)));
    outcome.map_err(|payload| panic_message(&*payload))
}

/// Calls what tries out where a panic comes from, which is of no interest in itself and printed in no case.
pub(crate) fn unprinted<T>(call: impl FnOnce() -> T) -> T {
    printing(Printed::None, call)
}

fn printing<T>(printed: Printed, call: impl FnOnce() -> T) -> T {
    let before = PRINTED.get();
    PRINTED.set(if before == Printed::None { before } else { printed });
    let value = call();
    PRINTED.set(before);
    value
}

fn wants_backtrace() -> bool {
    // The standard library knows what was asked for.
    matches!(Backtrace::capture().status(), BacktraceStatus::Captured)
}
