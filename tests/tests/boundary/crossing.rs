//! What a host sends arrives at the plugin as it was, and the reverse; linked or loaded makes no difference.

use std::sync::Arc;
use std::task::Poll;

use plugin_api::{ChatEvent, ChatReply, Config, Error, ErrorKind, EventStream, Payload, Plugin, PluginModule, loader};
use plugin_openrouter::OpenRouter;
use sandbox::Script;
use serde_json::{Value, json};
use tests::{
    ask, block_on, openrouter_config, openrouter_plugin, poll_once, recorder, request, second_plugin, service,
};

use crate::loading::created;

fn parrot() -> Plugin {
    created(&loader::load(&second_plugin()).expect("it fits"), &Config::default())
}

#[test]
fn blobs_cross_in_both_directions_byte_for_byte() {
    let blobs = [vec![0u8, 255, 10, 13], Vec::new(), vec![7; 3 << 20]];
    let sent = Payload::from_json(r#"{"image":{"$blob":0}, "sound":{"$blob":2}}"#.to_owned());
    let sent = blobs.iter().fold(sent, |sent, blob| sent.with_blob(blob.clone()));
    let back = block_on(parrot().call("blob", sent)).expect("an answer");
    assert_eq!(back.json(), r#"{"image":{"$blob":0}, "sound":{"$blob":2}}"#);
    assert!(back.blobs().eq(blobs.iter().map(Vec::as_slice)));
}

#[test]
fn a_plugin_calls_its_host_and_gets_the_answer() {
    let services = recorder().shared();
    let module = loader::load(&second_plugin()).expect("it fits");
    let plugin = module
        .create(Arc::clone(&services) as _, &Config::default())
        .expect("no options are needed");
    let reply = ask(&plugin, "host-call", "is anybody there?").expect("an answer");
    assert_eq!(reply.text, r#"{"say":"is anybody there?"}"#);
    assert_eq!(services.calls(), ["say"]);
}

#[test]
fn a_method_that_a_host_does_not_have_is_unsupported() {
    let error = ask(&parrot(), "host-call", "is anybody there?").expect_err("the host offers its log alone");
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::UNSUPPORTED, "the method `say` is not supported here")
    );
}

#[test]
fn a_method_that_a_plugin_does_not_have_is_unsupported() {
    let plugin = parrot();
    let calls = [
        block_on(plugin.call("dance", Payload::from_json("{}".to_owned()))).map(drop),
        block_on(plugin.open("dance", Payload::from_json("{}".to_owned()))).map(drop),
        block_on(plugin.configure(&Config::default())),
    ];
    for (error, method) in calls.into_iter().zip(["dance", "dance", "configure"]) {
        let expected = format!("the method `{method}` is not supported here");
        assert_eq!(error, Err(Error::new(ErrorKind::UNSUPPORTED, expected)));
    }
}

#[test]
fn events_that_are_ready_cross_together() {
    let plugin = parrot();
    block_on(async {
        let mut events = plugin.stream(&request("many", "")).await.expect("it opens");
        events.next().await.expect("an event").expect("no error");
        let given = plugin
            .call("given", Payload::from_json("null".to_owned()))
            .await
            .expect("an answer");
        assert_eq!(
            given.read::<u32>(),
            Ok(64),
            "one crossing brings as many as are ready, up to the limit"
        );
        // Nothing is lost or repeated at the seams.
        let rest = events.collect().await.expect("the rest");
        assert_eq!(
            rest.text.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
            numbers(2..200)
        );
    });
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[test]
fn events_come_one_by_one_and_end_with_the_last_one() {
    let events = block_on(async {
        let mut stream = parrot().stream(&request("any", "one two")).await.expect("it opens");
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
fn a_stream_that_ends_without_saying_so_is_an_error_in_its_place() {
    let events = block_on(async {
        let mut stream = parrot()
            .stream(&request("never-done", "half a"))
            .await
            .expect("it opens");
        let mut events = Vec::new();
        while let Some(event) = stream.next().await {
            events.push(event);
        }
        assert!(stream.next().await.is_none(), "after the error there is nothing");
        events
    });
    let cut = Error::new(
        ErrorKind::PROTOCOL,
        "the stream ended without saying that the answer is complete",
    );
    assert_eq!(
        events,
        [Ok(ChatEvent::text("half ")), Ok(ChatEvent::text("a")), Err(cut)]
    );
}

#[test]
fn the_end_of_a_raw_stream_is_left_to_its_reader() {
    let asked = Payload::of(&request("never-done", "half")).expect("a request can be written as JSON");
    block_on(async {
        let mut stream = parrot().open("stream", asked).await.expect("it opens");
        assert_eq!(stream.next().await, Some(Ok(ChatEvent::text("half"))));
        assert_eq!(stream.next().await, None);
    });
}

#[test]
fn methods_that_take_json_alone_refuse_blobs() {
    let plugin = parrot();
    let with_blob = || Payload::from_json("{}".to_owned()).with_blob(vec![1]);
    for method in ["chat", "tiers", "check", "configure", "stream"] {
        let expected = Error::new(
            ErrorKind::INVALID_REQUEST,
            format!("`{method}` takes no blobs in this version"),
        );
        let answer = match method {
            "stream" => block_on(plugin.open(method, with_blob())).map(drop),
            _ => block_on(plugin.call(method, with_blob())).map(drop),
        };
        assert_eq!(answer, Err(expected));
    }
}

#[test]
fn a_stream_that_ends_without_saying_so_is_an_error_with_what_had_come() {
    let error = block_on(async { parrot().stream(&request("never-done", "half a")).await?.collect().await })
        .expect_err("no end was told");
    assert_eq!(error.kind, ErrorKind::PROTOCOL);
    assert_eq!(
        error.message,
        "the stream ended without saying that the answer is complete"
    );
    assert_eq!(error.details.partial_text.as_deref(), Some("half a"));
}

#[test]
fn an_event_arrives_before_the_one_behind_it_exists() {
    let mut events: EventStream = block_on(parrot().stream(&request("stall", ""))).expect("it opens");
    assert_eq!(block_on(events.next()), Some(Ok(ChatEvent::text("one "))));
    assert!(matches!(poll_once(std::pin::pin!(events.next())), Poll::Pending));
}

#[test]
fn a_linked_plugin_and_a_loaded_one_behave_the_same() {
    let loaded = loader::load(&openrouter_plugin()).expect("it fits");
    let linked = PluginModule::linked::<OpenRouter>().expect("its manifest is right");
    assert_eq!(loaded.manifest(), linked.manifest());
    let told: Vec<_> = [loaded, linked].iter().map(everything_told_by).collect();
    assert_eq!(told[0], told[1]);
}

/// The answers of one plugin to the same questions, the errors among them, and what the service was sent.
fn everything_told_by(module: &PluginModule) -> (Vec<Result<ChatReply, Error>>, Vec<Value>, Value) {
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
    let options = json!({"tiers": {"TEXT_SMALL": "acme/model-a"}, "parameters": {"temperature": 0.5}});
    let plugin = created(module, &openrouter_config(&sandbox, options));
    let answers = [
        "acme/model-a",
        "acme/model-b",
        "sandbox/status-402",
        "sandbox/status-429",
    ]
    .map(|model| {
        let asked = request(model, "will it rain?");
        let answers = [
            block_on(plugin.chat(&asked)),
            block_on(async { plugin.stream(&asked).await?.collect().await }),
        ];
        answers.map(without_times)
    });
    let tiers = serde_json::to_value(block_on(plugin.tiers()).expect("the plugin knows its tiers"));
    let bodies = sandbox.requests().into_iter().map(|request| request.body).collect();
    (
        answers.into_iter().flatten().collect(),
        bodies,
        tiers.expect("tiers are JSON"),
    )
}

fn without_times(answer: Result<ChatReply, Error>) -> Result<ChatReply, Error> {
    answer.map(|mut reply| {
        reply.done.duration_ms = 0;
        reply.done.time_to_first_token_ms = None;
        reply
    })
}
