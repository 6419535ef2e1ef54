//! Futures that cross: ours on their way out, and those of the other side.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use abi_stable::std_types::RResult;
use async_ffi::FfiFuture;

use super::guard::{Side, caught, caught_drop};
use super::types::RawError;
use crate::error::{Error, ErrorKind};

/// A future whose poll and whose drop are guarded; a panic is an error.
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
        // SAFETY: `inner` is structurally pinned: it is never moved out of the option, only dropped in place by
        // assigning `None`, here and in `drop`.
        let this = unsafe { self.get_unchecked_mut() };
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(Err(Error::new(
                ErrorKind::INTERNAL,
                format!("`{}` was polled after its end", this.what),
            )));
        };
        // SAFETY: as above; `this.inner` stays where it is for as long as it lives.
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
        // An assignment writes its new value even when the destructor of the old one unwinds, so the drop glue that
        // follows finds `None`.
        caught_drop(|| self.inner = None);
    }
}

/// A [`Caught`] future with its result in the form that crosses.
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
        // SAFETY: the only field is structurally pinned: it is never moved, and there is no `Drop` beside its own.
        let caught = unsafe { self.map_unchecked_mut(|guarded| &mut guarded.0) };
        Poll::Ready(match ready!(caught.poll(context)) {
            Ok(value) => RResult::ROk(value),
            Err(error) => RResult::RErr(error.into()),
        })
    }
}

/// A future of the other side as an ordinary one.
pub struct Answer<T> {
    pub inner: FfiFuture<RResult<T, RawError>>,
    pub what: &'static str,
}

impl<T> Future for Answer<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // async-ffi turns a panic that its peer reports into a panic here; the peer's guard makes that impossible
        // for plugins built with this crate, and this one holds for others.
        let what = self.what;
        match caught(Side::Plugin, what, || Pin::new(&mut self.inner).poll(context)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(RResult::ROk(value))) => Poll::Ready(Ok(value)),
            Ok(Poll::Ready(RResult::RErr(error))) => Poll::Ready(Err(error.into())),
            Err(panicked) => Poll::Ready(Err(panicked)),
        }
    }
}
