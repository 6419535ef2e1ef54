use plugin_api::Usage;
use serde_json::json;

use super::*;
use crate::diagnose::kit::line;
use crate::kit::settings;

#[test]
fn a_service_that_refuses_is_reachable_and_a_silent_one_is_not() {
    let error = |kind, status, message: &str| {
        let mut error = Error::new(kind, message);
        error.details.status = status;
        error
    };
    let remedy = "check the network, the proxy and the base URL; https://status.openrouter.ai reports outages";
    let rows = [
        (None, None, "ok service_reachable: it answered within 120 ms".to_owned()),
        (
            Some(error(ErrorKind::AUTH, Some(401), "no")),
            None,
            "ok service_reachable: it answered within 120 ms".to_owned(),
        ),
        (
            None,
            Some(error(ErrorKind::PROTOCOL, None, "no JSON")),
            format!("warning service_reachable: it answered within 120 ms, but not as expected: no JSON | {remedy}"),
        ),
        (
            Some(error(ErrorKind::UNAVAILABLE, Some(503), "busy")),
            None,
            format!("warning service_reachable: it answered within 120 ms, but with an error: busy | {remedy}"),
        ),
        (
            Some(error(ErrorKind::CONNECT, None, "no connection to a.example")),
            None,
            format!("failed service_reachable: no connection to a.example | {remedy}"),
        ),
        (
            Some(error(ErrorKind::AUTH, None, "no key")),
            None,
            "skipped service_reachable: not checked: no key is set".to_owned(),
        ),
    ];
    for (refusal, unread, expected) in rows {
        let finding = reachable(refusal.as_ref(), unread.as_ref(), Duration::from_millis(120));
        assert_eq!(line(&finding), expected);
    }
}

#[test]
fn the_address_is_named_with_its_origin() {
    let rows = [
        (
            "https://openrouter.ai/api/v1",
            "ok base_url: https://openrouter.ai/api/v1 (here)",
        ),
        (
            "https://eu.openrouter.ai/api/v1",
            "ok base_url: https://eu.openrouter.ai/api/v1 (here)",
        ),
        (
            "http://127.0.0.1:8080/api/v1",
            "ok base_url: http://127.0.0.1:8080/api/v1 (here; on this machine, not encrypted)",
        ),
        (
            "https://127.0.0.1:8443",
            "ok base_url: https://127.0.0.1:8443 (here; on this machine)",
        ),
        (
            "https://gateway.example/v1",
            "ok base_url: https://gateway.example/v1 (here)",
        ),
        (
            "https://openrouter.ai/v1",
            "warning base_url: https://openrouter.ai/v1 (here) is not the address of OpenRouter's API | set `baseUrl` to \
             https://openrouter.ai/api/v1",
        ),
        (
            "https://a.example/v1/chat/completions",
            "warning base_url: https://a.example/v1/chat/completions (here) is the address of one endpoint; the plugin \
             appends `/chat/completions` itself | set `baseUrl` to https://a.example/v1",
        ),
    ];
    for (url, expected) in rows {
        assert_eq!(line(&judge_base_url(url, "here")), expected);
    }
    let variable = [("OPENROUTER_BASE_URL", "https://a.example")];
    let origin = |options, variables: &[_]| line(&base_url(&settings(options, variables)));
    assert_eq!(
        origin(json!({}), &[]),
        "ok base_url: https://openrouter.ai/api/v1 (the default)"
    );
    assert_eq!(
        origin(json!({}), &variable),
        "ok base_url: https://a.example (variable `OPENROUTER_BASE_URL`)"
    );
    assert_eq!(
        origin(json!({"baseUrl": "https://b.example"}), &variable),
        "ok base_url: https://b.example (profile `baseUrl`)"
    );
}

#[test]
fn a_clock_may_be_a_minute_off() {
    let remedy = "set the clock, for example with `timedatectl set-ntp true`";
    let rows = [
        (
            1000,
            "ok clock: this machine's clock and the service's are 0 s apart".to_owned(),
        ),
        (
            940,
            "ok clock: this machine's clock and the service's are 60 s apart".to_owned(),
        ),
        (
            939,
            format!(
                "warning clock: this machine's clock is 61 s ahead of the service's; TLS and Retry-After waits depend on it | \
                 {remedy}"
            ),
        ),
        (
            1300,
            format!(
                "warning clock: this machine's clock is 300 s behind the service's; TLS and Retry-After waits depend on it | \
                 {remedy}"
            ),
        ),
        (
            1301,
            format!(
                "failed clock: this machine's clock is 301 s behind the service's; TLS and Retry-After waits depend on it | \
                 {remedy}"
            ),
        ),
    ];
    for (theirs_s, expected) in rows {
        assert_eq!(line(&judge_clock(1000, theirs_s)), expected);
    }
}

#[test]
fn a_slow_answer_that_arrives_at_once_was_buffered() {
    let answer = |duration_ms, spread_ms, completion_tokens| FirstAnswer {
        done: Done {
            model: Some("acme/small".to_owned()),
            time_to_first_token_ms: Some(duration_ms - spread_ms),
            duration_ms,
            usage: Some(Usage {
                completion_tokens,
                cost_usd: Some("0.00002".to_owned()),
                ..Usage::default()
            }),
            ..Done::default()
        },
        spread: Duration::from_millis(spread_ms),
    };
    let seen = |answer| line(&judge_streaming(&answer));
    assert_eq!(
        seen(answer(1500, 1, 16)),
        "warning streaming: the whole answer arrived at once, as it does behind a buffering proxy: the first token arrived \
         after 1499 ms, the last after 1500 ms by `acme/small`; $0.00002 was billed | turn off buffering in proxies on the \
         way (nginx: `proxy_buffering off`), or choose a faster model for TEXT_SMALL"
    );
    assert_eq!(
        seen(answer(1500, 300, 16)),
        "ok streaming: the first token arrived after 1200 ms, the last after 1500 ms by `acme/small`; $0.00002 was billed"
    );
    assert!(seen(answer(900, 1, 16)).starts_with("ok "));
    assert!(seen(answer(1500, 1, 1)).starts_with("ok "));
}
