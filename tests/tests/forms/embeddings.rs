//! Texts as vectors: the numbers that the service gives, one vector for each text, or an error and never a wrong one.

use std::collections::BTreeMap;

use plugin_api::{EmbedRequest, Embeddings, Error, ErrorKind, HttpRequest};
use sandbox::{Failure, Script};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use tests::faultd::{Faultd, Script as Bytes};
use tests::{block_on, service};

use crate::bench::{direct, once, plugin, plugin_at, plugin_of, post, requests_to, twins};

const MODEL: &str = "openai/text-embedding-3-small";

fn asked(input: &[&str]) -> EmbedRequest {
    EmbedRequest {
        input: input.iter().map(|text| (*text).to_owned()).collect(),
        ..EmbedRequest::default()
    }
}

/// The numbers in a body, as they are written there.
fn numbers(body: &Value) -> Vec<Vec<f32>> {
    let entries = body["data"].as_array().expect("a list");
    let vector = |entry: &Value| serde_json::from_value(entry["embedding"].clone()).expect("numbers");
    entries.iter().map(vector).collect()
}

/// What the service gives to whoever asks by hand.
fn by_hand(service: &sandbox::Sandbox, body: &Value) -> Vec<Vec<f32>> {
    let answer = direct(service, &post("/embeddings", body));
    numbers(&serde_json::from_slice(&answer.body).expect("JSON"))
}

#[test]
fn one_text_becomes_one_vector() {
    let twins = twins(|builder| builder);
    let embeddings = block_on(plugin(&twins.asked, json!({})).embed(&asked(&["rain in Paris"]))).expect("a vector");
    assert_eq!(
        embeddings.vectors,
        by_hand(&twins.direct, &json!({"model": MODEL, "input": "rain in Paris"}))
    );
    assert_eq!((embeddings.dimensions, embeddings.vectors.len()), (1536, 1));
}

#[test]
fn several_texts_become_vectors_in_their_order() {
    let twins = twins(|builder| builder);
    let texts: Vec<String> = (0..40).map(|n| format!("text number {n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let embeddings = block_on(plugin(&twins.asked, json!({})).embed(&asked(&texts))).expect("vectors");
    let given = by_hand(&twins.direct, &json!({"model": MODEL, "input": texts}));
    // 60 000 numbers, each of them to its last bit.
    assert_eq!(embeddings.vectors, given);
    assert_eq!(requests_to(&twins.asked, "/embeddings").len(), 1);
}

#[test]
fn vectors_have_the_length_that_was_asked_for() {
    let twins = twins(|builder| builder);
    let request = EmbedRequest {
        dimensions: Some(7),
        ..asked(&["a b", "c"])
    };
    let embeddings = block_on(plugin(&twins.asked, json!({})).embed(&request)).expect("vectors");
    let body = json!({"model": MODEL, "input": ["a b", "c"], "dimensions": 7});
    assert_eq!(embeddings.vectors, by_hand(&twins.direct, &body));
    assert_eq!(embeddings.dimensions, 7);
    let sent = &requests_to(&twins.asked, "/embeddings")[0].body;
    assert_eq!(
        *sent,
        json!({"model": MODEL, "input": ["a b", "c"], "dimensions": 7, "encoding_format": "float"})
    );
}

#[test]
fn the_tier_for_vectors_is_asked_unless_another_is_named() {
    let service = service();
    for id in ["acme/embeds", "acme/other", "acme/named"] {
        service.script(id, Script::default());
    }
    let options = json!({"tiers": {"TEXT_EMBEDDING": "acme/embeds", "TEXT_SMALL": "acme/other"},
        "fallbackModels": ["acme/chats"]});
    let plugin = plugin(&service, options);
    let some = |text: &str| Some(text.to_owned());
    for (tier, model, expected) in [
        (None, None, "acme/embeds"),
        (some("TEXT_EMBEDDING"), None, "acme/embeds"),
        (some("small"), None, "acme/other"),
        (some("small"), some("acme/named"), "acme/named"),
    ] {
        let request = EmbedRequest {
            tier,
            model,
            ..asked(&["x"])
        };
        let embeddings = block_on(plugin.embed(&request)).expect("a vector");
        assert_eq!(embeddings.done.requested_model.as_deref(), Some(expected));
        let sent = requests_to(&service, "/embeddings").pop().expect("one came").body;
        assert_eq!((&sent["model"], sent.get("models")), (&json!(expected), None));
    }
}

#[test]
fn a_variable_names_the_model_for_vectors() {
    let service = service();
    service.script("acme/embeds", Script::default());
    let variables = [("OPENROUTER_EMBEDDING_MODEL", "acme/embeds")];
    let embeddings = block_on(plugin_at(&service.base_url(), &variables, json!({})).embed(&asked(&["x"])));
    assert_eq!(embeddings.expect("a vector").done.model.as_deref(), Some("acme/embeds"));
}

#[test]
fn further_members_go_with_the_request_as_they_are() {
    let service = service();
    let parameters = [
        ("user", json!("u")),
        ("input_type", json!("query")),
        ("x_new", json!({"n": 1})),
    ];
    let request = EmbedRequest {
        parameters: parameters
            .map(|(name, value)| (name.to_owned(), to_raw_value(&value).expect("JSON")))
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
        ..asked(&["x"])
    };
    let options = json!({"parameters": {"temperature": 1, "user": "other"}});
    block_on(plugin(&service, options).embed(&request)).expect("a vector");
    let sent = &requests_to(&service, "/embeddings")[0].body;
    assert_eq!(
        *sent,
        json!({"model": MODEL, "input": ["x"], "encoding_format": "float", "user": "u", "input_type": "query",
            "x_new": {"n": 1}})
    );
}

#[test]
fn whom_the_profile_prefers_for_text_is_not_asked_for_vectors_unless_their_tier_says_so() {
    let service = service();
    let options = json!({"providerPreferences": {"sort": "price"},
        "tiers": {"TEXT_EMBEDDING": {"model": MODEL, "providerPreferences": {"zdr": true}}}});
    block_on(plugin(&service, options).embed(&asked(&["x"]))).expect("a vector");
    let options = json!({"providerPreferences": {"sort": "price"}});
    block_on(plugin(&service, options).embed(&asked(&["x"]))).expect("a vector");
    let sent: Vec<Value> = requests_to(&service, "/embeddings")
        .into_iter()
        .map(|request| request.body["provider"].clone())
        .collect();
    assert_eq!(sent, [json!({"zdr": true}), Value::Null]);
}

#[test]
fn what_was_billed_is_told() {
    let embeddings = block_on(plugin(&service(), json!({})).embed(&asked(&["one two three"]))).expect("a vector");
    let usage = embeddings.done.usage.expect("it is told");
    assert!(usage.prompt_tokens > 0);
    assert!(usage.cost_usd.is_some_and(|cost| cost.starts_with("0.0000000")));
    assert_eq!(embeddings.done.model.as_deref(), Some(MODEL));
}

#[test]
fn a_request_without_a_text_or_without_a_length_is_refused_before_any_request() {
    let service = service();
    let plugin = plugin(&service, once());
    let none = block_on(plugin.embed(&asked(&[]))).expect_err("a refusal");
    let request = EmbedRequest {
        dimensions: Some(0),
        ..asked(&["x"])
    };
    let short = block_on(plugin.embed(&request)).expect_err("a refusal");
    assert_eq!(
        [none.message.as_str(), short.message.as_str()],
        [
            "expected at least one text to embed, found none",
            "expected `dimensions` of at least 1, found 0"
        ]
    );
    assert_eq!(service.requests(), []);
}

/// What becomes of this answer to a request for the vectors of two texts.
fn answered(body: &Value, dimensions: Option<u32>) -> Result<Embeddings, Error> {
    let service = Faultd::playing([Bytes::reply(200, &[], body)]);
    let request = EmbedRequest {
        dimensions,
        ..asked(&["a", "b"])
    };
    let embeddings = block_on(plugin_of(&service, once()).embed(&request));
    assert_eq!(service.requests().len(), 1);
    embeddings
}

#[test]
fn vectors_in_another_order_are_put_into_that_of_the_texts() {
    let body = json!({"data": [{"index": 1, "embedding": [3, -4.5]}, {"index": 0, "embedding": [1e-3, 2]}]});
    assert_eq!(
        answered(&body, Some(2)).expect("vectors").vectors,
        [vec![0.001, 2.0], vec![3.0, -4.5]]
    );
}

#[test]
fn an_answer_that_is_not_the_vectors_of_the_texts_is_an_error() {
    let one = json!({"index": 0, "embedding": [1, 2]});
    let two = json!({"index": 1, "embedding": [1, 2]});
    let advice = "not every model can shorten its vectors: leave `dimensions` out, or choose another model";
    for (body, dimensions, message, hint) in [
        (
            json!({"data": [one]}),
            None,
            "expected a vector for each of 2 texts, found 1",
            None,
        ),
        (
            json!({"data": [one, two, two]}),
            None,
            "expected a vector for each of 2 texts, found 3",
            None,
        ),
        (
            json!({"data": [one, one]}),
            None,
            "expected one vector for each text, found two for one",
            None,
        ),
        (
            json!({"data": [one, {"index": 7, "embedding": [1, 2]}]}),
            None,
            "expected one vector for each text, found two for one",
            None,
        ),
        (
            json!({"data": [one, two]}),
            Some(3),
            "expected vectors of 3 numbers, found one of 2",
            Some(advice),
        ),
        (
            json!({"data": [one, {"index": 1, "embedding": [1]}]}),
            None,
            "expected vectors of 2 numbers, found one of 1",
            Some(advice),
        ),
        (
            json!({"data": [{"embedding": "AAAA"}, {"embedding": "AAAA"}]}),
            None,
            "expected a list of vectors, found something else",
            None,
        ),
        (
            json!({"data": "none"}),
            None,
            "expected a list of vectors, found something else",
            None,
        ),
        (
            json!([]),
            None,
            "expected a list of vectors, found something else",
            None,
        ),
    ] {
        let error = answered(&body, dimensions).expect_err("it is not");
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::PROTOCOL, message),
            "{body}"
        );
        if hint.is_some() {
            assert_eq!(error.hint(), hint, "{body}");
        }
    }
}

#[test]
fn empty_vectors_are_an_error() {
    let body = json!({"data": [{"index": 0, "embedding": []}, {"index": 1, "embedding": []}]});
    let error = answered(&body, None).expect_err("they are no vectors");
    assert_eq!(error.kind, ErrorKind::PROTOCOL);
}

#[test]
fn numbers_that_no_vector_can_have_are_an_error() {
    let body = json!({"data": [{"index": 0, "embedding": [1e300, 1]}, {"index": 1, "embedding": [1, 2]}]});
    let error = answered(&body, None).expect_err("no 32-bit number is so large");
    assert_eq!(error.kind, ErrorKind::PROTOCOL);
}

#[test]
fn what_the_service_refuses_is_told() {
    let service = service();
    let request = EmbedRequest {
        dimensions: Some(4000),
        ..asked(&["x"])
    };
    let error = block_on(plugin(&service, json!({})).embed(&request)).expect_err("it has fewer");
    assert_eq!(
        (error.kind, error.details.status),
        (ErrorKind::INVALID_REQUEST, Some(400))
    );
    assert!(error.message.contains("expected at most 1536"), "{error}");
}

#[test]
fn what_is_refused_for_now_is_asked_again() {
    let service = service();
    let script = Script {
        fail: Some(Failure {
            retry_after_s: Some(0),
            ..Failure::status(429)
        }),
        fail_times: Some(1),
        ..Script::default()
    };
    service.script("acme/embeds", script);
    let request = EmbedRequest {
        model: Some("acme/embeds".to_owned()),
        ..asked(&["x"])
    };
    let embeddings = block_on(plugin(&service, json!({})).embed(&request)).expect("a vector");
    assert_eq!(embeddings.dimensions, 256);
    assert_eq!(crate::bench::codes(&embeddings.notices), ["retry"]);
}

#[test]
fn the_raw_form_of_the_same_is_the_services() {
    let twins = twins(|builder| builder);
    let body = json!({"model": MODEL, "input": "x", "encoding_format": "base64"});
    let request: HttpRequest = post("/embeddings", &body);
    let answer = crate::bench::good(&plugin(&twins.asked, json!({})), request.clone());
    assert_eq!(crate::bench::Direct::of(&answer), direct(&twins.direct, &request));
}
