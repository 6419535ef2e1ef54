//! What a plugin writes with `tracing` reaches its host's log, and levels that nobody wants cost little.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex};

use plugin_api::{Level, LogOnly, loader};
use serde_json::json;
use tempfile::NamedTempFile;
use tests::{
    Child, PluginFolder, Record, ask, canary, openrouter_config, openrouter_plugin, poll_once, recorder, request,
    service,
};

use crate::bench::parrot_with;

#[test]
fn records_arrive_with_level_target_message_and_fields() {
    let services = recorder().shared();
    ask(&parrot_with(services.clone()), "log", "hello").expect("an answer");
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
fn the_plugins_dependencies_log_too_and_never_the_key() {
    let services = recorder().shared();
    let sandbox = service();
    let folder = PluginFolder::new();
    let module = loader::load(&folder.copy(&openrouter_plugin())).expect("it fits");
    let plugin = module
        .create(services.clone(), &openrouter_config(&sandbox, json!({})))
        .expect("the configuration is right");
    ask(&plugin, "sandbox/hello", "hello").expect("an answer");
    ask(&plugin, "sandbox/status-401", "hello").expect_err("its status is 401");
    let records = services.records();
    let crates: BTreeSet<&str> = records
        .iter()
        .filter_map(|record| record.target.split("::").next())
        .collect();
    // reqwest and rustls log with the crate `log`, which has no listener.
    assert_eq!(crates, BTreeSet::from(["hyper_util", "plugin_openrouter"]));
    assert!(records.iter().any(|record| record.level == Level::Trace));
    assert_eq!(canary::hits(format!("{records:#?}").as_bytes()), []);
}

#[test]
fn a_disabled_level_costs_one_check_and_no_record() {
    let services = recorder().up_to(Level::Warn).shared();
    let plugin = parrot_with(services.clone());
    // Nothing is remembered: a host may change its level at any time.
    for n_before in [0, 2] {
        let n_checks = services.n_log_enabled();
        ask(&plugin, "log", "hello").expect("an answer");
        assert_eq!(
            services.n_log_enabled() - n_checks,
            5,
            "one check for each of the five levels"
        );
        let levels: Vec<_> = services.records()[n_before..]
            .iter()
            .map(|record| record.level)
            .collect();
        assert_eq!(levels, [Level::Error, Level::Warn]);
    }
}

#[test]
fn records_reach_the_hosts_tracing_under_the_plugins_id() {
    // In a process of its own: whether `tracing` asks the subscriber of one thread depends on what other threads do.
    Child::new().run(|| {
        let file = NamedTempFile::new().expect("the temporary folder is writable");
        let writer = file.reopen().expect("the file is ours");
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::INFO)
            .with_writer(Mutex::new(writer))
            .with_ansi(false)
            .without_time()
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            ask(&parrot_with(Arc::new(LogOnly::new("parrot"))), "log", "hello").expect("an answer");
        });
        let log = fs::read_to_string(file.path()).expect("the log is text");
        let lines: Vec<&str> = log.lines().map(str::trim_start).collect();
        let expected = [
            ("ERROR", "an error", r#"{"code":7}"#),
            ("WARN", "a warning", r#"{"ratio":0.5}"#),
            ("INFO", "an information", r#"{"word":"blue"}"#),
        ];
        let expected = expected.map(|(level, message, fields)| {
            format!(r#"{level} plugin: {message} plugin="parrot" source="second_plugin" fields={fields:?}"#)
        });
        assert_eq!(lines, expected);
    });
}

#[test]
fn a_dropped_call_can_still_log() {
    let services = recorder().shared();
    let plugin = parrot_with(services.clone());
    let mut call = Box::pin(plugin.chat(&request("stall", "hello")));
    assert!(poll_once(call.as_mut()).is_pending());
    assert_eq!(services.records(), []);
    drop(call);
    let messages: Vec<_> = services.records().into_iter().map(|record| record.message).collect();
    assert_eq!(messages, ["let go"]);
}
