//! Services that are away for longer, and the models and services that stand in for them.

use serde_json::{Value, json};
use tests::faultd::{Arrival, Faultd, Script};
use tests::{block_on, request};

use crate::bench::{KEY, chat, code, config_with, plugin_at, plugin_with, stream};

fn busy() -> Script {
    let body = json!({"error": {"code": 503, "message": "not now"}});
    Script::reply(503, &[("retry-after-ms", "1")], &body)
}

/// The models that a request asks for, first and further ones.
fn models(request: &Arrival) -> Vec<String> {
    let body = request.json();
    let further = body["models"].as_array().into_iter().flatten();
    let mut all: Vec<String> = [&body["model"]]
        .into_iter()
        .chain(further)
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    all.dedup();
    all
}

#[test]
fn ten_fallback_models_are_all_asked_in_their_order() {
    let fallbacks: Vec<String> = (1..=10).map(|number| format!("acme/fallback-{number}")).collect();
    // Only the last one can answer.
    let service = Faultd::answering(|request| {
        let asked = models(request);
        if asked.iter().any(|model| model == "acme/fallback-10") {
            Script::answer("at last")
        } else {
            busy()
        }
    });
    let options = json!({"model": "acme/first", "fallbackModels": fallbacks});
    let plugin = plugin_at(&service.base_url(), options);
    let mut asked = request("acme/first", "hello");
    asked.model = None;
    let reply = block_on(async { plugin.stream(&asked).await?.collect().await }).expect("the last one answers");
    assert_eq!(reply.text, "at last");
    let mut order: Vec<String> = service.requests().iter().flat_map(models).collect();
    order.dedup();
    let expected: Vec<String> = ["acme/first".to_owned()].into_iter().chain(fallbacks).collect();
    assert_eq!(order, expected);
    assert!(service.requests().len() <= 11, "{}", service.requests().len());
}

#[test]
fn a_model_that_a_provider_holds_up_does_not_hold_up_its_chain() {
    let service = Faultd::answering(|request| {
        if models(request)[0] == "acme/first" {
            let error = json!({"error": {"code": 429, "message": "full", "metadata": {"provider_name": "Acme"}}});
            return Script::reply(429, &[("retry-after", "3600")], &error);
        }
        Script::answer("from the next")
    });
    let options = json!({"model": "acme/first", "fallbackModels": ["acme/second", "a/3", "a/4", "a/5"]});
    let plugin = plugin_at(&service.base_url(), options);
    let mut asked = request("acme/first", "hello");
    asked.model = None;
    for _ in 0..3 {
        let reply = block_on(plugin.chat(&asked)).expect("others may be asked");
        assert_eq!(reply.text, "from the next");
    }
    let order: Vec<String> = service
        .requests()
        .iter()
        .map(|request| models(request)[0].clone())
        .collect();
    // The first call learns of the wait and goes on; the later ones leave that model out.
    assert_eq!(order, ["acme/first", "a/5", "acme/second", "acme/second"]);
    // Whoever asks for that model alone is told of it.
    let error = block_on(plugin.chat(&request("acme/first", "hello"))).expect_err("it may not be asked");
    assert_eq!(error.kind.code(), "rate_limit");
    assert!(
        error.message.starts_with("`acme/first` may not be asked for another "),
        "{}",
        error.message
    );
    assert!(error.retry_after_ms.is_some_and(|wait| wait > 3_000_000));
    assert_eq!(service.requests().len(), 4);
}

#[test]
fn a_model_that_fails_inside_its_answer_is_followed_by_the_next_one_at_the_head() {
    // The service does not go on by itself after it has answered with 200.
    let service = Faultd::answering(|request| match models(request)[0].as_str() {
        "acme/first" => Script::reply(200, &[], &json!({"error": {"code": 502, "message": "gone"}})),
        "acme/second" => Script::stream(&["data: [DONE]\n\n"]),
        _ => Script::answer("from the third"),
    });
    let options = json!({"model": "acme/first", "fallbackModels": ["acme/second", "acme/third"]});
    let plugin = plugin_at(&service.base_url(), options);
    let mut asked = request("acme/first", "hello");
    asked.model = None;
    let reply = block_on(async { plugin.stream(&asked).await?.collect().await }).expect("the third one answers");
    assert_eq!(reply.text, "from the third");
    let order: Vec<String> = service
        .requests()
        .iter()
        .map(|request| models(request)[0].clone())
        .collect();
    // An empty answer is asked for once more.
    assert_eq!(order, ["acme/first", "acme/second", "acme/second", "acme/third"]);
    let tried: Vec<&str> = reply
        .done
        .attempts
        .iter()
        .map(|attempt| attempt.model.as_str())
        .collect();
    assert_eq!(tried[..3], ["acme/first", "acme/second", "acme/second"]);
}

#[test]
fn an_answer_in_one_piece_that_came_is_never_asked_for_again() {
    let spoilt = json!({"id": "g", "model": "acme/model", "choices": [{"index": 0, "finish_reason": "error",
        "message": {"role": "assistant", "content": "half an answer"}, "error": {"code": 502, "message": "gone"}}]});
    let service = Faultd::playing([Script::reply(200, &[], &spoilt), Script::answer("again")]);
    let fallbacks = json!({"model": "acme/model", "fallbackModels": ["a/1", "a/2", "a/3", "a/4", "a/5"]});
    let plugin = plugin_at(&service.base_url(), fallbacks);
    let mut asked = request("acme/model", "hello");
    asked.model = None;
    let error = block_on(plugin.chat(&asked)).expect_err("it broke off");
    assert_eq!(error.details.partial_text.as_deref(), Some("half an answer"));
    assert_eq!(service.requests().len(), 1);
}

#[test]
fn a_service_that_fails_again_and_again_is_left_alone_for_a_while() {
    let service = Faultd::playing([Script::new().reset()]);
    let plugin = plugin_at(&service.base_url(), json!({"retry": {"attempts": 1}}));
    let codes: Vec<_> = (0..50).map(|_| code(&chat(&plugin))).collect();
    assert!(
        codes.iter().all(|code| ["connect", "unavailable"].contains(code)),
        "{codes:?}"
    );
    let n_requests = service.requests().len();
    assert!(n_requests < 50, "{n_requests} requests for 50 calls");
    let resting = chat(&plugin).expect_err("it is left alone");
    assert!(
        resting.is_retryable() && resting.retry_after_ms.is_some(),
        "{resting:?}"
    );
}

#[test]
fn a_second_service_takes_over_and_never_sees_the_first_ones_key() {
    const SECOND_KEY: &str = "second-key-4713";
    let first = Faultd::playing([Script::new().reset()]);
    let second = Faultd::playing([Script::answer("from the second")]);
    let first_url = first.base_url();
    let options = json!({"secondary": {"baseUrl": second.base_url(), "models": {"acme/model": "other-name"}}});
    let environment = [
        ("OPENROUTER_API_KEY", KEY),
        ("OPENROUTER_BASE_URL", first_url.as_str()),
        ("OPENROUTER_SECONDARY_API_KEY", SECOND_KEY),
    ];
    let plugin = plugin_with(&environment, options);
    // The first service has to fail for a while before it counts as away.
    let answered = (0..30)
        .filter(|_| stream(&plugin).is_ok_and(|reply| reply.text == "from the second"))
        .count();
    assert!(answered > 0, "the second service answers nobody");
    for request in second.requests() {
        assert_eq!(request.header("authorization"), Some(&*format!("Bearer {SECOND_KEY}")));
        assert_eq!(request.json()["model"], "other-name");
        assert!(!format!("{request:?}").contains(KEY));
    }
    for request in first.requests() {
        assert_eq!(request.header("authorization"), Some(&*format!("Bearer {KEY}")));
    }
}

#[test]
fn a_second_service_without_a_key_is_sent_none() {
    let first = Faultd::playing([busy()]);
    let second = Faultd::playing([Script::answer("from the second")]);
    let plugin = plugin_at(&first.base_url(), json!({"secondary": {"baseUrl": second.base_url()}}));
    let answered = (0..30).filter(|_| chat(&plugin).is_ok()).count();
    assert!(answered > 0, "the second service answers nobody");
    for request in second.requests() {
        assert_eq!(request.header("authorization"), None);
        assert!(!format!("{:?}", request.headers).contains(KEY));
    }
}

#[test]
fn a_new_profile_keeps_the_wait_that_the_service_asked_for() {
    let body = json!({"error": {"code": 429, "message": "slow down"}});
    let service = Faultd::playing([
        Script::reply(429, &[("retry-after", "3600")], &body),
        Script::answer("too early"),
    ]);
    let plugin = plugin_at(&service.base_url(), json!({}));
    assert_eq!(code(&chat(&plugin)), "rate_limit");
    let base_url = service.base_url();
    let environment = [("OPENROUTER_API_KEY", KEY), ("OPENROUTER_BASE_URL", base_url.as_str())];
    block_on(plugin.configure(&config_with(&environment, json!({"model": "acme/other"})))).expect("a good profile");
    let error = chat(&plugin).expect_err("it is told to wait");
    assert_eq!(
        (error.kind.code(), service.requests().len()),
        ("rate_limit", 1),
        "{error:?}"
    );
}
