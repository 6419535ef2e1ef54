//! Plugins that were built differently from this host behave as if they had been built with it.
//!
//! A compiler may lay out Rust's own types as it likes, and differently in each build, so none of them may cross. Parrot
//! is enough to prove that: it uses every function of the boundary, and what other plugins send through them is data.

use std::path::Path;

use plugin_api::{Config, ErrorKind, Level, Payload, loader};
use tests::{LIMIT, PluginFolder, ask, block_on, poll_once, recorder, request};

use crate::bench::{opened, streamed};
use crate::evolution::versions;

#[test]
fn plugins_of_another_layout_and_optimisation_level_work() {
    for built in versions() {
        assert_parrot_works(&built.plugin);
    }
}

/// Asserts that everything works that crosses the boundary: calls, blobs, streams, errors, panics, callbacks, the log,
/// and what is dropped on the other side.
fn assert_parrot_works(file: &Path) {
    let services = recorder().up_to(Level::Info).shared();
    let module = loader::load(&PluginFolder::new().copy(file)).expect("it fits");
    let parrot = module
        .create(services.clone(), &Config::default())
        .expect("no options are needed");

    assert_eq!(ask(&parrot, "any", "hello").expect("an answer").text, "hello");
    let reply = streamed(&parrot, &request("many", "")).expect("an answer");
    assert_eq!(reply.text.split_whitespace().count(), 199);
    assert_eq!(reply.done.provider.as_deref(), Some("Parrot"));
    let tiers = block_on(parrot.tiers()).expect("it knows its tiers");
    assert_eq!(tiers[0].configured, "parrot/small");
    let sent = Payload::from_json("7".to_owned()).with_blob(vec![1, 2, 3]);
    let back = block_on(parrot.call("blob", sent)).expect("an answer");
    assert!(back.json() == "7" && back.blobs().eq([[1, 2, 3]]));

    let error = ask(&parrot, "panic/call", "hello").expect_err("it panics");
    let start = "the plugin panicked in `call` at ";
    assert!(error.message.starts_with(start), "{error}");
    let error = block_on(parrot.configure(&Config::default())).expect_err("it has no such method");
    assert_eq!(error.kind, ErrorKind::UNSUPPORTED);

    let reply = ask(&parrot, "host-call", "hello").expect("an answer");
    assert_eq!(
        (reply.text.as_str(), services.calls()),
        (r#"{"say":"hello"}"#, vec!["say".to_owned()])
    );
    ask(&parrot, "log", "hello").expect("an answer");
    let mut stream = opened(&parrot, &request("stall", ""));
    block_on(stream.next()).expect("an event").expect("no error");
    drop(stream);
    let mut call = Box::pin(parrot.chat(&request("stall", "")));
    assert!(poll_once(call.as_mut()).is_pending());
    drop(call);
    let logged: Vec<_> = services.records().into_iter().map(|record| record.message).collect();
    let expected = [
        "a thread of the plugin panicked",
        "an error",
        "a warning",
        "an information",
        "let go",
        "let go",
    ];
    assert_eq!(logged, expected);

    block_on(parrot.shutdown(LIMIT)).expect("it ends");
    let error = ask(&parrot, "any", "hello").expect_err("it was shut down");
    assert_eq!(error.kind, ErrorKind::SHUT_DOWN);
}
