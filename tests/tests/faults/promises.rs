//! What holds for masses of calls, in processes of their own. The figures are printed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use plugin_api::{ChatReply, Error, Plugin};
use serde_json::json;
use tests::faultd::{Arrival, Faultd, Script, chunk, sse_head, text_event};
use tests::request;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::bench::{chat, code, plugin_at, stream};
use crate::child::Child;
use crate::host::{assert_files_are_closed, open_files};

/// The longest time that one of these may take.
const AT_MOST: Duration = Duration::from_secs(110);

/// The same numbers in every run, each as good as random.
fn mixed(number: u64) -> u64 {
    // Source: Steele, Lea, Flood: Fast splittable pseudorandom number generators (SplitMix64).
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

async fn call(plugin: &Plugin, as_stream: bool) -> Result<ChatReply, Error> {
    let asked = request("acme/model", "hello");
    if as_stream {
        return plugin.stream(&asked).await?.collect().await;
    }
    plugin.chat(&asked).await
}

/// Waits for `work` on a runtime of this thread, longer than the kit does.
fn within_the_time<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the machine has an event queue");
    let done = runtime.block_on(async { tokio::time::timeout(AT_MOST, work).await });
    done.unwrap_or_else(|_| panic!("not done within {AT_MOST:?}"))
}

/// Makes so many calls, so many at a time, every second one as a stream; each answer with how long it took.
fn calls(plugin: &Plugin, n: u64, at_a_time: usize) -> Vec<(Result<ChatReply, Error>, Duration)> {
    within_the_time(async {
        let room = Arc::new(Semaphore::new(at_a_time));
        let mut calls = JoinSet::new();
        for number in 0..n {
            let (plugin, room) = (plugin.clone(), Arc::clone(&room));
            calls.spawn(async move {
                let _place = room.acquire().await.expect("it is never closed");
                let begun = Instant::now();
                let result = call(&plugin, number % 2 == 0).await;
                (result, begun.elapsed())
            });
        }
        calls.join_all().await
    })
}

fn busy(status: u16, wait: &str) -> Script {
    let body = json!({"error": {"code": status, "message": "not now"}});
    Script::reply(status, &[("retry-after-ms", wait)], &body)
}

#[test]
fn a_thousand_calls_to_a_dead_service_are_at_most_1036_requests() {
    Child::of("promises::a_thousand_calls_to_a_dead_service_are_at_most_1036_requests").run(|| {
        for (what, status, at_a_time) in [
            ("all at once", 503, 1000),
            ("ten at a time", 503, 10),
            ("all at once", 429, 1000),
        ] {
            let body = json!({"error": {"code": status, "message": "not now"}});
            let service = Faultd::playing([Script::reply(status, &[], &body)]);
            let plugin = plugin_at(&service.base_url(), json!({}));
            let begun = Instant::now();
            let answers = calls(&plugin, 1000, at_a_time);
            let n_requests = service.requests().len();
            println!("{status}, {what}: {n_requests} requests in {:?}", begun.elapsed());
            assert!(answers.iter().all(|(answer, _)| answer.is_err()));
            // A retry after "too many requests" costs less, so there may be 100 of them.
            let most = if status == 429 { 1100 } else { 1036 };
            assert!(n_requests <= most, "{n_requests} requests");
        }
    });
}

#[test]
fn fault_16_a_wait_that_one_call_was_told_holds_for_two_hundred() {
    Child::of("promises::fault_16_a_wait_that_one_call_was_told_holds_for_two_hundred").run(|| {
        let service = Faultd::playing([busy(429, "400"), Script::answer("now")]);
        // One attempt, so that the first call says what it was told at once.
        let plugin = plugin_at(&service.base_url(), json!({"retry": {"attempts": 1}}));
        let error = stream(&plugin).expect_err("it is told to wait");
        assert_eq!((error.kind.code(), error.retry_after_ms), ("rate_limit", Some(400)));
        let answers = calls(&plugin, 199, 199);
        let requests = service.requests();
        let first_after = requests[1..].iter().map(|request| request.at - requests[0].at).min();
        println!("{} requests; the second one after {first_after:?}", requests.len());
        assert!(first_after >= Some(Duration::from_millis(400)), "{first_after:?}");
        let failed = answers.iter().find(|(answer, _)| answer.is_err());
        assert!(failed.is_none(), "{failed:?}");
        // 1.2 times as many as calls.
        assert!(requests.len() <= 240, "{}", requests.len());
    });
}

#[test]
fn fault_16_two_hundred_calls_at_once_to_a_busy_service_are_at_most_two_hundred_and_forty_requests() {
    Child::of(
        "promises::fault_16_two_hundred_calls_at_once_to_a_busy_service_are_at_most_two_hundred_and_forty_requests",
    )
    .run(|| {
        // The service is busy for the first half second, and says so.
        let begun = Instant::now();
        let service =
            Faultd::answering(
                move |_: &Arrival| match Duration::from_millis(500).checked_sub(begun.elapsed()) {
                    Some(left) => busy(429, &(left.as_millis() + 1).to_string()),
                    None => Script::answer("now"),
                },
            );
        let plugin = plugin_at(&service.base_url(), json!({}));
        assert_eq!(code(&chat(&plugin)), "ok");
        let before = service.requests().len();
        let answers = calls(&plugin, 200, 200);
        let n_requests = service.requests().len() - before;
        println!("{n_requests} requests for 200 calls after {before} for the first");
        assert!(answers.iter().all(|(answer, _)| answer.is_ok()));
        assert!(n_requests <= 240, "{n_requests}");
    });
}

#[test]
fn ten_thousand_calls_with_faults_in_every_twentieth_request_succeed() {
    Child::of("promises::ten_thousand_calls_with_faults_in_every_twentieth_request_succeed").run(|| {
        let n_faults = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&n_faults);
        let service = Faultd::answering(move |request| {
            let dice = mixed(request.number as u64);
            if !dice.is_multiple_of(20) {
                return Script::answer("hello");
            }
            counted.fetch_add(1, Ordering::Relaxed);
            match (dice / 20) % 4 {
                0 => busy(503, "1"),
                1 => busy(502, "1"),
                2 => busy(429, "1"),
                // Nobody but a stream may be asked again after that.
                _ if request.wants_stream() => Script::new().reset(),
                _ => busy(503, "1"),
            }
        });
        let plugin = plugin_at(&service.base_url(), json!({}));
        let begun = Instant::now();
        let answers = calls(&plugin, 10_000, 64);
        let took = begun.elapsed();
        let failed: Vec<_> = answers.iter().filter_map(|(answer, _)| answer.as_ref().err()).collect();
        let mut times: Vec<_> = answers.iter().map(|(_, took)| *took).collect();
        times.sort_unstable();
        println!(
            "10000 calls in {took:?}: {} requests, {} faults, {} failed calls; p50 {:?}, p99 {:?}, longest {:?}",
            service.requests().len(),
            n_faults.load(Ordering::Relaxed),
            failed.len(),
            times[5_000],
            times[9_900],
            times[9_999]
        );
        assert!(failed.len() <= 10, "{} failed: {:?}", failed.len(), failed.first());
        assert!(times[9_900] < Duration::from_secs(3), "{:?}", times[9_900]);
    });
}

#[test]
fn ten_thousand_calls_that_are_given_up_leave_nothing_behind() {
    Child::of("promises::ten_thousand_calls_that_are_given_up_leave_nothing_behind").run(|| {
        let service = Faultd::answering(|request| {
            if request.json()["model"] == "acme/answer" {
                return Script::answer("still here").close();
            }
            // No answer is ever complete, so only the client can end the connection.
            match mixed(request.number as u64) % 3 {
                0 => Script::new().hold(),
                1 => Script::new().send(sse_head()).hold(),
                _ => Script::new()
                    .send([sse_head(), chunk(text_event("once "))].concat())
                    .hold(),
            }
        });
        let plugin = plugin_at(&service.base_url(), json!({"limits": {"concurrency": 64}}));
        let answer =
            |plugin: &Plugin| within_the_time(plugin.chat(&request("acme/answer", "hello"))).map(|reply| reply.text);
        assert_eq!(answer(&plugin).as_deref(), Ok("still here"));
        service.wait_until_idle();
        let before = open_files();
        let begun = Instant::now();
        within_the_time(async {
            let room = Arc::new(Semaphore::new(64));
            let mut calls = JoinSet::new();
            for number in 0..10_000 {
                let (plugin, room) = (plugin.clone(), Arc::clone(&room));
                calls.spawn(async move {
                    let _place = room.acquire().await.expect("it is never closed");
                    let dice = mixed(number);
                    // Some are given up at once, most after a moment in which something may have come.
                    let moment = Duration::from_micros((dice % 4).min(1) * (dice / 4 % 60_000));
                    let call = call(&plugin, dice.is_multiple_of(2));
                    tokio::time::timeout(moment, call).await.is_err()
                });
            }
            let given_up = calls.join_all().await.into_iter().filter(|given_up| *given_up).count();
            assert_eq!(given_up, 10_000, "no answer is ever complete");
        });
        let n_requests = service.requests().len();
        println!(
            "10000 calls given up in {:?}; {n_requests} requests came",
            begun.elapsed()
        );
        // Else next to nothing was given up in the middle.
        assert!(n_requests > 1_000, "{n_requests}");
        // The plugin is still there: nothing but giving up has closed the connections.
        service.wait_until_idle();
        assert_eq!(answer(&plugin).as_deref(), Ok("still here"));
        service.wait_until_idle();
        assert_files_are_closed(before);
        drop(plugin);
    });
}

#[test]
fn fault_44_ten_thousand_calls_at_once_are_all_answered_and_few_at_a_time() {
    Child::of("promises::fault_44_ten_thousand_calls_at_once_are_all_answered_and_few_at_a_time").run(|| {
        let service = Faultd::playing([Script::answer("hello")]);
        let plugin = plugin_at(&service.base_url(), json!({"limits": {"concurrency": 32}}));
        let begun = Instant::now();
        let answers = calls(&plugin, 10_000, 10_000);
        println!(
            "10000 calls at once in {:?}; at most {} connections at a time",
            begun.elapsed(),
            service.most_open_connections()
        );
        let failed = answers.iter().find(|(answer, _)| answer.is_err());
        assert!(failed.is_none(), "{failed:?}");
        assert_eq!(service.requests().len(), 10_000);
        assert!(
            service.most_open_connections() <= 64,
            "{}",
            service.most_open_connections()
        );
    });
}
