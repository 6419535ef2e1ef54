//! Loads: requests, concurrency, and what is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};

use crate::client::{Connection, Failure, Target, Times, data_frames, is_done, text_of};
use crate::figures::Latencies;
use crate::process::{cpu_time, resident_bytes};

/// Models of the sandbox, made for this benchmark.
pub const ANSWER: &str = "bench/answer";
pub const STREAM: &str = "bench/stream";
pub const ECHO: &str = "bench/echo";

/// The text of [`ANSWER`].
pub const ANSWER_TEXT: &str = "The answer of the benchmark, one sentence of twelve words, at once.";
/// The beginning of every answer of [`ECHO`], which then repeats the question.
const HEARD: &str = "The sandbox heard: ";
/// Text chunks in a stream of [`STREAM`].
pub const CHUNKS: usize = 200;

/// Streams that are open at once.
pub const SLOW_STREAMS: usize = 1000;
const SLOW_WORDS: usize = 40;
const SLOW_PAUSE_MS: u64 = 250;
/// Slow streams that are opened together; too many could overflow a queue of new connections.
const OPENED_TOGETHER: usize = 50;
const SLOW_LIMIT: Duration = Duration::from_secs(90);

/// Longest uncounted start of a measurement, while connections and caches warm up.
const WARM_UP: Duration = Duration::from_millis(500);
/// Longest wait for answers after the end of a measurement.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections of the open loop. A request that finds none free waits, and the wait counts.
const OPEN_CONNECTIONS: usize = 128;
/// A load stops after this many failures.
const MOST_FAILURES: usize = 100;

/// The sandbox's scripts for the models.
pub fn scripts() -> Value {
    json!({
        ANSWER: {"text": ANSWER_TEXT},
        STREAM: {"words": CHUNKS},
        ECHO: {"echo": true, "chunk_delay_ms": SLOW_PAUSE_MS},
    })
}

/// A request whose question follows `kib` of text, like the history of a conversation.
pub fn request(model: &str, is_stream: bool, kib: usize) -> Bytes {
    let before = "What was said before. ".repeat(kib * 1024 / 22);
    ask(model, is_stream, &format!("{before}Answer."))
}

fn ask(model: &str, is_stream: bool, text: &str) -> Bytes {
    let body = json!({"model": model, "stream": is_stream, "messages": [{"role": "user", "content": text}]});
    Bytes::from(body.to_string())
}

/// The result of one measurement of one gateway.
#[derive(Default, Clone)]
pub struct Measured {
    pub whole: Latencies,
    /// Until the first bytes of the body.
    pub first: Latencies,
    pub failures: usize,
    pub first_failure: Option<String>,
    /// Answers a second.
    pub per_second: f64,
    /// The gateway's CPU time for each answer.
    pub cpu_ms: Option<f64>,
}

impl Measured {
    fn add(&mut self, times: Times) {
        self.whole.add(times.whole);
        self.first.add(times.first);
    }

    fn fail(&mut self, failure: impl ToString) {
        self.failures += 1;
        self.first_failure.get_or_insert_with(|| failure.to_string());
    }

    fn join(&mut self, other: Self) {
        self.whole.extend(other.whole);
        self.first.extend(other.first);
        self.failures += other.failures;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }
}

/// An incomplete answer counts as failed. It is not parsed: that would cost more than the request.
fn check(body: &[u8], is_stream: bool) -> Result<(), Failure> {
    let is_whole = if is_stream {
        data_frames(body) > CHUNKS && is_done(body)
    } else {
        memchr::memmem::find(body, ANSWER_TEXT.as_bytes()).is_some()
    };
    if is_whole {
        return Ok(());
    }
    let told: String = String::from_utf8_lossy(body).chars().take(200).collect();
    Err(format!("incomplete answer, {} bytes: {told}", body.len()).into())
}

/// Asks once for an answer that counts only if it is complete.
async fn ask_whole(
    connection: &mut Connection,
    body: &Bytes,
    since: Instant,
    is_stream: bool,
) -> Result<Times, Failure> {
    let times = connection.ask(body, since, || {}).await?;
    check(&connection.body, is_stream)?;
    Ok(times)
}

/// The CPU time for each of `n_answers`, in milliseconds.
fn cpu_ms_each(before: Option<Duration>, after: Option<Duration>, n_answers: usize) -> Option<f64> {
    let spent = after?.checked_sub(before?)?;
    (n_answers > 0).then(|| spent.as_secs_f64() * 1000.0 / n_answers as f64)
}

/// Closed loop: each of `at_a_time` connections asks again as soon as it has its answer.
pub async fn closed(
    target: &Target,
    gateway: Option<u32>,
    (is_stream, kib): (bool, usize),
    at_a_time: usize,
    lasts: Duration,
) -> Result<Measured, Failure> {
    let model = if is_stream { STREAM } else { ANSWER };
    let body = request(model, is_stream, kib);
    let begin = Instant::now() + WARM_UP.min(lasts / 2);
    let end = begin + lasts;
    let mut workers = JoinSet::new();
    for _ in 0..at_a_time {
        let (mut connection, body) = (Connection::new(target), body.clone());
        workers.spawn(async move {
            let mut measured = Measured::default();
            while Instant::now() < end && measured.failures < MOST_FAILURES {
                let result = ask_whole(&mut connection, &body, Instant::now(), is_stream).await;
                let now = Instant::now();
                match result {
                    Ok(times) if (begin..end).contains(&now) => measured.add(times),
                    Ok(_) => {}
                    Err(failure) => {
                        measured.fail(failure);
                        sleep(Duration::from_millis(10)).await;
                    }
                }
            }
            measured
        });
    }
    sleep_until(begin.into()).await;
    let cpu_before = gateway.map(cpu_time);
    sleep_until(end.into()).await;
    let cpu_after = gateway.map(cpu_time);
    let mut all = Measured::default();
    let ended = timeout(PATIENCE, workers.join_all()).await;
    ended
        .map_err(|_| "an answer did not arrive")?
        .into_iter()
        .for_each(|one| all.join(one));
    all.per_second = all.whole.len() as f64 / lasts.as_secs_f64();
    all.cpu_ms = cpu_ms_each(cpu_before, cpu_after, all.whole.len());
    Ok(all)
}

/// Open loop: requests begin at fixed times, whether or not earlier ones are done, and latency counts from those times.
///
/// So the latency includes the wait for a free connection and this client's own delays.
pub async fn open(
    target: &Target,
    gateway: Option<u32>,
    kib: usize,
    per_second: u32,
    lasts: Duration,
) -> Result<Measured, Failure> {
    let body = request(ANSWER, false, kib);
    let mut all = Measured::default();
    let (send, receive) = mpsc::unbounded_channel::<Instant>();
    let receive = Arc::new(Mutex::new(receive));
    let mut workers = JoinSet::new();
    for opened in opened(target).await? {
        let mut connection = match opened {
            Ok(connection) => connection,
            Err(failure) => {
                all.fail(failure);
                continue;
            }
        };
        let (receive, body) = (Arc::clone(&receive), body.clone());
        workers.spawn(async move {
            let (mut measured, mut answered) = (Measured::default(), Vec::new());
            loop {
                let intended = receive.lock().await.recv().await;
                let Some(intended) = intended else {
                    return (measured, answered);
                };
                match ask_whole(&mut connection, &body, intended, false).await {
                    Ok(times) => answered.push((intended, times)),
                    Err(failure) => measured.fail(failure),
                }
            }
        });
    }

    let warm = WARM_UP.min(lasts / 2);
    let due = move |n: u32| Duration::from_secs(1) * n / per_second;
    let start = Instant::now() + Duration::from_millis(20);
    let n_all = ((warm + lasts).as_secs_f64() * f64::from(per_second)) as u32;
    let cpu_before = gateway.map(cpu_time);
    // The runtime's timers have a resolution of one millisecond; those of a thread are finer.
    thread::spawn(move || {
        for intended in (0..n_all).map(|n| start + due(n)) {
            thread::sleep(intended.saturating_duration_since(Instant::now()));
            if send.send(intended).is_err() {
                return;
            }
        }
    });
    let ended = timeout(warm + lasts + PATIENCE, workers.join_all()).await;
    let ended = ended.map_err(|_| format!("cannot take {per_second} a second"))?;
    let (begin, end) = (start + warm, start + warm + lasts);
    let mut n_in_time = 0;
    for (measured, answered) in ended {
        all.join(measured);
        for (intended, times) in answered.into_iter().filter(|(intended, _)| *intended >= begin) {
            all.add(times);
            n_in_time += usize::from(intended + times.whole < end + WARM_UP);
        }
    }
    // Includes the warm-up, because requests overlap.
    all.cpu_ms = cpu_ms_each(cpu_before, gateway.map(cpu_time), n_all as usize);
    all.per_second = n_in_time as f64 / lasts.as_secs_f64();
    // Otherwise the queue grew until the end, and the latencies only reflect the length of the measurement.
    let n_due = (0..n_all).filter(|n| due(*n) >= warm).count();
    if (n_in_time as f64) < 0.97 * n_due as f64 && all.failures == 0 {
        return Err(format!("cannot take {per_second} a second; {n_in_time} of {n_due} were answered in time").into());
    }
    Ok(all)
}

/// The connections of the open loop, or why one cannot be opened.
async fn opened(target: &Target) -> Result<Vec<Result<Connection, Failure>>, Failure> {
    let mut opening = JoinSet::new();
    for _ in 0..OPEN_CONNECTIONS {
        let mut connection = Connection::new(target);
        opening.spawn(async move { connection.open().await.map(|()| connection) });
    }
    Ok(timeout(PATIENCE, opening.join_all())
        .await
        .map_err(|_| "cannot connect")?)
}

/// The result of many slow streams at once.
#[derive(Default)]
pub struct Slow {
    pub whole: usize,
    /// Cut, or never answered.
    pub lost: usize,
    /// Ended with another stream's text.
    pub mixed: usize,
    pub first_failure: Option<String>,
    pub open_at_once: usize,
    pub first: Latencies,
    /// Resident memory of the gateway, in bytes.
    pub before: u64,
    pub most: u64,
    pub after: u64,
    pub cpu: Duration,
}

/// [`SLOW_STREAMS`] streams at once, each of which must arrive with its own text.
pub async fn slow(target: &Target, gateway: u32) -> Slow {
    let at_once = Arc::new(Semaphore::new(OPENED_TOGETHER));
    let (n_open, most_open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (before, cpu_before) = (resident_bytes(gateway), cpu_time(gateway));
    let mut streams = JoinSet::new();
    for n in 0..SLOW_STREAMS {
        let mut connection = Connection::new(target);
        let at_once = Arc::clone(&at_once);
        let (n_open, most_open) = (Arc::clone(&n_open), Arc::clone(&most_open));
        streams.spawn(async move {
            let words: Vec<String> = (0..SLOW_WORDS).map(|word| format!("s{n:04}w{word:02}")).collect();
            let text = words.join(" ");
            let permit = at_once.acquire_owned().await;
            let mut was_opened = false;
            let on_head = || {
                was_opened = true;
                drop(permit);
                most_open.fetch_max(n_open.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            };
            let asked = timeout(
                SLOW_LIMIT,
                connection.ask(&ask(ECHO, true, &text), Instant::now(), on_head),
            )
            .await;
            if was_opened {
                n_open.fetch_sub(1, Ordering::Relaxed);
            }
            let times = asked.map_err(|_| "no end in time")??;
            if !is_done(&connection.body) {
                return Err("the stream has no end".into());
            }
            Ok::<_, Failure>((
                times,
                text_of(&connection.body, true)?.strip_prefix(HEARD) == Some(&text),
            ))
        });
    }
    let mut slow = Slow {
        before,
        most: before,
        ..Slow::default()
    };
    loop {
        tokio::select! {
            ended = streams.join_next() => match ended {
                None => break,
                Some(Ok(Ok((times, is_its_own)))) => {
                    slow.whole += usize::from(is_its_own);
                    slow.mixed += usize::from(!is_its_own);
                    slow.first.add(times.first);
                }
                Some(Ok(Err(failure))) => {
                    slow.lost += 1;
                    slow.first_failure.get_or_insert_with(|| failure.to_string());
                }
                Some(Err(_)) => slow.lost += 1,
            },
            () = sleep(Duration::from_millis(100)) => slow.most = slow.most.max(resident_bytes(gateway)),
        }
    }
    slow.open_at_once = most_open.load(Ordering::Relaxed);
    slow.after = resident_bytes(gateway);
    slow.cpu = cpu_time(gateway).saturating_sub(cpu_before);
    slow
}
