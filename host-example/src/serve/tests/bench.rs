//! The endpoint on a port of its own, and a client for it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use plugin_api::{Config, LogOnly, PluginModule, Provider, TierModel};

use super::fake::{Fake, KEY};
use crate::serve::guard::Rules;
use crate::serve::record::Telemetry;
use crate::serve::server::Server;
use crate::serve::shared::{PluginRow, Serving, Shared};
use crate::serve::socket;
use crate::setup::Secret;

pub const TOKEN: &str = "ah-0123456789abcdef";

pub struct Bench {
    pub address: SocketAddr,
    pub shared: Arc<Shared>,
    /// Serves for as long as it is held.
    _server: Server,
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
            plugin,
            tiers: vec![tier()],
            keys: vec![Secret::new(KEY.to_owned())],
            plugins: vec![PluginRow {
                id,
                verdict: "enabled",
                reason: "x".to_owned(),
                is_active: true,
            }],
            models_page: ArcSwapOption::empty(),
        };
        let rules = Rules {
            address: address.ip(),
            port: address.port(),
            allowed_hosts: Vec::new(),
            cors_origins: vec!["http://localhost:3000".to_owned()],
            token: Some(Secret::new(TOKEN.to_owned())),
        };
        let shared = Arc::new(Shared::new(serving, rules, telemetry, 1 << 20));
        let _server = Server::start(&listener, Arc::clone(&shared), 1, max_connections).expect("a thread");
        Self {
            address,
            shared,
            _server,
        }
    }

    pub fn client(&self) -> Client {
        let socket = TcpStream::connect(self.address).expect("the endpoint listens");
        let limited = socket.set_read_timeout(Some(Duration::from_secs(60)));
        limited.expect("it is a socket");
        Client {
            socket,
            host: self.address.to_string(),
            unread: Vec::new(),
        }
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
    pub socket: TcpStream,
    host: String,
    unread: Vec<u8>,
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
        self.socket.write_all(text.as_bytes()).expect("the connection stands");
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

    fn read_more(&mut self) {
        let mut bytes = [0; 4096];
        let count = self.socket.read(&mut bytes).expect("something arrives");
        let unread = String::from_utf8_lossy(&self.unread);
        assert!(count > 0, "the connection ended after {unread:?}");
        self.unread.extend_from_slice(&bytes[..count]);
    }

    /// Reads this many bytes.
    fn take(&mut self, count: usize) -> String {
        while self.unread.len() < count {
            self.read_more();
        }
        let rest = self.unread.split_off(count);
        let read = std::mem::replace(&mut self.unread, rest);
        String::from_utf8(read).expect("it is text")
    }

    /// Reads up to and with this text, and returns all that was read.
    pub fn until(&mut self, end: &str) -> String {
        loop {
            let mut windows = self.unread.windows(end.len());
            match windows.position(|window| window == end.as_bytes()) {
                Some(at) => return self.take(at + end.len()),
                None => self.read_more(),
            }
        }
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
