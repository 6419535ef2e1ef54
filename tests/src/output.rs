//! What a program writes, as it arrives.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::wait::LIMIT;

/// One output of a program, read by a thread of its own.
#[derive(Default)]
pub(crate) struct Output {
    written: Mutex<Written>,
    changed: Condvar,
}

#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    has_ended: bool,
}

impl Output {
    /// Reads `pipe` to its end. An error counts as the end: a terminal that nobody writes to any more gives one.
    pub(crate) fn of(mut pipe: impl Read + Send + 'static) -> Arc<Self> {
        let this = Arc::new(Self::default());
        let reading = Arc::clone(&this);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let n_bytes = pipe.read(&mut buffer).unwrap_or(0);
                let mut written = reading.lock();
                written.bytes.extend_from_slice(&buffer[..n_bytes]);
                written.has_ended = n_bytes == 0;
                drop(written);
                reading.changed.notify_all();
                if n_bytes == 0 {
                    return;
                }
            }
        });
        this
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    pub(crate) fn text(&self) -> String {
        text_of(&self.lock())
    }

    /// Whether this comes true before the output ends and within [`LIMIT`].
    pub(crate) fn wait_until(&self, is_so: impl Fn(&str) -> bool) -> bool {
        let waiting = |written: &mut Written| !is_so(&text_of(written)) && !written.has_ended;
        let waited = self.changed.wait_timeout_while(self.lock(), LIMIT, waiting);
        is_so(&text_of(&waited.unwrap_or_else(PoisonError::into_inner).0))
    }

    /// Whether the output ends within the limit.
    pub(crate) fn wait_for_end(&self, limit: Duration) -> bool {
        let waiting = |written: &mut Written| !written.has_ended;
        let waited = self.changed.wait_timeout_while(self.lock(), limit, waiting);
        waited.unwrap_or_else(PoisonError::into_inner).0.has_ended
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text_of(written: &Written) -> String {
    String::from_utf8_lossy(&written.bytes).into_owned()
}
