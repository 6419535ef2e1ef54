//! The endpoint on a port of its own, and a client for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use plugin_api::{Config, LogOnly, PluginModule, Provider, TierModel};
use tokio::sync::Mutex;

use super::fake::{Fake, KEY};
use crate::agents::Shelf;
use crate::history::Asker;
use crate::serve::body_memory::BodyMemory;
use crate::serve::course::Phase;
use crate::serve::guard::Rules;
use crate::serve::record::Telemetry;
use crate::serve::server::Server;
use crate::serve::shared::{PluginRow, Serving, Shared};
use crate::serve::socket;
use crate::setup::Secret;

pub const TOKEN: &str = "ah-0123456789abcdef";

pub struct Bench {
    pub address: SocketAddr,
    #[cfg(feature = "otel")]
    pub shared: Arc<Shared>,
    /// Serves for as long as it is held.
    server: Server,
}

impl Bench {
    pub fn new() -> Self {
        Self::with::<Fake>(2048)
    }

    pub fn with<P: Provider>(max_connections: u32) -> Self {
        Self::telling::<P>(Telemetry::new(None), max_connections)
    }

    pub fn telling<P: Provider>(telemetry: Telemetry, max_connections: u32) -> Self {
        let module = PluginModule::linked::<P>().expect("a manifest");
        let id = module.manifest().id.clone();
        let plugin = module
            .create(Arc::new(LogOnly::new(id.as_str())), &Config::default())
            .expect("a plugin");
        let listener = block_on(async { socket::open(([127, 0, 0, 1], 0).into()) }).expect("a port");
        let address = listener.local_addr().expect("an address");
        let serving = Serving {
            shelf: Shelf::default(),
            off: None,
            caching: None,
            plugin,
            tiers: vec![tier()],
            asker: Asker::default(),
            keys_at_start: [("KEY".to_owned(), Arc::new(Secret::new(KEY.to_owned())))].into(),
            plugins: vec![PluginRow {
                id,
                verdict: "enabled",
                reason: "x".to_owned(),
                is_active: true,
            }],
            models_page: ArcSwapOption::empty(),
            used_key: Arc::default(),
            models_failed: ArcSwapOption::empty(),
            models_asked: Mutex::default(),
            providers: Mutex::default(),
        };
        let rules = Rules {
            address: address.ip(),
            port: address.port(),
            allowed_hosts: Vec::new(),
            cors_origins: vec!["http://localhost:3000".to_owned()],
            token: ArcSwapOption::from_pointee(Secret::new(TOKEN.to_owned())),
        };
        let shared = Arc::new(Shared::new(serving, rules, telemetry, BodyMemory::new(1, 1)));
        let server = Server::start(&listener, Arc::clone(&shared), 1, max_connections).expect("a thread");
        Self {
            address,
            #[cfg(feature = "otel")]
            shared,
            server,
        }
    }

    /// Ends running answers, as the end of the time for shutting down does.
    pub fn cut(&self) {
        self.server.enter(Phase::Cutting);
    }

    pub fn client(&self) -> Client {
        let socket = TcpStream::connect(self.address).expect("the endpoint listens");
        let limited = socket.set_read_timeout(Some(Duration::from_secs(60)));
        limited.expect("it is a socket");
        let (socket, host) = (BufReader::new(socket), self.address.to_string());
        Client { socket, host }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }

    /// Asks on a connection of its own, and reads the whole answer.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut client = self.client();
        client.ask(method, path, body);
        client.answer()
    }
}

pub fn tier() -> TierModel {
    TierModel {
        tier: "TEXT_SMALL".to_owned(),
        wire: "acme/small".to_owned(),
        ..TierModel::default()
    }
}

pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("the machine has memory").block_on(work)
}

/// A connection.
pub struct Client {
    socket: BufReader<TcpStream>,
    host: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Asserts that it is an error with this status, and this text in this member.
    #[track_caller]
    pub fn fails(&self, status: u16, member: &str, text: &str) {
        assert_eq!(
            (self.status, self.json()["error"][member].as_str()),
            (status, Some(text))
        );
    }

    /// Asserts that it has these headers.
    #[track_caller]
    pub fn has(&self, headers: &[(&str, &str)]) {
        for (name, value) in headers {
            assert_eq!(self.header(name), Some(*value), "{name}");
        }
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?} is no JSON"))
    }
}

impl Client {
    pub fn send(&mut self, text: &str) {
        let sent = self.socket.get_mut().write_all(text.as_bytes());
        sent.expect("the connection stands");
    }

    pub fn half_close(&self) {
        let closed = self.socket.get_ref().shutdown(Shutdown::Write);
        closed.expect("the connection stands");
    }

    /// Sends a request with everything that it needs.
    pub fn ask(&mut self, method: &str, path: &str, body: &str) {
        let (host, length) = (&self.host, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        self.send(&request);
    }

    /// Reads this many bytes.
    fn take(&mut self, count: usize) -> String {
        let mut bytes = vec![0; count];
        self.socket.read_exact(&mut bytes).expect("something arrives");
        String::from_utf8(bytes).expect("it is text")
    }

    /// Reads up to and with this text, and returns all that was read.
    pub fn until(&mut self, end: &str) -> String {
        let end = end.as_bytes();
        let mut bytes = Vec::new();
        while !bytes.ends_with(end) {
            let count = self
                .socket
                .read_until(end[end.len() - 1], &mut bytes)
                .expect("something arrives");
            assert!(
                count > 0,
                "the connection ended after {}",
                String::from_utf8_lossy(&bytes)
            );
        }
        String::from_utf8(bytes).expect("it is text")
    }

    /// The head of an answer, in lower case but for its values.
    pub fn head(&mut self) -> (u16, String) {
        let head = self.until("\r\n\r\n");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), head)
    }

    /// One chunk of an answer; an empty one is the end.
    pub fn chunk(&mut self) -> String {
        let size = self.until("\r\n");
        let size = usize::from_str_radix(size.trim(), 16).expect("a size");
        let mut chunk = self.take(size + 2);
        chunk.truncate(size);
        chunk
    }

    /// All chunks to the end.
    pub fn chunks(&mut self) -> String {
        let mut text = String::new();
        loop {
            match self.chunk() {
                chunk if chunk.is_empty() => return text,
                chunk => text.push_str(&chunk),
            }
        }
    }

    pub fn answer(&mut self) -> Answer {
        let (status, head) = self.head();
        let mut answer = Answer {
            status,
            head,
            body: String::new(),
        };
        if let Some(length) = answer.header("content-length") {
            let length = length.trim().parse().expect("a length");
            answer.body = self.take(length);
        } else if answer.header("transfer-encoding").is_some() {
            answer.body = self.chunks();
        }
        answer
    }
}
