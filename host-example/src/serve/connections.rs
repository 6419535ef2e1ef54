//! The open connections: which of them may work, and which one gives way when there are too many.
//!
//! A connection is silent while none of its requests is answered. Silent ones never keep a new one out: the one that has
//! been silent the longest is closed, first those that never had an authorised request. Requests beyond the limit wait
//! for others to end, and as many as may run may wait. What needs neither plugin nor token takes no place at all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use plugin_api::ErrorKind;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

pub struct Connections {
    most: Most,
    silent: Mutex<Silent>,
    running: Arc<Semaphore>,
    waiting: Semaphore,
}

/// How many there may be.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// Requests that run, and as many that wait.
    pub requests: usize,
    /// Silent connections.
    pub silent: usize,
}

#[derive(Default)]
struct Silent {
    n_so_far: u64,
    by_rank: BTreeMap<Rank, Arc<Notify>>,
}

/// Whether it had an authorised request, and since when it is silent. The lowest gives way first.
type Rank = (bool, u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// No request of it was complete, and perhaps none will ever be.
    Stranger,
    /// It was answered, but what it asked needs no token. So it keeps its place no longer than a stranger.
    Guest,
    Known,
}

impl Connections {
    pub fn new(most: Most) -> Arc<Self> {
        Arc::new(Self {
            most,
            silent: Mutex::default(),
            running: Arc::new(Semaphore::new(most.requests)),
            waiting: Semaphore::new(most.requests),
        })
    }

    /// A new connection. Another one may have to give way.
    pub fn open(self: &Arc<Self>) -> Arc<Connection> {
        let connection = Connection {
            all: Arc::clone(self),
            standing: Mutex::new((Standing::Stranger, 0)),
            closing: Arc::default(),
        };
        connection.rest(Standing::Stranger);
        Arc::new(connection)
    }

    /// Closes the connection that comes first; `false` if all of them work.
    pub fn give_way(&self) -> bool {
        let first = self.silent().by_rank.pop_first();
        first.inspect(|(_, closing)| closing.notify_one()).is_some()
    }

    fn silent(&self) -> MutexGuard<'_, Silent> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct Connection {
    all: Arc<Connections>,
    /// And since when it is silent.
    standing: Mutex<(Standing, u64)>,
    closing: Arc<Notify>,
}

impl Connection {
    /// Waits until it has to give way.
    ///
    /// - Out: its standing. What others than strangers were sent may still be on its way, and must get there.
    pub async fn gives_way(&self) -> Standing {
        self.closing.notified().await;
        self.standing().0
    }

    /// A whole request came, so an answer follows.
    pub fn is_heard(&self) {
        let mut standing = self.standing();
        standing.0 = standing.0.max(Standing::Guest);
    }

    /// Takes a place for a request, and waits for it if need be.
    ///
    /// - In: whether the request is authorised.
    /// - Errors: too many wait already.
    pub async fn work(self: &Arc<Self>, is_authorised: bool) -> Result<Work, Problem> {
        self.leave();
        // From here on, dropping it makes the connection a silent one again.
        let mut work = Work {
            connection: Arc::clone(self),
            is_authorised,
            _place: None,
        };
        let running = &self.all.running;
        work._place = Arc::clone(running).try_acquire_owned().ok();
        if work._place.is_none() {
            let turn = self.all.waiting.try_acquire();
            let _turn =
                turn.map_err(|_| overloaded(format!("{0} requests run and {0} wait", self.all.most.requests)))?;
            // It is never closed.
            work._place = Arc::clone(running).acquire_owned().await.ok();
        }
        Ok(work)
    }

    /// Makes it a silent one. If there are too many, the one that comes first gives way, and never this one: it has
    /// not had its chance.
    fn rest(&self, standing: Standing) {
        let mut silent = self.all.silent();
        if silent.by_rank.len() >= self.all.most.silent
            && let Some((_, closing)) = silent.by_rank.pop_first()
        {
            closing.notify_one();
        }
        silent.n_so_far += 1;
        let since = silent.n_so_far;
        *self.standing() = (standing, since);
        silent.by_rank.insert(rank(standing, since), Arc::clone(&self.closing));
    }

    /// It is no longer a silent one.
    fn leave(&self) {
        let (standing, since) = *self.standing();
        self.all.silent().by_rank.remove(&rank(standing, since));
    }

    fn standing(&self) -> MutexGuard<'_, (Standing, u64)> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rank(standing: Standing, since: u64) -> Rank {
    (standing == Standing::Known, since)
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A request that is being answered. When it is dropped, its connection is silent again.
pub struct Work {
    connection: Arc<Connection>,
    is_authorised: bool,
    _place: Option<OwnedSemaphorePermit>,
}

impl Drop for Work {
    fn drop(&mut self) {
        let earlier = self.connection.standing().0;
        let now = if self.is_authorised {
            Standing::Known
        } else {
            Standing::Guest
        };
        self.connection.rest(earlier.max(now));
    }
}

/// The endpoint has too much to do.
pub fn overloaded(message: String) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, ErrorKind::OVERLOADED.code(), message)
        .with_hint("send fewer requests at once, or raise the limits of the endpoint; see `agent-host serve --help`")
        .with_header(header::RETRY_AFTER, HeaderValue::from_static("5"))
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[test]
    fn the_oldest_silent_connection_gives_way_and_strangers_come_first() {
        let all = Connections::new(Most { requests: 2, silent: 2 });
        let known = all.open();
        drop(now(known.work(true)).expect("there is a place"));
        let [first, second, third] = [(); 3].map(|()| all.open());
        assert_eq!(now(first.gives_way()), Some(Standing::Stranger));
        assert_eq!(now(second.gives_way()), Some(Standing::Stranger));
        assert_eq!((now(known.gives_way()), now(third.gives_way())), (None, None));
        drop(third);
        assert!(all.give_way());
        assert_eq!(now(known.gives_way()), Some(Standing::Known));
        assert!(!all.give_way());
    }

    #[test]
    fn an_anonymous_request_does_not_make_a_connection_known() {
        let all = Connections::new(Most { requests: 2, silent: 2 });
        let [known, guest] = [true, false].map(|is_authorised| {
            let connection = all.open();
            connection.is_heard();
            drop(now(connection.work(is_authorised)).expect("there is a place"));
            connection
        });
        let newer = all.open();
        assert_eq!(now(guest.gives_way()), Some(Standing::Guest));
        // What follows without a token takes nothing from a known one.
        drop(now(known.work(false)).expect("there is a place"));
        let newest = all.open();
        assert_eq!(now(newer.gives_way()), Some(Standing::Stranger));
        drop(newest);
        assert!(all.give_way());
        assert_eq!(now(known.gives_way()), Some(Standing::Known));
    }

    #[test]
    fn a_new_connection_never_gives_way_itself() {
        let all = Connections::new(Most { requests: 2, silent: 1 });
        let known = all.open();
        drop(now(known.work(true)).expect("there is a place"));
        let newer = all.open();
        assert_eq!(
            (now(known.gives_way()), now(newer.gives_way())),
            (Some(Standing::Known), None)
        );
    }

    #[test]
    fn a_connection_that_works_never_gives_way_and_places_are_given_back() {
        let all = Connections::new(Most { requests: 1, silent: 1 });
        let connections = [(); 3].map(|()| all.open());
        let work = now(connections[0].work(true)).expect("there is a place");
        assert!(now(connections[1].work(true)).is_none(), "it waits");
        let _silent = all.open();
        assert_eq!(
            now(connections[0].gives_way()),
            Some(Standing::Stranger),
            "from before its request"
        );
        assert!(now(connections[0].gives_way()).is_none());
        drop(work);
        assert!(now(connections[1].work(true)).is_some_and(|work| work.is_ok()));
    }
}
