//! Whether the plugin keeps its memory, files and threads through a million calls, good ones and bad ones.
//!
//! `cargo bench -p tests --bench soak`, or with `-- --calls N` for fewer. The plugin is loaded from its file; the service runs in
//! a process of its own. One call in twenty asks a model that misbehaves, one in forty is dropped in the middle; the profile is
//! replaced every 10,000 calls. It prints how the process grows, and says loudly which calls did not end as they should; it
//! judges nothing. Linux only: it reads `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use plugin_api::{ChatEvent, ChatRequest, Config, Error, ErrorKind, LogOnly, Message, Plugin, loader};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

const CALLS: u64 = 1_000_000;
const AT_A_TIME: usize = 128;
/// One call in so many asks a model that misbehaves.
const CALLS_FOR_A_BAD_ONE: u64 = 20;
/// One call in so many is dropped.
const CALLS_FOR_A_DROPPED_ONE: u64 = 40;
const CALLS_FOR_A_PROFILE: u64 = 10_000;
const CALLS_FOR_A_LINE: u64 = 50_000;
/// Calls between two looks at the process: close enough that the waves between them even out.
const CALLS_FOR_A_SAMPLE: u64 = 5_000;

const KEY: &str = "sk-or-v1-sandbox-soak";
const WORDS: usize = 20;
/// No call takes so long: the time for the whole call is half of it.
const HANGS_AFTER: Duration = Duration::from_secs(60);
/// Before it, no call to a slow model ends by itself.
const PATIENCE: Duration = Duration::from_millis(20);
/// Calls that ended otherwise and are told in full.
const TOLD: u64 = 20;

fn main() {
    let mut words = std::env::args().skip(1);
    let mut calls = CALLS;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--calls" => calls = words.next().and_then(|n| n.parse().ok()).expect("`--calls N`"),
            // What cargo says to every benchmark.
            "--bench" => {}
            word => panic!("expected `--calls N`, found `{word}`"),
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(soak(calls));
}

async fn soak(calls: u64) {
    let cases = Cases::new();
    let service = Service::start(&cases.scripts(calls));
    let module = loader::load(&tests::openrouter_plugin()).expect("the plugin loads");
    let plugin = module
        .create(Arc::new(LogOnly::new("openrouter")), &profile(&service.base_url, 0))
        .expect("the plugin starts");

    let mut report = Report::new(calls, service.process.id());
    let mut asked = JoinSet::new();
    let (mut n_started, mut n_bad) = (0, 0);
    // After the last bad call has begun, good ones go on until it has ended: ten failures in a row without an answer between
    // them would open the circuit, and be another outcome.
    while n_started < calls || n_bad > 0 {
        let case = if n_started < calls {
            cases.of(n_started)
        } else {
            &cases.good[0]
        };
        n_bad += u64::from(case.is_bad());
        asked.spawn(ask(plugin.clone(), Arc::clone(case), n_started));
        n_started += 1;
        if n_started % CALLS_FOR_A_PROFILE == 0 {
            let profile = profile(&service.base_url, n_started / CALLS_FOR_A_PROFILE);
            plugin.configure(&profile).await.expect("the profile is valid");
        }
        if asked.len() == AT_A_TIME
            && let Some(ended) = asked.join_next().await
        {
            let (case, found) = ended.expect("a call does not panic");
            n_bad -= u64::from(case.is_bad());
            report.add(&case, &found);
        }
    }
    while let Some(ended) = asked.join_next().await {
        let (case, found) = ended.expect("a call does not panic");
        report.add(&case, &found);
    }
    report.print_line("all ended");
    plugin.shutdown(Duration::from_secs(5)).await.expect("it shuts down");
    drop(plugin);
    report.print_line("shut down");
    report.print_end();
}

/// The `n`-th profile: the limits change each time, the connections are made anew every other time.
fn profile(base_url: &str, n: u64) -> Config {
    let environment = [("OPENROUTER_API_KEY", KEY), ("OPENROUTER_BASE_URL", base_url)];
    Config {
        options: json!({"timeouts": {
            "connectMs": 5_000 + n / 2 % 2,
            "firstTokenMs": 1_500,
            "idleMs": 1_000 + n % 2,
            "totalMs": 30_000,
        }}),
        environment: environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    }
}

/// One kind of call, and how it has to end.
struct Case {
    model: &'static str,
    script: Value,
    is_streamed: bool,
    expected: Outcome,
    /// Each call asks a model of its own: one that fails at first, as it does only once.
    is_fresh: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// A whole answer of [`WORDS`] words.
    Answered,
    Failed(ErrorKind),
    Dropped(Moment),
}

/// When a call is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Its future was made, and nobody has polled it.
    Unpolled,
    /// The stream is there, and nothing was read.
    Opened,
    AfterTexts(usize),
    /// After [`PATIENCE`].
    Waiting,
}

impl Case {
    fn is_bad(&self) -> bool {
        matches!(self.expected, Outcome::Failed(_)) || self.is_fresh
    }

    fn name(&self) -> String {
        let how = if self.is_streamed { "streamed" } else { "plain" };
        let when = match self.expected {
            Outcome::Dropped(moment) => format!(", dropped: {moment:?}"),
            Outcome::Answered | Outcome::Failed(_) => String::new(),
        };
        format!("{}, {how}{when}", self.model)
    }

    /// The model that call number `n_call` asks.
    fn model_of(&self, n_call: u64) -> String {
        if self.is_fresh {
            format!("{}-{n_call}", self.model)
        } else {
            self.model.to_owned()
        }
    }
}

struct Cases {
    good: Vec<Arc<Case>>,
    bad: Vec<Arc<Case>>,
    dropped: Vec<Arc<Case>>,
}

impl Cases {
    fn new() -> Self {
        use Outcome::{Answered, Dropped, Failed};

        let case = |model, script: &Value, is_streamed, expected| Case {
            model,
            script: script.clone(),
            is_streamed,
            expected,
            is_fresh: script.get("fail_times").is_some(),
        };
        let soon = |status: u16| json!({"status": status, "headers": {"retry-after-ms": "1"}});
        let (words, slow) = (
            json!({"words": WORDS}),
            json!({"words": WORDS, "start_delay_ms": 1_000}),
        );

        let good = [
            case("soak/words", &words, false, Answered),
            case("soak/words", &words, true, Answered),
            case("soak/words", &words, false, Answered),
            case(
                "soak/words-at-once",
                &json!({"words": WORDS, "coalesce": true}),
                true,
                Answered,
            ),
        ];

        let mut bad = Vec::new();
        // Model, script, how the stream ends, how the answer in one piece ends.
        let alike = |outcome| (outcome, outcome);
        for (model, script, (streamed, plain)) in [
            (
                "soak/429-twice",
                json!({"words": WORDS, "fail": soon(429), "fail_times": 2}),
                alike(Answered),
            ),
            (
                "soak/503-twice",
                json!({"words": WORDS, "fail": soon(503), "fail_times": 2}),
                alike(Answered),
            ),
            (
                "soak/429",
                json!({"fail": soon(429)}),
                alike(Failed(ErrorKind::RATE_LIMIT)),
            ),
            (
                "soak/503",
                json!({"fail": soon(503)}),
                alike(Failed(ErrorKind::UNAVAILABLE)),
            ),
            (
                "soak/500",
                json!({"fail": {"status": 500}}),
                alike(Failed(ErrorKind::UNAVAILABLE)),
            ),
            (
                "soak/402",
                json!({"fail": {"status": 402}}),
                alike(Failed(ErrorKind::PAYMENT)),
            ),
            (
                "soak/html-502",
                json!({"fail": {"status": 502, "body": "<html><head><title>502 Bad Gateway</title></head></html>"}}),
                alike(Failed(ErrorKind::UNAVAILABLE)),
            ),
            (
                "soak/cut",
                json!({"words": WORDS, "cut_after_chunks": 5}),
                (Failed(ErrorKind::INTERRUPTED), Failed(ErrorKind::PROTOCOL)),
            ),
            (
                "soak/cut-connection",
                json!({"words": WORDS, "cut_after_chunks": 5, "cut_abruptly": true}),
                alike(Failed(ErrorKind::INTERRUPTED)),
            ),
            (
                "soak/no-finish-reason",
                json!({"words": WORDS, "omit_finish_reason": true}),
                alike(Failed(ErrorKind::INTERRUPTED)),
            ),
            (
                "soak/error-inside",
                json!({"words": WORDS, "fail_after_chunks": 5}),
                alike(Failed(ErrorKind::UNAVAILABLE)),
            ),
            (
                "soak/error-in-200",
                json!({"fail": {"status": 502}, "error_in_200_body": true}),
                alike(Failed(ErrorKind::UNAVAILABLE)),
            ),
            (
                "soak/empty",
                json!({"empty": "content"}),
                alike(Failed(ErrorKind::INTERRUPTED)),
            ),
            (
                "soak/empty-choices",
                json!({"empty": "choices"}),
                alike(Failed(ErrorKind::INTERRUPTED)),
            ),
            (
                "soak/broken-tool-call",
                json!({"tool_calls": [{"name": "weather", "arguments": "{\"city\": \"Par"}]}),
                alike(Failed(ErrorKind::INTERRUPTED)),
            ),
        ] {
            bad.push(case(model, &script, true, streamed));
            bad.push(case(model, &script, false, plain));
        }
        // An answer in one piece has no silence that could be too long, only an end that is too late.
        for (model, script) in [
            ("soak/stall", json!({"words": WORDS, "stall_after_chunks": 5})),
            ("soak/stall-at-once", json!({"stall_after_chunks": 0})),
            (
                "soak/comments-forever",
                json!({"comments_forever": true, "chunk_delay_ms": 100}),
            ),
        ] {
            bad.push(case(model, &script, true, Failed(ErrorKind::TIMEOUT)));
        }

        let later = json!({"fail": {"status": 503, "headers": {"retry-after-ms": "1000"}}});
        let paced = json!({"words": WORDS, "chunk_delay_ms": 5});
        let dropped = [
            case("soak/words", &words, true, Dropped(Moment::Unpolled)),
            case("soak/words", &words, false, Dropped(Moment::Unpolled)),
            case("soak/slow", &slow, true, Dropped(Moment::Opened)),
            case("soak/slow", &slow, true, Dropped(Moment::Waiting)),
            case("soak/slow", &slow, false, Dropped(Moment::Waiting)),
            case("soak/paced", &paced, true, Dropped(Moment::AfterTexts(5))),
            case("soak/later", &later, true, Dropped(Moment::Waiting)),
            case("soak/later", &later, false, Dropped(Moment::Waiting)),
        ];
        Self {
            good: good.map(Arc::new).into(),
            bad: bad.into_iter().map(Arc::new).collect(),
            dropped: dropped.map(Arc::new).into(),
        }
    }

    /// The kind of call number `n`: each kind in turn.
    fn of(&self, n: u64) -> &Arc<Case> {
        let (cases, turn) = if n % CALLS_FOR_A_BAD_ONE == 0 {
            (&self.bad, n / CALLS_FOR_A_BAD_ONE)
        } else if n % CALLS_FOR_A_DROPPED_ONE == CALLS_FOR_A_DROPPED_ONE / 4 {
            (&self.dropped, n / CALLS_FOR_A_DROPPED_ONE)
        } else {
            (&self.good, n)
        };
        &cases[(turn % cases.len() as u64) as usize]
    }

    /// What the service needs to know.
    fn scripts(&self, calls: u64) -> Value {
        let all = self.good.iter().chain(&self.bad).chain(&self.dropped);
        let mut scripts: Map<String, Value> = all
            .filter(|case| !case.is_fresh)
            .map(|case| (case.model.to_owned(), case.script.clone()))
            .collect();
        for n in (0..calls).step_by(CALLS_FOR_A_BAD_ONE as usize) {
            let case = self.of(n);
            if case.is_fresh {
                scripts.insert(case.model_of(n), case.script.clone());
            }
        }
        scripts.into()
    }
}

/// How a call ended that should have ended in some way.
enum Found {
    Outcome(Outcome),
    /// An answer that is not the whole one.
    Words(usize),
    Error(Error),
    Hung,
}

async fn ask(plugin: Plugin, case: Arc<Case>, n: u64) -> (Arc<Case>, Found) {
    let mut request = ChatRequest::new(&[Message::user("Hello")]).expect("a message is JSON");
    request.model = Some(case.model_of(n));
    let limit = match case.expected {
        Outcome::Dropped(Moment::Waiting) => PATIENCE,
        Outcome::Answered | Outcome::Failed(_) | Outcome::Dropped(_) => HANGS_AFTER,
    };
    let found = match timeout(limit, outcome(&plugin, &case, &request)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) if case.expected == Outcome::Failed(error.kind) => Found::Outcome(case.expected),
        Ok(Err(error)) => Found::Error(error),
        Err(_) if limit == PATIENCE => Found::Outcome(case.expected),
        Err(_) => Found::Hung,
    };
    (case, found)
}

async fn outcome(plugin: &Plugin, case: &Case, request: &ChatRequest) -> Result<Found, Error> {
    let dropped = match case.expected {
        Outcome::Dropped(moment) => Some(moment),
        Outcome::Answered | Outcome::Failed(_) => None,
    };
    let words = |text: &str| match text.split_whitespace().count() {
        WORDS => Found::Outcome(Outcome::Answered),
        words => Found::Words(words),
    };
    if !case.is_streamed {
        let answer = plugin.chat(request);
        if dropped == Some(Moment::Unpolled) {
            return Ok(Found::Outcome(case.expected));
        }
        return Ok(words(&answer.await?.text));
    }
    let opening = plugin.stream(request);
    if dropped == Some(Moment::Unpolled) {
        return Ok(Found::Outcome(case.expected));
    }
    let mut events = opening.await?;
    if dropped == Some(Moment::Opened) {
        return Ok(Found::Outcome(case.expected));
    }
    let (mut text, mut n_texts) = (String::new(), 0);
    while let Some(event) = events.next().await {
        if let ChatEvent::Text(piece) = event? {
            text.push_str(&piece);
            n_texts += 1;
        }
        if dropped == Some(Moment::AfterTexts(n_texts)) {
            return Ok(Found::Outcome(case.expected));
        }
    }
    Ok(words(&text))
}

/// The stand-in for the service, in a process of its own.
struct Service {
    process: Child,
    base_url: String,
}

impl Service {
    fn start(scripts: &Value) -> Self {
        let file = std::env::temp_dir().join(format!("soak-scripts-{}.json", std::process::id()));
        fs::write(&file, scripts.to_string()).expect("the temporary folder is writable");
        let mut process = Command::new(tests::sandbox_binary())
            .args(["--port", "0", "--print-base-url", "--key", KEY, "--script"])
            .arg(&file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the service starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("it is piped"))
            .read_line(&mut line)
            .expect("the service tells its address");
        // It has been read: the service listens.
        let _ = fs::remove_file(&file);
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

/// What was counted and measured so far.
struct Report {
    calls: u64,
    service: u32,
    begun: Instant,
    n_done: u64,
    n_answered: u64,
    n_failed: u64,
    n_dropped: u64,
    n_unexpected: u64,
    /// By name of the case: calls, and those that ended otherwise.
    by_case: BTreeMap<String, [u64; 2]>,
    /// Its room is made at the beginning, so that it does not grow itself.
    samples: Vec<Sample>,
}

struct Sample {
    n_done: f64,
    seconds: f64,
    resident_kib: f64,
}

impl Report {
    fn new(calls: u64, service: u32) -> Self {
        println!(
            "{calls} calls, {AT_A_TIME} at a time; load average {}",
            file("/proc/loadavg").trim()
        );
        println!(
            "{:>9} {:>8} {:>9} {:>6} {:>8} {:>9} {:>8} {:>8} {:>10} {:>12}",
            "calls",
            "seconds",
            "RSS KiB",
            "files",
            "threads",
            "answered",
            "failed",
            "dropped",
            "unexpected",
            "service MiB"
        );
        let mut report = Self {
            calls,
            service,
            begun: Instant::now(),
            n_done: 0,
            n_answered: 0,
            n_failed: 0,
            n_dropped: 0,
            n_unexpected: 0,
            by_case: BTreeMap::new(),
            samples: Vec::with_capacity(usize::try_from(calls / CALLS_FOR_A_SAMPLE).unwrap_or_default() + 1_000),
        };
        report.print_line("begun");
        report
    }

    fn add(&mut self, case: &Case, found: &Found) {
        self.n_done += 1;
        match found {
            Found::Outcome(Outcome::Answered) | Found::Words(_) => self.n_answered += 1,
            Found::Outcome(Outcome::Failed(_)) | Found::Error(_) | Found::Hung => self.n_failed += 1,
            Found::Outcome(Outcome::Dropped(_)) => self.n_dropped += 1,
        }
        let found = match found {
            Found::Outcome(outcome) if *outcome == case.expected => None,
            Found::Outcome(outcome) => Some(format!("{outcome:?}")),
            Found::Words(words) => Some(format!("an answer of {words} words")),
            Found::Error(error) => Some(format!("{error:?}")),
            Found::Hung => Some(format!("nothing in {HANGS_AFTER:?}")),
        };
        let counts = self.by_case.entry(case.name()).or_default();
        counts[0] += 1;
        if let Some(found) = found {
            counts[1] += 1;
            self.n_unexpected += 1;
            if self.n_unexpected <= TOLD {
                let (expected, name) = (case.expected, case.name());
                println!("!!! UNEXPECTED: {name}: expected {expected:?}, found {found}");
            }
        }
        // A short run is looked at more often.
        if self.n_done % CALLS_FOR_A_SAMPLE.min(self.calls / 100).max(1) == 0 {
            self.samples.push(Sample {
                n_done: self.n_done as f64,
                seconds: self.begun.elapsed().as_secs_f64(),
                resident_kib: status("self", "VmRSS:"),
            });
        }
        if self.n_done % CALLS_FOR_A_LINE.min(self.calls / 5).max(1) == 0 {
            self.print_line("");
        }
    }

    fn print_line(&mut self, note: &str) {
        // The folder itself is open while it is read.
        let n_files = fs::read_dir("/proc/self/fd").expect("Linux tells it").count() - 1;
        let line = format!(
            "{:>9} {:>8.1} {:>9} {:>6} {:>8} {:>9} {:>8} {:>8} {:>10} {:>12.0}   {note}",
            self.n_done,
            self.begun.elapsed().as_secs_f64(),
            status("self", "VmRSS:"),
            n_files,
            status("self", "Threads:"),
            self.n_answered,
            self.n_failed,
            self.n_dropped,
            self.n_unexpected,
            status(&self.service.to_string(), "VmRSS:") / 1024.0,
        );
        println!("{}", line.trim_end());
    }

    fn print_end(&self) {
        println!("\n{:>9} {:>10}  kind of call", "calls", "unexpected");
        for (name, [calls, unexpected]) in &self.by_case {
            println!("{calls:>9} {unexpected:>10}  {name}");
        }
        let half = &self.samples[self.samples.len() / 2..];
        if let (Some((slope, error)), [first, .., last]) = (slope_kib_per_call(half), half) {
            let calls_per_second = (last.n_done - first.n_done) / (last.seconds - first.seconds);
            let mib_per_hour = calls_per_second * 3600.0 / 1024.0;
            println!(
                "\nsecond half, {} samples, {calls_per_second:.0} calls/s: RSS grows by {:.1} ± {:.1} KiB per 100,000 calls, \
                 {:.2} ± {:.2} MiB per hour at this rate (± one standard error)",
                half.len(),
                slope * 1e5,
                error * 1e5,
                slope * mib_per_hour,
                error * mib_per_hour,
            );
        }
        if self.n_unexpected > 0 {
            println!("!!! {} CALLS DID NOT END AS THEY SHOULD", self.n_unexpected);
        }
    }
}

/// The slope of the line of least squares, and its standard error.
fn slope_kib_per_call(samples: &[Sample]) -> Option<(f64, f64)> {
    let n = samples.len() as f64;
    if n < 3.0 {
        return None;
    }
    let mean_x = samples.iter().map(|sample| sample.n_done).sum::<f64>() / n;
    let mean_y = samples.iter().map(|sample| sample.resident_kib).sum::<f64>() / n;
    let offsets = || {
        samples
            .iter()
            .map(|sample| (sample.n_done - mean_x, sample.resident_kib - mean_y))
    };
    let spread: f64 = offsets().map(|(x, _)| x * x).sum();
    let slope = offsets().map(|(x, y)| x * y).sum::<f64>() / spread;
    let rest: f64 = offsets().map(|(x, y)| (y - slope * x).powi(2)).sum();
    Some((slope, (rest / (n - 2.0) / spread).sqrt()))
}

/// A number of `/proc/PROCESS/status`; 0 where the process has ended.
fn status(process: &str, field: &str) -> f64 {
    let status = file(&format!("/proc/{process}/status"));
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_default()
}

fn file(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
