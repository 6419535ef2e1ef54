//! Keeps the records of all requests and lets tests wait for them.
//!
//! One lock and one condition for everything: a wait ends when its event has happened, and never polls.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;

use super::{Outcome, Recorded, WaitError};
use crate::forms::stream::json_from;

/// Called with each record when its request is over.
pub(crate) type OnFinished = Box<dyn Fn(&Recorded) + Send>;

/// Everything recorded, shared by all connections.
pub(crate) struct Ledger {
    state: Mutex<State>,
    changed: Condvar,
    on_finished: Mutex<Option<OnFinished>>,
}

/// What to keep of finished requests; the oldest go first. Requests in flight are always kept.
#[derive(Clone, Copy, Default)]
pub(crate) struct Keep {
    /// Most records, if not all.
    pub(crate) n_records: Option<usize>,
    /// Most bytes in the bodies and replies of all records, if not all.
    pub(crate) n_bytes: Option<usize>,
    /// Whether to drop replies.
    pub(crate) no_replies: bool,
}

#[derive(Default)]
struct State {
    n_received: usize,
    n_in_flight: usize,
    n_connections: usize,
    n_accepted: usize,
    keep: Keep,
    entries: VecDeque<Entry>,
    /// Bytes of all entries.
    n_bytes: usize,
}

impl State {
    /// Drops the oldest finished entries while there are too many.
    fn forget(&mut self) {
        let Keep { n_records, n_bytes, .. } = self.keep;
        while n_records.is_some_and(|most| self.entries.len() > most) || n_bytes.is_some_and(|most| self.n_bytes > most)
        {
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

/// A record whose replies are still bytes: they are parsed only when a test asks for them.
#[derive(Clone)]
struct Entry {
    recorded: Recorded,
    sent: Vec<Bytes>,
    /// Bytes of the body and of the replies.
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
            keep,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            on_finished: Mutex::new(on_finished),
        }
    }

    /// Records a request that has just arrived, and numbers it.
    pub(crate) fn begin(self: &Arc<Self>, mut recorded: Recorded) -> Exchange {
        let mut state = self.lock();
        state.n_received += 1;
        state.n_in_flight += 1;
        let number = state.n_received as u64;
        recorded.number = number;
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

    /// Counts a connection as open while the guard lives.
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
        let expected = format!("{n} requests");
        self.wait(limit, expected, |state| state.n_received, |found| found >= n)?;
        Ok(self.requests())
    }

    pub(crate) fn wait_until_idle(&self, limit: Duration) -> Result<(), WaitError> {
        let expected = "no request in flight".to_owned();
        self.wait(limit, expected, |state| state.n_in_flight, |found| found == 0)
    }

    pub(crate) fn wait_for_open_connections(&self, n: usize, limit: Duration) -> Result<(), WaitError> {
        let expected = format!("{n} open connections");
        self.wait(limit, expected, |state| state.n_connections, |found| found == n)
    }

    /// Waits until `count` reaches what `is_enough` accepts.
    fn wait(
        &self,
        limit: Duration,
        expected: String,
        count: impl Fn(&State) -> usize,
        is_enough: impl Fn(usize) -> bool,
    ) -> Result<(), WaitError> {
        let waiting = self
            .changed
            .wait_timeout_while(self.lock(), limit, |state| !is_enough(count(state)));
        let (state, _) = waiting.unwrap_or_else(PoisonError::into_inner);
        let found = count(&state);
        if is_enough(found) {
            return Ok(());
        }
        Err(WaitError {
            waited: limit,
            expected,
            found,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in flight. Dropping it before [`Exchange::complete`] records that the client left.
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

    /// Records a data frame or a body that holds JSON.
    pub(crate) fn sent(&mut self, frame: &Bytes) {
        self.n_chunks += 1;
        let mut state = self.ledger.lock();
        if state.keep.no_replies {
            return;
        }
        if let Some(entry) = self.entry(&mut state) {
            entry.sent.push(frame.clone());
            entry.n_bytes += frame.len();
            state.n_bytes += frame.len();
        }
    }

    /// Records that the last byte of the reply was handed over.
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
            // Parsing the replies takes time, so it happens without the lock.
            entry.iter().for_each(|entry| on_finished(&entry.recorded()));
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
        // Newest first: most requests are short.
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

/// One accepted connection.
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
    use serde_json::json;

    use super::*;

    fn ledger(keep: Keep) -> Arc<Ledger> {
        Arc::new(Ledger::new(keep, None))
    }

    fn request(body_text: &str) -> Recorded {
        Recorded {
            body_text: body_text.to_owned(),
            ..Recorded::default()
        }
    }

    fn numbers(ledger: &Ledger) -> Vec<u64> {
        ledger.requests().iter().map(|recorded| recorded.number).collect()
    }

    #[test]
    fn a_dropped_exchange_records_that_the_client_left() {
        for (no_replies, expected) in [(false, vec![json!({"a": 1})]), (true, Vec::new())] {
            let keep = Keep::default();
            let ledger = ledger(Keep { no_replies, ..keep });
            let mut exchange = ledger.begin(request(""));
            exchange.sent(&Bytes::from_static(b"data: {\"a\":1}\n\n"));
            drop(exchange);
            let recorded = ledger.requests().remove(0);
            assert_eq!(recorded.outcome, Outcome::ClientLeft { after_chunks: 1 });
            assert_eq!(recorded.replies, expected);
        }
    }

    #[test]
    fn a_wait_that_times_out_reports_what_it_found() {
        let ledger = ledger(Keep::default());
        let error = ledger.wait_for_requests(2, Duration::ZERO).expect_err("none received");
        let expected = "waited 0 ms for the sandbox: expected 2 requests, found 0";
        assert_eq!(error.to_string(), expected);
        let _exchange = ledger.begin(request(""));
        let error = ledger.wait_until_idle(Duration::ZERO).expect_err("one is in flight");
        let expected = "waited 0 ms for the sandbox: expected no request in flight, found 1";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn only_the_newest_finished_records_are_kept_and_any_in_flight() {
        let ledger = ledger(Keep {
            n_records: Some(1),
            ..Keep::default()
        });
        let slow = ledger.begin(request(""));
        ledger.begin(request("")).complete();
        assert_eq!(numbers(&ledger), [1]);
        drop(slow);
        ledger.begin(request("")).complete();
        assert_eq!(numbers(&ledger), [3]);
    }

    #[test]
    fn bodies_and_replies_are_kept_within_their_bytes() {
        let ledger = ledger(Keep {
            n_bytes: Some(10),
            ..Keep::default()
        });
        for _ in 0..3 {
            let mut exchange = ledger.begin(request("123"));
            exchange.sent(&Bytes::from_static(b"{}"));
            exchange.complete();
        }
        assert_eq!(numbers(&ledger), [2, 3]);
    }
}
