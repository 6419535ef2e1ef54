//! Keeps panics on the side where they happen.
//!
//! A panic that unwinds into an `extern "C"` function ends the process, and so does one in the destructor of a
//! cancelled future. Every function that crosses runs inside [`caught`], every future inside [`Guarded`](super::future::Guarded), and what a
//! plugin does on threads of its own inside [`Caught`](super::future::Caught).

use std::any::Any;
use std::cell::RefCell;
use std::ops::Deref;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

use crate::error::{Error, ErrorKind};

/// Which side's code runs inside a guard; it names the culprit in the error.
#[derive(Clone, Copy)]
pub enum Side {
    Plugin,
    Host,
}

/// Runs `work`; a panic becomes an `internal` error that names `what` was being done.
pub fn caught<T>(side: Side, what: &str, work: impl FnOnce() -> T) -> Result<T, Error> {
    let _outer = OuterPlace::put_aside();
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        // Before the payload is dropped, which may panic elsewhere.
        let place = replace_place(None);
        dispose(panic);
        panicked(side, what, place)
    })
}

/// Runs `work` and swallows a panic: for destructors, which have nobody to report to.
pub fn caught_drop(work: impl FnOnce()) {
    let _outer = OuterPlace::put_aside();
    if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(work)) {
        dispose(panic);
    }
}

/// A panic's payload has a destructor of its own, which may panic too; that one is leaked.
fn dispose(panic: Box<dyn Any + Send>) {
    if let Err(second) = panic::catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(second);
    }
}

/// The place that was noted before a guard began. A guard inside of a destructor that runs because of a panic must
/// leave that panic's place as it was, and no guard may leave behind a place of its own: a later panic that the hook
/// does not see, such as a resumed one, would be reported with it.
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

/// Notes where the last panic of this thread happened, and returns what was noted before.
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
    // The panic's own message is left out: it may quote a prompt (slicing a str quotes the str).
    match place {
        Some(place) => Error::new(ErrorKind::INTERNAL, format!("{who} panicked in `{what}` at {place}")),
        None => Error::new(ErrorKind::INTERNAL, format!("{who} panicked in `{what}`")),
    }
}

thread_local! {
    static PANIC_PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes panics of this copy of the standard library silent but located. For plugins in a library of their own:
/// their panics reach the host as errors, and need not be printed over its terminal as well.
pub fn note_panics_instead_of_printing() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(note));
    });
}

/// Says and notes where a panic happened.
fn note(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line()));
    if let Some(place) = &place {
        tracing::error!(target: "plugin_api::panic", at = %place, "a thread of the plugin panicked");
    }
    replace_place(place);
}

/// Like [`note_panics_instead_of_printing`], for tests, whose panics must be printed as well.
#[cfg(test)]
pub fn note_panics_in_tests() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            note(panic);
            print(panic);
        }));
    });
}

/// Drops its value inside a guard.
pub struct Undropped<T>(Option<T>);

impl<T> Undropped<T> {
    pub fn new(value: T) -> Self {
        Self(Some(value))
    }
}

impl<T> Deref for Undropped<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("the value is taken by `drop` alone")
    }
}

impl<T> Drop for Undropped<T> {
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
    fn the_place_of_a_swallowed_panic_is_not_told_of_a_later_one() {
        note_panics_in_tests();
        caught_drop(|| panic!("swallowed"));
        // The hook does not see a resumed panic, so its place is unknown.
        let resumed = caught(Side::Plugin, "call", || panic::resume_unwind(Box::new("resumed")));
        assert_eq!(message(resumed), "the plugin panicked in `call`");
    }

    #[test]
    fn a_place_that_was_left_behind_is_not_told_of_a_later_panic() {
        note_panics_in_tests();
        let own = panic::catch_unwind(|| panic!("caught by the plugin itself"));
        assert!(own.is_err());
        let resumed = caught(Side::Plugin, "call", || panic::resume_unwind(Box::new("resumed")));
        assert_eq!(message(resumed), "the plugin panicked in `call`");
    }

    #[test]
    fn a_guard_in_a_destructor_keeps_the_place_of_the_panic_that_is_under_way() {
        struct Sore;
        impl Drop for Sore {
            fn drop(&mut self) {
                caught_drop(|| panic!("swallowed"));
                assert!(caught(Side::Plugin, "poll", || ()).is_ok());
            }
        }
        note_panics_in_tests();
        let line = line!() + 3;
        let first = caught(Side::Plugin, "call", || {
            let _sore = Sore;
            panic!("the first");
        });
        assert_eq!(
            message(first),
            format!("the plugin panicked in `call` at {}:{line}", file!())
        );
    }
}
