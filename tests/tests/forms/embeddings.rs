//! Texts as embeddings: the service's numbers, one vector for each text, or an error.

use plugin_api::{EmbedRequest, ErrorKind};
use sandbox::Script;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use tests::faultd::{Faultd, Script as Bytes};
use tests::{block_on, service};

use crate::bench::{direct, once, plugin, plugin_at, plugin_of, post, requests_to, twins, with};

const MODEL: &str = "openai/text-embedding-3-small";

fn asked(input: &[&str]) -> EmbedRequest {
    EmbedRequest {
        input: input.iter().map(|text| (*text).to_owned()).collect(),
        ..EmbedRequest::default()
    }
}

#[test]
fn every_number_is_the_services_and_in_the_order_of_the_texts() {
    let many: Vec<String> = (0..40).map(|n| format!("text number {n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (texts, dimensions) in [(&["rain in Paris"][..], None), (&many, None), (&["a b", "c"], Some(7))] {
        let twins = twins(|builder| builder);
        let request = EmbedRequest {
            dimensions,
            ..asked(texts)
        };
        let embeddings = block_on(plugin(&twins.asked, json!({})).embed(&request)).expect("vectors");
        let mut body = json!({"model": MODEL, "input": texts, "encoding_format": "float"});
        if let Some(dimensions) = dimensions {
            body["dimensions"] = json!(dimensions);
        }
        let sent = requests_to(&twins.asked, "/embeddings");
        assert_eq!(sent.iter().map(|request| &request.body).collect::<Vec<_>>(), [&body]);

        let given: Value =
            serde_json::from_slice(&direct(&twins.direct, &post("/embeddings", &body)).body).expect("JSON");
        let entries = given["data"].as_array().expect("a list").iter();
        let vector = |entry: &Value| serde_json::from_value(entry["embedding"].clone()).expect("numbers");
        let given: Vec<Vec<f32>> = entries.map(vector).collect();
        assert!(embeddings.vectors == given, "{dimensions:?}: some number changed");
        assert_eq!(
            (embeddings.dimensions, given.len()),
            (dimensions.map_or(1536, |n| n as usize), texts.len())
        );
        let usage = embeddings.done.usage.expect("a bill");
        assert!(usage.prompt_tokens > 0 && usage.cost_usd.is_some_and(|cost| cost.starts_with("0.0000")));
        assert_eq!(embeddings.done.model.as_deref(), Some(MODEL));
    }
}

#[test]
fn the_embedding_tier_is_asked_unless_another_model_or_tier_is_named() {
    let service = service();
    for id in ["acme/embeds", "acme/other", "acme/named"] {
        service.script(id, Script::default());
    }
    let options = json!({"tiers": {"TEXT_SMALL": "acme/other"}, "fallbackModels": ["acme/chats"]});
    let variables = [("OPENROUTER_EMBEDDING_MODEL", "acme/embeds")];
    let plugin = plugin_at(&service.base_url(), &variables, options);
    for (tier, model, expected) in [
        (None, None, "acme/embeds"),
        (Some("TEXT_EMBEDDING"), None, "acme/embeds"),
        (Some("small"), None, "acme/other"),
        (Some("small"), Some("acme/named"), "acme/named"),
    ] {
        let request = EmbedRequest {
            tier: tier.map(str::to_owned),
            model: model.map(str::to_owned),
            ..asked(&["x"])
        };
        let embeddings = block_on(plugin.embed(&request)).expect("a vector");
        assert_eq!(embeddings.done.requested_model.as_deref(), Some(expected));
        let sent = requests_to(&service, "/embeddings").pop().expect("one came").body;
        assert_eq!((&sent["model"], sent.get("models")), (&json!(expected), None));
    }
}

#[test]
fn only_parameters_and_preferences_that_concern_embeddings_are_sent() {
    let preferences = json!({"sort": "price"});
    let tier = json!({"TEXT_EMBEDDING": {"model": MODEL, "providerPreferences": {"zdr": true}}});
    let rows = json!([
        ["the call's parameters", {"parameters": {"temperature": 1, "user": "other"}},
            {"user": "u", "input_type": "query", "x_new": {"n": 1}},
            {"user": "u", "input_type": "query", "x_new": {"n": 1}}],
        ["the profile's preferences", {"providerPreferences": preferences}, {}, {}],
        ["the tier's preferences", {"providerPreferences": preferences, "tiers": tier}, {},
            {"provider": {"zdr": true}}],
    ]);
    for row in rows.as_array().expect("a table") {
        let service = service();
        let parameters = row[2].as_object().expect("an object").iter();
        let request = EmbedRequest {
            parameters: parameters
                .map(|(name, value)| (name.clone(), to_raw_value(value).expect("JSON")))
                .collect(),
            ..asked(&["x"])
        };
        block_on(plugin(&service, row[1].clone()).embed(&request)).expect("a vector");
        let expected = with(
            json!({"model": MODEL, "input": ["x"], "encoding_format": "float"}),
            &row[3],
        );
        assert_eq!(requests_to(&service, "/embeddings")[0].body, expected, "{}", row[0]);
    }
}

#[test]
fn embeddings_of_no_text_or_no_length_are_refused_before_sending() {
    let service = service();
    let plugin = plugin(&service, once());
    let no_length = EmbedRequest {
        dimensions: Some(0),
        ..asked(&["x"])
    };
    for (request, message) in [
        (asked(&[]), "expected at least one text to embed, found none"),
        (no_length, "expected `dimensions` of at least 1, found 0"),
    ] {
        let error = block_on(plugin.embed(&request)).expect_err("a refusal");
        assert_eq!(error.message, message);
    }
    assert_eq!(service.requests(), []);
}

#[test]
fn vectors_that_do_not_match_the_texts_are_an_error() {
    let hint = "omit `dimensions`, or choose a model that can shorten its vectors";
    let rows = json!([
        [{"data": [{"index": 0, "embedding": [1, 2]}, {"index": 7, "embedding": [1, 2]}]}, null,
            "expected one vector for each text, found two for one"],
        [{"data": [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [1, 2]}]}, 3,
            "expected vectors of 3 numbers, found one of 2"],
        [{"data": [{"embedding": "AAAA"}, {"embedding": "AAAA"}]}, null,
            "expected a list of vectors, found something else"],
        [[], null, "expected a list of vectors, found something else"],
        // No 32-bit number is so large.
        [{"data": [{"index": 0, "embedding": [1e300, 1]}, {"index": 1, "embedding": [1, 2]}]}, null, ""],
    ]);
    for row in rows.as_array().expect("a table") {
        let service = Faultd::playing([Bytes::reply(200, &[], &row[0])]);
        let request = EmbedRequest {
            dimensions: serde_json::from_value(row[1].clone()).expect("a number or null"),
            ..asked(&["a", "b"])
        };
        let error = block_on(plugin_of(&service, once()).embed(&request)).expect_err("it is not");
        assert_eq!(error.kind, ErrorKind::PROTOCOL, "{row}");
        assert!(
            error.message.starts_with(row[2].as_str().expect("a text")),
            "{row}: {error}"
        );
        if !row[1].is_null() {
            assert_eq!(error.hint(), Some(hint), "{row}");
        }
        assert_eq!(service.requests().len(), 1);
    }
}
