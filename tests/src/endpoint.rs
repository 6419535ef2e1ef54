//! The real `agent-host serve` in front of a sandbox, and a client that sends exactly the bytes it is given.
//!
//! The endpoint listens on a free port, has the kit's token, and is stopped with SIGTERM, as a system does.
//! The kit searches its output and every answer for keys. The client follows HTTP/1.1 only when it reads;
//! what it sends is up to the test. Linux only: it reads `/proc`.

mod client;
mod exchange;

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};

use crate::artefacts::openrouter_plugin;
use crate::faultd::Faultd;
use crate::folder::files_below;
use crate::home::{Home, HostRun};
use crate::measure::status;
use crate::output::Output;
use crate::run::Ran;
use crate::service::{Service, service};
use crate::wait::LIMIT;

pub use client::{Client, Reply};
pub use exchange::{Answer, Request, chat_body};

/// The token of endpoints that do not make their own.
pub const TOKEN: &str = "the-token-of-the-kit-0123456789";

const TOKEN_VARIABLE: &str = "AGENT_HOST_TOKEN";
const LISTENING: &str = "listening on http://";

/// An endpoint that is not started yet.
#[must_use]
pub struct Serve {
    home: Arc<Home>,
    service: Arc<Service>,
    /// 0 means any free port.
    port: u16,
    arguments: Vec<String>,
    /// `None` removes a variable.
    variables: Vec<(String, Option<String>)>,
}

/// A running endpoint. When it is dropped, it is stopped and must exit properly.
pub struct Endpoint {
    /// Its home.
    pub home: Arc<Home>,
    /// The sandbox that its plugin asks.
    pub service: Arc<Service>,
    address: SocketAddr,
    child: Child,
    stdout: Arc<Output>,
    stderr: Arc<Output>,
    has_ended: bool,
}

impl Serve {
    /// A new home with the OpenRouter plugin, in front of a new sandbox, without a profile.
    pub fn new() -> Self {
        Self::before(service())
    }

    /// The same in front of this sandbox.
    pub fn before(service: Service) -> Self {
        let this = Self {
            home: Arc::new(Home::with(&openrouter_plugin())),
            service: Arc::new(service),
            port: 0,
            arguments: Vec::new(),
            variables: Vec::new(),
        };
        let (key, base_url) = (this.service.key().to_owned(), this.service.base_url());
        this.env("OPENROUTER_API_KEY", &key)
            .env("OPENROUTER_BASE_URL", &base_url)
            .env(TOKEN_VARIABLE, TOKEN)
    }

    /// Starts again what `endpoint` was: in the same home, in front of the same sandbox.
    pub fn again(endpoint: &Endpoint) -> Self {
        let mut this = Self::new();
        this.home = Arc::clone(&endpoint.home);
        this.service = Arc::clone(&endpoint.service);
        let base_url = this.service.base_url();
        this.env("OPENROUTER_BASE_URL", &base_url)
    }

    /// Points the plugin to a service of raw bytes.
    pub fn asking(self, faultd: &Faultd) -> Self {
        self.env("OPENROUTER_BASE_URL", &faultd.base_url())
    }

    /// Writes a profile for the OpenRouter plugin with these options.
    pub fn profile(self, options: &Value) -> Self {
        self.home.write_profile(&profile_text(options));
        self
    }

    /// Listens on this port.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Adds words to its command line.
    pub fn arguments(mut self, words: &[&str]) -> Self {
        self.arguments.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), Some(value.to_owned())));
        self
    }

    /// Removes an environment variable.
    pub fn without(mut self, name: &str) -> Self {
        self.variables.push((name.to_owned(), None));
        self
    }

    /// Makes its own token, as on a first start.
    pub fn without_token(self) -> Self {
        self.without(TOKEN_VARIABLE)
    }

    /// Its home.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Starts it, and waits until it listens.
    ///
    /// - Panics: if it ends or does not listen within the limit, with what it wrote.
    #[track_caller]
    pub fn start(self) -> Endpoint {
        let mut command = self.host().into_command();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let stdout = Output::of(child.stdout.take().expect("it is piped"));
        let stderr = Output::of(child.stderr.take().expect("it is piped"));
        let address = |all: &str| -> Option<SocketAddr> {
            let mut lines = all.lines();
            lines.find_map(|line| line.strip_prefix(LISTENING)?.strip_suffix("/v1")?.parse().ok())
        };
        stdout.wait_until(|all| address(all).is_some());
        let Some(address) = address(&stdout.text()) else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the endpoint does not listen: {:?}\n{}", stdout.text(), stderr.text());
        };
        Endpoint {
            home: self.home,
            service: self.service,
            address,
            child,
            stdout,
            stderr,
            has_ended: false,
        }
    }

    /// Runs it to its end, for starts that must fail.
    pub fn run(self) -> Ran {
        self.host().run()
    }

    fn host(&self) -> HostRun {
        let port = self.port.to_string();
        let beginning = ["serve", "--port", &port].into_iter();
        let arguments: Vec<&str> = beginning.chain(self.arguments.iter().map(String::as_str)).collect();
        let mut run = self.home.host(&arguments);
        for (name, value) in &self.variables {
            run = match value {
                Some(value) => run.env(name, value),
                None => run.without(name),
            };
        }
        run
    }
}

impl Default for Serve {
    fn default() -> Self {
        Self::new()
    }
}

/// A profile for the OpenRouter plugin with these options, an object.
pub fn profile_text(options: &Value) -> String {
    let mut default = json!({"provider": "openrouter"});
    for (name, value) in options.as_object().expect("options are an object") {
        default[name.as_str()] = value.clone();
    }
    json!({"auth": {"profiles": {"default": default}}}).to_string()
}

impl Endpoint {
    /// The usual one: the OpenRouter plugin in front of a new sandbox, without a profile.
    #[track_caller]
    pub fn start() -> Self {
        Serve::new().start()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until its standard error has this text `n_times`.
    #[track_caller]
    pub fn wait_for_stderr(&self, text: &str, n_times: usize) {
        let is_there = self.stderr.wait_until(|all| all.matches(text).count() >= n_times);
        assert!(is_there, "`{text}` did not appear {n_times} times:\n{}", self.stderr());
    }

    /// A new connection to it.
    #[track_caller]
    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// A valid request without a body.
    pub fn get(&self, target: &str) -> Request {
        Request::new("GET", target)
            .header("host", &self.address.to_string())
            .header("authorization", &format!("Bearer {TOKEN}"))
    }

    /// A valid request with a JSON body.
    pub fn post(&self, target: &str, body: &Value) -> Request {
        let request = self.get(target).method("POST");
        request
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    /// Sends a request on a new connection, and reads the head of its answer.
    #[track_caller]
    pub fn open(&self, request: &Request) -> Reply {
        self.connect().ask(request)
    }

    /// Sends a request on a new connection, and reads its answer to its end.
    #[track_caller]
    pub fn answer(&self, request: &Request) -> Answer {
        self.open(request).whole()
    }

    /// A model's answer to one message.
    #[track_caller]
    pub fn chat(&self, model: &str, text: &str) -> Answer {
        self.answer(&self.post("/v1/chat/completions", &chat_body(model, text)))
    }

    /// A counter or gauge from `/metrics`, by its name with labels as written there; 0 if it is missing.
    #[track_caller]
    pub fn metric(&self, name: &str) -> f64 {
        let page = self.answer(&self.get("/metrics")).text();
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// How many files it has open, including connections.
    pub fn open_files(&self) -> usize {
        let files = fs::read_dir(format!("/proc/{}/fd", self.id())).expect("it runs");
        files.count()
    }

    /// A size from its `/proc/PID/status`, in KiB.
    pub fn status_kib(&self, name: &str) -> u64 {
        status(&self.id().to_string(), name).expect("it runs")
    }

    /// Sends it a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.id().to_string())
            .status();
        assert!(status.expect("there is a `kill`").success());
    }

    /// Waits for its end, and checks what it leaves behind: no key in its output, no half-written file, no connection.
    ///
    /// - Panics: if it does not end within the limit, or leaves something behind.
    #[track_caller]
    pub fn end(&mut self) -> Ran {
        self.has_ended = true;
        let outputs = [&*self.stdout, &*self.stderr];
        let (ran, has_ended) = Ran::of(&mut self.child, outputs, "the endpoint", LIMIT);
        assert!(has_ended, "the endpoint does not end: {ran:?}");
        for text in [&ran.stdout, &ran.stderr] {
            assert!(!text.contains(TOKEN), "an output holds the token");
        }
        let connected = TcpStream::connect(self.address);
        assert!(connected.is_err(), "somebody still listens on {}", self.address);
        let mut half_written = files_below(self.home.path());
        half_written.retain(|file| {
            file.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(".tmp"))
        });
        assert!(half_written.is_empty(), "left behind: {half_written:?}");
        if let Err(late) = self.service.wait_for_open_connections(0, LIMIT) {
            panic!("{late}");
        }
        ran
    }

    /// Stops it as a system does.
    #[track_caller]
    pub fn stop(&mut self) -> Ran {
        self.signal("TERM");
        self.end()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        if thread::panicking() {
            let _ = self.child.kill();
            let _ = self.child.wait();
            eprintln!("the endpoint wrote:\n{}", self.stderr());
            return;
        }
        let ran = self.stop();
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.stdout);
    }
}
