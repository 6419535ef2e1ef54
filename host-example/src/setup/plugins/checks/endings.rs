//! Whether calls and instances end when the host wants them to, and leave nothing behind.
//!
//! Times are shown and limited. The limits are meant for busy machines, and the best of several tries counts.

use std::fs;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use plugin_api::{ChatRequest, Message, Payload, Plugin, method};
use tokio::time::{sleep, timeout};

use super::bench::{Bench, Call, hello, states};
use super::{Outcome, Seen, shown};

/// How long dropping a call may take.
const CANCEL_LIMIT: Duration = Duration::from_millis(100);
const MAX_CANCELS: usize = 5;
/// How long a call gets to start waiting.
const MOMENT: Duration = Duration::from_millis(50);
/// How often something is looked at in a moment.
const N_POLLS: u32 = 10;
/// What the plugin has for its shutdown, and what a busy machine has on top.
const DEADLINE: Duration = Duration::from_millis(500);
const GRACE: Duration = Duration::from_secs(2);
const MAX_SHUTDOWNS: usize = 2;
/// How long threads and wakers may take to go.
const SETTLED: Duration = Duration::from_secs(4);

/// Drops calls that wait, and streams that have begun.
pub async fn cancel(bench: &Bench<'_>) -> Outcome {
    let plugin = bench.create()?;
    let mut figures = Vec::new();
    for name in [method::CHAT, method::STREAM] {
        let mut quickest = None;
        for _ in 0..MAX_CANCELS {
            let Some(took) = drop_time(&plugin, name).await else {
                break;
            };
            let best = quickest.map_or(took, |best: Duration| best.min(took));
            quickest = Some(best);
            if best < CANCEL_LIMIT {
                break;
            }
        }
        match quickest {
            Some(took) if took >= CANCEL_LIMIT => {
                return Err(format!(
                    "expected a dropped `{name}` to end in {CANCEL_LIMIT:?}, found {took:.0?} at best"
                ));
            }
            Some(took) => figures.push(format!("`{name}` in {took:.0?}")),
            None => {}
        }
    }
    if figures.is_empty() {
        return Ok(Seen::NotApplicable(
            "each call ended at once; name an address in the manifest, and calls will wait at a local port",
        ));
    }
    Ok(Seen::Ok(format!(
        "dropped {}; the limit is {CANCEL_LIMIT:?}",
        figures.join(", ")
    )))
}

/// How long it took to drop a call, if it did not end before.
async fn drop_time(plugin: &Plugin, name: &str) -> Option<Duration> {
    let payload = Payload::from_json(hello().to_string());
    if name == method::CHAT {
        let mut call = Box::pin(plugin.call(name, payload));
        return match timeout(MOMENT, call.as_mut()).await {
            Ok(_) => None,
            Err(_) => Some(timed_drop(call)),
        };
    }
    let mut opening = Box::pin(plugin.open(name, payload));
    let Ok(opened) = timeout(MOMENT, opening.as_mut()).await else {
        return Some(timed_drop(opening));
    };
    let mut events = opened.ok()?;
    match timeout(MOMENT, events.next()).await {
        Ok(None | Some(Err(_))) => None,
        Ok(Some(Ok(_))) | Err(_) => Some(timed_drop(events)),
    }
}

fn timed_drop<T>(thing: T) -> Duration {
    let begun = Instant::now();
    drop(thing);
    begun.elapsed()
}

/// Shuts an instance down during calls.
pub async fn shutdown(bench: &Bench<'_>) -> Outcome {
    let mut found = String::new();
    for _ in 0..MAX_SHUTDOWNS {
        let plugin = bench.create()?;
        let payload = Payload::from_json(hello().to_string());
        let _calls = [method::CHAT, method::STREAM].map(|name| {
            let calls = Call::both(name, &payload).into();
            let plugin = plugin.clone();
            tokio::spawn(async move { states(&plugin, calls).await })
        });
        sleep(MOMENT).await;
        let begun = Instant::now();
        match timeout(DEADLINE + GRACE, plugin.shutdown(DEADLINE)).await {
            Ok(Ok(())) => {
                let took = begun.elapsed();
                return Ok(Seen::Ok(format!("ended in {took:.0?}; the deadline was {DEADLINE:?}")));
            }
            Ok(Err(error)) => found = shown(&error),
            Err(_) => found = format!("none after {:?}", DEADLINE + GRACE),
        }
    }
    Err(format!(
        "expected an end within the deadline of {DEADLINE:?}, found {found}"
    ))
}

/// Counts the threads before an instance is created and after it is gone.
pub async fn threads(bench: &Bench<'_>) -> Outcome {
    let Some(before) = thread_names() else {
        return Ok(Seen::NotApplicable(
            "not checked on this system, which does not list threads",
        ));
    };
    used_and_ended(bench, Waker::noop()).await?;
    let mut left = Vec::new();
    let has_settled = settled(|| {
        left = thread_names().unwrap_or_default();
        left.len() <= before.len()
    });
    if has_settled.await {
        return Ok(Seen::Ok("no thread is left after the shutdown".to_owned()));
    }
    for name in &before {
        if let Some(place) = left.iter().position(|other| other == name) {
            left.swap_remove(place);
        }
    }
    Err(format!(
        "expected no thread after the shutdown, found {}",
        left.join(", ")
    ))
}

/// The names of this process's threads, where the system lists them.
fn thread_names() -> Option<Vec<String>> {
    let tasks = fs::read_dir("/proc/self/task").ok()?;
    let name = |path| Some(format!("`{}`", fs::read_to_string(path).ok()?.trim()));
    Some(tasks.filter_map(|task| name(task.ok()?.path().join("comm"))).collect())
}

/// Counts the wakers that are left after calls with them.
pub async fn wakers(bench: &Bench<'_>) -> Outcome {
    struct Counted;
    impl Wake for Counted {
        fn wake(self: Arc<Self>) {}
    }
    let counted = Arc::new(Counted);
    used_and_ended(bench, &Waker::from(Arc::clone(&counted))).await?;
    if settled(|| Arc::strong_count(&counted) == 1).await {
        return Ok(Seen::Ok("every clone of a waker was dropped".to_owned()));
    }
    let n_left = Arc::strong_count(&counted) - 1;
    Err(format!(
        "expected every clone of a waker to be dropped, found {n_left} left"
    ))
}

/// Creates an instance, polls calls with this waker, drops them and the instance.
async fn used_and_ended(bench: &Bench<'_>, waker: &Waker) -> Result<(), String> {
    let plugin = bench.create()?;
    let request = ChatRequest::new(&[Message::user("Hello")]).map_err(|error| shown(&error))?;
    drop(nudged(Box::pin(plugin.chat(&request)), waker).await);
    if let Some(Ok(mut events)) = nudged(Box::pin(plugin.stream(&request)), waker).await {
        while let Some(Some(Ok(_))) = nudged(Box::pin(events.next()), waker).await {}
    }
    let _ = timeout(DEADLINE + GRACE, plugin.shutdown(DEADLINE)).await;
    Ok(())
}

/// Polls for a moment.
async fn nudged<F: Future>(mut work: Pin<Box<F>>, waker: &Waker) -> Option<F::Output> {
    for _ in 0..N_POLLS {
        if let Poll::Ready(output) = work.as_mut().poll(&mut Context::from_waker(waker)) {
            return Some(output);
        }
        sleep(MOMENT / N_POLLS).await;
    }
    None
}

/// Whether it becomes so soon.
async fn settled(mut is_so: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < SETTLED {
        if is_so() {
            return true;
        }
        sleep(MOMENT / N_POLLS).await;
    }
    is_so()
}
