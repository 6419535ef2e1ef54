//! An answer as a stream of events, for both sides.
//!
//! [`EventStream::until_done`] is the only place that checks whether an answer is complete, so no reader has to
//! remember to.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::vec;

use futures_core::Stream;

use super::{ChatEvent, ChatReply};
use crate::error::{Error, ErrorKind};

/// A stream of events that knows whether its next event is already there.
pub trait Events: Stream<Item = Result<ChatEvent, Error>> {
    /// Whether polling again may yield an event at once. `true` is always correct; `false` saves a poll in vain.
    fn has_more(&self) -> bool;
}

/// The events of an answer, as they arrive. Dropping the stream cancels the call.
///
/// Read it with [`next`](Self::next), with any combinator for [`Stream`], or all at once with
/// [`collect`](Self::collect). It is built from an iterator of events, or from any stream.
pub struct EventStream {
    inner: Inner,
}

enum Inner {
    Plain(Pin<Box<dyn Stream<Item = Result<ChatEvent, Error>> + Send>>),
    Knowing(Pin<Box<dyn Events + Send>>),
}

impl EventStream {
    /// Wraps any stream of events.
    pub fn new(events: impl Stream<Item = Result<ChatEvent, Error>> + Send + 'static) -> Self {
        Self {
            inner: Inner::Plain(Box::pin(events)),
        }
    }

    /// Wraps a stream that knows whether its next event is already there, which saves one poll per batch.
    pub fn of(events: impl Events + Send + 'static) -> Self {
        Self {
            inner: Inner::Knowing(Box::pin(events)),
        }
    }

    /// See [`Events::has_more`].
    pub(crate) fn has_more(&self) -> bool {
        match &self.inner {
            Inner::Plain(_) => true,
            Inner::Knowing(events) => events.has_more(),
        }
    }

    /// Waits for the next event; `None` after the end.
    pub async fn next(&mut self) -> Option<Result<ChatEvent, Error>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Passes all events on, and ends with an error if the stream ends without [`ChatEvent::Done`].
    ///
    /// - Errors: those of the stream; `protocol` as the last item if the stream ends with neither `Done` nor an error.
    pub fn until_done(self) -> Self {
        Self::new(UntilDone {
            events: Some(self),
            may_end: false,
        })
    }

    /// Reads all events and returns the whole answer.
    ///
    /// - Errors: those of the stream, with the text that had arrived in `details.partial_text`; `protocol` if the
    ///   stream ends without [`ChatEvent::Done`].
    pub async fn collect(self) -> Result<ChatReply, Error> {
        let mut events = self.until_done();
        let mut reply = ChatReply::default();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => reply.add(event),
                Err(mut error) => {
                    if error.details.partial_text.is_none() && !reply.text.is_empty() {
                        error.details.partial_text = Some(reply.text);
                    }
                    return Err(error);
                }
            }
        }
        Ok(reply)
    }
}

/// See [`EventStream::until_done`].
struct UntilDone {
    /// `None` after the end.
    events: Option<EventStream>,
    /// Whether a `Done` or an error has passed; either one ends an answer.
    may_end: bool,
}

impl Stream for UntilDone {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(events) = &mut self.events else {
            return Poll::Ready(None);
        };
        let item = ready!(Pin::new(events).poll_next(context));
        match &item {
            Some(Ok(ChatEvent::Done(_)) | Err(_)) => self.may_end = true,
            Some(Ok(_)) => {}
            None => {
                self.events = None;
                if !self.may_end {
                    return Poll::Ready(Some(Err(Error::new(
                        ErrorKind::PROTOCOL,
                        "the stream ended before the answer was complete",
                    ))));
                }
            }
        }
        Poll::Ready(item)
    }
}

impl FromIterator<ChatEvent> for EventStream {
    /// A stream of events that are all known already.
    fn from_iter<I: IntoIterator<Item = ChatEvent>>(events: I) -> Self {
        let items: Vec<_> = events.into_iter().map(Ok).collect();
        Self::new(Known(items.into_iter()))
    }
}

/// A stream of items that are all known already.
struct Known(vec::IntoIter<Result<ChatEvent, Error>>);

impl Stream for Known {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next())
    }
}

impl Stream for EventStream {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.inner {
            Inner::Plain(events) => events.as_mut().poll_next(context),
            Inner::Knowing(events) => events.as_mut().poll_next(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// The items that `until_done` makes of these; after the end there are no more.
    fn until_done(items: Vec<Result<ChatEvent, Error>>) -> Vec<Result<ChatEvent, Error>> {
        let mut stream = EventStream::new(Known(items.into_iter())).until_done();
        let mut context = Context::from_waker(Waker::noop());
        let mut read = Vec::new();
        while let Poll::Ready(Some(item)) = Pin::new(&mut stream).poll_next(&mut context) {
            read.push(item);
        }
        assert_eq!(Pin::new(&mut stream).poll_next(&mut context), Poll::Ready(None));
        read
    }

    #[test]
    fn a_stream_that_ends_without_done_ends_with_an_error() {
        let cut = Error::new(ErrorKind::PROTOCOL, "the stream ended before the answer was complete");
        let text = || Ok(ChatEvent::text("half"));
        let done = || Ok(ChatEvent::done("stop"));
        assert_eq!(until_done(vec![]), [Err(cut.clone())]);
        assert_eq!(until_done(vec![text()]), [text(), Err(cut)]);
        assert_eq!(until_done(vec![text(), done()]), [text(), done()]);
    }

    #[test]
    fn a_failed_stream_reports_one_error() {
        let failed = || Err(Error::new(ErrorKind::TIMEOUT, "the service sent nothing within 500 ms"));
        assert_eq!(until_done(vec![failed()]), [failed()]);
    }
}
