//! The answer as a stream of events, for both sides.
//!
//! That an answer is whole is checked here alone, so that nobody who reads one has to remember to.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::{ChatEvent, ChatReply};
use crate::error::{Error, ErrorKind};

/// A stream of events that knows whether there is more to be had at once.
pub trait Events: Stream<Item = Result<ChatEvent, Error>> {
    /// Whether it is worth polling again before waiting. `true` is always right; `false` saves a poll that finds nothing.
    fn has_more(&self) -> bool;
}

/// The events of an answer, as they arrive. Dropping it cancels the call.
pub struct EventStream {
    inner: Inner,
}

enum Inner {
    Plain(Pin<Box<dyn Stream<Item = Result<ChatEvent, Error>> + Send>>),
    Knowing(Pin<Box<dyn Events + Send>>),
}

impl EventStream {
    /// Makes any stream of events an event stream.
    pub fn new(events: impl Stream<Item = Result<ChatEvent, Error>> + Send + 'static) -> Self {
        Self {
            inner: Inner::Plain(Box::pin(events)),
        }
    }

    /// The same for a stream that knows whether there is more to be had at once: its events cost one poll less.
    pub fn of(events: impl Events + Send + 'static) -> Self {
        Self {
            inner: Inner::Knowing(Box::pin(events)),
        }
    }

    /// Whether it is worth polling again before waiting.
    pub(crate) fn has_more(&self) -> bool {
        match &self.inner {
            Inner::Plain(_) => true,
            Inner::Knowing(events) => events.has_more(),
        }
    }

    /// The next event; `None` after the end.
    pub async fn next(&mut self) -> Option<Result<ChatEvent, Error>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// The same events, where an end without [`ChatEvent::Done`] is an error: what an answer to a chat request must be.
    ///
    /// - Errors: the stream's; `protocol` as the last item if the stream ends with neither `Done` nor an error.
    pub fn until_done(self) -> Self {
        Self::new(UntilDone {
            events: Some(self),
            may_end: false,
        })
    }

    /// Reads to the end and returns the whole answer.
    ///
    /// - Errors: the stream's, with the text that had arrived in `details.partial_text`; `protocol` if the stream ends
    ///   without [`ChatEvent::Done`].
    pub async fn collect(self) -> Result<ChatReply, Error> {
        let mut events = self.until_done();
        let mut reply = ChatReply::default();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => reply.add(event),
                Err(error) => return Err(with_partial_text(error, reply.text)),
            }
        }
        Ok(reply)
    }
}

/// See [`EventStream::until_done`].
struct UntilDone {
    /// `None` after the end.
    events: Option<EventStream>,
    /// Whether there was a `Done`, or an error, which ends an answer as well.
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
                        "the stream ended without saying that the answer is complete",
                    ))));
                }
            }
        }
        Poll::Ready(item)
    }
}

fn with_partial_text(mut error: Error, text: String) -> Error {
    if error.details.partial_text.is_none() && !text.is_empty() {
        error.details.partial_text = Some(text);
    }
    error
}

impl FromIterator<ChatEvent> for EventStream {
    /// A stream of events that are all there already.
    fn from_iter<I: IntoIterator<Item = ChatEvent>>(events: I) -> Self {
        struct Ready(std::vec::IntoIter<ChatEvent>);
        impl Stream for Ready {
            type Item = Result<ChatEvent, Error>;

            fn poll_next(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
                Poll::Ready(self.0.next().map(Ok))
            }
        }
        Self::new(Ready(events.into_iter().collect::<Vec<_>>().into_iter()))
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

    /// A stream of what is there already.
    struct Given(std::vec::IntoIter<Result<ChatEvent, Error>>);

    impl Stream for Given {
        type Item = Result<ChatEvent, Error>;

        fn poll_next(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(self.0.next())
        }
    }

    /// Everything that `until_done` makes of these items, and what follows the end.
    fn until_done(items: Vec<Result<ChatEvent, Error>>) -> Vec<Result<ChatEvent, Error>> {
        let mut stream = EventStream::new(Given(items.into_iter())).until_done();
        let mut context = Context::from_waker(Waker::noop());
        let mut read = Vec::new();
        while let Poll::Ready(Some(item)) = Pin::new(&mut stream).poll_next(&mut context) {
            read.push(item);
        }
        assert_eq!(Pin::new(&mut stream).poll_next(&mut context), Poll::Ready(None));
        read
    }

    #[test]
    fn an_end_without_done_is_an_error_and_one_with_it_is_none() {
        let cut = Error::new(
            ErrorKind::PROTOCOL,
            "the stream ended without saying that the answer is complete",
        );
        let text = || Ok(ChatEvent::text("half"));
        let done = || Ok(ChatEvent::done("stop"));
        assert_eq!(until_done(vec![]), [Err(cut.clone())]);
        assert_eq!(until_done(vec![text()]), [text(), Err(cut)]);
        assert_eq!(until_done(vec![text(), done()]), [text(), done()]);
    }

    #[test]
    fn a_stream_that_fails_does_not_fail_once_more_at_its_end() {
        let failed = || Err(Error::new(ErrorKind::TIMEOUT, "the service sent nothing within 500 ms"));
        assert_eq!(until_done(vec![failed()]), [failed()]);
    }
}
