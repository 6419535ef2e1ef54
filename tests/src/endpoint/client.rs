//! An HTTP/1.1 client on a bare socket: sends the given bytes, and reads answers piece by piece.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use socket2::{Domain, SockRef, Socket, Type};

use super::exchange::{Answer, Request};
use crate::wait::LIMIT;

/// A connection.
pub struct Client {
    tcp: TcpStream,
    /// Bytes that were read and not used yet.
    unread: Vec<u8>,
}

impl Client {
    /// Connects.
    ///
    /// - Panics: if nobody listens there.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).expect("somebody listens"))
    }

    /// The same with a small receive buffer.
    #[track_caller]
    pub fn with_little_room(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a size");
        socket.connect(&address.into()).expect("somebody listens");
        Self::of(socket.into())
    }

    fn of(tcp: TcpStream) -> Self {
        tcp.set_read_timeout(Some(LIMIT)).expect("a time");
        tcp.set_write_timeout(Some(LIMIT)).expect("a time");
        tcp.set_nodelay(true).expect("a connection");
        Self {
            tcp,
            unread: Vec::new(),
        }
    }

    /// Sends bytes.
    ///
    /// - Errors: the endpoint has closed the connection.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.tcp.write_all(bytes.as_ref())
    }

    /// Closes its sending half.
    pub fn half_close(&self) {
        self.tcp.shutdown(Shutdown::Write).expect("a connection");
    }

    /// Resets the connection instead of closing it.
    pub fn reset(self) {
        SockRef::from(&self.tcp)
            .set_linger(Some(std::time::Duration::ZERO))
            .expect("a connection");
    }

    /// Sends a request, and reads the head of its answer.
    #[track_caller]
    pub fn ask(mut self, request: &Request) -> Reply {
        // The endpoint may refuse a request before it has read all of it.
        let _ = self.send(request.bytes());
        self.reply()
    }

    /// Reads the head of an answer.
    ///
    /// - Panics: if the connection ends first.
    #[track_caller]
    pub fn reply(mut self) -> Reply {
        match self.head() {
            Some((status, headers)) => Reply::new(self, status, headers),
            None => panic!("no answer: {:?}", String::from_utf8_lossy(&self.unread)),
        }
    }

    /// The same; `None` if the connection ends first.
    pub fn reply_if_any(mut self) -> Option<Reply> {
        let (status, headers) = self.head()?;
        Some(Reply::new(self, status, headers))
    }

    /// Reads at most this many raw bytes; none at the end.
    #[track_caller]
    pub fn read(&mut self, at_most: usize) -> Vec<u8> {
        let mut buffer = vec![0; at_most];
        let n_bytes = match self.tcp.read(&mut buffer) {
            Ok(n_bytes) => n_bytes,
            Err(cause) if matches!(cause.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("nothing arrived within {LIMIT:?}: {cause}")
            }
            Err(_) => 0,
        };
        buffer.truncate(n_bytes);
        buffer
    }

    /// Whether the endpoint closes the connection without sending anything more.
    #[track_caller]
    pub fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && self.read(1).is_empty()
    }

    /// Status and headers of the next final answer.
    #[track_caller]
    fn head(&mut self) -> Option<(u16, Vec<(String, String)>)> {
        loop {
            let end = self.read_to(b"\r\n\r\n")?;
            let head: Vec<u8> = self.unread.drain(..end).collect();
            let head = String::from_utf8(head).expect("a head is text");
            let mut lines = head.split("\r\n");
            let first = lines.next().unwrap_or_default();
            let status = first
                .strip_prefix("HTTP/1.1 ")
                .and_then(|rest| rest.get(..3)?.parse().ok());
            let status: u16 = status.unwrap_or_else(|| panic!("no status: {first}"));
            if (100..200).contains(&status) {
                continue;
            }
            let headers = lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
            return Some((status, headers.collect()));
        }
    }

    /// Reads on until `mark` is among the unread bytes, and returns where it ends; `None` at the end.
    #[track_caller]
    fn read_to(&mut self, mark: &[u8]) -> Option<usize> {
        loop {
            if let Some(begin) = memchr::memmem::find(&self.unread, mark) {
                return Some(begin + mark.len());
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Reads more; `false` at the end.
    #[track_caller]
    fn fill(&mut self) -> bool {
        let more = self.read(16 << 10);
        self.unread.extend_from_slice(&more);
        !more.is_empty()
    }
}

/// What marks the end of a body.
enum Framing {
    Length(usize),
    Chunks,
    UntilClose,
}

/// An answer whose body is still coming.
pub struct Reply {
    client: Client,
    framing: Framing,
    /// What has arrived so far.
    answer: Answer,
    has_ended: bool,
}

impl Reply {
    fn new(client: Client, status: u16, headers: Vec<(String, String)>) -> Self {
        let value = |name: &str| {
            headers
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.as_str())
        };
        let framing = if status == 204 || status == 304 {
            Framing::Length(0)
        } else if value("transfer-encoding") == Some("chunked") {
            Framing::Chunks
        } else {
            let length = value("content-length").and_then(|length| length.parse().ok());
            length.map_or(Framing::UntilClose, Framing::Length)
        };
        Self {
            client,
            framing,
            answer: Answer {
                status,
                headers,
                body: Vec::new(),
                is_whole: false,
            },
            has_ended: false,
        }
    }

    /// The next piece of the body: a chunk, or what has arrived; `None` at the end.
    #[track_caller]
    pub fn piece(&mut self) -> Option<Vec<u8>> {
        if self.has_ended {
            return None;
        }
        let piece = match self.framing {
            Framing::Chunks => self.chunk(),
            Framing::Length(length) => {
                let left = length - self.answer.body.len();
                if left == 0 {
                    self.answer.is_whole = true;
                    None
                } else {
                    self.some(left)
                }
            }
            Framing::UntilClose => {
                let piece = self.some(usize::MAX);
                self.answer.is_whole = piece.is_none();
                piece
            }
        };
        match &piece {
            Some(piece) => self.answer.body.extend_from_slice(piece),
            None => self.has_ended = true,
        }
        piece
    }

    /// Reads until the body contains this text.
    ///
    /// - Panics: if it ends first.
    #[track_caller]
    pub fn until(&mut self, text: &str) {
        while memchr::memmem::find(&self.answer.body, text.as_bytes()).is_none() {
            let piece = self.piece();
            let body = String::from_utf8_lossy(&self.answer.body);
            assert!(piece.is_some(), "it ended before `{text}`: {body}");
        }
    }

    /// Reads to the end.
    #[track_caller]
    pub fn whole(self) -> Answer {
        self.whole_and_client().0
    }

    /// Reads to the end, and returns the connection for another request.
    #[track_caller]
    pub fn whole_and_client(mut self) -> (Answer, Client) {
        while self.piece().is_some() {}
        (self.answer.looked_through(), self.client)
    }

    /// Only the connection, for tests that need no more of the answer.
    pub fn into_client(self) -> Client {
        self.client
    }

    #[track_caller]
    fn some(&mut self, at_most: usize) -> Option<Vec<u8>> {
        if self.client.unread.is_empty() && !self.client.fill() {
            return None;
        }
        let n_bytes = self.client.unread.len().min(at_most);
        Some(self.client.unread.drain(..n_bytes).collect())
    }

    #[track_caller]
    fn chunk(&mut self) -> Option<Vec<u8>> {
        let begin = self.client.read_to(b"\r\n")?;
        let size = String::from_utf8_lossy(&self.client.unread[..begin - 2]).into_owned();
        let size = usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("no size of a chunk: {size:?}"));
        let end = begin + size + 2;
        while self.client.unread.len() < end {
            if !self.client.fill() {
                return None;
            }
        }
        let chunk: Vec<u8> = self.client.unread.drain(..end).collect();
        assert!(chunk.ends_with(b"\r\n"), "a chunk ends with its line");
        self.answer.is_whole = size == 0;
        (size > 0).then(|| chunk[begin..begin + size].to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faultd::{Faultd, LAST_CHUNK, Script, chunk, head, json_reply, sse_head};

    fn reply(bytes: Vec<u8>) -> Reply {
        let faultd = Faultd::playing([Script::new().send(bytes).close()]);
        let reply = Client::connect(faultd.address()).ask(&Request::new("GET", "/"));
        // When the service is dropped its connections end, so all of it must have been sent.
        faultd.wait_until_idle();
        reply
    }

    #[test]
    fn only_a_last_chunk_makes_a_chunked_body_whole() {
        let two = [sse_head(), chunk("one"), chunk("two")].concat();
        let mut cut = reply(two.clone());
        assert_eq!(cut.piece().as_deref(), Some(&b"one"[..]));
        assert_eq!(cut.piece().as_deref(), Some(&b"two"[..]));
        assert_eq!(cut.piece(), None);
        assert!(!cut.whole().is_whole);
        let whole = reply([two.as_slice(), LAST_CHUNK.as_bytes()].concat()).whole();
        assert_eq!((whole.text().as_str(), whole.is_whole), ("onetwo", true));
        assert!(!reply([two.as_slice(), b"5\r\nhal"].concat()).whole().is_whole);
    }

    #[test]
    fn a_body_with_a_length_is_whole_with_its_last_byte() {
        let good = json_reply(404, &[("X-Mine", " a ")], &serde_json::json!({}));
        let answer = reply([b"HTTP/1.1 100 Continue\r\n\r\n", good.as_slice()].concat()).whole();
        assert_eq!(
            (answer.status, answer.header("x-mine"), answer.is_whole),
            (404, Some("a"), true)
        );
        assert!(!reply(good[..good.len() - 1].to_vec()).whole().is_whole);
        let until_close = [head(200, &[]), b"all".to_vec()].concat();
        assert!(reply(until_close).whole().is_whole);
    }

    #[test]
    fn a_request_is_sent_byte_for_byte() {
        let request = Request::new("PO ST", "//x?")
            .header("A", " b")
            .header("A", "\u{e9}")
            .body("{}")
            .without("B");
        assert_eq!(
            request.bytes(),
            "PO ST //x? HTTP/1.1\r\nA:  b\r\nA: \u{e9}\r\ncontent-length: 2\r\n\r\n{}".as_bytes()
        );
    }
}
