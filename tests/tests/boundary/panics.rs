//! A panic anywhere is an error of the call in which it happens. The host lives, and the next call works.

use std::sync::Arc;
use std::time::Duration;

use plugin_api::{ChatEvent, Config, Error, ErrorKind, HostServices, Level, Plugin, loader};
use tests::{Callback, Child, PluginFolder, Recorder, ask, block_on, poll_once, recorder, request, second_plugin};

use crate::bench::{created, greeting, opened, parrot, parrot_module, parrot_with, streamed};

/// A private prompt: Parrot's panics quote it, and no error may.
const PROMPT: &str = "a-private-matter";

const LIB: &str = "second-plugin/src/lib.rs";
const TRICK: &str = "second-plugin/src/trick.rs";

/// Asserts that `error` is of a panic in `what`, names the place in the plugin, and quotes nothing.
#[track_caller]
fn assert_panicked_in(what: &str, file: &str, error: &Error) {
    assert_eq!(error.kind, ErrorKind::INTERNAL);
    let start = format!("the plugin panicked in `{what}` at ");
    let place = error
        .message
        .strip_prefix(&start)
        .unwrap_or_else(|| panic!("expected `{start}…`, found `{error}`"));
    let (path, line) = place.rsplit_once(':').expect("a file and a line");
    assert!(path.ends_with(file) && line.parse::<u32>().is_ok(), "{place}");
    assert_quotes_nothing(error);
}

#[track_caller]
fn assert_quotes_nothing(error: &Error) {
    let printed = format!("{error} {error:?} {:?}", error.hint());
    assert!(!printed.contains(PROMPT) && !printed.contains("cannot"), "{printed}");
}

#[track_caller]
fn assert_still_works(plugin: &Plugin) {
    let answer = ask(plugin, "any", "hello").map(|reply| reply.text);
    assert_eq!(answer, Ok("hello".to_owned()));
}

/// Drops a call that is still waiting.
#[track_caller]
fn drop_in_flight(plugin: &Plugin, model: &str) {
    let mut call = Box::pin(plugin.chat(&request(model, PROMPT)));
    assert!(poll_once(call.as_mut()).is_pending());
}

#[test]
fn a_panic_while_a_plugin_is_created_is_an_error() {
    let created = parrot_module().create(recorder().shared(), &greeting("panic/create"));
    assert_panicked_in("create", LIB, &created.err().expect("it panics"));
    assert_still_works(&parrot());
}

#[test]
fn a_panic_in_a_call_is_an_error() {
    let plugin = parrot();
    let error = ask(&plugin, "panic/call", PROMPT).expect_err("it panics");
    assert_panicked_in("call", LIB, &error);
    assert_still_works(&plugin);
}

#[test]
fn a_panic_while_a_stream_is_opened_is_an_error() {
    let plugin = parrot();
    // The second one panics once more when its payload is dropped; the place named is that of the first panic.
    for model in ["panic/open", "panic/drop-panics"] {
        let error = streamed(&plugin, &request(model, PROMPT)).expect_err("it panics");
        assert_panicked_in("open", LIB, &error);
        assert_still_works(&plugin);
    }
}

#[test]
fn a_panic_in_the_middle_of_a_stream_is_its_last_item() {
    let plugin = parrot();
    let mut events = opened(&plugin, &request("panic/poll", PROMPT));
    block_on(async {
        for word in ["one ", "two "] {
            assert_eq!(events.next().await, Some(Ok(ChatEvent::text(word))));
        }
        let error = events.next().await.expect("an error comes before the end");
        assert_panicked_in("poll", TRICK, &error.expect_err("it panics"));
        assert!(events.next().await.is_none());
    });
    assert_still_works(&plugin);
}

#[test]
fn a_panic_in_the_destructor_of_a_dropped_call_is_swallowed() {
    let plugin = parrot();
    drop_in_flight(&plugin, "panic/drop");
    assert_still_works(&plugin);
}

#[test]
fn a_panic_in_the_destructor_of_a_dropped_stream_is_swallowed() {
    let plugin = parrot();
    let mut events = opened(&plugin, &request("panic/drop", PROMPT));
    block_on(events.next()).expect("an event").expect("no error");
    drop(events);
    assert_still_works(&plugin);
}

#[test]
fn a_panic_while_a_plugin_shuts_down_is_an_error() {
    let plugin = created(&parrot_module(), &greeting("panic/shutdown"));
    let error = block_on(plugin.shutdown(Duration::from_secs(1))).expect_err("it panics");
    assert_panicked_in("shutdown", LIB, &error);
    assert_still_works(&parrot());
}

#[test]
fn a_panic_in_the_destructor_of_a_plugin_is_swallowed() {
    drop(created(&parrot_module(), &greeting("panic/leave")));
    assert_still_works(&parrot());
}

/// Parrot in a host that panics in this callback.
fn parrot_and_host_panicking_in(callback: Callback) -> (Plugin, Arc<Recorder>) {
    let services = recorder().panicking_in(callback).shared();
    (parrot_with(services.clone()), services)
}

#[test]
fn a_panic_in_the_hosts_log_costs_the_record_and_nothing_else() {
    for callback in [Callback::Log, Callback::LogEnabled] {
        let (plugin, services) = parrot_and_host_panicking_in(callback);
        ask(&plugin, "log", "hello").expect("an answer");
        assert_eq!(services.records(), []);
        assert!(services.n_log_enabled() > 0);
    }
}

#[test]
fn a_panic_in_a_method_of_the_host_is_an_error_of_the_call() {
    for callback in [Callback::Call, Callback::CallPolled] {
        let (plugin, _services) = parrot_and_host_panicking_in(callback);
        let error = ask(&plugin, "host-call", PROMPT).expect_err("the host panics");
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::INTERNAL, "the host panicked in `call`")
        );
        assert_quotes_nothing(&error);
        assert_still_works(&plugin);
    }
}

#[test]
fn a_panic_in_the_destructor_of_a_hosts_dropped_answer_is_swallowed() {
    let (plugin, services) = parrot_and_host_panicking_in(Callback::CallDropped);
    drop_in_flight(&plugin, "host-call");
    assert_eq!(services.calls(), ["say"]);
    assert_still_works(&plugin);
}

#[test]
fn services_whose_destructor_panics_end_nothing() {
    struct Sore;
    impl HostServices for Sore {
        fn plugin(&self) -> &str {
            "sore"
        }
    }
    impl Drop for Sore {
        fn drop(&mut self) {
            panic!("the host cannot let go");
        }
    }
    let module = loader::load(&PluginFolder::new().copy(&second_plugin())).expect("it fits");
    // The plugin keeps the services of its first instance for its log, so only those of the second are dropped.
    let stays = created(&module, &Config::default());
    let goes = module.create(Arc::new(Sore), &Config::default());
    drop(goes.expect("it is created"));
    assert_still_works(&stays);
}

#[test]
fn a_plugins_panics_are_not_printed_to_the_terminal() {
    let child = Child::new().run(|| {
        let plugin = parrot();
        ask(&plugin, "panic/call", PROMPT).expect_err("it panics");
        drop_in_flight(&plugin, "panic/drop");
    });
    if let Some(ran) = child {
        assert_eq!(ran.stderr, "");
        let has_leaked = ran.stdout.contains("panicked") || ran.stdout.contains(PROMPT);
        assert!(!has_leaked, "{}", ran.stdout);
    }
}

#[test]
fn the_place_of_a_panic_reaches_the_hosts_log() {
    let services = recorder().up_to(Level::Debug).shared();
    ask(&parrot_with(services.clone()), "panic/call", PROMPT).expect_err("it panics");
    let records = services.records();
    let [record] = records.as_slice() else {
        panic!("expected one record, found {records:?}");
    };
    assert_eq!(
        (record.target.as_str(), record.message.as_str()),
        ("plugin_api::panic", "a thread of the plugin panicked")
    );
    let fields = &record.fields_json;
    assert!(
        fields.contains(&format!("{LIB}:")) && !fields.contains(PROMPT),
        "{fields}"
    );
}

#[test]
fn the_text_of_a_panic_reaches_a_log_at_level_trace() {
    let services = recorder().shared();
    let error = ask(&parrot_with(services.clone()), "panic/call", PROMPT).expect_err("it panics");
    assert_quotes_nothing(&error);
    let last = services.records().pop().expect("the panic is logged");
    assert_eq!(
        (last.level, last.target.as_str(), last.message),
        (
            Level::Trace,
            "plugin_api::panic",
            format!("the panic says: cannot repeat `{PROMPT}`")
        )
    );
}
