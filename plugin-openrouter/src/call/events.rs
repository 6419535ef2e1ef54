//! Decodes an answer on the thread that polls it, and returns its events to the host.
//!
//! In: what [`crate::call::intake`] read from the network. Out: events, the last of which ends the answer.
//! Before an answer begins, the reading task enforces the timeouts, because it may retry.
//! From then on they are computed here, and only while the host waits,
//! so a host that polls slowly never causes an idle timeout. The timer is the task's.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use plugin_api::{ChatEvent, Error, Events};

use crate::answer::decode::Decoder;
use crate::call::after::PassedOver;
use crate::call::closing::Closing;
use crate::call::intake::{Arrived, End, Intake};
use crate::call::limits::Limits;
use crate::service::transport;

/// Reads without an event after which the thread is yielded.
const MAX_FRUITLESS_READS: u32 = 32;

/// The events of one answer.
pub struct Answer {
    /// `None` once the answer has ended, with or without an error.
    intake: Option<Intake<Box<Begun>>>,
    /// Events from before the answer began.
    ready: VecDeque<ChatEvent>,
    /// Returned after the events before it.
    failure: Option<Error>,
    begun: Option<Box<Begun>>,
}

/// An answer that has begun.
pub struct Begun {
    pub decoder: Decoder,
    pub limits: Limits,
    /// The models that did not answer, until the service has reported why.
    pub passed_over: Option<PassedOver>,
    /// What is needed when the answer ends.
    pub closing: Closing,
}

impl Answer {
    /// Wraps the reading end of an answer.
    pub fn new(intake: Intake<Box<Begun>>) -> Self {
        Self {
            intake: Some(intake),
            ready: VecDeque::new(),
            failure: None,
            begun: None,
        }
    }

    fn next_event(&mut self) -> Option<Result<ChatEvent, Error>> {
        if let Some(event) = self.ready.pop_front() {
            return Some(Ok(event));
        }
        if let Some(begun) = &mut self.begun {
            if let Some(event) = begun.decoder.ready.pop_front() {
                return Some(Ok(event));
            }
            if let (Some(passed_over), Some(Ok(done))) = (&begun.passed_over, &begun.decoder.end) {
                let reasons = passed_over.reasons(&done.attempts);
                begun.passed_over = None;
                if let Some(notice) = reasons {
                    return Some(Ok(ChatEvent::Notice(notice)));
                }
            }
            if let Some(end) = begun.decoder.end.take() {
                let begun = self.begun.take()?;
                let intake = self.intake.take();
                let usage = begun.decoder.reader.heard().done.usage.clone();
                let (first_token, took) = (begun.limits.first_token, begun.limits.clock.elapsed());
                return Some(match begun.closing.close(end, usage, Some(first_token), took) {
                    Ok(done) => {
                        intake.into_iter().for_each(Intake::drain);
                        Ok(ChatEvent::Done(Box::new(done)))
                    }
                    Err(error) => Err(error),
                });
            }
        }
        self.failure.take().map(Err)
    }

    fn take(&mut self, arrived: Arrived<Box<Begun>>) {
        match (arrived, &mut self.begun) {
            (Arrived::Events(events), _) => self.ready.extend(events),
            (Arrived::Begun(mut begun), _) => {
                begun.decoder.read();
                self.begun = Some(begun);
            }
            (Arrived::Pieces(pieces), Some(begun)) => {
                for piece in &pieces {
                    begun.decoder.push(piece);
                    begun.decoder.read();
                }
                if let Some(intake) = &mut self.intake {
                    intake.recycle(pieces);
                }
                begun.limits.heard(begun.decoder.take_n_data() > 0);
                if let Some(error) = begun.limits.total_passed() {
                    begun.decoder.fail(error);
                }
            }
            (Arrived::Ended(End::Whole), Some(begun)) => begun.decoder.read_end(),
            (Arrived::Ended(End::Broken(cause)), Some(begun)) => begun.decoder.broken(transport::from_body(&cause)),
            (Arrived::Ended(End::Failed(error)), Some(begun)) => begun.decoder.fail(error),
            (Arrived::Ended(End::Failed(error)), None) => {
                self.intake = None;
                self.failure = Some(error);
            }
            (Arrived::Late, Some(begun)) => {
                let error = begun.limits.late();
                begun.decoder.broken(error);
            }
            // Bytes and deadlines come only after the answer has begun.
            (Arrived::Pieces(_) | Arrived::Ended(_) | Arrived::Late, None) => self.intake = None,
        }
    }
}

impl Stream for Answer {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let mut fruitless_reads = 0;
        loop {
            if let Some(event) = this.next_event() {
                return Poll::Ready(Some(event));
            }
            let Some(intake) = &mut this.intake else {
                return Poll::Ready(None);
            };
            let begun = &mut this.begun;
            match intake.poll(context, || begun.as_mut().map(|begun| begun.limits.wait())) {
                Poll::Ready(arrived) => {
                    this.take(arrived);
                    fruitless_reads += 1;
                    if fruitless_reads > MAX_FRUITLESS_READS && this.ready.is_empty() && this.failure.is_none() {
                        // A flood without events must not block the host's thread.
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Events for Answer {
    fn has_more(&self) -> bool {
        let begun = self.begun.as_ref();
        !self.ready.is_empty()
            || self.failure.is_some()
            || begun.is_some_and(|begun| !begun.decoder.ready.is_empty() || begun.decoder.end.is_some())
    }
}
