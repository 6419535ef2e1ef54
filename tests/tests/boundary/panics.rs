//! A panic anywhere is an error of the call that it happened in. The host lives, and the next call works.

use std::sync::Arc;
use std::time::Duration;

use plugin_api::{Config, Error, ErrorKind, HostServices, Plugin, loader};
use serde_json::json;
use tests::{
    Callback, PluginFolder, ask, block_on, in_a_process_of_its_own, poll_once, recorder, request, second_plugin,
};

use crate::loading::created;

/// What no error may repeat: somebody's prompt, which the panics of Parrot quote.
const PROMPT: &str = "a-private-matter";

fn parrot() -> Plugin {
    created(&loader::load(&second_plugin()).expect("it fits"), &Config::default())
}

fn greeting(words: &str) -> Config {
    Config {
        options: json!({"greeting": words}),
        ..Config::default()
    }
}

/// Asserts that `error` is of a panic in `what`, says where in the plugin it happened, and quotes nothing.
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
    assert_eq!(
        ask(plugin, "any", "hello").map(|reply| reply.text),
        Ok("hello".to_owned())
    );
}

#[test]
fn a_panic_while_a_plugin_is_created_is_an_error() {
    let module = loader::load(&second_plugin()).expect("it fits");
    let created = module.create(recorder().shared(), &greeting("panic/create"));
    assert_panicked_in("create", "second-plugin/src/lib.rs", &created.err().expect("it panics"));
    assert_still_works(&parrot());
}

#[test]
fn a_panic_in_a_call_is_an_error() {
    let plugin = parrot();
    let error = ask(&plugin, "panic/call", PROMPT).expect_err("it panics");
    assert_panicked_in("call", "second-plugin/src/lib.rs", &error);
    assert_still_works(&plugin);
}

#[test]
fn a_panic_while_a_stream_is_opened_is_an_error() {
    let plugin = parrot();
    let error = block_on(plugin.stream(&request("panic/open", PROMPT)))
        .err()
        .expect("it panics");
    assert_panicked_in("open", "second-plugin/src/lib.rs", &error);
    assert_still_works(&plugin);
}

#[test]
fn a_panic_in_the_middle_of_a_stream_is_its_last_item() {
    let plugin = parrot();
    let error = block_on(async {
        let mut events = plugin.stream(&request("panic/poll", PROMPT)).await.expect("it opens");
        loop {
            match events.next().await.expect("an error comes before the end") {
                Ok(_) => {}
                Err(error) => {
                    assert!(events.next().await.is_none());
                    return error;
                }
            }
        }
    });
    assert_panicked_in("poll", "second-plugin/src/trick.rs", &error);
    assert_still_works(&plugin);
}

#[test]
fn a_panic_in_the_middle_of_a_stream_costs_no_event_before_it() {
    let plugin = parrot();
    let error = block_on(async { plugin.stream(&request("panic/poll", PROMPT)).await?.collect().await })
        .expect_err("it panics");
    assert_eq!(error.details.partial_text.as_deref(), Some("one two "));
}

#[test]
fn a_panic_in_the_destructor_of_a_call_that_is_given_up_is_swallowed() {
    let plugin = parrot();
    let mut call = Box::pin(plugin.chat(&request("panic/drop", PROMPT)));
    assert!(poll_once(call.as_mut()).is_pending());
    drop(call);
    assert_still_works(&plugin);
}

#[test]
fn a_panic_in_the_destructor_of_a_stream_that_is_given_up_is_swallowed() {
    let plugin = parrot();
    let mut events = block_on(plugin.stream(&request("panic/drop", PROMPT))).expect("it opens");
    block_on(events.next()).expect("an event").expect("no error");
    drop(events);
    assert_still_works(&plugin);
}

#[test]
fn a_panic_whose_payload_panics_when_it_is_dropped_is_an_error() {
    let plugin = parrot();
    let error = block_on(plugin.stream(&request("panic/drop-panics", PROMPT)))
        .err()
        .expect("it panics");
    // The place is the one of the panic itself, not of the one that followed.
    assert_panicked_in("open", "second-plugin/src/lib.rs", &error);
    assert_still_works(&plugin);
}

#[test]
fn a_panic_while_a_plugin_shuts_down_is_an_error() {
    let module = loader::load(&second_plugin()).expect("it fits");
    let plugin = created(&module, &greeting("panic/shutdown"));
    let error = block_on(plugin.shutdown(Duration::from_secs(1))).expect_err("it panics");
    assert_panicked_in("shutdown", "second-plugin/src/lib.rs", &error);
    assert_still_works(&parrot());
}

#[test]
fn a_panic_in_the_destructor_of_a_plugin_is_swallowed() {
    let module = loader::load(&second_plugin()).expect("it fits");
    drop(created(&module, &greeting("panic/leave")));
    assert_still_works(&parrot());
}

#[test]
fn a_panic_in_the_log_of_the_host_costs_the_record_and_nothing_else() {
    for callback in [Callback::Log, Callback::LogEnabled] {
        let services = recorder().panicking_in(callback).shared();
        // A file of its own, so that its log goes to these services.
        let folder = PluginFolder::new();
        let module = loader::load(&folder.copy(&second_plugin())).expect("it fits");
        let plugin = module
            .create(Arc::clone(&services) as _, &Config::default())
            .expect("it is created");
        assert_eq!(
            ask(&plugin, "log", "hello").map(|reply| reply.text),
            Ok("hello".to_owned())
        );
        assert_eq!(services.records(), []);
        assert!(services.n_log_enabled() > 0);
    }
}

#[test]
fn a_panic_in_a_method_of_the_host_is_an_error_of_the_plugins_call() {
    for callback in [Callback::Call, Callback::CallPolled] {
        let services = recorder().panicking_in(callback).shared();
        let module = loader::load(&second_plugin()).expect("it fits");
        let plugin = module.create(services, &Config::default()).expect("it is created");
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
fn a_panic_in_the_destructor_of_a_hosts_answer_that_is_given_up_is_swallowed() {
    let services = recorder().panicking_in(Callback::CallDropped).shared();
    let module = loader::load(&second_plugin()).expect("it fits");
    let plugin = module
        .create(Arc::clone(&services) as _, &Config::default())
        .expect("it is created");
    let mut call = Box::pin(plugin.chat(&request("host-call", PROMPT)));
    assert!(poll_once(call.as_mut()).is_pending());
    assert_eq!(services.calls(), ["say"]);
    drop(call);
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
    let folder = PluginFolder::new();
    let module = loader::load(&folder.copy(&second_plugin())).expect("it fits");
    // The first host stays the one of the plugin's log, so it is the second that goes.
    let stays = created(&module, &Config::default());
    drop(
        module
            .create(Arc::new(Sore), &Config::default())
            .expect("it is created"),
    );
    assert_still_works(&stays);
}

#[test]
fn the_panics_of_a_plugin_are_not_printed_over_the_hosts_terminal() {
    let child = in_a_process_of_its_own(
        "panics::the_panics_of_a_plugin_are_not_printed_over_the_hosts_terminal",
        || {
            let plugin = parrot();
            ask(&plugin, "panic/call", PROMPT).expect_err("it panics");
            let mut call = Box::pin(plugin.chat(&request("panic/drop", PROMPT)));
            assert!(poll_once(call.as_mut()).is_pending());
        },
    );
    if let Some(ran) = child {
        assert_eq!(ran.stderr, "");
        assert!(
            !ran.stdout.contains("panicked") && !ran.stdout.contains(PROMPT),
            "{}",
            ran.stdout
        );
    }
}

#[test]
fn the_place_of_a_panic_reaches_the_hosts_log() {
    let services = recorder().shared();
    let folder = PluginFolder::new();
    let module = loader::load(&folder.copy(&second_plugin())).expect("it fits");
    let plugin = module
        .create(Arc::clone(&services) as _, &Config::default())
        .expect("it is created");
    ask(&plugin, "panic/call", PROMPT).expect_err("it panics");
    let records = services.records();
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(
        (records[0].target.as_str(), records[0].message.as_str()),
        ("plugin_api::panic", "a thread of the plugin panicked")
    );
    assert!(
        records[0].fields_json.contains("second-plugin/src/lib.rs:"),
        "{records:?}"
    );
    assert!(!records[0].fields_json.contains(PROMPT), "{records:?}");
}
