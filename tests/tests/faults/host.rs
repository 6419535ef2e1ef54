//! Hosts that give up, do not come back from a callback, or ask for more than is allowed at once.

use std::fs;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use plugin_api::{Error, HostServices, Level, Plugin, loader};
use serde_json::json;
use tests::faultd::{Arrival, Faultd, Script, chunk, sse_head, text_event};
use tests::{LIMIT, block_on, poll_once, request};
use tokio::task::JoinSet;

use crate::bench::{KEY, chat, code, config_with, library, plugin_at, stream};
use crate::child::Child;

/// How many files this process has open.
pub fn open_files() -> usize {
    files().len()
}

fn files() -> Vec<PathBuf> {
    let links = fs::read_dir("/proc/self/fd").expect("Linux lists them");
    links.filter_map(|link| fs::read_link(link.ok()?.path()).ok()).collect()
}

/// Waits until no more files are open than before.
#[track_caller]
pub fn assert_files_are_closed(before: usize) {
    let begun = Instant::now();
    // The runtime of a plugin that was dropped ends on a thread of its own.
    while open_files() > before {
        assert!(begun.elapsed() < LIMIT, "{before} files before, now {:#?}", files());
        thread::yield_now();
    }
}

/// Tells each wake-up.
struct Bell(Mutex<Sender<()>>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // Nobody has to listen.
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).send(());
    }
}

fn bell() -> (Waker, Receiver<()>) {
    let (sender, receiver) = mpsc::channel();
    (Waker::from(Arc::new(Bell(Mutex::new(sender)))), receiver)
}

/// How long no wake-up comes when none is to come any more.
const QUIET: Duration = Duration::from_millis(300);

/// Polls `work` whenever it asks for it, `n_polls` times at most; says whether it asked for that many.
fn polled<T>(mut work: Pin<Box<dyn Future<Output = T> + '_>>, n_polls: usize) -> bool {
    let (waker, rings) = bell();
    for _ in 0..n_polls {
        if work.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() || rings.recv_timeout(QUIET).is_err() {
            return false;
        }
    }
    true
}

#[test]
fn fault_41_a_call_that_is_given_up_after_any_number_of_polls_leaves_nothing_behind() {
    Child::of("host::fault_41_a_call_that_is_given_up_after_any_number_of_polls_leaves_nothing_behind").run(|| {
        // Whoever asks gets a part of an answer, and then nothing until he goes.
        let [pieces, half] = halves_of_answers();
        let service = Faultd::answering(move |request: &Arrival| {
            let begun = if request.wants_stream() { &pieces } else { &half };
            Script::new().drip(begun.clone(), 20).hold()
        });
        let plugin = plugin_at(&service.base_url(), json!({}));
        let before = open_files();
        for as_stream in [false, true] {
            let mut n_polls = 0;
            loop {
                let more = polled(Box::pin(chat_once(&plugin, as_stream)), n_polls);
                service.wait_until_idle();
                assert_files_are_closed(before);
                if !more {
                    break;
                }
                n_polls += 1;
            }
            println!("streamed: {as_stream}; given up after 0 to {n_polls} polls");
            assert!(n_polls >= 1);
        }
    });
}

#[test]
fn fault_41_a_call_that_is_given_up_at_any_byte_of_its_answer_leaves_nothing_behind() {
    Child::of("host::fault_41_a_call_that_is_given_up_at_any_byte_of_its_answer_leaves_nothing_behind").run(|| {
        for (whole, as_stream) in halves_of_answers().into_iter().zip([true, false]) {
            let cut = Arc::new(AtomicUsize::new(0));
            let (at, bytes) = (Arc::clone(&cut), whole.clone());
            let service =
                Faultd::answering(move |_: &Arrival| Script::new().send(&bytes[..at.load(Ordering::SeqCst)]).hold());
            let plugin = plugin_at(&service.base_url(), json!({}));
            let before = open_files();
            for end in (0..=whole.len()).step_by(11) {
                cut.store(end, Ordering::SeqCst);
                let (n_before, sent_before) = (service.requests().len(), service.sent_bytes());
                let mut call = Box::pin(chat_once(&plugin, as_stream));
                let (waker, _rings) = bell();
                for _ in 0..3 {
                    assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
                    service.wait_for_requests(n_before + 1);
                    service.wait_for_sent_bytes(sent_before + end as u64);
                }
                drop(call);
                service.wait_until_idle();
                assert_files_are_closed(before);
            }
        }
    });
}

/// Beginnings of an answer in pieces and of one in one piece, neither of which is complete.
fn halves_of_answers() -> [Vec<u8>; 2] {
    let pieces = [text_event("one "), text_event("two "), text_event("three")]
        .map(chunk)
        .concat();
    let head = tests::faultd::head(200, &[("content-type", "application/json"), ("content-length", "900")]);
    [[sse_head(), pieces].concat(), [head, vec![b' '; 600]].concat()]
}

async fn chat_once(plugin: &Plugin, as_stream: bool) -> Result<(), Error> {
    let asked = request("acme/model", "hello");
    if !as_stream {
        return plugin.chat(&asked).await.map(drop);
    }
    plugin.stream(&asked).await?.collect().await.map(drop)
}

/// Services whose log does not come back for one model until it is let go.
#[derive(Default)]
struct Stuck {
    state: Mutex<StuckState>,
    changed: Condvar,
}

#[derive(Default)]
struct StuckState {
    is_entered: bool,
    is_released: bool,
}

impl HostServices for Stuck {
    fn plugin(&self) -> &str {
        "openrouter"
    }

    fn log_enabled(&self, _level: Level, _target: &str) -> bool {
        true
    }

    fn log(&self, _level: Level, _target: &str, _message: &str, fields_json: &str) {
        if !fields_json.contains("acme/stuck") {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_entered = true;
        self.changed.notify_all();
        let waiting = |state: &mut StuckState| !state.is_released;
        let _ = self.changed.wait_timeout_while(state, LIMIT, waiting);
    }
}

impl Stuck {
    fn wait_until_entered(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = |state: &mut StuckState| !state.is_entered;
        let (state, _) = self
            .changed
            .wait_timeout_while(state, LIMIT, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        let is_entered = state.is_entered;
        drop(state);
        assert!(is_entered, "the plugin logs nothing about a call");
    }

    fn release(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_released = true;
        self.changed.notify_all();
    }
}

/// A call during which the host's log does not come back; meanwhile `other` is asked, which must be answered.
fn while_a_callback_is_stuck(test: &'static str, other: impl FnOnce(&Plugin, &str) -> Plugin) {
    Child::of(test).run(|| {
        let service = Faultd::playing([Script::answer("hello")]);
        let base_url = service.base_url();
        let stuck = Arc::new(Stuck::default());
        let module = loader::load(&library()).expect("it fits");
        let environment = [("OPENROUTER_API_KEY", KEY), ("OPENROUTER_BASE_URL", base_url.as_str())];
        let services: Arc<dyn HostServices> = Arc::<Stuck>::clone(&stuck);
        let plugin = module
            .create(services, &config_with(&environment, json!({})))
            .expect("the configuration is right");
        let held = {
            let plugin = plugin.clone();
            thread::spawn(move || block_on(plugin.chat(&request("acme/stuck", "hello"))))
        };
        stuck.wait_until_entered();
        let other = other(&plugin, &base_url);
        let answer = block_on(async {
            let asked = request("acme/model", "hello");
            tokio::time::timeout(Duration::from_secs(10), other.chat(&asked)).await
        });
        stuck.release();
        let held = held.join().expect("it does not panic");
        assert_eq!(code(&held), "ok", "{:?}", held.err());
        let answer = answer.expect("another call goes on while the host is stuck in its log");
        assert_eq!(code(&answer), "ok", "{:?}", answer.err());
    });
}

#[test]
fn fault_43_another_instance_answers_while_the_host_is_stuck_in_a_callback() {
    while_a_callback_is_stuck(
        "host::fault_43_another_instance_answers_while_the_host_is_stuck_in_a_callback",
        |_, base_url| plugin_at(base_url, json!({})),
    );
}

#[test]
fn fault_43_other_calls_go_on_while_the_host_is_stuck_in_a_callback() {
    while_a_callback_is_stuck(
        "host::fault_43_other_calls_go_on_while_the_host_is_stuck_in_a_callback",
        |plugin, _| plugin.clone(),
    );
}

#[test]
fn fault_44_no_more_calls_go_out_at_once_than_the_profile_allows_and_the_others_wait() {
    let service = Faultd::playing([Script::answer("hello")]);
    let plugin = plugin_at(&service.base_url(), json!({"limits": {"concurrency": 8}}));
    let answers = block_on(async {
        let mut calls = JoinSet::new();
        for number in 0..500 {
            let plugin = plugin.clone();
            calls.spawn(async move { chat_once(&plugin, number % 2 == 0).await });
        }
        calls.join_all().await
    });
    assert!(
        answers.iter().all(Result::is_ok),
        "{:?}",
        answers.iter().find(|answer| answer.is_err())
    );
    assert_eq!(service.requests().len(), 500);
    // A connection that has just served may still be there when the next call makes another.
    let most = service.most_open_connections();
    assert!(most <= 16, "{most} connections");
}

#[test]
fn fault_44_calls_beyond_the_queue_are_refused_at_once_and_the_queue_is_in_order() {
    let service = Faultd::playing([Script::new().hold(), Script::answer("hello")]);
    let plugin = plugin_at(
        &service.base_url(),
        json!({"limits": {"concurrency": 1, "queue": 5}, "retry": {"attempts": 1}}),
    );
    block_on(async {
        let begin = |number: usize| {
            let mut call = Box::pin(plugin.chat(&request("acme/model", &format!("call {number}"))));
            assert!(poll_once(call.as_mut()).is_pending(), "call {number} has to wait");
            call
        };
        let first = begin(0);
        service.wait_for_requests(1);
        let waiting: Vec<_> = (1..=5).map(begin).collect();
        let mut refused = Box::pin(plugin.chat(&request("acme/model", "one too many")));
        let refused = tokio::time::timeout(Duration::from_secs(10), refused.as_mut()).await;
        let error = refused.expect("it is refused at once").expect_err("the queue is full");
        assert_eq!(
            (error.kind.code(), error.is_retryable()),
            ("overloaded", true),
            "{error:?}"
        );
        assert_eq!(service.requests().len(), 1);
        // The first one never gets its answer; its place is free when it is given up.
        drop(first);
        for call in waiting {
            assert_eq!(call.await.expect("an answer").text, "hello");
        }
    });
    let order: Vec<_> = service
        .requests()
        .iter()
        .map(|request| request.json()["messages"][0]["content"].clone())
        .collect();
    let expected: Vec<_> = (0..=5).map(|number| json!(format!("call {number}"))).collect();
    assert_eq!(order, expected);
}

#[test]
fn fault_44_a_call_that_is_given_up_in_the_queue_leaves_its_place() {
    let service = Faultd::playing([Script::new().hold(), Script::answer("hello")]);
    let plugin = plugin_at(&service.base_url(), json!({"limits": {"concurrency": 1, "queue": 1}}));
    let mut first = Box::pin(plugin.chat(&request("acme/model", "first")));
    assert!(poll_once(first.as_mut()).is_pending());
    service.wait_for_requests(1);
    for _ in 0..100 {
        let mut waiting = Box::pin(plugin.chat(&request("acme/model", "waiting")));
        match poll_once(waiting.as_mut()) {
            Poll::Pending => {}
            // The place of the one before may be given back a moment later.
            Poll::Ready(result) => assert_eq!(code(&result), "overloaded"),
        }
    }
    drop(first);
    assert_eq!(chat(&plugin).expect("an answer").text, "hello");
}

#[test]
fn fault_46_a_call_that_is_given_up_before_it_began_asks_nobody() {
    let service = Faultd::playing([Script::answer("hello")]);
    let plugin = plugin_at(&service.base_url(), json!({}));
    drop(plugin.chat(&request("acme/model", "hello")));
    drop(plugin.stream(&request("acme/model", "hello")));
    assert_eq!(chat(&plugin).expect("an answer").text, "hello");
    assert_eq!(service.requests().len(), 1);
}

#[test]
fn fault_46_a_limit_that_nobody_can_meet_is_a_typed_error() {
    let service = Faultd::playing([Script::new().hold()]);
    let plugin = plugin_at(
        &service.base_url(),
        json!({"timeouts": {"totalMs": 1, "firstTokenMs": 1, "connectMs": 1}}),
    );
    for result in [chat(&plugin), stream(&plugin)] {
        let code = code(&result);
        assert!(["timeout", "connect"].contains(&code), "{:?}", result.err());
    }
    drop(plugin);
    service.wait_until_idle();
}
