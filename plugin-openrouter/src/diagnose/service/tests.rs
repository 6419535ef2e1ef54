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
        Some(error)
    };
    let rows = [
        (None, None),
        (error(ErrorKind::AUTH, Some(401), "no"), None),
        (None, error(ErrorKind::PROTOCOL, None, "no JSON")),
        (error(ErrorKind::UNAVAILABLE, Some(503), "busy"), None),
        (error(ErrorKind::CONNECT, None, "no connection to a.example"), None),
        (error(ErrorKind::AUTH, None, "no key"), None),
    ];
    let expected = [
        "ok service_reachable: it answered within 120 ms",
        "ok service_reachable: it answered within 120 ms",
        "warning service_reachable: it answered within 120 ms, but not as expected: no JSON | REMEDY",
        "warning service_reachable: it answered within 120 ms, but with an error: busy | REMEDY",
        "failed service_reachable: no connection to a.example | REMEDY",
        "skipped service_reachable: not checked: no key is set",
    ];
    let remedy = "check the network, the proxy and the base URL; https://status.openrouter.ai reports outages";
    let seen = rows.map(|(refusal, unread)| {
        let finding = reachable(refusal.as_ref(), unread.as_ref(), Duration::from_millis(120));
        line(&finding).replace(remedy, "REMEDY")
    });
    assert_eq!(seen, expected);
}

#[test]
fn the_address_is_named_with_where_it_was_set() {
    let urls = [
        "https://openrouter.ai/api/v1",
        "https://eu.openrouter.ai/api/v1",
        "http://127.0.0.1:8080/api/v1",
        "https://127.0.0.1:8443",
        "https://gateway.example/v1",
        "http://litellm:4000/v1",
        "https://openrouter.ai/v1",
        "https://a.example/v1/chat/completions",
    ];
    let expected = [
        "ok base_url: https://openrouter.ai (here)",
        "ok base_url: https://eu.openrouter.ai (here)",
        "ok base_url: http://127.0.0.1:8080 (here; on this machine, not encrypted)",
        "ok base_url: https://127.0.0.1:8443 (here; on this machine)",
        "ok base_url: https://gateway.example (here)",
        "warning base_url: http://litellm:4000 (here) is asked unencrypted, as `allowPlainHttp` permits | use it only on a \
         network where nobody else listens",
        "warning base_url: https://openrouter.ai (here): its path is not that of OpenRouter's API | set `baseUrl` to \
         https://openrouter.ai/api/v1",
        "warning base_url: https://a.example (here): its path is that of one endpoint; the plugin appends \
         `/chat/completions` itself | remove `/chat/completions` from the end of `baseUrl`",
    ];
    assert_eq!(urls.map(|url| line(&judge_base_url(url, "here"))), expected);
    let variable = [("OPENROUTER_BASE_URL", "https://a.example")];
    let option = json!({"baseUrl": "https://b.example"});
    let seen = [(json!({}), &[][..]), (json!({}), &variable), (option, &variable)]
        .map(|(options, variables)| line(&base_url(&settings(options, variables))));
    let expected = [
        "ok base_url: https://openrouter.ai (the default)",
        "ok base_url: https://a.example (variable `OPENROUTER_BASE_URL`)",
        "ok base_url: https://b.example (profile `baseUrl`)",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_clock_may_be_a_minute_off() {
    let seen = |theirs_s| {
        let why = "TLS and Retry-After waits depend on it | set the clock, for example with `timedatectl set-ntp true`";
        line(&judge_clock(1000, theirs_s)).replace(why, "WHY")
    };
    let expected = [
        "ok clock: this machine's clock and the service's are 0 s apart",
        "ok clock: this machine's clock and the service's are 60 s apart",
        "warning clock: this machine's clock is 61 s ahead of the service's; WHY",
        "warning clock: this machine's clock is 300 s behind the service's; WHY",
        "failed clock: this machine's clock is 301 s behind the service's; WHY",
    ];
    assert_eq!([1000, 940, 939, 1300, 1301].map(seen), expected);
}

#[test]
fn a_slow_answer_that_arrives_at_once_was_buffered() {
    let seen = |(duration_ms, spread_ms, completion_tokens)| {
        let cost_usd = Some("0.00002".to_owned());
        let usage = Usage {
            completion_tokens,
            cost_usd,
            ..Usage::default()
        };
        let done = Done {
            model: Some("acme/small".to_owned()),
            time_to_first_token_ms: Some(duration_ms - spread_ms),
            duration_ms,
            usage: Some(usage),
            ..Done::default()
        };
        let spread = Duration::from_millis(spread_ms);
        line(&judge_streaming(&FirstAnswer { done, spread }))
    };
    let expected = [
        "warning streaming: the whole answer arrived at once, as it does behind a buffering proxy: the first token arrived \
         after 1499 ms, the last after 1500 ms by `acme/small`; $0.00002 was billed | turn off buffering in proxies on the \
         way (nginx: `proxy_buffering off`), or choose a faster model for TEXT_SMALL",
        "ok streaming: the first token arrived after 1200 ms, the last after 1500 ms by `acme/small`; $0.00002 was billed",
        "ok streaming: the first token arrived after 899 ms, the last after 900 ms by `acme/small`; $0.00002 was billed",
        "ok streaming: the first token arrived after 1499 ms, the last after 1500 ms by `acme/small`; $0.00002 was billed",
    ];
    assert_eq!(
        [(1500, 1, 16), (1500, 300, 16), (900, 1, 16), (1500, 1, 1)].map(seen),
        expected
    );
}
