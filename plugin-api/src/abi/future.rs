//! The futures that cross: [`Guarded`] on the side that answers, [`Answer`] on the side that asks.
//!
//! A panic in a future's poll or in its destructor ends on the side where it happens and becomes an error.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use abi_stable::std_types::RResult;
use async_ffi::FfiFuture;

use super::guard::{Side, caught, caught_drop};
use super::types::RawError;
use crate::error::{Error, ErrorKind};

/// A future whose poll and destructor are guarded: a panic in `poll` becomes an error, one in the destructor is
/// swallowed.
pub struct Caught<F> {
    side: Side,
    what: &'static str,
    inner: Option<F>,
}

impl<F> Caught<F> {
    pub fn new(side: Side, what: &'static str, inner: F) -> Self {
        Self {
            side,
            what,
            inner: Some(inner),
        }
    }
}

impl<F, T> Future for Caught<F>
where
    F: Future<Output = Result<T, Error>>,
{
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: `inner` is structurally pinned: this method and `drop` never move it out of the option, they only
        // drop it in place by assigning `None`.
        let this = unsafe { self.get_unchecked_mut() };
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(Err(Error::new(
                ErrorKind::INTERNAL,
                format!("`{}` was polled after completion", this.what),
            )));
        };
        // SAFETY: as above, `this.inner` stays in place for as long as it lives.
        let inner = unsafe { Pin::new_unchecked(inner) };
        let result = match caught(this.side, this.what, || inner.poll(context)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => result,
            Err(panicked) => Err(panicked),
        };
        caught_drop(|| this.inner = None);
        Poll::Ready(result)
    }
}

impl<F> Drop for Caught<F> {
    fn drop(&mut self) {
        // The assignment writes `None` even if the destructor of the old value unwinds, so the drop glue that follows
        // finds `None`.
        caught_drop(|| self.inner = None);
    }
}

/// A [`Caught`] future whose result has the form that crosses.
pub struct Guarded<F>(Caught<F>);

impl<F> Guarded<F> {
    pub fn new(side: Side, what: &'static str, inner: F) -> Self {
        Self(Caught::new(side, what, inner))
    }
}

impl<F, T> Future for Guarded<F>
where
    F: Future<Output = Result<T, Error>>,
{
    type Output = RResult<T, RawError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the only field is structurally pinned: nothing moves it, and this type has no `Drop` of its own.
        let caught = unsafe { self.map_unchecked_mut(|guarded| &mut guarded.0) };
        Poll::Ready(match ready!(caught.poll(context)) {
            Ok(value) => RResult::ROk(value),
            Err(error) => RResult::RErr(error.into()),
        })
    }
}

/// A future of the other side as an ordinary one. Dropping it cancels the work.
pub struct Answer<T> {
    pub inner: FfiFuture<RResult<T, RawError>>,
    pub what: &'static str,
}

impl<T> Future for Answer<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // If the other side reports a panic, async-ffi panics here. A peer built with this crate never does, because
        // its own guard catches the panic first; this guard is for other peers.
        let what = self.what;
        match caught(Side::Plugin, what, || Pin::new(&mut self.inner).poll(context)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(RResult::ROk(value))) => Poll::Ready(Ok(value)),
            Ok(Poll::Ready(RResult::RErr(error))) => Poll::Ready(Err(error.into())),
            Err(panicked) => Poll::Ready(Err(panicked)),
        }
    }
}
