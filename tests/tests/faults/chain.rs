//! Services that fail for longer, and the models and services that take over.

use plugin_api::{ChatReply, ChatRequest, Error, Plugin};
use serde_json::{Value, json};
use tests::faultd::{Arrival, Faultd, Script};
use tests::{block_on, config_at, openrouter, request};

use crate::call::{KEY, chat, code, once, plugin_at, stream};

/// The first model that a request names.
fn model(request: &Arrival) -> String {
    request.json()["model"].as_str().unwrap_or_default().to_owned()
}

/// The first model of each request so far.
fn first_models(service: &Faultd) -> Vec<String> {
    service.requests().iter().map(model).collect()
}

/// A request that leaves the model to the profile.
fn any_model() -> ChatRequest {
    ChatRequest {
        model: None,
        ..request("", "hello")
    }
}

fn chat_with_any(plugin: &Plugin) -> Result<ChatReply, Error> {
    block_on(plugin.chat(&any_model()))
}

fn stream_from_any(plugin: &Plugin) -> Result<ChatReply, Error> {
    block_on(async { plugin.stream(&any_model()).await?.collect().await })
}

#[test]
fn a_rate_limit_of_one_model_does_not_hold_up_its_chain() {
    let service = Faultd::answering(|request| {
        if model(request) == "acme/first" {
            let error = json!({"error": {"code": 429, "message": "full", "metadata": {"provider_name": "Acme"}}});
            return Script::reply(429, &[("retry-after", "3600")], &error);
        }
        Script::answer("from the next")
    });
    let options = json!({"model": "acme/first", "fallbackModels": ["acme/second", "a/3", "a/4", "a/5"]});
    let plugin = plugin_at(&service.base_url(), options);
    for _ in 0..3 {
        let reply = chat_with_any(&plugin).expect("the next models answer");
        assert_eq!(reply.text, "from the next");
    }
    // The first call learns of the rate limit and goes on; later calls skip that model.
    assert_eq!(
        first_models(&service),
        ["acme/first", "a/5", "acme/second", "acme/second"]
    );
    // A call for that model alone fails at once.
    let error = block_on(plugin.chat(&request("acme/first", "hello"))).expect_err("it is rate limited");
    assert_eq!(error.kind.code(), "rate_limit");
    assert!(
        error.message.starts_with("`acme/first` is rate-limited for another "),
        "{}",
        error.message
    );
    assert!(error.retry_after_ms.is_some_and(|wait_ms| wait_ms > 3_000_000));
    assert_eq!(service.requests().len(), 4);
}

/// A rate limit of one model, for this long.
fn limited(seconds: &str) -> Script {
    let error = json!({"error": {"code": 429, "message": "full", "metadata": {"provider_name": "Acme"}}});
    Script::reply(429, &[("retry-after", seconds)], &error)
}

#[test]
fn a_wait_is_for_the_first_model_of_the_whole_chain() {
    let service = Faultd::answering(|request| match model(request).as_str() {
        "a/2" => limited("2000"),
        "a/5" => limited("9000"),
        _ => limited("4000"),
    });
    let options = json!({"model": "a/1", "fallbackModels": ["a/2", "a/3", "a/4", "a/5"], "retry": {"attempts": 1}});
    let plugin = plugin_at(&service.base_url(), options);
    let calls = (0..5).map(|_| chat_with_any(&plugin).expect_err("all are rate limited"));
    let error = calls.collect::<Vec<Error>>().pop().expect("there were calls");
    assert!(
        error.message.starts_with("`a/2` is rate-limited for another "),
        "{error}"
    );
    assert!(
        error.retry_after_ms.is_some_and(|wait_ms| wait_ms <= 2_000_000),
        "{error:?}"
    );
}

#[test]
fn a_model_that_is_passed_over_is_reported_once_in_a_call() {
    let service = Faultd::answering(|request| match (model(request).as_str(), request.number) {
        ("acme/first", _) => limited("3600"),
        (_, 1..=3) => Script::reply(503, &[], &json!({"error": {"code": 503, "message": "down"}})),
        _ => Script::answer("at last"),
    });
    let options = json!({"model": "acme/first", "fallbackModels": ["acme/second"], "retry": {"attempts": 4}});
    let plugin = plugin_at(&service.base_url(), options);
    // One request asks both models, and is refused for both.
    assert_eq!(code(&chat_with_any(&plugin)), "rate_limit");
    let reply = chat_with_any(&plugin).expect("the second model answers");
    let told = reply
        .notices
        .iter()
        .filter(|notice| notice.message.contains("is rate-limited; trying"));
    assert_eq!(told.count(), 1, "{:?}", reply.notices);
    let about = reply.notices[0].about.as_deref().expect("it names the model");
    let named = about
        .passed_over
        .iter()
        .map(|attempt| (attempt.model.as_str(), attempt.code.as_deref()));
    assert_eq!(named.collect::<Vec<_>>(), [("acme/first", Some("rate_limit"))]);
}

/// The daily limit of free models, as a status or inside an answer. It ends in the year 2100.
fn free_limit(is_inside: bool) -> Script {
    let headers = json!({"X-RateLimit-Limit": "50", "X-RateLimit-Reset": "4102444800000"});
    let message = "Rate limit exceeded: free-models-per-day. Add credits to raise it";
    let error = json!({"error": {"code": 429, "message": message, "metadata": {"headers": headers}}});
    Script::reply(if is_inside { 200 } else { 429 }, &[], &error)
}

#[test]
fn a_limit_of_free_models_holds_for_free_models_only() {
    let is_free = |request: &Arrival| {
        let body = request.json();
        let ids = std::iter::once(&body["model"]).chain(body["models"].as_array().into_iter().flatten());
        ids.filter_map(Value::as_str)
            .any(|id| id.ends_with(":free") || id == "openrouter/free")
    };
    for is_inside in [false, true] {
        let service = Faultd::answering(move |request| match is_free(request) {
            true => free_limit(is_inside),
            false => Script::answer("paid"),
        });
        let plugin = plugin_at(&service.base_url(), json!({}));
        let error = block_on(plugin.chat(&request("acme/a:free", "hello"))).expect_err("the day is used up");
        assert_eq!(
            (error.kind.code(), service.requests().len()),
            ("rate_limit", 1),
            "{error:?}"
        );
        assert!(error.retry_after_ms > Some(3_600_000), "{error:?}");
        for model in ["acme/b:free", "openrouter/free"] {
            assert_eq!(
                code(&block_on(plugin.chat(&request(model, "hello")))),
                "rate_limit",
                "{model}"
            );
        }
        assert_eq!(service.requests().len(), 1, "no other free model is asked");
        assert_eq!(chat(&plugin).expect("a paid model is asked").text, "paid");

        // Four free models fill the first request; in the other chain a paid one is in it.
        for chain in [
            &[
                "a/1:free",
                "a/2:free",
                "a/3:free",
                "openrouter/free",
                "a/5:free",
                "acme/paid",
            ][..],
            &["a/1:free", "acme/paid", "a/2:free"],
        ] {
            let options = json!({"model": chain[0], "fallbackModels": chain[1..], "retry": {"attempts": 1}});
            let plugin = plugin_at(&service.base_url(), options);
            for (reply, told) in [
                (chat_with_any(&plugin), "free-models-per-day"),
                (stream_from_any(&plugin), "rate-limited; trying `acme/paid` instead"),
            ] {
                let reply = reply.expect("the paid model answers");
                assert_eq!(reply.text, "paid", "{chain:?}");
                let mut notices = reply.notices.iter();
                assert!(
                    notices.any(|notice| notice.message.contains(told)),
                    "{:?}",
                    reply.notices
                );
            }
        }
    }
}

#[test]
fn a_model_that_fails_inside_its_answer_is_followed_by_the_next() {
    // Once it has answered 200, the service itself does not go on to the next model.
    let service = Faultd::answering(|request| match model(request).as_str() {
        "acme/first" => Script::reply(200, &[], &json!({"error": {"code": 502, "message": "gone"}})),
        "acme/second" => Script::stream(&["data: [DONE]\n\n"]),
        _ => Script::answer("from the third"),
    });
    let options = json!({"model": "acme/first", "fallbackModels": ["acme/second", "acme/third"]});
    let reply = stream_from_any(&plugin_at(&service.base_url(), options)).expect("the third one answers");
    assert_eq!(reply.text, "from the third");
    // An empty answer is asked for once more.
    let order = ["acme/first", "acme/second", "acme/second", "acme/third"];
    assert_eq!(first_models(&service), order);
    let tried: Vec<&str> = reply
        .done
        .attempts
        .iter()
        .map(|attempt| attempt.model.as_str())
        .collect();
    assert_eq!(tried[..3], order[..3]);
}

/// Refuses a request that names an id with `dead` in it, as the service does: unread, for one id of several.
fn without_the_dead(request: &Arrival, does_it_say_which: bool) -> Script {
    let body = request.json();
    let ids = std::iter::once(&body["model"]).chain(body["models"].as_array().into_iter().flatten());
    let all: Vec<&str> = ids.filter_map(Value::as_str).collect();
    let Some(dead) = all.iter().find(|id| id.contains("dead")) else {
        return Script::answer(&format!("from {}", all[0]));
    };
    let message = if does_it_say_which {
        format!("{dead} is not a valid model ID")
    } else {
        "No endpoints found.".to_owned()
    };
    Script::reply(400, &[], &json!({"error": {"code": 400, "message": message}}))
}

#[test]
fn a_dead_id_does_not_disable_a_chain() {
    // No retries are allowed, and none is needed.
    let rows: [(&[&str], &str); 5] = [
        (&["acme/dead", "acme/b"], "acme/b"),
        (&["acme/a", "acme/dead"], "acme/a"),
        (
            &[
                "acme/dead-1",
                "acme/dead-2",
                "acme/dead-3",
                "acme/dead-4",
                "acme/dead-5",
                "acme/f",
            ],
            "acme/f",
        ),
        (&["acme/a", "acme/dead", "acme/dead-2", "acme/d"], "acme/a"),
        (&["acme/dead", "acme/b", "acme/dead-2", "acme/d"], "acme/b"),
    ];
    for (chain, answers) in rows {
        for says_which in [true, false] {
            let service = Faultd::answering(move |request| without_the_dead(request, says_which));
            let options = json!({"model": chain[0], "fallbackModels": chain[1..], "retry": {"attempts": 1}});
            let plugin = plugin_at(&service.base_url(), options);
            for reply in [chat_with_any(&plugin), stream_from_any(&plugin)] {
                let reply = reply.expect("an answer");
                assert_eq!(reply.text, format!("from {answers}"), "{chain:?} {says_which}");
                let is_told = reply.notices.iter().any(|notice| notice.message.contains("dead"));
                assert_eq!(
                    is_told,
                    says_which || chain[0].contains("dead"),
                    "{chain:?} {:?}",
                    reply.notices
                );
            }
        }
    }
}

#[test]
fn a_chain_of_dead_ids_names_each() {
    for says_which in [true, false] {
        let service = Faultd::answering(move |request| without_the_dead(request, says_which));
        let options = json!({"model": "acme/dead", "fallbackModels": ["acme/dead-2", "acme/dead-3"]});
        let error = chat_with_any(&plugin_at(&service.base_url(), options)).expect_err("there is nobody");
        assert_eq!(error.kind.code(), "not_found");
        let beginning = "none of `acme/dead`, `acme/dead-2`, `acme/dead-3` can be asked; the last: ";
        assert!(error.message.starts_with(beginning), "{}", error.message);
        let tried: Vec<&str> = error
            .details
            .attempts
            .iter()
            .map(|attempt| attempt.model.as_str())
            .collect();
        assert!(
            tried.ends_with(&["acme/dead", "acme/dead-2", "acme/dead-3"]),
            "{tried:?}"
        );
    }
}

#[test]
fn empty_answers_are_asked_for_once_more_then_the_chain_goes_on() {
    let empty = "data: {\"choices\":[{\"delta\":{\"content\":\"\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let service = Faultd::answering(move |request| match model(request).as_str() {
        "acme/first" => Script::stream(&[empty]),
        _ => Script::answer("from the second"),
    });
    let options = json!({"model": "acme/first", "fallbackModels": ["acme/second"]});
    let reply = stream_from_any(&plugin_at(&service.base_url(), options)).expect("the second one answers");
    assert_eq!(reply.text, "from the second");
    assert_eq!(first_models(&service), ["acme/first", "acme/first", "acme/second"]);
    // Without a chain the empty answer is passed on, and reported.
    let reply = stream_from_any(&plugin_at(&service.base_url(), json!({"model": "acme/first"}))).expect("an answer");
    assert_eq!(
        reply.notices.last().map(|notice| notice.code.as_str()),
        Some("empty_answer")
    );
}

#[test]
fn a_whole_answer_that_broke_off_is_not_asked_for_again() {
    let broken = json!({"id": "g", "model": "acme/model", "choices": [{"index": 0, "finish_reason": "error",
        "message": {"role": "assistant", "content": "half an answer"}, "error": {"code": 502, "message": "gone"}}]});
    let service = Faultd::playing([Script::reply(200, &[], &broken), Script::answer("again")]);
    let options = json!({"model": "acme/model", "fallbackModels": ["a/1", "a/2", "a/3", "a/4", "a/5"]});
    let error = chat_with_any(&plugin_at(&service.base_url(), options)).expect_err("it broke off");
    assert_eq!(error.details.partial_text.as_deref(), Some("half an answer"));
    assert_eq!(service.requests().len(), 1);
}

#[test]
fn a_service_that_keeps_failing_opens_the_circuit_breaker() {
    let service = Faultd::playing([Script::new().reset()]);
    let plugin = plugin_at(&service.base_url(), once());
    // It opens after ten failures, and closes for one call every few seconds.
    let errors: Vec<Error> = (0..50).map(|_| chat(&plugin).expect_err("a reset")).collect();
    let (failed, refused): (Vec<_>, Vec<_>) = errors.iter().partition(|error| error.kind.code() == "connect");
    assert_eq!(failed.len(), service.requests().len());
    assert!(errors[..10].iter().all(|error| error.kind.code() == "connect"));
    assert!(!refused.is_empty());
    for error in refused {
        assert_eq!(error.kind.code(), "unavailable", "{error:?}");
        assert!(error.is_retryable() && error.retry_after_ms.is_some(), "{error:?}");
    }
}

#[test]
fn a_second_service_takes_over_and_never_sees_the_first_ones_key() {
    const SECOND_KEY: &str = "second-key-4713";
    let first = Faultd::playing([Script::new().reset()]);
    let second = Faultd::playing([Script::answer("from the second")]);
    let options = json!({"retry": {"attempts": 1},
        "secondary": {"baseUrl": second.base_url(), "models": {"acme/model": "other-name"}}});
    let mut config = config_at(&first.base_url(), KEY, options);
    let second_key = ("OPENROUTER_SECONDARY_API_KEY".to_owned(), SECOND_KEY.to_owned());
    config.environment.extend([second_key]);
    let plugin = openrouter(&config);
    // The first service has to fail ten times before its circuit breaker opens.
    let answers = (0..30).filter_map(|_| stream(&plugin).ok());
    assert!(answers.filter(|reply| reply.text == "from the second").count() > 0);
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
    let body = json!({"error": {"code": 503, "message": "not now"}});
    let first = Faultd::playing([Script::reply(503, &[("retry-after-ms", "1")], &body)]);
    let second = Faultd::playing([Script::answer("from the second")]);
    let plugin = plugin_at(&first.base_url(), json!({"secondary": {"baseUrl": second.base_url()}}));
    assert!((0..30).filter(|_| chat(&plugin).is_ok()).count() > 0);
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
    let profile = config_at(&service.base_url(), KEY, json!({"model": "acme/other"}));
    block_on(plugin.configure(&profile)).expect("a good profile");
    let error = chat(&plugin).expect_err("it has to wait");
    let found = (error.kind.code(), service.requests().len());
    assert_eq!(found, ("rate_limit", 1), "{error:?}");
}
