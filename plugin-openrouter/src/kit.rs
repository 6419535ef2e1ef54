//! What unit tests share: a service with scripted answers, settings that point to it, and temporary folders.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{env, fs, process, thread};

use plugin_api::Config;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::models::{Catalogue, Store};
use crate::service::Settings;
use crate::values::usd::Usd;

/// The key of every [`settings`].
pub const KEY: &str = "sk-or-v1-placeholder";

/// A service on a free port.
pub struct Service {
    pub base_url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Service {
    /// Answers each request with the result of `answer` for its path: a status, more header lines, a body.
    pub fn start(answer: impl Fn(&str) -> (u16, String, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        // Runs until the test process ends.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        Self {
            base_url: format!("http://{address}/api/v1"),
            requests,
        }
    }

    /// Answers every request with 200 and this JSON.
    pub fn saying(body: &Value) -> Self {
        let body = body.to_string();
        Self::start(move |_| (200, String::new(), body.clone()))
    }

    /// The heads of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Settings with a key and the base URL of this service.
    pub fn settings(&self, options: Value, environment: &[(&str, &str)]) -> Arc<Settings> {
        let mut options = options;
        options["baseUrl"] = json!(self.base_url);
        settings(options, environment)
    }
}

/// The rows of a table written as text: one a line, its cells divided by `|`. A line that begins with `|` goes on.
pub fn rows<const N: usize>(table: &str) -> Vec<[&str; N]> {
    let mut rows: Vec<Vec<&str>> = Vec::new();
    let lines = table.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with("// ")) {
        match (line.strip_prefix('|'), rows.last_mut()) {
            (Some(rest), Some(row)) => row.extend(rest.split('|').map(str::trim)),
            _ => rows.push(line.split('|').map(str::trim).collect()),
        }
    }
    let whole = |row: Vec<_>| {
        row.try_into()
            .unwrap_or_else(|row| panic!("expected {N} cells, found {row:?}"))
    };
    rows.into_iter().map(whole).collect()
}

/// A value of the type that is asked for.
pub fn parsed<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a valid value")
}

/// Why this value is not one of the type `T`.
pub fn refused<T: DeserializeOwned>(value: Value) -> String {
    let read = serde_json::from_value::<T>(value).map(drop);
    read.expect_err("an invalid value").to_string()
}

/// JSON to be sent byte for byte.
pub fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).expect("JSON")
}

pub fn usd(text: &str) -> Usd {
    Usd::parse(text).expect("an amount")
}

/// Environment variables as a host passes them.
pub fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    pairs.collect()
}

/// A catalogue of these entries of `GET /models`.
pub fn catalogue(entries: &Value) -> Arc<Catalogue> {
    let settings = settings(json!({}), &[]);
    Store::with(&settings, entries).known(&settings).expect("it is there")
}

/// Settings with a key. They use the disk only if the options name a folder.
pub fn settings(mut options: Value, environment: &[(&str, &str)]) -> Arc<Settings> {
    if options["caches"]["folder"].is_null() {
        options["caches"]["disk"] = json!(false);
    }
    let mut variables = vec![("OPENROUTER_API_KEY", KEY)];
    variables.extend_from_slice(environment);
    let environment = self::environment(&variables);
    Settings::from_config(&Config { options, environment }, None).expect("good settings")
}

/// Runs `work` on a runtime with sockets and timers.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(work)
}

/// Runs one test of this program in a process of its own, which finds `folder` in a variable.
pub fn child(test: &str, variable: &str, folder: &Path) -> Child {
    Command::new(env::current_exe().expect("this is a program"))
        .args(["--exact", test, "--nocapture"])
        .env(variable, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts")
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<String>>, answer: &dyn Fn(&str) -> (u16, String, String)) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    // Closing a connection with unread bytes would reset it, and the reply might be lost.
    let _ = stream.read_exact(&mut vec![0; length.unwrap_or(0)]);
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(head);
    let (status, lines, body) = answer(&path);
    let length = if lines.contains("content-length: ") {
        String::new()
    } else {
        format!("content-length: {}\r\n", body.len())
    };
    let reply = format!("HTTP/1.1 {status} -\r\nconnection: close\r\n{length}{lines}\r\n{body}");
    // The client may have closed the connection.
    let _ = stream.write_all(reply.as_bytes());
}

/// A folder that does not exist yet and is removed at the end of its test.
pub struct Folder {
    pub path: PathBuf,
}

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("plugin-openrouter-{}-{n}", process::id()));
        let _ = fs::remove_dir_all(&path);
        Self { path }
    }

    /// The text of one of its files; empty if there is none.
    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path.join(name)).unwrap_or_default()
    }

    /// Appends to one of its files.
    pub fn append(&self, name: &str, bytes: &[u8]) {
        fs::create_dir_all(&self.path).expect("it is writable");
        let file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.path.join(name));
        file.and_then(|mut file| file.write_all(bytes)).expect("it is writable");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
