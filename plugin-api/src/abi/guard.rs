//! Keeps panics on the side where they happen.
//!
//! A panic that unwinds into an `extern "C"` function ends the process, and so does one in the destructor of a
//! cancelled future. So every function that crosses runs inside [`caught`], every destructor inside [`caught_drop`],
//! and every future inside a guard of [`future`](super::future).

use std::any::Any;
use std::cell::RefCell;
use std::ops::Deref;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

use crate::error::{Error, ErrorKind};

/// Whose code runs inside a guard. The error names it as the culprit.
#[derive(Clone, Copy)]
pub enum Side {
    Plugin,
    Host,
}

/// Runs `work`. A panic becomes an `internal` error that names `what` was being done, and where it happened.
pub fn caught<T>(side: Side, what: &str, work: impl FnOnce() -> T) -> Result<T, Error> {
    let _outer = OuterPlace::put_aside();
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        // Read the place before the payload is dropped, because its destructor may panic too.
        let place = replace_place(None);
        dispose(panic);
        panicked(side, what, place)
    })
}

/// Runs `work` and swallows a panic, for destructors and logging, which cannot return an error.
pub fn caught_drop(work: impl FnOnce()) {
    let _outer = OuterPlace::put_aside();
    if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(work)) {
        dispose(panic);
    }
}

/// Drops a panic's payload. Its destructor may panic too; that second payload is leaked.
fn dispose(panic: Box<dyn Any + Send>) {
    if let Err(second) = panic::catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(second);
    }
}

/// Sets the recorded place of a panic aside while a guard runs, and restores it afterwards.
///
/// A guard may run in a destructor during a panic, and must not overwrite the place of that panic. And no guard may
/// leave a place behind: the hook does not see a resumed panic, so a later one would be reported with the old place.
struct OuterPlace(Option<String>);

impl OuterPlace {
    fn put_aside() -> Self {
        Self(replace_place(None))
    }
}

impl Drop for OuterPlace {
    fn drop(&mut self) {
        replace_place(self.0.take());
    }
}

/// Records where the last panic of this thread happened, and returns what was recorded before.
fn replace_place(place: Option<String>) -> Option<String> {
    PANIC_PLACE
        .try_with(|cell| {
            cell.try_borrow_mut()
                .ok()
                .and_then(|mut cell| std::mem::replace(&mut *cell, place))
        })
        .ok()
        .flatten()
}

fn panicked(side: Side, what: &str, place: Option<String>) -> Error {
    let who = match side {
        Side::Plugin => "the plugin",
        Side::Host => "the host",
    };
    // Without the panic's own message, which may quote a prompt: slicing a str out of bounds quotes the str.
    match place {
        Some(place) => Error::new(ErrorKind::INTERNAL, format!("{who} panicked in `{what}` at {place}")),
        None => Error::new(ErrorKind::INTERNAL, format!("{who} panicked in `{what}`")),
    }
}

thread_local! {
    static PANIC_PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes the panic hook record places instead of printing. For plugins in a library of their own, which have their own
/// copy of the standard library: their panics reach the host as errors and must not clutter its terminal too.
pub fn record_panics_instead_of_printing() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(record));
    });
}

/// Logs and records where a panic happened.
///
/// The panic's own text may quote a prompt, so it appears in no error, only in a log at level trace.
fn record(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line()));
    if let Some(place) = &place {
        tracing::error!(target: "plugin_api::panic", at = %place, "a thread of the plugin panicked");
        let text = panic.payload().downcast_ref::<String>().map(String::as_str);
        if let Some(text) = text.or(panic.payload().downcast_ref::<&str>().copied()) {
            tracing::trace!(target: "plugin_api::panic", "the panic says: {text}");
        }
    }
    replace_place(place);
}

/// Like [`record_panics_instead_of_printing`], but prints as well: tests need to see their panics.
#[cfg(test)]
pub fn record_panics_in_tests() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            record(panic);
            print(panic);
        }));
    });
}

/// A value whose destructor is guarded.
pub struct GuardedDrop<T>(Option<T>);

impl<T> GuardedDrop<T> {
    pub fn new(value: T) -> Self {
        Self(Some(value))
    }
}

impl<T> Deref for GuardedDrop<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("only `drop` takes the value")
    }
}

impl<T> Drop for GuardedDrop<T> {
    fn drop(&mut self) {
        caught_drop(|| self.0 = None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(caught: Result<(), Error>) -> String {
        caught.expect_err("it panics").message
    }

    #[test]
    fn the_place_of_a_swallowed_panic_is_forgotten() {
        record_panics_in_tests();
        caught_drop(|| panic!("swallowed"));
        // The hook does not see a resumed panic, so its place stays unknown.
        let resumed = caught(Side::Plugin, "call", || panic::resume_unwind(Box::new("resumed")));
        assert_eq!(message(resumed), "the plugin panicked in `call`");
    }

    #[test]
    fn the_place_of_a_panic_outside_a_guard_is_forgotten() {
        record_panics_in_tests();
        let own = panic::catch_unwind(|| panic!("caught by the plugin itself"));
        assert!(own.is_err());
        let resumed = caught(Side::Plugin, "call", || panic::resume_unwind(Box::new("resumed")));
        assert_eq!(message(resumed), "the plugin panicked in `call`");
    }

    #[test]
    fn a_guard_during_a_panic_keeps_the_place_of_that_panic() {
        struct Noisy;
        impl Drop for Noisy {
            fn drop(&mut self) {
                caught_drop(|| panic!("swallowed"));
                assert!(caught(Side::Plugin, "poll", || ()).is_ok());
            }
        }
        record_panics_in_tests();
        let line = line!() + 3;
        let first = caught(Side::Plugin, "call", || {
            let _noisy = Noisy;
            panic!("the first");
        });
        assert_eq!(
            message(first),
            format!("the plugin panicked in `call` at {}:{line}", file!())
        );
    }
}
