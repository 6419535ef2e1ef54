//! What the sandbox received and sent, for tests to look at, and the events that tests wait for.
//!
//! One lock and one condition for everything: a wait ends when the thing it waits for has happened, and never
//! polls. The value of `authorization` is not kept.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::forms::stream::json_from;

/// One request and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recorded {
    /// Counts from 1, in the order of arrival.
    pub number: u64,
    /// `POST` and so on.
    pub method: String,
    /// Path, without the query.
    pub path: String,
    /// What stands after `?`; empty if nothing does.
    pub query: String,
    /// Names in lower case, in the order in which they came. The value of `authorization` is `present`, and
    /// `absent` if there was none.
    pub headers: Vec<(String, String)>,
    /// The body as JSON; null if it is not JSON.
    pub body: Value,
    /// The body as it came; bytes that are not UTF-8 are replaced.
    pub body_text: String,
    /// Status of the reply; 0 as long as there is none.
    pub status: u16,
    /// Whether the reply was written to its end.
    pub outcome: Outcome,
    /// The JSON body of the reply, or the JSON of each data frame that was written. `[DONE]` and comments are not
    /// among them.
    pub replies: Vec<Value>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The reply is still being written, or waited for.
    InFlight,
    /// The reply was written as its script wanted.
    Completed,
    /// The client closed the connection before that.
    ClientLeft {
        /// Data frames written by then, the opening one included.
        after_chunks: usize,
    },
}

/// What did not happen before the limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitError {
    waited: Duration,
    expected: String,
    found: String,
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waited_ms = self.waited.as_millis();
        write!(
            f,
            "waited {waited_ms} ms for the sandbox: expected {}, found {}",
            self.expected, self.found
        )
    }
}

impl std::error::Error for WaitError {}

/// Called with each record when its request is over.
pub(crate) type OnFinished = Box<dyn Fn(&Recorded) + Send>;

/// Everything recorded, shared by all connections.
pub(crate) struct Ledger {
    state: Mutex<State>,
    changed: Condvar,
    on_finished: Mutex<Option<OnFinished>>,
}

/// What is kept of requests that are over; the oldest go first. Those that are not over are all kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    pub(crate) n_records: usize,
    /// Most bytes in the bodies and the replies of all that are kept.
    pub(crate) n_bytes: usize,
    /// Whether replies are kept at all.
    pub(crate) replies: bool,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            n_records: usize::MAX,
            n_bytes: usize::MAX,
            replies: true,
        }
    }
}

struct State {
    n_received: u64,
    n_in_flight: usize,
    n_connections: usize,
    n_accepted: usize,
    keep: Keep,
    entries: VecDeque<Entry>,
    /// Bytes of all entries.
    n_bytes: usize,
}

impl State {
    /// Drops the oldest entries that are over, as long as there are too many.
    fn forget(&mut self) {
        while self.entries.len() > self.keep.n_records || self.n_bytes > self.keep.n_bytes {
            let is_over = |entry: &Entry| entry.recorded.outcome != Outcome::InFlight;
            let Some(oldest) = self.entries.iter().position(is_over) else {
                return;
            };
            if let Some(entry) = self.entries.remove(oldest) {
                self.n_bytes -= entry.n_bytes;
            }
        }
    }
}

/// A record whose replies are still the bytes that were written: reading them back can wait until somebody asks.
#[derive(Clone)]
struct Entry {
    recorded: Recorded,
    sent: Vec<Bytes>,
    /// Of the body and of what was sent.
    n_bytes: usize,
}

impl Entry {
    fn recorded(&self) -> Recorded {
        let replies = self.sent.iter().map(|frame| json_from(frame)).collect();
        Recorded {
            replies,
            ..self.recorded.clone()
        }
    }
}

impl Ledger {
    pub(crate) fn new(keep: Keep, on_finished: Option<OnFinished>) -> Self {
        let state = State {
            n_received: 0,
            n_in_flight: 0,
            n_connections: 0,
            n_accepted: 0,
            keep,
            entries: VecDeque::new(),
            n_bytes: 0,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            on_finished: Mutex::new(on_finished),
        }
    }

    /// Records a request that has just been read; `recorded.number` is set here.
    pub(crate) fn begin(self: &Arc<Self>, mut recorded: Recorded) -> Exchange {
        let mut state = self.lock();
        state.n_received += 1;
        state.n_in_flight += 1;
        recorded.number = state.n_received;
        let number = recorded.number;
        let n_bytes = recorded.body_text.len();
        state.n_bytes += n_bytes;
        state.entries.push_back(Entry {
            recorded,
            sent: Vec::new(),
            n_bytes,
        });
        state.forget();
        drop(state);
        self.changed.notify_all();
        Exchange {
            ledger: Arc::clone(self),
            number,
            n_chunks: 0,
            is_over: false,
        }
    }

    /// Counts a connection for as long as the guard lives.
    pub(crate) fn connect(self: &Arc<Self>) -> Connection {
        let mut state = self.lock();
        state.n_connections += 1;
        state.n_accepted += 1;
        drop(state);
        self.changed.notify_all();
        Connection {
            ledger: Arc::clone(self),
        }
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.lock().entries.iter().map(Entry::recorded).collect()
    }

    pub(crate) fn accepted_connections(&self) -> usize {
        self.lock().n_accepted
    }

    pub(crate) fn open_connections(&self) -> usize {
        self.lock().n_connections
    }

    pub(crate) fn wait_for_requests(&self, n: usize, limit: Duration) -> Result<Vec<Recorded>, WaitError> {
        self.wait(
            limit,
            |state| usize::try_from(state.n_received).unwrap_or(usize::MAX) >= n,
            |state| (format!("{n} requests"), state.n_received.to_string()),
        )?;
        Ok(self.requests())
    }

    pub(crate) fn wait_until_idle(&self, limit: Duration) -> Result<(), WaitError> {
        self.wait(
            limit,
            |state| state.n_in_flight == 0,
            |state| ("no request in flight".to_owned(), state.n_in_flight.to_string()),
        )
    }

    pub(crate) fn wait_for_open_connections(&self, n: usize, limit: Duration) -> Result<(), WaitError> {
        self.wait(
            limit,
            |state| state.n_connections == n,
            |state| (format!("{n} open connections"), state.n_connections.to_string()),
        )
    }

    fn wait(
        &self,
        limit: Duration,
        happened: impl Fn(&State) -> bool,
        told: impl Fn(&State) -> (String, String),
    ) -> Result<(), WaitError> {
        let start = Instant::now();
        let mut state = self.lock();
        while !happened(&state) {
            let Some(left) = limit.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) else {
                let (expected, found) = told(&state);
                return Err(WaitError {
                    waited: limit,
                    expected,
                    found,
                });
            };
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is being answered. Dropped before [`Exchange::complete`], it says that the client left.
pub(crate) struct Exchange {
    ledger: Arc<Ledger>,
    number: u64,
    n_chunks: usize,
    is_over: bool,
}

impl Exchange {
    pub(crate) fn answering(&self, status: u16) {
        self.change(|entry| entry.recorded.status = status);
    }

    /// Remembers a data frame or a body that holds JSON.
    pub(crate) fn sent(&mut self, frame: &Bytes) {
        self.n_chunks += 1;
        let mut state = self.ledger.lock();
        if !state.keep.replies {
            return;
        }
        if let Some(entry) = self.entry(&mut state) {
            entry.sent.push(frame.clone());
            entry.n_bytes += frame.len();
            state.n_bytes += frame.len();
        }
    }

    /// The reply has been handed over to the last byte.
    pub(crate) fn complete(&mut self) {
        self.finish(Outcome::Completed);
    }

    fn finish(&mut self, outcome: Outcome) {
        if self.is_over {
            return;
        }
        self.is_over = true;
        self.change(|entry| entry.recorded.outcome = outcome);
        let on_finished = self.ledger.on_finished.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(on_finished) = on_finished.as_ref() {
            let entry = self.entry(&mut self.ledger.lock()).cloned();
            // Reading the replies back takes time, which others need not wait for.
            entry
                .iter()
                .map(Entry::recorded)
                .for_each(|recorded| on_finished(&recorded));
        }
        drop(on_finished);
        let mut state = self.ledger.lock();
        state.n_in_flight -= 1;
        state.forget();
        drop(state);
        self.ledger.changed.notify_all();
    }

    fn change(&self, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entry(&mut self.ledger.lock()) {
            change(entry);
        }
    }

    fn entry<'a>(&self, state: &'a mut State) -> Option<&'a mut Entry> {
        // The newest are looked at first: most requests are short.
        let mut newest_first = state.entries.iter_mut().rev();
        newest_first.find(|entry| entry.recorded.number == self.number)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.finish(Outcome::ClientLeft {
            after_chunks: self.n_chunks,
        });
    }
}

/// Counts one accepted connection.
pub(crate) struct Connection {
    ledger: Arc<Ledger>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.ledger.lock().n_connections -= 1;
        self.ledger.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Recorded {
        Recorded {
            number: 0,
            method: "POST".to_owned(),
            path: "/".to_owned(),
            query: String::new(),
            headers: Vec::new(),
            body: Value::Null,
            body_text: String::new(),
            status: 0,
            outcome: Outcome::InFlight,
            replies: Vec::new(),
        }
    }

    #[test]
    fn a_request_that_is_dropped_says_that_the_client_left() {
        let ledger = Arc::new(Ledger::new(Keep::default(), None));
        let mut exchange = ledger.begin(request());
        exchange.sent(&Bytes::from_static(b"data: {\"a\":1}\n\n"));
        drop(exchange);
        let recorded = &ledger.requests()[0];
        assert_eq!(recorded.outcome, Outcome::ClientLeft { after_chunks: 1 });
        assert_eq!(recorded.replies, [serde_json::json!({"a": 1})]);
    }

    #[test]
    fn a_wait_that_ends_says_what_it_found() {
        let ledger = Arc::new(Ledger::new(Keep::default(), None));
        let error = ledger
            .wait_for_requests(2, Duration::ZERO)
            .expect_err("nothing was received");
        assert_eq!(
            error.to_string(),
            "waited 0 ms for the sandbox: expected 2 requests, found 0"
        );
        let _exchange = ledger.begin(request());
        let error = ledger.wait_until_idle(Duration::ZERO).expect_err("one is in flight");
        assert_eq!(
            error.to_string(),
            "waited 0 ms for the sandbox: expected no request in flight, found 1"
        );
    }

    #[test]
    fn the_oldest_records_go_first_and_the_numbers_go_on() {
        let keep = Keep {
            n_records: 1,
            ..Keep::default()
        };
        let ledger = Arc::new(Ledger::new(keep, None));
        ledger.begin(request()).complete();
        ledger.begin(request()).complete();
        let numbers: Vec<u64> = ledger.requests().iter().map(|recorded| recorded.number).collect();
        assert_eq!(numbers, [2]);
    }

    #[test]
    fn a_record_in_flight_is_kept_whatever_comes_after_it() {
        let keep = Keep {
            n_records: 1,
            ..Keep::default()
        };
        let ledger = Arc::new(Ledger::new(keep, None));
        let numbers = || -> Vec<u64> { ledger.requests().iter().map(|recorded| recorded.number).collect() };
        let slow = ledger.begin(request());
        ledger.begin(request()).complete();
        assert_eq!(numbers(), [1]);
        drop(slow);
        ledger.begin(request()).complete();
        assert_eq!(numbers(), [3]);
    }

    #[test]
    fn bodies_and_replies_are_kept_up_to_their_bytes() {
        let keep = Keep {
            n_bytes: 10,
            ..Keep::default()
        };
        let ledger = Arc::new(Ledger::new(keep, None));
        for _ in 0..3 {
            let mut exchange = ledger.begin(Recorded {
                body_text: "123".to_owned(),
                ..request()
            });
            exchange.sent(&Bytes::from_static(b"{}"));
            exchange.complete();
        }
        let numbers: Vec<u64> = ledger.requests().iter().map(|recorded| recorded.number).collect();
        assert_eq!(numbers, [2, 3]);
    }

    #[test]
    fn replies_can_be_left_out() {
        let keep = Keep {
            replies: false,
            ..Keep::default()
        };
        let ledger = Arc::new(Ledger::new(keep, None));
        let mut exchange = ledger.begin(request());
        exchange.sent(&Bytes::from_static(b"{}"));
        drop(exchange);
        let recorded = &ledger.requests()[0];
        assert_eq!(
            (recorded.outcome, recorded.replies.len()),
            (Outcome::ClientLeft { after_chunks: 1 }, 0)
        );
    }
}
