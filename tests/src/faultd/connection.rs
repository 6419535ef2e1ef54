//! One connection of the service: reads requests, plays scripts.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::script::{Script, Step};
use super::wire::{DONE, LAST_CHUNK, chunk, finish_event, json_reply, sse_head, text_event, whole_answer};
use super::{Arrival, Shared};

/// How often a holding script checks whether its client is still there.
const LOOK: Duration = Duration::from_millis(10);

/// A script that sends for ever counts as blocked when the network accepts nothing for this long.
const BLOCKED: Duration = Duration::from_millis(500);

/// A stream of bytes in both directions.
trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

/// An accepted connection, closed when it is dropped.
pub struct Connection {
    /// The layer that the bytes go through, such as TLS.
    wire: Box<dyn Wire>,
    tcp: TcpStream,
    /// Bytes that were read and not used yet.
    unread: Vec<u8>,
    shared: Arc<Shared>,
    /// The last field, so that the connection is closed when this removes it.
    _registration: Registration,
}

/// A connection's place among the open ones.
struct Registration {
    number: usize,
    shared: Arc<Shared>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.shared.change(|state| state.open.remove(&self.number));
    }
}

impl Connection {
    pub(super) fn accepted(tcp: TcpStream, shared: &Arc<Shared>) -> Option<Self> {
        let (wire, known) = (tcp.try_clone().ok()?, tcp.try_clone().ok()?);
        // Each write should arrive by itself.
        tcp.set_nodelay(true).ok()?;
        let number = shared.change(|state| {
            let number = state.n_accepted;
            state.n_accepted += 1;
            state.open.insert(number, known);
            number
        });
        Some(Self {
            wire: Box::new(wire),
            tcp,
            unread: Vec::new(),
            shared: Arc::clone(shared),
            _registration: Registration {
                number,
                shared: Arc::clone(shared),
            },
        })
    }

    /// Sends its bytes through another layer, such as TLS.
    pub fn over<W: Read + Write + Send + 'static>(mut self, wrap: impl FnOnce(TcpStream) -> W) -> Self {
        if let Ok(tcp) = self.tcp.try_clone() {
            self.wire = Box::new(wrap(tcp));
        }
        self
    }

    /// Reads requests and plays the script that `answer` chooses for each, until the connection ends.
    pub fn serve(mut self, answer: &impl Fn(&Arrival) -> Script) {
        while let Ok(Some(request)) = self.request() {
            let script = answer(&request);
            if !matches!(self.play(&script, &request), Ok(true)) {
                return;
            }
        }
    }

    /// Reads one request and records it; `None` if the client closes the connection instead.
    pub fn request(&mut self) -> io::Result<Option<Arrival>> {
        let mut at = None;
        let head_end = loop {
            if !self.unread.is_empty() {
                at.get_or_insert_with(Instant::now);
            }
            if let Some(end) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if self.read_more()? == 0 {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&self.unread[..head_end]).into_owned();
        let mut lines = head.lines();
        let mut first = lines.next().unwrap_or_default().split(' ');
        let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let body_bytes = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
        while self.unread.len() < head_end + body_bytes {
            if self.read_more()? == 0 {
                return Ok(None);
            }
        }
        let body = self.unread[head_end..head_end + body_bytes].to_vec();
        self.unread.drain(..head_end + body_bytes);
        let (method, path) = (method.to_owned(), path.to_owned());
        let request = self.shared.change(|state| {
            let request = Arrival {
                number: state.requests.len(),
                method,
                path,
                headers,
                body,
                at: at.unwrap_or_else(Instant::now),
            };
            state.requests.push(request.clone());
            request
        });
        Ok(Some(request))
    }

    /// Plays a script, and returns whether the connection is ready for another request.
    pub fn play(&mut self, script: &Script, request: &Arrival) -> io::Result<bool> {
        for step in &script.steps {
            match step {
                Step::Send(bytes) => self.send(bytes)?,
                Step::SendForever(bytes) => self.send_forever(bytes)?,
                Step::Answer(text) => self.answer(text, request.wants_stream())?,
                Step::Hold => {
                    if !self.hold()? {
                        return Ok(false);
                    }
                }
                Step::WaitForClientClose => {
                    while self.read_more()? > 0 {}
                    return Ok(false);
                }
                Step::Close => return Ok(false),
                Step::Reset => {
                    self.reset();
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Sends bytes at once.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.write_all(bytes)?;
        self.wire.flush()?;
        self.shared.change(|state| state.sent_bytes += bytes.len() as u64);
        Ok(())
    }

    /// Reads this many bytes; an error if the client closes the connection first.
    pub fn receive(&mut self, n_bytes: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < n_bytes {
            if self.read_more()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.unread.drain(..n_bytes).collect())
    }

    /// Makes the connection end with a reset.
    pub fn reset(&self) {
        // The connection may be gone already.
        let _ = SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
    }

    fn answer(&mut self, text: &str, stream: bool) -> io::Result<()> {
        if !stream {
            return self.send(&json_reply(200, &[], &whole_answer(text)));
        }
        let events = text_event(text) + &finish_event("stop") + DONE;
        let whole = [sse_head(), chunk(events), LAST_CHUNK.into()].concat();
        self.send(&whole)
    }

    fn send_forever(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.tcp.set_write_timeout(Some(BLOCKED))?;
        loop {
            let mut left = bytes;
            while !left.is_empty() {
                match self.wire.write(left) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(n_bytes) => {
                        left = &left[n_bytes..];
                        self.shared.change(|state| state.sent_bytes += n_bytes as u64);
                    }
                    Err(cause) if is_timeout(&cause) => self.shared.change(|state| state.n_blocked += 1),
                    Err(cause) => return Err(cause),
                }
            }
        }
    }

    /// Waits for the release; `false` if the client closed the connection first.
    fn hold(&mut self) -> io::Result<bool> {
        self.tcp.set_read_timeout(Some(LOOK))?;
        loop {
            let state = self.shared.lock();
            let waiting = |state: &mut super::State| !state.is_released;
            let (state, _) = self
                .shared
                .changed
                .wait_timeout_while(state, LOOK, waiting)
                .unwrap_or_else(PoisonError::into_inner);
            let (is_released, has_ended) = (state.is_released, state.has_ended);
            drop(state);
            if is_released && !has_ended {
                self.tcp.set_read_timeout(None)?;
                return Ok(true);
            }
            // A client that waits for an answer sends nothing, so anything that arrives is its end.
            match self.tcp.peek(&mut [0]) {
                Err(cause) if is_timeout(&cause) && !has_ended => {}
                _ => return Ok(false),
            }
        }
    }

    fn read_more(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 << 10];
        let n_bytes = self.wire.read(&mut buffer)?;
        self.unread.extend_from_slice(&buffer[..n_bytes]);
        Ok(n_bytes)
    }
}

fn is_timeout(cause: &io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
