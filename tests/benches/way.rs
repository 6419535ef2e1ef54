//! What the way through the plugin costs, beside a floor and a plain client, in CPU time of this process.
//!
//! `cargo bench -p tests` prints a table. The service runs in a process of its own, so its work is not counted. Each
//! round runs every way once, in turn; the table has the medians. User and system time of all threads of this process
//! are counted, from `/proc/self/task/*/schedstat`, so this runs on Linux.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use memchr::memchr;
use plugin_api::{ChatEvent, ChatRequest, Config, LogOnly, Message, Plugin, loader};
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;

const ROUNDS: usize = 7;
const KEY: &str = "sk-or-v1-sandbox";
const CHUNKS: usize = 1000;

/// What is asked of each way in one round.
struct Load {
    name: &'static str,
    model: &'static str,
    stream: bool,
    calls: usize,
    at_a_time: usize,
    /// What the cost is divided by.
    units: usize,
    unit: &'static str,
}

const LOADS: [Load; 5] = [
    Load {
        name: "streams, many events a write",
        model: "bench/coalesced",
        stream: true,
        calls: 40,
        at_a_time: 1,
        units: 40 * CHUNKS,
        unit: "chunk",
    },
    Load {
        name: "streams, many events a write",
        model: "bench/coalesced",
        stream: true,
        calls: 64,
        at_a_time: 64,
        units: 64 * CHUNKS,
        unit: "chunk",
    },
    Load {
        name: "streams, one event a write",
        model: "bench/single",
        stream: true,
        calls: 20,
        at_a_time: 1,
        units: 20 * CHUNKS,
        unit: "chunk",
    },
    Load {
        name: "plain requests",
        model: "bench/short",
        stream: false,
        calls: 400,
        at_a_time: 1,
        units: 400,
        unit: "request",
    },
    Load {
        name: "plain requests",
        model: "bench/short",
        stream: false,
        calls: 1024,
        at_a_time: 64,
        units: 1024,
        unit: "request",
    },
];

/// The ways that are compared.
#[derive(Clone)]
enum Way {
    /// (a) reqwest reads the body and throws it away.
    Discard(reqwest::Client),
    /// (b) reqwest, and the least parsing that yields the text, in this process and runtime.
    Parse(reqwest::Client),
    /// (c) the plugin, loaded from its file.
    Plugin(Plugin),
    /// (d) as (b), in a runtime of its own behind a channel: the floor for whoever owns a runtime.
    Apart(reqwest::Client, tokio::runtime::Handle),
}

fn main() {
    let service = Service::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let client = new_client();
    // A pool belongs to the runtime that made its connections.
    let apart = new_client();
    let ways = [
        ("(a) reqwest, discarded", Way::Discard(client.clone())),
        ("(b) reqwest, parsed here", Way::Parse(client)),
        ("(c) through the plugin", Way::Plugin(plugin(&service.base_url))),
        ("(d) second runtime", Way::Apart(apart, second_runtime())),
    ];
    println!("CPU microseconds (user + system) of this process, median of {ROUNDS} interleaved rounds");
    print!("{:<30} {:>7} {:>8}", "load", "at once", "per");
    for (name, _) in &ways {
        print!(" {name:>24}");
    }
    println!(" {:>6} {:>6}", "c / b", "c / d");
    // One argument runs the loads whose name contains it, for a profiler.
    let only = std::env::args()
        .skip(1)
        .find(|word| !word.starts_with('-'))
        .unwrap_or_default();
    for load in LOADS.iter().filter(|load| load.name.contains(&only)) {
        let mut costs = vec![Vec::new(); ways.len()];
        for round in 0..=ROUNDS {
            for (way, costs) in ways.iter().zip(&mut costs) {
                let spent = runtime.block_on(run(load, &way.1, &service.base_url));
                // The first round warms connections, caches and the allocator.
                if round > 0 {
                    costs.push(spent / load.units as f64);
                }
            }
        }
        let medians: Vec<f64> = costs.into_iter().map(median).collect();
        print!("{:<30} {:>7} {:>8}", load.name, load.at_a_time, load.unit);
        for median in &medians {
            print!(" {median:>24.2}");
        }
        println!(" {:>6.2} {:>6.2}", medians[2] / medians[1], medians[2] / medians[3]);
    }
}

fn median(mut costs: Vec<f64>) -> f64 {
    costs.sort_by(f64::total_cmp);
    costs[costs.len() / 2]
}

/// Runs the load one way, and says what it cost in CPU microseconds.
async fn run(load: &Load, way: &Way, base_url: &str) -> f64 {
    let before = cpu_ns();
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..load.calls {
        if running.len() == load.at_a_time {
            running.join_next().await.expect("some are running").expect("no panic");
        }
        let (way, url, model, stream) = (
            way.clone(),
            format!("{base_url}/chat/completions"),
            load.model,
            load.stream,
        );
        running.spawn(async move { call(&way, &url, model, stream).await });
    }
    while let Some(ended) = running.join_next().await {
        ended.expect("no panic");
    }
    std::hint::black_box(begun);
    (cpu_ns() - before) as f64 / 1000.0
}

async fn call(way: &Way, url: &str, model: &str, stream: bool) {
    match way {
        Way::Discard(client) => {
            let mut response = post(client, url, model, stream).await;
            while let Some(piece) = response.chunk().await.expect("the body arrives") {
                std::hint::black_box(&piece);
            }
        }
        Way::Parse(client) => {
            let mut text_bytes = 0;
            parse(client, url, model, stream, |text| text_bytes += text.len()).await;
            assert!(text_bytes > 0, "the answer has text");
        }
        Way::Apart(client, runtime) => {
            let (sender, mut receiver) = tokio::sync::mpsc::channel(64);
            let (client, url, model) = (client.clone(), url.to_owned(), model.to_owned());
            runtime.spawn(async move {
                let (texts, mut batches) = tokio::sync::mpsc::unbounded_channel();
                let reading = async move {
                    parse(&client, &url, &model, stream, |text| {
                        let _ = texts.send(text);
                    })
                    .await;
                };
                let sending = async move {
                    let mut batch = Vec::new();
                    while batches.recv_many(&mut batch, 64).await > 0 {
                        let _ = sender.send(std::mem::take(&mut batch)).await;
                    }
                };
                tokio::join!(reading, sending);
            });
            let mut text_bytes = 0;
            while let Some(batch) = receiver.recv().await {
                text_bytes += batch.iter().map(String::len).sum::<usize>();
            }
            assert!(text_bytes > 0, "the answer has text");
        }
        Way::Plugin(plugin) => {
            let mut request = ChatRequest::new(&[Message::user("Hello")]).expect("a request");
            request.model = Some(model.to_owned());
            if !stream {
                assert!(!plugin.chat(&request).await.expect("an answer").text.is_empty());
                return;
            }
            let mut events = plugin.stream(&request).await.expect("a stream");
            let mut text_bytes = 0;
            while let Some(event) = events.next().await {
                if let ChatEvent::Text(text) = event.expect("a whole answer") {
                    text_bytes += text.len();
                }
            }
            assert!(text_bytes > 0, "the answer has text");
        }
    }
}

/// Reads an answer and hands on its texts.
async fn parse(client: &reqwest::Client, url: &str, model: &str, stream: bool, mut hand_on: impl FnMut(String)) {
    let mut response = post(client, url, model, stream).await;
    let mut rest = Vec::new();
    while let Some(piece) = response.chunk().await.expect("the body arrives") {
        rest.extend_from_slice(&piece);
        if stream {
            take_texts(&mut rest, &mut hand_on);
        }
    }
    if !stream {
        texts_in(&rest, &mut hand_on);
    }
}

async fn post(client: &reqwest::Client, url: &str, model: &str, stream: bool) -> reqwest::Response {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "Hello"}], "stream": stream});
    let request = client
        .post(url)
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "application/json");
    let response = request.body(body.to_string()).send().await.expect("an answer");
    assert_eq!(response.status().as_u16(), 200);
    response
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, alias = "message")]
    delta: Delta<'a>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<&'a str>,
}

/// Reads the whole lines of `rest`, takes them out, and hands on the texts that they hold.
fn take_texts(rest: &mut Vec<u8>, hand_on: &mut impl FnMut(String)) {
    let mut from = 0;
    while let Some(length) = memchr(b'\n', &rest[from..]) {
        let line = &rest[from..from + length];
        from += length + 1;
        if let Some(data) = line.strip_prefix(b"data: ")
            && data != b"[DONE]"
        {
            texts_in(data, hand_on);
        }
    }
    rest.drain(..from);
}

fn texts_in(data: &[u8], hand_on: &mut impl FnMut(String)) {
    let chunk: Chunk<'_> = serde_json::from_slice(data).expect("the benchmark's texts have no escapes");
    for text in chunk.choices.iter().filter_map(|choice| choice.delta.content) {
        hand_on(text.to_owned());
    }
}

fn plugin(base_url: &str) -> Plugin {
    let module = loader::load(&tests::openrouter_plugin()).expect("the plugin loads");
    let environment = [("OPENROUTER_API_KEY", KEY), ("OPENROUTER_BASE_URL", base_url)];
    let config = Config {
        options: json!({}),
        environment: environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    };
    module
        .create(Arc::new(LogOnly::new("openrouter")), &config)
        .expect("the plugin starts")
}

fn new_client() -> reqwest::Client {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(no_tls());
    builder.build().expect("a client")
}

/// A runtime on a thread of its own, for the rest of the process.
fn second_runtime() -> tokio::runtime::Handle {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let handle = runtime.handle().clone();
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    handle
}

/// The service is on loopback, so no certificates are read.
fn no_tls() -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions in common")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// Time on a CPU of all threads of this process that are alive, in nanoseconds.
fn cpu_ns() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux tells the threads");
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// The stand-in for the service, in a process of its own.
struct Service {
    process: Child,
    base_url: String,
}

impl Service {
    fn start() -> Self {
        let scripts = json!({
            "bench/coalesced": {"words": CHUNKS, "coalesce": true},
            "bench/single": {"words": CHUNKS},
            "bench/short": {"words": 50},
        });
        let file = std::env::temp_dir().join(format!("bench-scripts-{}.json", std::process::id()));
        fs::write(&file, scripts.to_string()).expect("the temporary folder is writable");
        let mut process = Command::new(tests::sandbox_binary())
            .args(["--port", "0", "--print-base-url", "--script"])
            .arg(&file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the service starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the service tells its address");
        Self {
            process,
            base_url: line.trim().to_owned(),
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
