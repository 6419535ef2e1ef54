//! What a host sends arrives at the plugin unchanged, and the reverse; linked or loaded makes no difference.

use std::pin::pin;

use plugin_api::{ChatEvent, ChatReply, Config, Error, ErrorKind, Payload, PluginModule, loader};
use plugin_openrouter::OpenRouter;
use sandbox::Script;
use serde_json::{Value, json};
use tests::{ask, block_on, openrouter_config, openrouter_plugin, poll_once, recorder, request, service};

use crate::bench::{created, opened, parrot, parrot_with, streamed};

fn json_payload(json: &str) -> Payload {
    Payload::from_json(json.to_owned())
}

#[test]
fn blobs_cross_both_ways_byte_for_byte() {
    let blobs = [vec![0u8, 255, 10, 13], Vec::new(), vec![7; 3 << 20]];
    let json = r#"{"image":{"$blob":0}, "sound":{"$blob":2}}"#;
    let sent = blobs
        .iter()
        .fold(json_payload(json), |sent, blob| sent.with_blob(blob.clone()));
    let back = block_on(parrot().call("blob", sent)).expect("an answer");
    assert_eq!(back.json(), json);
    assert!(back.blobs().eq(blobs.iter().map(Vec::as_slice)));
}

#[test]
fn a_plugin_calls_its_host_and_gets_the_answer() {
    let services = recorder().shared();
    let plugin = parrot_with(services.clone());
    let reply = ask(&plugin, "host-call", "is anybody there?").expect("an answer");
    assert_eq!(reply.text, r#"{"say":"is anybody there?"}"#);
    assert_eq!(services.calls(), ["say"]);
}

#[test]
fn a_method_that_the_host_lacks_is_unsupported() {
    let error = ask(&parrot(), "host-call", "hello").expect_err("the host offers its log alone");
    assert_eq!(
        error,
        Error::new(ErrorKind::UNSUPPORTED, "the method `say` is not supported here")
    );
}

#[test]
fn a_method_that_the_plugin_lacks_is_unsupported() {
    let plugin = parrot();
    let calls = [
        ("dance", block_on(plugin.call("dance", json_payload("{}"))).map(drop)),
        ("dance", block_on(plugin.open("dance", json_payload("{}"))).map(drop)),
        ("configure", block_on(plugin.configure(&Config::default()))),
    ];
    for (method, answer) in calls {
        let expected = format!("the method `{method}` is not supported here");
        assert_eq!(answer, Err(Error::new(ErrorKind::UNSUPPORTED, expected)));
    }
}

#[test]
fn methods_that_take_json_alone_refuse_blobs() {
    let plugin = parrot();
    for method in ["chat", "tiers", "check", "configure", "stream"] {
        let payload = json_payload("{}").with_blob(vec![1]);
        let answer = match method {
            "stream" => block_on(plugin.open(method, payload)).map(drop),
            _ => block_on(plugin.call(method, payload)).map(drop),
        };
        let expected = format!("`{method}` accepts no blobs in this version");
        assert_eq!(answer, Err(Error::new(ErrorKind::INVALID_REQUEST, expected)));
    }
}

#[test]
fn events_that_are_ready_cross_together() {
    let plugin = parrot();
    block_on(async {
        let mut events = plugin.stream(&request("many", "")).await.expect("it opens");
        events.next().await.expect("an event").expect("no error");
        let given = plugin.call("given", json_payload("null")).await.expect("an answer");
        assert_eq!(
            given.read::<u32>(),
            Ok(64),
            "one crossing brings as many as are ready, up to the limit"
        );
        // Nothing is lost or repeated at the seams.
        let rest = events.collect().await.expect("the rest").text;
        assert!(rest.split_whitespace().eq((2..200).map(|n| n.to_string())), "{rest}");
    });
}

#[test]
fn events_arrive_one_by_one_and_end_after_done() {
    let mut stream = opened(&parrot(), &request("any", "one two"));
    let events = block_on(async {
        let mut events = Vec::new();
        while let Some(event) = stream.next().await {
            events.push(event.expect("no error"));
        }
        assert!(stream.next().await.is_none(), "after the end there is nothing");
        events
    });
    assert_eq!(events[..2], [ChatEvent::text("one "), ChatEvent::text("two")]);
    assert!(
        matches!(&events[2..], [ChatEvent::Done(done)] if done.finish_reason == "stop"),
        "{events:?}"
    );
}

#[test]
fn an_event_arrives_before_the_next_one_exists() {
    let mut events = opened(&parrot(), &request("stall", ""));
    assert_eq!(block_on(events.next()), Some(Ok(ChatEvent::text("one "))));
    assert!(poll_once(pin!(events.next())).is_pending());
}

#[test]
fn a_raw_stream_may_end_without_done() {
    let asked = Payload::of(&request("never-done", "half")).expect("a request can be written as JSON");
    block_on(async {
        let mut stream = parrot().open("stream", asked).await.expect("it opens");
        assert_eq!(stream.next().await, Some(Ok(ChatEvent::text("half"))));
        assert_eq!(stream.next().await, None);
    });
}

#[test]
fn a_linked_plugin_behaves_like_a_loaded_one() {
    let loaded = loader::load(&openrouter_plugin()).expect("it fits");
    let linked = PluginModule::linked::<OpenRouter>().expect("its manifest is right");
    assert_eq!(loaded.manifest(), linked.manifest());
    assert_eq!(behaviour_of(&loaded), behaviour_of(&linked));
}

/// The plugin's answers to the same questions, its errors among them, and what it sent to the service.
fn behaviour_of(module: &PluginModule) -> (Vec<Result<ChatReply, Error>>, Vec<Value>, Value) {
    let sandbox = service();
    let reasoning = Script {
        reasoning: Some("it may rain".to_owned()),
        ..Script::text("take an umbrella")
    };
    sandbox.script("acme/model-a", reasoning);
    let cut = Script {
        cut_after_chunks: Some(2),
        ..Script::words(6)
    };
    sandbox.script("acme/model-b", cut);
    let options = json!({
        "tiers": {"TEXT_SMALL": "acme/model-a"}, "parameters": {"temperature": 0.5}, "retry": {"attempts": 1}
    });
    let plugin = created(module, &openrouter_config(&sandbox, options));
    let models = [
        "acme/model-a",
        "acme/model-b",
        "sandbox/status-402",
        "sandbox/status-429",
    ];
    let answers = models.map(|model| {
        let asked = request(model, "will it rain?");
        [block_on(plugin.chat(&asked)), streamed(&plugin, &asked)].map(without_times)
    });
    let tiers = block_on(plugin.tiers()).expect("the plugin knows its tiers");
    let bodies = sandbox.requests().into_iter().map(|request| request.body).collect();
    (answers.into_iter().flatten().collect(), bodies, json!(tiers))
}

fn without_times(answer: Result<ChatReply, Error>) -> Result<ChatReply, Error> {
    answer.map(|mut reply| {
        reply.done.duration_ms = 0;
        reply.done.time_to_first_token_ms = None;
        reply
    })
}
