//! Hosts that give up, do not return from a callback, or ask for more than is allowed at once.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use plugin_api::{Error, HostServices, Level, loader};
use serde_json::{Value, json};
use tests::faultd::{Arrival, Faultd, Script, chunk, head, sse_head, text_event};
use tests::{Child, LIMIT, block_on, config_at, eventually, openrouter_plugin, poll_once, request};

use crate::call::{KEY, ask, chat, code, plugin_at, stream};
use crate::this_process::{open_files, wait_until_files_are_closed};

/// A waker that reports each wake-up.
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

/// Polls `work` this often, each time after the wake-up that it asked for, and then drops it.
fn drop_after_polls<T>(mut work: Pin<Box<dyn Future<Output = T> + '_>>, n_polls: usize) {
    let (waker, wake_ups) = bell();
    for number in 0..n_polls {
        if number > 0 {
            wake_ups.recv_timeout(LIMIT).expect("there is always more to come");
        }
        let polled = work.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending(), "an endless answer has no end");
    }
}

/// Timeouts far beyond [`LIMIT`]: a connection that closes within the limit was closed by the drop.
fn patient() -> Value {
    const HOUR_MS: u64 = 3_600_000;
    json!({"timeouts": {"firstTokenMs": HOUR_MS, "idleMs": HOUR_MS, "progressMs": HOUR_MS, "totalMs": HOUR_MS}})
}

#[test]
fn fault_41_a_call_dropped_after_any_number_of_polls_leaves_nothing_behind() {
    Child::new().run(|| {
        let word = chunk(text_event("word "));
        let service = Faultd::answering(move |request: &Arrival| match request.wants_stream() {
            true => Script::new().send(sse_head()).send_forever(word.clone()),
            false => Script::new().hold(),
        });
        let plugin = plugin_at(&service.base_url(), patient());
        let before = open_files();
        let asked = request("acme/model", "hello");
        for n_polls in 0..=20 {
            // One event a poll, so that each poll has a next one.
            let endless = async {
                let mut events = plugin.stream(&asked).await?;
                while let Some(event) = events.next().await {
                    event?;
                    tokio::task::yield_now().await;
                }
                Ok::<_, Error>(())
            };
            drop_after_polls(Box::pin(endless), n_polls);
            service.wait_until_idle();
            wait_until_files_are_closed(before);
        }
        for n_polls in 0..=1 {
            drop_after_polls(Box::pin(plugin.chat(&asked)), n_polls);
            service.wait_until_idle();
            wait_until_files_are_closed(before);
        }
    });
}

#[test]
fn fault_41_a_call_dropped_at_any_byte_of_its_answer_leaves_nothing_behind() {
    Child::new().run(|| {
        let texts = ["one ", "two ", "three"].map(text_event).map(chunk).concat();
        let begun = [sse_head(), texts].concat();
        let head = head(200, &[("content-type", "application/json"), ("content-length", "900")]);
        for (bytes, as_stream) in [(begun, true), ([head, vec![b' '; 600]].concat(), false)] {
            let cut = Arc::new(AtomicUsize::new(0));
            let (at, whole) = (Arc::clone(&cut), bytes.clone());
            let service =
                Faultd::answering(move |_: &Arrival| Script::new().send(&whole[..at.load(Ordering::SeqCst)]).hold());
            let plugin = plugin_at(&service.base_url(), patient());
            let before = open_files();
            for end in (0..=bytes.len()).step_by(23) {
                cut.store(end, Ordering::SeqCst);
                let (n_before, sent_before) = (service.requests().len(), service.sent_bytes());
                let mut call = Box::pin(ask(&plugin, as_stream));
                let (waker, _wake_ups) = bell();
                for _ in 0..3 {
                    assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
                    service.wait_for_requests(n_before + 1);
                    service.wait_for_sent_bytes(sent_before + end as u64);
                }
                drop(call);
                service.wait_until_idle();
                wait_until_files_are_closed(before);
            }
        }
    });
}

/// Host services whose log does not return for one model until the other end of `released` is gone.
struct Stuck {
    entered: Mutex<Sender<()>>,
    released: Mutex<Receiver<()>>,
}

impl HostServices for Stuck {
    fn plugin(&self) -> &str {
        "openrouter"
    }

    fn log_enabled(&self, _level: Level, _target: &str) -> bool {
        true
    }

    fn log(&self, _level: Level, _target: &str, _message: &str, fields_json: &str) {
        if fields_json.contains("acme/stuck") {
            let _ = self.entered.lock().unwrap_or_else(PoisonError::into_inner).send(());
            // Without a limit: the test releases it before it judges what it saw.
            let _ = self.released.lock().unwrap_or_else(PoisonError::into_inner).recv();
        }
    }
}

#[test]
fn fault_43_other_calls_go_on_while_the_host_is_stuck_in_a_callback() {
    Child::new().run(|| {
        let service = Faultd::playing([Script::answer("hello")]);
        let ((entered, is_entered), (release, released)) = (mpsc::channel(), mpsc::channel());
        let stuck = Stuck {
            entered: Mutex::new(entered),
            released: Mutex::new(released),
        };
        let module = loader::load(&openrouter_plugin()).expect("it loads");
        let plugin = module
            .create(Arc::new(stuck), &config_at(&service.base_url(), KEY, json!({})))
            .expect("the configuration is right");
        let begin = |model: &'static str| {
            let (sender, answer) = mpsc::channel();
            let plugin = plugin.clone();
            thread::spawn(move || sender.send(code(&block_on(plugin.chat(&request(model, "hello"))))));
            answer
        };
        let held = begin("acme/stuck");
        is_entered
            .recv_timeout(LIMIT)
            .expect("the plugin logs something about a call");
        let other = begin("acme/model").recv_timeout(LIMIT);
        drop(release);
        assert_eq!(other, Ok("ok"), "another call has to go on");
        assert_eq!(held.recv_timeout(LIMIT), Ok("ok"));
    });
}

#[test]
fn fault_44_calls_beyond_the_queue_are_refused_and_the_queue_is_in_order() {
    let service = Faultd::playing([Script::new().hold(), Script::answer("hello")]);
    let options = json!({"limits": {"concurrency": 1, "queue": 5}, "retry": {"attempts": 1}});
    let plugin = plugin_at(&service.base_url(), options);
    block_on(async {
        let begin = |number: usize| {
            let mut call = Box::pin(plugin.chat(&request("acme/model", &format!("call {number}"))));
            assert!(poll_once(call.as_mut()).is_pending(), "call {number} has to wait");
            call
        };
        let first = begin(0);
        service.wait_for_requests(1);
        let waiting: Vec<_> = (1..=5).map(begin).collect();
        // The call in front of the queue never ends by itself, so only a refusal can end this one.
        let refused = plugin.chat(&request("acme/model", "one too many")).await;
        let error = refused.expect_err("the queue is full");
        let found = (error.kind.code(), error.is_retryable());
        assert_eq!(found, ("overloaded", true), "{error:?}");
        assert_eq!(service.requests().len(), 1);
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
fn fault_44_a_call_dropped_in_the_queue_frees_its_place() {
    let service = Faultd::playing([Script::new().hold(), Script::answer("hello")]);
    let plugin = plugin_at(&service.base_url(), json!({"limits": {"concurrency": 1, "queue": 1}}));
    let mut first = Box::pin(plugin.chat(&request("acme/model", "first")));
    assert!(poll_once(first.as_mut()).is_pending());
    service.wait_for_requests(1);
    for _ in 0..100 {
        let mut waiting = Box::pin(plugin.chat(&request("acme/model", "waiting")));
        // The place of the call before may be free only a moment later.
        if let Poll::Ready(result) = poll_once(waiting.as_mut()) {
            assert_eq!(code(&result), "overloaded");
        }
    }
    drop(first);
    let answer = eventually(|| chat(&plugin));
    assert_eq!(answer.text, "hello");
}

#[test]
fn fault_46_a_call_that_is_never_polled_asks_nobody() {
    let service = Faultd::playing([Script::answer("hello")]);
    let plugin = plugin_at(&service.base_url(), json!({}));
    let asked = request("acme/model", "hello");
    drop(plugin.chat(&asked));
    let kept = (plugin.chat(&asked), plugin.stream(&asked));
    assert_eq!(chat(&plugin).expect("an answer").text, "hello");
    assert_eq!(service.requests().len(), 1);
    drop(kept);
    drop(plugin);
    service.wait_until_idle();
}

#[test]
fn fault_46_a_timeout_that_nobody_can_meet_is_a_typed_error() {
    let service = Faultd::playing([Script::new().hold()]);
    let options = json!({"timeouts": {"totalMs": 1, "firstTokenMs": 1, "connectMs": 1}});
    let plugin = plugin_at(&service.base_url(), options);
    for result in [chat(&plugin), stream(&plugin)] {
        assert!(["timeout", "connect"].contains(&code(&result)), "{:?}", result.err());
    }
    drop(plugin);
    service.wait_until_idle();
}
