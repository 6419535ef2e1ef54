//! How much the endpoint accepts: bodies, heads, nesting.

use std::thread;

use serde_json::json;
use tests::endpoint::{Endpoint, Serve};
use tests::faultd::{Faultd, Script, json_reply, whole_answer};

use crate::bench::CHAT;

#[test]
fn a_body_beyond_max_body_is_refused_before_it_is_sent() {
    let endpoint = Serve::new().arguments(&["--max-body", "1"]).start();
    let request = endpoint.post(CHAT, &json!({}));
    let head = request.with("content-length", &((1 << 20) + 1).to_string()).head();
    let mut client = endpoint.connect();
    client.send(head).expect("it is there");
    let (answer, mut client) = client.reply().whole_and_client();
    assert_eq!(answer.expect(413).json()["error"]["type"], "too_large");
    assert!(client.is_closed(), "nothing can follow a body that was not read");
    assert_eq!(endpoint.service.requests(), []);
}

#[test]
fn a_head_beyond_the_limit_is_a_431() {
    let endpoint = Endpoint::start();
    let many = (0..1000).fold(endpoint.get("/health"), |request, n| {
        request.header(&format!("x-{n}"), "1")
    });
    let long = endpoint.get("/health").header("x-long", &"x".repeat(200 << 10));
    let long_path = endpoint.get(&format!("/v1/{}", "x".repeat(70 << 10)));
    for (request, must_answer, statuses) in [
        (many, true, &[431][..]),
        // A head that is not read to its end may end in a reset, which can lose the answer.
        (long, false, &[431]),
        (long_path, false, &[414, 431]),
    ] {
        let mut client = endpoint.connect();
        let _ = client.send(request.bytes());
        let status = client.reply_if_any().map(|reply| reply.whole().status);
        let is_right = status.map_or(!must_answer, |status| statuses.contains(&status));
        assert!(is_right, "{status:?} instead of {statuses:?}");
    }
    endpoint.answer(&endpoint.get("/health")).expect(200);
}

#[test]
fn counting_tokens_builds_no_tree_of_a_hostile_body() {
    let endpoint = Endpoint::start();
    let count = |messages: String| {
        let request = endpoint.post("/v1/messages/count_tokens", &json!({}));
        let answer = endpoint.answer(&request.body(format!("{{\"messages\":[{messages}]}}")));
        answer.expect(200).json()["input_tokens"].as_u64().expect("a number")
    };
    let few = count("0,0".to_owned());
    let before_kib = endpoint.status_kib("VmHWM");
    let body = vec!["0"; 6 << 20].join(",");
    let body_kib = (body.len() >> 10) as u64;
    assert_eq!(count(body), few - 2 + (6 << 20));
    let grown_kib = endpoint.status_kib("VmHWM").saturating_sub(before_kib);
    // The body itself, in the pieces in which it arrives and in one.
    assert!(grown_kib < 4 * body_kib, "{grown_kib} KiB for {body_kib} KiB");
}

#[test]
fn bodies_of_many_requests_take_bounded_memory_and_give_it_back() {
    const N_UPLOADS: usize = 24;
    const BODY_KIB: u64 = 10 << 10;
    let faultd = Faultd::answering(|_| Script::answer("read"));
    let arguments = ["--body-memory", "32", "--max-body", "16"];
    let endpoint = Serve::new().asking(&faultd).arguments(&arguments).start();
    endpoint.chat("acme/model", "Hello").expect(200);
    let before_kib = endpoint.status_kib("VmRSS");
    let text = "x".repeat((BODY_KIB << 10) as usize);
    thread::scope(|scope| {
        for _ in 0..N_UPLOADS {
            scope.spawn(|| endpoint.chat("acme/model", &text).expect(200));
        }
    });
    let all_kib = N_UPLOADS as u64 * BODY_KIB;
    let peak_kib = endpoint.status_kib("VmHWM").saturating_sub(before_kib);
    assert!(peak_kib < all_kib, "{peak_kib} KiB for {all_kib} KiB of bodies");
    let left_kib = endpoint.status_kib("VmRSS").saturating_sub(before_kib);
    assert!(left_kib < all_kib / 4, "{left_kib} KiB are kept of {all_kib} KiB");
}

#[test]
fn json_of_any_depth_overflows_nothing() {
    // A service that does not parse what it receives, as `Script::answer` would.
    let answer = json_reply(200, &[], &whole_answer("survived"));
    let faultd = Faultd::playing([Script::new().send(answer)]);
    let endpoint = Serve::new().asking(&faultd).start();
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let answer = endpoint.answer(&endpoint.post(CHAT, &json!({})).body(deep));
    assert!([200, 400].contains(&answer.status), "{}", answer.status);
    endpoint.chat("acme/model", "Hello").expect(200);
}
