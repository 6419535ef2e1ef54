//! Writes the steps of a reply as the body of an HTTP response, with the waits between them.
//!
//! A client that leaves is noticed because axum drops the body, and with it the [`Exchange`].

use std::{future::pending, io, vec};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use tokio::{task::yield_now, time::sleep};

use crate::{
    forms::stream::{COMMENT, Step},
    record::ledger::Exchange,
};

/// Most bytes gathered before a write.
const COALESCED_BYTES: usize = 16 * 1024;

pub(super) fn body_from(steps: Vec<Step>, coalesce: bool, exchange: Exchange) -> Body {
    let writing = Writing {
        steps: steps.into_iter(),
        coalesce,
        exchange,
        began: false,
    };
    let frames = stream::unfold(writing, |mut writing| async move {
        let frame = writing.next_frame().await?;
        Some((frame, writing))
    });
    Body::from_stream(frames)
}

/// A body in the middle of being written.
struct Writing {
    steps: vec::IntoIter<Step>,
    coalesce: bool,
    exchange: Exchange,
    began: bool,
}

impl Writing {
    async fn next_frame(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            let Some(step) = self.steps.next() else {
                self.exchange.complete();
                return None;
            };
            let frame = match step {
                Step::Data(frame) => {
                    self.exchange.sent(&frame);
                    frame
                }
                Step::Text(frame) => frame,
                Step::Wait(wait) => {
                    sleep(wait).await;
                    continue;
                }
                Step::Stall => pending().await,
                Step::Abort => {
                    self.exchange.complete();
                    // The connection flushes earlier frames only while the body is pending.
                    yield_now().await;
                    return Some(Err(io::Error::other("the script cuts the connection")));
                }
                Step::CommentForever(gap) => {
                    sleep(gap).await;
                    self.steps = vec![Step::CommentForever(gap)].into_iter();
                    Bytes::from_static(COMMENT.as_bytes())
                }
            };
            if self.began && !self.coalesce {
                // The connection writes what it has while the body is pending: one frame, one write.
                yield_now().await;
            }
            self.began = true;
            let frame = if self.coalesce { self.gathered(frame) } else { frame };
            if self.steps.as_slice().is_empty() {
                // Complete before the client sees the last frame, so that it then finds a finished record.
                self.exchange.complete();
            }
            return Some(Ok(frame));
        }
    }

    /// `first` joined with the frames that follow it without a wait.
    fn gathered(&mut self, first: Bytes) -> Bytes {
        let mut all = BytesMut::from(&first[..]);
        while all.len() < COALESCED_BYTES
            && let Some(Step::Data(frame) | Step::Text(frame)) = self.steps.as_slice().first()
        {
            all.extend_from_slice(frame);
            if let Some(Step::Data(frame)) = self.steps.next() {
                self.exchange.sent(&frame);
            }
        }
        all.freeze()
    }
}
