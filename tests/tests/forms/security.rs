//! What a raw request cannot do: leave the service's address, carry the caller's credentials, or reveal the key.

use plugin_api::{ErrorKind, HttpRequest};
use serde_json::json;
use tests::canary::CANARY;
use tests::faultd::{Faultd, Script, chunk, finish_event, head, json_reply, text_event, whole_answer};
use tests::service;

use crate::bench::{
    MODEL, arrived, assert_no_key, bad, chat, get, once, plugin, plugin_at, plugin_of, post, raw, raw_stream, with,
    with_header,
};

#[test]
fn a_path_that_leads_elsewhere_is_refused_before_anything_is_sent() {
    let service = service();
    let plugin = plugin(&service, once());
    let long = format!("/models?{}", "x".repeat(9000));
    // More of them are in `plugin-openrouter/src/request/ask.rs`.
    for path in [
        "/../../admin",
        "/models/.%2e/x",
        "/models/acme%2Fmodel/endpoints",
        "/%6dodels",
        "/models/%2",
        "/..;/x\\..\\y",
        "http://evil.example/models",
        "@evil.example/models",
        &long,
    ] {
        for error in [
            raw(&plugin, get(path)).err(),
            raw(&plugin, HttpRequest::post(path, "{}")).err(),
            raw_stream(&plugin, get(path)).error,
        ] {
            let error = error.unwrap_or_else(|| panic!("{path} was not refused"));
            assert_eq!(error.kind, ErrorKind::INVALID_REQUEST, "{path}");
            assert!(error.message.starts_with("the path of the request"), "{path}: {error}");
        }
    }
    assert_eq!(service.accepted_connections(), 0);
}

#[test]
fn an_odd_path_stays_below_the_address_of_the_service() {
    let service = Faultd::playing([Script::reply(404, &[], &json!({}))]);
    let plugin = plugin_of(&service, once());
    for path in [
        "/a/..%2f..%2fadmin",
        "/%2e%2e%2fadmin",
        "/a;/..;/admin",
        "/%252e%252e/admin",
        "/:80/x",
        "/@evil.example/",
        "/?x=/../../admin",
        "/models?next=//evil.example",
        "/%5c..%5cadmin",
    ] {
        bad(&plugin, get(path));
    }
    for request in service.requests() {
        assert!(request.path.starts_with("/api/v1/"), "{}", request.path);
    }
    assert!(!service.requests().is_empty());
}

#[test]
fn without_a_key_nothing_is_sent() {
    let service = service();
    let plugin = plugin_at(&service.base_url(), &[("OPENROUTER_API_KEY", "")], once());
    assert_eq!(bad(&plugin, get("/models")).kind, ErrorKind::AUTH);
    assert_eq!(service.accepted_connections(), 0);
}

#[test]
fn only_headers_that_mean_something_to_the_service_go_to_it() {
    let given = [
        ("Authorization", "Bearer the-callers"),
        ("Proxy-Authorization", "Basic x"),
        ("X-API-Key", "the-callers"),
        ("Cookie", "a=b"),
        ("Host", "evil.example"),
        ("Connection", "x-title"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "1"),
        ("Accept-Encoding", "gzip"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-Stainless-Lang", "python"),
        ("User-Agent", "caller/1"),
        ("X-Title", "Mine"),
        ("HTTP-Referer", "https://me.example"),
        ("X-Session-Id", "s"),
        ("anthropic-beta", "a"),
        ("Anthropic-Beta", "b"),
        ("Anthropic-Version", "2023-06-01"),
        ("X-Anthropic-Beta", "c"),
        ("X-OpenRouter-Cache", "true"),
        ("X-OpenRouter-Metadata", "enabled"),
    ];
    let request = given
        .iter()
        .fold(chat(MODEL), |request, (name, value)| with_header(request, name, value));
    let arrived = arrived(json!({}), request);
    let mut names: Vec<&str> = arrived.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names.join(" "),
        "accept accept-encoding anthropic-beta anthropic-version authorization content-length content-type host \
         http-referer x-anthropic-beta x-openrouter-cache x-openrouter-metadata x-openrouter-title x-session-id x-title"
    );
    let authorization = format!("Bearer {CANARY}");
    for (name, expected) in [
        ("authorization", authorization.as_str()),
        ("accept-encoding", "identity"),
        ("anthropic-beta", "a, b"),
        ("x-openrouter-metadata", "enabled"),
    ] {
        assert_eq!(arrived.header(name), Some(expected), "{name}");
    }
    assert!(
        arrived
            .header("host")
            .is_some_and(|host| host.starts_with("127.0.0.1:"))
    );
    let others = arrived.headers.iter().filter(|(name, _)| name != "authorization");
    assert_no_key(&format!(
        "{:?} {} {}",
        others.collect::<Vec<_>>(),
        arrived.path,
        arrived.json()
    ));
}

#[test]
fn the_head_of_an_answer_keeps_the_headers_that_concern_the_caller() {
    let headers = [
        ("set-cookie", "a=b"),
        ("server", "x"),
        ("cf-ray", "1"),
        ("x-generation-id", "gen-1"),
        ("x-request-id", "r"),
        ("request-id", "q"),
        ("retry-after", "3"),
        ("x-ratelimit-remaining", "7"),
        ("anthropic-ratelimit-tokens-limit", "9"),
        ("x-openrouter-cache-status", "HIT"),
        ("openai-processing-ms", "12"),
        ("content-disposition", "inline"),
        ("access-control-allow-origin", "*"),
    ];
    let service = Faultd::playing([Script::reply(200, &headers, &json!({"ok": true}))]);
    let answer = raw(&plugin_of(&service, json!({})), get("/key")).expect("an answer");
    let names: Vec<&str> = answer.head.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names.join(" "),
        "content-type x-generation-id x-request-id request-id retry-after x-ratelimit-remaining \
         anthropic-ratelimit-tokens-limit x-openrouter-cache-status openai-processing-ms content-disposition"
    );
}

#[test]
fn a_key_repeated_in_an_error_is_removed() {
    for status in [200, 400, 401, 402, 403, 404, 429, 500, 503] {
        let body = json!({"error": {"code": status.max(400), "message": format!("the key {CANARY} is odd"),
            "metadata": {"raw": CANARY, "provider_name": CANARY}}, "user_id": CANARY, "choices": []});
        let headers = [("x-generation-id", CANARY), ("x-request-id", CANARY)];
        let service = Faultd::playing([Script::reply(status, &headers, &body)]);
        let plugin = plugin_of(&service, once());
        // The bench searches them for the key.
        let error = bad(&plugin, chat(MODEL));
        raw_stream(&plugin, chat(MODEL));
        let answer = error.details.answer.expect("the service's own answer");
        assert!(
            answer.body.contains("the key [key] is odd"),
            "{status}: {}",
            answer.body
        );
    }
    let error = json!({"error": {"code": 502, "message": format!("no {CANARY}")}});
    let service = Faultd::playing([Script::stream(&[text_event("Hel"), format!("data: {error}\n\n")])]);
    raw_stream(&plugin_of(&service, once()), chat(MODEL)).error();
}

#[test]
fn a_key_repeated_in_a_stream_is_removed_wherever_it_stands() {
    let chunk = |text: &str| {
        json!({"id": CANARY, "model": CANARY, "provider": CANARY, "system_fingerprint": CANARY,
            "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]})
    };
    let long = format!("{CANARY}{}", "x".repeat(300));
    let large = format!("{}{CANARY}{}", "x".repeat(400 << 10), "y".repeat(100_000));
    let escaped: String = CANARY.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    let large_escaped = chunk(&large).to_string().replace(CANARY, &escaped);
    let events = [
        format!(": waiting {CANARY}\n\n: {}{long}\n\n", "x".repeat(240)),
        format!(": {CANARY}\nid: {CANARY}\nevent: {CANARY}\ndata: {}\n\n", chunk("yes")),
        format!("data: {}\n\n", chunk(&large)),
        format!("data: {large_escaped}\n\n"),
        format!("data: {{\"choices\": [], \"escaped\": \"{escaped}\"}}\n\n"),
        format!("id: {CANARY}\n{}", finish_event("stop")),
        format!("data: {{\"choices\": [], \"x\": \"{CANARY}\"}}\n\n: {CANARY}\ndata: [DONE]"),
    ];
    let service = Faultd::playing([Script::stream(&events)]);
    let came = raw_stream(&plugin_of(&service, once()), chat(MODEL));
    let printed = format!("{came:?}");
    assert_no_key(&printed);
    assert!(!printed.contains(&CANARY[..12]), "half of the key is left");
    assert!(!printed.contains(r"u006b"), "part of the escaped key is left");
    let raw = came.raw();
    assert!(
        raw.contains("id: [key]\nevent: [key]\ndata: {\"id\":\"[key]\""),
        "{raw}"
    );
    assert!(raw.contains(r#""escaped": "[key]""#), "{raw}");
    assert!(raw.ends_with(": [key]\ndata: [DONE]\n\n"), "{raw}");
}

#[test]
fn a_key_repeated_in_an_answer_is_removed() {
    let choice =
        |name: &str| json!({"choices": [with(whole_answer("x")["choices"][0].clone(), &json!({name: CANARY}))]});
    for (name, header, members) in [
        ("request id", "x-request-id", json!({})),
        ("generation id", "x-generation-id", json!({})),
        (
            "generation id in the head alone",
            "x-generation-id",
            json!({"id": null}),
        ),
        ("id", "", json!({"id": CANARY})),
        ("model", "", json!({"model": CANARY})),
        ("provider", "", json!({"provider": CANARY})),
        ("finish reason", "", choice("finish_reason")),
        ("native finish reason", "", choice("native_finish_reason")),
    ] {
        let headers = [(header, CANARY)];
        let headers = if header.is_empty() { &[][..] } else { &headers };
        let reply = json_reply(200, headers, &with(whole_answer("yes"), &members));
        let service = Faultd::playing([Script::new().send(reply)]);
        // The bench searches all of it for the key.
        let answer = raw(&plugin_of(&service, once()), chat(MODEL));
        assert!(answer.is_ok(), "{name}");
    }
}

#[test]
fn a_compressed_answer_that_nobody_asked_for_is_refused() {
    for path in ["/chat/completions", "/files"] {
        let service = Faultd::playing([Script::reply(200, &[("content-encoding", "gzip")], &json!({}))]);
        let error = bad(&plugin_of(&service, once()), post(path, &json!({})));
        assert_eq!(
            error.message,
            "expected an uncompressed answer, found content encoding `gzip`"
        );
    }
}

#[test]
fn an_endless_answer_is_refused_at_its_limit() {
    let headers = [
        ("content-type", "application/octet-stream"),
        ("transfer-encoding", "chunked"),
    ];
    let endless = Script::new()
        .send(head(200, &headers))
        .send_forever(chunk(vec![b'x'; 1 << 16]));
    let error = bad(&plugin_of(&Faultd::playing([endless]), once()), get("/files/1"));
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::TOO_LARGE, "expected an answer of at most 64 MiB, found more")
    );
}
