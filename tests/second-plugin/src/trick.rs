//! The ways in which a stream can go wrong after its events.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::vec;

use futures_core::Stream;
use plugin_api::{ChatEvent, Error, Host, Level};

/// What a stream does after its last event.
pub enum Then {
    /// Sends `Done`, and ends.
    Done,
    /// Ends without `Done`.
    End,
    /// Panics and quotes this text.
    Panic(String),
    /// Never stops talking, and is always ready.
    GoOn,
    /// Blocks the thread that polls it.
    Block,
    /// Waits forever, and holds this.
    Wait { _until_dropped: WhenDropped },
}

impl Then {
    pub fn wait(until_dropped: WhenDropped) -> Self {
        Self::Wait {
            _until_dropped: until_dropped,
        }
    }
}

/// What happens when something that waits is dropped.
pub enum WhenDropped {
    /// Its destructor panics.
    Panic,
    /// It writes to the host's log, at level error.
    Log(Host),
}

impl Drop for WhenDropped {
    fn drop(&mut self) {
        match self {
            Self::Panic => panic!("cannot let go"),
            Self::Log(host) => host.log(Level::Error, "second_plugin::trick", "let go", "{}"),
        }
    }
}

/// The payload of a panic whose destructor panics too.
pub struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("cannot even panic quietly");
    }
}

/// Some events, then the trick.
pub struct Trick {
    events: vec::IntoIter<ChatEvent>,
    then: Then,
    done: Option<ChatEvent>,
    /// Counts the events that leave.
    given: Arc<AtomicU32>,
}

impl Trick {
    pub fn new(events: Vec<ChatEvent>, then: Then, done: ChatEvent, given: Arc<AtomicU32>) -> Self {
        Self {
            events: events.into_iter(),
            then,
            done: Some(done),
            given,
        }
    }
}

impl Stream for Trick {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let event = match (self.events.next(), &self.then) {
            (Some(event), _) => Some(event),
            (None, Then::Done) => self.done.take(),
            (None, Then::End) => None,
            (None, Then::Panic(heard)) => panic!("cannot repeat `{heard}`"),
            (None, Then::GoOn) => Some(ChatEvent::text("and ")),
            (None, Then::Block) => {
                println!("Parrot blocks");
                loop {
                    thread::park();
                }
            }
            (None, Then::Wait { .. }) => return Poll::Pending,
        };
        if event.is_some() {
            self.given.fetch_add(1, Ordering::Relaxed);
        }
        Poll::Ready(event.map(Ok))
    }
}
