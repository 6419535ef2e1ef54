//! What the service writes whole arrives as it was written: answers in every form, sound, and answers of no model.

use plugin_api::{Done, HttpRequest};
use sandbox::{Builder, Sandbox, Script};
use serde_json::json;
use tests::canary::CANARY;
use tests::faultd::{Faultd, Script as Bytes, head, json_reply};
use tests::{LIMIT, block_on, poll_once};

use crate::bench::{
    Direct, MODEL, bad, chat, chat_with, direct, get, good, json_of, message_of, once, plugin, plugin_of, post,
    raw_stream, service_playing, streaming, twins, with_header, without_times, writing_forms,
};

/// Has [`MODEL`] use everything that the forms have a place for.
pub fn talkative(builder: Builder) -> Builder {
    let script = Script {
        reasoning: Some("Let me see: \u{e9}, \u{1f302}.".to_owned()),
        text: Some("It \"rains\" in \\ Z\u{fc}rich.\n\u{1f327}".to_owned()),
        extra: json!({"x_new": {"n": 1.0, "text": "\u{e9}"}})
            .as_object()
            .cloned()
            .unwrap_or_default(),
        event_lines: true,
        ..Script::default()
    };
    builder.script(MODEL, script)
}

/// A request for speech.
pub fn speech() -> HttpRequest {
    post(
        "/audio/speech",
        &json!({"model": "openai/gpt-4o-mini-tts", "input": "two words", "voice": "alloy"}),
    )
}

#[test]
fn a_whole_answer_keeps_its_bytes_in_every_form() {
    let embeddings = json!({"model": "openai/text-embedding-3-small", "input": ["a", "b"], "dimensions": 5});
    let rerank = json!({"model": "cohere/rerank-v3.5", "query": "rain", "documents": ["sun", "rain and sun"]});
    let others = [post("/embeddings", &embeddings), post("/rerank", &rerank), speech()];
    let twins = twins(talkative);
    let plugin = plugin(&twins.asked, json!({}));
    for request in writing_forms().into_iter().chain(others) {
        let path = request.path.clone();
        let given = direct(&twins.direct, &request);
        let answer = good(&plugin, request);
        assert_eq!(given.status, 200, "{path}");
        assert_eq!(Direct::of(&answer), given, "{path}");
        if path == "/audio/speech" {
            assert!(std::str::from_utf8(&answer.body).is_err(), "sound is no text");
        }
        if ["/rerank", "/audio/speech"].contains(&&*path) {
            continue;
        }
        let body = json_of(&answer);
        assert_eq!(answer.done.model.as_deref(), body["model"].as_str(), "{path}");
        assert_eq!(answer.done.generation_id.as_deref(), body["id"].as_str(), "{path}");
        assert_eq!(answer.head.header("x-generation-id"), body["id"].as_str(), "{path}");
        let cost = answer.done.usage.and_then(|usage| usage.cost_usd);
        assert!(cost.is_some_and(|cost| cost.starts_with("0.0")), "{path}");
    }
}

#[test]
fn lists_accounts_and_404s_keep_their_bytes() {
    // They are asked for what the API's description does not contain, which a `Service` would not allow.
    let [asked, by_hand] = [(); 2].map(|()| {
        let sandbox = talkative(Sandbox::builder().key(CANARY)).page_size(3).start();
        sandbox.expect("a port and a thread are free")
    });
    let plugin = plugin(&asked, json!({}));
    for path in [
        "/models?supported_parameters=tools&offset=3",
        "/models/count",
        "/key",
        "/models/user",
    ] {
        let given = direct(&by_hand, &get(path));
        assert_eq!(given.status, 200, "{path}");
        assert_eq!(Direct::of(&good(&plugin, get(path))), given, "{path}");
    }
    for path in ["/generation?id=none", "/no/such/path"] {
        let given = direct(&by_hand, &get(path));
        let answer = bad(&plugin, get(path))
            .details
            .answer
            .expect("the service's own answer");
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (given.status, given.text()),
            "{path}"
        );
    }
}

#[test]
fn every_form_reports_why_an_answer_ended() {
    let script = Script {
        finish_reason: Some("length".to_owned()),
        ..Script::text("It rai")
    };
    let service = service_playing(script);
    let plugin = plugin(&service, json!({}));
    for (request, reason) in writing_forms()
        .into_iter()
        .zip(["length", "length", "length", "max_tokens"])
    {
        let path = request.path.clone();
        let streamed = raw_stream(&plugin, streaming(&request)).reply().done;
        let whole = good(&plugin, request).done;
        assert_eq!([&whole.finish_reason, &streamed.finish_reason], [reason; 2], "{path}");
        let cost = |done: Done| done.usage.and_then(|usage| usage.cost_usd);
        assert_eq!(cost(whole), cost(streamed), "{path}");
    }
}

#[test]
fn an_answer_of_no_model_reports_its_status_and_nothing_else() {
    let body = json!({"id": "file-1", "status": "incomplete", "error": null});
    let empty = head(204, &[("content-type", "application/json")]);
    for (status, reply) in [
        (200, json_reply(200, &[], &body)),
        (201, json_reply(201, &[], &body)),
        (202, json_reply(202, &[], &body)),
        (204, empty),
    ] {
        let service = Faultd::playing([Bytes::new().send(reply)]);
        let plugin = plugin_of(&service, once());
        for request in [get("/files/1"), post("/files", &json!({"x": 1}))] {
            let answer = good(&plugin, request);
            assert_eq!(
                (answer.head.status, without_times(answer.done)),
                (status, Done::default())
            );
        }
    }
}

#[test]
fn a_caller_who_asks_for_metadata_gets_every_attempt() {
    let twins = twins(|builder| {
        builder
            .script("a/down", Script::status(503))
            .script(MODEL, Script::text("yes"))
    });
    let asked = chat_with(&json!({"model": "a/down", "models": [MODEL]}));
    let asked = with_header(asked, "x-openrouter-metadata", "enabled");
    let answer = good(&plugin(&twins.asked, json!({})), asked.clone());
    assert_eq!(Direct::of(&answer), direct(&twins.direct, &asked));
    let attempts = answer
        .done
        .attempts
        .iter()
        .map(|attempt| (attempt.model.as_str(), attempt.status));
    assert_eq!(
        attempts.collect::<Vec<_>>(),
        [("a/down", Some(503)), (MODEL, Some(200))]
    );
    assert_eq!(answer.done.requested_model.as_deref(), Some("a/down"));
    assert_eq!(
        message_of(&answer.notices, "fallback"),
        "`a/down` (503: No provider can serve the model now) could not answer; `acme/model` answers instead"
    );
}

#[test]
fn dropping_a_raw_call_ends_its_request() {
    let service = service_playing(Script {
        comments_forever: true,
        chunk_delay_ms: 10,
        stall_after_chunks: Some(1),
        ..Script::words(5)
    });
    let plugin = plugin(&service, json!({}));
    block_on(async {
        let mut call = Box::pin(plugin.raw(chat(MODEL)));
        assert!(poll_once(call.as_mut()).is_pending());
        service.wait_for_requests(1, LIMIT).expect("it comes");
    });
    service.wait_until_idle(LIMIT).expect("the whole answer ends");
    block_on(async {
        let mut stream = plugin.raw_stream(chat(MODEL)).await.expect("it opens");
        stream.next().await.expect("an event").expect("no error");
    });
    service.wait_until_idle(LIMIT).expect("the stream ends");
}
