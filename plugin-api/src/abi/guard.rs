//! Keeps panics on the side where they happen.
//!
//! A panic that unwinds into an `extern "C"` function ends the process, and so does one in the destructor of a
//! cancelled future. Every function that crosses runs inside [`caught`], every future inside [`Guarded`].

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Once;
use std::task::{Context, Poll};

use abi_stable::std_types::RResult;

use super::types::{ErrorKind, RawError};
use crate::error::Error;

/// Which side's code runs inside a guard; it names the culprit in the error.
#[derive(Clone, Copy)]
pub enum Side {
    Plugin,
    Host,
}

/// Runs `work`; a panic becomes an `internal` error that names `what` was being done.
pub fn caught<T>(side: Side, what: &str, work: impl FnOnce() -> T) -> Result<T, Error> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        // Before the payload is dropped, which may panic elsewhere.
        let place = take_place();
        dispose(panic);
        panicked(side, what, place)
    })
}

/// Runs `work` and swallows a panic: for destructors, which have nobody to report to.
pub fn caught_drop(work: impl FnOnce()) {
    if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(work)) {
        dispose(panic);
    }
}

/// A panic's payload has a destructor of its own, which may panic too; that one is leaked.
fn dispose(panic: Box<dyn Any + Send>) {
    if let Err(second) = panic::catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(second);
        take_place();
    }
}

/// Where the last panic of this thread happened, if it was noted.
fn take_place() -> Option<String> {
    PANIC_PLACE.try_with(|place| place.borrow_mut().take()).ok().flatten()
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
        panic::set_hook(Box::new(|info| {
            let place = info.location().map(|at| format!("{}:{}", at.file(), at.line()));
            if let Some(place) = &place {
                tracing::error!(target: "plugin_api::panic", at = %place, "a thread of the plugin panicked");
            }
            let _ = PANIC_PLACE.try_with(|cell| *cell.borrow_mut() = place);
        }));
    });
}

/// A future whose poll and whose drop are guarded, with its result in the form that crosses.
pub struct Guarded<F> {
    side: Side,
    what: &'static str,
    inner: Option<F>,
}

impl<F> Guarded<F> {
    pub fn new(side: Side, what: &'static str, inner: F) -> Self {
        Self {
            side,
            what,
            inner: Some(inner),
        }
    }
}

impl<F, T> Future for Guarded<F>
where
    F: Future<Output = Result<T, Error>>,
{
    type Output = RResult<T, RawError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: `inner` is structurally pinned: it is never moved out of the option, only dropped in place by
        // assigning `None`, here and in `drop`.
        let this = unsafe { self.get_unchecked_mut() };
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(RResult::RErr(
                Error::new(ErrorKind::INTERNAL, format!("`{}` was polled after its end", this.what)).into(),
            ));
        };
        // SAFETY: as above; `this.inner` stays where it is for as long as it lives.
        let inner = unsafe { Pin::new_unchecked(inner) };
        let result = match caught(this.side, this.what, || inner.poll(context)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => result,
            Err(panicked) => Err(panicked),
        };
        caught_drop(|| this.inner = None);
        Poll::Ready(match result {
            Ok(value) => RResult::ROk(value),
            Err(error) => RResult::RErr(error.into()),
        })
    }
}

impl<F> Drop for Guarded<F> {
    fn drop(&mut self) {
        // An assignment writes its new value even when the destructor of the old one unwinds, so the drop glue that
        // follows finds `None`.
        caught_drop(|| self.inner = None);
    }
}
