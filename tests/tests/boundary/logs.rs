//! What a plugin writes with `tracing` reaches its host's log, and costs little where nobody wants it.
//!
//! Each test loads a copy of its own: a plugin's log goes to the first host that it meets in a process.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use plugin_api::{Config, HostServices, Level, LogOnly, Plugin, loader};
use serde_json::json;
use tests::{
    PluginFolder, Record, ask, canary, in_a_process_of_its_own, openrouter_config, openrouter_plugin, poll_once,
    recorder, request, second_plugin, service,
};
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Metadata, Subscriber};

/// Parrot from a file of its own.
fn lone_parrot(services: Arc<dyn HostServices>) -> Plugin {
    let folder = PluginFolder::new();
    let module = loader::load(&folder.copy(&second_plugin())).expect("it fits");
    module
        .create(services, &Config::default())
        .expect("no options are needed")
}

#[test]
fn records_arrive_with_level_target_message_and_fields() {
    let services = recorder().shared();
    ask(&lone_parrot(Arc::clone(&services) as _), "log", "hello").expect("an answer");
    let record = |level, message: &str, fields: &str| Record {
        level,
        target: "second_plugin".to_owned(),
        message: message.to_owned(),
        fields_json: fields.to_owned(),
    };
    assert_eq!(
        services.records(),
        [
            record(Level::Error, "an error", r#"{"code":7}"#),
            record(Level::Warn, "a warning", r#"{"ratio":0.5}"#),
            record(Level::Info, "an information", r#"{"word":"blue"}"#),
            record(Level::Debug, "a detail", r#"{"negative":-1}"#),
            record(Level::Trace, "a trace", r#"{"yes":true,"list":"[1, 2]"}"#),
        ]
    );
}

#[test]
fn what_a_plugin_is_made_of_writes_into_the_same_log_and_never_the_key() {
    let services = recorder().shared();
    let sandbox = service();
    let folder = PluginFolder::new();
    let module = loader::load(&folder.copy(&openrouter_plugin())).expect("it fits");
    let plugin = module
        .create(Arc::clone(&services) as _, &openrouter_config(&sandbox, json!({})))
        .expect("the configuration is right");
    ask(&plugin, "sandbox/hello", "hello").expect("an answer");
    ask(&plugin, "sandbox/status-401", "hello").expect_err("it is told to fail");
    let records = services.records();
    let crates: BTreeSet<&str> = records
        .iter()
        .filter_map(|record| record.target.split("::").next())
        .collect();
    // reqwest and rustls write with another library, `log`, to which nobody listens.
    assert_eq!(crates, BTreeSet::from(["hyper_util", "plugin_openrouter"]));
    assert!(records.iter().any(|record| record.level == Level::Trace));
    assert_eq!(canary::hits(format!("{records:#?}").as_bytes()), []);
}

#[test]
fn a_disabled_level_costs_one_question_and_no_record() {
    let services = recorder().up_to(Level::Warn).shared();
    let plugin = lone_parrot(Arc::clone(&services) as _);
    let before = services.n_log_enabled();
    ask(&plugin, "log", "hello").expect("an answer");
    assert_eq!(
        services.n_log_enabled() - before,
        5,
        "one question for each of five levels"
    );
    let levels: Vec<_> = services.records().iter().map(|record| record.level).collect();
    assert_eq!(levels, [Level::Error, Level::Warn]);
}

#[test]
fn a_host_may_change_its_mind_about_levels() {
    struct Switch(Mutex<Level>, tests::Recorder);
    impl HostServices for Switch {
        fn plugin(&self) -> &str {
            self.1.plugin()
        }
        fn log_enabled(&self, level: Level, _target: &str) -> bool {
            level <= *self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
        fn log(&self, level: Level, target: &str, message: &str, fields_json: &str) {
            self.1.log(level, target, message, fields_json);
        }
    }
    let services = Arc::new(Switch(Mutex::new(Level::Error), recorder()));
    let plugin = lone_parrot(Arc::clone(&services) as _);
    ask(&plugin, "log", "hello").expect("an answer");
    assert_eq!(services.1.records().len(), 1);
    *services.0.lock().unwrap_or_else(PoisonError::into_inner) = Level::Trace;
    ask(&plugin, "log", "hello").expect("an answer");
    assert_eq!(services.1.records().len(), 1 + 5);
}

#[test]
fn records_reach_the_hosts_tracing_under_the_plugins_id() {
    // In a process of its own: where a listener is one thread's, what other threads do decides whether `tracing`
    // asks it.
    in_a_process_of_its_own("logs::records_reach_the_hosts_tracing_under_the_plugins_id", || {
        let listener = Listener::default();
        tracing::subscriber::with_default(listener.clone(), || {
            ask(&lone_parrot(Arc::new(LogOnly::new("parrot"))), "log", "hello").expect("an answer");
        });
        let heard = listener.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let line = |level: &str, message: &str, fields: &str| {
            format!("{level} plugin: message={message} plugin=parrot source=second_plugin fields={fields}")
        };
        assert_eq!(
            heard,
            [
                line("ERROR", "an error", r#"{"code":7}"#),
                line("WARN", "a warning", r#"{"ratio":0.5}"#),
                line("INFO", "an information", r#"{"word":"blue"}"#),
                // The listener below wants no details.
            ]
        );
    });
}

/// Writes down what the host's `tracing` hears, down to level info.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<String>>>);

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!("{} {}:", event.metadata().level(), event.metadata().target()));
        event.record(&mut line);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.0);
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!(" {}={value:?}", field.name());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0 += &format!(" {}={value}", field.name());
    }
}

#[test]
fn a_call_that_is_given_up_can_still_tell_the_host() {
    let services = recorder().shared();
    let plugin = lone_parrot(Arc::clone(&services) as _);
    let mut call = Box::pin(plugin.chat(&request("stall", "hello")));
    assert!(poll_once(call.as_mut()).is_pending());
    assert_eq!(services.records(), []);
    drop(call);
    let messages: Vec<_> = services.records().into_iter().map(|record| record.message).collect();
    assert_eq!(messages, ["let go"]);
}
