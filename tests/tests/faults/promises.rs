//! What holds for masses of calls. Each test runs in a process of its own and prints its figures.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use plugin_api::{ChatEvent, ChatReply, Error, Plugin};
use serde_json::json;
use tests::faultd::{Faultd, Script, chunk, sse_head, text_event};
use tests::{Child, LONG_LIMIT, block_on_for, poll_once, request};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use crate::call::{ask, chat, plugin_at, stream};
use crate::this_process::{open_files, wait_until_files_are_closed};

/// A number that is the same in every run, and as good as random.
fn mixed(number: u64) -> u64 {
    // Source: Steele, Lea, Flood: Fast splittable pseudorandom number generators (SplitMix64).
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Runs `job` for the numbers up to `n`, `at_a_time` of them at once.
fn run_all<T, F>(n: u64, at_a_time: usize, job: impl Fn(u64) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    block_on_for(LONG_LIMIT, async {
        let room = Arc::new(Semaphore::new(at_a_time));
        let mut jobs = JoinSet::new();
        for number in 0..n {
            let (room, job) = (Arc::clone(&room), job(number));
            jobs.spawn(async move {
                let _place = room.acquire().await.expect("it is never closed");
                job.await
            });
        }
        jobs.join_all().await
    })
}

/// Makes `n` calls, `at_a_time` at once, every second one as a stream.
fn calls(plugin: &Plugin, n: u64, at_a_time: usize) -> Vec<Result<ChatReply, Error>> {
    run_all(n, at_a_time, |number| {
        let plugin = plugin.clone();
        async move { ask(&plugin, number % 2 == 0).await }
    })
}

#[test]
fn a_thousand_calls_to_a_dead_service_are_at_most_1036_requests() {
    Child::new().run(|| {
        // A retry after "too many requests" costs less of the budget, so there may be 100 of them.
        for (status, at_a_time, most) in [(503, 1000, 1036), (503, 10, 1036), (429, 1000, 1100)] {
            let body = json!({"error": {"code": status, "message": "not now"}});
            let service = Faultd::playing([Script::reply(status, &[], &body)]);
            let plugin = plugin_at(&service.base_url(), json!({}));
            let answers = calls(&plugin, 1000, at_a_time);
            let n_requests = service.requests().len();
            println!("{status}, {at_a_time} at a time: {n_requests} requests");
            assert!(answers.iter().all(Result::is_err));
            assert!(n_requests <= most, "{n_requests} requests");
        }
    });
}

#[test]
fn fault_16_a_retry_after_for_one_call_holds_for_two_hundred() {
    Child::new().run(|| {
        let body = json!({"error": {"code": 429, "message": "not now"}});
        let busy = Script::reply(429, &[("retry-after-ms", "400")], &body);
        let service = Faultd::playing([busy, Script::answer("now")]);
        // With one attempt, the first call returns as soon as it knows the wait.
        let plugin = plugin_at(&service.base_url(), json!({"retry": {"attempts": 1}}));
        let error = stream(&plugin).expect_err("it has to wait");
        assert_eq!((error.kind.code(), error.retry_after_ms), ("rate_limit", Some(400)));
        let answers = calls(&plugin, 200, 200);
        let requests = service.requests();
        let first_after = requests[1..].iter().map(|request| request.at - requests[0].at).min();
        println!("{} requests; the second one after {first_after:?}", requests.len());
        assert!(first_after >= Some(Duration::from_millis(400)), "{first_after:?}");
        let failed = answers.iter().find(|answer| answer.is_err());
        assert!(failed.is_none(), "{failed:?}");
        // None of the calls was refused, so none of them had to be repeated.
        assert_eq!(requests.len(), 201);
    });
}

/// Begins call `number`, drops it at a point that depends on the number, and returns whether it was still running.
///
/// - In: `arrived`, which the service notifies of each request by its number.
async fn dropped_call(plugin: Plugin, number: u64, arrived: Arc<[Notify]>) -> bool {
    let asked = request("acme/model", &number.to_string());
    match number % 4 {
        // Its request may have got anywhere.
        0 => {
            let mut call = Box::pin(plugin.chat(&asked));
            let was_pending = poll_once(call.as_mut()).is_pending();
            for _ in 0..mixed(number) % 100 {
                tokio::task::yield_now().await;
            }
            was_pending
        }
        // The service has the request and sends nothing.
        1 => tokio::select! {
            () = arrived[number as usize].notified() => true,
            _ = plugin.chat(&asked) => false,
        },
        // The service has the request and sends a head.
        2 => tokio::select! {
            () = arrived[number as usize].notified() => true,
            _ = async { plugin.stream(&asked).await?.collect().await } => false,
        },
        // The first text has arrived.
        _ => match plugin.stream(&asked).await {
            Ok(mut events) => matches!(events.next().await, Some(Ok(ChatEvent::Text(_)))),
            Err(_) => false,
        },
    }
}

#[test]
fn ten_thousand_dropped_calls_leave_nothing_behind() {
    const N_CALLS: u64 = 10_000;
    Child::new().run(|| {
        let arrived: Arc<[Notify]> = (0..N_CALLS).map(|_| Notify::new()).collect();
        let notified = Arc::clone(&arrived);
        // No answer to these calls is ever complete, so only the client can end their connections.
        let service = Faultd::answering(move |request| {
            let body = request.json();
            let text = body["messages"][0]["content"].as_str().unwrap_or_default();
            let Ok(number) = text.parse::<usize>() else {
                return Script::answer("still here").close();
            };
            notified[number].notify_one();
            match number % 4 {
                0 | 1 => Script::new().hold(),
                2 => Script::new().send(sse_head()).hold(),
                _ => Script::new()
                    .send([sse_head(), chunk(text_event("once "))].concat())
                    .hold(),
            }
        });
        let plugin = plugin_at(&service.base_url(), json!({"limits": {"concurrency": 64}}));
        assert_eq!(chat(&plugin).expect("an answer").text, "still here");
        service.wait_until_idle();
        let before = open_files();
        let begun = Instant::now();
        let dropped = run_all(N_CALLS, 64, |number| {
            dropped_call(plugin.clone(), number, Arc::clone(&arrived))
        });
        let n_requests = service.requests().len();
        println!(
            "{N_CALLS} calls dropped in {:?}; {n_requests} requests came",
            begun.elapsed()
        );
        assert!(dropped.into_iter().all(|was_pending| was_pending));
        assert!(n_requests as u64 > N_CALLS / 4 * 3, "{n_requests}");
        // The plugin is still there, so nothing but the drops has closed the connections.
        service.wait_until_idle();
        assert_eq!(chat(&plugin).expect("an answer").text, "still here");
        service.wait_until_idle();
        wait_until_files_are_closed(before);
        drop(plugin);
    });
}

#[test]
fn fault_44_ten_thousand_calls_at_once_are_answered_a_few_at_a_time() {
    const AT_A_TIME: usize = 32;
    Child::new().run(|| {
        let (in_flight, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let (counting, first) = (Arc::clone(&most), Barrier::new(AT_A_TIME));
        let service = Faultd::answering(move |request| {
            counting.fetch_max(in_flight.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // None of the first is answered before all of them are there.
            if request.number < AT_A_TIME {
                first.wait();
            }
            // Before the answer is sent, so that it never overlaps with the request that takes its place in the plugin.
            in_flight.fetch_sub(1, Ordering::SeqCst);
            Script::answer("hello")
        });
        let plugin = plugin_at(&service.base_url(), json!({"limits": {"concurrency": AT_A_TIME}}));
        let answers = calls(&plugin, 10_000, 10_000);
        let failed = answers.iter().find(|answer| answer.is_err());
        assert!(failed.is_none(), "{failed:?}");
        assert_eq!(service.requests().len(), 10_000);
        assert_eq!(most.load(Ordering::SeqCst), AT_A_TIME);
    });
}
