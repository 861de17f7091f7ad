//! What is known of a panic in a user's code.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{Mutex, Once, PoisonError};

use crate::EnvError;

/// Messages of the latest panics, each with the place in the source.
static NOTED: Mutex<VecDeque<(String, String)>> = Mutex::new(VecDeque::new());
/// How many are kept.
const KEPT: usize = 64;

/// Lets [`panic_message`] say in which file and line a panic was, from now on: what a process does with panics (a message on stderr, or what somebody
/// has set) it does as before.
pub fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if let Some(place) = info.location() {
                let mut noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner);
                if noted.len() == KEPT {
                    noted.pop_front();
                }
                noted.push_back((text(info.payload()), format!("{}:{}", place.file(), place.line())));
            }
            before(info);
        }));
    });
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

/// Calls environments; a panic in one is an error, of what `during` says then.
pub(crate) fn caught(
    during: &std::cell::Cell<&'static str>,
    work: impl FnOnce() -> Result<(), EnvError>,
) -> Result<(), EnvError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        Err(EnvError::Panic { during: during.get(), message: panic_message(&*payload) })
    })
}
